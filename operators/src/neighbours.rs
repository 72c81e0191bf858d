//! Each row linked with the one before and the one after it.

use std::hash::Hash;

use differential_dataflow::ExchangeData;
use larder_records::Time;
use serde::{Deserialize, Serialize};

use crate::Rows;

/// Two rows of one key with no row between them. Before the first row and after the last there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Link<V> {
    /// The earlier row.
    pub before: Option<V>,
    /// The later row.
    pub after: Option<V>,
}

/// What a group says to the level above it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Step<V> {
    /// Two rows with none between.
    Link(V, V),
    /// The first and the last row of the group.
    Range(V, V),
}

/// Widths of the groups of each level, as powers of two of a microsecond: 4.6 minutes, 39 hours. The level above holds everything:
/// some 220 groups a year, whose ends alone it looks at. Each level more is another copy of rows that are far apart.
const LEVELS: [u32; 2] = [38, 47];

/// Links the rows of each key in their order, which must begin with `instant`.
///
/// Rows are grouped by short spans of time, the groups by longer ones, up to a single group: each link is found in exactly
/// one of them, so a row that comes, late or not, or goes has three small groups looked at, however long the history is.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::{Link, neighbours};
/// use larder_records::Time;
///
/// timely::example(|scope| {
///     let rows = scope.new_collection_from([('a', Time(2)), ('a', Time(1 << 60)), ('b', Time(1))]).1;
///     let links = neighbours(rows, |time| *time);
///     let expected = scope.new_collection_from([
///         ('a', Link { before: None, after: Some(Time(2)) }),
///         ('a', Link { before: Some(Time(2)), after: Some(Time(1 << 60)) }),
///         ('a', Link { before: Some(Time(1 << 60)), after: None }),
///         ('b', Link { before: None, after: Some(Time(1)) }),
///         ('b', Link { before: Some(Time(1)), after: None }),
///     ]).1;
///     links.assert_eq(expected);
/// });
/// ```
pub fn neighbours<'scope, K, V>(rows: Rows<'scope, (K, V)>, instant: fn(&V) -> Time) -> Rows<'scope, (K, Link<V>)>
where
    K: ExchangeData + Hash,
    V: ExchangeData + Hash,
{
    let mut links = Vec::new();
    let mut ranges = rows.map(|(key, row)| (key, (row.clone(), row)));
    for shift in LEVELS.into_iter().map(Some).chain([None]) {
        let steps = ranges
            .map(move |(key, (first, last))| {
                let group = shift.map_or(0, |shift| instant(&first).0 >> shift);
                ((key, group), (first, last))
            })
            .reduce_named("Neighbours", |_, ranges, steps| {
                let mut present = ranges.iter().filter(|(_, count)| *count > 0).map(|(range, _)| *range);
                let Some((first, last)) = present.next() else { return };
                let mut last = last;
                for (from, to) in present {
                    steps.push((Step::Link(last.clone(), from.clone()), 1));
                    last = to;
                }
                steps.push((Step::Range(first.clone(), last.clone()), 1));
            });
        links.push(steps.clone().flat_map(|((key, _), step)| match step {
            Step::Link(before, after) => Some((key, Link { before: Some(before), after: Some(after) })),
            Step::Range(..) => None,
        }));
        ranges = steps.flat_map(|((key, _), step)| match step {
            Step::Range(first, last) => Some((key, (first, last))),
            Step::Link(..) => None,
        });
    }
    let ends = ranges.flat_map(|(key, (first, last))| {
        [(key.clone(), Link { before: None, after: Some(first) }), (key, Link { before: Some(last), after: None })]
    });
    ends.concatenate(links)
}
