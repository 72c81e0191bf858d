//! The nearest float descriptors.

use super::{MatchError, Nearest2, Neighbour, share_out};
use crate::{features::FloatDescriptors, simd::vectorised};

/// Trains that are compared at once.
const LANES: usize = 16;
/// Queries that are compared with a train while it is at hand.
const QUERIES: usize = 4;
/// Groups that are compared with some queries after others: they stay in the second cache (128 KiB of 64 components).
const BLOCK: usize = 32;

/// Float descriptors laid out to be searched by queries; can be filled again, its buffer is kept.
///
/// A squared distance is the sum of the squared differences from the first component to the last. What is not finite is no
/// neighbour.
#[derive(Clone, Debug, Default)]
pub struct L2Trains {
    components: usize,
    count: usize,
    /// Groups of trains side by side: a vector holds one component of sixteen; the last is filled up with what is no number.
    values: Vec<[f32; LANES]>,
}

impl L2Trains {
    /// These `trains` and no others.
    pub fn fill(&mut self, trains: &FloatDescriptors) {
        self.components = trains.components();
        self.count = trains.len();
        self.values.clear();
        self.values.resize(self.count.div_ceil(LANES) * self.components, [f32::NAN; LANES]);
        if self.components == 0 {
            return;
        }
        let groups = self.values.chunks_exact_mut(self.components);
        for (group, trains) in groups.zip(trains.values().chunks(LANES * self.components)) {
            for (lane, train) in trains.chunks_exact(self.components).enumerate() {
                for (to, &value) in group.iter_mut().zip(train) {
                    to[lane] = value;
                }
            }
        }
    }

    /// For each query the two trains at the least squared distance; on `threads` threads of the current pool.
    ///
    /// # Errors
    /// [`MatchError::Components`] where there are queries and trains, but of different kinds.
    pub fn nearest2(
        &self,
        queries: &FloatDescriptors,
        threads: usize,
        out: &mut Vec<Nearest2<f32>>,
    ) -> Result<(), MatchError> {
        let (asked, held) = (queries.components(), self.components);
        if asked != held && !queries.is_empty() && self.count > 0 {
            return Err(MatchError::Components { queries: asked, trains: held });
        }
        out.clear();
        if self.count == 0 {
            out.resize(queries.len(), Nearest2::default());
        } else {
            self.nearest2_of_values(queries.values(), threads, out);
        }
        Ok(())
    }

    /// The same for queries of as many components as the trains.
    pub(super) fn nearest2_of_values(&self, queries: &[f32], threads: usize, out: &mut Vec<Nearest2<f32>>) {
        let components = self.components.max(1);
        share_out(queries, components, threads, out, |queries, out| {
            let blocks = self.values.chunks(BLOCK * components);
            for (block, base) in blocks.zip((0..).step_by(BLOCK * LANES)) {
                for (queries, out) in queries.chunks(QUERIES * components).zip(out.chunks_mut(QUERIES)) {
                    compare(block, components, base, queries, out);
                }
            }
        });
    }
}

