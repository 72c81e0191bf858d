//! The product index beside comparing every two descriptors.
//!
//! ```text
//! cargo bench -p larder-kernels --bench index -- [PRODUCTS] [QUERIES] [QUERIES_BY_BRUTE_FORCE] [WARPED]
//! ```
//!
//! 50,000 products of 300 features each, 200 and 5 queries, 5,000 of the products warped without arguments. All are made of the
//! pictures of `../shared/data/grocery_store`. To extract 50,000 pictures would take long, so the first `WARPED` products are pictures warped and
//! recoloured (see `warped.rs`), and the others are made of descriptors: half of a product's features come from
//! each of two pictures, as packages of one maker share a part of their print, every descriptor changed as warping and recolouring do
//! (`NOISE`), every place turned, zoomed and moved.
//!
//! A query for one of the first is a photo of it, all of it or a part in sight, through KAZE; for one of the others a part of its features,
//! changed once more, in perspective, among 300 features of pictures that no product is made of: 60 % of them, as a photo of the package
//! alone does, and 15 %.

mod warped;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use larder_kernels::{
    ImageGrey8, ImageRgb8,
    features::{FloatDescriptors, FloatFeatures, Keypoint},
    grey::grey,
    homography::Homography,
    index::{
        Code, Colours, Described, Kind, ProductIndex, Recognition, SearchScratch, Training, Vocabulary, Voting,
        distances,
    },
    kaze::{Kaze, KazeParams, KazeScratch},
    resize::cut_to_side,
};
use warped::Pictures;

/// How far a changed descriptor is from what it was: that of right matches between iconic pictures and photos is 0.3 to 0.5.
const NOISE: f32 = 0.35;
const FEATURES: usize = 300;
const BATCH: usize = 5000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }
}

/// A unit vector at about [`NOISE`] from `values`.
fn changed(values: &[f32], random: &mut Random, into: &mut Vec<f32>) {
    // The sum of two has a variance of 1/6.
    let scale = NOISE / (64.0_f32 / 6.0).sqrt();
    let begin = into.len();
    into.extend(values.iter().map(|value| value + scale * (random.between(-0.5, 0.5) + random.between(-0.5, 0.5))));
    let length = into[begin..].iter().map(|value| value * value).sum::<f32>().sqrt();
    into[begin..].iter_mut().for_each(|value| *value /= length);
}

fn moved(point: &Keypoint, map: &Homography, turn: f32) -> Keypoint {
    let place = [f64::from(point.x), f64::from(point.y)];
    let [x, y] = map.apply(place).unwrap_or_default();
    let zoom = map.zoom_of_area(place).abs().sqrt() as f32;
    let angle = (point.angle + turn).rem_euclid(std::f32::consts::TAU);
    Keypoint { x: x as f32, y: y as f32, size: point.size * zoom, angle, ..*point }
}

fn product(id: u64, real: &[FloatFeatures]) -> FloatFeatures {
    let mut random = Random(id.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut made = FloatFeatures { keypoints: Vec::new(), descriptors: FloatDescriptors::default() };
    let mut values = Vec::new();
    for source in [id as usize % real.len(), random.below(real.len())] {
        let turn = random.between(-0.2, 0.2);
        let to = [f64::from(random.between(80.0, 270.0)), f64::from(random.between(80.0, 270.0))];
        let zoom = f64::from(random.between(0.6, 1.0));
        let Some(map) = Homography::from_similarity(zoom, f64::from(turn), [174.0, 174.0], to) else { continue };
        for _ in 0..FEATURES / 2 {
            let feature = random.below(real[source].keypoints.len());
            made.keypoints.push(moved(&real[source].keypoints[feature], &map, turn));
            changed(real[source].descriptors.get(feature), &mut random, &mut values);
        }
    }
    made.descriptors = FloatDescriptors::from_values(64, values).unwrap_or_default();
    made
}

fn query(id: u64, shown_part: f32, real: &[FloatFeatures], others: &[FloatFeatures]) -> Described {
    let (shown, mut random) = (product(id, real), Random(id ^ 0x5555_5555));
    let turn = random.between(-0.3, 0.3);
    let zoom = f64::from(random.between(0.5, 1.5));
    let map = Homography::from_similarity(zoom, f64::from(turn), [174.0, 174.0], [200.0, 220.0])
        .unwrap_or(Homography::IDENTITY);
    let slant = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [f64::from(random.between(-4e-4, 4e-4)), 0.0, 1.0]];
    let map = map.after(&Homography::from_rows(slant).unwrap_or(Homography::IDENTITY));
    let mut picture = FloatFeatures::default();
    let mut values = Vec::new();
    for (feature, point) in shown.keypoints.iter().enumerate() {
        if random.between(0.0, 1.0) < shown_part {
            picture.keypoints.push(moved(point, &map, turn));
            changed(shown.descriptors.get(feature), &mut random, &mut values);
        }
    }
    let clutter = &others[random.below(others.len())];
    for _ in 0..FEATURES {
        let feature = random.below(clutter.keypoints.len());
        picture.keypoints.push(clutter.keypoints[feature]);
        changed(clutter.descriptors.get(feature), &mut random, &mut values);
    }
    picture.descriptors = FloatDescriptors::from_values(64, values).unwrap_or_default();
    Described::from_float(&picture, 400, 400).expect("one descriptor for each point")
}

