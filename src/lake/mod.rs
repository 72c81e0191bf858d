//! The lake: Delta tables in one folder, a folder a table.
//!
//! Input tables are appended to; view tables are changed, each commit taking away and adding whole files, with the change data
//! feed telling which rows. A commit is atomic and synced: after a crash a table is at its last commit, and at worst files
//! that no commit names are left behind.

mod columns;
mod committer;
mod rows;
mod table;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use arrow::{
    array::RecordBatch,
    error::ArrowError,
    row::{RowConverter, SortField},
};
use delta_kernel::KernelError;
use larder_records::{Digest, FrameResult, IdCollision, Names};
use parquet::errors::ParquetError;
use serde::Serialize;

use columns::{Reader, Writer};
use rows::{FrameRow, SightingRow, join_frames, split_frames, tables};
use table::{DataFile, Kernel, Rewrite, Table, month, sorted};

pub use rows::Row;

/// Files of one month that a change of it may leave; more are written together.
const FILES_A_MONTH: usize = 8;

/// Why the lake cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A file or folder.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A path that no URL can hold.
    #[error("{path}: not a path that a lake can have")]
    Path {
        /// Which.
        path: PathBuf,
    },
    /// A Parquet file.
    #[error("{path}: {source}")]
    Parquet {
        /// Which, or its table.
        path: PathBuf,
        /// What the reader or writer said.
        source: ParquetError,
    },
    /// A Delta table.
    #[error("{dir}: {source}")]
    Delta {
        /// Which.
        dir: PathBuf,
        /// What the kernel said.
        source: Box<KernelError>,
    },
    /// A log that the kernel read, but not as it says.
    #[error("{dir}: the Delta log is not as expected")]
    Log {
        /// Which table.
        dir: PathBuf,
    },
    /// Another writer was first.
    #[error("{dir}: version {version} was written by another program at the same time; let one program write the lake")]
    Conflict {
        /// Which table.
        dir: PathBuf,
        /// Which version.
        version: u64,
    },
    /// A table has other columns than this program writes.
    #[error("table {table}: column {column} is missing or of another type; the lake was made by another version")]
    OtherColumns {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
    },
    /// A cell holds what no row has.
    #[error("table {table}: column {column} holds a value that Larder does not write")]
    BadCell {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
    },
    /// A row to take away is not there.
    #[error("table {table}: {rows} rows to be taken away are not there; something else has changed the table")]
    MissingRows {
        /// Which table.
        table: &'static str,
        /// How many.
        rows: usize,
    },
    /// Columns do not make a table.
    #[error("the columns do not fit together: {0}")]
    Schema(String),
    /// Threads for reading cannot be had.
    #[error("threads for reading the lake cannot be had: {source}")]
    Runtime {
        /// What the system said.
        source: io::Error,
    },
    /// Two names share an id.
    #[error(transparent)]
    Collision(#[from] IdCollision),
}

impl LakeError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Parquet { path, source }
    }

    fn at(dir: &Path) -> impl FnOnce(KernelError) -> Self + use<> {
        let dir = dir.to_owned();
        move |source| Self::Delta { dir, source: Box::new(source) }
    }

    fn schema(error: impl std::fmt::Display) -> Self {
        Self::Schema(error.to_string())
    }
}

impl From<ArrowError> for LakeError {
    fn from(error: ArrowError) -> Self {
        Self::schema(error)
    }
}

/// What `larder lake info` tells of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableInfo {
    /// Its name.
    pub table: &'static str,
    /// Rows.
    pub rows: u64,
    /// Live files.
    pub files: usize,
    /// Bytes in them.
    pub bytes: u64,
    /// Its Delta version.
    pub version: u64,
    /// The epoch of its last commit.
    pub epoch: Option<u64>,
}

/// What `larder lake digest` tells of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewDigest {
    /// Its name.
    pub view: &'static str,
    /// Rows.
    pub rows: u64,
    /// Of its contents, whatever their order and files.
    pub digest: Digest,
}

/// An open lake. One program at a time may write it.
pub struct Lake {
    dir: PathBuf,
    kernel: Kernel,
    tables: BTreeMap<&'static str, Table>,
}

