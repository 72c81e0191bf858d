//! Where descriptors leave open which product is seen, the print tells: local features of the box that agree with those of a
//! reference picture on one view of it.

use std::cmp::Reverse;

use larder_kernels::{
    ImageGrey8, ImageRgb8,
    features::{FloatFeatures, Keypoint},
    grey::grey,
    homography::{Pair, Posed, Search, verify},
    kaze::{Finder, Kaze, KazeParams},
    matching::{Match, MatchParams, MatchScratch, match_float},
    resize::cut_to_side,
};
use larder_records::{BoundingBox, Candidate, PPM, Ppm};
use serde::{Deserialize, Serialize};

/// When local features are asked, and what they are worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureConfig {
    /// Boxes and reference pictures are brought to so many pixels along their longer side.
    pub side: u16,
    /// The strongest features that are kept of each.
    pub most: u16,
    /// Where the best candidate scores less, nothing is likely enough to be asked about.
    pub least: Ppm,
    /// A best candidate that scores as much needs no asking, unless another is close.
    pub sure: Ppm,
    /// Another candidate is close where it scores at least so much of the best one's score.
    pub close: Ppm,
    /// So many features that agree are worth half of what a score lacks to certainty.
    pub half: u16,
}

impl Default for FeatureConfig {
    fn default() -> Self {
        Self { side: 240, most: 600, least: 200_000, sure: 700_000, close: 700_000, half: 8 }
    }
}

impl FeatureConfig {
    /// Whether `candidates`, the best first, leave open which product is seen.
    pub fn asks(&self, candidates: &[Candidate]) -> bool {
        let [best, others @ ..] = candidates else { return false };
        let next = others.first().map_or(0, |next| next.score);
        let close = u64::from(next) * u64::from(PPM) >= u64::from(best.score) * u64::from(self.close);
        best.score >= self.least && (best.score < self.sure || close)
    }

    /// A score, raised by `agreeing` features.
    fn raised(&self, score: Ppm, agreeing: u32) -> Ppm {
        let lacks = u64::from(PPM.saturating_sub(score));
        let agreeing = u64::from(agreeing);
        score + (lacks * agreeing / (agreeing + u64::from(self.half)).max(1)) as Ppm
    }
}

/// The local features of a box.
#[derive(Clone, Debug, Default)]
pub(super) struct Print {
    features: FloatFeatures,
    width: f64,
    height: f64,
}

/// Buffers reused from box to box.
#[derive(Default)]
pub(super) struct PrintScratch {
    grey: ImageGrey8,
    pub(super) finder: Finder,
    matching: MatchScratch,
    matches: Vec<Match<f32>>,
    print: Print,
}

/// Packages in the dim corner of a shelf have weak edges.
const THRESHOLD: f32 = 1e-4;
/// Chance gives fewer maps than ten to the power of this: what is verified is no accident of some dozens of pictures.
const LOG_CHANCE: f64 = -3.0;
/// A right match is at most so far off, in pixels of the boxes as they are compared.
const TOLERANCE: f64 = 5.0;

impl Print {
    /// Of the part of `picture` inside `bounds`.
    pub(super) fn fill(
        &mut self,
        picture: &ImageRgb8,
        bounds: BoundingBox,
        how: &FeatureConfig,
        brightness: &mut ImageGrey8,
        finder: &mut Finder,
    ) {
        let cut = cut_to_side(picture, bounds, usize::from(how.side.max(1)));
        (self.width, self.height) = (cut.width() as f64, cut.height() as f64);
        grey(&cut, brightness);
        let params = KazeParams { threshold: THRESHOLD, max_points: usize::from(how.most), ..KazeParams::default() };
        finder.kaze(&Kaze::new(params), brightness, &mut self.features);
    }

    /// The bytes that are hashed into the fingerprint.
    pub(super) fn write_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.features.keypoints.len() as u64).to_le_bytes());
        for side in [self.width, self.height] {
            bytes.extend_from_slice(&side.to_le_bytes());
        }
        for Keypoint { x, y, size, angle, response, octave, level } in &self.features.keypoints {
            for value in [x, y, size, angle, response] {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
            bytes.extend_from_slice(&[*octave, *level]);
        }
        for value in self.features.descriptors.values() {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    }
}

impl PrintScratch {
    /// Raises those of `candidates` of which a reference picture, among what `prints` gives, is seen inside `bounds`; the best
    /// first again. What no feature speaks for stays as it is: much has no print.
    pub(super) fn weigh<'a, I: IntoIterator<Item = &'a Print>>(
        &mut self,
        picture: &ImageRgb8,
        bounds: BoundingBox,
        how: &FeatureConfig,
        candidates: &mut [Candidate],
        prints: impl Fn(&Candidate) -> I,
    ) {
        let mut print = std::mem::take(&mut self.print);
        print.fill(picture, bounds, how, &mut self.grey, &mut self.finder);
        for candidate in candidates.iter_mut() {
            let mut agreeing = 0;
            for reference in prints(candidate) {
                agreeing = agreeing.max(self.agreeing(&print, reference));
            }
            candidate.score = how.raised(candidate.score, agreeing);
        }
        candidates.sort_by_key(|candidate| (Reverse(candidate.score), candidate.product));
        self.print = print;
    }

