//! The files that a table consists of now.

use std::path::{Path, PathBuf};

use arrow::{
    array::{Array, AsArray, RecordBatch, StringArray},
    datatypes::Int64Type,
};
use delta_kernel::{
    Engine, FilteredEngineData, KernelError, KernelResult, SnapshotRef, engine::arrow_data::ArrowEngineData,
};
use larder_records::{Micros, Time};
use serde_json::Value;

use super::{files::Partition, log::relative, spec::TableSpec};

/// A data file of a table.
pub(super) struct LiveFile {
    pub(super) path: PathBuf,
    pub(super) partition: Partition,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    /// Its statistics, as in its `add` action.
    stats: Value,
    /// Where its action stands in [`Live::actions`].
    at: (usize, usize),
}

/// The files of a table at one version, with the log's actions that brought them.
#[derive(Default)]
pub(super) struct Live {
    pub(super) files: Vec<LiveFile>,
    actions: Vec<RecordBatch>,
}

impl LiveFile {
    /// Whether the file's statistics leave it possible that `column` holds one of `texts`, which are sorted.
    pub(super) fn may_hold(&self, column: &str, texts: &[&str]) -> bool {
        let Some([low, high]) = self.bounds(column) else { return true };
        let first = texts.partition_point(|text| *text < low);
        texts.get(first).is_some_and(|text| *text <= high)
    }

    /// The least and the greatest text of `column`, where the file's statistics tell.
    pub(super) fn bounds(&self, column: &str) -> Option<[&str; 2]> {
        let bound = |which: &str| self.stats.get(which).and_then(|bounds| bounds.get(column)).and_then(Value::as_str);
        Some([bound("minValues")?, bound("maxValues")?])
    }

    /// The first instant of `column` and the last, or somewhat before and behind, where the file's statistics tell.
    pub(super) fn times(&self, column: &str) -> Option<[Time; 2]> {
        /// Statistics tell milliseconds, cut off.
        const MILLISECOND: Micros = 1_000;
        let time = |text: &str| Some(Time(text.parse::<jiff::Timestamp>().ok()?.as_microsecond()));
        let [first, last] = self.bounds(column)?;
        Some([time(first)?.plus(-MILLISECOND), time(last)?.plus(MILLISECOND)])
    }
}

impl Live {
    /// The files of `snapshot`, whose table lies in `root`.
    pub(super) fn of(snapshot: &SnapshotRef, root: &Path, spec: &TableSpec, engine: &dyn Engine) -> KernelResult<Self> {
        let mut live = Self::default();
        for metadata in snapshot.clone().scan_builder().build()?.scan_metadata(engine)? {
            let data = metadata?.scan_files.apply_selection_vector()?;
            let batch = ArrowEngineData::try_from_engine_data(data)?.record_batch().clone();
            live.take(&batch, root, spec)
                .ok_or_else(|| KernelError::generic("a scan without paths, sizes or partitions"))?;
            live.actions.push(batch);
        }
        Ok(live)
    }

    fn take(&mut self, batch: &RecordBatch, root: &Path, spec: &TableSpec) -> Option<()> {
        let paths = batch.column_by_name("path")?.as_string_opt::<i32>()?;
        let sizes = batch.column_by_name("size")?.as_primitive_opt::<Int64Type>()?;
        let stats = batch.column_by_name("stats")?.as_string_opt::<i32>()?;
        let constants = batch.column_by_name("fileConstantValues")?.as_struct_opt()?;
        let partitions = constants.column_by_name("partitionValues")?.as_map_opt()?;
        for row in 0..batch.num_rows() {
            let values = partitions.value(row);
            let keys = values.column(0).as_string_opt::<i32>()?;
            let values = values.column(1).as_string_opt::<i32>()?;
            let stats = text(stats, row).and_then(|stats| serde_json::from_str(stats).ok()).unwrap_or(Value::Null);
            self.files.push(LiveFile {
                path: root.join(relative(paths.value(row))?),
                partition: spec
                    .partition
                    .iter()
                    .map(|column| {
                        (0..keys.len()).find(|i| keys.value(*i) == *column).map(|i| values.value(i).to_owned())
                    })
                    .collect::<Option<_>>()?,
                bytes: u64::try_from(sizes.value(row)).ok()?,
                rows: stats.get("numRecords").and_then(Value::as_u64).unwrap_or_default(),
                stats,
                at: (self.actions.len(), row),
            });
        }
        Some(())
    }

    /// The actions of `files`, for a transaction that removes them.
    pub(super) fn actions_of(&self, files: &[&LiveFile]) -> KernelResult<Vec<FilteredEngineData>> {
        let mut selected: Vec<Vec<bool>> = self.actions.iter().map(|batch| vec![false; batch.num_rows()]).collect();
        for file in files {
            if let Some(selected) = selected.get_mut(file.at.0).and_then(|rows| rows.get_mut(file.at.1)) {
                *selected = true;
            }
        }
        let chosen = self.actions.iter().zip(selected).filter(|(_, rows)| rows.contains(&true));
        chosen
            .map(|(batch, rows)| FilteredEngineData::try_new(Box::new(ArrowEngineData::new(batch.clone())), rows))
            .collect()
    }
}

fn text(array: &StringArray, row: usize) -> Option<&str> {
    (!array.is_null(row)).then(|| array.value(row))
}
