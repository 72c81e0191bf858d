//! What goes together.

use std::hash::Hash;

use differential_dataflow::ExchangeData;

use crate::{Rows, grouped};

/// A group with more different members than this is no basket, and has no pairs.
const MAX_MEMBERS: usize = 512;

/// Each pair of different members of a group, the smaller first, with the earliest time that the group has.
///
/// Rows are `(group, (time, member))`. A member counts once however often it is there. A group of more than 512 members has
/// no pairs: that keeps one broken feed from making millions.
///
/// ```
/// use differential_dataflow::input::Input;
///
/// timely::example(|scope| {
///     let rows = [('a', (3, 'm')), ('a', (2, 'e')), ('a', (4, 'm')), ('b', (1, 'm'))];
///     let found = larder_operators::pairs(scope.new_collection_from(rows).1);
///     found.assert_eq(scope.new_collection_from([('a', (2, 'e', 'm'))]).1);
/// });
/// ```
pub fn pairs<'scope, G, T, M>(rows: Rows<'scope, (G, (T, M))>) -> Rows<'scope, (G, (T, M, M))>
where
    G: ExchangeData + Hash,
    T: ExchangeData,
    M: ExchangeData,
{
    grouped(rows, "Pairs", |_, rows, pairs| {
        let Some(((time, _), _)) = rows.first() else { return };
        let mut members: Vec<&M> = rows.iter().map(|((_, member), _)| member).collect();
        members.sort();
        members.dedup();
        if members.len() > MAX_MEMBERS {
            return;
        }
        for (n, first) in members.iter().enumerate() {
            for second in &members[n + 1..] {
                pairs.push((time.clone(), (*first).clone(), (*second).clone()));
            }
        }
    })
}
