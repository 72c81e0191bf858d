//! Cells, columns and record batches: how rows become Parquet columns and come back.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayBuilder, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Date32Array, Date32Builder, Int32Array,
        Int32Builder, Int64Array, Int64Builder, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder,
        StructBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
    },
    datatypes::{DataType as Arrow, Field, Fields, Int32Type, Schema, TimeUnit},
};
use delta_kernel::schema::{ArrayType, DataType, StructField, StructType};
use larder_records::{Digest, Micros, Name, Names, Time};

use super::LakeError;

/// What a column holds. Every column is nullable; null is "none" or "unknown".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text; null for [`Name::default`].
    Text,
    /// A 64-bit integer.
    Long,
    /// A 32-bit integer.
    Int,
    /// An event time: microseconds, UTC.
    Time,
    /// A day.
    Date,
    /// Bytes.
    Bytes,
    /// A list of (name, score in parts per million); the fields are called `sku` and `score_ppm`.
    Candidates,
    /// A list of (name, score in parts per million); the fields are called `class` and `score_ppm`.
    Classes,
    /// A list of 32-bit integers.
    Ints,
}

impl Kind {
    /// The type in the Delta schema.
    fn delta(self) -> Result<DataType, LakeError> {
        Ok(match self {
            Self::Text => DataType::STRING,
            Self::Long => DataType::LONG,
            Self::Int => DataType::INTEGER,
            Self::Time => DataType::TIMESTAMP,
            Self::Date => DataType::DATE,
            Self::Bytes => DataType::BINARY,
            Self::Candidates | Self::Classes => {
                let fields = [
                    StructField::nullable(self.scored_name(), DataType::STRING),
                    StructField::nullable("score_ppm", DataType::INTEGER),
                ];
                let element = StructType::try_new(fields).map_err(LakeError::schema)?;
                ArrayType::new(DataType::from(element), true).into()
            }
            Self::Ints => ArrayType::new(DataType::INTEGER, true).into(),
        })
    }

    fn scored_name(self) -> &'static str {
        if self == Self::Classes { "class" } else { "sku" }
    }

    fn scored_fields(self) -> Fields {
        Fields::from(vec![
            Field::new(self.scored_name(), Arrow::Utf8, true),
            Field::new("score_ppm", Arrow::Int32, true),
        ])
    }

    fn arrow(self) -> Arrow {
        let list = |element| Arrow::List(Arc::new(Field::new("element", element, true)));
        match self {
            Self::Text => Arrow::Utf8,
            Self::Long => Arrow::Int64,
            Self::Int => Arrow::Int32,
            Self::Time => Arrow::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Date => Arrow::Date32,
            Self::Bytes => Arrow::Binary,
            Self::Candidates | Self::Classes => list(Arrow::Struct(self.scored_fields())),
            Self::Ints => list(Arrow::Int32),
        }
    }

    fn builder(self) -> Builder {
        let element = |kind: Arrow| Arc::new(Field::new("element", kind, true));
        match self {
            Self::Text => Builder::Text(StringBuilder::new()),
            Self::Long => Builder::Long(Int64Builder::new()),
            Self::Int => Builder::Int(Int32Builder::new()),
            Self::Time => Builder::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Self::Date => Builder::Date(Date32Builder::new()),
            Self::Bytes => Builder::Bytes(BinaryBuilder::new()),
            Self::Candidates | Self::Classes => {
                let fields = self.scored_fields();
                let builder = StructBuilder::new(
                    fields.clone(),
                    vec![Box::new(StringBuilder::new()), Box::new(Int32Builder::new())],
                );
                Builder::Scored(ListBuilder::new(builder).with_field(element(Arrow::Struct(fields))))
            }
            Self::Ints => Builder::Ints(ListBuilder::new(Int32Builder::new()).with_field(element(Arrow::Int32))),
        }
    }
}

