//! Corrections, on whole lakes.

use std::{collections::BTreeSet, fs, path::Path};

use larder::{
    engine::{Engine, Plan},
    lake::Lake,
};
use larder_records::{views::*, *};
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;

use super::{digests, kitchen, run};

pub(super) const INPUTS: [&str; 10] = [
    "readings",
    "frames",
    "sightings",
    "visions",
    "vision_days",
    "declared",
    "products",
    "appliances",
    "corrections",
    "dead_letters",
];

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// The digests of the views that follow from nothing but what came into the lake.
pub(super) fn anew(lake: &Path, into: &Path) -> Vec<(String, u64, Digest)> {
    for table in INPUTS.iter().filter(|table| lake.join(table).exists()) {
        copy(&lake.join(table), &into.join(table));
    }
    Engine::open_blind(Lake::open(into).unwrap(), Names::default(), 2).unwrap().commit().unwrap();
    digests(into)
}

/// What a kitchen holds that can be corrected.
pub(super) struct Kitchen {
    frames: Vec<FrameResult>,
    movements: Vec<Movement>,
    products: Vec<ProductId>,
    categories: Vec<Name>,
    appliances: Vec<ApplianceId>,
    places: Vec<Name>,
    sensors: Vec<(ApplianceId, SensorId, Time)>,
}

impl Kitchen {
    /// The kinds of correction that [`Kitchen::wrong`] makes, undoing aside.
    pub(super) const KINDS: usize = 16;

    pub(super) fn of(lake: &Lake, names: &mut Names) -> Self {
        let movements = lake.read::<Movement>(names).unwrap();
        let looks: BTreeSet<FrameKey> = movements.iter().filter_map(|m| m.after).collect();
        let mut frames = lake.read_frames(names).unwrap();
        frames.retain(|frame| looks.contains(&frame.key) && !frame.sightings.is_empty());
        let products = lake.read::<Product>(names).unwrap();
        Self {
            frames,
            movements,
            products: products.iter().map(|product| product.id).collect(),
            categories: products.iter().map(|product| product.category).collect(),
            places: ["north", "south"].map(|place| names.intern(place).unwrap()).to_vec(),
            appliances: lake.read::<Appliance>(names).unwrap().iter().map(|appliance| appliance.id).collect(),
            sensors: lake.read::<Reading>(names).unwrap().iter().map(|r| (r.appliance, r.sensor, r.time)).collect(),
        }
    }

    /// Whether there is something of every kind.
    pub(super) fn is_whole(&self) -> bool {
        let records = !self.products.is_empty() && !self.appliances.is_empty();
        records && !self.frames.is_empty() && !self.movements.is_empty() && !self.sensors.is_empty()
    }

    pub(super) fn wrong(&self, kind: usize, random: &mut ChaCha8Rng) -> Change {
        let frame = self.frames.choose(random).unwrap();
        let bounds = frame.sightings.choose(random).unwrap().bounds;
        let movement = self.movements.choose(random).unwrap();
        let (product, other) = (*self.products.choose(random).unwrap(), *self.products.choose(random).unwrap());
        let picture = |amendment| Change::Picture { frame: frame.key, amendment };
        let middle = bounds.left + (bounds.right - bounds.left) / 2;
        let parts = [BoundingBox { right: middle, ..bounds }, BoundingBox { left: middle, ..bounds }];
        let key = MovementKey {
            appliance: movement.appliance,
            time: movement.time,
            product: movement.product,
            kind: movement.kind,
        };
        match kind % Self::KINDS {
            0 => picture(Amendment::Relabel { bounds, product }),
            1 => picture(Amendment::Reject { bounds }),
            2 => picture(Amendment::Split { bounds, parts: parts.map(|part| (part, product)).to_vec() }),
            3 => picture(Amendment::Join { bounds: vec![bounds, frame.sightings[0].bounds], product }),
            4 => picture(Amendment::Add { bounds: parts[0], product }),
            5 => Change::Movement { movement: key, confirmed: true },
            6 => Change::Movement { movement: key, confirmed: false },
            7 => Change::Count {
                appliance: movement.appliance,
                product: movement.product,
                at: movement.time,
                count: random.random_range(0..4),
            },
            8 => Change::Product {
                product,
                fields: ProductFields { package_mg: Some(random.random_range(0..900_000)), ..Default::default() },
            },
            9 => Change::Merge { product, into: other },
            10 => Change::Remove { product },
            11 => Change::Appliance {
                appliance: *self.appliances.choose(random).unwrap(),
                fields: ApplianceFields {
                    min_score: Some(random.random_range(300_000..900_000)),
                    min_households: Some(random.random_range(0..3)),
                    ..Default::default()
                },
            },
            12 => Change::Product {
                product,
                fields: ProductFields {
                    category: self.categories.choose(random).copied(),
                    brand: self.places.choose(random).copied(),
                    ..Default::default()
                },
            },
            13 => Change::Appliance {
                appliance: *self.appliances.choose(random).unwrap(),
                fields: ApplianceFields {
                    region: self.places.choose(random).copied(),
                    household: self.places.choose(random).map(|&place| HouseholdId(place)),
                    ..Default::default()
                },
            },
            _ => {
                let (appliance, sensor, from) = *self.sensors.choose(random).unwrap();
                let (offset, skew) = (random.random_range(0..900), random.random_range(1..99) * Time::SECOND);
                Change::Calibration { appliance, sensor, from, until: from.plus(6 * Time::HOUR), offset, skew }
            }
        }
    }
}

