//! Which matches agree on one turn, zoom and place.

use std::f64::consts::{PI, TAU};

use super::{Found, Homography, Pair, Search, ransac::Task, squared_distance};

/// A pair with what the features' sizes and orientations say of the map around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posed {
    /// The two places.
    pub pair: Pair,
    /// How many times larger the feature is in the picture that is mapped to.
    pub zoom: f64,
    /// How far it is turned there, in radians from x towards y; 0 where features are upright.
    pub turn: f64,
}

impl Posed {
    fn is_sound(&self) -> bool {
        let places = self.pair.from.iter().chain(&self.pair.to).all(|x| x.abs() < 1e6);
        places && self.turn.abs() < 100.0 && self.zoom > 1e-4 && self.zoom < 1e4
    }

    fn map(&self) -> Option<Homography> {
        Homography::from_similarity(self.zoom, self.turn, self.pair.from, self.pair.to)
    }
}

/// Turns are cast into so many bins around the circle.
const TURNS: i64 = 12;
/// Places are cast into bins of this share of the reference's longer side as it is seen.
const PLACE: f64 = 0.25;

/// Groups of matches that agree on where the reference is, in a Hough transform of turn (bins of 30 degrees), zoom (a factor of two)
/// and place (a quarter of the reference), each match voting for the two nearest bins of each (Lowe 2004, section 7.3).
///
/// Each group holds the indices of its matches, ascending; those with most matches come first, at most `most`, none with fewer
/// than three, and none of which a better one holds the larger half. A reference without extent has none.
pub fn clusters(matches: &[Posed], width: f64, height: f64, most: usize) -> Vec<Vec<u32>> {
    let side = width.max(height);
    let extended = width > 0.0 && height > 0.0 && side < 1e6;
    if !extended {
        return Vec::new();
    }
    let mut votes: Vec<([i64; 4], u32)> = Vec::with_capacity(matches.len() * 16);
    for (index, posed) in matches.iter().enumerate().filter(|(_, posed)| posed.is_sound()) {
        let Some([x, y]) = posed.map().and_then(|map| map.apply([width * 0.5, height * 0.5])) else { continue };
        let turn = posed.turn / TAU * TURNS as f64;
        let zoom = libm::log2(posed.zoom);
        for zoom in nearest_two(zoom) {
            let bin = PLACE * side * libm::exp2(zoom as f64);
            for turn in nearest_two(turn) {
                for x in nearest_two(x / bin) {
                    for y in nearest_two(y / bin) {
                        votes.push(([zoom, turn.rem_euclid(TURNS), x, y], index as u32));
                    }
                }
            }
        }
    }
    votes.sort_unstable();
    let mut bins: Vec<&[([i64; 4], u32)]> = votes.chunk_by(|a, b| a.0 == b.0).filter(|bin| bin.len() >= 3).collect();
    // The sort keeps the order of bins that are equally large.
    bins.sort_by_key(|bin| std::cmp::Reverse(bin.len()));
    let mut found: Vec<Vec<u32>> = Vec::new();
    for bin in bins {
        if found.len() == most {
            break;
        }
        let known = |index: u32| found.iter().any(|better| better.binary_search(&index).is_ok());
        if bin.iter().filter(|(_, index)| known(*index)).count() * 2 <= bin.len() {
            found.push(bin.iter().map(|(_, index)| *index).collect());
        }
    }
    found
}

/// The two bins nearest to a coordinate, whose centres are at halves.
fn nearest_two(coordinate: f64) -> [i64; 2] {
    let lower = (coordinate - 0.5).floor() as i64;
    [lower, lower.saturating_add(1)]
}

