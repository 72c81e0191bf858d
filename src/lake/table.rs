//! One Delta table.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array},
    compute::{SortColumn, lexsort_to_indices, take_record_batch},
    datatypes::{DataType, Field, Schema},
};
use delta_kernel::{
    FileMeta, FilteredEngineData, Snapshot, SnapshotRef,
    engine::arrow_data::ArrowEngineData,
    expressions::Scalar,
    object_store::local::LocalFileSystem,
    transaction::{
        BoundWriteContext, CommitResult, Transaction, UpdateTableOperation, create_table::create_table,
        data_layout::DataLayout,
    },
};
use delta_kernel_default_engine::{
    DefaultEngine, DefaultEngineBuilder, build_add_file_metadata, executor::tokio::TokioMultiThreadExecutor,
    parquet::DataFileMetadata, stats::collect_stats,
};
use larder_records::Digest;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use url::Url;

use super::{
    LakeError,
    columns::{Column, delta_schema},
    committer::{ChangeFile, SyncedCommitter, sync_parent},
};

/// The name under which commits record their epoch (application transaction).
const APPLICATION: &str = "larder";
/// Who wrote a commit.
const ENGINE_INFO: &str = concat!("larder/", env!("CARGO_PKG_VERSION"));
/// The partition column of tables divided by month.
const MONTH: &str = "month";
/// Commits between two checkpoints: reading a log without one costs about 0.3 ms a commit.
const CHECKPOINT_EVERY: u64 = 16;
/// Rows of one Parquet file at most.
const FILE_ROWS: usize = 1 << 20;

/// What the kernel reads and writes through.
pub(super) struct Kernel {
    engine: DefaultEngine<TokioMultiThreadExecutor>,
    /// Runs the kernel's reads; must outlive `engine`'s use.
    _runtime: tokio::runtime::Runtime,
}

impl Kernel {
    pub(super) fn new() -> Result<Self, LakeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|source| LakeError::Runtime { source })?;
        let executor = Arc::new(TokioMultiThreadExecutor::new(runtime.handle().clone()));
        let engine = DefaultEngineBuilder::new(Arc::new(LocalFileSystem::new())).with_task_executor(executor).build();
        Ok(Self { engine, _runtime: runtime })
    }
}

/// A file of the table's current version.
#[derive(Debug, Clone)]
pub(super) struct DataFile {
    /// Relative to the table.
    path: String,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    /// The month whose rows it holds; none in tables that are not divided.
    pub(super) month: Option<String>,
}

/// What one commit does to one month, or to all of a table that is not divided.
pub(super) struct Rewrite {
    pub(super) month: Option<String>,
    /// Paths of the files that go.
    pub(super) removed: Vec<DataFile>,
    /// Rows that come, those of removed files that stay among them.
    pub(super) added: RecordBatch,
    /// Rows for the change data feed with the words for each; none where the added rows say it all.
    pub(super) changes: Option<(RecordBatch, Vec<&'static str>)>,
}

/// An open Delta table.
pub(super) struct Table {
    dir: PathBuf,
    snapshot: SnapshotRef,
    by_month: bool,
}

impl Table {
    /// Opens the table in `dir`; none where there is no Delta log.
    pub(super) fn open(kernel: &Kernel, dir: &Path, by_month: bool) -> Result<Option<Self>, LakeError> {
        if !dir.join("_delta_log").is_dir() {
            return Ok(None);
        }
        let snapshot = Snapshot::builder_for(url(dir)?.as_str()).build(&kernel.engine).map_err(LakeError::at(dir))?;
        Ok(Some(Self { dir: dir.to_owned(), snapshot, by_month }))
    }

    /// Creates the table in `dir`.
    pub(super) fn create(
        kernel: &Kernel,
        dir: &Path,
        columns: &[Column],
        by_month: bool,
        change_feed: bool,
    ) -> Result<Self, LakeError> {
        fs::create_dir_all(dir).map_err(LakeError::io(dir))?;
        let schema = Arc::new(delta_schema(columns, by_month.then_some(MONTH))?);
        let layout = if by_month { DataLayout::partitioned([MONTH]) } else { DataLayout::None };
        let feed = if change_feed { "true" } else { "false" };
        let created = create_table(url(dir)?.as_str(), schema, ENGINE_INFO, true)
            .with_data_layout(layout)
            .with_table_properties([("delta.enableChangeDataFeed", feed)])
            .build(&kernel.engine, Box::new(SyncedCommitter::default()))
            .and_then(|transaction| transaction.commit(&kernel.engine))
            .map_err(LakeError::at(dir))?;
        Ok(Self { dir: dir.to_owned(), snapshot: committed(dir, created)?, by_month })
    }

    /// The version that is open.
    pub(super) fn version(&self) -> u64 {
        self.snapshot.version()
    }

