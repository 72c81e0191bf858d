//! Drives the dataflow: events in, lake out.
//!
//! [`Engine::take`] gathers events; [`Engine::close_epoch`] runs vision over the new images and sends one epoch to the
//! workers; [`Engine::commit`] waits for them and writes what came in, then what came out of it. Inputs are committed
//! before views, so that a crash between the two leaves views that are behind, never ahead: opening the lake again
//! computes them from the inputs and writes the difference. When all is written, the table `epochs` says so.

mod arranged;
mod behind;
mod cluster;
mod cold;
mod commits;
mod compare;
mod live;
mod loading;
mod opening;
mod replay;
mod revise;
mod seen;
mod small;
mod thaw;
mod views;
mod workers;

use std::collections::{BTreeMap, HashSet};

use larder_pipelines::{Batch, Intake, Refusal, Replaced};
use larder_records::{
    Appliance, Correction, DeadLetter, DeadReason, DeclaredMovement, Digest, Frame, FrameKey, FrameResult, IdCollision,
    Names, Payload, Position, Product, Reading,
};

pub use cluster::Cluster;
pub use cold::History;
pub use compare::{CompareError, Compared, ObjectDifference, Side, Taken, compare};
pub use live::{Rhythm, Watcher, run_live};
pub use opening::Opening;
pub use replay::{Plan, Progress, Shuffle, replay};
pub use revise::{Look, NewVision, Plan as RevisionPlan, Revised, revise};
pub use views::{RowInWords, ViewChanges, ViewDifference};
pub use workers::{BROKEN, DataflowError, assist};

use crate::{
    catalogue::Catalogue,
    eyes::{Eyes, see_all},
    feeds::{Entry, Event, FeedError, Truth, kafka::KafkaError},
    lake::{KnownVision, Lake, LakeError, VisionDay},
};
use cold::Cold;
use commits::Commits;
use seen::Accepted;
use workers::Workers;

/// Why the engine cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The workers failed.
    #[error(transparent)]
    Dataflow(#[from] DataflowError),
    /// A feed cannot go on.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// Two names share an id.
    #[error(transparent)]
    Collision(#[from] IdCollision),
    /// A correction was refused that a person made.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The lake was filled by another vision.
    #[error(
        "the lake holds sightings of {sensor} made by vision {held}, but this run's is {now}: the models, parameters, \
         scene or reference pictures differ; let it see the recordings first (larder revise), or replay into a new lake"
    )]
    OtherVision {
        /// Whose sightings.
        sensor: String,
        /// The fingerprint of those in the lake.
        held: larder_records::Digest,
        /// The fingerprint of this run's.
        now: larder_records::Digest,
    },
}

impl From<KafkaError> for EngineError {
    fn from(error: KafkaError) -> Self {
        Self::Feed(error.into())
    }
}

/// What was taken in so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Events of every kind, duplicates included.
    pub events: u64,
    /// Events that were taken in before.
    pub duplicates: u64,
    /// New readings.
    pub readings: u64,
    /// New image frames, each seen by vision once.
    pub frames: u64,
    /// Sightings in them.
    pub sightings: u64,
    /// New declared movements.
    pub declared: u64,
    /// New corrections.
    pub corrections: u64,
    /// New records that could not be taken in.
    pub dead_letters: u64,
    /// Times that an appliance's cold history was taken into memory.
    pub thawed: u64,
    /// Changes of the views, before those that cancel out are dropped.
    pub view_changes: u64,
    /// Commits of the whole lake.
    pub commits: u64,
}

/// What came in since the last commit.
#[derive(Debug, Default, PartialEq)]
struct Uncommitted {
    readings: Vec<Reading>,
    frames: Vec<FrameResult>,
    visions: Vec<KnownVision>,
    vision_days: Vec<(VisionDay, isize)>,
    declared: Vec<DeclaredMovement>,
    corrections: Vec<Correction>,
    dead_letters: Vec<DeadLetter>,
    products: Vec<(Product, isize)>,
    appliances: Vec<(Appliance, isize)>,
}

impl Uncommitted {
    fn is_empty(&self) -> bool {
        let Self { readings, frames, visions, vision_days, declared, corrections, dead_letters, products, appliances } =
            self;
        let events = readings.is_empty() && declared.is_empty() && corrections.is_empty() && dead_letters.is_empty();
        let seen = frames.is_empty() && visions.is_empty() && vision_days.is_empty();
        events && seen && products.is_empty() && appliances.is_empty()
    }
}

