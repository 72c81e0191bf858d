//! Products found in photos of a real fridge, against their truth boxes.

use std::{collections::BTreeMap, fs, path::PathBuf};

use larder_pipelines::vision::{References, SceneLearner, Scratch, Vision, VisionConfig};
use larder_records::{
    ApplianceId, BoundingBox, Frame, Image, ImageEncoding, Modality, Payload, ProductId, SensorId, Sighting, Time,
};

const PHOTOS: [u32; 14] = [0, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 17, 18];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/fridge_snapshots"))
}

fn photo(number: u32) -> Frame {
    let path = folder().join(format!("positive/{number}.jpg"));
    Frame {
        appliance: ApplianceId::of("fridge"),
        sensor: SensorId::of("camera"),
        modality: Modality::Visible,
        time: Time::from_seconds(i64::from(number) * 60).unwrap(),
        sequence: number,
        payload: Payload::Image(Image { encoding: ImageEncoding::Jpeg, data: fs::read(path).unwrap().into() }),
    }
}

fn truth(number: u32) -> Vec<(BoundingBox, String)> {
    let read = |name: String| fs::read_to_string(folder().join("positive").join(name)).unwrap();
    let boxes = read(format!("{number}.bboxes.tsv"));
    let labels = read(format!("{number}.bboxes.labels.tsv"));
    let sides = |line: &str| line.split_whitespace().map(|side| side.parse::<u16>().unwrap()).collect::<Vec<_>>();
    let lines = boxes.lines().filter(|line| !line.trim().is_empty());
    lines
        .zip(labels.lines())
        .map(|(line, label)| {
            let [left, top, right, bottom] = sides(line)[..] else { panic!("{line}") };
            (BoundingBox { left, top, right, bottom }, label.trim().to_string())
        })
        .collect()
}

fn learn(enrolled: &[u32], config: &VisionConfig) -> Vision {
    let mut learner = SceneLearner::default();
    for &number in enrolled {
        let boxes: Vec<BoundingBox> = truth(number).into_iter().map(|object| object.0).collect();
        let boxes = if std::env::var_os("NOBOX").is_some() { vec![] } else { boxes };
        learner.push(&photo(number), &boxes, config).unwrap();
    }
    let scene = learner.finish(config);
    let mut references = References::default();
    for &number in enrolled {
        let Payload::Image(image) = photo(number).payload else { unreachable!() };
        for (bounds, label) in truth(number) {
            if std::env::var_os("CROPS").is_some() {
                let full = image::load_from_memory(&image.data).unwrap();
                let b = bounds;
                let crop = full.crop_imm(
                    u32::from(b.left),
                    u32::from(b.top),
                    u32::from(b.right - b.left),
                    u32::from(b.bottom - b.top),
                );
                let mut out = std::io::Cursor::new(Vec::new());
                crop.write_to(&mut out, image::ImageFormat::Png).unwrap();
                let crop = Image { encoding: ImageEncoding::Png, data: out.into_inner().into() };
                references.add(ProductId::of(&label), &crop, None, Some(&scene), config).unwrap();
                continue;
            }
            references.add(ProductId::of(&label), &image, Some(bounds), Some(&scene), config).unwrap();
        }
    }
    Vision::new(config.clone(), Some(scene), references)
}

#[derive(Default, Clone, Copy)]
struct Counts {
    right: u32,
    wrong: u32,
    missed: u32,
}

impl Counts {
    fn f1(self) -> f64 {
        2.0 * f64::from(self.right) / f64::from(2 * self.right + self.wrong + self.missed)
    }
}

fn chosen(sighting: &Sighting, min_score: u32) -> Option<ProductId> {
    sighting.candidates.first().filter(|best| best.score >= min_score).map(|best| best.product)
}