/// The pictures in a folder and those below it that have features to speak of, and these.
fn extract(folder: &Path, kaze: &Kaze, scratch: &mut KazeScratch, found: &mut Vec<(ImageRgb8, FloatFeatures)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            extract(&path, kaze, scratch, found);
        } else if path.extension().is_some_and(|extension| extension == "jpg")
            && let Ok(picture) = image::open(&path)
        {
            let picture = picture.to_rgb8();
            let (width, height) = (picture.width() as usize, picture.height() as usize);
            let pixels = picture.pixels().map(|pixel| pixel.0).collect();
            let Some(picture) = ImageRgb8::from_pixels(width, height, pixels) else { continue };
            let mut brightness = ImageGrey8::default();
            grey(&picture, &mut brightness);
            let mut features = FloatFeatures::default();
            kaze.detect_and_compute(&brightness, scratch, &mut features);
            if features.keypoints.len() >= 20 {
                found.push((cut_to_side(&picture, picture.bounds(), 400), features));
            }
        }
    }
}

/// All descriptors, and where those of each product begin.
#[derive(Default)]
struct Everything {
    codes: Vec<Code>,
    starts: Vec<usize>,
}

/// What is asked, and how well it is answered.
struct Asked<'a> {
    index: &'a ProductIndex,
    all: &'a Everything,
    /// How many are also asked by brute force.
    brute: usize,
}

impl Asked<'_> {
    fn ask(&self, name: &str, queries: &[(u64, Described)]) {
        let (how, voting, mut scratch) = (Recognition::default(), Voting::default(), SearchScratch::default());
        let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
        let (mut top1, mut top10, mut seen, mut searching, mut recognising) = (0, 0, 0, Vec::new(), Vec::new());
        for (id, picture) in queries {
            let begun = Instant::now();
            let ranked = self.index.search(picture, &voting, &mut scratch).expect("floats");
            searching.push(begun.elapsed());
            let at = ranked.iter().position(|ranked| ranked.product == *id);
            top1 += usize::from(at == Some(0));
            top10 += usize::from(at.is_some_and(|at| at < 10));
            let begun = Instant::now();
            let found = self.index.recognise(picture, None, &how, &mut scratch).expect("floats");
            recognising.push(begun.elapsed());
            seen += usize::from(found.first().is_some_and(|first| first.product == *id));
        }
        let count = queries.len();
        println!(
            "{name}\n  index: recall@1 {:.3}, recall@10 {:.3}, {:.1?} a query (median of {count}); verified: top-1 {:.3}, {:.1?}",
            share(top1, count),
            share(top10, count),
            median(&mut searching),
            share(seen, count),
            median(&mut recognising)
        );
        let (mut top1, mut top10, mut spent) = (0, 0, Vec::new());
        for (id, picture) in queries.iter().take(self.brute) {
            let begun = Instant::now();
            let ranked = by_brute_force(picture, self.all);
            spent.push(begun.elapsed());
            let at = ranked.iter().position(|(_, product)| product == id);
            top1 += usize::from(at == Some(0));
            top10 += usize::from(at.is_some_and(|at| at < 10));
        }
        let (ours, theirs, brute) = (median(&mut searching), median(&mut spent), spent.len());
        println!(
            "  brute force: recall@1 {:.3}, recall@10 {:.3}, {theirs:.1?} a query (median of {brute}): {:.0} times the index",
            share(top1, brute),
            share(top10, brute),
            theirs.as_secs_f64() / ours.as_secs_f64().max(1e-9)
        );
    }
}

