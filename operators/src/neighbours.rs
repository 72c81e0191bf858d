//! Each row with those before and after it.

use std::{array, hash::Hash};

use differential_dataflow::ExchangeData;
use larder_records::Time;

use crate::{Rows, grouped};

/// What a group says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step<V, const N: usize> {
    /// A row with its neighbours.
    Window([Option<V>; N]),
    /// To the group above: a row that lies so near to an end that it, or one beyond, needs it there.
    End(V),
}

/// Widths of the groups of each level, as powers of two of a microsecond: 36 minutes, 13 days. The level above holds everything: some
/// 29 groups a year, whose ends alone it looks at. Each level more is another copy of rows that are far apart.
const LEVELS: [u32; 2] = [31, 40];

/// Each row of a key with the rows next to it in their order, which must begin with `instant`: `N` rows, of which it is that at
/// `place`. Where there is none, before the first and after the last, stands none.
///
/// Rows are grouped by short spans of time, the groups' ends by longer ones, up to a single group. A row is told where its
/// neighbours are, so one that comes, late or not, or goes has three small groups looked at, however long the history is. Each holds
/// a row at most once, and the two above hold no more than `2 * (N - 1)` rows of a group.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::neighbours;
/// use larder_records::Time;
///
/// timely::example(|scope| {
///     let rows = scope.new_collection_from([('a', Time(2)), ('a', Time(1 << 60)), ('b', Time(1))]).1;
///     let expected = scope.new_collection_from([
///         ('a', [Some(Time(2)), Some(Time(1 << 60))]),
///         ('a', [Some(Time(1 << 60)), None]),
///         ('b', [Some(Time(1)), None]),
///     ]).1;
///     neighbours(rows, |time| *time, 0).assert_eq(expected);
/// });
/// ```
pub fn neighbours<'scope, K, V, const N: usize>(
    rows: Rows<'scope, (K, V)>,
    instant: fn(&V) -> Time,
    place: usize,
) -> Rows<'scope, (K, [Option<V>; N])>
where
    K: ExchangeData + Hash,
    V: ExchangeData,
{
    let after = N - 1 - place;
    let group = move |row: &V, shift: Option<u32>| shift.map_or(0, |shift| instant(row).0 >> shift);
    let mut windows = Vec::new();
    let mut ends = rows;
    let mut below = None;
    for shift in LEVELS.into_iter().map(Some).chain([None]) {
        let steps = grouped(
            ends.map(move |(key, row)| ((key, group(&row, shift)), row)),
            "Neighbours",
            move |_, rows, steps| {
                let mut n = 0;
                // what a group below told all about is passed over
                for inner in rows.chunk_by(|a, b| below.is_some() && group(a.0, below) == group(b.0, below)) {
                    for within in 0..inner.len() {
                        let untold = within < place || within + after >= inner.len();
                        let known = shift.is_none() || (n >= place && n + after < rows.len());
                        if untold && known {
                            let row = |at: usize| Some(rows.get((n + at).checked_sub(place)?)?.0.clone());
                            steps.push(Step::Window(array::from_fn(row)));
                        }
                        n += 1;
                    }
                }
                if shift.is_some() {
                    let first = (N - 1).min(rows.len());
                    let last = first.max(rows.len().saturating_sub(N - 1));
                    steps.extend(rows[..first].iter().chain(&rows[last..]).map(|(row, _)| Step::End((*row).clone())));
                }
            },
        );
        windows.push(steps.clone().flat_map(|((key, _), step)| match step {
            Step::Window(window) => Some((key, window)),
            Step::End(_) => None,
        }));
        ends = steps.flat_map(|((key, _), step)| match step {
            Step::End(row) => Some((key, row)),
            Step::Window(_) => None,
        });
        below = shift;
    }
    ends.flat_map(|_| None).concatenate(windows)
}