/// A column: its name and what it holds.
pub type Column = (&'static str, Kind);

/// The Delta schema of `columns`, with the partition column last where there is one.
pub(super) fn delta_schema(columns: &[Column], partition: Option<&str>) -> Result<StructType, LakeError> {
    let mut fields = Vec::with_capacity(columns.len() + 1);
    for (name, kind) in columns {
        fields.push(StructField::nullable(*name, kind.delta()?));
    }
    fields.extend(partition.map(|name| StructField::nullable(name, DataType::STRING)));
    StructType::try_new(fields).map_err(LakeError::schema)
}

/// The Arrow schema of `columns`, as their Parquet files have it.
pub(super) fn arrow_schema(columns: &[Column]) -> Schema {
    Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.arrow(), true)).collect::<Vec<_>>())
}

enum Builder {
    Text(StringBuilder),
    Long(Int64Builder),
    Int(Int32Builder),
    Time(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Bytes(BinaryBuilder),
    Scored(ListBuilder<StructBuilder>),
    Ints(ListBuilder<Int32Builder>),
}

/// Gathers the cells of rows, in the order of their columns.
pub struct Writer<'a> {
    names: &'a Names,
    builders: Vec<Builder>,
    next: usize,
}

/// Writes a cell of one kind. A row that calls them in another order than its columns is a fault of the program.
macro_rules! put {
    ($self:ident, $kind:ident, |$builder:ident| $write:expr) => {{
        let place = $self.next;
        $self.next += 1;
        match &mut $self.builders[place] {
            Builder::$kind($builder) => $write,
            _ => unreachable!("column {place} is not of the kind that its row writes"),
        }
    }};
}

impl<'a> Writer<'a> {
    pub(super) fn new(columns: &[Column], names: &'a Names) -> Self {
        Self { names, builders: columns.iter().map(|(_, kind)| kind.builder()).collect(), next: 0 }
    }

    pub(super) fn end_row(&mut self) {
        debug_assert_eq!(self.next, self.builders.len(), "a row must write each of its columns");
        self.next = 0;
    }

    pub(super) fn finish(self, columns: &[Column]) -> Result<RecordBatch, LakeError> {
        let arrays = self.builders.into_iter().map(|builder| -> ArrayRef {
            match builder {
                Builder::Text(mut b) => ArrayBuilder::finish(&mut b),
                Builder::Long(mut b) => ArrayBuilder::finish(&mut b),
                Builder::Int(mut b) => ArrayBuilder::finish(&mut b),
                Builder::Time(mut b) => ArrayBuilder::finish(&mut b),
                Builder::Date(mut b) => ArrayBuilder::finish(&mut b),
                Builder::Bytes(mut b) => ArrayBuilder::finish(&mut b),
                Builder::Scored(mut b) => ArrayBuilder::finish(&mut b),
                Builder::Ints(mut b) => ArrayBuilder::finish(&mut b),
            }
        });
        RecordBatch::try_new(Arc::new(arrow_schema(columns)), arrays.collect()).map_err(LakeError::schema)
    }

    /// An interned text.
    pub fn name(&mut self, name: Name) {
        let names = self.names;
        put!(self, Text, |b| b.append_option((name != Name::default()).then(|| names.text(name))));
    }

    /// A text.
    pub fn text(&mut self, text: Option<&str>) {
        put!(self, Text, |b| b.append_option(text));
    }

    /// A 64-bit integer.
    pub fn long(&mut self, value: impl Into<Option<i64>>) {
        put!(self, Long, |b| b.append_option(value.into()));
    }

    /// A 32-bit integer.
    pub fn int(&mut self, value: impl Into<Option<i32>>) {
        put!(self, Int, |b| b.append_option(value.into()));
    }

    /// A small unsigned integer, such as a score in parts per million.
    pub fn small(&mut self, value: u32) {
        self.int(i32::try_from(value).unwrap_or(i32::MAX));
    }

    /// An event time.
    pub fn time(&mut self, value: impl Into<Option<Time>>) {
        put!(self, Time, |b| b.append_option(value.into().map(|time| time.0)));
    }

    /// A day.
    pub fn date(&mut self, value: impl Into<Option<i32>>) {
        put!(self, Date, |b| b.append_option(value.into()));
    }