/// The dataflow over one lake.
pub struct Engine {
    lake: Lake,
    names: Names,
    /// None where only what was seen before is of concern.
    eyes: Option<Eyes>,
    intake: Intake,
    /// The dead letters taken in before.
    dead_letters: HashSet<DeadLetter>,
    /// Whose sightings are taken in from elsewhere.
    accepted: Accepted,
    /// The visions that the lake knows by name.
    visions: HashSet<KnownVision>,
    workers: Workers,
    /// The lake's epoch of the workers' epoch 0.
    first_epoch: u64,
    /// The newest epoch that was committed.
    committed: Option<u64>,
    images: Vec<(Position, Frame)>,
    history: History,
    cold: Cold,
    /// Readings and sightings in memory when it was opened, and those taken in by then.
    held: (u64, u64),
    /// Product records that outrank others.
    catalogue: Vec<Product>,
    /// How often an appliance was thawed by itself.
    thawed_singly: usize,
    /// Events that change history which is not in memory yet.
    waiting_for_thaw: Vec<Entry>,
    /// What stood in for history that is in memory now.
    thawed: Batch,
    uncommitted: Uncommitted,
    /// Changes not committed yet, beside those that the workers still hold.
    changes: ViewChanges,
    counts: Counts,
}

impl Engine {
    /// The names that feeds intern into.
    pub fn names(&mut self) -> &mut Names {
        &mut self.names
    }

    /// How many updates the arrangements of the dataflow hold, by name, over all workers.
    pub fn arranged(&self) -> BTreeMap<String, u64> {
        self.workers.arranged()
    }

    /// The vision that new pictures are seen by, where there is one.
    pub fn vision(&self) -> Option<Digest> {
        self.eyes.as_ref().map(Eyes::name)
    }

    /// What it runs on ([`Eyes::backend`]).
    pub fn vision_backend(&self) -> Option<String> {
        self.eyes.as_ref().map(Eyes::backend)
    }

    /// Takes in the product records of `catalogue`, which outrank those in feeds and in the lake.
    ///
    /// # Errors
    /// [`EngineError::Collision`] where two names share an id.
    pub fn take_catalogue(&mut self, catalogue: &Catalogue) -> Result<(), EngineError> {
        for entry in catalogue.products() {
            let product = entry.product(&mut self.names)?;
            self.take_outranking(product);
        }
        Ok(())
    }

    fn take_outranking(&mut self, product: Product) {
        let replaced = self.intake.put_catalogue(&product);
        self.catalogue.push(product.clone());
        replace(replaced, product, &mut self.uncommitted.products);
    }

    /// What was taken in so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes in one entry of a feed. What was taken in before changes nothing.
    pub fn take(&mut self, (position, entry): Entry) {
        if self.cold.touched(&entry).is_some() {
            self.waiting_for_thaw.push((position, entry));
            return;
        }
        self.counts.events += 1;
        let new = match entry {
            Ok(Event::Frame(frame)) => self.take_frame(position, frame),
            Ok(Event::Seen(result, vision)) => self.take_seen(position, result, vision),
            Ok(Event::Refused(letter)) => self.take_dead_letter(letter),
            Ok(Event::Declared(movement)) => {
                let new = self.intake.declared(&movement);
                if new {
                    self.counts.declared += 1;
                    self.uncommitted.declared.push(movement);
                }
                new
            }
            Ok(Event::Product(product)) => self.take_product(product),
            Ok(Event::Appliance(appliance)) => {
                let replaced = self.intake.appliance(&appliance);
                replace(replaced, appliance, &mut self.uncommitted.appliances)
            }
            Ok(Event::Correction(correction)) => self.take_correction(position, correction),
            Ok(Event::Truth(Truth { .. })) => true,
            Err(letter) => self.take_dead_letter(letter),
        };
        self.counts.duplicates += u64::from(!new);
    }

    /// Takes in a correction from a feed, which may know of things that are still to come.
    fn take_correction(&mut self, position: Position, correction: Correction) -> bool {
        match self.intake.correction(&correction) {
            Ok(new) => {
                if new {
                    self.counts.corrections += 1;
                    self.uncommitted.corrections.push(correction);
                }
                new
            }
            Err(bad) => {
                self.take_dead_letter(DeadLetter { position, reason: DeadReason::BadValue, detail: bad.to_string() })
            }
        }
    }

