//! Candidates of a descriptor among the products, and which boxes to keep.

use larder_kernels::describe::similarity;
use larder_records::{BoundingBox, Candidate, PPM, Ppm, Sighting};

use super::References;

/// Candidates kept of one sighting.
const MAX_CANDIDATES: usize = 8;
/// A similarity that anything may have to a product by chance.
const CHANCE: Ppm = 800_000;
/// How sharply a score turns from 0 to 1 as the similarity to the product passes that to anything else.
const SHARPNESS: f64 = 16.0;

/// How sure it is that something is the product, when it is `like` it and `unlike` an object: the logistic function of
/// the logarithm of their ratio, so a half where both are the same.
fn score(like: Ppm, unlike: Ppm) -> Ppm {
    if like == 0 {
        return 0;
    }
    let odds = (f64::from(unlike) / f64::from(like)).powf(SHARPNESS);
    (f64::from(PPM) / (1.0 + odds)).round() as Ppm
}

/// The products that `embedding` is most like, best first; `negatives` are descriptors of what is no object.
pub(super) fn candidates(embedding: &[i8], references: &References, negatives: &[Vec<i8>]) -> Vec<Candidate> {
    let nearest = |known: &[Vec<i8>]| known.iter().map(|known| similarity(embedding, known)).max();
    let unlike = nearest(negatives).unwrap_or(0).max(CHANCE);
    let mut found: Vec<Candidate> = references
        .iter()
        .filter_map(|(product, known)| Some(Candidate { product, score: score(nearest(known)?, unlike) }))
        .collect();
    found.sort_by_key(|candidate| (std::cmp::Reverse(candidate.score), candidate.product));
    found.truncate(MAX_CANDIDATES);
    found
}

/// Two boxes show one thing where they share so much of the smaller.
const SAME_THING: Ppm = 450_000;
/// Parts are objects of their own where they explain at least so much of what the whole does.
const PARTS_SUFFICE: f64 = 0.8;

fn shared_part(a: BoundingBox, b: BoundingBox) -> Ppm {
    (a.overlap(b) * u64::from(PPM) / a.area().min(b.area()).max(1)) as Ppm
}

fn best_score(seen: &Sighting) -> Ppm {
    seen.candidates.first().map_or(0, |best| best.score)
}

/// How much of what changed a box explains: the change in it, if it is surely a product.
fn explained(seen: &Sighting, mass: u32) -> f64 {
    let score = f64::from(best_score(seen).max(PPM / 100)) / f64::from(PPM);
    score.powi(3) * f64::from(mass)
}

/// Whether a box is several things side by side: boxes in it that hardly overlap explain about as much together.
fn is_several(whole: usize, all: &[(Sighting, u32)], explains: &[f64]) -> bool {
    let bounds = all[whole].0.bounds;
    let mut parts: Vec<usize> = (0..all.len())
        .filter(|&part| {
            let (seen, mass) = &all[part];
            bounds.overlap(seen.bounds) * 10 >= seen.bounds.area() * 9
                && mass * 10 >= all[whole].1
                && mass * 5 <= all[whole].1 * 4
                && best_score(seen) >= PPM / 2
        })
        .collect();
    parts.sort_by(|&a, &b| explains[b].total_cmp(&explains[a]).then(a.cmp(&b)));
    let mut taken: Vec<usize> = Vec::new();
    for part in parts {
        if taken.iter().all(|&other| shared_part(all[other].0.bounds, all[part].0.bounds) < PPM / 10) {
            taken.push(part);
        }
    }
    taken.iter().map(|&part| explains[part]).sum::<f64>() >= PARTS_SUFFICE * explains[whole]
}

/// Of all boxes that show one thing, the one that explains most of what changed there. Each box comes with how much
/// changed in it.
pub(super) fn select(all: Vec<(Sighting, u32)>) -> Vec<Sighting> {
    let explains: Vec<f64> = all.iter().map(|(seen, mass)| explained(seen, *mass)).collect();
    let mut order: Vec<usize> = (0..all.len()).filter(|&index| !is_several(index, &all, &explains)).collect();
    order.sort_by(|&a, &b| explains[b].total_cmp(&explains[a]).then_with(|| all[a].0.bounds.cmp(&all[b].0.bounds)));
    let mut kept: Vec<Sighting> = Vec::new();
    for index in order {
        let seen = &all[index].0;
        if kept.iter().all(|better| shared_part(better.bounds, seen.bounds) < SAME_THING) {
            kept.push(seen.clone());
        }
    }
    kept
}
