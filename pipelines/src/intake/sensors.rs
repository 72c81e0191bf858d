//! Readings and frames, and the calibration of what sent them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use foldhash::fast::RandomState;
use larder_records::{ApplianceId, Calibration, Digest, FrameKey, Modality, Name, Reading, SensorId, Time};

use super::{Sayings, replace};
use crate::Batch;

type Sensor = (ApplianceId, SensorId);
/// What tells the readings of one sensor apart.
type ReadingKey = (Time, u32, i64);

/// What sensors sent, and by how much they were off.
#[derive(Debug, Default)]
pub(super) struct Sensors {
    appliances: HashSet<ApplianceId, RandomState>,
    /// By the hour, in order.
    readings: HashMap<(ApplianceId, SensorId, Modality), BTreeMap<i64, Vec<ReadingKey>>, RandomState>,
    frames: HashMap<Sensor, BTreeSet<(Time, Digest)>, RandomState>,
    calibrations: HashMap<Sensor, Sayings<Calibration>>,
}

fn hour(time: Time) -> i64 {
    time.0.div_euclid(Time::HOUR)
}

impl Sensors {
    pub(super) fn reading(&mut self, reading: &Reading, batch: &mut Batch) -> bool {
        let key = (reading.time, reading.sequence, reading.value);
        let hours = self.readings.entry((reading.appliance, reading.sensor, reading.modality)).or_insert_with(|| {
            self.appliances.insert(reading.appliance);
            BTreeMap::new()
        });
        let seen = hours.entry(hour(reading.time)).or_default();
        if seen.len() == seen.capacity() {
            // most doors are quiet most hours
            seen.reserve_exact(1 + seen.len() / 2);
        }
        match seen.last() {
            Some(last) if *last >= key => match seen.binary_search(&key) {
                Ok(_) => return false,
                Err(place) => seen.insert(place, key),
            },
            _ => seen.push(key),
        }
        let calibrations = self.calibrations_of((reading.appliance, reading.sensor));
        batch.readings.push((Calibration::applied(&calibrations, *reading), 1));
        true
    }

    pub(super) fn frame(&mut self, key: FrameKey, batch: &mut Batch) -> bool {
        let sensor = (key.appliance, key.sensor);
        let new = self.frames.entry(sensor).or_default().insert((key.time, key.hash));
        if new {
            self.appliances.insert(key.appliance);
            let skew = skew(&self.calibrations_of(sensor), key.time);
            replace(None, skew.map(|skew| (key, skew)), &mut batch.skews);
        }
        new
    }

    pub(super) fn knows_frame(&self, key: FrameKey) -> bool {
        self.frames.get(&(key.appliance, key.sensor)).is_some_and(|frames| frames.contains(&(key.time, key.hash)))
    }

    pub(super) fn knows_appliance(&self, appliance: ApplianceId) -> bool {
        self.appliances.contains(&appliance)
    }

    /// Whether the sensor ever sent anything.
    pub(super) fn knows(&self, appliance: ApplianceId, sensor: SensorId) -> bool {
        let reads = |modality: &Modality| self.readings.contains_key(&(appliance, sensor, *modality));
        self.frames.contains_key(&(appliance, sensor)) || Modality::ALL.iter().any(reads)
    }

    /// A correction says, or no longer says, that a sensor was off: what it sent in that time is handed on anew.
    pub(super) fn calibrate(
        &mut self,
        sensor: Sensor,
        order: (Time, Name),
        calibration: Calibration,
        holds: bool,
        batch: &mut Batch,
    ) {
        let was = self.calibrations_of(sensor);
        let sayings = self.calibrations.entry(sensor).or_default();
        if holds {
            sayings.insert(order, calibration);
        } else {
            sayings.remove(&order);
        }
        let is = self.calibrations_of(sensor);
        let (appliance, id) = sensor;
        let Calibration { from, until, .. } = calibration;
        for modality in Modality::ALL {
            let Some(hours) = self.readings.get(&(appliance, id, modality)) else { continue };
            let span = hours.range(hour(from)..=hour(until)).flat_map(|(_, readings)| readings);
            for &(time, sequence, value) in span.filter(|(time, ..)| (from..until).contains(time)) {
                let raw = Reading { appliance, sensor: id, modality, time, sequence, value };
                let right = |calibrations: &[Calibration]| Some(Calibration::applied(calibrations, raw));
                replace(right(&was), right(&is), &mut batch.readings);
            }
        }
        let frames = self.frames.get(&sensor).into_iter();
        for &(time, hash) in frames.flat_map(|frames| frames.range((from, Digest(0))..(until, Digest(0)))) {
            let key = FrameKey { appliance, sensor: id, time, hash };
            let row = |calibrations: &[Calibration]| skew(calibrations, time).map(|skew| (key, skew));
            replace(row(&was), row(&is), &mut batch.skews);
        }
    }

    fn calibrations_of(&self, sensor: Sensor) -> Vec<Calibration> {
        self.calibrations.get(&sensor).map(|said| said.values().copied().collect()).unwrap_or_default()
    }
}

/// What to add to the time of a frame; none where nothing is.
fn skew(calibrations: &[Calibration], time: Time) -> Option<i64> {
    let in_force = calibrations.iter().filter(|c| c.from <= time && time < c.until);
    let skew = in_force.fold(0, |sum: i64, c| sum.saturating_add(c.skew));
    (skew != 0).then_some(skew)
}
