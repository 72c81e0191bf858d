//! What a group of rows says, without keeping what it said.

use std::hash::Hash;

use differential_dataflow::{
    AsCollection, Data, ExchangeData,
    consolidation::consolidate,
    operators::arrange::{Arranged, TraceAgent},
    trace::{Cursor, TraceReader, cursor::cursor_list, implementations::ValSpine},
};
use timely::{
    dataflow::{
        channels::pact::Pipeline,
        operators::{CapabilitySet, generic::Operator},
    },
    progress::Antichain,
};

use crate::Rows;

/// Rows by key, held once for all that look them up.
pub type ByKey<'scope, K, V> = Arranged<'scope, TraceAgent<ValSpine<K, V, u64, isize>>>;

/// What `logic` says of each key's rows, which it is handed in order, with how often each is there (at least once). It is not asked
/// about a key without rows.
///
/// As differential's `reduce`, which keeps in memory what was said last. Here `logic` is asked again what it said of the rows of
/// before, which are kept anyway: for rows that are many and groups that are small, that halves the memory, and is no slower. It must
/// always say the same of the same rows, and epochs must be in a total order, as ours are.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::grouped;
///
/// timely::example(|scope| {
///     let rows = scope.new_collection_from([('a', 1), ('a', 5), ('a', 5), ('b', 2)]).1;
///     let sums = grouped(rows, "Sum", |_, rows, sum| sum.push(rows.iter().map(|(row, times)| **row * times).sum()));
///     sums.assert_eq(scope.new_collection_from([('a', 11_isize), ('b', 2)]).1);
/// });
/// ```
pub fn grouped<'scope, K, V, W>(
    rows: Rows<'scope, (K, V)>,
    name: &str,
    mut logic: impl FnMut(&K, &[(&V, isize)], &mut Vec<W>) + 'static,
) -> Rows<'scope, (K, W)>
where
    K: ExchangeData + Hash,
    V: ExchangeData,
    W: Data,
{
    let rows: ByKey<'scope, K, V> = rows.arrange_by_key_named(&format!("Arrange: {name}"));
    let mut trace = rows.trace;
    let mut say = move |key: &K, rows: &[(&V, isize)]| {
        let there: Vec<(&V, isize)> = rows.iter().filter(|(_, times)| *times > 0).copied().collect();
        let mut said = Vec::new();
        if !there.is_empty() {
            logic(key, &there, &mut said);
        }
        said
    };
    rows.stream
        .unary_frontier(Pipeline, name, move |_, _| {
            let mut lower = Antichain::from_elem(0);
            let mut upper = lower.clone();
            move |(input, _), output| {
                lower.clone_from(&upper);
                let mut batches = Vec::new();
                let mut capabilities = CapabilitySet::new();
                input.for_each(|capability, spans| {
                    for capability in capability.retain_stamp(0).iter() {
                        capabilities.insert(capability.clone());
                    }
                    for span in spans.drain(..) {
                        upper.clone_from(span.upper());
                        batches.extend(span.inner);
                    }
                });
                if !batches.is_empty() {
                    let before = trace.batches_through(lower.borrow()).unwrap_or_else(|| {
                        unreachable!("nobody lets the trace of {:?} be merged beyond it", lower.elements())
                    });
                    let (mut news, new_rows) = cursor_list(batches);
                    let (mut olds, old_rows) = cursor_list(before);
                    let mut session = output.session(&capabilities);
                    while let Some(key) = news.get_key(&new_rows) {
                        let mut rows: Vec<(&V, isize)> = Vec::new();
                        olds.seek_key(&old_rows, key);
                        if olds.get_key(&old_rows) == Some(key) {
                            while let Some(row) = olds.get_val(&old_rows) {
                                let mut times = 0;
                                olds.map_times(&old_rows, |_, diff| times += diff);
                                if times != 0 {
                                    rows.push((row, times));
                                }
                                olds.step_val(&old_rows);
                            }
                        }
                        let mut changes: Vec<(u64, &V, isize)> = Vec::new();
                        while let Some(row) = news.get_val(&new_rows) {
                            news.map_times(&new_rows, |epoch, diff| changes.push((*epoch, row, *diff)));
                            news.step_val(&new_rows);
                        }
                        // of one epoch they stay in order
                        changes.sort_by_key(|(epoch, ..)| *epoch);
                        let mut was = say(key, &rows);
                        for at_once in changes.chunk_by(|a, b| a.0 == b.0) {
                            rows = merged(&rows, at_once);
                            let is = say(key, &rows);
                            for (said, diff) in differences(&was, &is) {
                                session.give(((key.clone(), said), at_once[0].0, diff));
                            }
                            was = is;
                        }
                        news.step_key(&new_rows);
                    }
                }
                trace.advance_upper(&mut upper);
                trace.set_logical_compaction(upper.borrow());
                trace.set_physical_compaction(upper.borrow());
            }
        })
        .as_collection()
}

/// Rows in order, changed by others in order.
fn merged<'a, V: Ord>(rows: &[(&'a V, isize)], changes: &[(u64, &'a V, isize)]) -> Vec<(&'a V, isize)> {
    let mut merged = Vec::with_capacity(rows.len() + changes.len());
    let mut rows = rows.iter().copied().peekable();
    for &(_, changed, diff) in changes {
        while let Some(row) = rows.next_if(|(row, _)| *row < changed) {
            merged.push(row);
        }
        let there = rows.next_if(|(row, _)| *row == changed).map_or(0, |(_, times)| times);
        if there + diff != 0 {
            merged.push((changed, there + diff));
        }
    }
    merged.extend(rows);
    merged
}

/// What makes one list of rows the other. Mostly they differ in one place.
fn differences<W: Ord + Clone>(was: &[W], is: &[W]) -> Vec<(W, isize)> {
    let same = was.iter().zip(is).take_while(|(a, b)| a == b).count();
    let (was, is) = (&was[same..], &is[same..]);
    let same = was.iter().rev().zip(is.iter().rev()).take_while(|(a, b)| a == b).count();
    let gone = was[..was.len() - same].iter().map(|row| (row.clone(), -1));
    let come = is[..is.len() - same].iter().map(|row| (row.clone(), 1));
    let mut differences = gone.chain(come).collect();
    consolidate(&mut differences);
    differences
}