vectorised! {
    /// Compares at most [`QUERIES`] queries with the groups of a block, whose first train has the index `base`.
    fn compare(
        block: &[[f32; LANES]],
        components: usize,
        base: u32,
        queries: &[f32],
        out: &mut [Nearest2<f32>],
    ) {
        let mut nearest = [[f32::INFINITY; LANES]; QUERIES];
        let mut next = [[f32::INFINITY; LANES]; QUERIES];
        let mut nearest_step = [[0_u32; LANES]; QUERIES];
        let mut next_step = [[0_u32; LANES]; QUERIES];
        let query = |n: usize| &queries[n.min(out.len() - 1) * components..][..components];
        let queries: [&[f32]; QUERIES] = std::array::from_fn(query);
        for (group, step) in block.chunks_exact(components).zip(0..) {
            let mut sums = [[0.0_f32; LANES]; QUERIES];
            for (component, trains) in group.iter().enumerate() {
                for (sums, query) in sums.iter_mut().zip(queries) {
                    let value = query[component];
                    for (sum, train) in sums.iter_mut().zip(trains) {
                        let difference = train - value;
                        *sum += difference * difference;
                    }
                }
            }
            for n in 0..QUERIES {
                for lane in 0..LANES {
                    let distance = sums[n][lane];
                    let before = nearest[n][lane];
                    let (nearer, near) = (distance < before, distance < next[n][lane]);
                    next[n][lane] = if nearer { before } else if near { distance } else { next[n][lane] };
                    next_step[n][lane] = if nearer { nearest_step[n][lane] } else if near { step } else { next_step[n][lane] };
                    nearest[n][lane] = if nearer { distance } else { before };
                    nearest_step[n][lane] = if nearer { step } else { nearest_step[n][lane] };
                }
            }
        }
        for (n, out) in out.iter_mut().enumerate() {
            for (distances, steps) in [(&nearest, &nearest_step), (&next, &next_step)] {
                for lane in 0..LANES {
                    let distance = distances[n][lane];
                    if distance < f32::INFINITY {
                        out.offer(Neighbour { distance, index: base + steps[n][lane] * LANES as u32 + lane as u32 });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::{self, InstructionSet};

    fn plain(query: &[f32], trains: &FloatDescriptors) -> [Option<Neighbour<f32>>; 2] {
        let mut all = Vec::new();
        for index in 0..trains.len() {
            let mut distance = 0.0;
            for (a, b) in query.iter().zip(trains.get(index)) {
                distance += (a - b) * (a - b);
            }
            if distance.is_finite() {
                all.push((distance, index as u32));
            }
        }
        all.sort_by(|a, b| a.partial_cmp(b).unwrap());
        [0, 1].map(|place| all.get(place).map(|&(distance, index)| Neighbour { distance, index }))
    }

    /// Whole numbers, so that distances are often equal; parts, so that sums round; and what no sum takes.
    fn descriptors(components: usize, most: usize) -> impl Strategy<Value = FloatDescriptors> {
        let value = prop_oneof![
            40 => (0_u8..2).prop_map(f32::from),
            40 => -1.0_f32..1.0,
            1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE]),
        ];
        let one = prop::collection::vec(value, components);
        prop::collection::vec(one, 0..most)
            .prop_map(move |all| FloatDescriptors::from_values(components, all.concat()).unwrap())
    }

    fn sets() -> impl Strategy<Value = (FloatDescriptors, FloatDescriptors)> {
        prop::sample::select(vec![(1, 80), (3, 2 * BLOCK * LANES), (64, 40)])
            .prop_flat_map(|(components, most)| (descriptors(components, 11), descriptors(components, most)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_two_nearest_are_those_of_plain_loops_to_the_last_bit_on_every_instruction_set_and_any_number_of_threads(
            (queries, trains) in sets(),
            threads in 0_usize..5,
        ) {
            let mut held = L2Trains::default();
            held.fill(&trains);
            let mut out = vec![Nearest2::default(); 3];
            for set in InstructionSet::ALL {
                simd::limit(set);
                held.nearest2(&queries, threads, &mut out).unwrap();
                prop_assert_eq!(out.len(), queries.len());
                for (index, found) in out.iter().enumerate() {
                    prop_assert_eq!([found.best, found.second], plain(queries.get(index), &trains), "{:?}", set);
                }
            }
        }
    }

    #[test]
    fn descriptors_of_other_kinds_are_refused_unless_there_are_none() {
        let of = |components, count| FloatDescriptors::from_values(components, vec![0.5; components * count]).unwrap();
        let mut out = Vec::new();
        let mut held = L2Trains::default();
        held.fill(&of(64, 3));
        let error = held.nearest2(&of(128, 1), 1, &mut out).unwrap_err();
        assert_eq!(error, MatchError::Components { queries: 128, trains: 64 });
        assert_eq!(held.nearest2(&FloatDescriptors::default(), 1, &mut out), Ok(()));
        assert!(out.is_empty());
        held.fill(&FloatDescriptors::default());
        assert_eq!(held.nearest2(&of(128, 2), 1, &mut out), Ok(()));
        assert_eq!(out, [Nearest2::default(); 2]);
    }
}
