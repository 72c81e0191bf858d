//! One commit: files are staged, then named by the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use arrow::array::RecordBatch;
use delta_kernel::{
    FileMeta, Snapshot, SnapshotRef,
    engine::arrow_data::ArrowEngineData,
    expressions::Scalar,
    transaction::{UpdateTableOperation, WriteState},
};
use delta_kernel_default_engine::{build_add_file_metadata, parquet::DataFileMetadata, stats::collect_stats};
use larder_records::Position;
use serde_json::{Value, json};
use url::Url;

use super::{
    committer::{DurableCommitter, sync_dir},
    error::{LakeError, Place, io},
    files::{self, MAX_ROWS, Partition},
    live::{Live, LiveFile},
    log,
    staging::Staging,
    table::{APPLICATION, ENGINE_INFO, Engine, Table, committed, epoch_of, feed_application},
};

const CHANGES: &str = "_change_data";

/// What a commit does.
#[derive(Default)]
pub(super) struct Staged<'a> {
    pub(super) adds: Vec<(Partition, RecordBatch)>,
    pub(super) removes: Vec<&'a LiveFile>,
    /// Rows with their `_change_type`.
    pub(super) changes: Vec<(Partition, RecordBatch)>,
    /// The first position of each feed that is not covered once it is done.
    pub(super) covered: &'a [Position],
}

/// What a commit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Rows come or go, as of an epoch where there is one.
    Rows(Option<u64>),
    /// The same rows in fewer files.
    Optimize,
}

/// Files that are on the disk, and that no commit names yet.
pub(super) struct Written<'a> {
    pub(super) staged: Staged<'a>,
    /// The `add` actions.
    adds: Vec<RecordBatch>,
    /// The `cdc` actions.
    changes: Vec<Value>,
    paths: Vec<PathBuf>,
    _staging: Staging,
}

impl Written<'_> {
    /// Takes the files away again: no commit will name them.
    pub(super) fn discard(self) {
        for path in &self.paths {
            // what stays is an orphan like those of a crash
            let _ = fs::remove_file(path);
        }
    }
}

impl Table {
    /// Does `work`, which commits to the table as of its newest version, again as long as others' commits come between that
    /// change no row of ours.
    pub(super) fn on_newest(
        &mut self,
        engine: &Engine,
        mut work: impl FnMut(&mut Self) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        loop {
            match work(self) {
                Err(LakeError::Conflict { .. }) if self.catch_up(engine)? => {}
                done => return done,
            }
        }
    }

    /// Goes on to the newest version, where all commits up to it keep the table and no more. Whether that is so.
    pub(super) fn catch_up(&mut self, engine: &Engine) -> Result<bool, LakeError> {
        let newest = Snapshot::builder_from(self.snapshot.clone()).build(engine);
        let newest: SnapshotRef = newest.map_err(|error| self.place().delta(error))?;
        for version in self.version() + 1..=newest.version() {
            if !keeps(&log::actions(&self.root, version)?) {
                return Ok(false);
            }
        }
        let moved = newest.version() > self.version() && newest.schema() == self.snapshot.schema();
        if moved {
            self.snapshot = newest;
        }
        Ok(moved)
    }

    /// Writes the files of `staged`, then the commit that makes them part of the table.
    pub(super) fn write_and_commit(
        &mut self,
        engine: &Engine,
        purpose: Purpose,
        live: Option<&Live>,
        staged: Staged<'_>,
    ) -> Result<(), LakeError> {
        let written = self.write(engine, staged)?;
        let done = self.commit(engine, purpose, live, &written);
        // only then is it sure that the log does not name them
        if matches!(done, Err(LakeError::Conflict { .. })) {
            written.discard();
        }
        done
    }

