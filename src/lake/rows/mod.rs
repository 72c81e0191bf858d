//! The tables, column by column. `docs/lake.md` tells what each column means.

pub(super) mod epochs;
pub(super) mod frames;
mod inputs;
mod order;
mod views;
pub(super) mod visions;

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use larder_records::{
    Appliance, Correction, DeadLetter, DeclaredMovement, Name, Names, Product, Reading, Time, views::*,
};

pub(super) use order::in_order;

use super::{
    cells::Value,
    error::CellError,
    row::Row,
    spec::{Kind, TableSpec},
};

/// Tables of what came in.
pub(super) const INPUTS: [TableSpec; 10] = [
    Reading::TABLE,
    frames::FrameRow::TABLE,
    frames::SightingRow::TABLE,
    visions::KnownVision::TABLE,
    visions::VisionDay::TABLE,
    DeclaredMovement::TABLE,
    Product::TABLE,
    Appliance::TABLE,
    Correction::TABLE,
    DeadLetter::TABLE,
];

/// Tables of what came out.
pub(super) const VIEWS: [TableSpec; 11] = [
    Visit::TABLE,
    Movement::TABLE,
    Inventory::TABLE,
    InventoryInterval::TABLE,
    FoodState::TABLE,
    Behaviour::TABLE,
    ProductBehaviour::TABLE,
    PairBehaviour::TABLE,
    Market::TABLE,
    MarketPair::TABLE,
    ReviewItem::TABLE,
];

/// Every table: inputs, then views, then which versions of them go together.
pub(super) fn all() -> impl Iterator<Item = TableSpec> {
    INPUTS.into_iter().chain(VIEWS).chain([epochs::Shown::TABLE])
}

/// The calendar month of a time, in UTC, as `2026-03`.
pub(super) struct Month(pub(super) Time);

impl Value for Month {
    const KIND: Kind = Kind::Text;

    fn array(values: &[Option<Self>], _: &Names) -> Result<ArrayRef, CellError> {
        let mut builder = StringBuilder::with_capacity(values.len(), values.len() * Self::NONE.len());
        // neighbours mostly are of one day
        let (mut day, mut text) = (None, String::new());
        for value in values {
            let Some(Self(time)) = value else {
                builder.append_null();
                continue;
            };
            let of = Some(time.0.div_euclid(Time::DAY));
            if of != day {
                (day, text) = (of, Self(*time).text());
            }
            builder.append_value(&text);
        }
        Ok(Arc::new(builder.finish()))
    }

    fn get(array: &ArrayRef, _: usize, _: &mut Names) -> Result<Self, CellError> {
        Err(CellError::OtherType(array.data_type().to_string()))
    }
}

impl Month {
    /// The text of what is no month.
    pub(super) const NONE: &str = "0000-00";

    /// The month of a day.
    pub(super) fn of_day(day: Day) -> Self {
        Self(Time(i64::from(day).saturating_mul(Time::DAY)))
    }

    /// Whether a month compares as text as it does in time.
    pub(super) fn is_plain(text: &str) -> bool {
        text.len() == 7 && !text.starts_with('-') && text != Self::NONE
    }

    /// When the month of that text begins; none of what is no month.
    pub(super) fn start(text: &str) -> Option<Time> {
        let (year, month) = text.rsplit_once('-')?;
        let date = jiff::civil::Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
        Some(Time(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond()))
    }

    pub(super) fn text(&self) -> String {
        // jiff covers the years -9999 to 9999; what lies beyond is no month of any use.
        let days = jiff::Span::new().try_days(self.0.0.div_euclid(Time::DAY));
        match days.and_then(|days| jiff::civil::date(1970, 1, 1).checked_add(days)) {
            Ok(date) => format!("{:04}-{:02}", date.year(), date.month()),
            Err(_) => Self::NONE.to_owned(),
        }
    }
}

/// A name for a column in which none is null.
fn some(name: Name) -> Option<Name> {
    (name != Name::default()).then_some(name)
}
