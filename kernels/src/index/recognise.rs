//! From a ranked list to products that are seen, and where.

use std::f64::consts::{FRAC_PI_4, TAU};

use rayon::prelude::*;

use crate::{
    ImageRgb8,
    features::Keypoint,
    homography::{Found, Homography, Pair, Posed, Search, verify},
};

use super::{
    Described, IndexError, Kind, ProductIndex, SearchScratch, Voting,
    codes::distances,
    colours::{self, Laid},
    edges,
    segment::Segment,
};

/// How products are recognised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recognition {
    /// How the candidates are found.
    pub voting: Voting,
    /// How many of them are verified, best first.
    pub verified: usize,
    /// A feature of the picture is matched with the most alike of a product where the ratio of its distance to that of the next at
    /// another place is below this (Lowe 2004, section 7.1). A map is also sought among those that are below a stricter one.
    pub ratio: f64,
    /// How the map from the product's picture is searched.
    pub search: Search,
    /// A product counts as seen where chance gives fewer such maps than ten to the power of this: 0 asks for one that is no chance. A picture
    /// that is known to show a product is ranked better with 20 or so: what few matches say is then heard, too.
    pub log_chance: f64,
}

impl Default for Recognition {
    fn default() -> Self {
        let search = Search { tolerance: 5.0, ..Search::default() };
        Self { voting: Voting::default(), verified: 20, ratio: 0.9, search, log_chance: 0.0 }
    }
}

/// A feature of the picture and one of a product where the map takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Its index in the picture.
    pub picture: u32,
    /// Its index in the product.
    pub product: u32,
    /// The distance of the descriptors: squared, in steps of 1/256, or bits.
    pub distance: u32,
}

/// A product that is seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognised {
    /// Its id.
    pub product: u64,
    /// Matches that the map was found by, at places of their own.
    pub inliers: u32,
    /// From the product's picture to the picture.
    pub map: Homography,
    /// Pixels a row and rows of the product's picture.
    pub size: (u16, u16),
    /// The decimal logarithm of how many such maps chance would give.
    pub log_chance: f64,
    /// Features that agree with the map, in the order of the picture's.
    pub matches: Vec<Matched>,
    /// What it is ranked by: comparable within one picture.
    pub score: f64,
}

impl ProductIndex {
    /// The products that are seen in a picture, the best first, equal ones by their ids: the best of [`Self::search`], verified.
    ///
    /// With the picture itself, its colours and edges decide between products that have most of their print in common.
    ///
    /// # Errors
    /// [`IndexError::OtherKind`].
    pub fn recognise(
        &self,
        picture: &Described,
        image: Option<&ImageRgb8>,
        how: &Recognition,
        scratch: &mut SearchScratch,
    ) -> Result<Vec<Recognised>, IndexError> {
        let voting = Voting { most: how.verified, ..how.voting };
        let ranked = self.search(picture, &voting, scratch)?;
        let products: Vec<u64> = ranked.iter().map(|ranked| ranked.product).collect();
        self.verify(picture, image, &products, how)
    }

    /// The same of given products, those that there are not left out.
    ///
    /// # Errors
    /// [`IndexError::OtherKind`].
    pub fn verify(
        &self,
        picture: &Described,
        image: Option<&ImageRgb8>,
        products: &[u64],
        how: &Recognition,
    ) -> Result<Vec<Recognised>, IndexError> {
        if picture.kind != self.vocabulary.kind() {
            return Err(IndexError::OtherKind);
        }
        let mut seen: Vec<Recognised> = products
            .par_iter()
            .filter_map(|&product| {
                let &(segment, place) = self.places.get(&product)?;
                Candidate { picture, segment: &self.segments[segment as usize], place, how }.verify(product)
            })
            .collect();
        score(picture.kind, picture.len(), &mut seen);
        seen.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.product.cmp(&b.product)));
        if let Some(image) = image {
            self.settle_siblings(image, &mut seen, how);
        }
        Ok(seen)
    }

    /// Puts first the product that is preferred by its colours and edges to those before it, of which it has most of the print.
    fn settle_siblings(&self, image: &ImageRgb8, seen: &mut [Recognised], how: &Recognition) {
        let mut best = 0;
        for rival in 1..seen.len().min(RIVALS) {
            let Some(preferred) = self.preference(image, &seen[best], &seen[rival], how) else { continue };
            if libm::log(seen[best].score / seen[rival].score) + preferred < 0.0 {
                best = rival;
            }
        }
        if best > 0 {
            seen[best].score = seen[0].score;
            seen[..=best].rotate_right(1);
        }
    }

    /// How much better the picture is explained by `one` than by `other`, where these differ; none where their prints have too little in
    /// common.
    fn preference(&self, image: &ImageRgb8, one: &Recognised, other: &Recognised, how: &Recognition) -> Option<f64> {
        let at = |seen: &Recognised| {
            let &(segment, place) = self.places.get(&seen.product)?;
            Some((&self.segments[segment as usize], place))
        };
        let ((own, own_place), (rivals, rival_place)) = (at(one)?, at(other)?);
        let described = rivals.row(rival_place, self.vocabulary.kind()).described;
        let candidate = Candidate { picture: &described, segment: own, place: own_place, how };
        let between = candidate.view(&candidate.points()).filter(|found| found.places >= SHARED)?.map;
        let (colours, rival_colours) = (own.colours(own_place), rivals.colours(rival_place));
        let size = |seen: &Recognised| [f64::from(seen.size.0), f64::from(seen.size.1)];
        let (own, rival) = ((&colours, size(one)), (&rival_colours, size(other)));
        let forth = Laid::new(image, &one.map, own, rival, &between);
        let back = Laid::new(image, &other.map, rival, own, &between.inverse()?);
        let both = |told: fn(&Laid) -> Option<f64>| match (forth.as_ref().and_then(told), back.as_ref().and_then(told))
        {
            (Some(forth), Some(back)) => Some((forth - back) * 0.5),
            (forth, back) => forth.or(back.map(|back| -back)),
        };
        let told =
            [both(colours::preference).map(|told| COLOURS * told), both(edges::preference).map(|told| EDGES * told)];
        told.iter().any(Option::is_some).then(|| told.into_iter().flatten().sum())
    }
}

