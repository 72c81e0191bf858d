//! What corrections leave in the lake, as readers of other makers see it.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use larder::{
    engine::{Engine, Plan},
    feeds::{Entry, Event, Feed, Merge, event_time, recording::Recording},
    lake::{Lake, Shown},
};
use larder_records::{Correction, Digest, Modality, Name, Names, Payload, Time};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::{corrections::Kitchen, digests, eyes, kitchen, python::python, run};

fn script(python: &str, arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/lake_versions.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a correction of each kind, each in a commit of its own.
fn correct(lake: &Path, from: usize, random: &mut ChaCha8Rng) {
    let mut names = Names::default();
    let opened = Lake::open(lake).unwrap();
    let kitchen = Kitchen::of(&opened, &mut names);
    let mut engine = Engine::open_blind(opened, names, 1).unwrap();
    for number in from..from + Kitchen::KINDS {
        let change = kitchen.wrong(number, random);
        let id = engine.names().intern(&format!("correction {number}")).unwrap();
        let none = Name::default();
        // some are of what an earlier one took away
        let _ = engine.correct(Correction { time: Time(number as i64), id, author: none, reason: none, change });
        engine.commit().unwrap();
    }
}

#[test]
fn the_change_feed_is_the_difference_of_the_versions_after_every_kind_of_correction_and_a_late_visit() {
    let Some(python) = python("deltalake, duckdb, duckdb_extensions, pyarrow") else { return };
    let (kitchen, recordings) = kitchen(2, 2);
    let lake = kitchen.path().join("lake");
    let mut names = Names::default();
    let feeds = recordings.iter().map(|path| Box::new(Recording::open(path).unwrap()) as Box<dyn Feed>);
    let mut feed = Merge::new(feeds.collect());
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(entry) = feed.next_entry(&mut names).unwrap() {
        entries.push(entry);
    }
    // the second day's first visit, with the hour after it, is late
    let opens = |entry: &&Entry| matches!(&entry.1, Ok(Event::Frame(frame)) if matches!(frame.payload, Payload::Reading(1)) && frame.modality == Modality::Door);
    let first = event_time(entries.iter().find(opens).unwrap()).unwrap();
    let opened =
        entries.iter().filter(opens).filter_map(event_time).find(|time| *time >= first.plus(Time::DAY)).unwrap();
    let is_late =
        |entry: &Entry| event_time(entry).is_some_and(|time| time >= opened && time < opened.plus(Time::HOUR));
    let (late, known): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(is_late);
    let take = |entries: Vec<Entry>| {
        let mut names = names.clone();
        let eyes = eyes(Some(kitchen.path()), &mut names);
        let mut engine = Engine::open(Lake::open(&lake).unwrap(), names, eyes, 1).unwrap();
        entries.into_iter().for_each(|entry| engine.take(entry));
        engine.commit().unwrap();
    };
    take(known);
    correct(&lake, 0, &mut ChaCha8Rng::seed_from_u64(21));
    let visits =
        |digests: Vec<(String, u64, Digest)>| digests.into_iter().filter(|of| of.0 == "visits").collect::<Vec<_>>();
    let before = visits(digests(&lake));
    take(late);
    assert_ne!(visits(digests(&lake)), before, "the late visit is seen");
    println!("{}", script(&python, &["feeds", lake.to_str().unwrap()]));
}

#[test]
fn versions_within_the_retention_are_whole_to_other_readers_after_compaction_and_vacuum() {
    let Some(python) = python("deltalake, duckdb, duckdb_extensions, pyarrow") else { return };
    let (kitchen, recordings) = kitchen(1, 2);
    let lake = kitchen.path().join("lake");
    let mut random = ChaCha8Rng::seed_from_u64(22);
    run(&recordings, &lake, Some(kitchen.path()), 1, Plan::default());
    correct(&lake, 0, &mut random);
    thread::sleep(Duration::from_millis(30));
    let cut = std::time::Instant::now();
    thread::sleep(Duration::from_millis(30));
    correct(&lake, Kitchen::KINDS, &mut random);
    let (folder, file) = (lake.to_str().unwrap(), kitchen.path().join("remembered.json"));
    script(&python, &["remember", folder, file.to_str().unwrap()]);
    let before = digests(&lake);

    let removed = Lake::open(&lake).unwrap().vacuum(Some(cut.elapsed()), false).unwrap();
    assert!(removed.iter().map(|table| table.files).sum::<u64>() > 10, "{removed:?}");
    let oldest: Vec<String> = removed.iter().map(|table| format!("{}={}", table.table, table.oldest_version)).collect();
    let arguments: Vec<&str> =
        ["check", folder, file.to_str().unwrap()].into_iter().chain(oldest.iter().map(String::as_str)).collect();
    // the ledger forgets in the same run what nobody can follow
    println!("{}", script(&python, &arguments));
    assert_eq!(digests(&lake), before);
}

#[test]
fn a_reader_follows_the_ledger_to_tables_of_one_epoch() {
    let Some(python) = python("deltalake, duckdb, duckdb_extensions, pyarrow") else { return };
    let (kitchen, recordings) = kitchen(1, 1);
    let lake = kitchen.path().join("lake");
    run(&recordings, &lake, Some(kitchen.path()), 1, Plan::default());
    correct(&lake, 0, &mut ChaCha8Rng::seed_from_u64(23));
    let told = script(&python, &["epochs", lake.to_str().unwrap()]);
    let epochs: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(epochs.len() > 5, "{told}");
    let opened = Lake::open(&lake).unwrap();
    let newest = epochs.last().unwrap();
    assert_eq!(newest["epoch"].as_u64(), opened.last_epoch());
    for table in opened.info().unwrap().into_iter().filter(|table| table.table != "epochs") {
        assert_eq!(newest["rows"][&table.table].as_u64(), Some(table.rows), "{}", table.table);
    }
    // what a crash between two commits leaves: the corrections are there, no view has followed, nothing is said
    let said = opened.read::<Shown>(&mut Names::default()).unwrap().len();
    drop(opened);
    let before = digests(&lake);
    fs::remove_dir_all(lake.join("movements")).unwrap();
    fs::remove_dir_all(lake.join("epochs")).unwrap();
    let mut engine = Engine::open_blind(Lake::open(&lake).unwrap(), Names::default(), 1).unwrap();
    engine.commit().unwrap();
    engine.commit().unwrap();
    drop(engine);
    assert_eq!(digests(&lake), before);
    let told = Lake::open(&lake).unwrap().read::<Shown>(&mut Names::default()).unwrap();
    assert_eq!(told.len(), 1, "of {said} before: one for the epoch that all show again");
}
