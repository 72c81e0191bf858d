//! History that lies in the lake alone: whatever comes, tables are what they would be with all of it in memory.

use std::{collections::BTreeSet, path::Path};

use larder::{
    engine::{Engine, EngineError, History, Opening},
    feeds::{Entry, Event},
    lake::Lake,
};
use larder_records::*;
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;

use super::{
    corrections::{INPUTS, Kitchen, anew, copy},
    digests, eyes,
};

const PRODUCTS: [&str; 9] = ["milk", "eggs", "cola", "butter", "juice", "yoghurt", "cheese", "salad", "beer"];
const VISION: Digest = Digest(7);

struct Fridge {
    id: ApplianceId,
    cameras: Vec<SensorId>,
    shelf: Vec<ProductId>,
    now: Time,
}

/// What kitchens send.
struct World {
    fridges: Vec<Fridge>,
    products: Vec<ProductId>,
    door: SensorId,
    scale: SensorId,
}

impl World {
    fn new(fridges: u64, names: &mut Names) -> Self {
        let mut name = |text: &str| names.intern(text).unwrap();
        let (door, scale) = (SensorId(name("door")), SensorId(name("scale")));
        let cameras = ["top", "bottom"].map(|camera| SensorId(name(camera)));
        let products: Vec<ProductId> = PRODUCTS.iter().map(|sku| ProductId(name(sku))).collect();
        let fridges = (0..fridges).map(|n| Fridge {
            id: ApplianceId(name(&format!("fridge-{n}"))),
            cameras: cameras[..1 + n as usize % 2].to_vec(),
            shelf: products[..4].to_vec(),
            now: Time(1_760_000_000 * Time::SECOND),
        });
        Self { fridges: fridges.collect(), products, door, scale }
    }

    fn records(&self, names: &mut Names, random: &mut ChaCha8Rng) -> Vec<Event> {
        let mut events: Vec<Event> = self.products.iter().map(|id| Event::Product(product(*id, random))).collect();
        events.extend(self.fridges.iter().map(|fridge| Event::Appliance(appliance(fridge.id, names, random))));
        events
    }

    /// The next visit to a fridge: the door, the scale, and mostly pictures.
    fn visit(&mut self, n: usize, random: &mut ChaCha8Rng) -> Vec<Event> {
        let Fridge { id: appliance, cameras, shelf, now } = &mut self.fridges[n];
        *now = now.plus(random.random_range(3..200) * Time::MINUTE);
        for _ in 0..random.random_range(0..3) {
            let place = random.random_range(0..shelf.len());
            shelf[place] = *self.products.choose(random).unwrap();
        }
        let after = |seconds: i64| now.plus(seconds * Time::SECOND);
        let reading = |sensor, modality, time, value| {
            let payload = Payload::Reading(value);
            Event::Frame(Frame { appliance: *appliance, sensor, modality, time, sequence: 0, payload })
        };
        let load = random.random_range(0..8) * 250_000;
        let mut events = vec![
            reading(self.scale, Modality::Weight, after(-20), load),
            reading(self.door, Modality::Door, after(0), 1),
            reading(self.door, Modality::Door, after(20), 0),
            reading(self.scale, Modality::Weight, after(40), load + random.random_range(-4..4) * 250_000),
        ];
        for camera in cameras {
            if random.random_ratio(1, 8) {
                continue;
            }
            let mut sightings = Vec::new();
            for (product, place) in shelf.iter().zip(0_u16..) {
                if random.random_ratio(1, 10) {
                    continue;
                }
                sightings.push(Sighting {
                    bounds: BoundingBox { left: place * 90, top: 10, right: place * 90 + 70, bottom: 100 },
                    detection: 900_000,
                    candidates: vec![
                        Candidate { product: *product, score: random.random_range(300_000..990_000) },
                        Candidate { product: *self.products.choose(random).unwrap(), score: 290_000 },
                    ],
                    classes: Vec::new(),
                    embedding: Vec::new(),
                    depth_mm: None,
                    heat_ck: None,
                });
            }
            let hash = Digest(u128::from(random.random::<u64>()));
            let key = FrameKey { appliance: *appliance, sensor: *camera, time: after(15), hash };
            let (width, height) = (640, 480);
            let result = FrameResult {
                key,
                modality: Modality::Visible,
                fingerprint: VISION,
                width,
                height,
                sightings,
                grid: None,
            };
            events.push(Event::Seen(result, VISION));
        }
        events
    }
}