/// Products that are compared by colours and edges, the best first.
const RIVALS: usize = 6;
/// Features at places of their own that two products' pictures have in common where they are prints of one maker.
const SHARED: u32 = 15;
/// What a preference by colours and one by edges, of -1 to 1, weigh against the logarithm of a ratio of scores.
const COLOURS: f64 = 1.0;
const EDGES: f64 = 2.0;
/// A second, stricter limit of the ratio, as a share of the first.
const STRICTER: f64 = 0.94;

struct Candidate<'a> {
    picture: &'a Described,
    segment: &'a Segment,
    place: u32,
    how: &'a Recognition,
}

impl Candidate<'_> {
    fn verify(&self, product: u64) -> Option<Recognised> {
        let points = self.points();
        let found = self.view(&points)?;
        if found.log_chance > self.how.log_chance {
            return None;
        }
        let matches = self.guided(&points, &found.map)?;
        Some(Recognised {
            product,
            inliers: found.places,
            map: found.map,
            size: self.segment.size(self.place),
            log_chance: found.log_chance,
            matches,
            score: 0.0,
        })
    }

    fn points(&self) -> Vec<Keypoint> {
        self.segment.features(self.place).map(|feature| self.segment.keypoint(feature)).collect()
    }

    /// From the product's picture to the picture, by features that are alike.
    fn view(&self, points: &[Keypoint]) -> Option<Found> {
        let (width, height) = self.segment.size(self.place);
        let (width, height) = (f64::from(width), f64::from(height));
        let matches = self.likely(points);
        // Where a print repeats itself the right matches are near the limit; where it does not, a stricter one leaves out wrong ones.
        let sure = matches.partition_point(|(share, _)| *share < self.limit(self.how.ratio * STRICTER));
        let matches: Vec<Posed> = matches.into_iter().map(|(_, posed)| posed).collect();
        let all = verify(&matches, width, height, &self.how.search);
        let strict =
            (sure < matches.len()).then(|| verify(&matches[..sure], width, height, &self.how.search)).flatten();
        let mut found = all.into_iter().chain(strict).min_by(|a, b| a.log_chance.total_cmp(&b.log_chance))?;
        // Chance was asked twice.
        found.log_chance += std::f64::consts::LOG10_2;
        Some(found)
    }

    /// A ratio of distances as a ratio of what is compared.
    fn limit(&self, ratio: f64) -> f64 {
        match self.picture.kind {
            // These distances are squared.
            Kind::Float => ratio * ratio,
            Kind::Binary => ratio,
        }
    }

    /// Features matched by the ratio of distances, the surest first.
    fn likely(&self, points: &[Keypoint]) -> Vec<(f64, Posed)> {
        let ratio = self.limit(self.how.ratio);
        let (codes, apart) = (self.segment.codes(self.place), self.how.search.tolerance);
        let mut scratch = Vec::new();
        let mut likely: Vec<(f64, Posed)> = Vec::new();
        for (code, at) in self.picture.codes.iter().zip(&self.picture.keypoints) {
            distances(self.picture.kind, code, codes, &mut scratch);
            let Some(nearest) = (0..scratch.len()).min_by_key(|&index| scratch[index]) else { break };
            // Another feature at the same place, of another size, say, is no other place to confuse it with.
            let point = &points[nearest];
            let elsewhere = |other: &Keypoint| {
                let (dx, dy) = (f64::from(other.x - point.x), f64::from(other.y - point.y));
                dx * dx + dy * dy > apart * apart
            };
            let others = scratch.iter().zip(points).filter(|(_, other)| elsewhere(other));
            let Some(next) = others.map(|(&distance, _)| distance).min() else { continue };
            let share = f64::from(scratch[nearest]) / f64::from(next.max(1));
            if share < ratio {
                likely.push((share, posed(point, at)));
            }
        }
        likely.sort_by(|a, b| a.0.total_cmp(&b.0));
        likely
    }

    /// For each feature of the picture the most alike of those that the map takes there, turned and sized as it says; each of
    /// the product's once.
    fn guided(&self, points: &[Keypoint], map: &Homography) -> Option<Vec<Matched>> {
        let back = map.inverse()?;
        let tolerance = self.how.search.tolerance;
        let codes = self.segment.codes(self.place);
        // Along the rows, so that few are looked at.
        let mut rows: Vec<u32> = (0..points.len() as u32).collect();
        rows.sort_by(|&a, &b| points[a as usize].y.total_cmp(&points[b as usize].y));
        let mut scratch = Vec::new();
        let mut found: Vec<Matched> = Vec::new();
        for (code, (at, picture)) in self.picture.codes.iter().zip(self.picture.keypoints.iter().zip(0..)) {
            let Some([x, y]) = back.apply([f64::from(at.x), f64::from(at.y)]) else { continue };
            let begin = rows.partition_point(|&row| f64::from(points[row as usize].y) < y - tolerance);
            let mut best: Option<Matched> = None;
            for &row in rows[begin..].iter().take_while(|&&row| f64::from(points[row as usize].y) <= y + tolerance) {
                let point = &points[row as usize];
                let (dx, dy) = (f64::from(point.x) - x, f64::from(point.y) - y);
                if dx * dx + dy * dy > tolerance * tolerance || !agrees(map, point, at, tolerance) {
                    continue;
                }
                distances(self.picture.kind, code, &codes[row as usize..=row as usize], &mut scratch);
                let distance = scratch[0];
                if best.is_none_or(|best| (distance, row) < (best.distance, best.product)) {
                    best = Some(Matched { picture, product: row, distance });
                }
            }
            found.extend(best);
        }
        found.sort_by_key(|matched| (matched.product, matched.distance, matched.picture));
        found.dedup_by_key(|matched| matched.product);
        found.sort_by_key(|matched| matched.picture);
        Some(found)
    }
}