    /// A digest, as 32 hexadecimal digits.
    pub fn digest(&mut self, value: Option<Digest>) {
        let text = value.map(|digest| digest.to_string());
        self.text(text.as_deref());
    }

    /// Bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        put!(self, Bytes, |b| b.append_value(value));
    }

    /// A list of names with scores.
    pub fn scored(&mut self, values: impl Iterator<Item = (Name, u32)>) {
        let names = self.names;
        put!(self, Scored, |b| {
            for (name, score) in values {
                let element = b.values();
                if let Some(text) = element.field_builder::<StringBuilder>(0) {
                    text.append_value(names.text(name));
                }
                if let Some(number) = element.field_builder::<Int32Builder>(1) {
                    number.append_value(i32::try_from(score).unwrap_or(i32::MAX));
                }
                element.append(true);
            }
            b.append(true);
        });
    }

    /// A list of integers, or none.
    pub fn ints(&mut self, values: Option<impl Iterator<Item = i32>>) {
        put!(self, Ints, |b| match values {
            Some(values) => b.append_value(values.map(Some)),
            None => b.append_null(),
        });
    }
}

enum Cells<'a> {
    Text(&'a StringArray, Name, usize),
    Long(&'a Int64Array),
    Int(&'a Int32Array),
    Time(&'a TimestampMicrosecondArray),
    Date(&'a Date32Array),
    Bytes(&'a BinaryArray),
    List(&'a ListArray),
}

/// Gives back the cells of rows, in the order of their columns.
pub struct Reader<'a> {
    names: &'a mut Names,
    table: &'static str,
    columns: &'static [Column],
    cells: Vec<Cells<'a>>,
    row: usize,
    next: usize,
}

macro_rules! get {
    ($self:ident, $kind:ident) => {{
        let place = $self.next;
        $self.next += 1;
        match &$self.cells[place] {
            Cells::$kind(array) => (!array.is_null($self.row)).then(|| array.value($self.row)),
            _ => unreachable!("column {place} is not of the kind that its row reads"),
        }
    }};
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        table: &'static str,
        columns: &'static [Column],
        batch: &'a RecordBatch,
        names: &'a mut Names,
    ) -> Result<Self, LakeError> {
        let mut cells = Vec::with_capacity(columns.len());
        for (name, kind) in columns {
            let missing = || LakeError::OtherColumns { table, column: name };
            let array = batch.column_by_name(name).ok_or_else(missing)?;
            let cell = match kind {
                Kind::Text => array.as_string_opt().map(|array| Cells::Text(array, Name::default(), usize::MAX)),
                Kind::Long => array.as_primitive_opt().map(Cells::Long),
                Kind::Int => array.as_primitive_opt().map(Cells::Int),
                Kind::Time => array.as_primitive_opt().map(Cells::Time),
                Kind::Date => array.as_primitive_opt().map(Cells::Date),
                Kind::Bytes => array.as_binary_opt().map(Cells::Bytes),
                Kind::Candidates | Kind::Classes | Kind::Ints => array.as_list_opt().map(Cells::List),
            };
            cells.push(cell.ok_or_else(missing)?);
        }
        Ok(Self { names, table, columns, cells, row: 0, next: 0 })
    }

    pub(super) fn seek(&mut self, row: usize) {
        self.row = row;
        self.next = 0;
    }

    /// The error of the cell read last: it holds what no row of Larder's has.
    pub fn bad_word(&self) -> LakeError {
        LakeError::BadCell { table: self.table, column: self.columns[self.next.saturating_sub(1)].0 }
    }

    fn need<T>(&self, value: Option<T>) -> Result<T, LakeError> {
        value.ok_or_else(|| self.bad_word())
    }

    /// A text, interned; [`Name::default`] for null.
    pub fn name(&mut self) -> Result<Name, LakeError> {
        let place = self.next;
        self.next += 1;
        let Cells::Text(array, last, at) = &mut self.cells[place] else {
            unreachable!("column {place} is not of the kind that its row reads")
        };
        if array.is_null(self.row) {
            return Ok(Name::default());
        }
        let text = array.value(self.row);
        // rows are sorted: the name is most often that of the row before
        if *at >= array.len() || array.value(*at) != text {
            *last = self.names.intern(text)?;
        }
        *at = self.row;
        Ok(*last)
    }

    /// A text.
    pub fn text(&mut self) -> Result<&'a str, LakeError> {
        let text = self.optional_text();
        self.need(text)
    }

    /// A text, or none.
    pub fn optional_text(&mut self) -> Option<&'a str> {
        let place = self.next;
        self.next += 1;
        let Cells::Text(array, ..) = &self.cells[place] else {
            unreachable!("column {place} is not of the kind that its row reads")
        };
        let array: &'a StringArray = array;
        (!array.is_null(self.row)).then(|| array.value(self.row))
    }

    /// A 64-bit integer.
    pub fn long(&mut self) -> Result<i64, LakeError> {
        let value = get!(self, Long);
        self.need(value)
    }

    /// A 64-bit integer, or none.
    pub fn optional_long(&mut self) -> Option<i64> {
        get!(self, Long)
    }

    /// A 32-bit integer, or none.
    pub fn optional_int(&mut self) -> Option<i32> {
        get!(self, Int)
    }

    /// A small unsigned integer.
    pub fn small<T: TryFrom<i32>>(&mut self) -> Result<T, LakeError> {
        let value = get!(self, Int).and_then(|value| T::try_from(value).ok());
        self.need(value)
    }

    /// An event time.
    pub fn time(&mut self) -> Result<Time, LakeError> {
        let value = self.optional_time();
        self.need(value)
    }

    /// An event time, or none.
    pub fn optional_time(&mut self) -> Option<Time> {
        get!(self, Time).map(|micros: Micros| Time(micros))
    }

    /// A day.
    pub fn date(&mut self) -> Result<i32, LakeError> {
        let value = get!(self, Date);
        self.need(value)
    }

    /// A day, or none.
    pub fn optional_date(&mut self) -> Option<i32> {
        get!(self, Date)
    }

    /// A digest, or none.
    pub fn optional_digest(&mut self) -> Result<Option<Digest>, LakeError> {
        let text = self.optional_text();
        text.map(|text| text.parse().map_err(|_| self.bad_word())).transpose()
    }

    /// A digest.
    pub fn digest(&mut self) -> Result<Digest, LakeError> {
        let digest = self.optional_digest()?;
        self.need(digest)
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], LakeError> {
        let place = self.next;
        self.next += 1;
        let Cells::Bytes(array) = &self.cells[place] else {
            unreachable!("column {place} is not of the kind that its row reads")
        };
        let array: &'a BinaryArray = array;
        let bytes = (!array.is_null(self.row)).then(|| array.value(self.row));
        self.need(bytes)
    }

    /// A list of names with scores.
    pub fn scored(&mut self) -> Result<Vec<(Name, u32)>, LakeError> {
        let list = get!(self, List);
        let list = self.need(list)?;
        let bad = || self.bad_word();
        let element = list.as_struct_opt().ok_or_else(bad)?;
        let texts = element.column(0).as_string_opt::<i32>().ok_or_else(bad)?;
        let scores = element.column(1).as_primitive_opt::<Int32Type>().ok_or_else(bad)?;
        let mut scored = Vec::with_capacity(element.len());
        for i in 0..element.len() {
            let score = u32::try_from(scores.value(i)).map_err(|_| self.bad_word())?;
            scored.push((self.names.intern(texts.value(i))?, score));
        }
        Ok(scored)
    }

    /// A list of small unsigned integers, or none.
    pub fn ints<T: TryFrom<i32>>(&mut self) -> Result<Option<Vec<T>>, LakeError> {
        let Some(list) = get!(self, List) else { return Ok(None) };
        let numbers = list.as_primitive_opt::<Int32Type>().ok_or_else(|| self.bad_word())?;
        numbers
            .values()
            .iter()
            .map(|n| T::try_from(*n).map_err(|_| self.bad_word()))
            .collect::<Result<_, _>>()
            .map(Some)
    }
}
