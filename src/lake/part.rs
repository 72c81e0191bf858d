//! Parts of tables: the rows of some appliances, or of some span of time.

use std::collections::BTreeSet;

use arrow::{
    array::{AsArray as _, BooleanArray, RecordBatch},
    datatypes::TimestampMicrosecondType,
    error::ArrowError,
};
use larder_records::{
    ApplianceId, Names, Reading, Time,
    views::{Movement, ReviewItem, Visit},
};

use super::{
    error::{CellError, LakeError},
    live::LiveFile,
    row::Row,
    rows::{
        Month,
        frames::{FrameRow, SightingRow},
    },
};

/// The column that says whose a row is.
pub(super) const OWNER: &str = "appliance";

/// Which rows. By default all of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Part<'a> {
    /// Of which appliances.
    pub appliances: Whose<'a>,
    /// From then on.
    pub from: Option<Time>,
    /// Up to then, exclusive.
    pub until: Option<Time>,
}

/// Of which appliances something is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub enum Whose<'a> {
    /// Of all.
    #[default]
    All,
    /// Of these.
    Of(&'a BTreeSet<ApplianceId>),
    /// Of those whose names, as text, are not before the first and before the second; either bound may be missing.
    Between(Option<&'a str>, Option<&'a str>),
}

impl Whose<'_> {
    /// Those of `appliances` that belong to these.
    pub fn among(&self, appliances: &BTreeSet<ApplianceId>, names: &Names) -> BTreeSet<ApplianceId> {
        let texts = self.in_words(names);
        appliances.iter().filter(|appliance| texts.holds(names.text(appliance.0))).copied().collect()
    }

    fn in_words(&self, names: &Names) -> Texts {
        match self {
            Self::All => Texts::All,
            Self::Of(wanted) => {
                let mut texts: Vec<String> = wanted.iter().map(|id| names.text(id.0).to_owned()).collect();
                texts.sort_unstable();
                Texts::Of(texts)
            }
            Self::Between(first, end) => Texts::Between(first.map(str::to_owned), end.map(str::to_owned)),
        }
    }
}

impl Part<'_> {
    /// How its rows are told from others before they are read.
    pub(super) fn sieve(&self, names: &Names) -> Sieve {
        let month = |time: Option<Time>| time.map(|time| Month(time).text()).filter(|month| Month::is_plain(month));
        Sieve {
            appliances: self.appliances.in_words(names),
            from: self.from,
            until: self.until,
            first: month(self.from),
            last: month(self.until),
        }
    }
}

/// [`Whose`], in words.
enum Texts {
    All,
    /// Sorted.
    Of(Vec<String>),
    Between(Option<String>, Option<String>),
}

impl Texts {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(texts) => texts.binary_search_by(|known| known.as_str().cmp(text)).is_ok(),
            Self::Between(first, end) => {
                first.as_deref().is_none_or(|first| first <= text) && end.as_deref().is_none_or(|end| text < end)
            }
        }
    }

    /// Whether one from `low` to `high`, inclusive, may belong to these.
    fn may_lie_between(&self, low: &str, high: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(texts) => {
                texts.get(texts.partition_point(|text| text.as_str() < low)).is_some_and(|text| text.as_str() <= high)
            }
            Self::Between(first, end) => {
                first.as_deref().is_none_or(|first| first <= high) && end.as_deref().is_none_or(|end| low < end)
            }
        }
    }
}

/// What is asked of files and rows. Tables are parted by the month of the time that [`Dated`] tells, or not at all.
pub(super) struct Sieve {
    appliances: Texts,
    from: Option<Time>,
    until: Option<Time>,
    first: Option<String>,
    last: Option<String>,
}

impl Sieve {
    /// Whether some of the rows may lie in `file`, where times stand in `time`.
    pub(super) fn may_lie_in(&self, file: &LiveFile, time: &str) -> bool {
        let month = file.partition.last().filter(|month| Month::is_plain(month));
        let in_month = month.is_none_or(|month| {
            self.first.as_ref().is_none_or(|first| first <= month)
                && self.last.as_ref().is_none_or(|last| month <= last)
        });
        in_month
            && (!self.asks_when() || file.times(time).is_none_or(|times| self.may_be_within(times)))
            && file.bounds(OWNER).is_none_or(|[least, greatest]| self.may_be_of(least, greatest))
    }

