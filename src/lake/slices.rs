//! What came in, cut into slices that are gone through one after another.

use std::collections::{BTreeMap, BTreeSet};

use larder_records::{Names, Reading, Time};

use super::{
    Dated, Lake, LakeError, Part, Row, Whose,
    live::LiveFile,
    part::OWNER,
    rows::{
        Month,
        frames::{FrameRow, SightingRow},
    },
};

/// A calendar month (UTC) of what came in, with its frames cut into slices.
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
    /// All of the month, less what was before `from`; none where nothing is left.
    pub fn whole<'a>(&self, whose: Whose<'a>, from: Option<Time>) -> Option<Part<'a>> {
        let from = from.max(self.from);
        let is_empty = self.until.is_some_and(|until| from.is_some_and(|from| from >= until));
        (!is_empty).then_some(Part { appliances: whose, from, until: self.until })
    }

    /// The slices, less what was before `from`.
    pub fn parts(&self, from: Option<Time>) -> impl Iterator<Item = Part<'_>> {
        let bound = |n: usize| self.cuts.get(n).map(String::as_str);
        let slices = (0..=self.cuts.len()).map(move |n| Whose::Between(n.checked_sub(1).and_then(bound), bound(n)));
        slices.filter_map(move |whose| self.whole(whose, from))
    }
}

impl Lake {
    /// All that came in, month by month, the oldest first, less what was before `from`; its frames in slices of some `rows` where they
    /// lie in files by appliance.
    ///
    /// # Errors
    /// [`LakeError`] where a log cannot be read.
    pub fn slices(&self, rows: u64, from: Option<Time>) -> Result<Vec<Slices>, LakeError> {
        // of each month the least appliance of every file of frames, and its rows
        let mut months: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
        for (name, time) in [
            (Reading::TABLE.name, Reading::TIME),
            (FrameRow::TABLE.name, FrameRow::TIME),
            (SightingRow::TABLE.name, SightingRow::TIME),
        ] {
            let Some(table) = self.tables.get(name) else { continue };
            for file in table.live(self.engine())?.files {
                let Some(month) = file.partition.last().filter(|month| Month::is_plain(month)) else { continue };
                let files = months.entry(month.clone()).or_default();
                let is_recent = from.is_none_or(|from| file.times(time).is_none_or(|[_, last]| from <= last));
                if name != Reading::TABLE.name && is_recent {
                    let least = file.bounds(OWNER).map_or_else(String::new, |[low, _]| low.to_owned());
                    files.push((least, file.rows));
                }
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
