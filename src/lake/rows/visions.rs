//! Which vision holds where.

use std::collections::HashMap;

use larder_records::{ApplianceId, Digest, FrameKey, Time, views::Day};

use crate::lake::{cells::Date, row::table};

/// Of an appliance's frames of a day, the results of this vision hold, and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VisionDay {
    /// Whose frames.
    pub appliance: ApplianceId,
    /// The day by the sensors' clocks, in UTC ([`day_of`]).
    pub day: Day,
    /// What the results depend on beside the frame.
    pub fingerprint: Digest,
}

/// What a vision is called, and by which fingerprint its results for an appliance are known.
///
/// An appliance with a scene reference of its own has a fingerprint of its own; the name stands for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KnownVision {
    /// Its name.
    pub vision: Digest,
    /// The appliance.
    pub appliance: ApplianceId,
    /// What the results for that appliance depend on beside the frame.
    pub fingerprint: Digest,
}

/// The day of a frame, in UTC.
pub fn day_of(time: Time) -> Day {
    // times that fit no day lie far beyond those that are taken in
    Day::try_from(time.0.div_euclid(Time::DAY)).unwrap_or(Day::MAX)
}

/// Which vision holds, by appliance and day. Where nothing is said, there is but one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held(HashMap<(ApplianceId, Day), Digest>);

impl Held {
    /// What `rows` say.
    pub fn of(rows: impl IntoIterator<Item = VisionDay>) -> Self {
        Self(rows.into_iter().map(|row| ((row.appliance, row.day), row.fingerprint)).collect())
    }

    /// The fingerprint of the results that hold.
    pub fn get(&self, appliance: ApplianceId, day: Day) -> Option<Digest> {
        self.0.get(&(appliance, day)).copied()
    }

    /// Lets the results of that fingerprint hold.
    pub fn set(&mut self, appliance: ApplianceId, day: Day, fingerprint: Digest) {
        self.0.insert((appliance, day), fingerprint);
    }

    /// Whether a result of that fingerprint holds.
    pub fn holds(&self, frame: FrameKey, fingerprint: Digest) -> bool {
        self.get(frame.appliance, day_of(frame.time)).is_none_or(|held| held == fingerprint)
    }
}

table! {
    VisionDay as "vision_days", partition [], feed true;
    columns |row| {
        appliance: larder_records::Name = row.appliance.0,
        day: Date = Date(row.day),
        fingerprint: Digest = row.fingerprint,
    }
    derived {}
    read VisionDay { appliance: ApplianceId(appliance), day: day.0, fingerprint }
}

table! {
    KnownVision as "visions", partition [], feed false;
    columns |row| {
        vision: Digest = row.vision,
        appliance: larder_records::Name = row.appliance.0,
        fingerprint: Digest = row.fingerprint,
    }
    derived {}
    read KnownVision { vision, appliance: ApplianceId(appliance), fingerprint }
}
