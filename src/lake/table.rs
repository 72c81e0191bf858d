//! One Delta table: making, opening, reading.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{array::RecordBatch, datatypes::Schema};
use delta_kernel::{
    Snapshot, SnapshotRef,
    engine::arrow_conversion::{TryFromArrow, TryIntoArrow},
    schema::StructType,
    transaction::{CommitResult, create_table::create_table, data_layout::DataLayout},
};
use delta_kernel_default_engine::{DefaultEngine, executor::tokio::TokioMultiThreadExecutor};
use rayon::prelude::*;
use url::Url;

use super::{
    committer::{DurableCommitter, sync_dir},
    error::{LakeError, Place, io},
    files,
    live::{Live, LiveFile},
    log::Log,
    part::Sieve,
    properties,
    spec::TableSpec,
};

/// What reads and writes the logs.
pub(super) type Engine = DefaultEngine<TokioMultiThreadExecutor>;

/// The application whose transactions carry the epoch.
pub(super) const APPLICATION: &str = "larder";
pub(super) const ENGINE_INFO: &str = concat!("larder/", env!("CARGO_PKG_VERSION"));

/// A table as of one of its commits.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) spec: TableSpec,
    pub(super) root: PathBuf,
    pub(super) snapshot: SnapshotRef,
    pub(super) epoch: Option<u64>,
}

impl Table {
    /// The table in `root`; none where there is none yet.
    pub(super) fn open(engine: &Engine, root: PathBuf, spec: TableSpec) -> Result<Option<Self>, LakeError> {
        let place = Place { path: &root, table: spec.name };
        // A crash while it is made leaves a log without a commit.
        if Log::of(&root)?.numbered.is_empty() {
            return Ok(None);
        }
        let snapshot = newest(place, engine)?;
        let schema: Schema = snapshot.schema().as_ref().try_into_arrow().map_err(|error| place.arrow(error))?;
        if let Some(difference) = difference(&schema, &spec.schema()) {
            return Err(LakeError::OtherSchema { path: root, table: spec.name, difference });
        }
        let epoch = epoch_of(place, &snapshot, engine)?;
        Ok(Some(Self { spec, root, snapshot, epoch }))
    }

    /// The table as of one of its versions, to be read; none where that cannot be read any more.
    pub(super) fn at(&self, engine: &Engine, version: u64) -> Option<Self> {
        let snapshot = Snapshot::builder_for(url(&self.root).ok()?.as_str()).at_version(version).build(engine).ok()?;
        let epoch = epoch_of(self.place(), &snapshot, engine).ok()?;
        let table = Self { snapshot, epoch, ..self.clone() };
        let is_there = table.live(engine).ok()?.files.iter().all(|file| file.path.exists());
        is_there.then_some(table)
    }

    /// A new table in `root`, where [`Table::open`] found none.
    pub(super) fn create(engine: &Engine, root: PathBuf, spec: TableSpec) -> Result<Self, LakeError> {
        let place = Place { path: &root, table: spec.name };
        fs::create_dir_all(&root).map_err(io(&root))?;
        for left in Log::of(&root)?.waiting {
            fs::remove_file(&left).map_err(io(&left))?;
        }
        let schema = StructType::try_from_arrow(spec.schema().as_ref()).map_err(|error| place.arrow(error))?;
        let mut builder = create_table(url(&root)?.as_str(), Arc::new(schema), ENGINE_INFO, true)
            .with_table_properties(properties::of_new_table(spec.feed));
        if !spec.partition.is_empty() {
            builder = builder.with_data_layout(DataLayout::partitioned(spec.partition.iter().copied()));
        }
        let committer = DurableCommitter { more: Vec::new(), replaces: false };
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

    /// Its rows that belong to a part, a batch a file; `time` is the column that says when.
    pub(super) fn read_sifted(
        &self,
        engine: &Engine,
        sieve: &Arc<Sieve>,
        time: &'static str,
    ) -> Result<Vec<RecordBatch>, LakeError> {
        self.sift(&self.files_within(engine, sieve, time)?, sieve, time)
    }

    /// The files in which rows of a part may lie.
    pub(super) fn files_within(
        &self,
        engine: &Engine,
        sieve: &Sieve,
        time: &'static str,
    ) -> Result<Vec<LiveFile>, LakeError> {
        let mut files = self.live(engine)?.files;
        files.retain(|file| sieve.may_lie_in(file, time));
        Ok(files)
    }

    /// The rows of `files` that belong to a part, a batch a file.
    pub(super) fn sift(
        &self,
        files: &[LiveFile],
        sieve: &Arc<Sieve>,
        time: &'static str,
    ) -> Result<Vec<RecordBatch>, LakeError> {
        let (place, schema) = (self.place(), files::file_schema(&self.spec));
        let read = |file: &LiveFile| {
            let batch = if sieve.is_open() {
                files::read(place, &file.path, &schema)?
            } else {
                files::read_sifted(place, &file.path, &schema, sieve, time)?
            };
            files::with_partition(&self.spec, &batch, &file.partition).map_err(|error| place.arrow(error))
        };
        files.par_iter().map(read).collect()
    }

    /// What `map` makes of some columns, none of which parts the table, of each file that may hold what is wanted.
    pub(super) fn map_columns<T: Send>(
        &self,
        engine: &Engine,
        columns: &[&str],
        may_hold: impl Fn(&LiveFile) -> bool + Sync,
        map: impl Fn(&RecordBatch) -> Result<T, LakeError> + Sync,
    ) -> Result<Vec<T>, LakeError> {
        let files = self.live(engine)?.files;
        let wanted = files.par_iter().filter(|file| may_hold(file));
        wanted.map(|file| map(&files::read_columns(self.place(), &file.path, columns)?)).collect()
    }
}

/// The snapshot after a commit.
pub(super) fn committed<S>(place: Place<'_>, result: CommitResult<S>) -> Result<SnapshotRef, LakeError> {
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

/// The table in `place` as of its newest commit.
pub(super) fn newest(place: Place<'_>, engine: &Engine) -> Result<SnapshotRef, LakeError> {
    Snapshot::builder_for(url(place.path)?.as_str()).build(engine).map_err(|error| place.delta(error))
}

/// The epoch that the newest commit of `snapshot` that has one carries.
pub(super) fn epoch_of(place: Place<'_>, snapshot: &SnapshotRef, engine: &Engine) -> Result<Option<u64>, LakeError> {
    let epoch = snapshot.get_app_id_version(APPLICATION, engine).map_err(|error| place.delta(error))?;
    Ok(epoch.and_then(|epoch| u64::try_from(epoch).ok()))
}

/// The application whose transactions tell how far a feed is covered.
pub(super) fn feed_application(source: &str) -> String {
    format!("{APPLICATION}/{source}")
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

pub(super) fn url(root: &Path) -> Result<Url, LakeError> {
    let absolute = std::path::absolute(root).map_err(io(root))?;
    Url::from_directory_path(&absolute)
        .map_err(|()| io(root)(std::io::Error::other("the path cannot be written as a URL")))
}
