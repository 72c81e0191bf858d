//! Parts of tables: the rows of some appliances, or of some span of time.

use std::collections::BTreeSet;

use arrow::{
    array::{AsArray as _, RecordBatch},
    datatypes::TimestampMicrosecondType,
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

    /// How files are told from others in which none of its rows lies.
    pub(super) fn sieve(&self, names: &Names) -> Sieve {
        let texts = self.appliances.map(|wanted| {
            let mut texts: Vec<String> = wanted.iter().map(|id| names.text(id.0).to_owned()).collect();
            texts.sort_unstable();
            texts
        });
        let month = |time: Option<Time>| time.map(|time| Month(time).text()).filter(|month| is_plain(month));
        Sieve { texts, first: month(self.from), last: month(self.until) }
    }
}

/// Whether a month compares as text as it does in time.
fn is_plain(month: &str) -> bool {
    month.len() == 7 && !month.starts_with('-') && month != Month::NONE
}

/// What is asked of a file. Tables are parted by the month of the time that [`Dated`] tells, or not at all.
pub(super) struct Sieve {
    texts: Option<Vec<String>>,
    first: Option<String>,
    last: Option<String>,
}

impl Sieve {
    /// Whether some of the rows may lie in `file`.
    pub(super) fn may_lie_in(&self, file: &LiveFile) -> bool {
        let month = file.partition.last().filter(|month| is_plain(month));
        let in_time = month.is_none_or(|month| {
            self.first.as_ref().is_none_or(|first| first <= month) && self.last.as_ref().is_none_or(|last| month <= last)
        });
        in_time
            && self.texts.as_ref().is_none_or(|texts| {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                file.may_hold("appliance", &texts)
            })
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

/// A row of an appliance at a time.
pub trait Dated: Row {
    /// Whose it is, and when: the time by whose month its table is parted, if it is.
    fn whose(&self) -> (ApplianceId, Time);
}

macro_rules! dated {
    ($($row:ty: |$it:ident| $appliance:expr, $time:expr;)*) => {$(
        impl Dated for $row {
            fn whose(&self) -> (ApplianceId, Time) {
                let $it = self;
                ($appliance, $time)
            }
        }
    )*};
}

dated! {
    Reading: |row| row.appliance, row.time;
    FrameRow: |row| row.key().0.appliance, row.key().0.time;
    SightingRow: |row| row.key().0.appliance, row.key().0.time;
    Visit: |row| row.appliance, row.opened;
    Movement: |row| row.appliance, row.time;
    ReviewItem: |row| row.appliance, row.time;
}