    /// How many features of a box agree on one view of the reference.
    fn agreeing(&mut self, seen: &Print, reference: &Print) -> u32 {
        let (at, from) = (&seen.features, &reference.features);
        let how = MatchParams { ratio: Some(0.85), ..MatchParams::default() };
        let matched = match_float(&at.descriptors, &from.descriptors, how, 1, &mut self.matching, &mut self.matches);
        debug_assert!(matched.is_ok(), "both are of one kind");
        self.matches.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.query.cmp(&b.query)));
        let posed: Vec<Posed> = self
            .matches
            .iter()
            .map(|found| posed(&from.keypoints[found.train as usize], &at.keypoints[found.query as usize]))
            .collect();
        let search = Search { tolerance: TOLERANCE, ..Search::default() };
        let found = verify(&posed, reference.width, reference.height, &search);
        found.filter(|found| found.log_chance < LOG_CHANCE).map_or(0, |found| found.places)
    }
}

fn posed(reference: &Keypoint, seen: &Keypoint) -> Posed {
    let place = |point: &Keypoint| [f64::from(point.x), f64::from(point.y)];
    Posed {
        pair: Pair { from: place(reference), to: place(seen) },
        zoom: f64::from(seen.size) / f64::from(reference.size),
        turn: f64::from(seen.angle) - f64::from(reference.angle),
    }
}

#[cfg(test)]
mod tests {
    use larder_records::ProductId;

    use super::*;

    /// Letters of some kind, drawn by a seed.
    fn printed(seed: u32) -> ImageRgb8 {
        let mut state = seed;
        let mut draw = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        let mut image = ImageRgb8::new(200, 200);
        image.pixels_mut().fill([190; 3]);
        for _ in 0..60 {
            let (x, y, wide, high) = (draw(170), draw(170), 6 + draw(22), 6 + draw(22));
            let shade = [draw(160) as u8; 3];
            for row in y..y + high {
                image.row_mut(row as usize)[x as usize..(x + wide) as usize].fill(shade);
            }
        }
        image
    }

    fn candidates() -> Vec<Candidate> {
        [("milk", 500_000), ("juice", 480_000)]
            .map(|(name, score)| Candidate { product: ProductId::of(name), score })
            .into()
    }

    fn weighed(seen: &ImageRgb8, references: &[(&str, &ImageRgb8)]) -> Vec<Candidate> {
        let how = FeatureConfig::default();
        let prints: Vec<(ProductId, Print)> = references
            .iter()
            .map(|(name, picture)| {
                let mut print = Print::default();
                let (mut grey, mut finder) = (ImageGrey8::default(), Finder::default());
                print.fill(picture, picture.bounds(), &how, &mut grey, &mut finder);
                (ProductId::of(name), print)
            })
            .collect();
        let mut candidates = candidates();
        let of = |candidate: &Candidate| {
            let product = candidate.product;
            prints.iter().filter(move |(other, _)| *other == product).map(|(_, print)| print)
        };
        PrintScratch::default().weigh(seen, seen.bounds(), &how, &mut candidates, of);
        candidates
    }

    #[test]
    fn the_print_decides_between_products_that_look_alike() {
        let (milk, juice) = (printed(1), printed(2));
        let found = weighed(&juice, &[("milk", &milk), ("juice", &juice)]);
        assert_eq!(found[0].product, ProductId::of("juice"));
        assert!(found[0].score > 800_000, "{found:?}");
        assert_eq!(found[1], candidates()[0], "what is not seen keeps its score");
    }

    #[test]
    fn without_a_print_nothing_changes() {
        let mut plain = ImageRgb8::new(90, 120);
        plain.pixels_mut().fill([200, 40, 30]);
        assert_eq!(weighed(&plain, &[("milk", &printed(1)), ("juice", &plain)]), candidates());
        assert_eq!(weighed(&ImageRgb8::default(), &[("milk", &printed(1))]), candidates());
    }

    #[test]
    fn only_what_is_left_open_is_asked() {
        let how = FeatureConfig::default();
        let scores = |scores: &[Ppm]| -> Vec<Candidate> {
            scores.iter().map(|&score| Candidate { product: ProductId::of("x"), score }).collect()
        };
        assert!(how.asks(&scores(&[500_000, 10_000])));
        assert!(how.asks(&scores(&[900_000, 800_000])));
        assert!(!how.asks(&scores(&[900_000, 300_000])));
        assert!(!how.asks(&scores(&[100_000, 90_000])));
        assert!(!how.asks(&[]));
    }
}