impl Lake {
    /// Opens the lake in `dir`; an absent folder is an empty lake, made with the first commit.
    ///
    /// # Errors
    /// [`LakeError`] where a table cannot be read.
    pub fn open(dir: &Path) -> Result<Self, LakeError> {
        let kernel = Kernel::new()?;
        let mut open = BTreeMap::new();
        macro_rules! open_each {
            ($($row:ty),*) => {$(
                let name = <$row as Row>::TABLE;
                if let Some(table) = Table::open(&kernel, &dir.join(name), <$row as Row>::BY_MONTH)? {
                    open.insert(name, table);
                }
            )*};
        }
        tables!(open_each);
        Ok(Self { dir: dir.to_owned(), kernel, tables: open })
    }

    /// All rows of a table.
    ///
    /// # Errors
    /// [`LakeError`] where a file cannot be read or holds what Larder does not write.
    pub fn read<R: Row>(&self, names: &mut Names) -> Result<Vec<R>, LakeError> {
        let mut rows = Vec::new();
        let Some(table) = self.tables.get(R::TABLE) else { return Ok(rows) };
        for file in table.files(&self.kernel)? {
            read_file(table, &file, names, &mut rows)?;
        }
        Ok(rows)
    }

    /// All vision results, from `frames` and `sightings`.
    ///
    /// # Errors
    /// As [`Lake::read`].
    pub fn read_frames(&self, names: &mut Names) -> Result<Vec<FrameResult>, LakeError> {
        let frames = self.read::<FrameRow>(names)?;
        Ok(join_frames(frames, self.read::<SightingRow>(names)?))
    }

    /// Appends rows to an input table, in one commit; no rows, no commit.
    ///
    /// # Errors
    /// [`LakeError`] where they cannot be written; the table is then as before.
    pub fn append<R: Row>(&mut self, names: &mut Names, epoch: u64, rows: &[R]) -> Result<(), LakeError> {
        self.apply(names, epoch, rows.iter().map(|row| (row.clone(), 1)).collect())
    }

    /// Appends vision results: the sightings, then the frames, so that a frame is there only with its sightings.
    ///
    /// # Errors
    /// As [`Lake::append`].
    pub fn append_frames(&mut self, names: &mut Names, epoch: u64, results: &[FrameResult]) -> Result<(), LakeError> {
        let (frames, sightings) = split_frames(results);
        self.append(names, epoch, &sightings)?;
        self.append(names, epoch, &frames)
    }

    /// Changes a table, in one commit: rows with a negative difference go, with a positive one come. Differences of one row
    /// are to be summed up beforehand. No changes, no commit.
    ///
    /// # Errors
    /// [`LakeError`] where the change cannot be made; the table is then as before.
    pub fn apply<R: Row>(&mut self, names: &mut Names, epoch: u64, changes: Vec<(R, isize)>) -> Result<(), LakeError> {
        if changes.iter().all(|(_, diff)| *diff == 0) {
            return Ok(());
        }
        if !self.tables.contains_key(R::TABLE) {
            let dir = self.dir.join(R::TABLE);
            let table = Table::create(&self.kernel, &dir, R::COLUMNS, R::BY_MONTH, R::CHANGE_FEED)?;
            self.tables.insert(R::TABLE, table);
        }
        let Some(table) = self.tables.get_mut(R::TABLE) else { return Ok(()) };
        let mut months: BTreeMap<Option<String>, Vec<(R, isize)>> = BTreeMap::new();
        for (row, diff) in changes {
            months.entry(table.by_month().then(|| month(row.when()))).or_default().push((row, diff));
        }
        let rewrites_files = months.values().flatten().any(|(_, diff)| *diff < 0);
        let files = if R::CHANGE_FEED || rewrites_files { table.files(&self.kernel)? } else { Vec::new() };
        let mut rewrites = Vec::with_capacity(months.len());
        for (month, changes) in months {
            let here = files.iter().filter(|file| file.month == month);
            rewrites.push(rewrite(table, names, month.clone(), &here.collect::<Vec<_>>(), changes)?);
        }
        table.commit(&self.kernel, epoch, rewrites)
    }

    /// The epoch of the last commit of any table.
    ///
    /// # Errors
    /// [`LakeError`] where a log cannot be read.
    pub fn last_epoch(&self) -> Result<Option<u64>, LakeError> {
        let mut last = None;
        for table in self.tables.values() {
            last = last.max(table.epoch(&self.kernel)?);
        }
        Ok(last)
    }

