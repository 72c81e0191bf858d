//! How the rows of a table came and went: its change feed.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use delta_kernel::{engine::arrow_data::EngineDataArrowExt as _, table_changes::TableChanges};
use larder_records::{Names, Time};
use serde_json::Value;

use super::{
    error::{CellError, LakeError},
    log::{self, Log},
    row::{Row, in_json, tell},
    table::{APPLICATION, Engine, Table, url},
};
use crate::corrections::stamp;

/// A row that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange<R> {
    /// The table's version that brought it.
    pub version: u64,
    /// The epoch that this version shows.
    pub epoch: Option<u64>,
    /// When it was committed, by the clock of the machine that did.
    pub committed: Time,
    /// Whether it came; else it went.
    pub inserted: bool,
    /// Which.
    pub row: R,
}

/// A row that came or went, in words.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ToldChange {
    /// The table's version that brought it.
    pub version: u64,
    /// The epoch that this version shows.
    pub epoch: Option<u64>,
    /// When it was committed, by the clock of the machine that did.
    pub committed: jiff::Timestamp,
    /// Whether it came; else it went.
    pub inserted: bool,
    /// Its columns in order, as text; columns that hold nothing are left out.
    pub row: Vec<(String, String)>,
}

/// Whether a row came, else it went; and its columns, but those that hold nothing.
pub type JsonChange = (bool, serde_json::Map<String, Value>);

/// Rows of a change feed; of each its version, epoch and time, and whether it came.
struct Feed {
    rows: RecordBatch,
    changes: Vec<(u64, Option<u64>, Time, bool)>,
}

impl Table {
    /// What happened to the rows in which each of `key`'s columns reads so, the oldest first.
    pub(super) fn told_history(
        &self,
        engine: &Arc<Engine>,
        key: &[(String, String)],
    ) -> Result<Vec<ToldChange>, LakeError> {
        if let Some((column, _)) = key.iter().find(|(column, _)| self.spec.columns.iter().all(|c| c.name != column)) {
            let columns = self.spec.columns.iter().map(|column| column.name).collect();
            return Err(LakeError::NoColumn { table: self.spec.name, column: column.clone(), columns });
        }
        let mut told = Vec::new();
        for Feed { rows, changes } in self.feed(engine, self.first_told()?, self.version())? {
            let place = self.place();
            let rows = tell(&rows).map_err(|error| place.arrow(error))?;
            for (row, (version, epoch, committed, inserted)) in rows.into_iter().zip(changes) {
                if key.iter().all(|wanted| row.contains(wanted)) {
                    let committed = stamp(committed);
                    told.push(ToldChange { version, epoch, committed, inserted, row });
                }
            }
        }
        told.sort_by_key(|change| (change.version, change.inserted));
        Ok(told)
    }

    /// What happened to the rows, the oldest first; within a version in no particular order.
    pub(super) fn history<R: Row>(
        &self,
        engine: &Arc<Engine>,
        names: &mut Names,
    ) -> Result<Vec<RowChange<R>>, LakeError> {
        let mut changes = Vec::new();
        for feed in self.feed(engine, self.first_told()?, self.version())? {
            let rows = R::read(&feed.rows, names)?;
            changes.extend(rows.into_iter().zip(feed.changes).map(|(row, (version, epoch, committed, inserted))| {
                RowChange { version, epoch, committed, inserted, row }
            }));
        }
        changes.sort_by_key(|change| (change.version, change.inserted));
        Ok(changes)
    }

    /// The commits behind `after` that carry an epoch, the newest first: epoch and version. With no `after`, all that can still be
    /// told; else none may have been vacuumed.
    pub(super) fn commits_after(&self, after: Option<u64>) -> Result<Vec<(u64, u64)>, LakeError> {
        let mut commits = Vec::new();
        // most often there is one, or none
        if self.epoch() <= after {
            return Ok(commits);
        }
        for version in (0..=self.version()).rev() {
            let there = log::modified(&log::commit(&self.root, version))?.is_some();
            let epoch = if there { self.epoch_of(version)? } else { None };
            match epoch {
                Some(epoch) if Some(epoch) <= after => break,
                Some(epoch) if self.is_told(version)? => commits.push((epoch, version)),
                None if there => {}
                _ => match after {
                    None => break,
                    Some(after) => {
                        let (path, table) = (self.root.clone(), self.spec.name);
                        return Err(LakeError::Forgotten { path, table, after });
                    }
                },
            }
        }
        Ok(commits)
    }

