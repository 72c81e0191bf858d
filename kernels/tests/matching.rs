//! Matching beside OpenCV's `BFMatcher`, through `tests/python/opencv_features.py`.
#![allow(clippy::unwrap_used)]

use larder_kernels::matching::{HammingTrains, L2Trains, Nearest2};
use noise::{binary, floats};
use opencv::opencv;
use serde_json::Value;

mod noise;
mod opencv;

const COUNT: usize = 700;

#[test]
fn the_two_nearest_are_those_of_opencvs_brute_force_matcher() {
    let Some(theirs) = opencv("nearest", [COUNT.to_string()]) else { return };

    let mut hamming = HammingTrains::default();
    hamming.fill(&binary(COUNT, COUNT));
    let mut found = Vec::new();
    hamming.nearest2(&binary(0, COUNT), 2, &mut found);
    // OpenCV says which of equal distances it takes as little as how: the first, as seen.
    assert_same(&found, &theirs["hamming"], f64::from, 0.0);

    let mut l2 = L2Trains::default();
    l2.fill(&floats(COUNT, COUNT));
    let mut found = Vec::new();
    l2.nearest2(&floats(0, COUNT), 2, &mut found).unwrap();
    assert_same(&found, &theirs["l2"], |square| f64::from(square).sqrt(), 1e-6);
}

fn assert_same<D: Copy>(ours: &[Nearest2<D>], theirs: &Value, length: fn(D) -> f64, tolerance: f64) {
    let theirs = theirs.as_array().unwrap();
    assert_eq!((ours.len(), theirs.len()), (COUNT, COUNT));
    for (ours, theirs) in ours.iter().zip(theirs) {
        for (place, ours) in [ours.best, ours.second].into_iter().enumerate() {
            let (index, distance) = (theirs[2 * place].as_u64().unwrap(), theirs[2 * place + 1].as_f64().unwrap());
            let ours = ours.unwrap();
            assert!(
                (length(ours.distance) - distance).abs() <= tolerance * distance,
                "{} {distance}",
                length(ours.distance)
            );
            assert_eq!(u64::from(ours.index), index);
        }
    }
}
