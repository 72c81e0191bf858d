//! What a table looks like: its name, columns, partitions.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};

/// A table of the lake.
#[derive(Debug, Clone, Copy)]
pub struct TableSpec {
    /// Its name, which is its folder's.
    pub name: &'static str,
    /// Its columns in order. The rows of a file are sorted by them from the left; lists do not count.
    pub columns: &'static [ColumnSpec],
    /// The columns that part it into folders: the last of its columns, all of them [`Kind::Text`], never null.
    pub partition: &'static [&'static str],
    /// Whether rows are withdrawn from it, so that it keeps a change feed.
    pub feed: bool,
}

/// A column, or a field of a structure.
#[derive(Debug, Clone, Copy)]
pub struct ColumnSpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `STRING`.
    Text,
    /// `TIMESTAMP`: microseconds, UTC.
    Time,
    /// `DATE`.
    Day,
    /// `BYTE`.
    Byte,
    /// `INTEGER`.
    Int,
    /// `LONG`.
    Long,
    /// `DECIMAL(10, 6)`: exact millionths.
    Score,
    /// `ARRAY`, no element null.
    List(&'static Kind),
    /// `STRUCT`.
    Struct(&'static [ColumnSpec]),
}

/// Digits of a [`Kind::Score`], and those behind the point.
pub(super) const SCORE: (u8, i8) = (10, 6);

impl Kind {
    /// The type of its Arrow arrays.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Day => DataType::Date32,
            Self::Byte => DataType::Int8,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Score => DataType::Decimal128(SCORE.0, SCORE.1),
            Self::List(element) => DataType::List(Arc::new(Field::new("element", element.arrow(), false))),
            Self::Struct(fields) => DataType::Struct(self::fields(fields)),
        }
    }
}

/// `columns` as Arrow fields.
pub(super) fn fields(columns: &[ColumnSpec]) -> Fields {
    columns.iter().map(|column| Field::new(column.name, column.kind.arrow(), column.nullable)).collect()
}

impl TableSpec {
    /// Its columns, partition columns included, as an Arrow schema.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::new(Schema::new(fields(self.columns)))
    }

    /// Whether `column` parts the table into folders.
    pub(super) fn is_partition(&self, column: &str) -> bool {
        self.partition.contains(&column)
    }
}
