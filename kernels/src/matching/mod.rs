//! Matching: for each descriptor of one picture, those of another that are like it, by comparing every two.
//!
//! A result depends on the descriptors alone: not on the instruction set, nor on the number of threads.

mod hamming;
mod l2;

pub use hamming::HammingTrains;
pub use l2::L2Trains;
use rayon::prelude::*;

use crate::features::{BinaryDescriptor, FloatDescriptors};

/// A train descriptor and how far it is from a query.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Neighbour<D> {
    /// How far: differing bits (`u32`), or the squared Euclidean distance (`f32`).
    pub distance: D,
    /// Its place among the trains.
    pub index: u32,
}

/// The two trains nearest to a query; of equal distances that of the lower index first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest2<D> {
    /// The nearest; none where there are no trains.
    pub best: Option<Neighbour<D>>,
    /// The next; none where there are fewer than two trains.
    pub second: Option<Neighbour<D>>,
}

impl<D> Default for Nearest2<D> {
    fn default() -> Self {
        Self { best: None, second: None }
    }
}

impl<D: Copy + PartialOrd> Nearest2<D> {
    /// Takes in another train.
    fn offer(&mut self, other: Neighbour<D>) {
        if self.best.is_none_or(|best| other < best) {
            self.second = self.best.replace(other);
        } else if self.second.is_none_or(|second| other < second) {
            self.second = Some(other);
        }
    }
}

/// A pair of descriptors held to be of one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match<D> {
    /// The place of the one among the queries.
    pub query: u32,
    /// The place of the other among the trains.
    pub train: u32,
    /// How far apart: differing bits (`u32`), or the squared Euclidean distance (`f32`).
    pub distance: D,
}

/// Which pairs are held to be of one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchParams {
    /// The nearest train must be nearer than this part of the distance of the second (D. G. Lowe, *Distinctive Image Features
    /// from Scale-Invariant Keypoints*, IJCV 2004, section 7.1); where there is no second, there is no match. None asks for
    /// nothing.
    pub ratio: Option<f32>,
    /// Whether the query must be the nearest to its train, too; of several, that of the lowest index is.
    pub cross_check: bool,
}

impl Default for MatchParams {
    /// Lowe's 0.8, and the cross check.
    fn default() -> Self {
        Self { ratio: Some(0.8), cross_check: true }
    }
}

/// Why descriptors cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// They are of different kinds.
    #[error("descriptors of {queries} components cannot be compared with those of {trains}")]
    Components {
        /// Components of a query.
        queries: usize,
        /// Components of a train.
        trains: usize,
    },
}

/// A measure of distance.
trait Distance: Copy + PartialOrd {
    /// Whether the length `self` is below the part `ratio` of the length `second`.
    fn below(self, ratio: f32, second: Self) -> bool;
}

impl Distance for u32 {
    fn below(self, ratio: f32, second: Self) -> bool {
        (self as f32) < ratio * second as f32
    }
}

impl Distance for f32 {
    fn below(self, ratio: f32, second: Self) -> bool {
        // Both are squares.
        self < ratio * ratio * second
    }
}

/// Buffers reused from picture to picture; hold nothing that changes a result.
#[derive(Clone, Debug, Default)]
pub struct MatchScratch {
    hamming: HammingTrains,
    l2: L2Trains,
    matched_bits: Vec<BinaryDescriptor>,
    matched_values: Vec<f32>,
    nearest_bits: Vec<Nearest2<u32>>,
    nearest_values: Vec<Nearest2<f32>>,
}

/// Matches of binary descriptors into `out`, in the order of the queries; on `threads` threads of the current pool.
pub fn match_binary(
    queries: &[BinaryDescriptor],
    trains: &[BinaryDescriptor],
    params: MatchParams,
    threads: usize,
    scratch: &mut MatchScratch,
    out: &mut Vec<Match<u32>>,
) {
    let MatchScratch { hamming, matched_bits: matched, nearest_bits: nearest, .. } = scratch;
    hamming.fill(trains);
    hamming.nearest2(queries, threads, nearest);
    clear_cut(nearest, params.ratio, out);
    if params.cross_check {
        // Only the trains that have a match are looked at from the other side.
        matched.clear();
        matched.extend(out.iter().map(|found| trains[found.train as usize]));
        hamming.fill(queries);
        hamming.nearest2(matched, threads, nearest);
        keep_mutual(nearest, out);
    }
}

/// Matches of float descriptors into `out`, in the order of the queries; on `threads` threads of the current pool.
///
/// # Errors
/// [`MatchError::Components`] where both have descriptors, but of different kinds; `out` is then empty.
pub fn match_float(
    queries: &FloatDescriptors,
    trains: &FloatDescriptors,
    params: MatchParams,
    threads: usize,
    scratch: &mut MatchScratch,
    out: &mut Vec<Match<f32>>,
) -> Result<(), MatchError> {
    let MatchScratch { l2, matched_values: matched, nearest_values: nearest, .. } = scratch;
    out.clear();
    l2.fill(trains);
    l2.nearest2(queries, threads, nearest)?;
    clear_cut(nearest, params.ratio, out);
    if params.cross_check {
        matched.clear();
        out.iter().for_each(|found| matched.extend_from_slice(trains.get(found.train as usize)));
        l2.fill(queries);
        l2.nearest2_of_values(matched, threads, nearest);
        keep_mutual(nearest, out);
    }
    Ok(())
}

