//! A homography among matches of which most are wrong.

use super::{Homography, Pair, chance, doubled_area, squared_distance};

/// Which maps are views of a flat reference at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The image of the reference is at least this many times as large in area, and at most `1 / smallest` times.
    pub smallest: f64,
    /// The nearest corner is seen at most so many times larger (in length) than the farthest.
    pub perspective: f64,
    /// The image of the reference is at most so many times as long as it is wide, where the reference were a square.
    pub stretch: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { smallest: 1.0 / 144.0, perspective: 4.0, stretch: 4.0 }
    }
}

impl Limits {
    /// Whether `map` shows a reference of that size: not from behind, as a convex quadrilateral, not too small, too large, too
    /// slanted or too stretched.
    pub fn allow(&self, map: &Homography, width: f64, height: f64) -> bool {
        let Some(corners) = map.corners(width, height) else { return false };
        let convex = (0..4).all(|i| doubled_area(corners[i], corners[(i + 1) % 4], corners[(i + 2) % 4]) > 0.0);
        if !convex {
            return false;
        }
        let area = doubled_area(corners[0], corners[1], corners[2]) + doubled_area(corners[0], corners[2], corners[3]);
        let ratio = area / (2.0 * width * height);
        // The zoom of length at a corner goes with the inverse of the denominator, that of area with its cube.
        let zooms = [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]].map(|place| map.zoom_of_area(place));
        let (least, most) = zooms.iter().fold((f64::MAX, 0.0_f64), |(l, m), &zoom| (l.min(zoom), m.max(zoom)));
        let cubed = self.perspective * self.perspective * self.perspective;
        let sides = |a: usize, b: usize| squared_distance(corners[a], corners[b]);
        let (wide, high) =
            ((sides(0, 1) + sides(2, 3)) / (width * width), (sides(1, 2) + sides(3, 0)) / (height * height));
        least > 0.0
            && most <= cubed * least
            && ratio >= self.smallest
            && ratio * self.smallest <= 1.0
            && wide.max(high) <= self.stretch * self.stretch * wide.min(high)
    }
}

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// A right match is at most this far off, in pixels of either picture.
    pub tolerance: f64,
    /// The search ends when a better map would have been met with this probability.
    pub confidence: f64,
    /// Samples drawn at most.
    pub samples: u32,
    /// Another seed, another sequence of samples.
    pub seed: u64,
    /// What is refused.
    pub limits: Limits,
}

impl Default for Search {
    fn default() -> Self {
        Self { tolerance: 4.0, confidence: 0.999, samples: 2000, seed: 1, limits: Limits::default() }
    }
}

/// A map and what speaks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// From the reference to the picture.
    pub map: Homography,
    /// The indices of the pairs that fit, ascending.
    pub inliers: Vec<u32>,
    /// How many of those are at places of their own: two that share a place in either picture count once.
    pub places: u32,
    /// The decimal logarithm of how many such maps chance alone would give (see [`find`]); below -2, say, it is no chance.
    pub log_chance: f64,
    /// Sum of squared distances over the squared tolerance, each at most one, over all pairs.
    cost: f64,
}

/// The homography that takes most pairs from one picture to the other, `width` by `height` pixels being the size of the
/// picture that is mapped. Better pairs come first (PROSAC). None where no four pairs give a map within the limits with
/// five pairs that fit at places of their own.
///
/// `log_chance` of what is found is the number of false alarms of Moisan and Stival (2004), where the chance of one wrong match to
/// fit is taken from the pairs.
pub fn find(pairs: &[Pair], width: f64, height: f64, search: &Search) -> Option<Found> {
    Task { pairs, width, height, search }.run(None)
}

/// What is looked for.
pub(super) struct Task<'a> {
    pub(super) pairs: &'a [Pair],
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) search: &'a Search,
}

/// Maps with fewer pairs say nothing: four fit always.
const FEWEST: usize = 5;
/// Local optimisations of a new best: fits to samples of what fits it.
const LOCAL_SAMPLES: u64 = 6;
/// What is fitted to is this many times as far off as the tolerance, in turn.
const WIDENED: [f64; 2] = [3.0, 1.5];
/// Pairs of such a sample.
const LOCAL_PAIRS: usize = 12;

