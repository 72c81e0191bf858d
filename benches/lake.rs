//! Corrections up to the lake: how long until they are committed, what is rewritten for them, and what many of them leave.
//!
//! `cargo bench --workspace --features larder/onnx --bench lake -- [APPLIANCES] [VISITS EACH] [CORRECTIONS OF EACH KIND] [ONE AFTER ANOTHER] [FOLDER]`,
//! by default 200 appliances of 250 visits, 8 sightings a visit: 400,000 sightings; 50 of each kind, then 1,000 of all kinds.
//! Samples of memory and files go to `lake-soak.csv` and `lake-soak.svg` in FOLDER (`.`).

#![allow(clippy::unwrap_used, missing_docs)]

mod chart;
mod disk;
mod year;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chart::{Series, chart};
use disk::on_disk;
use larder::{
    engine::Engine,
    eyes::Eyes,
    feeds::Event,
    lake::{Lake, TableInfo},
    service::resident_memory,
};
use larder_pipelines::vision::{References, Scene, VisionConfig};
use larder_records::*;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use year::{PRODUCTS, SHELF, START, World, YEAR, bounds, fill};

/// How long versions are kept while many corrections are made.
const RETENTION: Duration = Duration::from_secs(20);
const COLUMNS: [&str; 5] = ["seconds", "memory_mib", "data_files", "log_files", "disk_mib"];
const KINDS: [&str; 5] = ["relabel", "product's category", "late visit", "appliance's region", "count"];

/// Lets something be otherwise than it was: what the kind says, at random.
fn change(engine: &mut Engine, world: &World, frames: &[FrameKey], kind: &str, n: u32, random: &mut ChaCha8Rng) {
    let frame = frames[random.random_range(0..frames.len())];
    let product = world.products[random.random_range(0..PRODUCTS)];
    let change = match kind {
        "relabel" => {
            let amendment = Amendment::Relabel { bounds: bounds(random.random_range(0..SHELF as u16)), product };
            Change::Picture { frame, amendment }
        }
        "product's category" => {
            let category = Some(world.categories[random.random_range(0..50)]);
            Change::Product { product, fields: ProductFields { category, ..ProductFields::default() } }
        }
        "appliance's region" => {
            let region = Some(world.regions[random.random_range(0..20)]);
            let fields = ApplianceFields { region, ..ApplianceFields::default() };
            Change::Appliance { appliance: frame.appliance, fields }
        }
        "count" => {
            let count = random.random_range(0..4);
            Change::Count { appliance: frame.appliance, product, at: frame.time, count }
        }
        _ => return late_visit(engine, frame, n, random),
    };
    let id = engine.names().intern(&format!("correction-{n}")).unwrap();
    let none = Name::default();
    engine.correct(Correction { time: Time(i64::from(n)), id, author: none, reason: none, change }).unwrap();
}

/// The door was opened and closed, and the camera saw a grey shelf.
fn late_visit(engine: &mut Engine, near: FrameKey, n: u32, random: &mut ChaCha8Rng) {
    let opened = near.time.plus(random.random_range(60..3_600) * Time::SECOND);
    let mut picture = std::io::Cursor::new(Vec::new());
    // no two are the same
    let grey = image::RgbImage::from_pixel(64, 48, image::Rgb([120, (n % 256) as u8, (n / 256 % 256) as u8]));
    grey.write_to(&mut picture, image::ImageFormat::Png).unwrap();
    let image = Image { encoding: ImageEncoding::Png, data: Bytes::from(picture.into_inner()) };
    let door = (SensorId::of("door"), Modality::Door);
    let events = [
        (door, opened, Payload::Reading(1)),
        (door, opened.plus(20 * Time::SECOND), Payload::Reading(0)),
        ((SensorId::of("camera"), Modality::Visible), opened.plus(21 * Time::SECOND), Payload::Image(image)),
    ];
    for ((sensor, modality), time, payload) in events {
        let frame = Frame { appliance: near.appliance, sensor, modality, time, sequence: 1, payload };
        let position = Position { source: "bench".into(), offset: u64::from(n) };
        engine.take((position, Ok(Event::Frame(frame))));
    }
}

/// What commits did that bring or take rows, between two looks at a lake.
#[derive(Default)]
struct Cost {
    tables: u64,
    added: u64,
    removed: u64,
    /// Bytes of added data files, and of files of the change feed.
    bytes: u64,
    feed_bytes: u64,
}

impl Cost {
    fn between(lake: &Path, before: &[TableInfo], after: &[TableInfo]) -> Self {
        let mut cost = Self::default();
        for table in after {
            let from = before.iter().find(|old| old.table == table.table).map_or(0, |old| old.version + 1);
            for version in from..=table.version {
                let path = lake.join(&table.table).join(format!("_delta_log/{version:020}.json"));
                let text = fs::read_to_string(path).unwrap();
                let actions: Vec<serde_json::Value> =
                    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                // those that carry no epoch are the keeper's
                if !actions.iter().any(|action| action.get("txn").is_some()) {
                    continue;
                }
                cost.tables += 1;
                for action in &actions {
                    let size = |kind: &str| action[kind]["size"].as_u64().unwrap_or_default();
                    cost.added += u64::from(action.get("add").is_some());
                    cost.removed += u64::from(action.get("remove").is_some());
                    cost.bytes += size("add");
                    cost.feed_bytes += size("cdc");
                }
            }
        }
        cost
    }
}

fn quantile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3
}

