//! The tables of one folder, as several threads share them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use delta_kernel::object_store::local::LocalFileSystem;
use delta_kernel_default_engine::{DefaultEngineBuilder, executor::tokio::TokioMultiThreadExecutor};

use super::{
    error::LakeError,
    rows,
    spec::TableSpec,
    table::{Engine, Table},
};

/// All tables that there are or may come to be.
pub(super) struct Tables {
    pub(super) engine: std::sync::Arc<Engine>,
    slots: BTreeMap<&'static str, Slot>,
}

/// The place of one table.
pub(super) struct Slot {
    spec: TableSpec,
    root: PathBuf,
    held: Mutex<Held>,
}

/// A table, where it has come to be.
pub(super) struct Held {
    pub(super) table: Option<Table>,
    /// Its version when it was last looked at whether there is something to keep in order.
    pub(super) kept: u64,
}

impl Tables {
    /// Those in `dir`.
    pub(super) fn open(dir: &Path) -> Result<Self, LakeError> {
        // Reading a log waits for the disk more than it computes.
        let executor = TokioMultiThreadExecutor::new_owned_runtime(Some(2), None);
        let executor = executor.map_err(|error| LakeError::Start(Box::new(error)))?;
        let store = std::sync::Arc::new(LocalFileSystem::new());
        let engine = DefaultEngineBuilder::new(store).with_task_executor(std::sync::Arc::new(executor)).build();
        let slots = rows::all().map(|spec| {
            let root = dir.join(spec.name);
            let table = Table::open(&engine, root.clone(), spec)?;
            let kept = table.as_ref().map_or(0, Table::version);
            Ok((spec.name, Slot { spec, root, held: Mutex::new(Held { table, kept }) }))
        });
        let slots = slots.collect::<Result<_, LakeError>>()?;
        Ok(Self { engine: std::sync::Arc::new(engine), slots })
    }

    /// These with each table as `table` has it, to be read.
    pub(super) fn each(&self, table: impl Fn(&Slot) -> Option<Option<Table>>) -> Option<Self> {
        let slots = self.slots.iter().map(|(name, slot)| {
            let held = Mutex::new(Held { table: table(slot)?, kept: 0 });
            Some((*name, Slot { spec: slot.spec, root: slot.root.clone(), held }))
        });
        Some(Self { engine: self.engine.clone(), slots: slots.collect::<Option<_>>()? })
    }

    /// The place of the table `name`.
    pub(super) fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.get(name)
    }

    /// The table `name` as of now; none where there is none yet.
    pub(super) fn get(&self, name: &str) -> Option<Table> {
        self.slot(name)?.get()
    }

    /// All that there are as of now, inputs first.
    pub(super) fn all(&self) -> impl Iterator<Item = Table> {
        rows::all().filter_map(|spec| self.get(spec.name))
    }
}

impl Slot {
    /// What the table is called.
    pub(super) fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Nobody else commits to the table as long as the guard is held.
    pub(super) fn lock(&self) -> MutexGuard<'_, Held> {
        // a table is what its newest commit says: one that a panic left is whole
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table as of now; none where there is none yet.
    pub(super) fn get(&self) -> Option<Table> {
        self.lock().table.clone()
    }

    /// Does `work` with the table, made where it is missing, while nobody else commits to it.
    pub(super) fn write<T>(
        &self,
        engine: &Engine,
        work: impl FnOnce(&mut Table) -> Result<T, LakeError>,
    ) -> Result<T, LakeError> {
        let mut held = self.lock();
        let table = match &mut held.table {
            Some(table) => table,
            none => none.insert(Table::create(engine, self.root.clone(), self.spec)?),
        };
        work(table)
    }
}
