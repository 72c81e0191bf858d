//! A real Kafka in, a lake out: the same tables as from recordings, through crashes of either.

#![allow(clippy::unwrap_used)]

mod bucket;
mod changes;
mod cluster;
mod crashes;
mod poison;
mod proxy;
#[path = "../python/mod.rs"]
mod python;
mod rig;
mod roles;
mod roundtrip;
#[cfg(feature = "tls")]
mod secure;
mod service;
mod wait;

use std::path::{Path, PathBuf};

use larder::feeds::simulator::{Options, simulate};
use tempfile::TempDir;

/// A folder with the recordings of two simulated appliances over a day.
fn kitchen() -> (TempDir, Vec<PathBuf>) {
    kitchen_over(1)
}

/// The same over so many days.
fn kitchen_over(days: u32) -> (TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    simulate(&Options { appliances: 2, days, seed: 5, output: dir.path().to_owned() }, &|_| ()).unwrap();
    let feeds = std::fs::read_dir(dir.path().join("feeds")).unwrap();
    let mut recordings: Vec<PathBuf> = feeds.map(|file| file.unwrap().path()).collect();
    recordings.sort();
    (dir, recordings)
}

/// Learns what the appliances look like, so that vision finds what is in them: into the folder `scenes` beside `recordings`.
fn learn(kitchen: &TempDir, recordings: &[PathBuf]) {
    let scenes = kitchen.path().join("scenes");
    for recording in recordings {
        rig::done(&["scene", "learn", rig::text(recording), "--first", "6", "-o", rig::text(&scenes)]);
    }
}

/// Replays `recordings` with further arguments.
fn replay(recordings: &[PathBuf], arguments: &[&str]) {
    let mut all = vec!["replay"];
    all.extend(recordings.iter().map(|path| rig::text(path)));
    all.extend(arguments);
    rig::done(&all);
}

/// What a topic of frames needs in a configuration.
fn frames(topic: &str) -> String {
    format!("[kafka.topics]\n{topic} = \"frames\"\n")
}

/// Takes in all that the configured topics hold.
fn take_in(config: &Path) -> serde_json::Value {
    rig::json(&["run", "--config", rig::text(config), "--until-end"])
}
