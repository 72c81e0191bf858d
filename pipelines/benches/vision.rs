//! Frames a second of vision on one core, whole and by stage: `cargo bench -p larder-pipelines --bench vision`.
//!
//! Uses a real photo of 1000 by 1333 pixels where there is one, else a made-up one of that size.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    io::Cursor,
    path::PathBuf,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use larder_kernels::kaze::Finder;
use larder_pipelines::vision::{References, SceneLearner, Scratch, Stage, StageTimer, Vision, VisionConfig};
use larder_records::{
    ApplianceId, BoundingBox, Frame, Image, ImageEncoding, Modality, Payload, ProductId, SensorId, Time,
};

/// Sums up the time of each stage.
#[derive(Default)]
struct Clock {
    running: Option<(Stage, Instant)>,
    spent: BTreeMap<Stage, Duration>,
}

impl StageTimer for Clock {
    fn begin(&mut self, stage: Stage) {
        self.end();
        self.running = Some((stage, Instant::now()));
    }

    fn end(&mut self) {
        if let Some((stage, since)) = self.running.take() {
            *self.spent.entry(stage).or_default() += since.elapsed();
        }
    }
}

fn visible(data: Vec<u8>) -> Frame {
    Frame {
        appliance: ApplianceId::of("fridge"),
        sensor: SensorId::of("camera"),
        modality: Modality::Visible,
        time: Time::MIN,
        sequence: 0,
        payload: Payload::Image(Image { encoding: ImageEncoding::Jpeg, data: data.into() }),
    }
}

/// A frame to learn from and one to see, and boxes of objects in the first.
fn frames() -> (Frame, Frame, Vec<BoundingBox>) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/fridge_snapshots/positive"));
    if let (Ok(learnt), Ok(seen), Ok(boxes)) = (
        fs::read(folder.join("0.jpg")),
        fs::read(folder.join("18.jpg")),
        fs::read_to_string(folder.join("0.bboxes.tsv")),
    ) {
        let boxes = boxes.lines().filter_map(|line| {
            let sides: Vec<u16> = line.split_whitespace().filter_map(|side| side.parse().ok()).collect();
            let [left, top, right, bottom] = sides[..] else { return None };
            Some(BoundingBox { left, top, right, bottom })
        });
        return (visible(learnt), visible(seen), boxes.collect());
    }
    let jpeg = |discs: u32| {
        let picture = image::RgbImage::from_fn(1000, 1333, |x, y| {
            let shade = (200 - y / 12 - if y % 220 < 16 || x % 310 < 12 { 60 } else { 0 }) as u8;
            let inside =
                |n: u32| (x as f32 - 110.0 * (n as f32 + 0.8)).hypot(y as f32 - 140.0 * (n as f32 + 1.0)) < 45.0;
            match (0..discs).find(|&n| inside(n)) {
                Some(n) => image::Rgb([(n * 30) as u8, 200 - (n * 20) as u8, 40]),
                None => image::Rgb([shade, shade, shade.saturating_sub(12)]),
            }
        });
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, image::ImageFormat::Jpeg).unwrap();
        visible(out.into_inner())
    };
    let boxes = (0..7_u16).map(|n| {
        let (x, y) = (88 + 110 * n, 140 * (n + 1));
        BoundingBox { left: x - 45, top: y - 45, right: x + 45, bottom: y + 45 }
    });
    (jpeg(7), jpeg(8), boxes.collect())
}

fn bench(criterion: &mut Criterion) {
    let (learnt, frame, boxes) = frames();
    let config = VisionConfig::default();
    let mut learner = SceneLearner::default();
    learner.push(&learnt, &boxes, &config).unwrap();
    let scene = learner.finish(&config);
    let mut references = References::default();
    let Payload::Image(image) = &learnt.payload else { unreachable!() };
    for (index, &bounds) in boxes.iter().enumerate() {
        references
            .add(ProductId::of(&index.to_string()), image, Some(bounds), Some(&scene), &config, &mut Finder::default())
            .unwrap();
    }
    let vision = Vision::new(config, Some(scene), references);
    let mut scratch = Scratch::default();

    let mut group = criterion.benchmark_group("vision, JPEG of 1000x1333, one core");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.bench_function("whole", |bencher| bencher.iter(|| vision.see(&frame, &mut scratch).unwrap()));
    for stage in Stage::ALL {
        group.bench_function(format!("{stage:?}").to_lowercase(), |bencher| {
            bencher.iter_custom(|frames| {
                let mut clock = Clock::default();
                for _ in 0..frames {
                    vision.see_timed(&frame, &mut scratch, &mut clock).unwrap();
                }
                clock.spent[&stage]
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
