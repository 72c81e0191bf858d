//! Another vision's results in the place of those that hold.
//!
//! What the new vision sees is remembered beside the old as it comes. An appliance's day is swapped when all its frames have
//! been seen: one commit of [`VisionDay`], before which all of the day's old results hold, and behind which all of the new.
//! A process that dies in between has lost at most what it saw since the last commit: the next run goes on from what is
//! remembered.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use larder_records::{
    ApplianceId, DeadLetter, Digest, Frame, FrameKey, FrameResult, Names, Payload, Position, views::Day,
};

use super::{Engine, EngineError};
use crate::{
    eyes::{Eyes, see_all},
    feeds::{Event, Feed},
    lake::{KnownVision, Lake, LakeError, VisionDay, day_of},
};

/// The vision whose results are to hold.
#[derive(Debug)]
pub enum NewVision {
    /// One that sees.
    Eyes(Box<Eyes>),
    /// One that saw before: its name, and its fingerprint by appliance.
    Remembered(Digest, HashMap<ApplianceId, Digest>),
}

impl NewVision {
    /// The vision of that name that `lake` knows; none where it knows none.
    ///
    /// # Errors
    /// [`LakeError`] where the lake cannot be read.
    pub fn remembered(lake: &Lake, names: &mut Names, name: Digest) -> Result<Option<Self>, LakeError> {
        let mut known = lake.read::<KnownVision>(names)?;
        known.retain(|known| known.vision == name);
        let fingerprints: HashMap<_, _> = known.iter().map(|known| (known.appliance, known.fingerprint)).collect();
        Ok((!fingerprints.is_empty()).then_some(Self::Remembered(name, fingerprints)))
    }

    /// What it is called.
    pub fn name(&self) -> Digest {
        match self {
            Self::Eyes(eyes) => eyes.name(),
            Self::Remembered(name, _) => *name,
        }
    }

    /// By what its results for an appliance are known; none where it never saw that appliance.
    fn fingerprint(&self, appliance: ApplianceId) -> Option<Digest> {
        match self {
            Self::Eyes(eyes) => Some(eyes.fingerprint(appliance)),
            Self::Remembered(_, fingerprints) => fingerprints.get(&appliance).copied(),
        }
    }

    fn eyes(&self) -> Option<&Eyes> {
        match self {
            Self::Eyes(eyes) => Some(eyes),
            Self::Remembered(..) => None,
        }
    }
}

/// A day of an appliance that is to be swapped.
#[derive(Debug)]
struct Todo {
    /// The vision that holds.
    old: Digest,
    new: Digest,
    /// Frames that the new vision has not seen.
    unseen: BTreeSet<FrameKey>,
    /// Frames that it is to look at next.
    under_way: usize,
    /// What it saw in this run, without embeddings.
    seen: BTreeMap<FrameKey, FrameResult>,
}

impl Todo {
    fn is_ready(&self) -> bool {
        self.unseen.is_empty() && self.under_way == 0
    }
}

/// What is to be done until a vision holds everywhere.
#[derive(Debug)]
pub struct Plan {
    days: BTreeMap<(ApplianceId, Day), Todo>,
    to_see: u64,
    remembered: u64,
}

impl Plan {
    /// What there is to do in `lake` for `new` to hold.
    ///
    /// # Errors
    /// [`LakeError`] where the lake cannot be read.
    pub fn of(lake: &Lake, names: &mut Names, new: &NewVision) -> Result<Self, LakeError> {
        let held = lake.held(names)?;
        let seen: BTreeSet<(FrameKey, Digest)> = lake.read_seen(names)?.into_iter().collect();
        let mut plan = Self { days: BTreeMap::new(), to_see: 0, remembered: 0 };
        for (frame, old) in seen.iter().copied().filter(|(frame, old)| held.holds(*frame, *old)) {
            let Some(fingerprint) = new.fingerprint(frame.appliance).filter(|new| *new != old) else { continue };
            let todo = plan.days.entry((frame.appliance, day_of(frame.time))).or_insert_with(|| Todo {
                old,
                new: fingerprint,
                unseen: BTreeSet::new(),
                under_way: 0,
                seen: BTreeMap::new(),
            });
            if seen.contains(&(frame, fingerprint)) {
                plan.remembered += 1;
            } else {
                plan.to_see += 1;
                todo.unseen.insert(frame);
            }
        }
        Ok(plan)
    }

