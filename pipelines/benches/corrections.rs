//! How long a correction takes from input to the last view, over a year of many appliances held in memory.
//!
//! `cargo bench -p larder-pipelines --bench corrections -- [APPLIANCES] [VISITS EACH] [CORRECTIONS OF EACH KIND]`, by default
//! 200 appliances of 250 visits, 8 sightings a visit: 400,000 sightings. 10,000 appliances make 20 million.
//!
//! `LARDER_WORKERS` workers hold it, one if not said; what comes enters at the first of them.
//!
//! With the words `duckdb`, `pathway` or both behind the numbers, relabels and categories alone are timed, and beside them how long DuckDB
//! takes to compute the inventory and market of the same data anew, and Pathway to repair them (`peers/views.py` tells how; `pip install
//! duckdb pathway`, and `LARDER_PEERS_PYTHON` where that is not `python3`).
#![allow(clippy::unwrap_used, missing_docs)]

mod peers;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use larder_pipelines::{Batch, Intake, Sessions, views, worker_config};
use larder_records::*;
use peers::{Peers, Sums};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use timely::{dataflow::ProbeHandle, worker::Worker};

const PRODUCTS: u64 = 1_000;
const SHELF: usize = 8;
const START: i64 = 1_735_689_600_000_000;
const YEAR: i64 = 365 * Time::DAY;

fn appliance(n: u64) -> ApplianceId {
    ApplianceId(Name(n + 1))
}

fn product(n: u64) -> ProductId {
    ProductId(Name(n + 1))
}

/// A fridge's year: one package is replaced by another at each visit.
struct Fridge {
    id: ApplianceId,
    random: SmallRng,
    shelf: [u64; SHELF],
}

impl Fridge {
    fn new(n: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(n);
        let shelf = std::array::from_fn(|_| random.random_range(0..PRODUCTS));
        Self { id: appliance(n), random, shelf }
    }

    fn door(&self, time: Time, value: i64) -> Reading {
        let (appliance, sensor) = (self.id, SensorId::of("door"));
        Reading { appliance, sensor, modality: Modality::Door, time, sequence: 0, value }
    }

    fn visit(&mut self, opened: Time, intake: &mut Intake) -> FrameKey {
        self.shelf[self.random.random_range(0..SHELF)] = self.random.random_range(0..PRODUCTS);
        intake.reading(&self.door(opened, 1));
        intake.reading(&self.door(opened.plus(20 * Time::SECOND), 0));
        let key = FrameKey {
            appliance: self.id,
            sensor: SensorId::of("camera"),
            time: opened.plus(21 * Time::SECOND),
            hash: Digest(opened.0 as u128),
        };
        let sightings = self.shelf.iter().zip(0..).map(|(&seen, place)| Sighting {
            bounds: bounds(place),
            detection: PPM,
            candidates: vec![
                Candidate { product: product(seen), score: 900_000 },
                Candidate { product: product((seen + 1) % PRODUCTS), score: 300_000 },
            ],
            classes: vec![],
            embedding: vec![],
            depth_mm: None,
            heat_ck: None,
        });
        let result = FrameResult {
            key,
            modality: Modality::Visible,
            fingerprint: Digest(1),
            width: 640,
            height: 480,
            sightings: sightings.collect(),
            grid: None,
        };
        intake.frame(key);
        intake.seen(result);
        key
    }
}

fn bounds(place: u16) -> BoundingBox {
    BoundingBox { left: place * 80, top: 100, right: place * 80 + 70, bottom: 300 }
}

fn opening(visit: u64, visits: u64) -> Time {
    Time(START + YEAR / visits as i64 * visit as i64)
}

/// Feeds a batch and waits for every view; how long that takes.
fn repair(
    worker: &mut Worker,
    sessions: &mut Sessions,
    probe: &ProbeHandle<u64>,
    epoch: &mut u64,
    batch: Batch,
) -> Duration {
    let started = Instant::now();
    sessions.send(*epoch, batch);
    *epoch += 1;
    while probe.less_than(epoch) {
        worker.step();
    }
    started.elapsed()
}