    /// What the commit of `version` did, in JSON: first what went, then what came.
    pub(super) fn told_changes(&self, engine: &Arc<Engine>, version: u64) -> Result<Vec<JsonChange>, LakeError> {
        let mut told = Vec::new();
        for Feed { rows, changes } in self.feed(engine, version, version)? {
            let rows = in_json(&rows).map_err(|error| self.place().arrow(error))?;
            told.extend(rows.into_iter().zip(changes).map(|(row, (.., inserted))| (inserted, row)));
        }
        told.sort_by_key(|(inserted, _)| *inserted);
        Ok(told)
    }

    /// The change feed of the versions from `first` to `last`, in batches.
    fn feed(&self, engine: &Arc<Engine>, first: u64, last: u64) -> Result<Vec<Feed>, LakeError> {
        let place = self.place();
        if first > last {
            return Ok(Vec::new());
        }
        let feed = TableChanges::try_new(url(&self.root)?, engine.as_ref(), first, Some(last))
            .and_then(|feed| feed.into_scan_builder().build())
            .and_then(|scan| scan.execute(engine.clone()))
            .map_err(|error| place.delta(error))?;
        let missing = |column| LakeError::column(self.spec.name, (column, CellError::Absent));
        let mut epochs = HashMap::new();
        let mut batches = Vec::new();
        for batch in feed {
            let batch: RecordBatch =
                batch.and_then(|batch| batch.try_into_record_batch()).map_err(|error| place.delta(error))?;
            let column = |name| batch.column_by_name(name).ok_or_else(|| missing(name));
            let kinds = column("_change_type")?.as_string_opt::<i32>().ok_or_else(|| missing("_change_type"))?;
            let versions = column("_commit_version")?.as_primitive_opt::<Int64Type>();
            let versions = versions.ok_or_else(|| missing("_commit_version"))?;
            let committed = column("_commit_timestamp")?.as_primitive_opt::<TimestampMicrosecondType>();
            let committed = committed.ok_or_else(|| missing("_commit_timestamp"))?;
            let arrays =
                self.spec.columns.iter().map(|spec| column(spec.name).cloned()).collect::<Result<Vec<_>, _>>()?;
            let rows = RecordBatch::try_new(self.spec.schema(), arrays).map_err(|error| place.arrow(error))?;
            let mut changes = Vec::with_capacity(rows.num_rows());
            for n in 0..rows.num_rows() {
                let version = u64::try_from(versions.value(n)).unwrap_or_default();
                let epoch = match epochs.entry(version) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => *new.insert(self.epoch_of(version)?),
                };
                changes.push((version, epoch, Time(committed.value(n)), kinds.value(n) != "delete"));
            }
            batches.push(Feed { rows, changes });
        }
        Ok(batches)
    }

    /// The first version from which on the feed can be read: vacuum takes what is older than the table's retention.
    fn first_told(&self) -> Result<u64, LakeError> {
        let log = Log::of(&self.root)?;
        let mut first = self.version() + 1;
        while first > 0 && log.commits.contains_key(&(first - 1)) && self.is_told(first - 1)? {
            first -= 1;
        }
        Ok(first)
    }

    /// Whether what the commit of `version` did can be read.
    fn is_told(&self, version: u64) -> Result<bool, LakeError> {
        let actions = log::actions(&self.root, version)?;
        let told = actions.iter().any(|action| action.get("cdc").is_some());
        let needed = actions.iter().filter(|action| !told && log::changes_rows(action));
        let needed = needed.filter_map(|action| log::named(action, "add").or_else(|| log::named(action, "remove")));
        let told = actions.iter().filter_map(|action| log::named(action, "cdc"));
        Ok(needed.chain(told).all(|path| self.root.join(path).exists()))
    }

    /// The epoch that the commit of `version` carries.
    fn epoch_of(&self, version: u64) -> Result<Option<u64>, LakeError> {
        let actions = log::actions(&self.root, version)?;
        Ok(actions.iter().find_map(|action| {
            let transaction = action.get("txn").filter(|txn| txn["appId"] == APPLICATION)?;
            transaction.get("version")?.as_u64()
        }))
    }
}