/// A feature of a product and one of a picture, as a map sees them.
fn posed(from: &Keypoint, to: &Keypoint) -> Posed {
    Posed {
        pair: Pair { from: [f64::from(from.x), f64::from(from.y)], to: [f64::from(to.x), f64::from(to.y)] },
        zoom: f64::from(to.size) / f64::from(from.size),
        turn: f64::from(to.angle) - f64::from(from.angle),
    }
}

/// Whether a map takes one feature to the other: place, turn within 45 degrees, and size within a factor of two.
fn agrees(map: &Homography, from: &Keypoint, to: &Keypoint, tolerance: f64) -> bool {
    let Posed { pair, zoom, turn } = posed(from, to);
    let (sin, cos) = libm::sincos(f64::from(from.angle));
    let length = f64::from(from.size);
    let end = [pair.from[0] + cos * length, pair.from[1] + sin * length];
    let (Some([x, y]), Some([x1, y1])) = (map.apply(pair.from), map.apply(end)) else { return false };
    let (dx, dy) = (pair.to[0] - x, pair.to[1] - y);
    let off = (libm::atan2(y1 - y, x1 - x) - f64::from(from.angle) - turn).rem_euclid(TAU);
    let ratio = zoom / map.zoom_of_area(pair.from).abs().sqrt();
    dx * dx + dy * dy <= tolerance * tolerance && off.min(TAU - off) <= FRAC_PI_4 && (0.5..=2.0).contains(&ratio)
}

/// A match as unlike as this says nothing.
const UNLIKE: f64 = 0.8;
/// Nor does one that is so much less like than that of another product.
const LESS_LIKE: f64 = 0.2;

/// Ranks what is seen: a point for each place that the map was found by, and up to twice as much for each feature that agrees
/// with it: the more, the more alike the two are, and the less, the more alike another product is there. So a brand's mark,
/// which all of its packages show, speaks for none of them.
fn score(kind: Kind, features: usize, seen: &mut [Recognised]) {
    let mut least = vec![u32::MAX; features];
    for matched in seen.iter().flat_map(|seen| &seen.matches) {
        let least = &mut least[matched.picture as usize];
        *least = (*least).min(matched.distance);
    }
    let length = |distance: u32| match kind {
        Kind::Float => f64::from(distance).sqrt() / 256.0,
        // Bits of strangers differ by half, as unit vectors of strangers are about 1 apart.
        Kind::Binary => f64::from(distance) / 243.0,
    };
    for seen in seen {
        let said = |matched: &Matched| {
            let (own, best) = (length(matched.distance), length(least[matched.picture as usize]));
            (UNLIKE - own).max(0.0) * (1.0 - (own - best) / LESS_LIKE).max(0.0)
        };
        seen.score = f64::from(seen.inliers) + 2.0 * seen.matches.iter().map(said).sum::<f64>();
    }
}
