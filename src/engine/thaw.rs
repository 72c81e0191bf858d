//! What changes cold history takes it into memory first.

use std::collections::BTreeSet;

use larder_pipelines::Batch;
use larder_records::{ApplianceId, Reading};

use super::{Engine, EngineError, cold, loading::take_known};
use crate::lake::{Part, Whose};

/// After so many appliances that were thawed by themselves, the next is thawed with all others: each reads files of every month.
const SINGLY: usize = 32;

impl Engine {
    /// How many appliances have a history that lies in the lake alone.
    pub fn cold_appliances(&self) -> usize {
        self.cold.len()
    }

    /// Takes the history of these appliances into memory where it is cold.
    pub(super) fn thaw(&mut self, appliances: &BTreeSet<ApplianceId>) -> Result<(), EngineError> {
        let cold = self.cold.forget(appliances);
        let Some(until) = cold.values().map(|thawed| thawed.until).max() else { return Ok(()) };
        self.counts.thawed += cold.len() as u64;
        tracing::info!(appliances = cold.len(), "history is read for what changes it");
        let whose: BTreeSet<ApplianceId> = cold.keys().copied().collect();
        let part = Part { appliances: Whose::Of(&whose), from: None, until: Some(until) };
        let was_cold = |appliance: ApplianceId, time| cold.get(&appliance).is_some_and(|thawed| time < thawed.until);
        for reading in self.lake.read_part::<Reading>(&part, &mut self.names)? {
            if was_cold(reading.appliance, reading.time) {
                self.intake.reading(&reading);
            }
        }
        let held = self.lake.held(&mut self.names)?;
        for frame in self.lake.read_frames_of(&part, &held, &mut self.names)? {
            if was_cold(frame.key.appliance, frame.key.time) {
                take_known(frame, self.eyes.as_ref(), &self.names, &mut self.accepted, &mut self.intake)?;
            }
        }
        self.thawed.append(cold::take_back(cold, &self.lake, &mut self.names)?);
        Ok(())
    }

    /// Takes the history of an appliance into memory where it is cold.
    pub(super) fn thaw_one(&mut self, appliance: ApplianceId) -> Result<(), EngineError> {
        if !self.cold.contains(appliance) {
            return Ok(());
        }
        self.thawed_singly += 1;
        if self.thawed_singly > SINGLY {
            return self.thaw(&self.cold.appliances().collect());
        }
        self.thaw(&BTreeSet::from([appliance]))
    }

    /// Takes in what waits for the history that it changes.
    pub(super) fn take_waiting(&mut self) -> Result<(), EngineError> {
        let waiting = std::mem::take(&mut self.waiting_for_thaw);
        self.thaw(&waiting.iter().filter_map(|(_, entry)| self.cold.touched(entry)).collect())?;
        waiting.into_iter().for_each(|entry| self.take(entry));
        Ok(())
    }

    /// All that changes in this epoch, with the history that it changes.
    pub(super) fn take_batch(&mut self) -> Result<Batch, EngineError> {
        let mut batch = self.intake.take_batch();
        batch.append(std::mem::take(&mut self.thawed));
        loop {
            let touched = self.cold.touched_by(&batch);
            if touched.is_empty() {
                return Ok(batch);
            }
            self.thaw(&touched)?;
            batch.append(self.intake.take_batch());
            batch.append(std::mem::take(&mut self.thawed));
        }
    }
}