fn main() {
    let arguments: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let argument = |at: usize, default| arguments.get(at).copied().unwrap_or(default);
    let (products, queries, brute) = (argument(0, 50_000), argument(1, 200), argument(2, 5));
    let warped = argument(3, 5_000).min(products) as u64;
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/grocery_store");
    let (mut real, begun) = (Vec::new(), Instant::now());
    extract(Path::new(data), &Kaze::new(KazeParams::default()), &mut KazeScratch::default(), &mut real);
    if real.len() < 20 {
        println!("skipped: there are too few pictures in {data}");
        return;
    }
    let count: usize = real.iter().map(|(_, features)| features.keypoints.len()).sum();
    println!("{} pictures, {count} real features, in {:.1?}", real.len(), begun.elapsed());

    let codes: Vec<Code> = real
        .iter()
        .flat_map(|(_, features)| {
            Described::from_float(features, 348, 348).map(|found| found.codes().to_vec()).unwrap_or_default()
        })
        .collect();
    let begun = Instant::now();
    let vocabulary = Vocabulary::train(Kind::Float, &codes, &Training::default()).expect("there are descriptors");
    println!("vocabulary of {} words learnt in {:.1?}", vocabulary.words(), begun.elapsed());

    // Every tenth picture is kept for what else is seen.
    let (mut sources, mut others) = (Vec::new(), Vec::new());
    let mut pictures = Pictures { sources: Vec::new(), others: Vec::new() };
    for (at, (picture, features)) in real.into_iter().enumerate() {
        let kept = at % 10 == 9;
        if kept {
            pictures.others.push(picture)
        } else {
            pictures.sources.push(picture)
        }
        if kept { others.push(features) } else { sources.push(features) }
    }
    let (real, others) = (&sources[..], &others[..]);
    let describe =
        |id: u64| Described::from_float(&product(id, real), 348, 348).expect("one descriptor for each point");
    let colours = Colours::of(&ImageRgb8::new(16, 16));
    let mut index = ProductIndex::new(vocabulary);
    let mut all = Everything::default();
    let mut spent = Duration::ZERO;
    for first in (0..products as u64).step_by(BATCH) {
        let ids: Vec<u64> = (first..(first + BATCH as u64).min(products as u64)).collect();
        let split = ids.partition_point(|&id| id < warped);
        let made = pictures.products(&ids[..split]).into_iter().chain(ids[split..].iter().map(|&id| describe(id)));
        let batch: Vec<(u64, Described)> = ids.iter().copied().zip(made).collect();
        for (_, described) in &batch {
            all.starts.push(all.codes.len());
            all.codes.extend(described.codes());
        }
        let rows: Vec<_> = batch.iter().map(|(id, described)| (*id, described, colours)).collect();
        let begun = Instant::now();
        index.add_all(&rows).expect("floats");
        spent += begun.elapsed();
    }
    println!("{} products, {} features indexed in {spent:.1?}", index.len(), all.codes.len());

    let mut file = Vec::new();
    index.save(&mut file).expect("memory");
    let length = file.len() as f64;
    let begun = Instant::now();
    let mut index = ProductIndex::open(file.into()).expect("what was saved");
    println!(
        "{:.1} MB on disk, {:.0} bytes a feature, opened in {:.1?}",
        length / 1e6,
        length / all.codes.len() as f64,
        begun.elapsed()
    );

    let asked = |i: usize| (i as u64).wrapping_mul(7_368_787);
    let asking = Asked { index: &index, all: &all, brute };
    if warped > 0 {
        let ids: Vec<u64> = (0..queries).map(|i| asked(i) % warped).collect();
        for shown in [1.0, 0.4] {
            let photos = ids.iter().copied().zip(pictures.photos(&ids, shown)).collect::<Vec<_>>();
            asking.ask(&format!("photos that show {:.0} % of a product that was warped:", shown * 100.0), &photos);
        }
    }
    if warped < products as u64 {
        let ids: Vec<u64> = (0..queries).map(|i| warped + asked(i) % (products as u64 - warped)).collect();
        for part in [0.6, 0.15] {
            let made: Vec<_> = ids.iter().map(|&id| (id, query(id, part, real, others))).collect();
            asking.ask(&format!("pictures that show {:.0} % of a product's made features:", part * 100.0), &made);
        }
    }

    let (mut adding, mut appended) = (Vec::new(), 0);
    for id in 0..100 {
        let described = describe(1_000_000 + id);
        let begun = Instant::now();
        index.add(1_000_000 + id, &described, colours).expect("floats");
        adding.push(begun.elapsed());
        let mut sink = Vec::new();
        index.append(&mut sink).expect("memory");
        appended = sink.len();
    }
    let begun = Instant::now();
    index.remove(asked(0) % products.max(1) as u64);
    let removing = begun.elapsed();
    let total: Duration = adding.iter().sum();
    let longest = adding.iter().max().copied().unwrap_or_default();
    println!(
        "one product: added in {:.1?} (longest {longest:.1?}), {appended} bytes appended; removed in {removing:.1?}",
        total / 100
    );
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Each feature votes for the product that has the nearest of all features: votes and products, most first.
fn by_brute_force(picture: &Described, all: &Everything) -> Vec<(u32, u64)> {
    let mut scratch = Vec::new();
    let mut best = vec![(u32::MAX, 0); picture.len()];
    let ends = all.starts.iter().skip(1).copied().chain([all.codes.len()]);
    // A product's stay in the cache while all features of the picture are compared with them.
    for ((&start, end), product) in all.starts.iter().zip(ends).zip(0_u64..) {
        for (code, best) in picture.codes().iter().zip(&mut best) {
            distances(Kind::Float, code, &all.codes[start..end], &mut scratch);
            let nearest = scratch.iter().copied().min().unwrap_or(u32::MAX);
            *best = (*best).min((nearest, product));
        }
    }
    let mut votes: Vec<(u32, u64)> = Vec::new();
    best.sort_unstable_by_key(|&(_, product)| product);
    for group in best.chunk_by(|a, b| a.1 == b.1) {
        votes.push((group.len() as u32, group[0].1));
    }
    votes.sort_unstable_by_key(|&(votes, product)| (std::cmp::Reverse(votes), product));
    votes
}