    /// The epoch of the last commit.
    pub(super) fn epoch(&self, kernel: &Kernel) -> Result<Option<u64>, LakeError> {
        let version =
            self.snapshot.get_app_id_version(APPLICATION, &kernel.engine).map_err(LakeError::at(&self.dir))?;
        Ok(version.and_then(|version| u64::try_from(version).ok()))
    }

    /// The files of the open version, by path.
    pub(super) fn files(&self, kernel: &Kernel) -> Result<Vec<DataFile>, LakeError> {
        let at = || LakeError::at(&self.dir);
        let mut files = Vec::new();
        let scan = self.snapshot.clone().scan_builder().build().map_err(at())?;
        for batch in scan.scan_metadata(&kernel.engine).map_err(at())? {
            files = batch
                .and_then(|batch| {
                    batch.visit_scan_files(files, |files: &mut Vec<DataFile>, file| {
                        files.push(DataFile {
                            path: file.path,
                            bytes: u64::try_from(file.size).unwrap_or(0),
                            rows: file.stats.map_or(0, |stats| stats.num_records),
                            month: file.partition_values.get(MONTH).cloned(),
                        });
                    })
                })
                .map_err(at())?;
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Reads a file, batch by batch.
    pub(super) fn read(
        &self,
        file: &DataFile,
        mut each: impl FnMut(&RecordBatch) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let path = self.dir.join(percent_decoded(&file.path));
        let opened = File::open(&path).map_err(LakeError::io(&path))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened)
            .and_then(|builder| builder.with_batch_size(1 << 16).build())
            .map_err(LakeError::parquet(&path))?;
        for batch in reader {
            each(&batch.map_err(|source| LakeError::parquet(&path)(source.into()))?)?;
        }
        Ok(())
    }

    /// Makes one commit of `rewrites`, as of `epoch`.
    pub(super) fn commit(&mut self, kernel: &Kernel, epoch: u64, rewrites: Vec<Rewrite>) -> Result<(), LakeError> {
        let dir = self.dir.clone();
        let at = || LakeError::at(&dir);
        let mut committer = SyncedCommitter::default();
        for rewrite in &rewrites {
            if let Some((rows, words)) = &rewrite.changes {
                committer.changes.push(self.write_changes(rows, words, rewrite.month.as_deref())?);
            }
        }
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        let mut transaction = self
            .snapshot
            .clone()
            .update_table(UpdateTableOperation::StreamingUpdate, ENGINE_INFO, false)
            .with_transaction_id(APPLICATION, epoch)
            .build(&kernel.engine, Box::new(committer))
            .map_err(at())?;
        let state = transaction.write_state().map_err(at())?;
        let removed: HashSet<&str> =
            rewrites.iter().flat_map(|rewrite| &rewrite.removed).map(|file| file.path.as_str()).collect();
        self.stage_removals(kernel, &mut transaction, &removed)?;
        for rewrite in &rewrites {
            let mut context = state.write_context_builder();
            if let Some(month) = &rewrite.month {
                context =
                    context.with_partition_values(HashMap::from([(MONTH.to_owned(), Scalar::from(month.clone()))]));
            }
            let context = context.build().map_err(at())?;
            for start in (0..rewrite.added.num_rows()).step_by(FILE_ROWS) {
                let rows = rewrite.added.slice(start, FILE_ROWS.min(rewrite.added.num_rows() - start));
                let added = self.write_rows(&rows, rewrite.month.as_deref(), &context)?;
                transaction.add_files(added);
            }
        }
        let result = transaction.commit(&kernel.engine).map_err(at())?;
        self.snapshot = committed(&dir, result)?;
        if self.snapshot.version() % CHECKPOINT_EVERY == 0 {
            self.snapshot = self.snapshot.checkpoint(&kernel.engine, None).map_err(at())?.1;
        }
        Ok(())
    }

    fn stage_removals(
        &self,
        kernel: &Kernel,
        transaction: &mut Transaction,
        removed: &HashSet<&str>,
    ) -> Result<(), LakeError> {
        if removed.is_empty() {
            return Ok(());
        }
        let at = || LakeError::at(&self.dir);
        let scan = self.snapshot.clone().scan_builder().build().map_err(at())?;
        for batch in scan.scan_metadata(&kernel.engine).map_err(at())? {
            let (data, mut selected) = batch.map_err(at())?.scan_files.into_parts();
            // rows behind the end of the vector are selected
            selected.resize(data.len(), true);
            let data = ArrowEngineData::try_from_engine_data(data).map_err(at())?;
            let paths = data.record_batch().column_by_name("path").and_then(|column| column.as_string_opt::<i32>());
            let paths = paths.ok_or_else(|| LakeError::Log { dir: self.dir.clone() })?;
            for (row, keep) in selected.iter_mut().enumerate() {
                *keep = *keep && removed.contains(paths.value(row));
            }
            if selected.contains(&true) {
                transaction.remove_files(FilteredEngineData::try_new(data, selected).map_err(at())?);
            }
        }
        Ok(())
    }

    fn folder(&self, parent: &str, month: Option<&str>) -> String {
        month.map_or_else(|| parent.to_owned(), |month| format!("{parent}{MONTH}={month}/"))
    }

    fn write_rows(
        &self,
        rows: &RecordBatch,
        month: Option<&str>,
        context: &BoundWriteContext,
    ) -> Result<Box<dyn delta_kernel::EngineData>, LakeError> {
        let at = || LakeError::at(&self.dir);
        let relative = self.folder("", month);
        let (path, bytes) = self.write_parquet(rows, &relative)?;
        let stats = collect_stats(rows, context.stats_columns(), context.physical_data_schema()).map_err(at())?;
        // a modification time is asked for; no reader of Larder's looks at it
        let meta = FileMeta::new(url_of_file(&self.dir.join(&path))?, 0, bytes);
        build_add_file_metadata(DataFileMetadata::new(meta, stats), context).map_err(at())
    }

    fn write_changes(&self, rows: &RecordBatch, words: &[&str], month: Option<&str>) -> Result<ChangeFile, LakeError> {
        let mut fields = rows.schema().fields().to_vec();
        fields.push(Arc::new(Field::new("_change_type", DataType::Utf8, false)));
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(StringArray::from_iter_values(words)) as ArrayRef);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(LakeError::schema)?;
        let (path, bytes) = self.write_parquet(&batch, &self.folder("_change_data/", month))?;
        Ok(ChangeFile { path, bytes, month: month.map(str::to_owned) })
    }

