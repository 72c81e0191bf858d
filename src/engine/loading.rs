//! Readings and frames on their way from the lake into the dataflow, a slice at a time: never all of them are held as rows, nor all that
//! views say of them.

use std::collections::BTreeSet;

use larder_pipelines::Intake;
use larder_records::{ApplianceId, FrameKey, FrameResult, Names, Reading, Time};

use super::{EngineError, cold::Plan, seen::Accepted, small::Small, views::ViewChanges, workers::Workers};
use crate::{
    eyes::Eyes,
    lake::{Held, Lake, Part, Whose},
};

/// Rows that are read at a time, where the lake's files allow.
const SLICE: u64 = 500_000;

/// What readings and frames are taken in by.
pub(super) struct Loading<'a> {
    lake: &'a Lake,
    names: &'a mut Names,
    eyes: Option<&'a Eyes>,
    /// Which results hold.
    held: &'a Held,
    loaded: Loaded,
}

/// What was taken in.
pub(super) struct Loaded {
    pub(super) accepted: Accepted,
    /// How many readings and sightings.
    pub(super) rows: u64,
    /// What views say of that, less what tables have of the months that were `subtracted`.
    pub(super) changes: ViewChanges,
    pub(super) subtracted: BTreeSet<String>,
}

impl<'a> Loading<'a> {
    /// Of what `lake` has, where the results hold that `held` tells.
    pub(super) fn new(
        lake: &'a Lake,
        names: &'a mut Names,
        eyes: Option<&'a Eyes>,
        held: &'a Held,
        accepted: Accepted,
    ) -> Self {
        let loaded = Loaded { accepted, rows: 0, changes: ViewChanges::default(), subtracted: BTreeSet::new() };
        Self { lake, names, eyes, held, loaded }
    }

    /// Takes in all that is to be in memory, and settles what is cold.
    ///
    /// # Errors
    /// [`EngineError`] where a table cannot be read, other eyes saw a frame, or a worker ended early.
    pub(super) fn all(
        mut self,
        plan: &mut Plan,
        small: &Small,
        intake: &mut Intake,
        workers: &mut Workers,
    ) -> Result<Loaded, EngineError> {
        let mut keys = Vec::new();
        for slices in &self.lake.slices(SLICE, plan.from())? {
            let wants = |appliance, time| plan.wants(appliance, time);
            if let Some(part) = slices.whole(Whose::All, plan.from()) {
                self.take_readings(&part, wants, intake, workers)?;
            }
            for part in slices.parts(plan.from()) {
                self.take_frames(&part, wants, &mut keys, intake)?;
                workers.send(intake.take_batch())?;
                if plan.from().is_none() {
                    keys.clear();
                }
            }
            if let (None, Some(month)) = (plan.from(), &slices.month) {
                // what views say of a month, and tables have too, need not be kept until all months are there
                let Loaded { changes, subtracted, rows, .. } = &mut self.loaded;
                changes.merge(workers.finish_epochs()?);
                changes.subtract_month(self.lake, self.names, month)?;
                subtracted.insert(month.clone());
                tracing::debug!(month, rows, differing = changes.len(), "loaded");
            }
        }
        plan.settle(&keys, self.lake, small, self.names)?;
        let others = plan.others();
        if !others.is_empty() {
            let wants = |appliance, time| !plan.wants(appliance, time);
            for slices in &self.lake.slices(SLICE, None)? {
                if let Some(part) = slices.whole(Whose::Of(&others), None) {
                    self.take_readings(&part, wants, intake, workers)?;
                }
                for part in slices.parts(None) {
                    let appliances = part.appliances.among(&others, self.names);
                    if !appliances.is_empty() {
                        let part = Part { appliances: Whose::Of(&appliances), ..part };
                        self.take_frames(&part, wants, &mut Vec::new(), intake)?;
                        workers.send(intake.take_batch())?;
                    }
                }
            }
        }
        self.loaded.changes.merge(workers.finish_epochs()?);
        Ok(self.loaded)
    }

    /// Takes in the wanted readings of `part`, and sends them on.
    fn take_readings(
        &mut self,
        part: &Part<'_>,
        wants: impl Fn(ApplianceId, Time) -> bool,
        intake: &mut Intake,
        workers: &mut Workers,
    ) -> Result<(), EngineError> {
        let rows = &mut self.loaded.rows;
        self.lake.read_in_turn(part, SLICE, self.names, |readings: Vec<Reading>| {
            for reading in readings.iter().filter(|reading| wants(reading.appliance, reading.time)) {
                *rows += 1;
                intake.reading(reading);
            }
            workers.send(intake.take_batch())?;
            Ok(())
        })
    }

    /// Takes in the wanted frames of `part`, and adds their keys to `keys`.
    fn take_frames(
        &mut self,
        part: &Part<'_>,
        wants: impl Fn(ApplianceId, Time) -> bool,
        keys: &mut Vec<FrameKey>,
        intake: &mut Intake,
    ) -> Result<(), EngineError> {
        for frame in self.lake.read_frames_of(part, self.held, self.names)? {
            if wants(frame.key.appliance, frame.key.time) {
                keys.push(frame.key);
                self.loaded.rows += frame.sightings.len() as u64;
                take_known(frame, self.eyes, self.names, &mut self.loaded.accepted, intake)?;
            }
        }
        Ok(())
    }
}

/// Takes in a frame that the lake knows.
///
/// # Errors
/// [`EngineError::OtherVision`] where other eyes than these saw it.
pub(super) fn take_known(
    frame: FrameResult,
    eyes: Option<&Eyes>,
    names: &Names,
    accepted: &mut Accepted,
    intake: &mut Intake,
) -> Result<(), EngineError> {
    let now = eyes.map_or(frame.fingerprint, |eyes| eyes.fingerprint(frame.key.appliance));
    if now != frame.fingerprint {
        let sensor = format!("{}/{}", names.text(frame.key.appliance.0), names.text(frame.key.sensor.0));
        return Err(EngineError::OtherVision { sensor, held: frame.fingerprint, now });
    }
    accepted.learn(frame.key, frame.fingerprint);
    intake.frame(frame.key);
    intake.seen(frame.without_embeddings());
    Ok(())
}
