//! Products found in photos of a real fridge, taken by hand, against their truth boxes.
//!
//! `cargo test --release -p larder-pipelines --test fridge_snapshots -- --nocapture` prints precision, recall and F1;
//! with `LARDER_VERBOSE=1` every sighting too, with `LARDER_CHOICES=24` for as many more choices of enrolled photos.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use larder_kernels::kaze::Finder;
use larder_pipelines::vision::{FeatureConfig, References, Scene, SceneLearner, Scratch, Vision, VisionConfig};
use larder_records::{
    ApplianceId, BoundingBox, Frame, FrameResult, Image, ImageEncoding, Modality, Payload, ProductId, SensorId, Time,
};

const PHOTOS: [u32; 14] = [0, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 17, 18];
/// The first four, and others that share none or few of them.
const CHOICES: [[u32; 4]; 4] = [[0, 2, 3, 4], [6, 9, 12, 17], [2, 7, 11, 18], [0, 8, 13, 14]];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/fridge_snapshots"))
}

fn absent() -> bool {
    let absent = !folder().exists();
    if absent {
        eprintln!("skipped: {} is absent", folder().display());
    }
    absent
}

fn photo(path: &Path, number: u32) -> Frame {
    Frame {
        appliance: ApplianceId::of("fridge"),
        sensor: SensorId::of("camera"),
        modality: Modality::Visible,
        time: Time::from_seconds(i64::from(number) * 60).unwrap(),
        sequence: number,
        payload: Payload::Image(Image { encoding: ImageEncoding::Jpeg, data: fs::read(path).unwrap().into() }),
    }
}

fn positive(number: u32) -> Frame {
    photo(&folder().join(format!("positive/{number}.jpg")), number)
}

fn truth(number: u32) -> Vec<(BoundingBox, String)> {
    let read = |name: String| fs::read_to_string(folder().join("positive").join(name)).unwrap();
    let boxes = read(format!("{number}.bboxes.tsv"));
    let labels = read(format!("{number}.bboxes.labels.tsv"));
    let lines = boxes.lines().filter(|line| !line.trim().is_empty());
    let object = |(line, label): (&str, &str)| {
        let sides: Vec<u16> = line.split_whitespace().map(|side| side.parse().unwrap()).collect();
        let [left, top, right, bottom] = sides[..] else { panic!("{line}") };
        (BoundingBox { left, top, right, bottom }, label.trim().to_string())
    };
    lines.zip(labels.lines()).map(object).collect()
}

/// How the products are enrolled.
#[derive(Clone, Copy, PartialEq)]
enum Enrolled {
    /// As boxes in whole photos.
    Boxes,
    /// As cuttings of the photos: nothing is known of the light or of what is behind.
    Cuttings,
}

fn cutting(image: &Image, b: BoundingBox) -> Image {
    let whole = image::load_from_memory(&image.data).unwrap();
    let part = whole.crop_imm(b.left.into(), b.top.into(), (b.right - b.left).into(), (b.bottom - b.top).into());
    let mut out = Cursor::new(Vec::new());
    part.write_to(&mut out, image::ImageFormat::Png).unwrap();
    Image { encoding: ImageEncoding::Png, data: out.into_inner().into() }
}

fn learn(photos: &[u32], enrolled: Enrolled) -> Vision {
    learn_by(VisionConfig::default(), photos, enrolled)
}

fn learn_by(config: VisionConfig, photos: &[u32], enrolled: Enrolled) -> Vision {
    let mut learner = SceneLearner::default();
    for &number in photos {
        let boxes: Vec<BoundingBox> = truth(number).into_iter().map(|object| object.0).collect();
        learner.push(&positive(number), &boxes, &config).unwrap();
    }
    let scene = learner.finish(&config);
    let mut references = References::default();
    for &number in photos {
        let Payload::Image(image) = positive(number).payload else { unreachable!() };
        for (bounds, label) in truth(number) {
            let (image, bounds) = match enrolled {
                Enrolled::Boxes => (image.clone(), Some(bounds)),
                Enrolled::Cuttings => (cutting(&image, bounds), None),
            };
            references
                .add(ProductId::of(&label), &image, bounds, Some(&scene), &config, &mut Finder::default())
                .unwrap();
        }
    }
    Vision::new(config, Some(scene), references)
}

