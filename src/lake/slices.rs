//! What came in, cut into slices that are gone through one after another.

use std::collections::{BTreeMap, BTreeSet};

use larder_records::{Names, Reading, Time};

use super::{
    Lake, LakeError, Part, Row, Whose,
    live::LiveFile,
    rows::{
        Month,
        frames::{FrameRow, SightingRow},
    },
};

/// A calendar month (UTC) of readings and frames.
#[derive(Debug)]
pub struct Slices {
    /// The month as tables are parted by it; none where nothing came in.
    pub month: Option<String>,
    from: Option<Time>,
    until: Option<Time>,
    /// The texts of appliances that a slice begins with, in order; the first begins with all.
    cuts: Vec<String>,
}

impl Slices {
    /// The slices, less what was before `from`.
    pub fn parts(&self, from: Option<Time>) -> impl Iterator<Item = Part<'_>> {
        let from = from.max(self.from);
        let is_empty = self.until.is_some_and(|until| from.is_some_and(|from| from >= until));
        let bound = |n: usize| self.cuts.get(n).map(String::as_str);
        let slices = if is_empty { 0..0 } else { 0..self.cuts.len() + 1 };
        slices.map(move |n| Part {
            appliances: Whose::Between(n.checked_sub(1).and_then(bound), bound(n)),
            from,
            until: self.until,
        })
    }

    /// The whole month of the appliances in `whose`.
    pub fn of<'a>(&self, whose: Whose<'a>) -> Part<'a> {
        Part { appliances: whose, from: self.from, until: self.until }
    }
}

impl Lake {
    /// All readings and frames, month by month, the oldest first; in slices of some `rows` where they lie in files by appliance.
    ///
    /// # Errors
    /// [`LakeError`] where a log cannot be read.
    pub fn slices(&self, rows: u64) -> Result<Vec<Slices>, LakeError> {
        // of each month the least appliance and the rows of every file
        let mut months: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
        for name in [Reading::TABLE.name, FrameRow::TABLE.name, SightingRow::TABLE.name] {
            let Some(table) = self.tables.get(name) else { continue };
            for file in table.live(self.engine())?.files {
                let Some(month) = file.partition.last().filter(|month| Month::is_plain(month)) else { continue };
                let least = file.bounds("appliance").map_or_else(String::new, |[low, _]| low.to_owned());
                months.entry(month.clone()).or_default().push((least, file.rows));
            }
        }
        let starts: Vec<Time> = months.keys().filter_map(|month| Month::start(month)).collect();
        let mut all = Vec::with_capacity(months.len());
        for (n, (month, mut files)) in months.into_iter().enumerate() {
            files.sort_unstable();
            let (mut cuts, mut in_slice): (Vec<String>, u64) = (Vec::new(), 0);
            for (least, held) in files {
                if in_slice >= rows && cuts.last().map_or("", String::as_str) < least.as_str() {
                    cuts.push(least);
                    in_slice = 0;
                }
                in_slice += held;
            }
            // what belongs to no month is with the first and the last
            let from = n.checked_sub(1).and_then(|_| starts.get(n)).copied();
            all.push(Slices { month: Some(month), from, until: starts.get(n + 1).copied(), cuts });
        }
        if all.is_empty() {
            all.push(Slices { month: None, from: None, until: None, cuts: Vec::new() });
        }
        Ok(all)
    }

    /// The rows of a table that is parted by months, of one of them, in no particular order; none of other tables.
    ///
    /// # Errors
    /// [`LakeError`] where the table cannot be read.
    pub fn read_month<R: Row>(&self, month: &str, names: &mut Names) -> Result<Vec<R>, LakeError> {
        self.read_months(|of_file| of_file == Some(month), names)
    }

    /// The rows of a table, but those of `months` where it is parted by them.
    ///
    /// # Errors
    /// [`LakeError`] where the table cannot be read.
    pub fn read_beside<R: Row>(&self, months: &BTreeSet<String>, names: &mut Names) -> Result<Vec<R>, LakeError> {
        self.read_months(|of_file| of_file.is_none_or(|month| !months.contains(month)), names)
    }

    /// The rows of the files whose month is wanted; none is told where a table is not parted by months.
    pub(super) fn read_months<R: Row>(
        &self,
        is_wanted: impl Fn(Option<&str>) -> bool + Sync,
        names: &mut Names,
    ) -> Result<Vec<R>, LakeError> {
        let Some(table) = self.tables.get(R::TABLE.name) else { return Ok(Vec::new()) };
        let is_parted = R::TABLE.partition.contains(&"month");
        let may_hold = |file: &LiveFile| is_wanted(file.partition.last().filter(|_| is_parted).map(String::as_str));
        let mut rows = Vec::new();
        for batch in table.read_files(self.engine(), may_hold)? {
            rows.extend(R::read(&batch, names)?);
        }
        Ok(rows)
    }
}