/// The queries whose nearest train passes the ratio test.
fn clear_cut<D: Distance>(nearest: &[Nearest2<D>], ratio: Option<f32>, out: &mut Vec<Match<D>>) {
    out.clear();
    out.extend(nearest.iter().zip(0..).filter_map(|(found, query)| {
        let best = found.best?;
        let clear = match ratio {
            None => true,
            Some(ratio) => best.distance.below(ratio, found.second?.distance),
        };
        clear.then_some(Match { query, train: best.index, distance: best.distance })
    }));
}

/// Removes the matches whose train has another query that is nearer; `back` are the nearest queries of each match's train.
fn keep_mutual<D: Copy>(back: &[Nearest2<D>], out: &mut Vec<Match<D>>) {
    let mut back = back.iter();
    out.retain(|found| back.next().and_then(|back| back.best).is_some_and(|nearest| nearest.index == found.query));
}

/// Calls `search` with parts of the queries, of `components` values each, and what is to be found for them; on `threads`
/// threads.
fn share_out<Q: Sync, D: Copy + Send>(
    queries: &[Q],
    components: usize,
    threads: usize,
    out: &mut Vec<Nearest2<D>>,
    search: impl Fn(&[Q], &mut [Nearest2<D>]) + Sync,
) {
    let count = queries.len() / components;
    out.clear();
    out.resize(count, Nearest2::default());
    if threads <= 1 {
        return search(queries, out);
    }
    let part = count.div_ceil(threads).max(1);
    queries.par_chunks(part * components).zip(out.par_chunks_mut(part)).for_each(|(queries, out)| search(queries, out));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every pair that passes, by looking at every pair; `distances[query][train]` and the ratio of what `length` makes of them.
    fn plain(distances: &[Vec<f64>], params: MatchParams, length: fn(f64) -> f64) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        for (query, row) in distances.iter().enumerate() {
            let Some(best) = (0..row.len()).min_by(|&a, &b| row[a].total_cmp(&row[b])) else { continue };
            if let Some(ratio) = params.ratio {
                let others = (0..row.len()).filter(|&other| other != best);
                if !others
                    .map(|other| row[other])
                    .reduce(f64::min)
                    .is_some_and(|second| length(row[best]) < f64::from(ratio) * length(second))
                {
                    continue;
                }
            }
            let nearer = |other: usize| {
                distances[other][best] < row[best] || distances[other][best] == row[best] && other < query
            };
            if params.cross_check && (0..distances.len()).any(nearer) {
                continue;
            }
            found.push((query as u32, best as u32));
        }
        found
    }

    proptest! {
        #[test]
        fn matches_are_those_of_plain_loops(
            queries in prop::collection::vec(0_u64..64, 0..12),
            trains in prop::collection::vec(0_u64..64, 0..12),
            ratio in prop::option::of(prop::sample::select(vec![0.5_f32, 0.75, 1.0])),
            cross_check: bool,
        ) {
            let params = MatchParams { ratio, cross_check };
            let mut scratch = MatchScratch::default();

            let bits = |values: &[u64]| values.iter().map(|&value| [value, 0, 0, 0, 0, 0, 0, value]).collect::<Vec<_>>();
            let mut found = Vec::new();
            match_binary(&bits(&queries), &bits(&trains), params, 1, &mut scratch, &mut found);
            let distances = |distance: &dyn Fn(u64, u64) -> f64| {
                queries.iter().map(|&q| trains.iter().map(|&t| distance(q, t)).collect()).collect::<Vec<Vec<f64>>>()
            };
            let binary = distances(&|q, t| f64::from((q ^ t).count_ones() * 2));
            let pairs: Vec<(u32, u32)> = found.iter().map(|found| (found.query, found.train)).collect();
            prop_assert_eq!(pairs, plain(&binary, params, |distance| distance));
            for found in &found {
                prop_assert_eq!(f64::from(found.distance), binary[found.query as usize][found.train as usize]);
            }

            let floats = |values: &[u64]| FloatDescriptors::from_values(1, values.iter().map(|&v| v as f32).collect()).unwrap();
            let mut found = Vec::new();
            match_float(&floats(&queries), &floats(&trains), params, 1, &mut scratch, &mut found).unwrap();
            let float = distances(&|q, t| (q as f64 - t as f64).powi(2));
            let pairs: Vec<(u32, u32)> = found.iter().map(|found| (found.query, found.train)).collect();
            prop_assert_eq!(pairs, plain(&float, params, f64::sqrt));
            for found in &found {
                prop_assert_eq!(f64::from(found.distance), float[found.query as usize][found.train as usize]);
            }
        }
    }
}
