//! From values to Arrow columns, and back.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Int8Array, Int32Array, Int64Array, ListArray,
        StringBuilder, StructArray, TimestampMicrosecondArray,
    },
    buffer::OffsetBuffer,
    datatypes::{Date32Type, Decimal128Type, Field, Int8Type, Int32Type, Int64Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use larder_records::{
    Candidate, Change, DeadReason, Digest, Modality, Name, Names, Ppm, ProductId, Reason, Time,
    views::{Advice, MarketLevel, MovementKind},
};

use super::{
    error::{CellError, ColumnError},
    spec::{ColumnSpec, Kind, SCORE, fields},
};
use crate::corrections::{Unnamed, WrittenChange, WrittenError};

/// What one cell of a column holds.
pub(super) trait Value: Sized {
    const KIND: Kind;

    /// The column of these values; none is null.
    fn array(values: &[Option<Self>], names: &Names) -> Result<ArrayRef, CellError>;

    /// The value of row `i`, which is not null.
    fn get(array: &ArrayRef, i: usize, names: &mut Names) -> Result<Self, CellError>;
}

/// A [`Value`], or an option of one for a column that may be null.
pub(super) trait Cell: Sized {
    const KIND: Kind;
    const NULLABLE: bool;
    fn array(cells: impl Iterator<Item = Self>, names: &Names) -> Result<ArrayRef, CellError>;
    fn get(array: &ArrayRef, i: usize, names: &mut Names) -> Result<Self, CellError>;
}

impl<T: Value> Cell for T {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = false;

    fn array(cells: impl Iterator<Item = Self>, names: &Names) -> Result<ArrayRef, CellError> {
        T::array(&cells.map(Some).collect::<Vec<_>>(), names)
    }

    fn get(array: &ArrayRef, i: usize, names: &mut Names) -> Result<Self, CellError> {
        if array.is_null(i) { Err(CellError::Value("null".to_owned())) } else { T::get(array, i, names) }
    }
}

impl<T: Value> Cell for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;

    fn array(cells: impl Iterator<Item = Self>, names: &Names) -> Result<ArrayRef, CellError> {
        T::array(&cells.collect::<Vec<_>>(), names)
    }

    fn get(array: &ArrayRef, i: usize, names: &mut Names) -> Result<Self, CellError> {
        if array.is_null(i) { Ok(None) } else { T::get(array, i, names).map(Some) }
    }
}

/// The column specification of cells of type `C`.
pub(super) const fn column_spec<C: Cell>(name: &'static str) -> ColumnSpec {
    ColumnSpec { name, kind: C::KIND, nullable: C::NULLABLE }
}

/// The column `name` of `cells`.
pub(super) fn write_column<C: Cell>(
    name: &'static str,
    cells: impl Iterator<Item = C>,
    names: &Names,
) -> Result<ArrayRef, ColumnError> {
    C::array(cells, names).map_err(|problem| (name, problem))
}

/// A column being read, row after row.
pub(super) struct Reader {
    name: &'static str,
    array: ArrayRef,
}

impl Reader {
    /// The column `name` of `batch`, which must hold cells of type `C`.
    pub(super) fn new<C: Cell>(batch: &RecordBatch, name: &'static str) -> Result<Self, ColumnError> {
        let array = batch.column_by_name(name).ok_or((name, CellError::Absent))?;
        if *array.data_type() != C::KIND.arrow() {
            return Err((name, CellError::OtherType(array.data_type().to_string())));
        }
        Ok(Self { name, array: array.clone() })
    }

    /// The cell of row `i`.
    pub(super) fn get<C: Cell>(&self, i: usize, names: &mut Names) -> Result<C, ColumnError> {
        C::get(&self.array, i, names).map_err(|problem| (self.name, problem))
    }
}