/// Resident memory in MiB.
fn memory() -> u64 {
    resident_memory(std::process::id()).unwrap_or_default() >> 20
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let at = |n: usize, default: u32| arguments.get(n).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (appliances, visits, times, soak) = (at(0, 200) as usize, at(1, 250) as usize, at(2, 50), at(3, 1_000));
    let into = arguments.get(4).map_or(".", String::as_str);

    let dir = tempfile::tempdir().unwrap();
    let (mut world, config) = (World::new(appliances), VisionConfig::default());
    let eyes = Eyes::new(&config, &Scene::default(), &References::default());
    let lake = Lake::open(dir.path()).unwrap();
    let started = Instant::now();
    let mut frames = fill(&lake, &world, visits, &eyes);
    println!("{} sightings written in {:.1} s", frames.len() * SHELF, started.elapsed().as_secs_f64());
    // the last visits of a year end what is known: leave them alone
    frames.retain(|frame| frame.time.0 < START + YEAR / 10 * 9);
    let started = Instant::now();
    let mut engine = Engine::open(lake, std::mem::take(&mut world.names), eyes, 1).unwrap();
    engine.commit().unwrap();
    println!("opened and views committed in {:.1} s, {} MiB", started.elapsed().as_secs_f64(), memory());

    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut number = 0;
    println!(
        "{:<20} {:>9} {:>9} {:>9} {:>9} | {:>7} {:>7} {:>7} {:>9} {:>9}",
        "", "views ms", "p50 ms", "p99 ms", "max ms", "tables", "added", "removed", "KiB", "feed KiB"
    );
    for kind in KINDS {
        let (mut to_views, mut took, mut costs) = (Vec::new(), Vec::new(), Cost::default());
        for _ in 0..times {
            number += 1;
            let before = engine.lake().info().unwrap();
            let started = Instant::now();
            change(&mut engine, &world, &frames, kind, number, &mut random);
            engine.changes().unwrap();
            to_views.push(started.elapsed());
            engine.commit().unwrap();
            took.push(started.elapsed());
            let cost = Cost::between(dir.path(), &before, &engine.lake().info().unwrap());
            costs.tables += cost.tables;
            costs.added += cost.added;
            costs.removed += cost.removed;
            costs.bytes += cost.bytes;
            costs.feed_bytes += cost.feed_bytes;
        }
        let mean = |sum: u64| sum as f64 / f64::from(times);
        println!(
            "{kind:<20} {:>9.1} {:>9.1} {:>9.1} {:>9.1} | {:>7.1} {:>7.1} {:>7.1} {:>9.1} {:>9.1}",
            quantile(&mut to_views, 0.5),
            quantile(&mut took, 0.5),
            quantile(&mut took, 0.99),
            quantile(&mut took, 1.0),
            mean(costs.tables),
            mean(costs.added),
            mean(costs.removed),
            mean(costs.bytes) / 1024.0,
            mean(costs.feed_bytes) / 1024.0,
        );
    }
    many(&mut engine, &world, &frames, dir.path(), Path::new(into), (soak, number), &mut random);
}

/// Makes `soak` corrections one after another, and samples what they leave.
fn many(
    engine: &mut Engine,
    world: &World,
    frames: &[FrameKey],
    lake: &Path,
    into: &Path,
    (soak, mut number): (u32, u32),
    random: &mut ChaCha8Rng,
) {
    engine.lake().retain(RETENTION).unwrap();
    let started = Instant::now();
    let mut samples: BTreeMap<u32, [f64; 5]> = BTreeMap::new();
    for done in 0..=soak {
        if done % (soak / 200).max(1) == 0 {
            let disk = on_disk(lake);
            let seconds = started.elapsed().as_secs_f64();
            let sample = [seconds, memory() as f64, disk.data as f64, disk.log as f64, disk.bytes as f64 / 1048576.0];
            samples.insert(done, sample);
            write_samples(&samples, into);
        }
        number += 1;
        // of the rarer kinds some
        let kind = match done % 50 {
            7 => KINDS[1],
            17 => KINDS[2],
            27 => KINDS[3],
            n if n % 5 == 4 => KINDS[4],
            _ => KINDS[0],
        };
        change(engine, world, frames, kind, number, random);
        engine.commit().unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{soak} corrections in {seconds:.0} s, versions kept {} s", RETENTION.as_secs());
    let all: Vec<&[f64; 5]> = samples.values().collect();
    for (n, name) in COLUMNS.iter().enumerate().skip(1) {
        let most = |part: &[&[f64; 5]]| part.iter().map(|sample| sample[n]).fold(0.0, f64::max);
        let half = all.len() / 2;
        println!(
            "{name:<12} at most {:.0} in the first half, {:.0} in the second",
            most(&all[..half]),
            most(&all[half..])
        );
    }
}

/// Writes the samples so far, as numbers and drawn.
fn write_samples(samples: &BTreeMap<u32, [f64; 5]>, into: &Path) {
    let mut csv = format!("corrections,{}\n", COLUMNS.join(","));
    for (done, sample) in samples {
        let cells: Vec<String> = sample.iter().map(|value| format!("{value:.1}")).collect();
        csv += &format!("{done},{}\n", cells.join(","));
    }
    fs::write(into.join("lake-soak.csv"), csv).unwrap();
    let series = |n: usize, name| Series {
        name,
        points: samples.iter().map(|(done, sample)| (f64::from(*done), sample[n])).collect(),
    };
    let drawn = chart(
        "corrections, one after another",
        &[
            series(1, "resident memory, MiB"),
            series(2, "data files on the disk"),
            series(3, "files of the logs"),
            series(4, "lake on the disk, MiB"),
        ],
    );
    fs::write(into.join("lake-soak.svg"), drawn).unwrap();
}
