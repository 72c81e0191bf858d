//! Commits that bring rows into a table and take rows out.

use std::collections::{BTreeSet, HashMap};

use arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    compute::filter_record_batch,
};
use larder_records::Position;

use super::{
    commit::{Purpose, Staged},
    error::LakeError,
    files::{self, Partition},
    live::Live,
    table::{Engine, Table},
};

impl Table {
    /// Refuses an epoch that the table has seen: what it brings would be there twice.
    fn check_epoch(&self, epoch: Option<u64>) -> Result<(), LakeError> {
        match (epoch, self.epoch) {
            (Some(epoch), Some(held)) if epoch <= held => {
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
        let parts = files::sorted_by_partition(self.place(), &self.spec, rows)?;
        let adds: Vec<_> = parts.into_iter().collect();
        self.on_newest(engine, |table| {
            table.check_epoch(Some(epoch))?;
            let staged = Staged { adds: adds.clone(), covered, ..Staged::default() };
            table.write_and_commit(engine, Purpose::Rows(Some(epoch)), None, staged)
        })
    }

    /// Takes `deleted` out and puts `inserted` in, in one commit. Only files that hold a row of `deleted` are rewritten.
    ///
    /// Which those are is read from the table itself each time: memory that is not the table's could differ from it after a
    /// crash, and would have to hold every row.
    pub(super) fn replace(
        &mut self,
        engine: &Engine,
        epoch: Option<u64>,
        inserted: &RecordBatch,
        deleted: &RecordBatch,
    ) -> Result<(), LakeError> {
        let (place, spec) = (self.place(), self.spec);
        let inserted = files::sorted_by_partition(place, &spec, inserted)?;
        let deleted = files::sorted_by_partition(place, &spec, deleted)?;
        self.on_newest(engine, |table| {
            table.check_epoch(epoch)?;
            let place = table.place();
            let live = if deleted.is_empty() { Live::default() } else { table.live(engine)? };
            let mut staged = Staged::default();
            let mut missing = 0;
            let partitions: BTreeSet<&Partition> = inserted.keys().chain(deleted.keys()).collect();
            for partition in partitions {
                let (mut kept, mut changes) = (Vec::new(), Vec::new());
                if let Some(rows) = deleted.get(partition) {
                    let (others, lacking) = table.without(&live, partition, rows, &mut staged)?;
                    kept = others;
                    missing += lacking;
                    changes.push(files::as_change(rows, "delete").map_err(|error| place.arrow(error))?);
                }
                if let Some(rows) = inserted.get(partition) {
                    changes.push(files::as_change(rows, "insert").map_err(|error| place.arrow(error))?);
                    kept.push(rows.clone());
                }
                staged.add(place, partition, &kept)?;
                // where no row goes, what comes is what is added
                if spec.feed && !deleted.is_empty() {
                    staged.change(place, partition, &changes)?;
                }
            }
            if missing > 0 {
                return Err(LakeError::Missing { path: table.root.clone(), table: spec.name, rows: missing });
            }
            table.write_and_commit(engine, Purpose::Rows(epoch), Some(&live), staged)
        })
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
}
