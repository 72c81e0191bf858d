//! What a process that dies, or another that writes too, can leave behind.

use super::*;

#[test]
fn what_a_killed_commit_leaves_is_never_read() {
    let dir = folder();
    let mut dice = Dice::new(21);
    let lake = Lake::open(dir.path()).unwrap();
    let rows: Vec<Inventory> = set(&mut dice, 20);
    lake.apply(&dice.names, 1, rows[..10].iter().map(|row| (*row, 1)).collect()).unwrap();
    drop(lake);
    // The files of the next commit were written, their commit was not: it lies half done under its waiting name.
    let table = dir.path().join("inventory");
    for path in ["00000000000000000002-0.parquet", "_delta_log/.00000000000000000002.1.tmp"] {
        fs::write(table.join(path), b"PAR1").unwrap();
    }

    let lake = Lake::open(dir.path()).unwrap();
    assert_eq!(read_sorted::<Inventory>(&lake), rows[..10]);
    lake.apply(&dice.names, 2, rows[10..].iter().map(|row| (*row, 1)).collect()).unwrap();
    assert_eq!(read_sorted::<Inventory>(&lake), rows);
    assert_eq!(read_sorted::<Inventory>(&Lake::open(dir.path()).unwrap()), rows);
    assert_eq!(
        fs::read(table.join("00000000000000000002-0.parquet")).unwrap(),
        b"PAR1",
        "another's file is left alone"
    );
}

#[test]
fn a_table_that_was_never_finished_is_made_again() {
    let dir = folder();
    fs::create_dir_all(dir.path().join("visits/_delta_log")).unwrap();
    fs::write(dir.path().join("visits/_delta_log/.00000000000000000000.1.tmp"), b"{").unwrap();
    let mut dice = Dice::new(22);
    let lake = Lake::open(dir.path()).unwrap();
    let rows: Vec<Visit> = set(&mut dice, 10);
    lake.append(&dice.names, 1, &rows).unwrap();
    assert_eq!(read_sorted::<Visit>(&lake), rows);
}

#[test]
fn two_writers_are_told_apart_and_neither_breaks_the_table() {
    let dir = folder();
    let mut dice = Dice::new(23);
    let rows: Vec<Visit> = set(&mut dice, 30);
    let changes = |rows: &[Visit]| rows.iter().map(|row| (*row, 1)).collect::<Vec<_>>();
    let first = Lake::open(dir.path()).unwrap();
    first.apply(&dice.names, 1, changes(&rows[..10])).unwrap();
    let second = Lake::open(dir.path()).unwrap();
    first.apply(&dice.names, 2, changes(&rows[10..20])).unwrap();
    let refused = second.apply(&dice.names, 2, changes(&rows[20..]));
    assert!(matches!(refused, Err(LakeError::Conflict { table: "visits", version: 2, .. })), "{refused:?}");
    assert_eq!(read_sorted::<Visit>(&Lake::open(dir.path()).unwrap()), rows[..20]);
    assert_eq!(read_sorted::<Visit>(&first), rows[..20]);
}

#[test]
fn sightings_whose_frame_never_came_are_completed_not_doubled() {
    let dir = folder();
    let mut dice = Dice::new(24);
    let mut frames = results(&mut dice, 30);
    frames.retain(|frame| !frame.sightings.is_empty());
    let (before, lost) = frames.split_at(frames.len() / 2);
    let lake = Lake::open(dir.path()).unwrap();
    lake.append_frames(&dice.names, 1, before).unwrap();
    // The process dies between the commit of the sightings and that of their frames.
    let sightings: Vec<_> = lost.iter().flat_map(|frame| frames::split(frame).1).collect();
    lake.append(&dice.names, 2, &sightings).unwrap();
    drop(lake);

    let lake = Lake::open(dir.path()).unwrap();
    let mut held = lake.read_frames(&mut Names::default()).unwrap();
    held.sort();
    assert_eq!(held, before);
    lake.append_frames(&dice.names, 3, lost).unwrap();
    let mut held = lake.read_frames(&mut Names::default()).unwrap();
    held.sort();
    assert_eq!(held, frames);
    let all = frames.iter().map(|frame| frame.sightings.len()).sum::<usize>();
    assert_eq!(lake.read::<SightingRow>(&mut Names::default()).unwrap().len(), all);
}

#[test]
fn how_far_a_feed_is_covered_stands_in_one_commit_with_its_readings() {
    let dir = folder();
    let mut dice = Dice::new(25);
    let rows: Vec<Reading> = set(&mut dice, 20);
    let covered = |source: &str, offset| Position { source: source.into(), offset };
    let lake = Lake::open(dir.path()).unwrap();
    assert_eq!(lake.covered("kitchens/0").unwrap(), None);
    let both = [covered("kitchens/0", 12), covered("kitchens/1", 8)];
    lake.append_covering(&dice.names, 1, &rows, &both).unwrap();
    assert_eq!(lake.covered("kitchens/0").unwrap(), Some(12));
    // what was refused or was known already is covered too, though there are no readings of it
    lake.append_covering(&dice.names, 2, &[], &[covered("kitchens/0", 15)]).unwrap();
    let refused = lake.append_covering(&dice.names, 2, &[], &[covered("kitchens/0", 99)]);
    assert!(matches!(refused, Err(LakeError::StaleEpoch { .. })), "{refused:?}");
    drop(lake);

    let lake = Lake::open(dir.path()).unwrap();
    // as compacting and checkpoints leave it
    for epoch in 3..40 {
        lake.append_covering(&dice.names, epoch, &[], &[covered("kitchens/2", epoch)]).unwrap();
    }
    let lake = Lake::open(dir.path()).unwrap();
    let held = [0, 1, 2, 3].map(|partition| lake.covered(&format!("kitchens/{partition}")).unwrap());
    assert_eq!(held, [Some(15), Some(8), Some(39), None]);
    assert_eq!(read_sorted::<Reading>(&lake), rows);
}