/// The view of a reference of `width` by `height` pixels that most matches agree on, better matches first: of each cluster a homography
/// among the matches that are near what the cluster says. Indices of inliers are those of `matches`. None where no cluster gives
/// a map (see [`super::find`]).
///
/// `log_chance` counts all `matches`, not only those of the cluster.
pub fn verify(matches: &[Posed], width: f64, height: f64, search: &Search) -> Option<Found> {
    let mut best: Option<Found> = None;
    let pairs: Vec<Pair> = matches.iter().map(|posed| posed.pair).collect();
    for cluster in clusters(matches, width, height, 6) {
        let Some(middle) = middle(matches, &cluster, width, height) else { continue };
        let near: Vec<u32> =
            (0..matches.len() as u32).filter(|&i| agrees(&matches[i as usize], &middle, width, height)).collect();
        let chosen: Vec<Pair> = near.iter().map(|&i| pairs[i as usize]).collect();
        let narrow = Search { samples: search.samples.min(50 + 8 * chosen.len() as u32), ..*search };
        let task = Task { pairs: &chosen, width, height, search: &narrow };
        let Some(found) = task.run(middle.map()) else { continue };
        // A match that fits by place alone is no witness where its feature is turned or sized otherwise.
        let all = Task { pairs: &pairs, width, height, search };
        let Some(found) = all.judge(found.map, |i| agrees_in_shape(&matches[i], &middle)) else { continue };
        if best.as_ref().is_none_or(|best| found.is_better_than(best)) {
            best = Some(found);
        }
    }
    best
}

/// What a cluster says: the median of its zooms, and the match nearest to the means of its turns and places.
fn middle(matches: &[Posed], cluster: &[u32], width: f64, height: f64) -> Option<Posed> {
    let members = || cluster.iter().map(|&i| &matches[i as usize]);
    let mut zooms: Vec<f64> = members().map(|posed| posed.zoom).collect();
    zooms.sort_by(f64::total_cmp);
    let zoom = zooms[zooms.len() / 2];
    let (mut sin, mut cos) = (0.0, 0.0);
    let centre = [width * 0.5, height * 0.5];
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for posed in members() {
        let (s, c) = libm::sincos(posed.turn);
        sin += s;
        cos += c;
        let [x, y] = posed.map()?.apply(centre)?;
        xs.push(x);
        ys.push(y);
    }
    xs.sort_by(f64::total_cmp);
    ys.sort_by(f64::total_cmp);
    let to = [xs[xs.len() / 2], ys[ys.len() / 2]];
    Some(Posed { pair: Pair { from: centre, to }, zoom, turn: libm::atan2(sin, cos) })
}

fn agrees_in_shape(posed: &Posed, middle: &Posed) -> bool {
    let turn = (posed.turn - middle.turn).rem_euclid(TAU);
    let zoom = posed.zoom / middle.zoom;
    turn.min(TAU - turn) <= PI / 4.0 && (0.4..=2.5).contains(&zoom)
}