impl Task<'_> {
    /// From a first guess, where there is one.
    pub(super) fn run(&self, start: Option<Homography>) -> Option<Found> {
        let usable = |x: f64| x.abs() < 1e6;
        let sound = self.pairs.iter().all(|pair| pair.from.iter().chain(&pair.to).all(|&x| usable(x)));
        if !sound || self.pairs.len() < FEWEST || !usable(self.width) || !usable(self.height) {
            return None;
        }
        let mut best: Option<Candidate> = None;
        if let Some(start) = start.and_then(|map| self.weigh(map)) {
            best = Some(self.optimise(start, u64::MAX));
        }
        let mut order = Prosac::new(self.pairs.len(), self.search);
        for drawn in 1..=self.search.samples {
            let Some(map) = self.map_of(order.draw()) else { continue };
            let Some(candidate) = self.weigh(map) else { continue };
            if best.as_ref().is_none_or(|best| candidate.cost < best.cost) {
                let candidate = self.optimise(candidate, u64::from(drawn));
                if best.as_ref().is_none_or(|best| candidate.cost < best.cost) {
                    best = Some(candidate);
                }
            }
            if let Some(best) = &best {
                let share = best.inliers.len() as f64 / self.pairs.len() as f64;
                if power(1.0 - power(share, 4), drawn) < 1.0 - self.search.confidence {
                    break;
                }
            }
        }
        self.finish(best?)
    }

    /// What the pairs that `admits` says of a map; none where fewer than five fit it.
    pub(super) fn judge(&self, map: Homography, admits: impl Fn(usize) -> bool) -> Option<Found> {
        self.finish(self.weigh_those(map, admits)?)
    }

    fn finish(&self, best: Candidate) -> Option<Found> {
        let Candidate { map, inliers, cost } = best;
        let places = self.places(inliers.iter().map(|&i| &self.pairs[i as usize]));
        if places < FEWEST {
            return None;
        }
        let all = self.places(self.pairs.iter());
        let chance = chance::chance_of_one(self.pairs, &map, self.search.tolerance);
        let log_chance = chance::log_false_alarms(all, places, chance);
        Some(Found { map, inliers, places: places as u32, log_chance, cost })
    }

    /// How many of the pairs are at places of their own, in both pictures: squares of half the tolerance are places.
    fn places<'p>(&self, pairs: impl Iterator<Item = &'p Pair>) -> usize {
        let cell = |place: [f64; 2]| place.map(|x| (x / (self.search.tolerance * 0.5).max(0.25)).floor() as i64);
        let (mut from, mut to): (Vec<_>, Vec<_>) = pairs.map(|pair| (cell(pair.from), cell(pair.to))).unzip();
        let distinct = |cells: &mut Vec<[i64; 2]>| {
            cells.sort_unstable();
            cells.dedup();
            cells.len()
        };
        distinct(&mut from).min(distinct(&mut to))
    }

    /// The map through four pairs; none where they are on a line, lie together, or are turned over.
    fn map_of(&self, sample: [u32; 4]) -> Option<Homography> {
        let chosen = sample.map(|i| self.pairs[i as usize]);
        for (a, b, c) in [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)] {
            let from = spread(chosen[a].from, chosen[b].from, chosen[c].from);
            let to = spread(chosen[a].to, chosen[b].to, chosen[c].to);
            // Both at least so far from a line, and on the same side.
            let (from, to) = (from?, to?);
            if from * to <= 0.0 {
                return None;
            }
        }
        Homography::fit(chosen.iter(), 0)
    }

    /// What fits a map; none where the limits refuse it.
    fn weigh(&self, map: Homography) -> Option<Candidate> {
        self.weigh_those(map, |_| true)
    }

    /// Fits to what nearly fits, ever more closely (Chum, Matas and Kittler 2003, section 3): a map of a few pairs carries their noise, by
    /// which it misses other right ones.
    fn widened(&self, mut map: Homography) -> Option<Candidate> {
        for times in WIDENED {
            let (back, limit) = (map.inverse()?, times * self.search.tolerance);
            let near = self.pairs.iter().filter(|pair| error(&map, &back, pair) < limit * limit);
            map = Homography::fit(near, 1)?;
        }
        self.weigh(map)
    }

    fn weigh_those(&self, map: Homography, admits: impl Fn(usize) -> bool) -> Option<Candidate> {
        if !self.search.limits.allow(&map, self.width, self.height) {
            return None;
        }
        let back = map.inverse()?;
        let limit = self.search.tolerance * self.search.tolerance;
        let mut inliers = Vec::new();
        let mut cost = 0.0;
        for (i, pair) in self.pairs.iter().enumerate() {
            let off = error(&map, &back, pair) / limit;
            if off < 1.0 && admits(i) {
                inliers.push(i as u32);
                cost += off;
            } else {
                cost += 1.0;
            }
        }
        Some(Candidate { map, inliers, cost })
    }

    /// Fits to what fits, and to samples of it, as long as that gets better.
    fn optimise(&self, mut best: Candidate, stream: u64) -> Candidate {
        let chosen = |indices: &[u32]| -> Vec<Pair> { indices.iter().map(|&i| self.pairs[i as usize]).collect() };
        let refit = |best: &mut Candidate| {
            if let Some(widened) = self.widened(best.map)
                && widened.cost < best.cost
            {
                *best = widened;
            }
            for _ in 0..4 {
                let fitted = Homography::fit(chosen(&best.inliers).iter(), 2).and_then(|map| self.weigh(map));
                match fitted {
                    Some(fitted) if fitted.cost < best.cost => *best = fitted,
                    _ => break,
                }
            }
        };
        if best.inliers.len() < FEWEST {
            return best;
        }
        refit(&mut best);
        let mut random = Random::new(self.search.seed ^ stream.rotate_left(32));
        for _ in 0..LOCAL_SAMPLES {
            let many = (best.inliers.len() / 2).clamp(4, LOCAL_PAIRS);
            if many + 1 >= best.inliers.len() {
                break;
            }
            let mut pool = best.inliers.clone();
            for i in 0..many {
                let other = i + random.below(pool.len() - i);
                pool.swap(i, other);
            }
            let local = Homography::fit(chosen(&pool[..many]).iter(), 0).and_then(|map| self.weigh(map));
            if let Some(mut local) = local
                && local.inliers.len() >= FEWEST
            {
                refit(&mut local);
                if local.cost < best.cost {
                    best = local;
                }
            }
        }
        best
    }
}

