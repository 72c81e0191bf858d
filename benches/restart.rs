//! How long a lake takes to open, and how much memory, with all of its history and with a part of it.
//!
//! `cargo bench --workspace --features larder/onnx --bench restart -- [APPLIANCES] [VISITS EACH]`, by default 500 appliances of 250
//! visits, 8 sightings a visit: a million sightings. Each row is one run of `larder correct --dry-run`, which opens the lake, makes a
//! correction of the tenth month, and tells what it would change.

#![allow(clippy::unwrap_used, missing_docs)]

mod year;

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use larder::{engine::Engine, eyes::Eyes, lake::Lake, service::resident_memory};
use larder_pipelines::vision::{References, Scene, VisionConfig};
use year::{SHELF, World, fill};

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (appliances, visits) = (numbers.first().copied().unwrap_or(500), numbers.get(1).copied().unwrap_or(250));
    let dir = tempfile::tempdir().unwrap();
    let (mut world, config) = (World::new(appliances), VisionConfig::default());
    let eyes = Eyes::new(&config, &Scene::default(), &References::default());
    let lake = Lake::open(dir.path()).unwrap();
    let sightings = fill(&lake, &world, visits, &eyes).len() * SHELF;
    let started = Instant::now();
    let mut engine = Engine::open(lake, std::mem::take(&mut world.names), eyes, 1).unwrap();
    engine.commit().unwrap();
    drop(engine);
    println!("{sightings} sightings of a year; views first made in {:.1} s", started.elapsed().as_secs_f64());
    println!("{:<16} {:>9} {:>9} {:>12}", "days in memory", "seconds", "MiB", "sightings/s");
    for days in [100_000, 90, 30, 7] {
        let started = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(["--quiet", "--json", "correct", "--dry-run", "--history-days", &days.to_string(), "--lake"]);
        command.arg(dir.path()).args(["count", "fridge-3", "product-5", "1", "--at", "2025-10-01T00:00:00Z"]);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut peak = 0;
        let status = loop {
            peak = peak.max(resident_memory(child.id()).unwrap_or_default());
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success());
        let seconds = started.elapsed().as_secs_f64();
        let days = if days > 365 { "all".to_owned() } else { days.to_string() };
        println!("{days:<16} {seconds:>9.2} {:>9.0} {:>12.0}", peak as f64 / 1_048_576.0, sightings as f64 / seconds);
    }
}