fn agrees(posed: &Posed, middle: &Posed, width: f64, height: f64) -> bool {
    let far = 0.3 * width.max(height) * middle.zoom;
    posed.is_sound()
        && agrees_in_shape(posed, middle)
        && middle
            .map()
            .and_then(|map| map.apply(posed.pair.from))
            .is_some_and(|image| squared_distance(image, posed.pair.to) <= far * far)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::homography::Random;

    fn number(random: &mut Random, to: f64) -> f64 {
        (random.next() >> 11) as f64 / (1_u64 << 53) as f64 * to
    }

    fn wrong(random: &mut Random) -> Posed {
        let mut number = |to| number(random, to);
        let pair = Pair { from: [number(300.0), number(400.0)], to: [number(700.0), number(700.0)] };
        Posed { pair, zoom: libm::exp2(number(4.0) - 2.0), turn: number(TAU) }
    }

    fn right(random: &mut Random, zoom: f64, turn: f64, to: [f64; 2]) -> Posed {
        let map = Homography::from_similarity(zoom, turn, [150.0, 200.0], to).unwrap();
        let from = [number(random, 300.0), number(random, 400.0)];
        let [x, y] = map.apply(from).unwrap();
        let to = [x + number(random, 2.0) - 1.0, y + number(random, 2.0) - 1.0];
        let zoom = zoom * libm::exp2(number(random, 0.5) - 0.25);
        Posed { pair: Pair { from, to }, zoom, turn: turn + number(random, 0.3) - 0.15 }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn one_right_match_in_fifteen_is_enough(zoom in 0.4..2.5_f64, turn in 0.0..TAU, x in 100.0..600.0, y in 100.0..600.0, seed: u64) {
            let mut random = Random::new(seed);
            let mut matches: Vec<Posed> = (0..14).map(|_| right(&mut random, zoom, turn, [x, y])).collect();
            matches.extend((0..196).map(|_| wrong(&mut random)));
            let found = verify(&matches, 300.0, 400.0, &Search::default());
            prop_assert!(found.is_some());
            let found = found.unwrap();
            prop_assert!(found.inliers.iter().filter(|&&i| i < 14).count() >= 11, "{found:?}");
            prop_assert!(found.log_chance < 0.0, "{found:?}");
        }

        #[test]
        fn every_member_of_a_cluster_agrees_roughly_with_the_others(seed: u64) {
            let mut random = Random::new(seed);
            let mut matches: Vec<Posed> = (0..10).map(|_| right(&mut random, 1.0, 0.5, [300.0, 300.0])).collect();
            matches.extend((0..150).map(|_| wrong(&mut random)));
            for cluster in clusters(&matches, 300.0, 400.0, 8) {
                prop_assert!(cluster.len() >= 3 && cluster.is_sorted_by(|a, b| a < b));
                for (a, b) in cluster.iter().flat_map(|a| cluster.iter().map(move |b| (a, b))) {
                    let (a, b) = (&matches[*a as usize], &matches[*b as usize]);
                    let turn = (a.turn - b.turn).rem_euclid(TAU);
                    // Votes reach one bin to either side.
                    prop_assert!(turn.min(TAU - turn) <= PI / 3.0 + 1e-9 && (0.25 - 1e-9..=4.0 + 1e-9).contains(&(a.zoom / b.zoom)));
                }
            }
        }

        #[test]
        fn garbage_is_no_panic(numbers in prop::collection::vec(prop_oneof![
            Just(f64::NAN), Just(f64::NEG_INFINITY), Just(0.0), Just(1.0), 0.0..400.0_f64, any::<f64>(),
        ], 0..240)) {
            let matches: Vec<Posed> = numbers.as_chunks::<6>().0.iter()
                .map(|&[a, b, c, d, zoom, turn]| Posed { pair: Pair { from: [a, b], to: [c, d] }, zoom, turn })
                .collect();
            verify(&matches, 300.0, 400.0, &Search::default());
            verify(&matches, f64::NAN, 0.0, &Search::default());
        }
    }

    #[test]
    fn a_reference_without_extent_is_nowhere() {
        let mut random = Random::new(1);
        let matches: Vec<Posed> = (0..20).map(|_| right(&mut random, 1.0, 0.5, [300.0, 300.0])).collect();
        assert!(!clusters(&matches, 300.0, 400.0, 6).is_empty());
        for (width, height) in [(0.0, 400.0), (300.0, 0.0), (f64::NAN, 400.0), (300.0, f64::INFINITY), (-1.0, -1.0)] {
            assert!(clusters(&matches, width, height, 6).is_empty(), "{width} {height}");
            assert_eq!(verify(&matches, width, height, &Search::default()), None);
        }
    }

    #[test]
    fn wrong_matches_are_hardly_ever_verified() {
        let mut alarms = 0;
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let matches: Vec<Posed> = (0..30 + seed % 270).map(|_| wrong(&mut random)).collect();
            let found = verify(&matches, 300.0, 400.0, &Search::default());
            alarms += u32::from(found.is_some_and(|found| found.log_chance < 0.0));
        }
        assert!(alarms <= 3, "{alarms} of 300");
    }
}
