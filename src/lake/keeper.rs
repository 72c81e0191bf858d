//! Keeping tables in order: few files, short logs, and nothing that nobody can need.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    checkpoint::checkpoint,
    compaction::compact,
    error::LakeError,
    rows,
    tables::Tables,
    vacuum::{Removed, vacuum},
};

/// Versions from one look for small files to the next.
const COMPACT_EVERY: u64 = 8;
/// Versions from one checkpoint to the next: opening reads about so many commits one by one, at most.
const CHECKPOINT_EVERY: u64 = 16;
/// Versions from one vacuum to the next.
const VACUUM_EVERY: u64 = 64;
/// How long a table is left alone that is not written.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

impl Tables {
    /// Does what has become due by the commits to the table `name`. The rows are committed already, so a failure is logged and
    /// no more: the table reads on as well as before, and the next commit meets what is wrong.
    pub(super) fn keep(&self, name: &str) {
        let Some(slot) = self.slot(name) else { return };
        let (before, now) = {
            let mut held = slot.lock();
            let now = held.table.as_ref().map_or(0, super::table::Table::version);
            (std::mem::replace(&mut held.kept, now), now)
        };
        let due = |every: u64| before / every != now / every;
        let logged = |what: &str, done: Result<(), LakeError>| {
            if let Err(error) = done {
                tracing::warn!("{what} {name}: {error}");
            }
        };
        if due(COMPACT_EVERY) {
            logged("compacting", compact(slot, &self.engine).map(drop));
        }
        if due(CHECKPOINT_EVERY) {
            logged("writing a checkpoint of", checkpoint(slot, &self.engine));
        }
        if due(VACUUM_EVERY) {
            logged("vacuuming", vacuum(self, name, None, false).map(drop));
        }
    }

    /// Lets every table say that versions can be read for so long after a newer one replaced them.
    pub(super) fn retain(&self, retention: Duration) -> Result<(), LakeError> {
        for slot in rows::all().filter_map(|spec| self.slot(spec.name)) {
            if let Some(table) = slot.lock().table.as_mut() {
                table.retain(&self.engine, retention)?;
            }
        }
        Ok(())
    }

    /// Vacuums every table; what was removed from each that there is.
    pub(super) fn vacuum(&self, retain: Option<Duration>, dry: bool) -> Result<Vec<Removed>, LakeError> {
        let removed = rows::all().filter_map(|spec| vacuum(self, spec.name, retain, dry).transpose());
        removed.collect()
    }
}

/// A thread that keeps tables in order while others write them.
pub(super) struct Keeper {
    /// Who was written. None once there will be no more.
    written: Option<Sender<&'static str>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(tables: Arc<Tables>) -> Result<Self, LakeError> {
        let (written, told) = mpsc::channel();
        let thread = thread::Builder::new().name("larder-keeper".to_owned());
        let thread = thread.spawn(move || keep(&tables, &told)).map_err(LakeError::Keeper)?;
        Ok(Self { written: Some(written), thread: Some(thread) })
    }

    /// Says that the table `name` was written.
    pub(super) fn tell(&self, name: &'static str) {
        if let Some(written) = &self.written {
            // a keeper that is gone has panicked: tables are whole without it
            let _ = written.send(name);
        }
    }
}

impl Drop for Keeper {
    /// Waits until what became due is done.
    fn drop(&mut self) {
        self.written = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep(tables: &Tables, told: &Receiver<&'static str>) {
    loop {
        let mut due = BTreeSet::new();
        match told.recv_timeout(SWEEP_EVERY) {
            Ok(name) => drop(due.insert(name)),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = tables.vacuum(None, false) {
                    tracing::warn!("vacuuming: {error}");
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // a table that was written many times in the meantime is looked at once
        due.extend(told.try_iter());
        for name in due {
            tables.keep(name);
        }
    }
}