fn product(id: ProductId, random: &mut ChaCha8Rng) -> Product {
    Product {
        id,
        as_of: Time(random.random_range(0..1 << 50)),
        name: Name::default(),
        category: Name::default(),
        brand: Name::default(),
        package_mg: [0, 250_000, 500_000][random.random_range(0..3)],
        shelf_life_days: 7,
    }
}

fn appliance(id: ApplianceId, names: &mut Names, random: &mut ChaCha8Rng) -> Appliance {
    let home = names.intern(&format!("home-{}", random.random_range(0..3))).unwrap();
    Appliance {
        id,
        as_of: Time(random.random_range(0..1 << 50)),
        household: HouseholdId(home),
        region: names.intern("north").unwrap(),
        kind: Name::default(),
        model: Name::default(),
        time_zone: Name::default(),
        min_score: [500_000, 600_000][random.random_range(0..2)],
        review_below: 800_000,
        min_households: 1,
    }
}

/// Takes `events` in, each from a place of its own.
fn take(engine: &mut Engine, events: impl IntoIterator<Item = Event>, taken: &mut Vec<Event>) {
    for event in events {
        let position = Position { source: "any".into(), offset: taken.len() as u64 };
        engine.take((position, Ok(event.clone())) as Entry);
        taken.push(event);
    }
}

/// What a process leaves that dies while it commits, of a lake as of the commit `before` and `after`: all tables are one or the other.
fn cut_short(before: &Path, after: &Path, into: &Path, random: &mut ChaCha8Rng) {
    let stage = random.random_range(0..4);
    let seen = ["visions", "sightings", "frames", "vision_days"];
    let written = random.random_range(0..=seen.len());
    for table in std::fs::read_dir(after).unwrap() {
        let name = table.unwrap().file_name().into_string().unwrap();
        let is_written = match stage {
            // some of what came in, readings last
            0 if name == "readings" => false,
            0 if seen.contains(&name.as_str()) => seen[..written].contains(&name.as_str()),
            0 => INPUTS.contains(&name.as_str()) && random.random(),
            // all of that, and none, some or all of the views
            _ if INPUTS.contains(&name.as_str()) => true,
            _ => name != "epochs" && (stage == 3 || (stage == 2 && random.random())),
        };
        let from = if is_written { after } else { before };
        if from.join(&name).exists() {
            copy(&from.join(&name), &into.join(&name));
        }
    }
}

