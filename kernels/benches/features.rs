//! KAZE and A-KAZE, detection and description, beside OpenCV's, in the same run.
//!
//! `LARDER_TEST_PYTHON=~/.cache/larder/venv/bin/python3 cargo bench -p larder-kernels --bench features`
//!
//! Real photos, resized to 640x480 and 1280x960. OpenCV finds as many points as its default threshold gives, on one thread; ours takes
//! the threshold that gives as many, to one in a hundred. A ratio is OpenCV's best time by ours. Without OpenCV there are only our times,
//! at our default threshold.
//!
//! Ours run on one thread, on two that share the rows of a picture, and on two that have a picture each. What two threads can be at best
//! is measured first: arithmetic without memory, and a triad over arrays far larger than any cache, on one thread and on two. Beside
//! each time stands how many times as long it is as memory would need at that rate, were every plane that a stage reads or writes moved
//! there and back once: planes that stay in a cache between two stages are not, so that it may be less than one.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    env, fs,
    hint::black_box,
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
    /// Planes of the picture's size that its stages read and write, each counted once a stage.
    fn planes(&self) -> f64;
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
    fn planes(&self) -> f64 {
        let KazeParams { n_octaves, n_octave_layers, .. } = self.0.params();
        FIRST_PLANES + LEVEL_PLANES * (n_octaves * n_octave_layers) as f64
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
    fn planes(&self) -> f64 {
        let AkazeParams { n_octaves, n_octave_layers, .. } = *self.0.params();
        // An octave has a quarter of the pixels of the one before, of which it is made and smoothed anew.
        let octave =
            |octave: usize| (HALVED_PLANES + LEVEL_PLANES * n_octave_layers as f64) / f64::from(1 << (2 * octave));
        FIRST_PLANES + LEVEL_PLANES * (n_octave_layers - 1) as f64 + (1..n_octaves).map(octave).sum::<f64>()
    }
}

/// Planes of 32-bit floats that the first level reads and writes: brightness (from bytes), two blurs, the contrast and its histogram, and
/// what all levels do.
const FIRST_PLANES: f64 = 1.25 + 2.0 + 2.0 + 3.0 + EVERY_PLANES;
/// Those of any other level: conductivity (reads one, writes two), diffusion (reads three, writes one), the blur.
const LEVEL_PLANES: f64 = 3.0 + 4.0 + 2.0 + EVERY_PLANES;
/// Those of slopes (one, two), determinants (two, one) and the search for maxima (one).
const EVERY_PLANES: f64 = 3.0 + 3.0 + 1.0;
/// Those of an octave that is halved from the one before.
const HALVED_PLANES: f64 = 4.0 + 1.0 + 2.0;

/// What the machine gives one thread, and two.
struct Machine {
    /// Gigabytes a second between caches and memory.
    memory: [f64; 2],
    /// How much more arithmetic two threads do.
    arithmetic: f64,
}

/// Floats of an array of the triad: 400 MB, more than a last cache holds of three.
const TRIAD: usize = 100 << 20;
/// Rounds of arithmetic.
const ROUNDS: u32 = 500_000_000;

impl Machine {
    fn measured() -> Self {
        let best = |work: &mut dyn FnMut()| {
            let once = |_| {
                let start = Instant::now();
                work();
                start.elapsed().as_secs_f64()
            };
            (0..5).map(once).fold(f64::MAX, f64::min)
        };
        let mut arrays = [1.0_f32, 2.0, 3.0].map(|value| vec![value; TRIAD]);
        let triad = |threads: usize, [to, from, scaled]: &mut [Vec<f32>; 3]| {
            let part = TRIAD / threads;
            std::thread::scope(|scope| {
                for ((to, from), scaled) in to.chunks_mut(part).zip(from.chunks(part)).zip(scaled.chunks(part)) {
                    scope.spawn(move || {
                        for ((to, from), scaled) in to.iter_mut().zip(from).zip(scaled) {
                            *to = from + 0.5 * scaled;
                        }
                        black_box(to);
                    });
                }
            });
        };
        let moved = (3 * TRIAD * size_of::<f32>()) as f64 / 1e9;
        let memory = [1, 2].map(|threads| moved / best(&mut || triad(threads, &mut arrays)));
        let arithmetic = |threads: usize| {
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    // Chains beside each other, so that threads of one core would be in each other's way.
                    scope.spawn(move || {
                        let mut values = black_box([thread as f32; 64]);
                        for _ in 0..ROUNDS / 64 {
                            values.iter_mut().for_each(|value| *value = *value * 0.999 + 1.0);
                        }
                        black_box(values);
                    });
                }
            });
        };
        let [one, two] = [1, 2].map(|threads| best(&mut || arithmetic(threads)));
        Self { memory, arithmetic: 2.0 * one / two }
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

