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

/// Which rows. By default all of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Part<'a> {
    /// Of these appliances; of all, where none is said.
    pub appliances: Option<&'a BTreeSet<ApplianceId>>,
    /// From then on.
    pub from: Option<Time>,
    /// Up to then, exclusive.
    pub until: Option<Time>,
}

impl Part<'_> {
    /// Whether something of an appliance at a time belongs to it.
    pub fn holds(&self, appliance: ApplianceId, time: Time) -> bool {
        self.appliances.is_none_or(|wanted| wanted.contains(&appliance))
            && self.from.is_none_or(|from| from <= time)
            && self.until.is_none_or(|until| time < until)
    }

    /// How its rows are told from others before they are read.
    pub(super) fn sieve(&self, names: &Names) -> Sieve {
        let texts = self.appliances.map(|wanted| {
            let mut texts: Vec<String> = wanted.iter().map(|id| names.text(id.0).to_owned()).collect();
            texts.sort_unstable();
            texts
        });
        let month = |time: Option<Time>| time.map(|time| Month(time).text()).filter(|month| is_plain(month));
        Sieve { texts, from: self.from, until: self.until, first: month(self.from), last: month(self.until) }
    }
}

/// Whether a month compares as text as it does in time.
fn is_plain(month: &str) -> bool {
    month.len() == 7 && !month.starts_with('-') && month != Month::NONE
}

/// What is asked of files and rows. Tables are parted by the month of the time that [`Dated`] tells, or not at all.
pub(super) struct Sieve {
    texts: Option<Vec<String>>,
    from: Option<Time>,
    until: Option<Time>,
    first: Option<String>,
    last: Option<String>,
}

impl Sieve {
    /// Whether some of the rows may lie in `file`.
    pub(super) fn may_lie_in(&self, file: &LiveFile) -> bool {
        let month = file.partition.last().filter(|month| is_plain(month));
        let in_time = month.is_none_or(|month| {
            self.first.as_ref().is_none_or(|first| first <= month)
                && self.last.as_ref().is_none_or(|last| month <= last)
        });
        in_time
            && self.texts.as_ref().is_none_or(|texts| {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                file.may_hold("appliance", &texts)
            })
    }

    /// Whether every row is wanted.
    pub(super) fn is_open(&self) -> bool {
        self.texts.is_none() && self.from.is_none() && self.until.is_none()
    }

    /// The columns that [`Sieve::mask`] asks for, where times stand in `time`.
    pub(super) fn columns(&self, time: &'static str) -> Vec<&'static str> {
        self.texts.as_ref().map(|_| "appliance").into_iter().chain([time]).collect()
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
        let Some(texts) = &self.texts else {
            return Ok((0..batch.num_rows()).map(|n| Some(in_time(n))).collect());
        };
        let appliances = batch.column_by_name("appliance").and_then(|column| column.as_string_opt::<i32>());
        let appliances = appliances.ok_or_else(|| missing("appliance"))?;
        // rows of one appliance lie together
        let mut last = ("", false);
        let mut is_wanted = |text| {
            if text != last.0 {
                last = (text, texts.binary_search_by(|known| known.as_str().cmp(text)).is_ok());
            }
            last.1
        };
        Ok((0..batch.num_rows()).map(|n| Some(in_time(n) && is_wanted(appliances.value(n)))).collect())
    }
}

/// The columns that [`newest`] reads, in the order of the file.
pub(super) const WHOSE: [&str; 2] = ["appliance", "time"];

/// The latest time of each appliance in the columns [`WHOSE`] of a file. Files are sorted by appliance, so there are few texts.
pub(super) fn newest(table: &'static str, batch: &RecordBatch) -> Result<Vec<(String, Time)>, LakeError> {
    let missing = |column| LakeError::column(table, (column, CellError::Absent));
    let [appliances, times] = batch.columns() else { return Err(missing(WHOSE[0])) };
    let appliances = appliances.as_string_opt::<i32>().ok_or_else(|| missing(WHOSE[0]))?;
    let times = times.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| missing(WHOSE[1]))?;
    let mut newest: Vec<(String, Time)> = Vec::new();
    for n in 0..batch.num_rows() {
        let (text, time) = (appliances.value(n), Time(times.value(n)));
        match newest.last_mut() {
            Some((last, known)) if last == text => *known = time.max(*known),
            _ => newest.push((text.to_owned(), time)),
        }
    }
    Ok(newest)
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
