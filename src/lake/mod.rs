//! The lake: Delta tables in one folder, one a subfolder.
//!
//! Input tables grow; view tables are sets of rows that come and go, with a change feed. Each call is one atomic commit of one
//! table, on the disk when it returns, that carries its epoch as the application transaction `larder`. A process that dies
//! in between leaves files that no commit names, and nothing else. When all tables show an epoch, a row of `epochs` says so.
//! Compaction and vacuum come after commits: in the background where a [`Lake`] is told to. `docs/lake.md` tells every column.

mod cells;
mod checkpoint;
mod commit;
mod committer;
mod compaction;
mod epochs;
mod error;
mod files;
mod history;
mod keeper;
mod live;
mod log;
mod pages;
mod part;
mod properties;
mod row;
mod rows;
mod since;
mod slices;
mod spec;
mod staging;
mod table;
mod tables;
mod vacuum;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arrow::array::RecordBatch;
use larder_records::{
    ApplianceId, Digest, FrameKey, FrameResult, Names, Position, ProductId, Reading, Time, views::Day,
};

pub use self::{
    error::{CellError, LakeError},
    history::{JsonChange, RowChange, ToldChange},
    part::{Dated, Part, Whose},
    row::{Row, in_words},
    rows::epochs::{Shown, TableVersion},
    rows::visions::{Held, KnownVision, VisionDay, day_of},
    since::Came,
    slices::Slices,
    spec::{ColumnSpec, Kind, TableSpec},
    vacuum::Removed,
};
use self::{
    error::{Place, io},
    keeper::Keeper,
    live::LiveFile,
    rows::frames::{self, FrameRow, ResultKey, SightingRow},
    table::{Engine, Table},
    tables::Tables,
};

/// Of each epoch the views that it changed, by name, with the version that shows it.
pub type Epochs = BTreeMap<u64, Vec<(&'static str, u64)>>;

/// The tables of one folder. Several threads may write different tables at once.
pub struct Lake {
    dir: PathBuf,
    tables: Arc<Tables>,
    /// None where tables are kept in order by whoever writes them.
    keeper: Option<Keeper>,
}

/// What a table amounts to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TableInfo {
    /// Its name.
    pub table: String,
    /// Rows that it holds.
    pub rows: u64,
    /// Data files that it consists of.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Commits of its log, less one.
    pub version: u64,
    /// The epoch of its newest rows.
    pub epoch: Option<u64>,
}

impl Lake {
    /// Opens the lake in `dir`, which is made where it is missing. A table comes to be with the first commit to it.
    ///
    /// # Errors
    /// [`LakeError::NotALake`] where `dir` holds anything else; [`LakeError::OtherSchema`] where a table has other columns;
    /// [`LakeError`] where something cannot be read.
    pub fn open(dir: &Path) -> Result<Self, LakeError> {
        fs::create_dir_all(dir).map_err(io(dir))?;
        for entry in fs::read_dir(dir).map_err(io(dir))? {
            let entry = entry.map_err(io(dir))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = rows::all().any(|spec| spec.name == name) && entry.path().is_dir();
            if !known && !name.starts_with('.') {
                return Err(LakeError::NotALake { path: dir.to_owned(), found: name });
            }
        }
        Ok(Self { dir: dir.to_owned(), tables: Arc::new(Tables::open(dir)?), keeper: None })
    }

    /// From now on tables are compacted and vacuumed by a thread of their own, which ends with the lake.
    ///
    /// # Errors
    /// [`LakeError::Keeper`] where no thread can be had.
    pub fn keep_in_background(&mut self) -> Result<(), LakeError> {
        if self.keeper.is_none() {
            self.keeper = Some(Keeper::start(self.tables.clone())?);
        }
        Ok(())
    }

    /// Lets every table that there is say of itself that versions can be read for so long after a newer one replaced them.
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read or written.
    pub fn retain(&self, retention: Duration) -> Result<(), LakeError> {
        self.tables.retain(retention)
    }

    /// Takes away what no version of a table within `retain` needs, or else within the retention that the table tells of
    /// itself; with `dry`, only tells what that is. Nothing is removed that a commit under way has written.
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read, or something cannot be removed.
    pub fn vacuum(&self, retain: Option<Duration>, dry: bool) -> Result<Vec<Removed>, LakeError> {
        self.tables.vacuum(retain, dry)
    }