    fn take_product(&mut self, product: Product) -> bool {
        let replaced = self.intake.product(&product);
        replace(replaced, product, &mut self.uncommitted.products)
    }

    fn take_frame(&mut self, position: Position, frame: Frame) -> bool {
        let Frame { appliance, sensor, modality, time, sequence, .. } = frame;
        match &frame.payload {
            Payload::Reading(value) => {
                let reading = Reading { appliance, sensor, modality, time, sequence, value: *value };
                let new = self.intake.reading(&reading);
                if new {
                    self.counts.readings += 1;
                    self.uncommitted.readings.push(reading);
                }
                new
            }
            Payload::Image(image) => {
                let key = FrameKey { appliance, sensor, time, hash: Digest::of(&image.data) };
                let new = self.intake.frame(key);
                if new {
                    self.images.push((position, frame));
                }
                new
            }
        }
    }

    /// Takes in what a vision saw elsewhere. Which vision holds for an appliance is one matter, and that of a message another.
    fn take_seen(&mut self, position: Position, result: FrameResult, vision: Digest) -> bool {
        let (key, said) = (result.key, result.fingerprint);
        let holds = match &self.eyes {
            Some(eyes) => eyes.fingerprint(key.appliance),
            None => self.accepted.learn(key, said),
        };
        if holds != said {
            let sensor = format!("{}/{}", self.names.text(key.appliance.0), self.names.text(key.sensor.0));
            let detail = format!("what vision {said} saw of {sensor}, where that of {holds} holds");
            return self.take_dead_letter(DeadLetter { position, reason: DeadReason::OtherVision, detail });
        }
        let new = self.intake.frame(key);
        if new {
            self.saw(result, Some(vision));
        }
        new
    }

    /// Takes in what was seen in a new frame.
    fn saw(&mut self, result: FrameResult, vision: Option<Digest>) {
        self.counts.frames += 1;
        self.counts.sightings += result.sightings.len() as u64;
        self.intake.seen(result.without_embeddings());
        self.remember(result, vision);
    }

    fn take_dead_letter(&mut self, letter: DeadLetter) -> bool {
        let new = self.dead_letters.insert(letter.clone());
        if new {
            self.counts.dead_letters += 1;
            tracing::warn!("{letter}");
            self.uncommitted.dead_letters.push(letter);
        }
        new
    }

    /// How many new events wait for [`Engine::close_epoch`].
    pub fn waiting(&self) -> usize {
        self.intake.waiting() + self.images.len() + self.waiting_for_thaw.len()
    }

    /// Runs vision over the images taken in, on every core, and sends all that was taken in to the workers as one epoch.
    ///
    /// # Errors
    /// [`EngineError::Dataflow`] where a worker ended early.
    pub fn close_epoch(&mut self) -> Result<(), EngineError> {
        self.take_waiting()?;
        let images = std::mem::take(&mut self.images);
        let vision = self.eyes.as_ref().map(Eyes::name);
        let seen = see_all(self.eyes.as_ref(), &images);
        for ((position, _), seen) in images.into_iter().zip(seen) {
            match seen {
                Ok(result) => self.saw(result, vision),
                Err((reason, detail)) => {
                    self.take_dead_letter(DeadLetter { position, reason, detail });
                }
            }
        }
        let batch = self.take_batch()?;
        if !batch.is_empty() {
            self.workers.send(batch)?;
        }
        Ok(())
    }

    /// Keeps what the vision of that name saw, to be written with the next commit.
    fn remember(&mut self, result: FrameResult, vision: Option<Digest>) {
        if let Some(vision) = vision {
            let (appliance, fingerprint) = (result.key.appliance, result.fingerprint);
            let known = KnownVision { vision, appliance, fingerprint };
            if self.visions.insert(known) {
                self.uncommitted.visions.push(known);
            }
        }
        self.uncommitted.frames.push(result);
    }

    /// Why a person cannot make this correction now; none where they can.
    ///
    /// # Errors
    /// [`EngineError`] where the history that it speaks of cannot be read.
    pub fn refusal(&mut self, correction: &Correction) -> Result<Option<Refusal>, EngineError> {
        if let Some(appliance) = correction.change.appliance() {
            self.thaw_one(appliance)?;
        }
        Ok(self.intake.refusal(correction))
    }

