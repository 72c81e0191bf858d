//! Event times and door readings for pictures that come without.

use larder_records::{Appliance, ApplianceId, HouseholdId, Micros, Modality, Time};

use super::{Import, ImportError};
use crate::feeds::recording::ChannelId;

/// Gives pictures of an opened appliance what a recording needs beside them.
///
/// Picture number `n` (from 0) is taken at [`start`](Self::start) plus `n` times [`interval`](Self::interval). The
/// sensor `door` opens a second before it and closes a second after, so that each picture is one visit.
#[derive(Debug, Clone)]
pub struct Staging {
    /// The appliance that they show.
    pub appliance: String,
    /// Whose it is.
    pub household: String,
    /// The market region that the household counts in.
    pub region: String,
    /// The kind of appliance.
    pub kind: String,
    /// When the first was taken.
    pub start: Time,
    /// How much later each next one was, in microseconds; at least three seconds.
    pub interval: Micros,
}

impl Staging {
    /// An hour apart from 2020-01-01T00:00:00Z on, of the appliance `household/kind`, in no region.
    pub fn of(household: &str, kind: &str) -> Self {
        Self {
            appliance: format!("{household}/{kind}"),
            household: household.to_owned(),
            region: String::new(),
            kind: kind.to_owned(),
            start: Time(1_577_836_800 * Time::SECOND),
            interval: Time::HOUR,
        }
    }

    /// Writes the appliance and opens its door's channel.
    pub(super) fn open(&self, import: &mut Import<'_>) -> Result<Stage, ImportError> {
        let names = &mut import.names;
        let id = ApplianceId(names.intern(&self.appliance)?);
        let household = HouseholdId(names.intern(&self.household)?);
        let known = Appliance::new(id, household, names.intern(&self.kind)?);
        let as_of = self.start.plus(-Time::SECOND);
        let appliance = Appliance { as_of, region: names.intern(&self.region)?, ..known };
        import.appliance(&appliance)?;
        let door = import.channel(&self.appliance, "door", Modality::Door)?;
        Ok(Stage { appliance: id, door, start: self.start, interval: self.interval.max(3 * Time::SECOND) })
    }
}

/// A [`Staging`] under way.
pub(super) struct Stage {
    pub(super) appliance: ApplianceId,
    door: ChannelId,
    start: Time,
    interval: Micros,
}

impl Stage {
    fn time(&self, number: u32) -> Time {
        self.start.plus(self.interval.saturating_mul(i64::from(number)))
    }

    /// Opens the door for a picture; yields when that is taken.
    pub(super) fn open_door(&self, number: u32, import: &mut Import<'_>) -> Result<Time, ImportError> {
        let time = self.time(number);
        import.reading(self.door, time.plus(-Time::SECOND), number.wrapping_mul(2), 1)??;
        Ok(time)
    }

    /// Closes the door behind a picture.
    pub(super) fn close_door(&self, number: u32, import: &mut Import<'_>) -> Result<(), ImportError> {
        let time = self.time(number).plus(Time::SECOND);
        Ok(import.reading(self.door, time, number.wrapping_mul(2).wrapping_add(1), 0)??)
    }
}
