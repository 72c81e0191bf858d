//! How many photos of a shop the right carton is found for.
//!
//! ```text
//! cargo run --release -p larder-kernels --example retrieval -- [REFERENCE_ENLARGED QUERY_ENLARGED THRESHOLD RATIO]
//! ```
//!
//! The 31 cartons of `../shared/data/grocery_store`: every product below Packages. The iconic pictures are the references, the photos of
//! `train` the queries; a sixth of the photos of fruit and vegetables tells how often a carton is seen where there is none. `tests/python/retrieval_oracle.py` does the same with OpenCV alone.

use std::{error::Error, fs, path::Path, time::Instant};

use larder_kernels::{
    ImageGrey8, ImageRgb8,
    features::FloatFeatures,
    grey::grey,
    homography::Search,
    index::{
        Code, Colours, Described, Kind, ProductIndex, Recognised, Recognition, SearchScratch, Training, Vocabulary,
        Voting,
    },
    kaze::{Kaze, KazeParams, KazeScratch},
    resize::enlarge,
};
use rayon::prelude::*;

/// A product, and the features of one picture of it.
type Seen = (u64, Described, Colours);

fn see(root: &Path, pictures: &[(u64, String)], enlarged: usize, kaze: &Kaze) -> Result<Vec<Seen>, String> {
    let scratch = || (KazeScratch::default(), ImageGrey8::default(), ImageGrey8::default(), FloatFeatures::default());
    pictures
        .par_iter()
        .map_init(scratch, |(scratch, small, large, features), (product, path)| {
            let picture = image::open(root.join(path)).map_err(|error| format!("{path}: {error}"))?.to_rgb8();
            let (width, height) = (picture.width() as usize, picture.height() as usize);
            let pixels = picture.pixels().map(|pixel| pixel.0).collect();
            let picture = ImageRgb8::from_pixels(width, height, pixels).ok_or("no picture")?;
            grey(&picture, small);
            enlarge(small, enlarged, large);
            kaze.detect_and_compute(large, scratch, features);
            for point in &mut features.keypoints {
                let scale = enlarged as f32;
                (point.x, point.y) = ((point.x + 0.5) / scale - 0.5, (point.y + 0.5) / scale - 0.5);
                point.size /= scale;
            }
            let described =
                Described::from_float(features, width as u16, height as u16).map_err(|error| error.to_string())?;
            Ok((*product, described, Colours::of(&picture)))
        })
        .collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |at: usize, default: f64| arguments.get(at).map_or(Ok(default), |argument| argument.parse::<f64>());
    let (reference_enlarged, query_enlarged) = (argument(0, 3.0)? as usize, argument(1, 2.0)? as usize);
    let (threshold, ratio) = (argument(2, 0.0001)? as f32, argument(3, Recognition::default().ratio)?);
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/grocery_store"));
    let Ok(classes) = fs::read_to_string(root.join("classes.csv")) else {
        println!("skipped: there is no {}", root.display());
        return Ok(());
    };
    let mut references: Vec<(u64, String)> = Vec::new();
    for fields in classes.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>()) {
        if let [_, product, _, _, picture, ..] = fields[..]
            && picture.contains("/Packages/")
        {
            references.push((product.parse()?, picture.trim_start_matches('/').to_owned()));
        }
    }
    let (mut queries, mut others) = (Vec::<(u64, String)>::new(), Vec::<(u64, String)>::new());
    for line in fs::read_to_string(root.join("train_subset.txt"))?.lines() {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if let [path, product, ..] = fields[..] {
            let product = product.parse()?;
            if references.iter().any(|reference| reference.0 == product) {
                queries.push((product, path.to_owned()));
            } else {
                others.push((product, path.to_owned()));
            }
        }
    }

    let kaze = Kaze::new(KazeParams { threshold, ..KazeParams::default() });
    let begun = Instant::now();
    let references = see(root, &references, reference_enlarged, &kaze)?;
    let queries = see(root, &queries, query_enlarged, &kaze)?;
    let mean = |seen: &[Seen]| seen.iter().map(|(_, described, _)| described.len()).sum::<usize>() / seen.len().max(1);
    println!(
        "{} products of {} features, {} photos of {}, in {:.1?}",
        references.len(),
        mean(&references),
        queries.len(),
        mean(&queries),
        begun.elapsed()
    );

    let codes: Vec<Code> = references.iter().flat_map(|(_, described, _)| described.codes()).copied().collect();
    let mut index = ProductIndex::new(Vocabulary::train(Kind::Float, &codes, &Training::default())?);
    let rows: Vec<_> = references.iter().map(|(product, described, colours)| (*product, described, *colours)).collect();
    index.add_all(&rows)?;
    let all: Vec<u64> = index.products().collect();

    let loose = Recognition {
        ratio,
        log_chance: 20.0,
        search: Search { tolerance: 5.0, ..Search::default() },
        ..Recognition::default()
    };
    let right = |found: &[Recognised], product: u64| found.first().is_some_and(|first| first.product == product);
    let show = |name: &str, right: usize, begun: Instant| {
        let of = queries.len();
        let each = begun.elapsed() / of.max(1) as u32;
        println!("{name}: {right} of {of}, {:.3}, {each:.1?} each", right as f64 / of.max(1) as f64);
    };
    let mut scratch = SearchScratch::default();
    let (mut first, mut five, begun) = (0, 0, Instant::now());
    for (product, described, _) in &queries {
        let ranked = index.search(described, &Voting::default(), &mut scratch)?;
        let at = ranked.iter().position(|ranked| ranked.product == *product);
        first += usize::from(at == Some(0));
        five += usize::from(at.is_some_and(|at| at < 5));
    }
    show("index alone, first", first, begun);
    show("index alone, among five", five, begun);
    let (mut count, begun) = (0, Instant::now());
    for (product, described, _) in &queries {
        count += usize::from(right(&index.recognise(described, None, &loose, &mut scratch)?, *product));
    }
    show("index, best 20 verified", count, begun);
    let (mut count, mut sure, mut wrong, begun) = (0, 0, 0, Instant::now());
    for (product, described, _) in &queries {
        let found = index.verify(described, None, &all, &loose)?;
        count += usize::from(right(&found, *product));
        let seen = |found: &&Recognised| found.log_chance <= -2.0;
        if let Some(first) = found.iter().find(seen) {
            sure += usize::from(first.product == *product);
            wrong += usize::from(first.product != *product);
        }
    }
    show("every product verified", count, begun);
    println!("of views that are no chance (10^-2): {sure} right, {wrong} wrong");
    let others: Vec<_> = others.into_iter().step_by(6).collect();
    let others = see(root, &others, query_enlarged, &kaze)?;
    let mut alarms = [0, 0];
    for (_, described, _) in &others {
        let found = index.verify(described, None, &all, &loose)?;
        for (alarms, most) in alarms.iter_mut().zip([0.0, -2.0]) {
            *alarms += found.iter().filter(|found| found.log_chance <= most).count();
        }
    }
    println!(
        "{} photos of fruit and vegetables with {} cartons each: {} views seen at 10^0, {} at 10^-2",
        others.len(),
        all.len(),
        alarms[0],
        alarms[1]
    );
    Ok(())
}