    /// Takes in a correction that a person makes, who knows what is there: one that could not hold, or speaks of what is not
    /// there, is refused and changes nothing. Takes effect with the next epoch.
    ///
    /// # Errors
    /// [`EngineError::Refused`], which says why; and as [`Engine::refusal`].
    pub fn correct(&mut self, correction: Correction) -> Result<(), EngineError> {
        if let Some(refusal) = self.refusal(&correction)? {
            return Err(refusal.into());
        }
        if self.intake.correction(&correction).map_err(Refusal::from)? {
            self.counts.corrections += 1;
            self.uncommitted.corrections.push(correction);
        }
        Ok(())
    }

    /// Closes the epoch, waits for the workers, and tells what changes since the last commit.
    ///
    /// # Errors
    /// [`EngineError::Dataflow`] where a worker ended early.
    pub fn changes(&mut self) -> Result<&ViewChanges, EngineError> {
        self.close_epoch()?;
        let done = self.workers.finish_epochs()?;
        self.changes.merge(done);
        self.changes.consolidate();
        Ok(&self.changes)
    }

    /// The lake as of the last commit.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The dead letters since the last commit. Those of pictures come with [`Engine::close_epoch`].
    pub fn new_dead_letters(&self) -> &[DeadLetter] {
        &self.uncommitted.dead_letters
    }

    /// The lake's epoch of what was sent last.
    fn epoch(&self) -> u64 {
        self.first_epoch + self.workers.next_epoch() - 1
    }

    /// Waits for the workers and writes everything since the last commit: first what came in, then the views, then that all
    /// tables show the epoch.
    ///
    /// # Errors
    /// [`EngineError`] where a worker ended early or the lake cannot be written.
    pub fn commit(&mut self) -> Result<(), EngineError> {
        self.commit_covering(&[])
    }

    /// [`Engine::commit`], which also says how far feeds were taken in: all before these positions. That is written last of what came in: a process that
    /// dies before reads what is missing again, and what is not, changes nothing.
    ///
    /// # Errors
    /// As [`Engine::commit`].
    pub fn commit_covering(&mut self, covered: &[Position]) -> Result<(), EngineError> {
        self.close_epoch()?;
        let mut changes = std::mem::take(&mut self.changes);
        changes.merge(self.workers.finish_epochs()?);
        let anything = !covered.is_empty() || !self.uncommitted.is_empty();
        if anything && self.committed == Some(self.epoch()) {
            // what changes no view, such as a dead letter, has an epoch of its own too: no table takes one twice
            self.workers.send(Batch::default())?;
            changes.merge(self.workers.finish_epochs()?);
        }
        let epoch = self.epoch();
        self.committed = Some(epoch);
        let Uncommitted {
            readings,
            frames,
            visions,
            vision_days,
            declared,
            corrections,
            dead_letters,
            products,
            appliances,
        } = std::mem::take(&mut self.uncommitted);
        let (lake, names) = (&self.lake, &self.names);
        let mut inputs = Commits::default();
        inputs.add(declared.len(), || lake.append(names, epoch, &declared))?;
        inputs.add(corrections.len(), || lake.append(names, epoch, &corrections))?;
        inputs.add(dead_letters.len(), || lake.append(names, epoch, &dead_letters))?;
        inputs.add(products.len(), || lake.apply(names, epoch, products))?;
        inputs.add(appliances.len(), || lake.apply(names, epoch, appliances))?;
        // which vision holds on a day is said when its results are there
        inputs.add(visions.len() + frames.len() + vision_days.len(), || {
            lake.append(names, epoch, &visions)?;
            lake.append_frames(names, epoch, &frames)?;
            lake.apply(names, epoch, vision_days)
        })?;
        inputs.at_once()?;
        lake.append_covering(names, epoch, &readings, covered)?;
        self.counts.view_changes += changes.len() as u64;
        changes.commit(lake, names, epoch)?;
        lake.show(epoch)?;
        self.counts.commits += 1;
        Ok(())
    }
}

/// Passes on what a record that replaces others did; whether it did anything.
fn replace<R>(replaced: Replaced<R>, row: R, uncommitted: &mut Vec<(R, isize)>) -> bool {
    let Replaced::Yes(old) = replaced else { return false };
    uncommitted.extend(old.map(|old| (old, -1)));
    uncommitted.push((row, 1));
    true
}
