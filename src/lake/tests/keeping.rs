//! Compaction and vacuum, beside commits.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::lake::{
    commit::{Purpose, Staged},
    compaction::compact,
    properties::Retention,
    table::newest,
};

/// What a table held at a version.
pub(super) fn read_at<R: Row>(lake: &Lake, version: u64) -> Vec<R> {
    let table = lake.tables.get(R::TABLE.name).unwrap();
    let batches = table.at(lake.engine(), version).unwrap().read(lake.engine()).unwrap();
    let mut rows: Vec<R> = batches.iter().flat_map(|batch| R::read(batch, &mut Names::default()).unwrap()).collect();
    rows.sort();
    rows
}

fn version(lake: &Lake, table: &str) -> u64 {
    lake.tables.get(table).unwrap().version()
}

/// All Parquet files in `dir` and below, those of the log left out.
pub(super) fn data_files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "_delta_log" {
            files.extend(data_files(&path));
        } else if path.extension().is_some_and(|end| end == "parquet") {
            files.insert(path);
        }
    }
    files
}

fn live_files(lake: &Lake, table: &str) -> BTreeSet<PathBuf> {
    let table = lake.tables.get(table).unwrap();
    table.live(lake.engine()).unwrap().files.into_iter().map(|file| file.path).collect()
}

fn came<R: Clone>(rows: &[R]) -> Vec<(R, isize)> {
    rows.iter().map(|row| (row.clone(), 1)).collect()
}

/// Steps a table through `steps` epochs in which a row comes and another goes; what it holds after each version.
fn step(lake: &Lake, dice: &mut Dice, epochs: std::ops::Range<u64>, held: &mut BTreeMap<u64, Vec<Visit>>) {
    for epoch in epochs {
        let mut rows = held.last_key_value().map(|(_, rows)| rows.clone()).unwrap_or_default();
        let mut changes = came(&[dice.throw::<Visit>()]);
        if rows.len() > 12 {
            changes.push((rows.remove(dice.below(rows.len() as i64) as usize), -1));
        }
        rows.push(changes[0].0);
        rows.sort();
        let before = lake.tables.get("visits").map_or(0, |table| table.version());
        lake.apply(&dice.names, epoch, changes).unwrap();
        // a compaction behind the commit has the same rows
        held.extend((before + 1..=version(lake, "visits")).map(|version| (version, rows.clone())));
    }
}

#[test]
fn every_version_within_the_retention_is_read_back_whole_after_compaction_and_vacuum_and_older_ones_are_gone() {
    let dir = folder();
    let mut dice = Dice::new(41);
    let lake = Lake::open(dir.path()).unwrap();
    let mut held = BTreeMap::new();
    step(&lake, &mut dice, 0..100, &mut held);
    let pause = Duration::from_millis(30);
    thread::sleep(pause);
    let (cut, oldest) = (Instant::now(), version(&lake, "visits"));
    thread::sleep(pause);
    step(&lake, &mut dice, 100..140, &mut held);
    let before = data_files(dir.path());

    let told = lake.vacuum(Some(cut.elapsed()), true).unwrap();
    assert_eq!(data_files(dir.path()), before, "a dry run removes nothing");
    let removed = lake.vacuum(Some(cut.elapsed()), false).unwrap();
    assert_eq!(told, removed);
    let removed = removed.into_iter().find(|removed| removed.table == "visits").unwrap();
    assert_eq!(removed.oldest_version, oldest);
    assert_eq!(data_files(dir.path()).len() as u64, before.len() as u64 - removed.files);
    assert!(removed.files > 50 && removed.log_files > 50 && removed.bytes > 0, "{removed:?}");
    for lake in [lake, Lake::open(dir.path()).unwrap()] {
        for (version, rows) in held.range(oldest..) {
            assert_eq!(read_at::<Visit>(&lake, *version), *rows, "version {version}");
        }
        // the change feed leads from there to the newest
        let mut rows: BTreeMap<Visit, isize> = came(&held[&oldest]).into_iter().collect();
        for change in lake.history::<Visit>(&mut Names::default()).unwrap() {
            assert!(change.version > oldest);
            *rows.entry(change.row).or_default() += if change.inserted { 1 } else { -1 };
        }
        rows.retain(|_, times| *times != 0);
        assert_eq!(rows.into_keys().collect::<Vec<_>>(), *held.last_key_value().unwrap().1);
        assert!(!lake.told_history("visits", &[]).unwrap().is_empty());
    }
}