#[derive(Default, Clone, Copy)]
struct Counts {
    right: u32,
    wrong: u32,
    missed: u32,
}

impl Counts {
    fn precision(self) -> f64 {
        f64::from(self.right) / f64::from(self.right + self.wrong)
    }

    fn recall(self) -> f64 {
        f64::from(self.right) / f64::from(self.right + self.missed)
    }

    fn f1(self) -> f64 {
        2.0 * f64::from(self.right) / f64::from(2 * self.right + self.wrong + self.missed)
    }
}

fn products(result: &FrameResult) -> impl Iterator<Item = ProductId> {
    let taken = result.sightings.iter().filter_map(|seen| seen.taken_for(VisionConfig::DEFAULT_MIN_SCORE));
    taken.map(|best| best.product)
}

/// Counts by product and photo, over the photos that were not enrolled.
fn evaluate(vision: &Vision, photos: &[u32]) -> Counts {
    let mut scratch = Scratch::default();
    let mut total = Counts::default();
    for number in PHOTOS.into_iter().filter(|number| !photos.contains(number)) {
        let result = vision.see(&positive(number), &mut scratch).unwrap();
        let mut counts: BTreeMap<ProductId, (u32, u32)> = BTreeMap::new();
        for (_, label) in truth(number) {
            counts.entry(ProductId::of(&label)).or_default().0 += 1;
        }
        for product in products(&result) {
            counts.entry(product).or_default().1 += 1;
        }
        for &(there, seen) in counts.values() {
            total.right += there.min(seen);
            total.wrong += seen.saturating_sub(there);
            total.missed += there.saturating_sub(seen);
        }
        if std::env::var_os("LARDER_VERBOSE").is_some() {
            print_sightings(number, &result);
        }
    }
    let Counts { right, wrong, missed } = total;
    let (precision, recall, f1) = (total.precision(), total.recall(), total.f1());
    eprintln!(
        "enrolled {photos:?}: right {right} wrong {wrong} missed {missed}, precision {precision:.3} recall {recall:.3} F1 {f1:.3}"
    );
    total
}

fn print_sightings(number: u32, result: &FrameResult) {
    let names: BTreeMap<ProductId, String> =
        PHOTOS.iter().flat_map(|&n| truth(n)).map(|(_, label)| (ProductId::of(&label), label)).collect();
    let objects = truth(number);
    eprintln!("photo {number}");
    for s in &result.sightings {
        let known = objects.iter().max_by_key(|o| o.0.iou(s.bounds)).filter(|o| o.0.iou(s.bounds) > 300_000);
        let top: Vec<String> =
            s.candidates.iter().take(3).map(|c| format!("{} {}", names[&c.product], c.score / 1000)).collect();
        let BoundingBox { left, top: upper, right, bottom } = s.bounds;
        let (label, iou) = known.map_or(("-", 0), |o| (o.1.as_str(), o.0.iou(s.bounds) / 1000));
        let detection = s.detection / 1000;
        eprintln!(
            "  {left:>4},{upper:>4},{right:>4},{bottom:>4} {label:>9} det {detection:>4} iou {iou:>4} {}",
            top.join(", ")
        );
    }
    for (bounds, label) in objects {
        if result.sightings.iter().all(|s| s.bounds.iou(bounds) < 300_000) {
            eprintln!("  not proposed: {label} {bounds:?}");
        }
    }
}

/// More choices of four, drawn by a fixed linear congruential generator.
fn more_choices() -> Vec<[u32; 4]> {
    let wanted = std::env::var("LARDER_CHOICES").map_or(0, |count| count.parse().unwrap());
    let mut state = 12345_u64;
    let draw = |_| {
        let mut left = PHOTOS.to_vec();
        std::array::from_fn(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            left.remove((state >> 33) as usize % left.len())
        })
    };
    (0..wanted).map(draw).collect()
}