/// Resident memory, now (`VmRSS`) or at most so far (`VmHWM`), in MiB.
fn memory(which: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}

fn quantile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let at = |n: usize, default| numbers.get(n).copied().unwrap_or(default);
    let (appliances, visits, times) = (at(0, 200), at(1, 250), at(2, 100));
    let peers: Vec<&str> =
        peers::NAMES.into_iter().filter(|name| std::env::args().any(|argument| argument == *name)).collect();
    let with_peers = !peers.is_empty();
    let workers = std::env::var("LARDER_WORKERS").map_or(1, |workers| workers.parse().unwrap());
    let communication = timely::Config::process(workers).communication;
    let changed = Arc::new(AtomicU64::new(0));
    let sums = Arc::new(Mutex::new(Sums::default()));
    let guards = timely::execute(timely::Config { communication, worker: worker_config() }, move |worker| {
        let probe = ProbeHandle::new();
        let mut sessions = Sessions::default();
        let visit_of = move |time: Time| time.since(Time(START)) / (YEAR / visits as i64);
        worker.dataflow::<u64, _, _>(|scope| {
            let out = views(sessions.inputs(scope));
            let into = sums.clone();
            out.inventory.clone().inspect(move |(row, _, diff)| {
                into.lock().unwrap().add_inventory(row, visit_of, *diff);
            });
            let into = sums.clone();
            out.market.clone().inspect(move |(row, _, diff)| {
                into.lock().unwrap().add_market(row, *diff);
            });
            macro_rules! watch {
                ($($view:ident),*) => {$({
                    let changed = changed.clone();
                    out.$view
                        .consolidate()
                        .inspect_batch(move |_, rows| {
                            changed.fetch_add(rows.len() as u64, Ordering::Relaxed);
                        })
                        .probe_with(&probe);
                })*};
            }
            watch!(
                visits,
                movements,
                inventory,
                inventory_history,
                food_state,
                behaviour,
                behaviour_products,
                behaviour_pairs,
                market,
                market_pairs,
                review_queue
            );
        });
        if worker.index() > 0 {
            return;
        }
        let changed = || changed.load(Ordering::Relaxed);
        let mut intake = Intake::default();
        let mut epoch = 0;
        for n in 0..PRODUCTS {
            intake.product(&Product {
                id: product(n),
                as_of: Time(START),
                name: Name(n + 1),
                category: Name(n / 20 + 1),
                brand: Name(n / 7 + 1),
                package_mg: 500_000,
                shelf_life_days: 10,
            });
        }
        for n in 0..appliances {
            let mut home = Appliance::new(appliance(n), HouseholdId(Name(n + 1)), Name::of("fridge"));
            home.region = Name(n % 20 + 1);
            intake.appliance(&home);
        }
        let mut beside = with_peers.then(|| {
            let products = (0..PRODUCTS).map(|n| [n + 1, n / 7 + 1, n / 20 + 1]);
            let homes = (0..appliances).map(|n| [n + 1, n + 1, n % 20 + 1]);
            Peers::new(&peers, START, YEAR / visits as i64, visits, products, homes)
        });
        let started = Instant::now();
        let mut frames = Vec::new();
        for n in 0..appliances {
            let mut fridge = Fridge::new(n);
            for visit in 0..visits {
                frames.push(fridge.visit(opening(visit, visits), &mut intake));
                if let Some(peers) = &mut beside {
                    let shown = (0..).zip(fridge.shelf);
                    shown.for_each(|(place, product)| peers.sighting(n + 1, visit, place, product + 1));
                }
            }
            if n % 50 == 49 || n + 1 == appliances {
                repair(worker, &mut sessions, &probe, &mut epoch, intake.take_batch());
            }
        }
        let sightings = appliances * visits * SHELF as u64;
        println!(
            "{workers} workers, {sightings} sightings of {appliances} appliances in {:.1} s ({:.0}/s), {} rows changed; at most {} MiB",
            started.elapsed().as_secs_f64(),
            sightings as f64 / started.elapsed().as_secs_f64(),
            changed(),
            memory("VmHWM"),
        );
        // what a worker does of itself when nothing comes
        for _ in 0..sightings / 100 {
            worker.step();
        }
        println!(
            "{:.1} s later: {} MiB, {:.0} bytes a sighting",
            started.elapsed().as_secs_f64(),
            memory("VmRSS"),
            memory("VmRSS") as f64 * 1048576.0 / sightings as f64
        );
        let mut random = SmallRng::seed_from_u64(7);
        let mut id = 1_000_000;
        let mut correct = |intake: &mut Intake, change| {
            id += 1;
            let none = Name::default();
            intake
                .correction(&Correction { time: Time(id as i64), id: Name(id), author: none, reason: none, change })
                .unwrap();
        };
        println!("{:<30} {:>10} {:>10} {:>10} {:>14}", "", "p50 ms", "p99 ms", "max ms", "rows changed");
        let all =
            ["relabel", "reject", "product's category", "product merged", "late visit", "appliance's region", "count"];
        let kinds = if with_peers { &["relabel", "product's category"][..] } else { &all };
        let before = *sums.lock().unwrap();
        let mut halves = Vec::new();
        for &kind in kinds {
            let mut took = Vec::new();
            let rows = changed();
            for n in 0..times {
                let frame = frames[random.random_range(0..frames.len())];
                let place = random.random_range(0..SHELF as u16);
                let any = product(random.random_range(0..PRODUCTS));
                let of = frame.appliance;
                match kind {
                    "relabel" => {
                        // how looks end, which others are told in short, is left alone
                        let visit = visit_of(frame.time) as u64;
                        if with_peers && visit + 6 > visits {
                            continue;
                        }
                        if let Some(peers) = &mut beside {
                            peers.relabel(of.0.0, visit, place, any.0.0);
                        }
                        let amendment = Amendment::Relabel { bounds: bounds(place), product: any };
                        correct(&mut intake, Change::Picture { frame, amendment });
                    }
                    "reject" => {
                        let amendment = Amendment::Reject { bounds: bounds(place) };
                        correct(&mut intake, Change::Picture { frame, amendment });
                    }
                    "product's category" => {
                        let category = random.random_range(1..50);
                        if let Some(peers) = &mut beside {
                            peers.category(any.0.0, category);
                        }
                        let fields = ProductFields { category: Some(Name(category)), ..ProductFields::default() };
                        correct(&mut intake, Change::Product { product: any, fields });
                    }
                    "product merged" => {
                        let (product, into) = (product(n * 2), product(n * 2 + 1));
                        correct(&mut intake, Change::Merge { product, into });
                    }
                    "late visit" => {
                        let mut fridge = Fridge::new(of.0.0 - 1);
                        let opened = frame.time.plus(random.random_range(1..YEAR / visits as i64 / 2));
                        frames.push(fridge.visit(opened, &mut intake));
                    }
                    "appliance's region" => {
                        let region = Some(Name(random.random_range(1..21)));
                        let fields = ApplianceFields { region, ..ApplianceFields::default() };
                        correct(&mut intake, Change::Appliance { appliance: of, fields });
                    }
                    _ => {
                        let count = random.random_range(0..4);
                        correct(&mut intake, Change::Count { appliance: of, product: any, at: frame.time, count });
                    }
                }
                took.push(repair(worker, &mut sessions, &probe, &mut epoch, intake.take_batch()));
            }
            println!(
                "{kind:<30} {:>10.3} {:>10.3} {:>10.3} {:>14.1}",
                quantile(&mut took, 0.5),
                quantile(&mut took, 0.99),
                quantile(&mut took, 1.0),
                (changed() - rows) as f64 / times as f64
            );
            halves.push(quantile(&mut took, 0.5));
        }
        println!("{} MiB at the end", memory("VmRSS"));
        if let Some(peers) = beside {
            peers.compare(before, *sums.lock().unwrap(), [halves[0], halves[1]]);
        }
    })
    .unwrap();
    guards.join().into_iter().for_each(|worker| worker.unwrap());
}