fn history(seed: u64) {
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut names = Names::default();
    let mut world = World::new(5, &mut names);
    let records = world.records(&mut names, &mut random);
    let open = |lake: &str, names: Names, history| {
        let lake = Lake::open(&at(lake)).unwrap();
        Engine::open_with(lake, names, Opening { eyes: None, workers: 1.into(), history }).unwrap()
    };
    let mut engine = open("lake", names, History::Whole);
    let (mut taken, mut late, mut made) = (Vec::new(), Vec::new(), Vec::<Correction>::new());
    take(&mut engine, records, &mut taken);
    for n in 0..world.fridges.len() {
        for _ in 0..random.random_range(10..70) {
            for event in world.visit(n, &mut random) {
                match random.random_ratio(1, 30) {
                    true => late.push(event),
                    false => take(&mut engine, [event], &mut taken),
                }
            }
        }
    }
    engine.commit().unwrap();
    let (mut cold, mut thawed, mut comparisons, mut cold_after_a_crash) = (0, 0, 0, 0);
    for round in 0..40 {
        let is_cut_short = round % 4 == 0;
        if round % 2 == 0 {
            let before = digests(&at("lake"));
            engine = if !is_cut_short && random.random() {
                engine.cool().unwrap()
            } else {
                let names = engine.names().clone();
                drop(engine);
                if is_cut_short {
                    copy(&at("lake"), &at("before"));
                }
                open("lake", names, History::Recent(random.random_range(0..5 * Time::DAY)))
            };
            cold += engine.cold_appliances();
            engine.commit().unwrap();
            assert_eq!(digests(&at("lake")), before, "opening changes nothing, by seed {seed}");
        }
        let was = engine.cold_appliances();
        for _ in 0..random.random_range(1..4) {
            match random.random_range(0..16) {
                0..9 => {
                    let n = random.random_range(0..world.fridges.len());
                    for event in world.visit(n, &mut random) {
                        match random.random_ratio(1, 12) {
                            true => late.push(event),
                            false => take(&mut engine, [event], &mut taken),
                        }
                    }
                }
                9 if !late.is_empty() => {
                    let event = late.swap_remove(random.random_range(0..late.len()));
                    take(&mut engine, [event], &mut taken);
                }
                10 => {
                    let again = taken.choose(&mut random).unwrap().clone();
                    take(&mut engine, [again], &mut taken);
                }
                11 => {
                    let id = *world.products.choose(&mut random).unwrap();
                    take(&mut engine, [Event::Product(product(id, &mut random))], &mut taken);
                }
                12 if random.random_bool(0.5) => {
                    let id = world.fridges.choose(&mut random).unwrap().id;
                    let record = appliance(id, engine.names(), &mut random);
                    take(&mut engine, [Event::Appliance(record)], &mut taken);
                }
                _ => {
                    let wrong = Kitchen::of(&Lake::open(&at("lake")).unwrap(), engine.names());
                    let change = match made.choose(&mut random) {
                        Some(Correction { id, .. }) if random.random_ratio(1, 3) => match random.random_bool(0.7) {
                            true => Change::Undo { correction: *id },
                            false => Change::Restore { correction: *id },
                        },
                        // what is shifted in time is never cold again
                        _ if random.random_ratio(1, 25) => wrong.wrong(Kitchen::KINDS - 1, &mut random),
                        _ => wrong.wrong(random.random_range(0..Kitchen::KINDS - 2), &mut random),
                    };
                    let id = engine.names().intern(&format!("correction {}", made.len())).unwrap();
                    let none = Name::default();
                    let time = Time(random.random_range(0..1_000));
                    made.push(Correction { time, id, author: none, reason: none, change });
                    let correction = made[made.len() - 1].clone();
                    // people are told what cannot be; topics tell what may come true
                    match random.random_bool(0.5) {
                        true => drop(engine.correct(correction)),
                        false => take(&mut engine, [Event::Correction(correction)], &mut taken),
                    }
                }
            }
        }
        if is_cut_short && !late.is_empty() {
            let event = late.swap_remove(random.random_range(0..late.len()));
            take(&mut engine, [event], &mut taken);
        }
        engine.commit().unwrap();
        thawed += was - engine.cold_appliances();
        let into = at(&format!("anew {round}"));
        assert_eq!(digests(&at("lake")), anew(&at("lake"), &into), "after round {round} by seed {seed}");
        std::fs::remove_dir_all(&into).unwrap();
        comparisons += 1;
        if is_cut_short {
            let names = engine.names().clone();
            drop(engine);
            cut_short(&at("before"), &at("lake"), &at("cut"), &mut random);
            let recent = History::Recent(random.random_range(0..5 * Time::DAY));
            let mut opened = open("cut", names.clone(), recent);
            cold_after_a_crash += opened.cold_appliances();
            let (mut events, mut others) = (world.visit(0, &mut random), taken.clone());
            events.extend(late.choose(&mut random).cloned());
            take(&mut opened, events.into_iter().filter(|_| round % 8 == 0), &mut others);
            opened.commit().unwrap();
            drop(opened);
            assert_eq!(digests(&at("cut")), anew(&at("cut"), &into), "cut short in round {round} by seed {seed}");
            for left in [&at("before"), &at("cut"), &into] {
                std::fs::remove_dir_all(left).unwrap();
            }
            comparisons += 1;
            engine = open("lake", names, recent);
        }
    }
    let lake = Lake::open(&at("lake")).unwrap();
    let readings = lake.read::<Reading>(&mut Names::default()).unwrap();
    assert_eq!(readings.iter().collect::<BTreeSet<_>>().len(), readings.len(), "nothing is there twice");
    let frames = lake.read_frames(&mut Names::default()).unwrap();
    assert_eq!(frames.iter().map(|frame| frame.key).collect::<BTreeSet<_>>().len(), frames.len());
    println!(
        "{comparisons} comparisons; {cold} times a fridge was cold, {thawed} times it was thawed; \
         {cold_after_a_crash} times it was cold after a crash"
    );
    assert!(cold >= 5 && thawed >= 3 && cold_after_a_crash >= 3, "too little to say anything");
}

