//! KAZE and A-KAZE, detection and description, beside OpenCV's, in the same run.
//!
//! `LARDER_TEST_PYTHON=~/.cache/larder/venv/bin/python3 cargo bench -p larder-kernels --bench features`
//!
//! Real photos, resized to 640x480 and 1280x960. OpenCV finds as many points as its default threshold gives, on one thread; ours takes
//! the threshold that gives as many, to one in a hundred. A ratio is OpenCV's best time by ours. Without OpenCV there are only our times,
//! at our default threshold.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use image::{GrayImage, imageops};
use larder_kernels::{
    ImageGrey8,
    features::{BinaryFeatures, FloatFeatures},
    kaze::{Akaze, AkazeParams, AkazeScratch, Kaze, KazeParams, KazeScratch},
};
use opencv::opencv;
use pictures::{read_grey, write_pgm};
use rayon::ThreadPoolBuilder;

#[path = "../tests/opencv/mod.rs"]
mod opencv;
#[path = "../tests/pictures/mod.rs"]
mod pictures;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
const PHOTOS: [&str; 3] = [
    "grocery_store/train/Packages/Juice/Bravo-Apple-Juice/Bravo-Apple-Juice_001.jpg",
    "features/boat/img1.pgm",
    "features/opencv_samples/home.jpg",
];
const SIZES: [(u32, u32); 2] = [(640, 480), (1280, 960)];

/// A detector with its buffers.
trait Detector: Send {
    const NAME: &'static str;
    /// By that threshold, or the default.
    fn new(threshold: Option<f32>, threads: usize) -> Self;
    /// How many points there are.
    fn run(&mut self, picture: &ImageGrey8) -> usize;
}

struct WithKaze(Kaze, KazeScratch, FloatFeatures);

impl Detector for WithKaze {
    const NAME: &'static str = "kaze";
    fn new(threshold: Option<f32>, threads: usize) -> Self {
        let params = KazeParams::default();
        let params = KazeParams { threshold: threshold.unwrap_or(params.threshold), ..params };
        Self(Kaze::new(params).with_threads(threads), KazeScratch::default(), FloatFeatures::default())
    }
    fn run(&mut self, picture: &ImageGrey8) -> usize {
        self.0.detect_and_compute(picture, &mut self.1, &mut self.2);
        self.2.keypoints.len()
    }
}

struct WithAkaze(Akaze, AkazeScratch, BinaryFeatures);

impl Detector for WithAkaze {
    const NAME: &'static str = "akaze";
    fn new(threshold: Option<f32>, threads: usize) -> Self {
        let params = AkazeParams::default();
        let params = AkazeParams { threshold: threshold.unwrap_or(params.threshold), ..params };
        Self(Akaze::new(params).with_threads(threads), AkazeScratch::default(), BinaryFeatures::default())
    }
    fn run(&mut self, picture: &ImageGrey8) -> usize {
        self.0.detect_and_compute(picture, &mut self.1, &mut self.2);
        self.2.keypoints.len()
    }
}

/// The threshold that gives `wanted` points, to one in a hundred, and how many it gives.
fn threshold_for<D: Detector>(picture: &ImageGrey8, wanted: usize) -> (f32, usize) {
    // Halving intervals of the logarithm: the count falls as the threshold rises.
    let (mut low, mut high) = (1e-7_f32.ln(), 0.1_f32.ln());
    let mut nearest = (0.0_f32, 0_usize);
    for _ in 0..30 {
        let middle = f32::midpoint(low, high);
        let points = D::new(Some(middle.exp()), 1).run(picture);
        if points.abs_diff(wanted) < nearest.1.abs_diff(wanted) {
            nearest = (middle.exp(), points);
        }
        if points.abs_diff(wanted) * 100 <= wanted {
            break;
        }
        if points > wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    nearest
}

struct Photo {
    name: String,
    file: PathBuf,
    pixels: ImageGrey8,
}

/// The photos in both sizes, each with a file in `folder`.
fn photos(folder: &Path) -> Vec<Photo> {
    let mut out = Vec::new();
    for photo in PHOTOS {
        let path = Path::new(DATA).join(photo);
        if !path.exists() {
            eprintln!("skipped: {} is absent", path.display());
            continue;
        }
        let grey = read_grey(&path);
        let buffer = GrayImage::from_raw(grey.width() as u32, grey.height() as u32, grey.pixels().to_vec()).unwrap();
        for (width, height) in SIZES {
            let resized = imageops::resize(&buffer, width, height, imageops::FilterType::Triangle).into_raw();
            let pixels = ImageGrey8::from_pixels(width as usize, height as usize, resized).unwrap();
            let name = format!("{} {width}x{height}", path.file_stem().unwrap().to_string_lossy());
            let file = folder.join(format!("{}.pgm", out.len()));
            write_pgm(&file, &pixels);
            out.push(Photo { name, file, pixels });
        }
    }
    out
}

fn race<D: Detector>(c: &mut Criterion, photo: &Photo, theirs: Option<(usize, f64)>, lines: &mut Vec<String>) {
    let threshold = theirs.map(|(points, _)| threshold_for::<D>(&photo.pixels, points).0);
    let mut alone = None;
    for threads in [1, 2] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (mut detector, mut points, mut best) = (D::new(threshold, threads), 0, Duration::MAX);
        let mut group = c.benchmark_group(D::NAME);
        group.sample_size(10);
        group.bench_function(BenchmarkId::from_parameter(format!("{}, {threads} threads", photo.name)), |b| {
            b.iter_custom(|runs| {
                pool.install(|| {
                    (0..runs)
                        .map(|_| {
                            let start = Instant::now();
                            points = detector.run(&photo.pixels);
                            let spent = start.elapsed();
                            best = best.min(spent);
                            spent
                        })
                        .sum()
                })
            });
        });
        let ours = best.as_secs_f64();
        let mut line =
            format!("{:6}{:32}{threads} threads: {:8.2} ms, {points} points", D::NAME, photo.name, ours * 1e3);
        if let Some((points, seconds)) = theirs {
            line += &format!("; OpenCV {:8.2} ms, {points} points: {:5.2} times", seconds * 1e3, seconds / ours);
        }
        if let Some(alone) = alone.replace(ours) {
            line += &format!("; {:4.2} times one thread", alone / ours);
        }
        lines.push(line);
    }
}

fn bench(c: &mut Criterion) {
    let folder = env::temp_dir().join(format!("larder-features-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let photos = photos(&folder);
    let arguments = std::iter::once(PathBuf::from("1")).chain(photos.iter().map(|photo| photo.file.clone()));
    let theirs = opencv("time-features", arguments);
    fs::remove_dir_all(&folder).unwrap();
    let mut lines = Vec::new();
    for (place, photo) in photos.iter().enumerate() {
        let peer = |name: &str| {
            let row = &theirs.as_ref()?[place][name];
            Some((row["points"].as_u64()? as usize, row["seconds"].as_f64()?))
        };
        race::<WithKaze>(c, photo, peer(WithKaze::NAME), &mut lines);
        race::<WithAkaze>(c, photo, peer(WithAkaze::NAME), &mut lines);
    }
    lines.iter().for_each(|line| println!("{line}"));
}

criterion_group!(benches, bench);
criterion_main!(benches);
