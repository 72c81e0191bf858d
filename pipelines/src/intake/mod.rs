//! What is known so far, and what follows from it for the views: inputs are sets, however often and in whatever order their
//! rows are delivered, and corrections say what they should have been.
//!
//! [`Intake`] turns events into the changes of the dataflow's inputs ([`Batch`]). What it hands on is a function of the set of
//! events alone, and the cost of one event follows what it changes.

mod records;
mod sensors;
mod stand_ins;
mod standing;

use std::collections::{BTreeMap, HashMap, HashSet};

use larder_records::{
    Appliance, ApplianceFields, ApplianceId, BadCorrection, Change, Correction, DeclaredMovement, FrameKey,
    FrameResult, MovementKey, Name, Product, ProductFields, ProductId, Reading, Time,
};

use crate::{
    Batch,
    corrected::{Counted, Told, Verdict},
};
use records::Records;
pub use records::Replaced;
use sensors::Sensors;
use stand_ins::StandIns;
use standing::Standing;

/// Why a correction is refused that a person makes, who knows what is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It contradicts itself.
    #[error(transparent)]
    Bad(#[from] BadCorrection),
    /// Its id is another's.
    #[error("its id is that of another correction")]
    IdTaken,
    /// There is no such frame.
    #[error("there is no such frame")]
    UnknownFrame,
    /// There is no such appliance.
    #[error("there is no such appliance")]
    UnknownAppliance,
    /// There is no such sensor.
    #[error("there are no readings or frames of such a sensor")]
    UnknownSensor,
    /// There is no such product.
    #[error("there is no such product: {0:?}")]
    UnknownProduct(ProductId),
    /// There is no such correction.
    #[error("there is no such correction")]
    UnknownCorrection,
    /// It is of an undo.
    #[error("that is no change but an undo or a restore: undo or restore the change itself")]
    OfAnUndo,
    /// What it says holds already.
    #[error("that correction is {0} already")]
    Already(&'static str),
    /// It closes a circle of merged products.
    #[error("it closes a circle: {0:?} is merged into this product already")]
    Circle(ProductId),
    /// The product was removed, or merged into another.
    #[error("that product is no more: it was merged into another, or removed")]
    Gone(ProductId),
}

/// The latest of what several corrections say of one thing.
type Sayings<S> = BTreeMap<(Time, Name), S>;

/// The events taken in so far, and the changes that follow from them.
#[derive(Debug, Default)]
pub struct Intake {
    sensors: Sensors,
    declared: HashSet<DeclaredMovement>,
    products: Records<ProductId, Product, ProductFields>,
    appliances: Records<ApplianceId, Appliance, ApplianceFields>,
    stand_ins: StandIns,
    standing: Standing,
    verdicts: HashMap<MovementKey, Sayings<bool>>,
    counts: HashMap<(ApplianceId, ProductId, Time), Sayings<i64>>,
    /// The corrections that hold for a product, by that product as they name it. What a correction changes is applied step by step, so
    /// these are what was applied: [`Standing`] may be some steps ahead.
    by_product: HashMap<ProductId, BTreeMap<Name, Correction>>,
    batch: Batch,
}

impl Intake {
    /// Takes in a reading; whether it is new. Costs 24 bytes a reading kept, and constant time where readings come nearly in
    /// order.
    pub fn reading(&mut self, reading: &Reading) -> bool {
        self.sensors.reading(reading, &mut self.batch)
    }

    /// Takes in that there is a frame; whether it is new. What is seen in it comes with [`Intake::seen`].
    pub fn frame(&mut self, key: FrameKey) -> bool {
        self.sensors.frame(key, &mut self.batch)
    }

    /// Takes in what vision saw in a frame.
    pub fn seen(&mut self, result: FrameResult) {
        self.batch.frames.push((result, 1));
    }

    /// Takes back what vision saw in a frame, exactly as it was taken in: another vision's result is to hold.
    pub fn unseen(&mut self, result: FrameResult) {
        self.batch.frames.push((result, -1));
    }

    /// Takes in a declared movement; whether it is new.
    pub fn declared(&mut self, movement: &DeclaredMovement) -> bool {
        let new = self.declared.insert(movement.clone());
        if new {
            self.batch.declared.push((movement.clone(), 1));
        }
        new
    }

    /// Takes in a product record. Of two records of one time the greater holds, so that order does not matter.
    pub fn product(&mut self, product: &Product) -> Replaced<Product> {
        self.put_product(product, false)
    }

    /// Takes in a product record that outranks every other but corrections.
    pub fn put_catalogue(&mut self, product: &Product) -> Replaced<Product> {
        self.put_product(product, true)
    }

    fn put_product(&mut self, product: &Product, outranks: bool) -> Replaced<Product> {
        let replaced = self.products.take(product.id, product, |product| product.as_of, outranks);
        self.product_changed(product.id);
        replaced
    }

    /// Takes in an appliance record, as [`Intake::product`] does.
    pub fn appliance(&mut self, appliance: &Appliance) -> Replaced<Appliance> {
        let replaced = self.appliances.take(appliance.id, appliance, |appliance| appliance.as_of, false);
        self.appliance_changed(appliance.id);
        replaced
    }

    /// How many changes wait for [`Intake::take_batch`].
    pub fn waiting(&self) -> usize {
        self.batch.len()
    }

    /// The changes since this was last asked.
    pub fn take_batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// Takes in a correction from a feed, which may know of things that are still to come; whether it is new.
    ///
    /// # Errors
    /// [`BadCorrection`] where it can never hold; nothing has changed then.
    pub fn correction(&mut self, correction: &Correction) -> Result<bool, BadCorrection> {
        correction.check()?;
        let Some(transitions) = self.standing.take(correction) else { return Ok(false) };
        for (was, is) in transitions {
            if let Some(was) = was {
                self.apply(&was, false);
            }
            if let Some(is) = is {
                self.apply(&is, true);
            }
        }
        Ok(true)
    }

    /// Why a person should not be allowed to make this correction; none where they may.
    pub fn refusal(&self, correction: &Correction) -> Option<Refusal> {
        if let Err(bad) = correction.check() {
            return Some(bad.into());
        }
        if self.standing.knows(correction.id) {
            return Some(Refusal::IdTaken);
        }
        let appliance = |id: &ApplianceId| (!self.knows_appliance(*id)).then_some(Refusal::UnknownAppliance);
        match &correction.change {
            Change::Picture { frame, amendment } => {
                let unknown = (!self.sensors.knows_frame(*frame)).then_some(Refusal::UnknownFrame);
                unknown.or_else(|| amendment.products().into_iter().find_map(|product| self.no_product(product)))
            }
            Change::Movement { movement, .. } => {
                appliance(&movement.appliance).or_else(|| self.no_product(movement.product))
            }
            Change::Count { appliance: of, product, .. } => appliance(of).or_else(|| self.no_product(*product)),
            Change::Product { .. } => None,
            Change::Merge { product, into } => {
                let unknown = [*product, *into].into_iter().find(|product| !self.knows_product(*product));
                unknown.map(Refusal::UnknownProduct).or_else(|| match self.stand_ins.resolve(*into) {
                    Some(end) if end == *product => Some(Refusal::Circle(*into)),
                    Some(_) => None,
                    None => Some(Refusal::Gone(*into)),
                })
            }
            Change::Remove { product } => self.no_product(*product),
            Change::Appliance { appliance: of, .. } => {
                // one that has no record has no fields either
                self.appliances.get(*of).is_none().then_some(Refusal::UnknownAppliance)
            }
            Change::Calibration { appliance, sensor, .. } => {
                (!self.sensors.knows(*appliance, *sensor)).then_some(Refusal::UnknownSensor)
            }
            Change::Undo { correction } => self.standing.no_undo(*correction),
            Change::Restore { correction } => self.standing.no_restore(*correction),
        }
    }

    /// A product's record with all that is said of it.
    pub fn product_now(&self, id: ProductId) -> Option<Product> {
        self.products.effective(id)
    }

    /// An appliance's record with all that is said of it.
    pub fn appliance_now(&self, id: ApplianceId) -> Option<Appliance> {
        self.appliances.effective(id)
    }

    /// The product that a product is in truth; none where it is none.
    pub fn in_truth(&self, product: ProductId) -> Option<ProductId> {
        self.stand_ins.resolve(product)
    }

    /// Whether the correction of that id holds.
    pub fn holds(&self, correction: Name) -> bool {
        self.standing.get(correction).is_some()
    }

    fn knows_appliance(&self, id: ApplianceId) -> bool {
        self.appliances.get(id).is_some() || self.sensors.knows_appliance(id)
    }

    fn knows_product(&self, id: ProductId) -> bool {
        self.products.effective(id).is_some()
    }

    fn no_product(&self, id: ProductId) -> Option<Refusal> {
        if !self.knows_product(id) {
            return Some(Refusal::UnknownProduct(id));
        }
        (self.stand_ins.resolve(id) != Some(id)).then_some(Refusal::Gone(id))
    }

    /// Makes a correction hold, or no longer.
    fn apply(&mut self, correction: &Correction, holds: bool) {
        let (time, id) = correction.order();
        let diff = if holds { 1 } else { -1 };
        match &correction.change {
            Change::Picture { frame, amendment } => {
                let told = Told { time, id, amendment: amendment.clone() };
                self.batch.amendments.push(((*frame, told), diff));
            }
            Change::Movement { movement: MovementKey { product, .. }, .. } | Change::Count { product, .. } => {
                let named = self.by_product.entry(*product).or_default();
                if holds {
                    named.insert(id, correction.clone());
                } else {
                    named.remove(&id);
                }
                self.apply_keyed(correction, holds);
            }
            Change::Product { product, fields } => {
                self.products.say(*product, (time, id), *fields, holds);
                self.product_changed(*product);
            }
            Change::Merge { product, into } => self.fate(*product, (time, id), Some(*into), holds),
            Change::Remove { product } => self.fate(*product, (time, id), None, holds),
            Change::Appliance { appliance, fields } => {
                self.appliances.say(*appliance, (time, id), *fields, holds);
                self.appliance_changed(*appliance);
            }
            Change::Calibration { appliance, sensor, from, until, offset, skew } => {
                let calibration =
                    larder_records::Calibration { from: *from, until: *until, offset: *offset, skew: *skew };
                self.sensors.calibrate((*appliance, *sensor), (time, id), calibration, holds, &mut self.batch);
            }
            // what they do is told by `standing`
            Change::Undo { .. } | Change::Restore { .. } => {}
        }
    }

    /// Makes a correction of a movement or a count hold for the product that the one it names is in truth.
    fn apply_keyed(&mut self, correction: &Correction, holds: bool) {
        let order = correction.order();
        match correction.change {
            Change::Movement { movement, confirmed } => {
                let Some(product) = self.stand_ins.resolve(movement.product) else { return };
                let key = MovementKey { product, ..movement };
                let row = |confirmed: &bool| (key, if *confirmed { Verdict::Confirmed } else { Verdict::Refused });
                let sayings = self.verdicts.entry(key).or_default();
                say(sayings, order, confirmed, holds, &mut self.batch.verdicts, |(_, confirmed)| row(confirmed));
            }
            Change::Count { appliance, product, at, count } => {
                let Some(product) = self.stand_ins.resolve(product) else { return };
                let sayings = self.counts.entry((appliance, product, at)).or_default();
                say(sayings, order, count, holds, &mut self.batch.counts, |((_, id), count)| {
                    ((appliance, product), Counted { at, count: *count, id: *id })
                });
            }
            _ => {}
        }
    }

    /// A product is another, or none, or no longer so.
    fn fate(&mut self, product: ProductId, order: (Time, Name), into: Option<ProductId>, holds: bool) {
        let moved = self.stand_ins.behind(product);
        let named: Vec<Correction> = moved
            .iter()
            .filter_map(|product| self.by_product.get(product))
            .flat_map(|named| named.values().cloned())
            .collect();
        for correction in &named {
            self.apply_keyed(correction, false);
        }
        self.stand_ins.say(product, order, into, holds);
        for correction in &named {
            self.apply_keyed(correction, true);
        }
        self.stand_ins.refresh(moved, &self.products, &mut self.batch);
    }

    fn product_changed(&mut self, product: ProductId) {
        self.products.refresh(product, &mut self.batch.products);
        let moved = self.stand_ins.behind(product);
        self.stand_ins.refresh(moved, &self.products, &mut self.batch);
    }

    fn appliance_changed(&mut self, appliance: ApplianceId) {
        self.appliances.refresh(appliance, &mut self.batch.appliances);
    }
}

/// Adds what a correction says of a thing, or takes it back, and hands on the change of what is said last.
fn say<S, R: PartialEq>(
    sayings: &mut Sayings<S>,
    order: (Time, Name),
    saying: S,
    holds: bool,
    into: &mut Vec<(R, isize)>,
    row: impl Fn((&(Time, Name), &S)) -> R,
) {
    let was = sayings.last_key_value().map(&row);
    if holds {
        sayings.insert(order, saying);
    } else {
        sayings.remove(&order);
    }
    let is = sayings.last_key_value().map(&row);
    replace(was, is, into);
}

/// Hands on that one row stands in the place of another.
fn replace<R: PartialEq>(was: Option<R>, is: Option<R>, into: &mut Vec<(R, isize)>) {
    if was != is {
        into.extend(was.map(|row| (row, -1)));
        into.extend(is.map(|row| (row, 1)));
    }
}

#[cfg(test)]
mod tests;