#[test]
fn products_enrolled_from_four_photos_are_counted_in_the_others() {
    if absent() {
        return;
    }
    let choices: Vec<[u32; 4]> = CHOICES.into_iter().chain(more_choices()).collect();
    let scores: Vec<f64> =
        choices.iter().map(|choice| evaluate(&learn(choice, Enrolled::Boxes), choice).f1()).collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    eprintln!("mean F1 of {} choices: {mean:.4}", scores.len());
    assert!(scores.iter().all(|&f1| f1 >= 0.92), "{scores:?}");
    assert!(mean >= 0.95, "{mean}");
}

#[test]
fn local_features_do_not_hurt() {
    if absent() {
        return;
    }
    let how = FeatureConfig::default();
    let with = VisionConfig { features: Some(how.clone()), ..VisionConfig::default() };
    for choice in CHOICES {
        let (plain, asking) = (learn(&choice, Enrolled::Boxes), learn_by(with.clone(), &choice, Enrolled::Boxes));
        assert_ne!(plain.fingerprint(), asking.fingerprint());
        let (mut all, mut asked, mut raised, mut other) = (0, 0, 0, 0);
        let mut scratch = Scratch::default();
        for number in PHOTOS.into_iter().filter(|number| !choice.contains(number)) {
            let [before, after] = [&plain, &asking].map(|vision| vision.see(&positive(number), &mut scratch).unwrap());
            assert_eq!(before.sightings.len(), after.sightings.len());
            for (before, after) in before.sightings.iter().zip(&after.sightings) {
                let (before, after) = (&before.candidates, &after.candidates);
                assert_eq!(before.len(), after.len(), "no candidate comes or goes");
                all += 1;
                asked += u32::from(how.asks(before));
                raised += u32::from(before != after);
                other += u32::from(before.first().map(|best| best.product) != after.first().map(|best| best.product));
            }
        }
        eprintln!("features: {all} sightings, {asked} asked about, {raised} raised, {other} another product");
        let (plain, asking) = (evaluate(&plain, &choice), evaluate(&asking, &choice));
        assert!(asking.f1() >= plain.f1() - 0.01);
    }
}

#[test]
fn products_enrolled_from_cuttings_are_found_too() {
    if absent() {
        return;
    }
    for choice in &CHOICES[..2] {
        assert!(evaluate(&learn(choice, Enrolled::Cuttings), choice).f1() >= 0.87);
    }
}

#[test]
fn in_pictures_of_other_places_nothing_is_found() {
    if absent() {
        return;
    }
    let vision = learn(&CHOICES[0], Enrolled::Boxes);
    let mut scratch = Scratch::default();
    for number in 1..=5 {
        let frame = photo(&folder().join(format!("negative/{number}.jpg")), number);
        let result = vision.see(&frame, &mut scratch).unwrap();
        assert_eq!(products(&result).count(), 0, "negative {number}");
    }
}

#[test]
fn a_frame_is_seen_the_same_after_another_and_after_the_scene_was_stored() {
    if absent() {
        return;
    }
    let vision = learn(&CHOICES[0], Enrolled::Boxes);
    let (first, second) = (positive(6), positive(18));
    let fresh = vision.see(&first, &mut Scratch::default()).unwrap();
    let mut used = Scratch::default();
    vision.see(&second, &mut used).unwrap();
    assert_eq!(vision.see(&first, &mut used).unwrap(), fresh);
    assert_eq!(fresh.fingerprint, vision.fingerprint());

    let bytes = vision.scene().unwrap().to_bytes();
    let stored = Scene::from_bytes(&bytes).unwrap();
    assert_eq!((stored.to_bytes(), stored.digest()), (bytes, vision.scene().unwrap().digest()));
    let again = Vision::new(VisionConfig::default(), Some(stored), vision.references().clone());
    assert_eq!(again.see(&first, &mut used).unwrap(), fresh);
}
