//! How long a table keeps what it no longer consists of.

use std::{fs::File, time::Duration};

use arrow::{
    array::RecordBatch,
    compute::{filter_record_batch, is_not_null},
};
use delta_kernel::{
    FilteredEngineData, SnapshotRef,
    engine::{arrow_data::ArrowEngineData, to_json_bytes},
    transaction::UpdateTableOperation,
};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use serde_json::Value;

use super::{
    committer::DurableCommitter,
    error::{LakeError, Place, io},
    log::{self, LOG, Log},
    table::{ENGINE_INFO, Engine, Table, committed},
};

const FILES: &str = "delta.deletedFileRetentionDuration";
const COMMITS: &str = "delta.logRetentionDuration";
/// What new tables say of themselves.
const NEW: Duration = Duration::from_hours(7 * 24);
/// What the Delta protocol has where a table says nothing.
const UNSAID: Retention = Retention { files: Duration::from_hours(7 * 24), log: Duration::from_hours(30 * 24) };

/// How long a version can be read after a newer one replaced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retention {
    /// How long files stay that the newest version has no use for: the table's `delta.deletedFileRetentionDuration`.
    pub(super) files: Duration,
    /// How long commits stay, at least as long as files: the table's `delta.logRetentionDuration`.
    pub(super) log: Duration,
}

impl Retention {
    /// What a table says of itself.
    pub(super) fn of(snapshot: &SnapshotRef) -> Self {
        let properties = snapshot.table_properties();
        let files = properties.deleted_file_retention_duration.unwrap_or(UNSAID.files);
        Self { files, log: properties.log_retention_duration.unwrap_or(UNSAID.log).max(files) }
    }

    /// The same for both.
    pub(super) fn all(retention: Duration) -> Self {
        Self { files: retention, log: retention }
    }
}

/// The properties of a new table; with `feed`, of one that keeps a change feed.
pub(super) fn of_new_table(feed: bool) -> Vec<(&'static str, String)> {
    let mut properties = vec![(FILES, interval(NEW)), (COMMITS, interval(NEW))];
    if feed {
        properties.push(("delta.enableChangeDataFeed", "true".to_owned()));
    }
    properties
}

/// As Delta writes it: to the millisecond.
fn interval(time: Duration) -> String {
    match (time.as_secs(), time.subsec_millis()) {
        (seconds, 0) if seconds.is_multiple_of(86_400) => format!("interval {} days", seconds / 86_400),
        (seconds, 0) => format!("interval {seconds} seconds"),
        _ => format!("interval {} milliseconds", time.as_millis()),
    }
}

impl Table {
    /// Says of itself how long versions can be read after a newer one replaced them, where it says otherwise.
    pub(super) fn retain(&mut self, engine: &Engine, retention: Duration) -> Result<(), LakeError> {
        self.on_newest(engine, |table| {
            if Retention::of(&table.snapshot) == Retention::all(retention) {
                return Ok(());
            }
            let place = table.place();
            let mut metadata = metadata(place, table.version())?;
            for name in [FILES, COMMITS] {
                metadata["metaData"]["configuration"][name] = interval(retention).into();
            }
            let committer = DurableCommitter { more: vec![metadata], replaces: false };
            let operation = UpdateTableOperation::StreamingUpdate;
            let builder = table.snapshot.clone().update_table(operation, ENGINE_INFO, false);
            let transaction = builder.build(engine, Box::new(committer));
            let result = transaction.and_then(|transaction| transaction.commit(engine));
            committed(place, result.map_err(|error| place.delta(error))?)?;
            // the kernel knows nothing of what the committer wrote
            table.reopen(engine)
        })
    }
}

/// What a table says of itself at `version`: the action `metaData`.
fn metadata(place: Place<'_>, version: u64) -> Result<Value, LakeError> {
    let log = Log::of(place.path)?;
    let checkpoint = log.checkpoints.range(..=version).next_back().map(|(checkpoint, _)| *checkpoint);
    for version in (checkpoint.map_or(0, |checkpoint| checkpoint + 1)..=version).rev() {
        let mut actions = log::actions(place.path, version)?.into_iter();
        if let Some(action) = actions.find(|action| action.get("metaData").is_some()) {
            return Ok(action);
        }
    }
    let none = || place.delta(delta_kernel::KernelError::generic("a log without metadata"));
    in_checkpoint(place, checkpoint.ok_or_else(none)?)?.ok_or_else(none)
}

fn in_checkpoint(place: Place<'_>, version: u64) -> Result<Option<Value>, LakeError> {
    let path = place.path.join(LOG).join(format!("{version:020}.checkpoint.parquet"));
    let here = Place { path: &path, ..place };
    let file = File::open(&path).map_err(io(&path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| here.parquet(error))?;
    let column = ProjectionMask::columns(builder.parquet_schema(), ["metaData"]);
    let reader = builder.with_projection(column).build().map_err(|error| here.parquet(error))?;
    for batch in reader {
        let batch: RecordBatch = batch.map_err(|error| here.arrow(error))?;
        let told = is_not_null(batch.column(0)).and_then(|told| filter_record_batch(&batch, &told));
        let told = told.map_err(|error| here.arrow(error))?;
        if told.num_rows() > 0 {
            let data = FilteredEngineData::with_all_rows_selected(Box::new(ArrowEngineData::new(told)));
            let json = to_json_bytes(std::iter::once(Ok(data))).map_err(|error| place.delta(error))?;
            return serde_json::from_slice(&json).map(Some).map_err(|error| io(&path)(std::io::Error::other(error)));
        }
    }
    Ok(None)
}
