//! Many small files become few.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{
    commit::{Purpose, Staged, Written},
    error::LakeError,
    files::{self, MAX_ROWS, Partition},
    live::{Live, LiveFile},
    table::{Engine, Table},
    tables::Slot,
};

/// So many files of a partition, alike in size, are made one.
const FILES: usize = 8;

/// Makes one of each [`FILES`] or more files of a partition that are within a factor of 8 of each other, so that a row is
/// rewritten a logarithmic number of times. Changes no row; whether it changed anything.
///
/// The files are written beside other commits; only naming them keeps others waiting. Where a file that goes into another
/// was taken out in the meantime, all of the work is dropped.
pub(super) fn compact(slot: &Slot, engine: &Engine) -> Result<bool, LakeError> {
    let Some(table) = slot.get() else { return Ok(false) };
    let live = table.live(engine)?;
    let Some(staged) = plan(&table, &live)? else { return Ok(false) };
    let written = table.write(engine, staged)?;
    let mut held = slot.lock();
    let Some(newest) = held.table.as_mut() else { return Ok(false) };
    let compacted = newest.optimize(engine, &live, &written);
    drop(held);
    if matches!(compacted, Ok(false) | Err(LakeError::Conflict { .. })) {
        written.discard();
    }
    compacted
}

/// Which files become one; none where it is not worth it.
fn plan<'a>(table: &Table, live: &'a Live) -> Result<Option<Staged<'a>>, LakeError> {
    let mut tiers: BTreeMap<(&Partition, u32), Vec<&LiveFile>> = BTreeMap::new();
    for file in live.files.iter().filter(|file| file.rows < MAX_ROWS as u64 / 2) {
        tiers.entry((&file.partition, file.rows.max(1).ilog2() / 3)).or_default().push(file);
    }
    tiers.retain(|_, files| files.len() >= FILES);
    if tiers.is_empty() {
        return Ok(None);
    }
    let (place, schema) = (table.place(), files::file_schema(&table.spec));
    let mut staged = Staged::default();
    for ((partition, _), files) in tiers {
        let batches: Vec<_> =
            files.par_iter().map(|file| files::read(place, &file.path, &schema)).collect::<Result<_, _>>()?;
        staged.add(place, partition, &batches)?;
        staged.removes.extend(files);
    }
    Ok(Some(staged))
}

impl Table {
    /// Puts `written` in the place of the files of `live` that it replaces, where they still are all there; whether they were.
    pub(super) fn optimize(&mut self, engine: &Engine, live: &Live, written: &Written<'_>) -> Result<bool, LakeError> {
        loop {
            let now = self.live(engine)?;
            let paths: std::collections::HashSet<_> = now.files.iter().map(|file| &file.path).collect();
            if !written.staged.removes.iter().all(|file| paths.contains(&file.path)) {
                return Ok(false);
            }
            match self.commit(engine, Purpose::Optimize, Some(live), written) {
                Ok(()) => return Ok(true),
                Err(LakeError::Conflict { .. }) if self.catch_up(engine)? => {}
                Err(error) => return Err(error),
            }
        }
    }
}
