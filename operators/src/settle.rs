//! One row a key.

use std::hash::Hash;

use differential_dataflow::ExchangeData;

use crate::{Rows, grouped};

/// Of the rows of each key, the greatest. A record that begins with when it was made is thereby the latest.
///
/// ```
/// use differential_dataflow::input::Input;
///
/// timely::example(|scope| {
///     let rows = scope.new_collection_from([('m', 1), ('m', 2), ('m', 2), ('e', 1)]).1;
///     let expected = scope.new_collection_from([('m', 2), ('e', 1)]).1;
///     larder_operators::latest(rows).assert_eq(expected);
/// });
/// ```
pub fn latest<'scope, K, V>(rows: Rows<'scope, (K, V)>) -> Rows<'scope, (K, V)>
where
    K: ExchangeData + Hash,
    V: ExchangeData,
{
    grouped(rows, "Latest", |_, rows, latest| latest.extend(rows.last().map(|(row, _)| (*row).clone())))
}

/// For every key of `keys` its row of `rows`, which has at most one a key, and `default` where it has none.
///
/// ```
/// use differential_dataflow::input::Input;
///
/// timely::example(|scope| {
///     let keys = scope.new_collection_from(['m', 'e', 'm']).1;
///     let rows = scope.new_collection_from([('m', 2), ('h', 3)]).1;
///     let expected = scope.new_collection_from([('m', 2), ('e', 0)]).1;
///     larder_operators::or_default(keys, rows, 0).assert_eq(expected);
/// });
/// ```
pub fn or_default<'scope, K, V>(keys: Rows<'scope, K>, rows: Rows<'scope, (K, V)>, default: V) -> Rows<'scope, (K, V)>
where
    K: ExchangeData + Hash,
    V: ExchangeData,
{
    let rows = rows.map(|(key, row)| (key, Some(row))).concat(keys.map(|key| (key, None)));
    grouped(rows, "OrDefault", move |_, rows, out| {
        // none, that is the key itself, sorts first
        if let Some((None, _)) = rows.first() {
            let row = rows.get(1).and_then(|(row, _)| (*row).clone());
            out.push(row.unwrap_or_else(|| default.clone()));
        }
    })
}
