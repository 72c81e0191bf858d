//! A long random history through the engine and into tables: feeds out of order, corrections and undos in between, commits at
//! any point; and the tables read back are those of a replay from nothing.

use larder::{
    engine::Engine,
    feeds::{Entry, Event, Feed as _, recording::Recording},
    lake::Lake,
};
use larder_records::{Change, Correction, Name, Names, Position, Time};
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use super::{
    corrections::{Kitchen, anew},
    digests, eyes, kitchen,
};

#[test]
fn after_each_stretch_of_a_random_history_the_tables_read_back_are_those_of_a_replay_from_nothing() {
    let seed = std::env::var("LARDER_LAW_SEED").map_or(3, |seed| seed.parse().unwrap());
    println!("LARDER_LAW_SEED={seed}");
    let (kitchen, recordings) = kitchen(2, 2);
    let at = |name: &str| kitchen.path().join(name);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut names = Names::default();
    let mut coming: Vec<Entry> = Vec::new();
    for path in &recordings {
        let mut recording = Recording::open(path).unwrap();
        coming.extend(std::iter::from_fn(|| recording.next_entry(&mut names).unwrap()));
    }
    // hours out of order
    let due = |random: &mut ChaCha8Rng, n: usize| n + random.random_range(0..2_000);
    let mut order: Vec<(usize, Entry)> =
        coming.into_iter().enumerate().map(|(n, entry)| (due(&mut random, n), entry)).collect();
    order.sort_by_key(|(due, _)| *due);
    let mut coming = order.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>().into_iter().peekable();

    let start = |names: &Names, lake: &str, workers| {
        let mut names = names.clone();
        let eyes = eyes(Some(kitchen.path()), &mut names);
        Engine::open(Lake::open(&at(lake)).unwrap(), names, eyes, workers).unwrap()
    };
    let mut engine = start(&names, "lake", 2);
    let mut taken: Vec<Entry> = Vec::new();
    let mut made: Vec<Name> = Vec::new();
    let (mut step, mut compared) = (0, 0);
    while coming.peek().is_some() {
        step += 1;
        let size = 10_f64.powf(random.random_range(0.0..3.0)) as usize;
        for entry in coming.by_ref().take(size) {
            // now and then twice
            if random.random_bool(0.05) {
                engine.take(entry.clone());
            }
            engine.take(entry.clone());
            taken.push(entry);
        }
        engine.commit().unwrap();
        let there = Kitchen::of(&Lake::open(&at("lake")).unwrap(), engine.names());
        for _ in 0..random.random_range(0..4) {
            if !there.is_whole() {
                break;
            }
            let change = match made.choose(&mut random) {
                Some(&correction) if random.random_bool(0.2) => Change::Undo { correction },
                Some(&correction) if random.random_bool(0.1) => Change::Restore { correction },
                _ => there.wrong(random.random_range(0..Kitchen::KINDS), &mut random),
            };
            let id = engine.names().intern(&format!("correction {}", made.len())).unwrap();
            let none = Name::default();
            let time = Time(random.random_range(0..50));
            let correction = Correction { time, id, author: none, reason: none, change };
            let position = Position { source: "people".into(), offset: made.len() as u64 };
            let entry = (position, Ok(Event::Correction(correction)));
            engine.take(entry.clone());
            taken.push(entry);
            made.push(id);
        }
        match random.random_range(0..4) {
            0 => engine.close_epoch().unwrap(),
            1 => engine.commit().unwrap(),
            2 => {
                engine.commit().unwrap();
                names = engine.names().clone();
                drop(engine);
                engine = start(&names, "lake", random.random_range(1..=3));
            }
            _ => {}
        }
        if step % 10 != 0 && coming.peek().is_some() {
            continue;
        }
        engine.commit().unwrap();
        names = engine.names().clone();
        compared += 1;
        let fresh = format!("fresh {compared}");
        let mut replayed = start(&names, &fresh, random.random_range(1..=3));
        let mut again = taken.clone();
        again.shuffle(&mut random);
        again.into_iter().for_each(|entry| replayed.take(entry));
        replayed.commit().unwrap();
        let expected = digests(&at(&fresh));
        assert_eq!(digests(&at("lake")), expected, "step {step}, LARDER_LAW_SEED={seed}: a replay from nothing");
        assert_eq!(anew(&at("lake"), &at(&format!("anew {compared}"))), expected, "step {step}: from the tables alone");
    }
    println!("{step} steps, {} events, {} corrections, {compared} comparisons", taken.len(), made.len());
    assert!(made.len() > 10 && compared > 2, "hardly a history");
    assert!(digests(&at("lake")).iter().any(|(view, rows, _)| view == "movements" && *rows > 0));
}