    /// Days of appliances that are to be swapped.
    pub fn days(&self) -> u64 {
        self.days.len() as u64
    }

    /// Frames that the new vision has not seen.
    pub fn to_see(&self) -> u64 {
        self.to_see
    }

    /// Frames that it has seen before.
    pub fn remembered(&self) -> u64 {
        self.remembered
    }

    /// The appliances that there is something to do for.
    pub fn appliances(&self) -> BTreeSet<ApplianceId> {
        self.days.keys().map(|(appliance, _)| *appliance).collect()
    }
}

/// What is told while a revision goes on.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Frames seen so far.
    pub seen: u64,
    /// Days swapped so far.
    pub days: u64,
}

/// What a revision did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Revised {
    /// Frames that the new vision looked at.
    pub frames: u64,
    /// Sightings in them.
    pub sightings: u64,
    /// Frames that it could not see: dead letters.
    pub refused: u64,
    /// Frames whose result was remembered.
    pub remembered: u64,
    /// Days of appliances in which the new results hold now, and did not before.
    pub days: u64,
    /// Days in which the old ones still hold.
    pub days_left: u64,
    /// Frames of those that were in no recording.
    pub frames_left: u64,
    /// Changes of the views, before those that cancel out are dropped.
    pub view_changes: u64,
}

/// Frames that vision looks at together.
const TOGETHER: usize = 64;
/// Results that wait at most before they are written.
const UNWRITTEN: usize = 2_000;

/// Lets `new` see the frames of `feed` that `plan` wants seen, remembers the results, and, with `swap`, lets those of each
/// appliance's day hold as soon as they are all there. Frames that the lake does not know are passed over.
///
/// # Errors
/// [`EngineError`] where the feed, a worker or the lake fails. What was committed before holds.
pub fn revise(
    engine: &mut Engine,
    new: &NewVision,
    plan: Plan,
    feed: &mut dyn Feed,
    swap: bool,
    mut tell: impl FnMut(Look),
) -> Result<Revised, EngineError> {
    // views that a crash left behind are no work of the new vision
    engine.commit()?;
    let changes_before = engine.counts.view_changes;
    let mut revision = Revision {
        revised: Revised { remembered: plan.remembered, ..Revised::default() },
        days: plan.days,
        new,
        swap,
        waiting: Vec::new(),
    };
    revision.say_what_holds(engine)?;
    revision.swap_ready(engine, &mut tell)?;
    while let Some((position, entry)) = feed.next_entry(&mut engine.names)? {
        if let Ok(Event::Frame(frame)) = entry
            && revision.wants(&frame)
        {
            revision.waiting.push((position, frame));
            if revision.waiting.len() == TOGETHER {
                revision.look(engine, &mut tell)?;
            }
        }
    }
    revision.look(engine, &mut tell)?;
    engine.commit()?;
    let mut revised = revision.revised;
    revised.days_left = revision.days.len() as u64;
    revised.frames_left = revision.days.values().map(|todo| todo.unseen.len() as u64).sum();
    revised.view_changes = engine.counts.view_changes - changes_before;
    Ok(revised)
}

/// A revision under way.
struct Revision<'a> {
    days: BTreeMap<(ApplianceId, Day), Todo>,
    new: &'a NewVision,
    swap: bool,
    waiting: Vec<(Position, Frame)>,
    revised: Revised,
}