fn evaluate(enrolled: &[u32], verbose: bool) -> Counts {
    let config = VisionConfig::default();
    let vision = learn(enrolled, &config);
    let names: BTreeMap<ProductId, String> =
        PHOTOS.iter().flat_map(|&n| truth(n)).map(|(_, label)| (ProductId::of(&label), label)).collect();
    let mut scratch = Scratch::default();
    let mut clock = Clock::default();
    let mut total = Counts::default();
    for number in PHOTOS.into_iter().filter(|number| !enrolled.contains(number)) {
        let frame = photo(number);
        let result = vision.see_timed(&frame, &mut scratch, &mut clock).unwrap();
        let objects = truth(number);
        let mut counts: BTreeMap<ProductId, (u32, u32)> = BTreeMap::new();
        for (_, label) in &objects {
            counts.entry(ProductId::of(label)).or_default().0 += 1;
        }
        for product in result.sightings.iter().filter_map(|s| chosen(s, VisionConfig::DEFAULT_MIN_SCORE)) {
            counts.entry(product).or_default().1 += 1;
        }
        for &(there, seen) in counts.values() {
            total.right += there.min(seen);
            total.wrong += seen.saturating_sub(there);
            total.missed += there.saturating_sub(seen);
        }
        if verbose {
            eprintln!("photo {number}");
            for s in &result.sightings {
                let known = objects.iter().max_by_key(|o| o.0.iou(s.bounds)).filter(|o| o.0.iou(s.bounds) > 300_000);
                let top: Vec<String> =
                    s.candidates.iter().take(3).map(|c| format!("{} {}", names[&c.product], c.score / 1000)).collect();
                let b = s.bounds;
                eprintln!(
                    "  {:>4},{:>4},{:>4},{:>4} {:>9} det {:>4} iou {:>4} {}",
                    b.left,
                    b.top,
                    b.right,
                    b.bottom,
                    known.map_or("-", |o| &o.1),
                    s.detection / 1000,
                    known.map_or(0, |o| o.0.iou(s.bounds)) / 1000,
                    top.join(", ")
                );
            }
            for (b, label) in objects {
                if result.sightings.iter().all(|s| s.bounds.iou(b) < 300_000) {
                    eprintln!("  not proposed: {label} {b:?}");
                }
            }
        }
    }
    eprintln!("{:?}", clock.spent.iter().map(|(s, t)| (*s, t.as_micros() / 10)).collect::<Vec<_>>());
    total
}

#[derive(Default)]
struct Clock {
    now: Option<(larder_pipelines::vision::Stage, std::time::Instant)>,
    spent: BTreeMap<larder_pipelines::vision::Stage, std::time::Duration>,
}

impl larder_pipelines::vision::StageTimer for Clock {
    fn begin(&mut self, stage: larder_pipelines::vision::Stage) {
        self.end();
        self.now = Some((stage, std::time::Instant::now()));
    }
    fn end(&mut self) {
        if let Some((stage, since)) = self.now.take() {
            *self.spent.entry(stage).or_default() += since.elapsed();
        }
    }
}

#[test]
fn products_enrolled_from_four_photos_are_counted_in_the_others() {
    if !folder().exists() {
        eprintln!("skipped: {} is absent", folder().display());
        return;
    }
    let verbose = std::env::var_os("LARDER_VERBOSE").is_some();
    let mut choices =
        vec![[0, 2, 3, 4], [6, 9, 12, 17], [2, 7, 11, 18], [0, 8, 13, 14], [3, 6, 14, 18], [4, 9, 11, 17]];
    if let Ok(more) = std::env::var("LARDER_MORE") {
        let mut state = 12345_u64;
        for _ in 0..more.parse().unwrap() {
            let mut left = PHOTOS.to_vec();
            choices.push(std::array::from_fn(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                left.remove((state >> 33) as usize % left.len())
            }));
        }
    }
    let mut sum = 0.0;
    for choice in &choices {
        let counts = evaluate(choice, verbose);
        sum += counts.f1();
        eprintln!(
            "{choice:?} right {} wrong {} missed {} F1 {:.3}",
            counts.right,
            counts.wrong,
            counts.missed,
            counts.f1()
        );
    }
    eprintln!("mean F1 {:.4}", sum / choices.len() as f64);
}
