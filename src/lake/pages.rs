//! Pages of a data file in which rows of a part may lie, as the file's page index says. The others need not be decoded.

use std::fs::File;

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _},
    datatypes::TimestampMicrosecondType,
};
use larder_records::Time;
use parquet::{
    arrow::arrow_reader::{
        ParquetRecordBatchReaderBuilder, RowSelection, RowSelector, statistics::StatisticsConverter,
    },
    errors::ParquetError,
};

use super::part::{OWNER, Sieve};

/// The rows of the pages in which some of a part may lie, where times stand in `time`; none where nothing is told of pages, or all
/// are wanted.
pub(super) fn wanted(
    builder: &ParquetRecordBatchReaderBuilder<File>,
    sieve: &Sieve,
    time: &str,
) -> Result<Option<RowSelection>, ParquetError> {
    let (mut whose, mut when) = (None, None);
    if sieve.asks_whose() {
        whose = pages(builder, OWNER, |least, greatest, n| {
            let texts = [least, greatest].map(|bounds| bounds.as_string_opt::<i32>().map(|texts| texts.value(n)));
            let [Some(least), Some(greatest)] = texts else { return true };
            sieve.may_be_of(least, greatest)
        })?;
    }
    if sieve.asks_when() {
        when = pages(builder, time, |least, greatest, n| {
            let micros = |bounds: &ArrayRef| Some(bounds.as_primitive_opt::<TimestampMicrosecondType>()?.value(n));
            let (Some(first), Some(last)) = (micros(least), micros(greatest)) else { return true };
            sieve.may_be_within([Time(first), Time(last)])
        })?;
    }
    Ok(match (whose, when) {
        (Some(whose), Some(when)) => Some(whose.intersection(&when)),
        (whose, when) => whose.or(when),
    })
}

/// The rows of those pages of `column` that may hold what is wanted, by their least and their greatest value.
fn pages(
    builder: &ParquetRecordBatchReaderBuilder<File>,
    column: &str,
    may_hold: impl Fn(&ArrayRef, &ArrayRef, usize) -> bool,
) -> Result<Option<RowSelection>, ParquetError> {
    let metadata = builder.metadata();
    let (Some(bounds), Some(places)) = (metadata.column_index(), metadata.offset_index()) else { return Ok(None) };
    // of a column without pages the library cannot tell how many rows they have
    if places.iter().flatten().any(|column| column.page_locations().is_empty()) {
        return Ok(None);
    }
    let groups: Vec<usize> = (0..metadata.num_row_groups()).collect();
    let told = StatisticsConverter::try_new(column, builder.schema(), builder.parquet_schema())?;
    let least = told.data_page_mins(bounds, places, &groups)?;
    let greatest = told.data_page_maxes(bounds, places, &groups)?;
    let Some(rows) = told.data_page_row_counts(places, metadata.row_groups(), &groups)? else { return Ok(None) };
    let selectors = rows.values().iter().enumerate().map(|(n, rows)| {
        let is_wanted = least.is_null(n) || greatest.is_null(n) || may_hold(&least, &greatest, n);
        let rows = *rows as usize;
        if is_wanted { RowSelector::select(rows) } else { RowSelector::skip(rows) }
    });
    Ok(Some(selectors.collect::<Vec<_>>().into()))
}
