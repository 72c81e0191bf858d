//! What a log amounts to, in one file.

use std::fs;

use super::{
    committer::sync_dir,
    error::{LakeError, io},
    log::LOG,
    table::Engine,
    tables::Slot,
};

/// Writes a checkpoint of the newest version, beside other commits.
pub(super) fn checkpoint(slot: &Slot, engine: &Engine) -> Result<(), LakeError> {
    let Some(table) = slot.get() else { return Ok(()) };
    let (_, snapshot) = table.snapshot.clone().checkpoint(engine, None).map_err(|error| table.place().delta(error))?;
    let log = table.root.join(LOG);
    for name in [format!("{:020}.checkpoint.parquet", table.version()), "_last_checkpoint".to_owned()] {
        let path = log.join(name);
        fs::File::open(&path).and_then(|file| file.sync_all()).map_err(io(&path))?;
    }
    sync_dir(&log).map_err(io(&log))?;
    let mut held = slot.lock();
    match held.table.as_mut() {
        Some(newest) if newest.version() == table.version() => newest.snapshot = snapshot,
        // what came since stands in commits behind the checkpoint
        Some(newest) => newest.reopen(engine)?,
        None => {}
    }
    Ok(())
}