impl Revision<'_> {
    /// Writes down which results hold, before there are others beside them.
    fn say_what_holds(&self, engine: &mut Engine) -> Result<(), EngineError> {
        let held = engine.lake.held(&mut engine.names)?;
        for (&(appliance, day), todo) in &self.days {
            if held.get(appliance, day).is_none() {
                engine.uncommitted.vision_days.push((VisionDay { appliance, day, fingerprint: todo.old }, 1));
            }
        }
        engine.commit()
    }

    /// Whether the new vision is to look at this frame; asked again, it is not.
    fn wants(&mut self, frame: &Frame) -> bool {
        let Payload::Image(image) = &frame.payload else { return false };
        let Frame { appliance, sensor, time, .. } = *frame;
        let Some(todo) = self.days.get_mut(&(appliance, day_of(time))) else { return false };
        let key = FrameKey { appliance, sensor, time, hash: Digest::of(&image.data) };
        let wanted = todo.unseen.remove(&key);
        todo.under_way += usize::from(wanted);
        wanted
    }

    /// Looks at the frames that wait.
    fn look(&mut self, engine: &mut Engine, tell: &mut impl FnMut(Look)) -> Result<(), EngineError> {
        let waiting = std::mem::take(&mut self.waiting);
        let seen = see_all(self.new.eyes(), &waiting);
        for ((position, frame), seen) in waiting.into_iter().zip(seen) {
            let Some(todo) = self.days.get_mut(&(frame.appliance, day_of(frame.time))) else { continue };
            todo.under_way -= 1;
            self.revised.frames += 1;
            match seen {
                Ok(result) => {
                    self.revised.sightings += result.sightings.len() as u64;
                    todo.seen.insert(result.key, result.without_embeddings());
                    engine.remember(result, Some(self.new.name()));
                }
                Err((reason, detail)) => {
                    self.revised.refused += 1;
                    engine.take_dead_letter(DeadLetter { position, reason, detail });
                }
            }
        }
        self.swap_ready(engine, tell)?;
        if engine.uncommitted.frames.len() >= UNWRITTEN {
            engine.commit()?;
        }
        tell(Look { seen: self.revised.frames, days: self.revised.days });
        Ok(())
    }

    /// Lets the new results hold on each day that has them all.
    fn swap_ready(&mut self, engine: &mut Engine, tell: &mut impl FnMut(Look)) -> Result<(), EngineError> {
        if !self.swap {
            return Ok(());
        }
        let ready: Vec<_> = self.days.iter().filter(|(_, todo)| todo.is_ready()).map(|(day, _)| *day).collect();
        for (appliance, day) in ready {
            let Some(todo) = self.days.remove(&(appliance, day)) else { continue };
            engine.swap(VisionDay { appliance, day, fingerprint: todo.old }, todo.new, todo.seen)?;
            engine.commit()?;
            self.revised.days += 1;
            tell(Look { seen: self.revised.frames, days: self.revised.days });
        }
        Ok(())
    }
}

impl Engine {
    /// Lets the results of the vision `new` hold in the place of those that hold on a day: those `seen`, and those that the lake
    /// remembers.
    fn swap(
        &mut self,
        old: VisionDay,
        new: Digest,
        mut seen: BTreeMap<FrameKey, FrameResult>,
    ) -> Result<(), EngineError> {
        for result in self.lake.results_of(old.appliance, old.day, &mut self.names)? {
            let bare = result.without_embeddings();
            if result.fingerprint == new {
                seen.entry(result.key).or_insert(bare);
            } else if result.fingerprint == old.fingerprint {
                self.intake.unseen(bare);
            }
        }
        for result in seen.into_values() {
            self.intake.frame(result.key);
            self.intake.seen(result);
        }
        self.uncommitted.vision_days.extend([(old, -1), (VisionDay { fingerprint: new, ..old }, 1)]);
        Ok(())
    }
}
