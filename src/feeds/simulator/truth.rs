//! What truly happened, as Parquet beside the recordings.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    error::ArrowError,
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

use super::{
    SimulateError,
    household::{Kind, Visit},
    products::GOODS,
};

/// How long after the door is closed the truth is told, in microseconds.
pub(super) const TOLD_AFTER: i64 = 3 * larder_records::Time::SECOND;

/// How many packages of each of [`GOODS`] are there after a visit.
pub(super) fn counts(visit: &Visit) -> BTreeMap<usize, i64> {
    let mut counts = BTreeMap::new();
    visit.contents.iter().for_each(|item| *counts.entry(item.good).or_default() += 1);
    counts
}

/// What was moved in a visit: packages by product and kind.
pub(super) fn movements(visit: &Visit) -> BTreeMap<(usize, Kind), i64> {
    let mut movements = BTreeMap::new();
    visit.changes.iter().for_each(|change| *movements.entry((change.good, change.kind)).or_default() += 1);
    movements
}

/// Writes `inventory.parquet` (appliance, time, sku, count: each visit's outcome, products that are there) and
/// `movements.parquet` (appliance, time: the opening, sku, kind, quantity) into `dir`.
pub(super) fn write(dir: &Path, lives: &[(String, Vec<Visit>)]) -> Result<(), SimulateError> {
    fs::create_dir_all(dir).map_err(SimulateError::io(dir))?;
    let visits = || lives.iter().flat_map(|(appliance, visits)| visits.iter().map(move |visit| (appliance, visit)));
    let mut inventory = Rows::default();
    for (appliance, visit) in visits() {
        for (good, count) in counts(visit) {
            inventory.push(appliance, visit.closed + TOLD_AFTER, good, None, count);
        }
    }
    inventory.write(&dir.join("inventory.parquet"), "count")?;
    let mut moved = Rows::default();
    for (appliance, visit) in visits() {
        for ((good, kind), quantity) in movements(visit) {
            moved.push(appliance, visit.opened, good, Some(kind), quantity);
        }
    }
    moved.write(&dir.join("movements.parquet"), "quantity")
}

/// The columns of either table.
#[derive(Default)]
struct Rows<'a> {
    appliance: Vec<&'a str>,
    time: Vec<i64>,
    sku: Vec<&'static str>,
    kind: Vec<&'static str>,
    number: Vec<i64>,
}

impl<'a> Rows<'a> {
    fn push(&mut self, appliance: &'a str, time: i64, good: usize, kind: Option<Kind>, number: i64) {
        self.appliance.push(appliance);
        self.time.push(time);
        self.sku.push(GOODS[good].sku);
        self.kind.extend(kind.map(Kind::as_str));
        self.number.push(number);
    }

    fn write(self, path: &Path, number: &str) -> Result<(), SimulateError> {
        let failed = |source: ParquetError| SimulateError::Parquet { path: path.to_owned(), source };
        let batch = self.batch(number).map_err(|error| failed(error.into()))?;
        let file = File::create(path).map_err(SimulateError::io(path))?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(failed)?;
        writer.write(&batch).map_err(failed)?;
        writer.close().map_err(failed)?;
        Ok(())
    }

    fn batch(self, number: &str) -> Result<RecordBatch, ArrowError> {
        let time = TimestampMicrosecondArray::from(self.time).with_timezone("UTC");
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("appliance", Arc::new(StringArray::from(self.appliance))),
            ("time", Arc::new(time)),
            ("sku", Arc::new(StringArray::from(self.sku))),
        ];
        if number == "quantity" {
            columns.push(("kind", Arc::new(StringArray::from(self.kind))));
        }
        columns.push((number, Arc::new(Int64Array::from(self.number))));
        RecordBatch::try_from_iter(columns)
    }
}