/// Text of `values`, each turned into it by `write`.
fn texts<T>(
    values: &[Option<T>],
    mut write: impl FnMut(&T, &mut StringBuilder) -> Result<(), CellError>,
) -> Result<ArrayRef, CellError> {
    let mut builder = StringBuilder::with_capacity(values.len(), values.len() * 8);
    for value in values {
        match value {
            Some(value) => write(value, &mut builder)?,
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn text(array: &ArrayRef, i: usize) -> &str {
    array.as_string::<i32>().value(i)
}

impl Value for Name {
    const KIND: Kind = Kind::Text;

    fn array(values: &[Option<Self>], names: &Names) -> Result<ArrayRef, CellError> {
        texts(values, |name, builder| {
            let text = names.text(*name);
            if text.is_empty() && *name != Self::default() {
                return Err(CellError::Unnamed(*name));
            }
            builder.append_value(text);
            Ok(())
        })
    }

    fn get(array: &ArrayRef, i: usize, names: &mut Names) -> Result<Self, CellError> {
        Ok(names.intern(text(array, i))?)
    }
}

impl Value for String {
    const KIND: Kind = Kind::Text;

    fn array(values: &[Option<Self>], _: &Names) -> Result<ArrayRef, CellError> {
        texts(values, |text, builder| {
            builder.append_value(text);
            Ok(())
        })
    }

    fn get(array: &ArrayRef, i: usize, _: &mut Names) -> Result<Self, CellError> {
        Ok(text(array, i).to_owned())
    }
}

impl Value for Digest {
    const KIND: Kind = Kind::Text;

    fn array(values: &[Option<Self>], _: &Names) -> Result<ArrayRef, CellError> {
        texts(values, |digest, builder| {
            builder.append_value(digest.to_string());
            Ok(())
        })
    }

    fn get(array: &ArrayRef, i: usize, _: &mut Names) -> Result<Self, CellError> {
        text(array, i).parse().map_err(|_| CellError::Value(format!("{:?}", text(array, i))))
    }
}

impl Value for Change {
    const KIND: Kind = Kind::Text;

    fn array(values: &[Option<Self>], names: &Names) -> Result<ArrayRef, CellError> {
        texts(values, |change, builder| {
            let written = WrittenChange::of(change, names).map_err(|Unnamed(name)| CellError::Unnamed(name))?;
            builder.append_value(serde_json::to_string(&written).map_err(|error| CellError::Value(error.to_string()))?);
            Ok(())
        })
    }

    fn get(array: &ArrayRef, i: usize, names: &mut Names) -> Result<Self, CellError> {
        let wrong = |error: WrittenError| CellError::Value(error.to_string());
        let written: WrittenChange = serde_json::from_str(text(array, i)).map_err(|error| wrong(error.into()))?;
        written.change(names).map_err(wrong)
    }
}

/// A value that is one of a few words.
trait Word: Copy + 'static {
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
}

macro_rules! words {
    ($($type:ident { $($variant:ident => $word:literal),* $(,)? })*) => {$(
        impl Word for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
        word_value!($type);
    )*};
}

macro_rules! word_value {
    ($type:ident) => {
        impl Value for $type {
            const KIND: Kind = Kind::Text;

            fn array(values: &[Option<Self>], _: &Names) -> Result<ArrayRef, CellError> {
                texts(values, |value, builder| {
                    builder.append_value(value.word());
                    Ok(())
                })
            }

            fn get(array: &ArrayRef, i: usize, _: &mut Names) -> Result<Self, CellError> {
                let text = text(array, i);
                let found = <Self as Word>::ALL.iter().copied().find(|value| value.word() == text);
                found.ok_or_else(|| CellError::Value(format!("{text:?}")))
            }
        }
    };
}

/// [`larder_records::views::MovementSource`] without the id.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    Sensors,
    Declared,
    Counted,
}

words! {
    Source { Sensors => "sensors", Declared => "declared", Counted => "counted" }
    Reason { Unspecified => "unspecified", Bought => "bought", Used => "used", Wasted => "wasted" }
    Advice { Keep => "keep", EatSoon => "eat_soon", Check => "check", Discard => "discard" }
    MarketLevel { Product => "product", Brand => "brand", Category => "category" }
}

impl Word for Modality {
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }
}
word_value!(Modality);

impl Word for MovementKind {
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }
}
word_value!(MovementKind);

impl Word for DeadReason {
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }
}
word_value!(DeadReason);

impl Value for Time {
    const KIND: Kind = Kind::Time;

    fn array(values: &[Option<Self>], _: &Names) -> Result<ArrayRef, CellError> {
        let micros: TimestampMicrosecondArray = values.iter().map(|value| value.map(|time| time.0)).collect();
        Ok(Arc::new(micros.with_timezone("UTC")))
    }

    fn get(array: &ArrayRef, i: usize, _: &mut Names) -> Result<Self, CellError> {
        Ok(Self(array.as_primitive::<TimestampMicrosecondType>().value(i)))
    }
}

/// A [`larder_records::views::Day`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Date(pub(super) i32);

impl Value for Date {
    const KIND: Kind = Kind::Day;

    fn array(values: &[Option<Self>], _: &Names) -> Result<ArrayRef, CellError> {
        Ok(Arc::new(values.iter().map(|value| value.map(|day| day.0)).collect::<Date32Array>()))
    }

    fn get(array: &ArrayRef, i: usize, _: &mut Names) -> Result<Self, CellError> {
        Ok(Self(array.as_primitive::<Date32Type>().value(i)))
    }
}

/// A [`Ppm`], as the fraction that it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Score(pub(super) Ppm);

impl Value for Score {
    const KIND: Kind = Kind::Score;

