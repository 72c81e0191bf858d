//! A folder of broken recordings, replayed whole.

use std::collections::BTreeMap;

use larder::{engine::Plan, lake::Lake};
use larder_records::{DeadLetter, DeadReason, Names};

use super::run;

#[path = "../broken_inputs/generator.rs"]
mod generator;

#[test]
fn every_bad_record_is_a_dead_letter_and_every_good_one_is_in_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let broken = generator::write(folder.path());
    let lake = folder.path().join("lake");
    let recordings: Vec<_> = broken.iter().map(|file| file.path.clone()).collect();
    let counts = run(&recordings, &lake, None, 1, Plan::default());

    let mut expected: BTreeMap<DeadReason, usize> = BTreeMap::new();
    for reason in broken.iter().flat_map(|file| &file.faults) {
        *expected.entry(*reason).or_default() += 1;
    }
    let mut names = Names::default();
    let lake = Lake::open(&lake).unwrap();
    let letters = lake.read::<DeadLetter>(&mut names).unwrap();
    assert!(
        letters.iter().all(|letter| recordings.iter().any(|path| path.to_string_lossy() == *letter.position.source))
    );
    let pictures: usize = broken.iter().map(|file| file.bad_pictures).sum();
    let mut found: BTreeMap<DeadReason, usize> = BTreeMap::new();
    for letter in &letters {
        *found.entry(letter.reason).or_default() += 1;
    }
    let refused = |found: &BTreeMap<DeadReason, usize>| {
        [DeadReason::BadImage, DeadReason::TooLarge].iter().filter_map(|reason| found.get(reason)).sum::<usize>()
    };
    // vision says of each bad picture whether it is damaged or too large; one that comes twice is refused once
    let bad = refused(&found) - refused(&expected);
    assert!(bad > 0 && bad <= pictures && pictures - bad <= counts.duplicates as usize, "{letters:#?}");
    found.retain(|reason, _| !matches!(reason, DeadReason::BadImage | DeadReason::TooLarge));
    expected.retain(|reason, _| !matches!(reason, DeadReason::BadImage | DeadReason::TooLarge));
    assert_eq!(found, expected, "{letters:#?}");

    let events: usize = broken.iter().map(|file| file.events).sum();
    assert_eq!(counts.events as usize, events + broken.iter().map(|file| file.faults.len()).sum::<usize>());
    let readings = lake.read::<larder_records::Reading>(&mut names).unwrap().len();
    let frames = lake.read_frames(&mut names).unwrap().len();
    assert_eq!((readings as u64, frames as u64), (counts.readings, counts.frames));
    assert_eq!(readings + frames + bad + counts.duplicates as usize, events, "{counts:?}");
}