    /// Writes a Parquet file into `folder` of the table, synced; its relative path and size.
    ///
    /// The name holds the next version and the digest of the bytes: a retry writes the same file again, and two writers
    /// in conflict never touch each other's.
    fn write_parquet(&self, rows: &RecordBatch, folder: &str) -> Result<(String, u64), LakeError> {
        let in_table = LakeError::parquet(&self.dir);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(ENGINE_INFO.to_owned())
            .build();
        let write = || {
            let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties))?;
            writer.write(rows)?;
            writer.into_inner()
        };
        let bytes = write().map_err(in_table)?;
        let relative = format!("{folder}{:06}-{}.parquet", self.version() + 1, Digest::of(&bytes));
        let path = self.dir.join(&relative);
        let parent = self.dir.join(folder);
        fs::create_dir_all(&parent)
            .and_then(|()| fs::write(&path, &bytes))
            .and_then(|()| File::open(&path)?.sync_all())
            .and_then(|()| sync_parent(&path))
            .map_err(LakeError::io(&path))?;
        Ok((relative, bytes.len() as u64))
    }

    /// Whether the table is divided by month.
    pub(super) fn by_month(&self) -> bool {
        self.by_month
    }
}

/// The month of a time, as the partition column writes it: `2026-01`.
pub(super) fn month(time: larder_records::Time) -> String {
    jiff::Timestamp::from_microsecond(time.0).map_or_else(|_| "none".to_owned(), |t| t.strftime("%Y-%m").to_string())
}

/// Sorts rows by their columns from the first on, lists left out: close rows lie together, for statistics and compression.
pub(super) fn sorted(rows: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let columns: Vec<SortColumn> = rows
        .columns()
        .iter()
        .filter(|column| !column.data_type().is_nested())
        .map(|column| SortColumn { values: column.clone(), options: None })
        .collect();
    let order: UInt32Array = lexsort_to_indices(&columns, None).map_err(LakeError::schema)?;
    take_record_batch(rows, &order).map_err(LakeError::schema)
}

fn committed<S>(dir: &Path, result: CommitResult<S>) -> Result<SnapshotRef, LakeError> {
    match result {
        CommitResult::Committed(done) => {
            done.post_commit_snapshot().cloned().ok_or_else(|| LakeError::Log { dir: dir.to_owned() })
        }
        CommitResult::Conflicted(conflict) => {
            Err(LakeError::Conflict { dir: dir.to_owned(), version: conflict.conflict_version() })
        }
        CommitResult::Retryable(failed) => Err(LakeError::at(dir)(failed.error)),
    }
}

fn url(dir: &Path) -> Result<Url, LakeError> {
    let absolute = std::path::absolute(dir).map_err(LakeError::io(dir))?;
    Url::from_directory_path(&absolute).map_err(|()| LakeError::Path { path: absolute })
}

fn url_of_file(path: &Path) -> Result<Url, LakeError> {
    let absolute = std::path::absolute(path).map_err(LakeError::io(path))?;
    Url::from_file_path(&absolute).map_err(|()| LakeError::Path { path: absolute })
}

/// The path behind a path of the log, which is percent-encoded. Larder's own paths need no encoding.
fn percent_decoded(path: &str) -> String {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let code = (byte == b'%').then(|| [ahead.next(), ahead.next()]);
        let value = code.and_then(|[high, low]| {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            u8::try_from(digit(high)? * 16 + digit(low)?).ok()
        });
        if value.is_some() {
            bytes = ahead;
        }
        decoded.push(value.unwrap_or(byte));
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