#[test]
fn corrected_tables_are_what_a_replay_from_nothing_gives_and_undone_they_are_as_before() {
    let (kitchen, recordings) = kitchen(2, 3);
    let at = |name: &str| kitchen.path().join(name);
    run(&recordings, &at("lake"), Some(kitchen.path()), 1, Plan::default());
    let before = digests(&at("lake"));
    let mut names = Names::default();
    let lake = Lake::open(&at("lake")).unwrap();
    let wrong = Kitchen::of(&lake, &mut names);
    assert!(!wrong.frames.is_empty() && !wrong.movements.is_empty());

    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut engine = Engine::open_blind(lake, names, 1).unwrap();
    let mut made: Vec<Name> = Vec::new();
    let make = |engine: &mut Engine, number: usize, change: Change| {
        let id = engine.names().intern(&format!("correction {number}")).unwrap();
        let none = Name::default();
        engine.correct(Correction { time: Time(number as i64), id, author: none, reason: none, change }).map(|()| id)
    };
    let mut refused = 0;
    for step in 0..4 * Kitchen::KINDS {
        // one that undoes or restores among every few that change
        let change = match made.choose(&mut random) {
            Some(&correction) if step % 7 == 6 => Change::Undo { correction },
            _ => wrong.wrong(step, &mut random),
        };
        let undo = matches!(change, Change::Undo { .. });
        match make(&mut engine, step, change) {
            Ok(_) if undo => {}
            Ok(id) => made.push(id),
            Err(_) => refused += 1,
        }
        if step % Kitchen::KINDS == Kitchen::KINDS - 1 {
            engine.commit().unwrap();
            let corrected = digests(&at("lake"));
            assert_ne!(corrected, before, "nothing changed by step {step}");
            assert_eq!(corrected, anew(&at("lake"), &at(&format!("anew {step}"))), "after step {step}");
        }
    }
    assert!(refused < 22, "{refused} corrections refused");

    for (number, &correction) in (1_000..).zip(&made) {
        // those that are undone already say so
        let _ = make(&mut engine, number, Change::Undo { correction });
    }
    engine.commit().unwrap();
    assert_eq!(digests(&at("lake")), before, "with every correction undone");
}

#[test]
fn a_lake_that_is_opened_without_vision_refuses_no_correction_of_what_it_holds_and_keeps_them() {
    let (kitchen, recordings) = kitchen(1, 2);
    let lake = kitchen.path().join("lake");
    run(&recordings, &lake, Some(kitchen.path()), 1, Plan::default());
    let mut names = Names::default();
    let movements = Lake::open(&lake).unwrap().read::<Movement>(&mut names).unwrap();
    let first = movements.iter().min_by_key(|m| m.time).unwrap();
    let key = MovementKey { appliance: first.appliance, time: first.time, product: first.product, kind: first.kind };
    let correction = Correction {
        time: Time(7),
        id: names.intern("it").unwrap(),
        author: names.intern("ada").unwrap(),
        reason: names.intern("saw it").unwrap(),
        change: Change::Movement { movement: key, confirmed: false },
    };
    let mut engine = Engine::open_blind(Lake::open(&lake).unwrap(), names.clone(), 1).unwrap();
    engine.correct(correction.clone()).unwrap();
    engine.commit().unwrap();
    let again = Lake::open(&lake).unwrap();
    assert_eq!(again.read::<Correction>(&mut names).unwrap(), [correction]);
    let meant =
        |m: &&Movement| (m.appliance, m.time, m.product, m.kind) == (key.appliance, key.time, key.product, key.kind);
    assert_eq!(again.read::<Movement>(&mut names).unwrap().iter().find(meant), None);

    let history = again.history::<Movement>(&mut names).unwrap();
    let told: Vec<bool> = history.iter().filter(|change| meant(&&change.row)).map(|change| change.inserted).collect();
    assert_eq!(told, [true, false], "the feed tells that it came and went");
    // the same recordings again bring nothing back
    run(&recordings, &lake, Some(kitchen.path()), 1, Plan::default());
    assert_eq!(Lake::open(&lake).unwrap().read::<Movement>(&mut names).unwrap().iter().find(meant), None);
}
