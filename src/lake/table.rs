//! One Delta table: opening, appending, replacing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::Schema,
};
use delta_kernel::{
    FileMeta, Snapshot, SnapshotRef,
    engine::arrow_conversion::{TryFromArrow, TryIntoArrow},
    expressions::Scalar,
    schema::StructType,
    transaction::{CommitResult, UpdateTableOperation, create_table::create_table, data_layout::DataLayout},
};
use delta_kernel_default_engine::{
    DefaultEngine, build_add_file_metadata, executor::tokio::TokioMultiThreadExecutor, parquet::DataFileMetadata,
    stats::collect_stats,
};
use larder_records::Position;
use rayon::prelude::*;
use serde_json::json;
use url::Url;

use super::{
    committer::{DurableCommitter, is_waiting, sync_dir},
    error::{LakeError, Place, io},
    files::{self, MAX_ROWS, Partition},
    live::{Live, LiveFile},
    spec::TableSpec,
};

/// What reads and writes the logs.
pub(super) type Engine = DefaultEngine<TokioMultiThreadExecutor>;

/// The application whose transactions carry the epoch.
pub(super) const APPLICATION: &str = "larder";
const ENGINE_INFO: &str = concat!("larder/", env!("CARGO_PKG_VERSION"));
const CHANGES: &str = "_change_data";

/// A table as of its newest commit.
pub(super) struct Table {
    pub(super) spec: TableSpec,
    pub(super) root: PathBuf,
    pub(super) snapshot: SnapshotRef,
    epoch: Option<u64>,
}

/// What a commit does.
#[derive(Default)]
pub(super) struct Staged<'a> {
    adds: Vec<(Partition, RecordBatch)>,
    pub(super) removes: Vec<&'a LiveFile>,
    /// Rows with their `_change_type`.
    changes: Vec<(Partition, RecordBatch)>,
    /// The first position of each feed that is not covered once it is done.
    covered: &'a [Position],
}

impl Table {
    /// The table in `root`; none where there is none yet.
    pub(super) fn open(engine: &Engine, root: PathBuf, spec: TableSpec) -> Result<Option<Self>, LakeError> {
        let place = Place { path: &root, table: spec.name };
        // A crash while it is made leaves a log without a commit.
        let has_commit = log_files(&root)?.iter().any(|path| !is_waiting(path));
        if !has_commit {
            return Ok(None);
        }
        let snapshot = Snapshot::builder_for(url(&root)?.as_str()).build(engine).map_err(|error| place.delta(error))?;
        let schema: Schema = snapshot.schema().as_ref().try_into_arrow().map_err(|error| place.arrow(error))?;
        if let Some(difference) = difference(&schema, &spec.schema()) {
            return Err(LakeError::OtherSchema { path: root, table: spec.name, difference });
        }
        let epoch = snapshot.get_app_id_version(APPLICATION, engine).map_err(|error| place.delta(error))?;
        let epoch = epoch.and_then(|epoch| u64::try_from(epoch).ok());
        Ok(Some(Self { spec, root, snapshot, epoch }))
    }

    /// A new table in `root`, where [`Table::open`] found none.
    pub(super) fn create(engine: &Engine, root: PathBuf, spec: TableSpec) -> Result<Self, LakeError> {
        let place = Place { path: &root, table: spec.name };
        fs::create_dir_all(&root).map_err(io(&root))?;
        for left in log_files(&root)? {
            fs::remove_file(&left).map_err(io(&left))?;
        }
        let schema = StructType::try_from_arrow(spec.schema().as_ref()).map_err(|error| place.arrow(error))?;
        let mut builder = create_table(url(&root)?.as_str(), Arc::new(schema), ENGINE_INFO, true);
        if !spec.partition.is_empty() {
            builder = builder.with_data_layout(DataLayout::partitioned(spec.partition.iter().copied()));
        }
        if spec.feed {
            builder = builder.with_table_properties([("delta.enableChangeDataFeed", "true")]);
        }
        let committer = DurableCommitter { changes: Vec::new(), replaces: false };
        let result = builder
            .build(engine, Box::new(committer))
            .and_then(|transaction| transaction.commit(engine))
            .map_err(|error| place.delta(error))?;
        let snapshot = committed(place, result)?;
        sync_dir(&root).map_err(io(&root))?;
        if let Some(lake) = root.parent() {
            sync_dir(lake).map_err(io(lake))?;
        }
        Ok(Self { spec, root, snapshot, epoch: None })
    }

