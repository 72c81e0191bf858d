//! Homographies beside OpenCV's and the true ones, among matches that OpenCV found (`tests/python/homography_oracle.py`).
#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command, sync::OnceLock};

use larder_kernels::homography::{Homography, Pair, Posed, Search, find, verify};
use python::python;
use serde_json::Value;

#[path = "../../tests/python/mod.rs"]
mod python;

/// Two photos of one plane.
struct Photos {
    name: String,
    width: f64,
    height: f64,
    matches: Vec<Posed>,
    truth: Homography,
    theirs: Homography,
}

fn matrix(value: &Value) -> Homography {
    Homography::from_rows(std::array::from_fn(|r| std::array::from_fn(|c| value[r][c].as_f64().unwrap()))).unwrap()
}

fn photos() -> Option<&'static Vec<Photos>> {
    static PHOTOS: OnceLock<Option<Vec<Photos>>> = OnceLock::new();
    PHOTOS.get_or_init(read_photos).as_ref()
}

fn read_photos() -> Option<Vec<Photos>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let features = root.join("../shared/data/features");
    if !features.exists() {
        eprintln!("skipped: there is no {}", features.display());
        return None;
    }
    let script = root.join("tests/python/homography_oracle.py");
    let output = Command::new(python("cv2, numpy")?).arg(script).arg(features).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    let posed = |value: &Value| {
        let [x, y, u, v, zoom, turn] = std::array::from_fn(|i| value[i].as_f64().unwrap());
        Posed { pair: Pair { from: [x, y], to: [u, v] }, zoom, turn }
    };
    let photos = read.as_array().unwrap().iter().map(|value| Photos {
        name: value["name"].as_str().unwrap().to_owned(),
        width: value["width"].as_f64().unwrap(),
        height: value["height"].as_f64().unwrap(),
        matches: value["matches"].as_array().unwrap().iter().map(posed).collect(),
        truth: matrix(&value["truth"]),
        theirs: matrix(&value["theirs"]),
    });
    Some(photos.collect())
}

impl Photos {
    /// The mean distance from the true place, in pixels, over a grid of places of the first picture that the second shows.
    fn error(&self, map: &Homography) -> f64 {
        let grid = (1..8).flat_map(|y| (1..8).map(move |x| (x, y)));
        let places = grid.map(|(x, y)| [self.width * f64::from(x) / 8.0, self.height * f64::from(y) / 8.0]);
        let distances: Vec<f64> = places
            .filter_map(|place| {
                let [x, y] = self.truth.apply(place)?;
                let shown = (0.0..self.width).contains(&x) && (0.0..self.height).contains(&y);
                let [x1, y1] = map.apply(place).unwrap_or([f64::INFINITY; 2]);
                shown.then_some(((x - x1).powi(2) + (y - y1).powi(2)).sqrt())
            })
            .collect();
        distances.iter().sum::<f64>() / distances.len() as f64
    }
}

#[test]
fn views_of_boat_and_graf_are_as_near_to_the_truth_as_opencvs() {
    let Some(photos) = photos() else { return };
    let search = Search { tolerance: 3.0, ..Search::default() };
    for photos in photos {
        let pairs: Vec<Pair> = photos.matches.iter().map(|posed| posed.pair).collect();
        let found = find(&pairs, photos.width, photos.height, &search).unwrap();
        let verified = verify(&photos.matches, photos.width, photos.height, &search).unwrap();
        let theirs = photos.error(&photos.theirs);
        for (how, found) in [("find", &found), ("verify", &verified)] {
            let ours = photos.error(&found.map);
            println!(
                "{} {how}: {ours:.2} pixels off, OpenCV {theirs:.2}; {} of {} matches fit, 10^{:.0} by chance",
                photos.name,
                found.inliers.len(),
                pairs.len(),
                found.log_chance
            );
            assert!(ours <= theirs.max(1.0) * 1.25, "{} {how}: {ours} pixels off, OpenCV {theirs}", photos.name);
            assert!(found.log_chance < -20.0, "{} {how}: {}", photos.name, found.log_chance);
        }
    }
}

#[test]
fn matches_of_other_photos_verify_no_view() {
    let Some(photos) = photos() else { return };
    for (at, one) in photos.iter().enumerate() {
        let other = &photos[(at + 1) % photos.len()];
        // The first place of one match with the second place of another: as features lie, but of nothing.
        let wrong: Vec<Posed> = one
            .matches
            .iter()
            .zip(other.matches.iter().rev())
            .map(|(a, b)| Posed { pair: Pair { from: a.pair.from, to: b.pair.to }, ..*a })
            .collect();
        for many in [30, 100, 300, wrong.len()] {
            let wrong = &wrong[..many.min(wrong.len())];
            let found = verify(wrong, one.width, one.height, &Search::default());
            assert!(found.as_ref().is_none_or(|found| found.log_chance > 0.0), "{} {many}: {found:?}", one.name);
        }
    }
}
