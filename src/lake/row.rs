//! The rows of a table, and how they become columns.

use std::{collections::HashSet, path::Path};

use arrow::{
    array::ArrayRef,
    error::ArrowError,
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use larder_records::Names;
use serde_json::{Map, Value};

use super::{
    error::{ColumnError, LakeError, Place},
    spec::TableSpec,
};

/// A row of a table.
pub trait Row: Sized + Ord + Clone {
    /// Its table.
    const TABLE: TableSpec;

    /// `rows` as columns, those that only restate others for the reader included.
    ///
    /// # Errors
    /// [`LakeError::Column`] where a name has no text in `names`, or a number does not fit its column.
    fn write(rows: &[Self], names: &Names) -> Result<RecordBatch, LakeError>;

    /// The rows of `batch`; their texts are interned into `names`.
    ///
    /// # Errors
    /// [`LakeError::Column`] where `batch` is none that [`Row::write`] makes.
    fn read(batch: &RecordBatch, names: &mut Names) -> Result<Vec<Self>, LakeError>;
}

/// Implements [`Row`]: each column with the type of its cells and how a row fills it; how cells make a row again; and the
/// columns that restate others, which are written and never read.
macro_rules! table {
    (
        $row_type:ty as $table:literal, partition $partition:expr, feed $feed:literal;
        columns |$row:ident| { $($column:ident: $cell:ty = $value:expr),* $(,)? }
        derived { $($derived:ident: $derived_cell:ty = $derived_value:expr),* $(,)? }
        read $read:expr
    ) => {
        impl $crate::lake::row::Row for $row_type {
            const TABLE: $crate::lake::spec::TableSpec = $crate::lake::spec::TableSpec {
                name: $table,
                columns: &[
                    $($crate::lake::cells::column_spec::<$cell>(stringify!($column)),)*
                    $($crate::lake::cells::column_spec::<$derived_cell>(stringify!($derived)),)*
                ],
                partition: &$partition,
                feed: $feed,
            };

            fn write(
                rows: &[Self],
                names: &larder_records::Names,
            ) -> Result<arrow::record_batch::RecordBatch, $crate::lake::LakeError> {
                let columns = || Ok(vec![
                    $($crate::lake::cells::write_column::<$cell>(
                        stringify!($column), rows.iter().map(|$row| $value), names,
                    )?,)*
                    $($crate::lake::cells::write_column::<$derived_cell>(
                        stringify!($derived), rows.iter().map(|$row| $derived_value), names,
                    )?,)*
                ]);
                $crate::lake::row::batch(Self::TABLE, columns())
            }

            fn read(
                batch: &arrow::record_batch::RecordBatch,
                names: &mut larder_records::Names,
            ) -> Result<Vec<Self>, $crate::lake::LakeError> {
                let mut rows = || -> Result<Vec<Self>, $crate::lake::error::ColumnError> {
                    $(let $column = $crate::lake::cells::Reader::new::<$cell>(batch, stringify!($column))?;)*
                    (0..batch.num_rows())
                        .map(|i| {
                            $(let $column = $column.get::<$cell>(i, names)?;)*
                            Ok($read)
                        })
                        .collect()
                };
                rows().map_err(|error| $crate::lake::LakeError::column($table, error))
            }
        }
    };
}

pub(super) use table;

/// `rows` in words: of each its columns in order, as text; columns that hold nothing are left out.
///
/// # Errors
/// [`LakeError`] as [`Row::write`].
pub fn in_words<R: Row>(rows: &[R], names: &Names) -> Result<Vec<Vec<(String, String)>>, LakeError> {
    let place = Place { path: Path::new(R::TABLE.name), table: R::TABLE.name };
    tell(&R::write(rows, names)?).map_err(|error| place.arrow(error))
}

/// The rows of `batch` in words.
pub(super) fn tell(batch: &RecordBatch) -> Result<Vec<Vec<(String, String)>>, ArrowError> {
    let options = FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));
    let formatters = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns: Vec<_> = formatters.collect::<Result<_, _>>()?;
    let schema = batch.schema();
    let row = |row: usize| {
        let cells = schema.fields().iter().zip(&columns);
        let cells = cells.map(|(field, column)| (field.name().clone(), column.value(row).to_string()));
        cells.filter(|(_, text)| !text.is_empty()).collect()
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// The rows of `batch` as JSON: numbers, or text as [`in_words`] has it; columns that hold nothing are left out.
pub(super) fn in_json(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>, ArrowError> {
    let schema = batch.schema();
    let numeric: HashSet<&str> = schema
        .fields()
        .iter()
        .filter(|field| field.data_type().is_numeric())
        .map(|field| field.name().as_str())
        .collect();
    let cell = |(name, text): (String, String)| {
        // a number that Arrow writes is one that JSON reads
        let number = numeric.contains(name.as_str()).then(|| serde_json::from_str(&text).ok()).flatten();
        (name, number.unwrap_or(Value::String(text)))
    };
    Ok(tell(batch)?.into_iter().map(|row| row.into_iter().map(cell).collect()).collect())
}

/// The columns of `spec` as one batch.
pub(super) fn batch(spec: TableSpec, columns: Result<Vec<ArrayRef>, ColumnError>) -> Result<RecordBatch, LakeError> {
    let columns = columns.map_err(|error| LakeError::column(spec.name, error))?;
    let place = Place { path: Path::new(spec.name), table: spec.name };
    RecordBatch::try_new(spec.schema(), columns).map_err(|error| place.arrow(error))
}