    /// What is in each table.
    ///
    /// # Errors
    /// [`LakeError`] where a log cannot be read.
    pub fn info(&self) -> Result<Vec<TableInfo>, LakeError> {
        self.tables
            .iter()
            .map(|(name, table)| {
                let files = table.files(&self.kernel)?;
                Ok(TableInfo {
                    table: name,
                    rows: files.iter().map(|file| file.rows).sum(),
                    files: files.len(),
                    bytes: files.iter().map(|file| file.bytes).sum(),
                    version: table.version(),
                    epoch: table.epoch(&self.kernel)?,
                })
            })
            .collect()
    }

    /// A digest of each of `views`, read back from its files: the same for the same rows, whatever their order and layout.
    ///
    /// # Errors
    /// [`LakeError`] where a file cannot be read.
    pub fn digest(&self, views: &[&'static str]) -> Result<Vec<ViewDigest>, LakeError> {
        views.iter().map(|view| self.digest_of(view)).collect()
    }

    fn digest_of(&self, view: &'static str) -> Result<ViewDigest, LakeError> {
        let mut rows: Vec<Digest> = Vec::new();
        if let Some(table) = self.tables.get(view) {
            for file in table.files(&self.kernel)? {
                table.read(&file, |batch| {
                    let fields =
                        batch.schema().fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
                    let converted = RowConverter::new(fields)?.convert_columns(batch.columns())?;
                    rows.extend(converted.iter().map(|row| Digest::of(row.as_ref())));
                    Ok(())
                })?;
            }
        }
        rows.sort_unstable();
        let bytes: Vec<[u8; 16]> = rows.iter().map(|digest| digest.0.to_be_bytes()).collect();
        Ok(ViewDigest { view, rows: rows.len() as u64, digest: Digest::of(bytes.as_flattened()) })
    }
}

fn read_file<R: Row>(table: &Table, file: &DataFile, names: &mut Names, rows: &mut Vec<R>) -> Result<(), LakeError> {
    table.read(file, |batch| {
        let mut cells = Reader::new(R::TABLE, R::COLUMNS, batch, names)?;
        for row in 0..batch.num_rows() {
            cells.seek(row);
            rows.push(R::get(&mut cells)?);
        }
        Ok(())
    })
}

fn batch<'a, R: Row + 'a>(names: &Names, rows: impl Iterator<Item = &'a R>) -> Result<RecordBatch, LakeError> {
    let mut cells = Writer::new(R::COLUMNS, names);
    for row in rows {
        row.put(&mut cells);
        cells.end_row();
    }
    cells.finish(R::COLUMNS)
}

/// What `changes` do to one month whose live files are `files`: files that hold a row to be taken away go, and their other
/// rows are written again with the new ones.
fn rewrite<R: Row>(
    table: &Table,
    names: &mut Names,
    month: Option<String>,
    files: &[&DataFile],
    changes: Vec<(R, isize)>,
) -> Result<Rewrite, LakeError> {
    let mut gone: BTreeMap<&R, isize> = BTreeMap::new();
    for (row, diff) in changes.iter().filter(|(_, diff)| *diff < 0) {
        gone.insert(row, -diff);
    }
    let tidy = R::CHANGE_FEED && files.len() >= FILES_A_MONTH;
    let mut removed = Vec::new();
    let mut stay: Vec<R> = Vec::new();
    if !gone.is_empty() || tidy {
        for file in files {
            let mut rows: Vec<R> = Vec::new();
            read_file(table, file, names, &mut rows)?;
            let all = rows.len();
            rows.retain(|row| match gone.get_mut(row) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    false
                }
                _ => true,
            });
            if rows.len() < all || tidy {
                removed.push((*file).clone());
                stay.append(&mut rows);
            }
        }
    }
    let missing = gone.values().filter(|left| **left > 0).count();
    if missing > 0 {
        return Err(LakeError::MissingRows { table: R::TABLE, rows: missing });
    }
    let repeated = |sign: isize| {
        let wanted = changes.iter().filter(move |(_, diff)| diff.signum() == sign);
        wanted.flat_map(|(row, diff)| std::iter::repeat_n(row, diff.unsigned_abs()))
    };
    let added = sorted(&batch(names, stay.iter().chain(repeated(1)))?)?;
    let changes = if removed.is_empty() || !R::CHANGE_FEED {
        None
    } else {
        let rows = batch(names, repeated(-1).chain(repeated(1)))?;
        let (deleted, inserted) = (repeated(-1).count(), repeated(1).count());
        let words = std::iter::repeat_n("delete", deleted).chain(std::iter::repeat_n("insert", inserted)).collect();
        Some((rows, words))
    };
    Ok(Rewrite { month, removed, added, changes })
}
