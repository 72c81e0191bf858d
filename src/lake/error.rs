//! What can go wrong with a lake.

use std::path::{Path, PathBuf};

use larder_records::{IdCollision, Name};

/// Why a lake cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The folder cannot be a lake.
    #[error("{path}: no lake, for it holds {found}; give an empty folder or one that larder made")]
    NotALake {
        /// The folder.
        path: PathBuf,
        /// What is in it that is none of a lake's tables.
        found: String,
    },
    /// A table has other columns than this program knows.
    #[error("{path}: the table {table} was made by another version of larder: {difference}")]
    OtherSchema {
        /// Its folder.
        path: PathBuf,
        /// Its name.
        table: &'static str,
        /// The first column that differs.
        difference: String,
    },
    /// Another process wrote the table since this one opened it.
    #[error("{path}: version {version} of the table {table} was written by another process; only one may write a lake")]
    Conflict {
        /// Its folder.
        path: PathBuf,
        /// Its name.
        table: &'static str,
        /// The version that both wanted to write.
        version: u64,
    },
    /// The table has seen that epoch already.
    #[error("{path}: epoch {epoch} comes too late for the table {table}, which is at epoch {held}")]
    StaleEpoch {
        /// Its folder.
        path: PathBuf,
        /// Its name.
        table: &'static str,
        /// The epoch of the commit.
        epoch: u64,
        /// The table's.
        held: u64,
    },
    /// Rows are to be withdrawn that the table does not hold.
    #[error("{path}: the table {table} lacks {rows} of the rows that are to be withdrawn from it")]
    Missing {
        /// Its folder.
        path: PathBuf,
        /// Its name.
        table: &'static str,
        /// How many.
        rows: usize,
    },
    /// A row cannot be turned into columns, or back.
    #[error("table {table}, column {column}: {problem}")]
    Column {
        /// The table's name.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong.
        problem: CellError,
    },
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A data file cannot be read or written.
    #[error("{path}: table {table}: {source}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The table's name.
        table: &'static str,
        /// What the Parquet library said.
        source: parquet::errors::ParquetError,
    },
    /// Columns cannot be put together.
    #[error("{path}: table {table}: {source}")]
    Arrow {
        /// The table's folder.
        path: PathBuf,
        /// Its name.
        table: &'static str,
        /// What the Arrow library said.
        source: arrow::error::ArrowError,
    },
    /// The table's log cannot be read or written.
    #[error("{path}: table {table}: {source}")]
    Delta {
        /// The table's folder.
        path: PathBuf,
        /// Its name.
        table: &'static str,
        /// What the Delta library said.
        source: Box<delta_kernel::KernelError>,
    },
    /// What others hold cannot be brought up to date.
    #[error(
        "{path}: what happened to the table {table} behind epoch {after} was vacuumed: whoever holds that epoch must begin \
         anew, a topic of changes by another name"
    )]
    Forgotten {
        /// The table's folder.
        path: PathBuf,
        /// Its name.
        table: &'static str,
        /// The epoch that is held.
        after: u64,
    },
    /// Rows of a table that lakes do not have.
    #[error("a lake has no table {table}")]
    UnknownTable {
        /// Which.
        table: &'static str,
    },
    /// A table that has no change feed.
    #[error("{table:?} keeps no history; these do: {}", .tables.join(", "))]
    NoHistory {
        /// What was asked for.
        table: String,
        /// The tables that do.
        tables: Vec<&'static str>,
    },
    /// A column that the table does not have.
    #[error("{table} has no column {column:?}, but: {}", .columns.join(", "))]
    NoColumn {
        /// Which table.
        table: &'static str,
        /// What was asked for.
        column: String,
        /// The columns that it has.
        columns: Vec<&'static str>,
    },
    /// The thread that keeps the tables in order cannot be had.
    #[error("starting the lake's keeper: {0}")]
    Keeper(std::io::Error),
    /// The Delta library cannot be started.
    #[error("starting the Delta engine: {0}")]
    Start(Box<delta_kernel::KernelError>),
}

/// Why one cell cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// A name without a text.
    #[error("the name {0:?} has no text")]
    Unnamed(Name),
    /// Two texts of one name.
    #[error(transparent)]
    Collision(#[from] IdCollision),
    /// The column is not there.
    #[error("is not there")]
    Absent,
    /// The column holds another type.
    #[error("holds {0}")]
    OtherType(String),
    /// The cell holds something that the column's type allows but Larder does not.
    #[error("holds {0}")]
    Value(String),
}

/// A column, and what is wrong in it.
pub(super) type ColumnError = (&'static str, CellError);

impl LakeError {
    /// A [`LakeError::Column`] of `table`.
    pub(super) fn column(table: &'static str, (column, problem): ColumnError) -> Self {
        Self::Column { table, column, problem }
    }
}

/// A table, as errors name it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    pub(super) table: &'static str,
}

impl Place<'_> {
    fn path(self) -> PathBuf {
        self.path.to_owned()
    }

    pub(super) fn arrow(self, source: arrow::error::ArrowError) -> LakeError {
        LakeError::Arrow { path: self.path(), table: self.table, source }
    }

    pub(super) fn delta(self, source: delta_kernel::KernelError) -> LakeError {
        LakeError::Delta { path: self.path(), table: self.table, source: Box::new(source) }
    }

    pub(super) fn parquet(self, source: impl Into<parquet::errors::ParquetError>) -> LakeError {
        LakeError::Parquet { path: self.path(), table: self.table, source: source.into() }
    }
}

/// An [`LakeError::Io`] at `path`.
pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> LakeError {
    let path = path.to_owned();
    move |source| LakeError::Io { path, source }
}