    /// Writes the files of `staged` and syncs them.
    pub(super) fn write<'a>(&self, engine: &Engine, staged: Staged<'a>) -> Result<Written<'a>, LakeError> {
        let place = self.place();
        let staging = Staging::begin(&self.root)?;
        let mut written =
            Written { staged, adds: Vec::new(), changes: Vec::new(), paths: Vec::new(), _staging: staging };
        let mut touched = BTreeSet::new();
        let stem = format!("{:020}", self.version() + 1);
        for (partition, rows) in &written.staged.changes {
            let (path, size) = files::write(place, &self.root.join(CHANGES), &stem, rows)?;
            touched.insert(self.root.join(CHANGES));
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let values: BTreeMap<_, _> = self.spec.partition.iter().zip(partition).collect();
            written.paths.push(path);
            written.changes.push(json!({"cdc": {
                "path": format!("{CHANGES}/{name}"), "partitionValues": values, "size": size, "dataChange": false,
            }}));
        }
        let state = self.write_state(engine)?;
        for (partition, rows) in &written.staged.adds {
            let values = self
                .spec
                .partition
                .iter()
                .zip(partition)
                .map(|(name, value)| ((*name).to_owned(), Scalar::from(value.clone())));
            let context = state.write_context_builder();
            // Of a table in one piece the kernel takes no values, not even none.
            let context = if partition.is_empty() { context } else { context.with_partition_values(values.collect()) };
            let context = context.build();
            let context = context.map_err(|error| place.delta(error))?;
            let dir = context.write_dir().to_file_path().unwrap_or_else(|()| self.root.clone());
            for start in (0..rows.num_rows()).step_by(MAX_ROWS) {
                let rows = rows.slice(start, MAX_ROWS.min(rows.num_rows() - start));
                let (path, size) = files::write(place, &dir, &stem, &rows)?;
                let stats = collect_stats(&rows, context.stats_columns(), context.physical_data_schema());
                let file = FileMeta::new(file_url(&path)?, modified_ms(&path)?, size);
                written.paths.push(path);
                let add = stats
                    .and_then(|stats| build_add_file_metadata(DataFileMetadata::new(file, stats), &context))
                    .and_then(|add| Ok(ArrowEngineData::try_from_engine_data(add)?.record_batch().clone()));
                written.adds.push(add.map_err(|error| place.delta(error))?);
            }
            // The folder of a new partition is a new name in those above it.
            touched.extend(dir.ancestors().take_while(|dir| dir.starts_with(&self.root)).map(Path::to_owned));
        }
        for dir in touched {
            sync_dir(&dir).map_err(io(&dir))?;
        }
        Ok(written)
    }

    /// What the table wants of files.
    fn write_state(&self, engine: &Engine) -> Result<std::sync::Arc<WriteState>, LakeError> {
        let committer = DurableCommitter { more: Vec::new(), replaces: false };
        let builder = self.snapshot.clone().update_table(UpdateTableOperation::StreamingUpdate, ENGINE_INFO, true);
        let state = builder.build(engine, Box::new(committer)).and_then(|transaction| transaction.write_state());
        state.map_err(|error| self.place().delta(error))
    }

    /// Makes the files of `written` part of the table, and takes those out that it removes, which are of `live`.
    pub(super) fn commit(
        &mut self,
        engine: &Engine,
        purpose: Purpose,
        live: Option<&Live>,
        written: &Written<'_>,
    ) -> Result<(), LakeError> {
        let place = Place { path: &self.root, table: self.spec.name };
        let removes = !written.staged.removes.is_empty();
        let (operation, epoch) = match purpose {
            Purpose::Rows(epoch) => (UpdateTableOperation::StreamingUpdate, epoch),
            Purpose::Optimize => (UpdateTableOperation::Optimize, None),
        };
        let replaces = removes && purpose != Purpose::Optimize;
        let committer = DurableCommitter { more: written.changes.clone(), replaces };
        let mut builder = self.snapshot.clone().update_table(operation, ENGINE_INFO, !removes);
        if let Some(epoch) = epoch {
            builder = builder.with_transaction_id(APPLICATION, i64::try_from(epoch).unwrap_or(i64::MAX));
        }
        for Position { source, offset } in written.staged.covered {
            let next = i64::try_from(*offset).unwrap_or(i64::MAX);
            builder = builder.with_transaction_id(feed_application(source), next);
        }
        let mut transaction = builder.build(engine, Box::new(committer)).map_err(|error| place.delta(error))?;
        for add in &written.adds {
            transaction.add_files(Box::new(ArrowEngineData::new(add.clone())));
        }
        if let Some(live) = live {
            for actions in live.actions_of(&written.staged.removes).map_err(|error| place.delta(error))? {
                transaction.remove_files(actions);
            }
        }
        let result = transaction.commit(engine).map_err(|error| place.delta(error))?;
        self.snapshot = committed(place, result)?;
        self.epoch = epoch.or(self.epoch);
        Ok(())
    }

    /// Reads its newest version from the disk, whatever it was before.
    pub(super) fn reopen(&mut self, engine: &Engine) -> Result<(), LakeError> {
        let snapshot = super::table::newest(self.place(), engine)?;
        self.epoch = epoch_of(self.place(), &snapshot, engine)?;
        self.snapshot = snapshot;
        Ok(())
    }
}

/// Whether a commit of these actions keeps a table: it carries no epoch, and changes no row or is the work of Larder's keeper.
fn keeps(actions: &[Value]) -> bool {
    let engine = |action: &Value| action["commitInfo"]["engineInfo"].as_str().map(str::to_owned);
    let ours = actions.iter().find_map(engine).is_some_and(|engine| engine.starts_with("larder/"));
    let carries = actions.iter().any(|action| action.get("txn").is_some());
    !carries && (ours || !actions.iter().any(log::changes_rows))
}

impl Staged<'_> {
    pub(super) fn add(
        &mut self,
        place: Place<'_>,
        partition: &Partition,
        batches: &[RecordBatch],
    ) -> Result<(), LakeError> {
        self.adds.extend(merged(place, partition, batches)?);
        Ok(())
    }

    pub(super) fn change(
        &mut self,
        place: Place<'_>,
        partition: &Partition,
        batches: &[RecordBatch],
    ) -> Result<(), LakeError> {
        self.changes.extend(merged(place, partition, batches)?);
        Ok(())
    }
}

/// `batches` as one sorted batch of `partition`; none where there are no rows.
fn merged(
    place: Place<'_>,
    partition: &Partition,
    batches: &[RecordBatch],
) -> Result<Option<(Partition, RecordBatch)>, LakeError> {
    let Some(first) = batches.first() else { return Ok(None) };
    let batch = files::sorted(&first.schema(), batches).map_err(|error| place.arrow(error))?;
    Ok((batch.num_rows() > 0).then(|| (partition.clone(), batch)))
}

fn file_url(path: &Path) -> Result<Url, LakeError> {
    let absolute = std::path::absolute(path).map_err(io(path))?;
    Url::from_file_path(&absolute).map_err(|()| io(path)(std::io::Error::other("the path cannot be written as a URL")))
}

fn modified_ms(path: &Path) -> Result<i64, LakeError> {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).map_err(io(path))?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