    /// Whether rows from the first of these times to the last may be wanted.
    pub(super) fn may_be_within(&self, [first, last]: [Time; 2]) -> bool {
        self.from.is_none_or(|from| from <= last) && self.until.is_none_or(|until| first < until)
    }

    /// Whether rows of appliances from `least` to `greatest`, inclusive, may be wanted.
    pub(super) fn may_be_of(&self, least: &str, greatest: &str) -> bool {
        self.appliances.may_lie_between(least, greatest)
    }

    /// Whether every row is wanted.
    pub(super) fn is_open(&self) -> bool {
        !self.asks_whose() && !self.asks_when()
    }

    /// Whether rows of some appliances are not wanted.
    pub(super) fn asks_whose(&self) -> bool {
        !matches!(self.appliances, Texts::All | Texts::Between(None, None))
    }

    /// Whether rows of some times are not wanted.
    pub(super) fn asks_when(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }

    /// The columns that [`Sieve::mask`] asks for, where times stand in `time`.
    pub(super) fn columns(&self, time: &'static str) -> Vec<&'static str> {
        self.asks_whose().then_some(OWNER).into_iter().chain([time]).collect()
    }

    /// Which rows of `batch` belong to the part.
    pub(super) fn mask(&self, time: &'static str, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let missing = |column: &str| ArrowError::SchemaError(format!("there is no column {column} as it should be"));
        let times = batch.column_by_name(time).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let times = times.ok_or_else(|| missing(time))?;
        let in_time = |n: usize| {
            let at = Time(times.value(n));
            self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
        };
        if !self.asks_whose() {
            return Ok((0..batch.num_rows()).map(|n| Some(in_time(n))).collect());
        }
        let appliances = batch.column_by_name(OWNER).and_then(|column| column.as_string_opt::<i32>());
        let appliances = appliances.ok_or_else(|| missing(OWNER))?;
        // rows of one appliance lie together
        let mut last = ("", false);
        let mut is_wanted = |text| {
            if text != last.0 {
                last = (text, self.appliances.holds(text));
            }
            last.1
        };
        Ok((0..batch.num_rows()).map(|n| Some(in_time(n) && is_wanted(appliances.value(n)))).collect())
    }
}

/// The columns that [`spans`] reads, in the order of the file.
pub(super) const WHOSE: [&str; 2] = [OWNER, "time"];

/// The earliest and the latest time of each appliance in the columns [`WHOSE`] of a file. Files are sorted by appliance, so there are few
/// texts.
pub(super) fn spans(table: &'static str, batch: &RecordBatch) -> Result<Vec<(String, [Time; 2])>, LakeError> {
    let missing = |column| LakeError::column(table, (column, CellError::Absent));
    let [appliances, times] = batch.columns() else { return Err(missing(WHOSE[0])) };
    let appliances = appliances.as_string_opt::<i32>().ok_or_else(|| missing(WHOSE[0]))?;
    let times = times.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| missing(WHOSE[1]))?;
    let mut spans: Vec<(String, [Time; 2])> = Vec::new();
    for n in 0..batch.num_rows() {
        let (text, time) = (appliances.value(n), Time(times.value(n)));
        match spans.last_mut() {
            Some((last, [first, newest])) if last == text => {
                (*first, *newest) = (time.min(*first), time.max(*newest));
            }
            _ => spans.push((text.to_owned(), [time; 2])),
        }
    }
    Ok(spans)
}

/// A row of an appliance at a time. The column `appliance` says whose it is.
pub trait Dated: Row {
    /// The column that says when; where the table is parted by months, by that one's.
    const TIME: &str;
}

macro_rules! dated {
    ($($row:ty: $time:literal;)*) => {$(
        impl Dated for $row {
            const TIME: &str = $time;
        }
    )*};
}

dated! {
    Reading: "time";
    FrameRow: "time";
    SightingRow: "time";
    Visit: "opened";
    Movement: "time";
    ReviewItem: "time";
}