#[test]
fn with_no_retention_only_what_the_newest_version_needs_is_left() {
    let dir = folder();
    let mut dice = Dice::new(42);
    let lake = Lake::open(dir.path()).unwrap();
    let mut held = BTreeMap::new();
    step(&lake, &mut dice, 0..90, &mut held);
    thread::sleep(Duration::from_millis(30));
    lake.vacuum(Some(Duration::ZERO), false).unwrap();
    assert_eq!(data_files(dir.path()), live_files(&lake, "visits"));
    assert_eq!(lake.history::<Visit>(&mut Names::default()).unwrap(), [], "its change feed is gone");
    let log = fs::read_dir(dir.path().join("visits/_delta_log")).unwrap().count();
    assert!(log <= 40, "{log} files of the log");
    step(&lake, &mut dice, 90..100, &mut held);
    assert_eq!(read_sorted::<Visit>(&Lake::open(dir.path()).unwrap()), *held.last_key_value().unwrap().1);
}

#[test]
fn a_file_of_a_commit_under_way_survives_a_vacuum_and_one_that_a_crash_left_does_not() {
    let dir = folder();
    let mut dice = Dice::new(43);
    let lake = Lake::open(dir.path()).unwrap();
    let rows: Vec<Inventory> = set(&mut dice, 20);
    lake.apply(&dice.names, 1, came(&rows[..10])).unwrap();
    let orphan = dir.path().join("inventory/00000000000000000009-0.parquet");
    fs::write(&orphan, b"PAR1").unwrap();
    let waiting = dir.path().join("inventory/_delta_log/.00000000000000000009.1.tmp");
    fs::write(&waiting, b"{").unwrap();
    lake.vacuum(Some(Duration::from_hours(1)), false).unwrap();
    assert!(orphan.exists() && waiting.exists(), "they are not older than the retention");

    let mut table = lake.tables.get("inventory").unwrap();
    let batch = Inventory::write(&rows[10..], &dice.names).unwrap();
    let staged = Staged { adds: vec![(Vec::new(), batch)], ..Staged::default() };
    let written = table.write(lake.engine(), staged).unwrap();
    thread::sleep(Duration::from_millis(30));
    thread::scope(|scope| {
        let vacuum = scope.spawn(|| Lake::open(dir.path()).unwrap().vacuum(Some(Duration::ZERO), false).unwrap());
        // as long as files are staged, a vacuum waits
        thread::sleep(Duration::from_millis(200));
        assert!(!vacuum.is_finished() && orphan.exists());
        table.commit(lake.engine(), Purpose::Rows(Some(2)), None, &written).unwrap();
        drop(written);
        let removed = vacuum.join().unwrap();
        assert_eq!((removed[0].files, removed[0].log_files), (1, 1), "{removed:?}");
    });
    assert!(!orphan.exists() && !waiting.exists());
    assert_eq!(read_sorted::<Inventory>(&Lake::open(dir.path()).unwrap()), rows);
}

#[test]
fn a_compaction_that_comes_too_late_is_dropped_and_leaves_nothing_behind() {
    let dir = folder();
    let mut dice = Dice::new(44);
    let lake = Lake::open(dir.path()).unwrap();
    let rows: Vec<Inventory> = set(&mut dice, 6);
    for (epoch, row) in rows.iter().enumerate() {
        lake.apply(&dice.names, epoch as u64, came(&[*row])).unwrap();
    }
    let slot = lake.tables.slot("inventory").unwrap();
    let old = slot.get().unwrap();
    let live = old.live(lake.engine()).unwrap();
    let staged = Staged {
        adds: vec![(Vec::new(), Inventory::write(&rows, &dice.names).unwrap())],
        removes: live.files.iter().collect(),
        ..Staged::default()
    };
    let written = old.write(lake.engine(), staged).unwrap();
    lake.apply(&dice.names, 9, vec![(rows[0], -1)]).unwrap();
    let files = data_files(dir.path()).len();
    let put = slot.lock().table.as_mut().unwrap().optimize(lake.engine(), &live, &written).unwrap();
    assert!(!put);
    written.discard();
    assert_eq!(data_files(dir.path()).len(), files - 1);
    assert_eq!(read_sorted::<Inventory>(&lake), rows[1..]);
}