#[test]
fn tables_over_cold_history_are_those_of_a_run_from_nothing_whatever_comes() {
    let seed = std::env::var("LARDER_LAW_SEED").map_or(1, |seed| seed.parse().unwrap());
    (seed..seed + 4).for_each(history);
}

#[test]
fn corrections_of_many_appliances_read_the_history_of_all_at_once_in_the_end() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut names = Names::default();
    let mut world = World::new(40, &mut names);
    let mut taken = Vec::new();
    let mut engine = Engine::open_blind(Lake::open(&at("lake")).unwrap(), names, 1).unwrap();
    for n in 0..world.fridges.len() {
        for _ in 0..40 {
            take(&mut engine, world.visit(n, &mut random), &mut taken);
        }
    }
    engine.commit().unwrap();
    let (names, lake) = (engine.names().clone(), Lake::open(&at("lake")));
    drop(engine);
    let opening = Opening { eyes: None, workers: 1.into(), history: History::Recent(Time::DAY * 3 / 2) };
    let mut engine = Engine::open_with(lake.unwrap(), names, opening).unwrap();
    let cold = engine.cold_appliances();
    assert!(cold > 35, "{cold} are cold");
    let mut left = Vec::new();
    for (n, fridge) in world.fridges.iter().enumerate() {
        let id = engine.names().intern(&format!("count {n}")).unwrap();
        let change = Change::Count { appliance: fridge.id, product: world.products[0], at: fridge.now, count: 2 };
        let none = Name::default();
        // of a product without a record nobody can count anything, but its history is asked
        let refused = engine.correct(Correction { time: Time(1), id, author: none, reason: none, change });
        assert!(matches!(refused, Err(EngineError::Refused(_))));
        left.push(engine.cold_appliances());
    }
    assert!(left.is_sorted_by(|a, b| a >= b) && left[30] > 0 && left.ends_with(&[0, 0]), "{left:?}");
    engine.commit().unwrap();
    assert_eq!(digests(&at("lake")), anew(&at("lake"), &at("anew")));
}

#[test]
fn what_another_vision_saw_is_found_out_however_long_ago_it_was() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let dir = tempfile::tempdir().unwrap();
    let mut names = Names::default();
    let mut world = World::new(1, &mut names);
    let eyes = eyes(None, &mut names);
    let now = eyes.fingerprint(world.fridges[0].id);
    let (mut frames, mut readings) = (Vec::new(), Vec::new());
    for n in 0..120 {
        for event in world.visit(0, &mut random) {
            match event {
                Event::Seen(result, _) if n < 20 => frames.push(result),
                Event::Seen(result, _) => frames.push(FrameResult { fingerprint: now, ..result }),
                Event::Frame(Frame { appliance, sensor, modality, time, payload: Payload::Reading(value), .. }) => {
                    readings.push(Reading { appliance, sensor, modality, time, sequence: 0, value });
                }
                _ => {}
            }
        }
    }
    let lake = Lake::open(dir.path()).unwrap();
    lake.append_frames(&names, 0, &frames).unwrap();
    lake.append(&names, 0, &readings).unwrap();
    let open = |names: &Names, eyes| {
        let lake = Lake::open(dir.path()).unwrap();
        let history = History::Recent(2 * Time::DAY);
        Engine::open_with(lake, names.clone(), Opening { eyes, workers: 1.into(), history })
    };
    Engine::open_blind(lake, names.clone(), 1).unwrap().commit().unwrap();
    assert_eq!(open(&names, None).unwrap().cold_appliances(), 1, "there is something to overlook");
    assert!(matches!(open(&names, Some(eyes)), Err(EngineError::OtherVision { .. })));
}

#[test]
#[ignore = "takes as many minutes as LARDER_LAW_MINUTES says, 60 by default"]
fn tables_over_cold_history_hold_for_an_hour() {
    let minutes = std::env::var("LARDER_LAW_MINUTES").map_or(60, |minutes| minutes.parse().unwrap());
    let began = std::time::Instant::now();
    let mut seed = std::env::var("LARDER_LAW_SEED").map_or(1_000, |seed| seed.parse().unwrap());
    while began.elapsed().as_secs() < minutes * 60 {
        history(seed);
        seed += 1;
    }
}