    fn array(values: &[Option<Self>], _: &Names) -> Result<ArrayRef, CellError> {
        let millionths: Decimal128Array = values.iter().map(|value| value.map(|score| i128::from(score.0))).collect();
        let fractions = millionths.with_precision_and_scale(SCORE.0, SCORE.1);
        Ok(Arc::new(fractions.map_err(|error| CellError::Value(error.to_string()))?))
    }

    fn get(array: &ArrayRef, i: usize, _: &mut Names) -> Result<Self, CellError> {
        let millionths = array.as_primitive::<Decimal128Type>().value(i);
        u32::try_from(millionths).map(Self).map_err(|_| CellError::Value(format!("{millionths} millionths")))
    }
}

macro_rules! integers {
    ($($type:ty => $kind:ident, $array:ident, $arrow:ty);* $(;)?) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::$kind;

            fn array(values: &[Option<Self>], _: &Names) -> Result<ArrayRef, CellError> {
                let numbers = values.iter().map(|value| {
                    let number = value.map(|v| v.try_into().map_err(|_| CellError::Value(format!("{v}")))).transpose();
                    number
                });
                Ok(Arc::new(numbers.collect::<Result<$array, CellError>>()?))
            }

            fn get(array: &ArrayRef, i: usize, _: &mut Names) -> Result<Self, CellError> {
                let number = array.as_primitive::<$arrow>().value(i);
                number.try_into().map_err(|_| CellError::Value(format!("{number}")))
            }
        }
    )*};
}

integers! {
    i8 => Byte, Int8Array, Int8Type;
    u16 => Int, Int32Array, Int32Type;
    u32 => Long, Int64Array, Int64Type;
    u64 => Long, Int64Array, Int64Type;
    i64 => Long, Int64Array, Int64Type;
}

impl<T: Value + Clone> Value for Vec<T> {
    const KIND: Kind = Kind::List(&T::KIND);

    fn array(values: &[Option<Self>], names: &Names) -> Result<ArrayRef, CellError> {
        let lengths = values.iter().map(|list| list.as_ref().map_or(0, Vec::len));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls = values.iter().map(Option::is_some).collect();
        let elements: Vec<_> = values.iter().flatten().flatten().cloned().map(Some).collect();
        let field = Arc::new(Field::new("element", T::KIND.arrow(), false));
        let lists = ListArray::try_new(field, offsets, T::array(&elements, names)?, Some(nulls));
        Ok(Arc::new(lists.map_err(|error| CellError::Value(error.to_string()))?))
    }

    fn get(array: &ArrayRef, i: usize, names: &mut Names) -> Result<Self, CellError> {
        let elements = array.as_list::<i32>().value(i);
        (0..elements.len()).map(|i| T::get(&elements, i, names)).collect()
    }
}

/// A structure of a name and a score.
fn scored(
    columns: &'static [ColumnSpec],
    values: &[Option<(Name, Ppm)>],
    names: &Names,
) -> Result<ArrayRef, CellError> {
    let texts: Vec<_> = values.iter().map(|value| value.map(|(name, _)| name)).collect();
    let scores: Vec<_> = values.iter().map(|value| value.map(|(_, score)| Score(score))).collect();
    let arrays = vec![Value::array(&texts, names)?, Value::array(&scores, names)?];
    let array = StructArray::try_new(fields(columns), arrays, None);
    Ok(Arc::new(array.map_err(|error| CellError::Value(error.to_string()))?))
}

fn scored_at(array: &ArrayRef, i: usize, names: &mut Names) -> Result<(Name, Ppm), CellError> {
    let [texts, scores] = array.as_struct().columns() else {
        return Err(CellError::OtherType(array.data_type().to_string()));
    };
    let score: Score = Value::get(scores, i, names)?;
    Ok((Value::get(texts, i, names)?, score.0))
}

const CANDIDATE: &[ColumnSpec] = &[column_spec::<Name>("sku"), column_spec::<Score>("score")];
const CLASS: &[ColumnSpec] = &[column_spec::<Name>("class"), column_spec::<Score>("score")];

impl Value for Candidate {
    const KIND: Kind = Kind::Struct(CANDIDATE);

    fn array(values: &[Option<Self>], names: &Names) -> Result<ArrayRef, CellError> {
        let values: Vec<_> = values.iter().map(|value| value.map(|c| (c.product.0, c.score))).collect();
        scored(CANDIDATE, &values, names)
    }

    fn get(array: &ArrayRef, i: usize, names: &mut Names) -> Result<Self, CellError> {
        scored_at(array, i, names).map(|(name, score)| Self { product: ProductId(name), score })
    }
}

impl Value for (Name, Ppm) {
    const KIND: Kind = Kind::Struct(CLASS);

    fn array(values: &[Option<Self>], names: &Names) -> Result<ArrayRef, CellError> {
        scored(CLASS, values, names)
    }

    fn get(array: &ArrayRef, i: usize, names: &mut Names) -> Result<Self, CellError> {
        scored_at(array, i, names)
    }
}