impl Found {
    /// Whether this explains the pairs better than `other`, of the same pairs.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        self.cost < other.cost
    }
}

struct Candidate {
    map: Homography,
    inliers: Vec<u32>,
    cost: f64,
}

/// The squared distance that a pair is off, in the picture where it is larger; infinite where it is not seen.
fn error(map: &Homography, back: &Homography, pair: &Pair) -> f64 {
    let forth = map.apply(pair.from).map_or(f64::INFINITY, |image| squared_distance(image, pair.to));
    let back = back.apply(pair.to).map_or(f64::INFINITY, |image| squared_distance(image, pair.from));
    forth.max(back)
}

/// The signed area of a triangle over its longest side squared, doubled; none where it is next to a line, or two of its
/// corners lie within two pixels.
fn spread(a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> Option<f64> {
    let sides = [squared_distance(a, b), squared_distance(b, c), squared_distance(c, a)];
    let (shortest, longest) = sides.iter().fold((f64::MAX, 0.0_f64), |(s, l), &side| (s.min(side), l.max(side)));
    let flat = doubled_area(a, b, c) / longest;
    (shortest >= 4.0 && flat.abs() >= 0.02).then_some(flat)
}

/// `base` to the power of `exponent`, by squaring: the same everywhere.
fn power(mut base: f64, mut exponent: u32) -> f64 {
    let mut result = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    result
}

/// Numbers that look random and depend on a seed and on how many were drawn (SplitMix64, Steele 2014).
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// Samples of four, from the best few first and from ever more (Chum and Matas 2005, section 2.2).
struct Prosac {
    random: Random,
    /// The pairs in all, those sampled from now, and the samples drawn.
    count: usize,
    from: usize,
    drawn: u64,
    /// Samples of the first `from` that as many samples of all would hold on average, and where the next pair comes in.
    share: f64,
    grows_at: u64,
}

impl Prosac {
    fn new(count: usize, search: &Search) -> Self {
        let share = (0..4).fold(f64::from(search.samples), |share, i| share * (4 - i) as f64 / (count - i) as f64);
        Self { random: Random::new(search.seed), count, from: 4, drawn: 0, share, grows_at: 1 }
    }

    fn draw(&mut self) -> [u32; 4] {
        self.drawn += 1;
        while self.drawn > self.grows_at && self.from < self.count {
            let next = self.share * (self.from + 1) as f64 / (self.from - 3) as f64;
            self.grows_at += ((next - self.share).ceil() as u64).max(1);
            self.share = next;
            self.from += 1;
        }
        let mut sample = [0_u32; 4];
        // The newest of the pool is in every sample until the pool is all there is.
        let newest = usize::from(self.drawn <= self.grows_at && self.from < self.count);
        let mut chosen = 0;
        if newest == 1 {
            sample[0] = self.from as u32 - 1;
            chosen = 1;
        }
        while chosen < 4 {
            let one = self.random.below(self.from - newest) as u32;
            if !sample[..chosen].contains(&one) {
                sample[chosen] = one;
                chosen += 1;
            }
        }
        sample
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tests::views, *};

    /// `right` pairs by `map`, half a pixel off at most, and `wrong` ones anywhere, mixed.
    fn mixed(map: &Homography, right: usize, wrong: usize, seed: u64) -> Vec<Pair> {
        let mut random = Random::new(seed);
        let mut number = |to: f64| (random.next() >> 11) as f64 / (1_u64 << 53) as f64 * to;
        let mut keyed: Vec<(f64, Pair)> = (0..right + wrong)
            .map(|i| {
                let from = [number(300.0), number(400.0)];
                let image = map.apply(from).unwrap();
                let near = [image[0] + number(1.0) - 0.5, image[1] + number(1.0) - 0.5];
                let far = [number(700.0), number(700.0)];
                (number(1.0), Pair { from, to: if i < right { near } else { far } })
            })
            .collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        keyed.into_iter().map(|(_, pair)| pair).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_view_is_found_among_twice_as_many_wrong_matches(map in views(), seed: u64) {
            let search = Search::default();
            prop_assume!(search.limits.allow(&map, 300.0, 400.0));
            let pairs = mixed(&map, 40, 80, seed);
            let found = find(&pairs, 300.0, 400.0, &search).unwrap();
            prop_assert!(found.log_chance < -10.0 && found.places >= 38);
            for corner in [[0.0, 0.0], [300.0, 0.0], [300.0, 400.0], [0.0, 400.0]] {
                let (ours, theirs) = (found.map.apply(corner).unwrap(), map.apply(corner).unwrap());
                let zoom = map.zoom_of_area(corner).max(1.0);
                prop_assert!(squared_distance(ours, theirs) < 4.0 * zoom, "{ours:?} {theirs:?}");
            }
        }

        #[test]
        fn inliers_are_the_pairs_within_the_tolerance_both_ways(map in views(), seed: u64) {
            let pairs = mixed(&map, 40, 40, seed);
            // So close that some of the right pairs are out, in one picture or the other.
            let search = Search { tolerance: 0.6, ..Search::default() };
            if let Some(found) = find(&pairs, 300.0, 400.0, &search) {
                let back = found.map.inverse().unwrap();
                let within = |a: Option<[f64; 2]>, b| a.is_some_and(|a| squared_distance(a, b) < search.tolerance.powi(2));
                let fits = |pair: &Pair| within(found.map.apply(pair.from), pair.to) && within(back.apply(pair.to), pair.from);
                let expected: Vec<u32> = (0..80).filter(|&i| fits(&pairs[i as usize])).collect();
                prop_assert_eq!(&found.inliers, &expected);
                prop_assert!(search.limits.allow(&found.map, 300.0, 400.0));
                prop_assert_eq!(find(&pairs, 300.0, 400.0, &search), Some(found));
            }
        }

        #[test]
        fn garbage_is_no_panic_and_no_map_outside_the_limits(
            numbers in prop::collection::vec(prop_oneof![
                Just(f64::NAN), Just(f64::INFINITY), Just(-1e300), Just(0.0), Just(7.0), -10.0..500.0_f64, any::<f64>(),
            ], 0..160),
            width in prop_oneof![Just(0.0), Just(f64::NAN), 1.0..500.0],
        ) {
            let pairs: Vec<Pair> =
                numbers.as_chunks::<4>().0.iter().map(|&[a, b, c, d]| Pair { from: [a, b], to: [c, d] }).collect();
            if let Some(found) = find(&pairs, width, 400.0, &Search { samples: 200, ..Search::default() }) {
                prop_assert!(Limits::default().allow(&found.map, width, 400.0));
            }
        }
    }

    #[test]
    fn a_turned_over_or_folded_reference_is_refused() {
        let limits = Limits::default();
        let map = |rows| Homography::from_rows(rows).unwrap();
        assert!(limits.allow(&Homography::IDENTITY, 300.0, 400.0));
        assert!(!limits.allow(&map([[-1.0, 0.0, 300.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), 300.0, 400.0), "a mirror");
        assert!(!limits.allow(&map([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.004, 0.0, 1.0]]), 300.0, 400.0), "a horizon");
        assert!(!limits.allow(&map([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.02, 0.0, 1.0]]), 300.0, 400.0), "a slant");
        assert!(!limits.allow(&map([[0.05, 0.0, 0.0], [0.0, 0.05, 0.0], [0.0, 0.0, 1.0]]), 300.0, 400.0), "a dot");
        assert!(!limits.allow(&map([[20.0, 0.0, 0.0], [0.0, 20.0, 0.0], [0.0, 0.0, 1.0]]), 300.0, 400.0), "a wall");
        assert!(!limits.allow(&map([[2.0, 0.0, 0.0], [0.0, 0.3, 0.0], [0.0, 0.0, 1.0]]), 300.0, 400.0), "a stripe");
    }

    #[test]
    fn coincident_and_collinear_pairs_give_no_map() {
        let search = Search::default();
        let same = vec![Pair { from: [10.0, 10.0], to: [20.0, 20.0] }; 50];
        assert_eq!(find(&same, 300.0, 400.0, &search), None);
        let line: Vec<Pair> =
            (0..50).map(|i| f64::from(i) * 5.0).map(|x| Pair { from: [x, x], to: [x, 9.0] }).collect();
        assert_eq!(find(&line, 300.0, 400.0, &search), None);
        assert_eq!(find(&[], 300.0, 400.0, &search), None);
    }

    #[test]
    fn one_place_matched_many_times_counts_once() {
        let mut pairs = mixed(&Homography::IDENTITY, 12, 0, 3);
        let first = pairs[0];
        pairs.extend([first; 30]);
        let found = find(&pairs, 300.0, 400.0, &Search::default()).unwrap();
        assert_eq!((found.inliers.len(), found.places <= 12), (42, true), "{found:?}");
    }

    #[test]
    fn wrong_matches_give_hardly_ever_a_map_that_is_no_chance() {
        let mut alarms = 0;
        for seed in 0..300 {
            let pairs = mixed(&Homography::IDENTITY, 0, 40 + seed as usize % 160, seed);
            let found = find(&pairs, 300.0, 400.0, &Search { samples: 500, ..Search::default() });
            alarms += u32::from(found.is_some_and(|found| found.log_chance < 0.0));
        }
        assert!(alarms <= 3, "{alarms} of 300");
    }
}
