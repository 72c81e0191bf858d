//! The law by force, on whole lakes: events of all kinds in small and large batches, late, twice, and corrected.

use larder::{
    engine::{Engine, History, Opening},
    feeds::{Entry, Event, Feed as _, event_time, recording::Recording},
    lake::Lake,
};
use larder_records::{
    Change, Correction, DeadLetter, DeadReason, Frame, Modality, Name, Names, Payload, Position, Product, Time,
};
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;

use super::{
    corrections::{Kitchen, anew},
    digests, eyes, kitchen, run,
};

/// Batches from one comparison to the next.
const EVERY: usize = 10;

/// A batch of 1 to 1,000 entries, mostly of few.
fn size(random: &mut ChaCha8Rng) -> usize {
    match random.random_range(0..20) {
        0..9 => 1,
        9..15 => random.random_range(2..30),
        15..19 => random.random_range(30..150),
        _ => random.random_range(300..=1_000),
    }
}

#[test]
fn tables_read_back_are_those_of_a_replay_from_nothing_after_every_tenth_batch_of_anything() {
    let seed = std::env::var("LARDER_LAW_SEED").map_or(6, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (kitchen, recordings) = kitchen(2, 2);
    let at = |name: &str| kitchen.path().join(name);
    // what can be corrected is known from a replay without corrections
    run(&recordings, &at("whole"), Some(kitchen.path()), 1, Default::default());
    let mut names = Names::default();
    let wrong = Kitchen::of(&Lake::open(&at("whole")).unwrap(), &mut names);
    assert!(wrong.is_whole());

    let mut entries: Vec<Entry> = Vec::new();
    for path in &recordings {
        let mut recording = Recording::open(path).unwrap();
        while let Some(entry) = recording.next_entry(&mut names).unwrap() {
            entries.push(entry);
        }
    }
    // by event time, but one in eight comes up to a day late
    let late: Vec<i64> =
        entries.iter().map(|_| if random.random_ratio(1, 8) { random.random_range(0..Time::DAY) } else { 0 }).collect();
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&n| (event_time(&entries[n]).map(|time| time.0 + late[n]), n));
    // most readings say nothing new: enough are kept for the batches to be many and the tables full
    order.retain(|&n| match &entries[n].1 {
        Ok(Event::Frame(Frame { payload: Payload::Reading(_), modality, .. })) => {
            *modality == Modality::Door || n % 10 == 0
        }
        _ => true,
    });
    let record =
        |(_, entry): &Entry| if let Ok(Event::Product(product)) = entry { Some(product.clone()) } else { None };
    let records: Vec<Product> = entries.iter().filter_map(record).collect();

    let open = |mut names: Names, history| {
        let eyes = Some(eyes(Some(kitchen.path()), &mut names));
        let lake = Lake::open(&at("lake")).unwrap();
        Engine::open_with(lake, names, Opening { eyes, workers: 2.into(), history }).unwrap()
    };
    let mut engine = open(names.clone(), History::Whole);
    let (mut made, mut taken, mut batches, mut comparisons): (Vec<Correction>, Vec<Entry>, usize, usize) =
        Default::default();
    let (mut cold, mut last_cold, mut thawed) = (0, 0, 0);
    let mut left = order.into_iter().peekable();
    while left.peek().is_some() {
        for _ in 0..size(&mut random) {
            let number = taken.len();
            let position = Position { source: "any".into(), offset: number as u64 };
            let event = match random.random_range(0..40) {
                0 => {
                    let change = match made.choose(&mut random) {
                        Some(Correction { id, .. }) if random.random_ratio(1, 4) => match random.random_bool(0.7) {
                            true => Change::Undo { correction: *id },
                            false => Change::Restore { correction: *id },
                        },
                        _ => wrong.wrong(random.random_range(0..Kitchen::KINDS), &mut random),
                    };
                    let id = engine.names().intern(&format!("correction {number}")).unwrap();
                    let none = Name::default();
                    // told in an order of their own
                    let time = Time(random.random_range(0..1_000));
                    made.push(Correction { time, id, author: none, reason: none, change });
                    Ok(Event::Correction(made[made.len() - 1].clone()))
                }
                1 => {
                    let (as_of, package_mg) = (Time(random.random_range(0..1 << 51)), random.random_range(0..900_000));
                    Ok(Event::Product(Product { as_of, package_mg, ..records.choose(&mut random).unwrap().clone() }))
                }
                2 => match taken.choose(&mut random) {
                    Some((_, entry)) => entry.clone(),
                    None => continue,
                },
                3 if random.random_ratio(1, 4) => Err(DeadLetter {
                    position: position.clone(),
                    reason: DeadReason::Malformed,
                    detail: "no message".to_owned(),
                }),
                _ => match left.next() {
                    Some(n) => entries[n].1.clone(),
                    None => break,
                },
            };
            taken.push((position, event));
            engine.take(taken[number].clone());
        }
        engine.close_epoch().unwrap();
        batches += 1;
        if batches.is_multiple_of(EVERY) {
            engine.commit().unwrap();
            let into = at(&format!("anew {batches}"));
            assert_eq!(digests(&at("lake")), anew(&at("lake"), &into), "after batch {batches} by seed {seed}");
            std::fs::remove_dir_all(into).unwrap();
            comparisons += 1;

            // from here on with less of history in memory
            let names = engine.names().clone();
            let left = engine.cold_appliances();
            drop(engine);
            engine = open(names, History::Recent(random.random_range(0..Time::DAY)));
            cold += engine.cold_appliances();
            thawed += last_cold - left;
            last_cold = engine.cold_appliances();
        }
    }
    engine.commit().unwrap();
    let tables = digests(&at("lake"));
    println!("{} entries, {} corrections, {batches} batches, {comparisons} comparisons", taken.len(), made.len());
    println!("{cold} times an appliance was cold, {thawed} times it was thawed");
    assert!(comparisons >= 5 && made.len() >= 20 && cold > 0, "too little to say anything");
    for view in ["visits", "movements", "inventory", "behaviour", "review_queue"] {
        assert!(tables.iter().any(|(name, rows, _)| name == view && *rows > 0), "{view} is empty");
    }

    // the events themselves from nothing, seen again, in another order
    taken.reverse();
    let eyes = eyes(Some(kitchen.path()), &mut names);
    let mut again = Engine::open(Lake::open(&at("again")).unwrap(), engine.names().clone(), eyes, 1).unwrap();
    taken.into_iter().for_each(|entry| again.take(entry));
    again.commit().unwrap();
    assert_eq!(digests(&at("again")), tables, "a replay of the events, the last first");
}
