//! Which versions of the tables show the same epoch: the table `epochs`.

use std::time::{SystemTime, UNIX_EPOCH};

use larder_records::{Names, Time};

use super::{
    Lake,
    error::LakeError,
    row::Row,
    rows::epochs::{Shown, TableVersion},
    table::{Engine, Table},
    tables::{Slot, Tables},
};

impl Lake {
    /// Whether the tables show one epoch: all that came in, and the views of just that.
    pub fn shows_one_epoch(&self) -> bool {
        self.last_epoch() == self.epoch(Shown::TABLE.name)
    }
}

impl Tables {
    /// Says that all tables, as they are now, show `epoch`. Says nothing where no table changed since that was said last.
    pub(super) fn show(&self, epoch: u64) -> Result<bool, LakeError> {
        let Some(slot) = self.slot(Shown::TABLE.name) else { return Ok(false) };
        let others: Vec<Table> = self.all().filter(|table| table.spec.name != Shown::TABLE.name).collect();
        let said = slot.get().and_then(|table| table.epoch());
        if others.iter().filter_map(Table::epoch).max() <= said {
            return Ok(false);
        }
        let versions =
            others.iter().map(|table| TableVersion { table: table.spec.name.to_owned(), version: table.version() });
        let row = Shown { epoch, committed: micros(SystemTime::now()), tables: versions.collect() };
        let rows = Shown::write(&[row], &Names::default())?;
        slot.write(&self.engine, |table| table.append(&self.engine, epoch, &rows, &[]))?;
        Ok(true)
    }
}

/// Takes out of the ledger in `slot`, where it is the ledger's, what no reader can follow: the epochs that others had followed
/// before `cutoff`.
pub(super) fn forget_epochs(slot: &Slot, engine: &Engine, cutoff: SystemTime) -> Result<(), LakeError> {
    let Some(table) = slot.get().filter(|table| table.spec.name == Shown::TABLE.name) else { return Ok(()) };
    let (mut names, mut rows) = (Names::default(), Vec::new());
    for batch in table.read(engine)? {
        rows.extend(Shown::read(&batch, &mut names)?);
    }
    let cutoff = micros(cutoff);
    rows.retain(|row| row.committed < cutoff);
    rows.sort();
    // it was the newest at the cutoff
    rows.pop();
    if rows.is_empty() {
        return Ok(());
    }
    let (none, rows) = (Shown::write(&[], &names)?, Shown::write(&rows, &names)?);
    slot.write(engine, |table| table.replace(engine, None, &none, &rows))
}

fn micros(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
