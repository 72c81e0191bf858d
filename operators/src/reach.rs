//! Sums over cells, and how many households each reaches.

use std::hash::Hash;

use differential_dataflow::{
    ExchangeData, VecCollection,
    difference::{Multiply, Semigroup},
    operators::CountTotal,
};
use larder_records::HouseholdId;

use crate::Rows;

/// For each cell, the sum over its rows and the number of different households among them.
///
/// A row's difference is what it adds and 1, the row itself: `(sums, 1)`. The sums ride in the difference, so that a row
/// costs the same however many its cell has. A household whose rows have all gone is no longer counted.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::reach;
/// use larder_records::HouseholdId;
///
/// timely::example(|scope| {
///     let (a, b) = (HouseholdId::of("a"), HouseholdId::of("b"));
///     let rows = scope.new_collection_from([('m', a, 2), ('m', b, 3), ('m', a, 4)]).1;
///     let found = reach(rows.explode(|(cell, household, count)| [((cell, household), (count, 1))]));
///     found.assert_eq(scope.new_collection_from([('m', (9_isize, 2))]).1);
/// });
/// ```
pub fn reach<'scope, C, S>(
    rows: VecCollection<'scope, u64, (C, HouseholdId), (S, isize)>,
) -> Rows<'scope, (C, (S, isize))>
where
    C: ExchangeData + Hash,
    S: ExchangeData + Semigroup + Multiply<isize, Output = S>,
{
    rows.count_total().explode(|((cell, _), (sums, rows))| [(cell, (sums, isize::from(rows > 0)))]).count_total()
}
