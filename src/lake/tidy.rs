//! Keeping a table's log short and its files few.

use std::{collections::BTreeMap, fs};

use delta_kernel::transaction::UpdateTableOperation;
use rayon::prelude::*;

use super::{
    committer::sync_dir,
    error::{LakeError, Place, io},
    files::{self, MAX_ROWS, Partition},
    live::LiveFile,
    table::{Engine, Staged, Table},
};

/// Versions from one checkpoint to the next: opening reads at most so many commits one by one.
const CHECKPOINT_EVERY: u64 = 16;
/// Versions from one look for small files to the next.
const COMPACT_EVERY: u64 = 8;
/// So many files of a partition, alike in size, are made one.
const COMPACT_FILES: usize = 8;

impl Table {
    /// Compacts and checkpoints, where it is time. The rows are committed already, so a failure is logged and no more: the table
    /// reads on as well as before, and the next commit meets what is wrong.
    pub(super) fn tidy(&mut self, engine: &Engine) {
        let version = self.version();
        if version.is_multiple_of(COMPACT_EVERY)
            && let Err(error) = self.compact(engine)
        {
            tracing::warn!("compacting: {error}");
        }
        if version.is_multiple_of(CHECKPOINT_EVERY)
            && let Err(error) = self.checkpoint(engine)
        {
            tracing::warn!("writing a checkpoint: {error}");
        }
    }

    fn checkpoint(&mut self, engine: &Engine) -> Result<(), LakeError> {
        let (_, snapshot) =
            self.snapshot.clone().checkpoint(engine, None).map_err(|error| self.place().delta(error))?;
        self.snapshot = snapshot;
        let log = self.root.join("_delta_log");
        for name in [format!("{:020}.checkpoint.parquet", self.version()), "_last_checkpoint".to_owned()] {
            let path = log.join(name);
            fs::File::open(&path).and_then(|file| file.sync_all()).map_err(io(&path))?;
        }
        sync_dir(&log).map_err(io(&log))
    }

    /// Makes one of each [`COMPACT_FILES`] or more files of a partition that are within a factor of 8 of each other, so that a
    /// row is rewritten a logarithmic number of times. Changes no row.
    fn compact(&mut self, engine: &Engine) -> Result<(), LakeError> {
        let live = self.live(engine)?;
        let mut tiers: BTreeMap<(&Partition, u32), Vec<&LiveFile>> = BTreeMap::new();
        for file in live.files.iter().filter(|file| file.rows < MAX_ROWS as u64 / 2) {
            tiers.entry((&file.partition, file.rows.max(1).ilog2() / 3)).or_default().push(file);
        }
        tiers.retain(|_, files| files.len() >= COMPACT_FILES);
        if tiers.is_empty() {
            return Ok(());
        }
        let root = self.root.clone();
        let place = Place { path: &root, table: self.spec.name };
        let schema = files::file_schema(&self.spec);
        let mut staged = Staged::default();
        for ((partition, _), files) in tiers {
            let batches: Vec<_> =
                files.par_iter().map(|file| files::read(place, &file.path, &schema)).collect::<Result<_, _>>()?;
            staged.add(place, partition, &batches)?;
            staged.removes.extend(files);
        }
        self.commit(engine, None, UpdateTableOperation::Optimize, Some(&live), staged)
    }
}