#[test]
fn a_commit_goes_on_where_another_process_compacted_or_said_what_is_kept() {
    let dir = folder();
    let mut dice = Dice::new(45);
    let rows: Vec<Inventory> = set(&mut dice, 20);
    let other = Lake::open(dir.path()).unwrap();
    // at version 8 they are made one
    for (epoch, row) in rows[..15].iter().enumerate() {
        other.apply(&dice.names, epoch as u64, came(&[*row])).unwrap();
    }
    let lake = Lake::open(dir.path()).unwrap();
    other.apply(&dice.names, 15, came(&[rows[15]])).unwrap();
    let refused = lake.apply(&dice.names, 16, came(&[rows[16]]));
    assert!(matches!(refused, Err(LakeError::Conflict { .. })), "rows came in between: {refused:?}");

    let lake = Lake::open(dir.path()).unwrap();
    assert!(compact(other.tables.slot("inventory").unwrap(), other.engine()).unwrap());
    other.retain(Duration::from_hours(3)).unwrap();
    lake.apply(&dice.names, 17, vec![(rows[16], 1), (rows[0], -1)]).unwrap();
    assert_eq!(read_sorted::<Inventory>(&Lake::open(dir.path()).unwrap()), rows[1..17]);
    assert_eq!(Retention::of(&lake.tables.get("inventory").unwrap().snapshot).files, Duration::from_hours(3));
}

#[test]
fn a_table_says_how_long_it_keeps_versions_also_behind_checkpoints() {
    let dir = folder();
    let mut dice = Dice::new(46);
    let lake = Lake::open(dir.path()).unwrap();
    let mut held = BTreeMap::new();
    step(&lake, &mut dice, 0..1, &mut held);
    let said = |lake: &Lake| {
        let table = lake.tables.get("visits").unwrap();
        Retention::of(&newest(table.place(), lake.engine()).unwrap())
    };
    assert_eq!(said(&lake), Retention::all(Duration::from_hours(7 * 24)));
    for (epochs, retention) in [(1..40, 9_000), (40..80, 1_500), (80..90, 3 * 86_400_000)] {
        step(&lake, &mut dice, epochs, &mut held);
        let retention = Duration::from_millis(retention);
        lake.retain(retention).unwrap();
        assert_eq!(said(&lake), Retention::all(retention));
        let version = version(&lake, "visits");
        lake.retain(retention).unwrap();
        assert_eq!(super::keeping::version(&lake, "visits"), version, "said once");
    }
    assert_eq!(read_sorted::<Visit>(&lake), *held.last_key_value().unwrap().1);
    assert!(lake.history::<Visit>(&mut Names::default()).unwrap().len() > 90, "it keeps its change feed");
}

#[test]
fn a_keeper_in_the_background_keeps_files_few_and_no_commit_waits_for_it_in_vain() {
    let dir = folder();
    let mut dice = Dice::new(47);
    let mut lake = Lake::open(dir.path()).unwrap();
    lake.keep_in_background().unwrap();
    let mut held: Vec<Visit> = Vec::new();
    lake.apply::<Visit>(&dice.names, 0, Vec::new()).unwrap();
    lake.retain(Duration::from_millis(1)).unwrap();
    for epoch in 1..300 {
        let mut changes = came(&[dice.throw::<Visit>()]);
        if held.len() > 12 {
            changes.push((held.remove(dice.below(held.len() as i64) as usize), -1));
        }
        held.push(changes[0].0);
        lake.apply(&dice.names, epoch, changes).unwrap();
    }
    // ends the keeper, which first does all that is due
    drop(lake);
    held.sort();
    let lake = Lake::open(dir.path()).unwrap();
    assert_eq!(read_sorted::<Visit>(&lake), held);
    let (files, log) =
        (data_files(dir.path()).len(), fs::read_dir(dir.path().join("visits/_delta_log")).unwrap().count());
    assert!(files < 300 && log < 300, "{files} data files and {log} of the log of 300 versions");
}
