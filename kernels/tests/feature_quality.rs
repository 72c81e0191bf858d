//! Repeatability and matching score of KAZE and A-KAZE beside OpenCV's, on real pictures of planes, at equal numbers of points.
//!
//! `cargo test --release -p larder-kernels --test feature_quality -- --nocapture` prints the table.
#![allow(clippy::unwrap_used)]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use evaluation::{Descriptors, Found, Homography, Score, evaluate};
use larder_kernels::{
    ImageGrey8,
    features::{BinaryFeatures, FloatDescriptors, FloatFeatures, Keypoint},
    kaze::{Akaze, AkazeParams, AkazeScratch, Kaze, KazeParams, KazeScratch},
};
use opencv::opencv;
use pictures::{read_grey, write_pgm};
use serde_json::Value;

mod evaluation;
mod opencv;
mod pictures;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/features");
/// Low enough that more points are found than are kept.
const THRESHOLD: f32 = 1e-5;
/// Points kept of each picture: the strongest.
const COUNTS: [usize; 2] = [500, 1000];
/// Bytes of OpenCV's M-LDB, and components of its M-SURF.
const BYTES: usize = 61;
const COMPONENTS: usize = 64;

/// All numbers of a text.
fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn homography(numbers: &[f64]) -> Homography {
    std::array::from_fn(|row| std::array::from_fn(|column| numbers[row * 3 + column]))
}

/// Pictures and the pairs of them that are compared, with the name of each pair and its homography.
struct Pictures {
    files: Vec<PathBuf>,
    pairs: Vec<(String, usize, usize, Homography)>,
}

fn pictures() -> Pictures {
    let data = Path::new(DATA);
    let mut files: Vec<PathBuf> = (1..=6).map(|number| data.join(format!("boat/img{number}.pgm"))).collect();
    let mut pairs: Vec<_> = (2..=6)
        .map(|number| {
            let text = fs::read_to_string(data.join(format!("boat/H1to{number}p"))).unwrap();
            (format!("boat 1-{number}"), 0, number - 1, homography(&numbers(&text)))
        })
        .collect();
    files.extend(["graf1.png", "graf3.png"].map(|name| data.join("opencv_samples").join(name)));
    let text = fs::read_to_string(data.join("opencv_samples/H1to3p.xml")).unwrap();
    let matrix = text.split_once("<data>").unwrap().1.replace('<', " ");
    pairs.push(("graf 1-3".to_owned(), 6, 7, homography(&numbers(&matrix))));
    Pictures { files, pairs }
}

fn floats(path: &str) -> Vec<f32> {
    fs::read(path).unwrap().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// What OpenCV left in files.
fn theirs(files: &Value, kind: &str, size: (usize, usize)) -> Found {
    let [points, descriptors] = [0, 1].map(|place| files[kind][place].as_str().unwrap());
    let points = floats(points);
    let keypoints = points.as_chunks::<5>().0.iter().map(|&[x, y, size, angle, response]| Keypoint {
        x,
        y,
        size,
        angle: angle.to_radians(),
        response,
        octave: 0,
        level: 0,
    });
    let descriptors = if kind == "kaze" {
        Descriptors::Float(FloatDescriptors::from_values(COMPONENTS, floats(descriptors)).unwrap())
    } else {
        let bytes = fs::read(descriptors).unwrap();
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let one = |bytes: &[u8]| std::array::from_fn(|place| word(&bytes[place * 8..BYTES.min(place * 8 + 8)]));
        Descriptors::Binary(bytes.chunks_exact(BYTES).map(one).collect())
    };
    Found { size, keypoints: keypoints.collect(), descriptors }
}

fn ours(picture: &ImageGrey8, kind: &str) -> Found {
    let size = (picture.width(), picture.height());
    if kind == "kaze" {
        let kaze = Kaze::new(KazeParams { threshold: THRESHOLD, ..KazeParams::default() });
        let mut features = FloatFeatures::default();
        kaze.detect_and_compute(picture, &mut KazeScratch::default(), &mut features);
        Found { size, keypoints: features.keypoints, descriptors: Descriptors::Float(features.descriptors) }
    } else {
        let akaze = Akaze::new(AkazeParams { threshold: THRESHOLD, ..AkazeParams::default() });
        let mut features = BinaryFeatures::default();
        akaze.detect_and_compute(picture, &mut AkazeScratch::default(), &mut features);
        Found { size, keypoints: features.keypoints, descriptors: Descriptors::Binary(features.descriptors) }
    }
}

#[test]
fn features_are_found_again_as_well_as_opencvs_pair_by_pair() {
    if !Path::new(DATA).exists() {
        eprintln!("skipped: {DATA} is absent");
        return;
    }
    let Pictures { files, pairs } = pictures();
    let planes: Vec<ImageGrey8> = files.iter().map(|path| read_grey(path)).collect();
    let folder = env::temp_dir().join(format!("larder-quality-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let copies: Vec<PathBuf> = (0..planes.len()).map(|number| folder.join(format!("{number}.pgm"))).collect();
    planes.iter().zip(&copies).for_each(|(plane, path)| write_pgm(path, plane));
    let arguments = [folder.clone(), PathBuf::from(THRESHOLD.to_string())].into_iter().chain(copies);
    let Some(dumped) = opencv("dump", arguments) else { return };

    println!("                             repeatability      matching score");
    println!("            kept    points   ours OpenCV       ours OpenCV");
    let mut worse = Vec::new();
    for kind in ["kaze", "akaze"] {
        let all: Vec<[Found; 2]> = planes
            .iter()
            .enumerate()
            .map(|(number, plane)| [ours(plane, kind), theirs(&dumped[number], kind, (plane.width(), plane.height()))])
            .collect();
        for count in COUNTS {
            for (name, first, second, homography) in &pairs {
                // As many of each as all four have.
                let kept = [first, second].into_iter().flat_map(|&at| &all[at]).map(|found| found.keypoints.len());
                let kept = kept.min().unwrap().min(count);
                let [ours, theirs]: [Score; 2] = std::array::from_fn(|whose| {
                    let [first, second] = [first, second].map(|&at| all[at][whose].strongest(kept));
                    evaluate(&first, &second, homography)
                });
                println!(
                    "{kind:6}{name:10}{kept:5} {:4}/{:4}  {:.3}  {:.3}      {:.3}  {:.3}",
                    ours.points,
                    theirs.points,
                    ours.repeatability,
                    theirs.repeatability,
                    ours.matching,
                    theirs.matching
                );
                if ours.repeatability < theirs.repeatability - MARGIN || ours.matching < theirs.matching - MARGIN {
                    worse.push(format!("{kind} {name} {kept}"));
                }
            }
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    assert!(worse.is_empty(), "worse than OpenCV's: {worse:?}");
}

/// Nobody can tell scores apart that differ by less: a few points of some hundred.
const MARGIN: f64 = 0.02;
