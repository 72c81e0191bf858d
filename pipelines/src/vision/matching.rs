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
const SAME_THING: Ppm = 500_000;
/// A part of a box is an object of its own where its score falls short of the whole's by no more.
const PART_SLACK: Ppm = 100_000;

fn shared_part(a: BoundingBox, b: BoundingBox) -> Ppm {
    (a.overlap(b) * u64::from(PPM) / a.area().min(b.area()).max(1)) as Ppm
}

fn best_score(seen: &Sighting) -> Ppm {
    seen.candidates.first().map_or(0, |best| best.score)
}

/// Whether `whole` is two things side by side: two boxes that hardly overlap, fill most of it and score about as well.
fn is_several(whole: &Sighting, all: &[Sighting]) -> bool {
    let parts: Vec<&Sighting> = all
        .iter()
        .filter(|part| {
            let area = part.bounds.area();
            let inside = whole.bounds.overlap(part.bounds) * 10 >= area * 9;
            inside
                && area * 5 >= whole.bounds.area()
                && area * 10 <= whole.bounds.area() * 7
                && best_score(part) + PART_SLACK >= best_score(whole)
                && best_score(part) >= PPM / 2
        })
        .collect();
    parts.iter().enumerate().any(|(index, a)| {
        parts[index + 1..].iter().any(|b| {
            shared_part(a.bounds, b.bounds) < PPM / 10
                && (a.bounds.area() + b.bounds.area()) * 10 >= whole.bounds.area() * 6
        })
    })
}

/// Of all boxes that show one thing, the best: the one surest of its product, larger ones first where about equal.
pub(super) fn select(all: Vec<Sighting>) -> Vec<Sighting> {
    let mut ranked: Vec<(i64, Sighting)> = Vec::new();
    for seen in &all {
        if is_several(seen, &all) {
            continue;
        }
        let size = (seen.bounds.area().max(1) as f64).log2();
        let rank = i64::from(best_score(seen)) + (size * AREA_BONUS).round() as i64;
        ranked.push((rank, seen.clone()));
    }
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.bounds.cmp(&b.1.bounds)));
    let mut kept: Vec<Sighting> = Vec::new();
    for (_, seen) in ranked {
        if kept.iter().all(|better| shared_part(better.bounds, seen.bounds) < SAME_THING) {
            kept.push(seen);
        }
    }
    kept
}

/// What doubling a box's area adds to its rank.
const AREA_BONUS: f64 = 60_000.0;
