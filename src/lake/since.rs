//! The lake as it was when its tables last showed one epoch, and what came in since: after a crash the tables show several.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use arrow::array::RecordBatch;
use larder_records::{ApplianceId, Names, Reading, Time};

use super::{
    Lake, VisionDay,
    error::LakeError,
    files, log, part,
    row::Row,
    rows::{epochs::Shown, frames::FrameRow},
    table::Table,
};

/// What came in, by appliance.
#[derive(Debug, Default)]
pub struct Came {
    /// The earliest time of which an appliance sent something.
    pub earliest: BTreeMap<ApplianceId, Time>,
    /// The appliances of which another vision holds on some day.
    pub other_vision: BTreeSet<ApplianceId>,
}

impl Lake {
    /// The lake as of the newest epoch that all tables showed at once, to be read; none where there was none, or where it cannot be read
    /// any more.
    ///
    /// # Errors
    /// [`LakeError`] where the table `epochs` cannot be read.
    pub fn as_last_shown(&self) -> Result<Option<Self>, LakeError> {
        let Some(shown) = self.read::<Shown>(&mut Names::default())?.into_iter().max() else { return Ok(None) };
        let versions: BTreeMap<&str, u64> = shown.tables.iter().map(|of| (of.table.as_str(), of.version)).collect();
        let tables = self.tables.each(|slot| match (slot.get(), versions.get(slot.name())) {
            (Some(table), Some(version)) => Some(Some(table.at(self.engine(), *version)?)),
            (None, Some(_)) => None,
            (_, None) => Some(None),
        });
        Ok(tables.map(|tables| Self { dir: self.dir.clone(), tables: Arc::new(tables), keeper: None }))
    }

    /// What came in since the lake was as in `before`; none where that cannot be told any more.
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read.
    pub fn came_since(&self, before: &Self, names: &mut Names) -> Result<Option<Came>, LakeError> {
        let mut came = Came::default();
        for name in [Reading::TABLE.name, FrameRow::TABLE.name] {
            let Some(now) = self.tables.get(name) else { continue };
            let Some(files) = now.appended_since(before.tables.get(name).as_ref())? else { return Ok(None) };
            for path in files {
                let batch = files::read_columns(now.place(), &path, &part::WHOSE)?;
                came.take(name, &batch)?;
            }
        }
        let mut days = |lake: &Self| -> Result<BTreeSet<VisionDay>, LakeError> {
            Ok(lake.read::<VisionDay>(names)?.into_iter().collect())
        };
        let (was, is) = (days(before)?, days(self)?);
        came.other_vision.extend(was.symmetric_difference(&is).map(|day| day.appliance));
        Ok(Some(came))
    }
}

impl Came {
    fn take(&mut self, table: &'static str, batch: &RecordBatch) -> Result<(), LakeError> {
        for (text, [earliest, _]) in part::spans(table, batch)? {
            let known = self.earliest.entry(ApplianceId::of(&text)).or_insert(earliest);
            *known = earliest.min(*known);
        }
        Ok(())
    }
}

impl Table {
    /// The data files of rows that commits behind `before` brought; none where the log, or a file, is no more.
    fn appended_since(&self, before: Option<&Self>) -> Result<Option<Vec<PathBuf>>, LakeError> {
        let mut files = Vec::new();
        for version in before.map_or(0, |before| before.version() + 1)..=self.version() {
            if log::modified(&log::commit(&self.root, version))?.is_none() {
                return Ok(None);
            }
            for action in log::actions(&self.root, version)?.iter().filter(|action| log::changes_rows(action)) {
                let path = log::named(action, "add").map(|path| self.root.join(path));
                let Some(path) = path.filter(|path| path.exists()) else { return Ok(None) };
                files.push(path);
            }
        }
        Ok(Some(files))
    }
}