    /// The epoch of its newest commit that carries one.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// How far the feed of that name was covered by its newest commit that tells.
    pub(super) fn covered(&self, engine: &Engine, source: &str) -> Result<Option<u64>, LakeError> {
        let next = self.snapshot.get_app_id_version(&feed_application(source), engine);
        Ok(next.map_err(|error| self.place().delta(error))?.and_then(|next| u64::try_from(next).ok()))
    }

    /// Its version in the Delta log.
    pub(super) fn version(&self) -> u64 {
        self.snapshot.version()
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place { path: &self.root, table: self.spec.name }
    }

    /// The files that it consists of.
    pub(super) fn live(&self, engine: &Engine) -> Result<Live, LakeError> {
        Live::of(&self.snapshot, &self.root, &self.spec, engine).map_err(|error| self.place().delta(error))
    }

    /// Its rows, a batch a file, all columns in order.
    pub(super) fn read(&self, engine: &Engine) -> Result<Vec<RecordBatch>, LakeError> {
        self.read_files(engine, |_| true)
    }

    /// The rows of the files that may hold what is wanted.
    pub(super) fn read_files(
        &self,
        engine: &Engine,
        may_hold: impl Fn(&LiveFile) -> bool + Sync,
    ) -> Result<Vec<RecordBatch>, LakeError> {
        let (place, schema) = (self.place(), files::file_schema(&self.spec));
        self.live(engine)?
            .files
            .par_iter()
            .filter(|file| may_hold(file))
            .map(|file| {
                let batch = files::read(place, &file.path, &schema)?;
                files::with_partition(&self.spec, &batch, &file.partition).map_err(|error| place.arrow(error))
            })
            .collect()
    }

    /// Refuses an epoch that the table has seen: what it brings would be there twice.
    fn check_epoch(&self, epoch: u64) -> Result<(), LakeError> {
        match self.epoch {
            Some(held) if epoch <= held => {
                Err(LakeError::StaleEpoch { path: self.root.clone(), table: self.spec.name, epoch, held })
            }
            _ => Ok(()),
        }
    }

    /// Adds `rows` in one commit, which also says how far feeds are covered with it.
    pub(super) fn append(
        &mut self,
        engine: &Engine,
        epoch: u64,
        rows: &RecordBatch,
        covered: &[Position],
    ) -> Result<(), LakeError> {
        self.check_epoch(epoch)?;
        let adds = self.partitions(rows)?.into_iter().collect();
        let staged = Staged { adds, covered, ..Staged::default() };
        self.commit(engine, Some(epoch), UpdateTableOperation::StreamingUpdate, None, staged)?;
        self.tidy(engine);
        Ok(())
    }

    /// Takes `deleted` out and puts `inserted` in, in one commit. Only files that hold a row of `deleted` are rewritten.
    ///
    /// Which those are is read from the table itself each time: memory that is not the table's could differ from it after a
    /// crash, and would have to hold every row.
    pub(super) fn replace(
        &mut self,
        engine: &Engine,
        epoch: u64,
        inserted: &RecordBatch,
        deleted: &RecordBatch,
    ) -> Result<(), LakeError> {
        if deleted.num_rows() == 0 {
            return self.append(engine, epoch, inserted, &[]);
        }
        self.check_epoch(epoch)?;
        let place = self.place();
        let live = self.live(engine)?;
        let mut inserted = self.partitions(inserted)?;
        let deleted = self.partitions(deleted)?;
        let mut staged = Staged::default();
        let mut missing = 0;
        for (partition, rows) in &deleted {
            let (mut kept, lacking) = self.without(&live, partition, rows, &mut staged)?;
            missing += lacking;
            let mut changes = vec![files::as_change(rows, "delete").map_err(|error| place.arrow(error))?];
            if let Some(rows) = inserted.remove(partition) {
                changes.push(files::as_change(&rows, "insert").map_err(|error| place.arrow(error))?);
                kept.push(rows);
            }
            staged.add(place, partition, &kept)?;
            staged.change(place, partition, &changes)?;
        }
        for (partition, rows) in &inserted {
            staged.add(place, partition, std::slice::from_ref(rows))?;
            let changes = files::as_change(rows, "insert").map_err(|error| place.arrow(error))?;
            staged.change(place, partition, &[changes])?;
        }
        if missing > 0 {
            return Err(LakeError::Missing { path: self.root.clone(), table: self.spec.name, rows: missing });
        }
        self.commit(engine, Some(epoch), UpdateTableOperation::StreamingUpdate, Some(&live), staged)?;
        self.tidy(engine);
        Ok(())
    }

