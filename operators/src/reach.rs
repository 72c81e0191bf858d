//! Sums over cells, and how many households each reaches.

use std::hash::Hash;

use differential_dataflow::{
    AsCollection, ExchangeData, VecCollection,
    difference::{Monoid, Multiply},
    operators::{CountTotal, ThresholdTotal},
};
use larder_records::HouseholdId;
use timely::dataflow::operators::vec::Map;

use crate::Rows;

/// For each cell its sums, and the number of different households that it reaches.
///
/// The sums ride in the difference, so that what is added costs the same however many a cell has. A household that no longer stands
/// behind a cell is no longer counted.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::reach;
/// use larder_records::HouseholdId;
///
/// timely::example(|scope| {
///     let (a, b) = (HouseholdId::of("a"), HouseholdId::of("b"));
///     let rows = scope.new_collection_from([('m', a, 2), ('m', b, 3), ('m', a, 4)]).1;
///     let sums = rows.clone().explode(|(cell, _, count)| [(cell, count)]);
///     let found = reach(rows.map(|(cell, household, _)| (cell, household)), sums);
///     found.assert_eq(scope.new_collection_from([('m', (9_isize, 2))]).1);
/// });
/// ```
pub fn reach<'scope, C, S>(
    households: Rows<'scope, (C, HouseholdId)>,
    sums: VecCollection<'scope, u64, C, S>,
) -> Rows<'scope, (C, (S, isize))>
where
    C: ExchangeData + Hash,
    S: ExchangeData + Monoid + Multiply<isize, Output = S>,
{
    let households = households.distinct_total().explode(|(cell, _)| [(cell, (S::zero(), 1))]);
    let sums = sums.inner.map(|(cell, epoch, sums)| (cell, epoch, (sums, 0))).as_collection();
    households.concat(sums).count_total()
}