    /// Says in the table `epochs` that all tables show `epoch` as they are now; whether there was anything to say. Written last.
    ///
    /// # Errors
    /// As [`Lake::append`].
    pub fn show(&self, epoch: u64) -> Result<bool, LakeError> {
        let said = self.tables.show(epoch)?;
        if said {
            self.keep(Shown::TABLE.name);
        }
        Ok(said)
    }

    /// The rows of a table, in no particular order; their texts are interned into `names`.
    ///
    /// # Errors
    /// [`LakeError`] where the table cannot be read.
    pub fn read<R: Row>(&self, names: &mut Names) -> Result<Vec<R>, LakeError> {
        self.read_months(|_| true, names)
    }

    /// The rows of a table that belong to `part`, in no particular order. Reads the files that may hold some.
    ///
    /// # Errors
    /// [`LakeError`] where the table cannot be read.
    pub fn read_part<R: Dated>(&self, part: &Part<'_>, names: &mut Names) -> Result<Vec<R>, LakeError> {
        let Some(table) = self.tables.get(R::TABLE.name) else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for batch in table.read_sifted(self.engine(), &Arc::new(part.sieve(names)), R::TIME)? {
            rows.extend(R::read(&batch, names)?);
        }
        Ok(rows)
    }

    /// As [`Lake::read_part`], handed on some `rows` at a time, in no particular order. Each file is read once.
    ///
    /// # Errors
    /// [`LakeError`] where the table cannot be read; and what `each` says.
    pub fn read_in_turn<R: Dated, E: From<LakeError>>(
        &self,
        part: &Part<'_>,
        rows: u64,
        names: &mut Names,
        mut each: impl FnMut(Vec<R>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(table) = self.tables.get(R::TABLE.name) else { return Ok(()) };
        let sieve = Arc::new(part.sieve(names));
        let mut files = table.files_within(self.engine(), &sieve, R::TIME)?;
        while !files.is_empty() {
            let mut held = 0;
            let enough = files.iter().position(|file| {
                held += file.rows;
                held >= rows
            });
            let rest = files.split_off(enough.map_or(files.len(), |last| last + 1));
            let mut read = Vec::new();
            for batch in table.sift(&files, &sieve, R::TIME)? {
                read.extend(R::read(&batch, names)?);
            }
            each(read)?;
            files = rest;
        }
        Ok(())
    }

    /// Adds `rows` to their table, as of `epoch`.
    ///
    /// # Errors
    /// [`LakeError::StaleEpoch`] where the table is at `epoch` or behind it; [`LakeError::Conflict`] where another process
    /// wrote the table; [`LakeError`] where something cannot be written. The table is then as it was.
    pub fn append<R: Row>(&self, names: &Names, epoch: u64, rows: &[R]) -> Result<(), LakeError> {
        self.write(R::TABLE, |table, engine| {
            if rows.is_empty() {
                return Ok(());
            }
            table.append(engine, epoch, &R::write(rows, names)?, &[])
        })
    }

    /// Adds `readings`, and says in the same commit how far feeds are in the lake with them: all before the positions
    /// `covered`. Written last of what came in, for after a crash a feed is read again from there on.
    ///
    /// # Errors
    /// As [`Lake::append`].
    pub fn append_covering(
        &self,
        names: &Names,
        epoch: u64,
        readings: &[Reading],
        covered: &[Position],
    ) -> Result<(), LakeError> {
        self.write(Reading::TABLE, |table, engine| {
            if readings.is_empty() && covered.is_empty() {
                return Ok(());
            }
            table.append(engine, epoch, &Reading::write(&rows::in_order(readings, names), names)?, covered)
        })
    }

    /// The first offset of the feed `source` that is not in the lake; none where nothing is known of the feed.
    ///
    /// # Errors
    /// [`LakeError`] where the log cannot be read.
    pub fn covered(&self, source: &str) -> Result<Option<u64>, LakeError> {
        let Some(table) = self.tables.get(Reading::TABLE.name) else { return Ok(None) };
        table.covered(self.engine(), source)
    }

    /// Applies `changes` to a table, as of `epoch`: rows with how many times more, or less, they are to be there.
    ///
    /// # Errors
    /// As [`Lake::append`]; and [`LakeError::Missing`] where a row is withdrawn that the table does not hold.
    pub fn apply<R: Row>(&self, names: &Names, epoch: u64, changes: Vec<(R, isize)>) -> Result<(), LakeError> {
        let mut net: BTreeMap<R, isize> = BTreeMap::new();
        for (row, diff) in changes {
            *net.entry(row).or_default() += diff;
        }
        let times = |sign: isize| -> Vec<R> {
            let repeated = net.iter().map(|(row, diff)| (row, usize::try_from(diff * sign).unwrap_or_default()));
            repeated.flat_map(|(row, times)| std::iter::repeat_n(row.clone(), times)).collect()
        };
        let (inserted, deleted) = (times(1), times(-1));
        self.write(R::TABLE, |table, engine| {
            if inserted.is_empty() && deleted.is_empty() {
                return Ok(());
            }
            table.replace(engine, Some(epoch), &R::write(&inserted, names)?, &R::write(&deleted, names)?)
        })
    }

    /// Adds vision results: rows of `sightings`, then rows of `frames`.
    ///
    /// A crash between the two commits leaves sightings whose frame is not there. [`Lake::read_frames`] does not see them, and
    /// adding their frame later completes them: no sighting is there twice.
    ///
    /// # Errors
    /// As [`Lake::append`].
    pub fn append_frames(&self, names: &Names, epoch: u64, results: &[FrameResult]) -> Result<(), LakeError> {
        let orphans = self.orphan_sightings()?;
        let (frames, sightings): (Vec<FrameRow>, Vec<Vec<SightingRow>>) = results.iter().map(frames::split).unzip();
        let sightings: Vec<_> = sightings.into_iter().flatten().filter(|row| !orphans.contains(&row.key())).collect();
        self.append(names, epoch, &sightings)?;
        self.append(names, epoch, &frames)
    }

    /// The vision results that hold, in no particular order: of an appliance's day those of one vision ([`VisionDay`]).
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read.
    pub fn read_frames(&self, names: &mut Names) -> Result<Vec<FrameResult>, LakeError> {
        self.read_frames_of(&Part::default(), &self.held(names)?, names)
    }

    /// The vision results of `part` that `held` lets hold.
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read.
    pub fn read_frames_of(
        &self,
        part: &Part<'_>,
        held: &Held,
        names: &mut Names,
    ) -> Result<Vec<FrameResult>, LakeError> {
        let mut frames = self.read_part::<FrameRow>(part, names)?;
        frames.retain(|frame| held.holds(frame.key().0, frame.key().1));
        let mut sightings = self.read_part::<SightingRow>(part, names)?;
        sightings.retain(|sighting| held.holds(sighting.key().0, sighting.key().1));
        Ok(frames::join(frames, sightings))
    }

    /// Those of the `wanted` frames that are there, as they hold. Reads the files that may hold them.
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read.
    pub fn frames(
        &self,
        wanted: &BTreeSet<FrameKey>,
        names: &mut Names,
    ) -> Result<BTreeMap<FrameKey, FrameResult>, LakeError> {
        let appliances: BTreeSet<ApplianceId> = wanted.iter().map(|key| key.appliance).collect();
        let times = || wanted.iter().map(|key| key.time);
        let (from, until) = (times().min(), times().max().map(|last| last.plus(1)));
        let part = Part { appliances: Whose::Of(&appliances), from, until };
        let mut frames: BTreeMap<FrameKey, FrameResult> = BTreeMap::new();
        let held = self.held(names)?;
        for frame in self.read_frames_of(&part, &held, names)?.into_iter().filter(|frame| wanted.contains(&frame.key)) {
            // of several, that of the greatest fingerprint holds
            let newer = frames.get(&frame.key).is_none_or(|held| held.fingerprint <= frame.fingerprint);
            if newer {
                frames.insert(frame.key, frame);
            }
        }
        Ok(frames)
    }

    /// By product, in the frames of which of `appliances` before `until` is an object that vision ever took for it, surely or not.
    ///
    /// # Errors
    /// [`LakeError`] where the table cannot be read.
    pub fn seen_products(
        &self,
        appliances: &BTreeSet<ApplianceId>,
        until: Option<Time>,
        names: &Names,
    ) -> Result<HashMap<ProductId, BTreeSet<ApplianceId>>, LakeError> {
        let mut all: HashMap<ProductId, BTreeSet<ApplianceId>> = HashMap::new();
        let Some(table) = self.tables.get(SightingRow::TABLE.name) else { return Ok(all) };
        let sieve = Part { appliances: Whose::Of(appliances), from: None, until }.sieve(names);
        let may_hold = |file: &LiveFile| sieve.may_lie_in(file, SightingRow::TIME);
        let wanted = |appliance, time| appliances.contains(&appliance) && until.is_none_or(|until| time < until);
        let map = |batch: &RecordBatch| frames::candidates(batch, wanted);
        for seen in table.map_columns(self.engine(), &frames::CANDIDATES, may_hold, map)? {
            for (product, appliances) in seen {
                all.entry(product).or_default().extend(appliances);
            }
        }
        Ok(all)
    }

    /// The fingerprints that hold of each appliance's frames.
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read.
    pub fn fingerprints(&self, names: &mut Names) -> Result<HashMap<ApplianceId, BTreeSet<Digest>>, LakeError> {
        let mut all: HashMap<ApplianceId, BTreeSet<Digest>> = HashMap::new();
        let Some(table) = self.tables.get(FrameRow::TABLE.name) else { return Ok(all) };
        let held = self.held(names)?;
        let map = |batch: &RecordBatch| frames::visions(batch, &held);
        for seen in table.map_columns(self.engine(), &frames::VISIONS, |_| true, map)? {
            for (appliance, fingerprints) in seen {
                all.entry(appliance).or_default().extend(fingerprints);
            }
        }
        Ok(all)
    }

    /// When each appliance last sent a reading or a frame.
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read.
    pub fn newest(&self, names: &mut Names) -> Result<BTreeMap<ApplianceId, Time>, LakeError> {
        let mut newest: BTreeMap<ApplianceId, Time> = BTreeMap::new();
        for name in [Reading::TABLE.name, FrameRow::TABLE.name] {
            let Some(table) = self.tables.get(name) else { continue };
            let map = |batch: &RecordBatch| part::spans(table.spec.name, batch);
            for of_file in table.map_columns(self.engine(), &part::WHOSE, |_| true, map)? {
                for (text, [_, time]) in of_file {
                    let appliance = names.intern(&text);
                    let appliance =
                        appliance.map_err(|error| LakeError::column(name, (part::WHOSE[0], error.into())))?;
                    let known = newest.entry(ApplianceId(appliance)).or_insert(time);
                    *known = time.max(*known);
                }
            }
        }
        Ok(newest)
    }

    /// Which vision holds, by appliance and day.
    ///
    /// # Errors
    /// [`LakeError`] where the table cannot be read.
    pub fn held(&self, names: &mut Names) -> Result<Held, LakeError> {
        Ok(Held::of(self.read::<VisionDay>(names)?))
    }

    /// Which frames were seen by which vision, whether or not it holds.
    ///
    /// # Errors
    /// [`LakeError`] where the table cannot be read.
    pub fn read_seen(&self, names: &mut Names) -> Result<Vec<(FrameKey, Digest)>, LakeError> {
        Ok(self.read::<FrameRow>(names)?.iter().map(FrameRow::key).collect())
    }

    /// What every vision saw in an appliance's frames of one day. Reads the files that may hold it.
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read.
    pub fn results_of(
        &self,
        appliance: ApplianceId,
        day: Day,
        names: &mut Names,
    ) -> Result<Vec<FrameResult>, LakeError> {
        let whose = BTreeSet::from([appliance]);
        let midnight = |day: i64| Some(Time(day.saturating_mul(Time::DAY)));
        let day = i64::from(day);
        let part = Part { appliances: Whose::Of(&whose), from: midnight(day), until: midnight(day + 1) };
        Ok(frames::join(self.read_part(&part, names)?, self.read_part(&part, names)?))
    }

    /// The keys of sightings whose frame is not there. There are some only where `sightings` is ahead of `frames`.
    fn orphan_sightings(&self) -> Result<BTreeSet<ResultKey>, LakeError> {
        if self.epoch(SightingRow::TABLE.name) <= self.epoch(FrameRow::TABLE.name) {
            return Ok(BTreeSet::new());
        }
        let mut names = Names::default();
        let mut keys: BTreeSet<_> = self.read::<SightingRow>(&mut names)?.iter().map(SightingRow::key).collect();
        for frame in self.read::<FrameRow>(&mut names)? {
            keys.remove(&frame.key());
        }
        Ok(keys)
    }

    /// What happened to the rows of a table that keeps a change feed, commit by commit.
    ///
    /// # Errors
    /// [`LakeError`] where the feed cannot be read.
    pub fn history<R: Row>(&self, names: &mut Names) -> Result<Vec<RowChange<R>>, LakeError> {
        let Some(table) = self.tables.get(R::TABLE.name) else { return Ok(Vec::new()) };
        table.history(self.engine(), names)
    }

    /// What happened to the rows of the table `name` in which each of `key`'s columns reads so, the oldest first.
    ///
    /// # Errors
    /// [`LakeError::NoHistory`] where there is no such table, or it keeps no change feed; [`LakeError::NoColumn`];
    /// [`LakeError`] where the feed cannot be read.
    pub fn told_history(&self, name: &str, key: &[(String, String)]) -> Result<Vec<ToldChange>, LakeError> {
        let keeps = |table: &Table| table.spec.feed;
        let Some(table) = self.tables.get(name).filter(keeps) else {
            let tables = self.tables.all().filter(keeps).map(|table| table.spec.name).collect();
            return Err(LakeError::NoHistory { table: name.to_owned(), tables });
        };
        table.told_history(self.engine(), key)
    }

    /// What each epoch behind `after` changed.
    ///
    /// # Errors
    /// [`LakeError`] where a log cannot be read that far back.
    pub fn epochs_after(&self, after: Option<u64>) -> Result<Epochs, LakeError> {
        let mut epochs = Epochs::new();
        for name in rows::VIEWS.map(|spec| spec.name) {
            let Some(table) = self.tables.get(name) else { continue };
            for (epoch, version) in table.commits_after(after)? {
                epochs.entry(epoch).or_default().push((name, version));
            }
        }
        Ok(epochs)
    }

    /// What a version of the view `name` did, in JSON: first the rows that went, then those that came.
    ///
    /// # Errors
    /// [`LakeError`] where the feed cannot be read.
    pub fn told_changes(&self, name: &str, version: u64) -> Result<Vec<JsonChange>, LakeError> {
        self.tables.get(name).map_or(Ok(Vec::new()), |table| table.told_changes(self.engine(), version))
    }

    /// The epoch of the newest commit to a table.
    pub fn epoch(&self, table: &str) -> Option<u64> {
        self.tables.get(table)?.epoch()
    }

    /// The newest epoch of any table.
    pub fn last_epoch(&self) -> Option<u64> {
        self.tables.all().filter_map(|table| table.epoch()).max()
    }

    /// What each table amounts to, inputs first.
    ///
    /// # Errors
    /// [`LakeError`] where a log cannot be read.
    pub fn info(&self) -> Result<Vec<TableInfo>, LakeError> {
        self.tables
            .all()
            .map(|table| {
                let files = table.live(self.engine())?.files;
                Ok(TableInfo {
                    table: table.spec.name.to_owned(),
                    rows: files.iter().map(|file| file.rows).sum(),
                    files: files.len() as u64,
                    bytes: files.iter().map(|file| file.bytes).sum(),
                    version: table.version(),
                    epoch: table.epoch(),
                })
            })
            .collect()
    }

    /// Of each view: its name, its rows, and a digest of them that depends on neither their order nor how they lie in files.
    ///
    /// The digest is of the sum of the rows' digests, so that a row held twice counts twice.
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read.
    pub fn digest(&self) -> Result<Vec<(String, u64, Digest)>, LakeError> {
        rows::VIEWS
            .iter()
            .map(|spec| {
                let (mut rows, mut sum) = (0, 0_u128);
                if let Some(table) = self.tables.get(spec.name) {
                    let path = self.dir.join(spec.name);
                    for batch in table.read(self.engine())? {
                        let place = Place { path: &path, table: spec.name };
                        for row in &files::comparable(&batch).map_err(|error| place.arrow(error))? {
                            rows += 1;
                            sum = sum.wrapping_add(Digest::of(row.data()).0);
                        }
                    }
                }
                Ok((spec.name.to_owned(), rows, Digest::of_parts([spec.name.as_bytes(), &sum.to_be_bytes()])))
            })
            .collect()
    }

    /// Does `work` with the table of `spec`, made where it is missing.
    fn write(
        &self,
        spec: TableSpec,
        work: impl FnOnce(&mut Table, &Engine) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let slot = self.tables.slot(spec.name).ok_or(LakeError::UnknownTable { table: spec.name })?;
        slot.write(self.engine(), |table| work(table, self.engine()))?;
        self.keep(spec.name);
        Ok(())
    }

    /// Sees to it that the table `name` is kept in order.
    fn keep(&self, name: &'static str) {
        match &self.keeper {
            Some(keeper) => keeper.tell(name),
            None => self.tables.keep(name),
        }
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.tables.engine
    }
}

#[cfg(test)]
mod tests;