    /// Stages the removal of each file of `partition` that holds some of `rows`; what else those files hold, and how many of
    /// `rows` are in none.
    fn without<'a>(
        &self,
        live: &'a Live,
        partition: &Partition,
        rows: &RecordBatch,
        staged: &mut Staged<'a>,
    ) -> Result<(Vec<RecordBatch>, usize), LakeError> {
        let (place, schema) = (self.place(), files::file_schema(&self.spec));
        let keys = files::comparable(rows).map_err(|error| place.arrow(error))?;
        let mut wanted: HashMap<&[u8], usize> = HashMap::new();
        for key in &keys {
            *wanted.entry(key.data()).or_default() += 1;
        }
        let leading = rows.column(0).as_string_opt::<i32>().filter(|texts| texts.null_count() == 0);
        let leading: Option<Vec<&str>> =
            leading.map(|texts| texts.iter().flatten().collect::<BTreeSet<_>>().into_iter().collect());
        let mut kept = Vec::new();
        for file in live.files.iter().filter(|file| file.partition == *partition) {
            if leading.as_ref().is_some_and(|texts| !file.may_hold(schema.field(0).name(), texts)) {
                continue;
            }
            let batch = files::read(place, &file.path, &schema)?;
            let held = files::comparable(&batch).map_err(|error| place.arrow(error))?;
            let stays = |row: &[u8]| match wanted.get_mut(row) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    false
                }
                _ => true,
            };
            let mask = BooleanArray::from(held.iter().map(|row| row.data()).map(stays).collect::<Vec<_>>());
            if mask.true_count() < mask.len() {
                staged.removes.push(file);
                kept.push(filter_record_batch(&batch, &mask).map_err(|error| place.arrow(error))?);
            }
        }
        Ok((kept, wanted.values().sum()))
    }

    fn partitions(&self, rows: &RecordBatch) -> Result<BTreeMap<Partition, RecordBatch>, LakeError> {
        let (place, schema) = (self.place(), files::file_schema(&self.spec));
        let parts = files::by_partition(&self.spec, rows).map_err(|error| place.arrow(error))?;
        parts
            .into_iter()
            .map(|(partition, rows)| {
                Ok((partition, files::sorted(&schema, &[rows]).map_err(|error| place.arrow(error))?))
            })
            .collect()
    }

    /// Writes the files of `staged`, then the commit that makes them part of the table.
    pub(super) fn commit(
        &mut self,
        engine: &Engine,
        epoch: Option<u64>,
        operation: UpdateTableOperation,
        live: Option<&Live>,
        staged: Staged<'_>,
    ) -> Result<(), LakeError> {
        let place = Place { path: &self.root, table: self.spec.name };
        let mut touched = BTreeSet::new();
        let stem = format!("{:020}", self.version() + 1);
        let changes = staged
            .changes
            .iter()
            .map(|(partition, rows)| {
                let (path, size) = files::write(place, &self.root.join(CHANGES), &stem, rows)?;
                touched.insert(self.root.join(CHANGES));
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let values: BTreeMap<_, _> = self.spec.partition.iter().zip(partition).collect();
                Ok(json!({"cdc": {
                    "path": format!("{CHANGES}/{name}"), "partitionValues": values, "size": size, "dataChange": false,
                }}))
            })
            .collect::<Result<Vec<_>, LakeError>>()?;

        let removes = !staged.removes.is_empty();
        let committer = DurableCommitter { changes, replaces: removes && epoch.is_some() };
        let mut builder = self.snapshot.clone().update_table(operation, ENGINE_INFO, !removes);
        if let Some(epoch) = epoch {
            builder = builder.with_transaction_id(APPLICATION, i64::try_from(epoch).unwrap_or(i64::MAX));
        }
        for Position { source, offset } in staged.covered {
            let next = i64::try_from(*offset).unwrap_or(i64::MAX);
            builder = builder.with_transaction_id(feed_application(source), next);
        }
        let mut transaction = builder.build(engine, Box::new(committer)).map_err(|error| place.delta(error))?;
        let state = transaction.write_state().map_err(|error| place.delta(error))?;
        for (partition, rows) in &staged.adds {
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
                let add = stats.and_then(|stats| build_add_file_metadata(DataFileMetadata::new(file, stats), &context));
                transaction.add_files(add.map_err(|error| place.delta(error))?);
            }
            // The folder of a new partition is a new name in those above it.
            touched.extend(dir.ancestors().take_while(|dir| dir.starts_with(&self.root)).map(Path::to_owned));
        }
        if let Some(live) = live {
            for actions in live.actions_of(&staged.removes).map_err(|error| place.delta(error))? {
                transaction.remove_files(actions);
            }
        }
        for dir in touched {
            sync_dir(&dir).map_err(io(&dir))?;
        }
        let result = transaction.commit(engine).map_err(|error| place.delta(error))?;
        self.snapshot = committed(place, result)?;
        self.epoch = epoch.or(self.epoch);
        Ok(())
    }
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

    fn change(&mut self, place: Place<'_>, partition: &Partition, batches: &[RecordBatch]) -> Result<(), LakeError> {
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

/// The application whose transactions tell how far a feed is covered.
fn feed_application(source: &str) -> String {
    format!("{APPLICATION}/{source}")
}

/// The snapshot after a commit.
fn committed<S>(place: Place<'_>, result: CommitResult<S>) -> Result<SnapshotRef, LakeError> {
    match result {
        CommitResult::Committed(done) => match done.post_commit_snapshot() {
            Some(snapshot) => Ok(snapshot.clone()),
            None => Err(place.delta(delta_kernel::KernelError::generic("no snapshot after the commit"))),
        },
        CommitResult::Conflicted(conflict) => Err(LakeError::Conflict {
            path: place.path.to_owned(),
            table: place.table,
            version: conflict.conflict_version(),
        }),
        CommitResult::Retryable(failed) => Err(place.delta(failed.error)),
    }
}

/// The first column in which a table differs from what it should be.
fn difference(held: &Schema, known: &Schema) -> Option<String> {
    let (held, known) = (held.fields(), known.fields());
    let differs = held.iter().zip(known).find(|(held, known)| {
        held.name() != known.name()
            || held.data_type() != known.data_type()
            || held.is_nullable() != known.is_nullable()
    });
    match differs {
        Some((held, known)) => Some(format!(
            "it has {} {} where {} {} is expected",
            held.name(),
            held.data_type(),
            known.name(),
            known.data_type()
        )),
        None if held.len() == known.len() => None,
        None => Some(format!("it has {} columns where {} are expected", held.len(), known.len())),
    }
}

/// What lies in the log of the table in `root`.
fn log_files(root: &Path) -> Result<Vec<PathBuf>, LakeError> {
    let log = root.join("_delta_log");
    if !log.is_dir() {
        return Ok(Vec::new());
    }
    let files = fs::read_dir(&log).map_err(io(&log))?;
    files.map(|file| Ok(file.map_err(io(&log))?.path())).collect()
}

pub(super) fn url(root: &Path) -> Result<Url, LakeError> {
    let absolute = std::path::absolute(root).map_err(io(root))?;
    Url::from_directory_path(&absolute)
        .map_err(|()| io(root)(std::io::Error::other("the path cannot be written as a URL")))
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
