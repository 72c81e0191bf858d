//! Candidates of a descriptor among the products, and which boxes to keep.

use std::collections::BTreeMap;

use larder_kernels::describe::similarity;
use larder_records::{BoundingBox, Candidate, PPM, Ppm, ProductId, Sighting};

use super::References;

/// Candidates kept of one sighting.
const MAX_CANDIDATES: usize = 8;
/// Things which are no object are taken to be no more like a product than this: one of them may be an object after all.
const MOST_CHANCE: Ppm = 880_000;
/// An object fills at least so much of its box; what fills less is less likely one.
const SOLID: Ppm = 600_000;
/// How sure it is that something is the product, when it is `like` it and `unlike` an object: the logistic function of
/// the logarithm of their ratio, so a half where both are the same.
fn score(like: Ppm, unlike: Ppm) -> Ppm {
    if like == 0 {
        return 0;
    }
    let ratio = f64::from(unlike) / f64::from(like);
    // The 16th power, by squaring: how sharply the score turns.
    let odds = (0..4).fold(ratio, |power, _| power * power);
    (f64::from(PPM) / (1.0 + odds)).round() as Ppm
}

fn nearest(embedding: &[i8], known: &[Vec<i8>]) -> Ppm {
    known.iter().map(|known| similarity(embedding, known)).max().unwrap_or(0)
}

/// What similarities to each product are worth, given what no object looks like.
#[derive(Clone, Debug, Default)]
pub(super) struct Matcher {
    least: Ppm,
    /// By product: the greatest similarity of anything that is no object.
    chance: BTreeMap<ProductId, Ppm>,
}

impl Matcher {
    /// For `references`, where `negatives` are descriptors of what is no object, and anything may be as like as `least`.
    pub(super) fn new<'a>(
        references: &References,
        negatives: impl Iterator<Item = &'a Vec<i8>> + Clone,
        least: Ppm,
    ) -> Self {
        let chance = references.iter().map(|(product, known)| {
            let greatest = negatives.clone().map(|negative| nearest(negative, known)).max().unwrap_or(0);
            (product, greatest.min(MOST_CHANCE).max(least))
        });
        Self { least, chance: chance.collect() }
    }

    /// The products that `embedding` is most like, best first; `negatives` are those of its own camera. A box of which
    /// less than usual is `filled` with change scores less.
    pub(super) fn candidates(
        &self,
        embedding: &[i8],
        filled: Ppm,
        references: &References,
        negatives: &[Vec<i8>],
    ) -> Vec<Candidate> {
        let unlike = nearest(embedding, negatives);
        let mut found: Vec<Candidate> = references
            .iter()
            .map(|(product, known)| {
                let chance = self.chance.get(&product).copied().unwrap_or(self.least);
                let score = score(nearest(embedding, known), unlike.max(chance));
                let score = u64::from(score) * u64::from(filled.min(SOLID)) / u64::from(SOLID);
                Candidate { product, score: score as Ppm }
            })
            .collect();
        found.sort_by_key(|candidate| (std::cmp::Reverse(candidate.score), candidate.product));
        found.truncate(MAX_CANDIDATES);
        found
    }
}

/// A sighting before it is chosen.
pub(super) struct Seen {
    pub(super) sighting: Sighting,
    /// The part of the box that changed.
    pub(super) filled: Ppm,
    /// How much changed in it.
    pub(super) mass: u32,
}

/// Two boxes show one thing where they share so much of the smaller.
const SAME_THING: Ppm = 450_000;
/// Parts beside each other are objects of their own where they explain at least so much of what the whole does.
const BESIDE_SUFFICE: f64 = 0.8;
/// The same for parts above each other: rather the print of one object, for things stand on shelves.
const ABOVE_SUFFICE: f64 = 1.2;

fn shared_part(a: BoundingBox, b: BoundingBox) -> Ppm {
    (a.overlap(b) * u64::from(PPM) / a.area().min(b.area()).max(1)) as Ppm
}

fn best_score(seen: &Sighting) -> Ppm {
    seen.candidates.first().map_or(0, |best| best.score)
}

/// How much of what changed a box explains: the change in it, if it is surely a product.
fn explained(seen: &Sighting, mass: u32) -> f64 {
    let score = f64::from(best_score(seen).max(PPM / 100)) / f64::from(PPM);
    score * score * score * f64::from(mass)
}

/// Whether a box is several things side by side: boxes in it that hardly overlap explain about as much together.
fn is_several(whole: usize, all: &[Seen], explains: &[f64]) -> bool {
    let bounds = all[whole].sighting.bounds;
    let mut parts: Vec<usize> = (0..all.len())
        .filter(|&part| {
            let Seen { sighting: seen, mass, .. } = &all[part];
            bounds.overlap(seen.bounds) * 10 >= seen.bounds.area() * 9
                && mass * 10 >= all[whole].mass
                && mass * 5 <= all[whole].mass * 4
                && best_score(seen) >= PPM / 2
        })
        .collect();
    parts.sort_by(|&a, &b| explains[b].total_cmp(&explains[a]).then(a.cmp(&b)));
    let mut taken: Vec<usize> = Vec::new();
    for part in parts {
        if taken.iter().all(|&other| shared_part(all[other].sighting.bounds, all[part].sighting.bounds) < PPM / 10) {
            taken.push(part);
        }
    }
    let columns = |part: usize| (all[part].sighting.bounds.left, all[part].sighting.bounds.right);
    let above = taken.iter().enumerate().any(|(index, &a)| {
        taken[index + 1..].iter().any(|&b| {
            let ((left, right), (other_left, other_right)) = (columns(a), columns(b));
            let narrower = (right - left).min(other_right - other_left);
            right.min(other_right).saturating_sub(left.max(other_left)) > narrower / 2
        })
    });
    let suffices = if above { ABOVE_SUFFICE } else { BESIDE_SUFFICE };
    taken.len() > 1 && taken.iter().map(|&part| explains[part]).sum::<f64>() >= suffices * explains[whole]
}

/// Of all boxes that show one thing, the one that explains most of what changed there.
pub(super) fn select(all: Vec<Seen>) -> Vec<Sighting> {
    let explains: Vec<f64> = all.iter().map(|seen| explained(&seen.sighting, seen.mass)).collect();
    let mut order: Vec<usize> = (0..all.len()).filter(|&index| !is_several(index, &all, &explains)).collect();
    order.sort_by(|&a, &b| {
        explains[b].total_cmp(&explains[a]).then_with(|| all[a].sighting.bounds.cmp(&all[b].sighting.bounds))
    });
    let mut kept: Vec<Sighting> = Vec::new();
    for index in order {
        let seen = &all[index].sighting;
        if kept.iter().all(|better| shared_part(better.bounds, seen.bounds) < SAME_THING) {
            kept.push(seen.clone());
        }
    }
    kept
}
