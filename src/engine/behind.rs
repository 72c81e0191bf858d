//! A lake whose views are behind what came in, or some of them: a process that died left it so.
//!
//! Its tables as of the newest epoch that all of them showed can stand in for history nevertheless, where nothing that came since
//! touches it.

use std::collections::{BTreeSet, HashSet};

use larder_pipelines::{Batch, Intake};
use larder_records::{ApplianceId, Name, Names, Time};

use super::small::Small;
use crate::lake::{Came, Lake, LakeError};

/// What the lake was, and what came since.
pub(super) struct Behind {
    /// As all its tables last showed one epoch.
    pub(super) lake: Lake,
    came: Came,
    /// The appliances that corrections name which came since.
    named: BTreeSet<ApplianceId>,
    /// What small inputs say now less what they said then.
    pub(super) batch: Batch,
}

impl Behind {
    /// Of `lake`, whose `small` inputs are these and make that `batch`. None where it cannot be told what it was.
    pub(super) fn of(lake: &Lake, small: &Small, batch: &Batch, names: &mut Names) -> Result<Option<Self>, LakeError> {
        let Some(shown) = lake.as_last_shown()? else { return Ok(None) };
        let Some(came) = lake.came_since(&shown, names)? else { return Ok(None) };
        let before = Small::read(&shown, names)?;
        let mut since = batch.clone();
        since.subtract(before.take(&mut Intake::default()));
        let known: HashSet<Name> = before.corrections.iter().map(|correction| correction.id).collect();
        let new = small.corrections.iter().filter(|correction| !known.contains(&correction.id));
        let named = new.filter_map(|correction| correction.change.appliance()).collect();
        Ok(Some(Self { lake: shown, came, named, batch: since }))
    }

    /// Whether what came since changes, or may change, what is said of an appliance before `guard`; what follows from
    /// [`Behind::batch`] aside.
    pub(super) fn touches(&self, appliance: ApplianceId, guard: Time) -> bool {
        let Self { came, named, .. } = self;
        named.contains(&appliance)
            || came.other_vision.contains(&appliance)
            || came.earliest.get(&appliance).is_some_and(|earliest| *earliest < guard)
    }
}