/// How two threads are shared out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Share {
    /// There is one.
    Alone,
    /// Over the rows of a picture.
    Rows,
    /// Over two pictures.
    Pictures,
}

impl Share {
    const ALL: [Self; 3] = [Self::Alone, Self::Rows, Self::Pictures];

    fn name(self) -> &'static str {
        match self {
            Self::Alone => "1 thread",
            Self::Rows => "2 threads, rows",
            Self::Pictures => "2 threads, pictures",
        }
    }
}

fn race<D: Detector>(
    c: &mut Criterion,
    photo: &Photo,
    machine: &Machine,
    theirs: Option<(usize, f64)>,
    lines: &mut Vec<String>,
) {
    let threshold = theirs.map(|(points, _)| threshold_for::<D>(&photo.pixels, points).0);
    let mut alone = None;
    for share in Share::ALL {
        let threads = if share == Share::Alone { 1 } else { 2 };
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let rows = if share == Share::Rows { 2 } else { 1 };
        let [mut first, mut second] = std::array::from_fn(|_| D::new(threshold, rows));
        let (mut points, mut best) = (0, Duration::MAX);
        let mut group = c.benchmark_group(D::NAME);
        group.sample_size(10);
        group.bench_function(BenchmarkId::from_parameter(format!("{}, {}", photo.name, share.name())), |b| {
            b.iter_custom(|runs| {
                pool.install(|| {
                    (0..runs)
                        .map(|_| {
                            let start = Instant::now();
                            points = if share == Share::Pictures {
                                rayon::join(|| first.run(&photo.pixels), || second.run(&photo.pixels)).0
                            } else {
                                first.run(&photo.pixels)
                            };
                            let spent = start.elapsed();
                            best = best.min(spent);
                            spent
                        })
                        .sum()
                })
            });
        });
        if best == Duration::MAX {
            // Left out by the filter.
            continue;
        }
        let pictures = if share == Share::Pictures { 2.0 } else { 1.0 };
        let ours = best.as_secs_f64() / pictures;
        let mut line = format!(
            "{:6}{:32}{:20}{:8.2} ms a picture, {points} points",
            D::NAME,
            photo.name,
            share.name(),
            ours * 1e3
        );
        let moved = first.planes() * (photo.pixels.pixels().len() * size_of::<f32>()) as f64 / 1e9;
        let limit = moved / machine.memory[threads - 1];
        line += &format!("; {moved:4.2} GB, {:4.1} times what memory needs", ours / limit);
        if let Some((points, seconds)) = theirs {
            line += &format!("; OpenCV {:8.2} ms, {points} points: {:5.2} times", seconds * 1e3, seconds / ours);
        }
        match alone {
            None if share == Share::Alone => alone = Some(ours),
            None => {}
            Some(alone) => line += &format!("; {:4.2} times one thread", alone / ours),
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
    let machine = Machine::measured();
    let [one, two] = machine.memory;
    let mut lines = vec![format!(
        "the machine: two threads do {:4.2} times the arithmetic of one; memory moves {one:4.1} GB/s with one, {two:4.1} with two",
        machine.arithmetic
    )];
    for (place, photo) in photos.iter().enumerate() {
        let peer = |name: &str| {
            let row = &theirs.as_ref()?[place][name];
            Some((row["points"].as_u64()? as usize, row["seconds"].as_f64()?))
        };
        race::<WithKaze>(c, photo, &machine, peer(WithKaze::NAME), &mut lines);
        race::<WithAkaze>(c, photo, &machine, peer(WithAkaze::NAME), &mut lines);
    }
    lines.iter().for_each(|line| println!("{line}"));
}

criterion_group!(benches, bench);
criterion_main!(benches);
