//! Corrections: what people say of what the machine got wrong.
//!
//! A correction is an input like any other. What it does depends on the set of corrections alone, not on the order in which they
//! came: where several speak of one thing, they are told in the order of [`Correction::order`], and the last one holds.

use serde::{Deserialize, Serialize};

use crate::{
    Appliance, ApplianceId, BoundingBox, FrameKey, HouseholdId, Micros, Name, Ppm, Product, ProductId, Reading,
    SensorId, Time, views::MovementKind,
};

/// One correction, with who made it, when and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Correction {
    /// When it was made.
    pub time: Time,
    /// Its identity: what an undo names.
    pub id: Name,
    /// Who made it.
    pub author: Name,
    /// Why, in words; none where nothing was said.
    pub reason: Name,
    /// What is changed.
    pub change: Change,
}

impl Correction {
    /// What orders corrections of one thing: the later holds; of one instant the one of the greater id.
    pub fn order(&self) -> (Time, Name) {
        (self.time, self.id)
    }

    /// Every time that it names, its own first.
    pub fn times(&self) -> Vec<Time> {
        let named = match &self.change {
            Change::Picture { frame, .. } => vec![frame.time],
            Change::Movement { movement, .. } => vec![movement.time],
            Change::Count { at, .. } => vec![*at],
            Change::Calibration { from, until, .. } => vec![*from, *until],
            _ => Vec::new(),
        };
        [vec![self.time], named].concat()
    }

    /// Every name in it.
    pub fn names(&self) -> Vec<Name> {
        let named = match &self.change {
            Change::Picture { frame, amendment } => {
                let products = amendment.products().into_iter().map(|product| product.0);
                [frame.appliance.0, frame.sensor.0].into_iter().chain(products).collect()
            }
            Change::Movement { movement, .. } => vec![movement.appliance.0, movement.product.0],
            Change::Count { appliance, product, .. } => vec![appliance.0, product.0],
            Change::Product { product, fields: ProductFields { name, category, brand, .. } } => {
                [Some(product.0), *name, *category, *brand].into_iter().flatten().collect()
            }
            Change::Merge { product, into } => vec![product.0, into.0],
            Change::Remove { product } => vec![product.0],
            Change::Appliance { appliance, fields: ApplianceFields { household, region, time_zone, .. } } => {
                let household = household.map(|household| household.0);
                [Some(appliance.0), household, *region, *time_zone].into_iter().flatten().collect()
            }
            Change::Calibration { appliance, sensor, .. } => vec![appliance.0, sensor.0],
            Change::Undo { correction } | Change::Restore { correction } => vec![*correction],
        };
        [vec![self.id, self.author, self.reason], named].concat()
    }
}

/// What a correction changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Change {
    /// What a picture shows.
    Picture {
        /// Which picture.
        frame: FrameKey,
        /// What it shows in truth.
        amendment: Amendment,
    },
    /// Whether a movement was one.
    Movement {
        /// Which.
        movement: MovementKey,
        /// Whether it is certain; else it never was.
        confirmed: bool,
    },
    /// Somebody looked: there are so many.
    Count {
        /// Where.
        appliance: ApplianceId,
        /// What.
        product: ProductId,
        /// When they looked; movements of the same instant are before.
        at: Time,
        /// How many packages.
        count: i64,
    },
    /// A product's record is another, or a new one.
    Product {
        /// Which.
        product: ProductId,
        /// The fields that change.
        fields: ProductFields,
    },
    /// A product is another: whatever is taken for it is taken for that one.
    Merge {
        /// Which.
        product: ProductId,
        /// What it is in truth.
        into: ProductId,
    },
    /// There is no such product: nothing is taken for it.
    Remove {
        /// Which.
        product: ProductId,
    },
    /// An appliance's record is another.
    Appliance {
        /// Which.
        appliance: ApplianceId,
        /// The fields that change.
        fields: ApplianceFields,
    },
    /// A sensor was off for a while.
    Calibration {
        /// Which.
        appliance: ApplianceId,
        /// Which.
        sensor: SensorId,
        /// From when by its own clock, inclusive.
        from: Time,
        /// Until when by its own clock, exclusive.
        until: Time,
        /// What to add to its values, in their unit.
        offset: i64,
        /// What to add to its times.
        skew: Micros,
    },
    /// A correction does not hold. Of an undo and a [`Change::Restore`] of one correction the later holds, whenever the
    /// correction itself was made.
    Undo {
        /// Which.
        correction: Name,
    },
    /// A correction that was undone holds again.
    Restore {
        /// Which.
        correction: Name,
    },
}

impl Change {
    /// The word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Picture { amendment, .. } => match amendment {
                Amendment::Relabel { .. } => "relabel",
                Amendment::Reject { .. } => "reject",
                Amendment::Split { .. } => "split",
                Amendment::Join { .. } => "join",
                Amendment::Add { .. } => "add",
            },
            Self::Movement { confirmed: true, .. } => "confirm",
            Self::Movement { confirmed: false, .. } => "refuse",
            Self::Count { .. } => "count",
            Self::Product { .. } => "product",
            Self::Merge { .. } => "merge",
            Self::Remove { .. } => "remove",
            Self::Appliance { .. } => "appliance",
            Self::Calibration { .. } => "calibrate",
            Self::Undo { .. } => "undo",
            Self::Restore { .. } => "restore",
        }
    }

    /// The appliance that it is about, where it is about one.
    pub fn appliance(&self) -> Option<ApplianceId> {
        match self {
            Self::Picture { frame, .. } => Some(frame.appliance),
            Self::Movement { movement, .. } => Some(movement.appliance),
            Self::Count { appliance, .. } | Self::Appliance { appliance, .. } | Self::Calibration { appliance, .. } => {
                Some(*appliance)
            }
            Self::Product { .. } | Self::Merge { .. } | Self::Remove { .. } => None,
            Self::Undo { .. } | Self::Restore { .. } => None,
        }
    }
}

/// What a picture shows in truth. Objects are named by their boxes, so that a correction holds whatever vision numbered them by,
/// and for another vision too: of the objects whose boxes share at least half of their union with the one named, that which
/// shares most.
///
/// Amendments of one picture are told one after the other: what one added, another can reject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Amendment {
    /// It is this product.
    Relabel {
        /// Which object.
        bounds: BoundingBox,
        /// What it is.
        product: ProductId,
    },
    /// There is nothing, or nothing that counts.
    Reject {
        /// Which object.
        bounds: BoundingBox,
    },
    /// It is several things.
    Split {
        /// Which object.
        bounds: BoundingBox,
        /// Each of them.
        parts: Vec<(BoundingBox, ProductId)>,
    },
    /// They are one thing.
    Join {
        /// Which objects.
        bounds: Vec<BoundingBox>,
        /// What it is.
        product: ProductId,
    },
    /// There is something more.
    Add {
        /// Where.
        bounds: BoundingBox,
        /// What it is.
        product: ProductId,
    },
}

impl Amendment {
    /// The products that it speaks of.
    pub fn products(&self) -> Vec<ProductId> {
        match self {
            Self::Reject { .. } => Vec::new(),
            Self::Split { parts, .. } => parts.iter().map(|(_, product)| *product).collect(),
            Self::Relabel { product, .. } | Self::Join { product, .. } | Self::Add { product, .. } => vec![*product],
        }
    }

    fn check(&self) -> Result<(), BadCorrection> {
        let boxes = match self {
            Self::Relabel { bounds, .. } | Self::Reject { bounds } | Self::Add { bounds, .. } => vec![*bounds],
            Self::Split { bounds, parts } => parts.iter().map(|(part, _)| *part).chain([*bounds]).collect(),
            Self::Join { bounds, .. } => bounds.clone(),
        };
        match self {
            Self::Split { parts, .. } if parts.len() < 2 => Err(BadCorrection::TooFew),
            Self::Join { bounds, .. } if bounds.len() < 2 => Err(BadCorrection::TooFew),
            _ if boxes.iter().any(|bounds| bounds.area() == 0) => Err(BadCorrection::EmptyBox),
            _ => Ok(()),
        }
    }
}

/// The identity of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MovementKey {
    /// Where.
    pub appliance: ApplianceId,
    /// When.
    pub time: Time,
    /// What.
    pub product: ProductId,
    /// Which way.
    pub kind: MovementKind,
}

/// Fields of a [`Product`]; none stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProductFields {
    /// [`Product::name`].
    pub name: Option<Name>,
    /// [`Product::category`].
    pub category: Option<Name>,
    /// [`Product::brand`].
    pub brand: Option<Name>,
    /// [`Product::package_mg`].
    pub package_mg: Option<i64>,
    /// [`Product::shelf_life_days`].
    pub shelf_life_days: Option<u32>,
}

impl ProductFields {
    /// Sets the fields of `product`.
    pub fn set(&self, product: &mut Product) {
        let Self { name, category, brand, package_mg, shelf_life_days } = *self;
        product.name = name.unwrap_or(product.name);
        product.category = category.unwrap_or(product.category);
        product.brand = brand.unwrap_or(product.brand);
        product.package_mg = package_mg.unwrap_or(product.package_mg);
        product.shelf_life_days = shelf_life_days.unwrap_or(product.shelf_life_days);
    }
}

/// Fields of an [`Appliance`]; none stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApplianceFields {
    /// [`Appliance::household`].
    pub household: Option<HouseholdId>,
    /// [`Appliance::region`].
    pub region: Option<Name>,
    /// [`Appliance::time_zone`].
    pub time_zone: Option<Name>,
    /// [`Appliance::min_score`].
    pub min_score: Option<Ppm>,
    /// [`Appliance::review_below`].
    pub review_below: Option<Ppm>,
    /// [`Appliance::min_households`].
    pub min_households: Option<u32>,
}

impl ApplianceFields {
    /// Sets the fields of `appliance`.
    pub fn set(&self, appliance: &mut Appliance) {
        let Self { household, region, time_zone, min_score, review_below, min_households } = *self;
        appliance.household = household.unwrap_or(appliance.household);
        appliance.region = region.unwrap_or(appliance.region);
        appliance.time_zone = time_zone.unwrap_or(appliance.time_zone);
        appliance.min_score = min_score.unwrap_or(appliance.min_score);
        appliance.review_below = review_below.unwrap_or(appliance.review_below);
        appliance.min_households = min_households.unwrap_or(appliance.min_households);
    }
}

/// Why a correction can never hold, whatever else is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCorrection {
    /// It has no id.
    #[error("it has no id")]
    NoId,
    /// A product merged into itself.
    #[error("a product cannot be merged into itself")]
    MergedIntoItself,
    /// A box without area.
    #[error("a box is empty: its right edge must be beyond its left, its bottom below its top")]
    EmptyBox,
    /// A split or join of fewer than two things.
    #[error("one thing cannot be split or joined: at least two boxes are needed")]
    TooFew,
    /// A count below 0.
    #[error("a count cannot be below 0")]
    NegativeCount,
    /// A calibration of no time.
    #[error("the time of a calibration ends before it begins")]
    EmptySpan,
    /// A score above 1.
    #[error("a threshold cannot be above 1")]
    ScoreAboveOne,
    /// A weight below 0.
    #[error("a package cannot weigh less than 0")]
    NegativeWeight,
    /// An undo of itself.
    #[error("a correction cannot undo or restore itself")]
    OfItself,
    /// Nothing is changed.
    #[error("it changes no field")]
    NothingChanged,
}

impl Correction {
    /// Whether it can hold.
    ///
    /// # Errors
    /// [`BadCorrection`] where it contradicts itself.
    pub fn check(&self) -> Result<(), BadCorrection> {
        if self.id == Name::default() {
            return Err(BadCorrection::NoId);
        }
        match &self.change {
            Change::Picture { amendment, .. } => amendment.check(),
            Change::Count { count, .. } if *count < 0 => Err(BadCorrection::NegativeCount),
            Change::Merge { product, into } if product == into => Err(BadCorrection::MergedIntoItself),
            Change::Product { fields, .. } if fields.package_mg.is_some_and(|mg| mg < 0) => {
                Err(BadCorrection::NegativeWeight)
            }
            Change::Product { fields, .. } if *fields == ProductFields::default() => Err(BadCorrection::NothingChanged),
            Change::Appliance { fields, .. } if *fields == ApplianceFields::default() => {
                Err(BadCorrection::NothingChanged)
            }
            Change::Appliance { fields, .. }
                if [fields.min_score, fields.review_below].into_iter().flatten().any(|score| score > crate::PPM) =>
            {
                Err(BadCorrection::ScoreAboveOne)
            }
            Change::Calibration { from, until, .. } if until <= from => Err(BadCorrection::EmptySpan),
            Change::Calibration { offset: 0, skew: 0, .. } => Err(BadCorrection::NothingChanged),
            Change::Undo { correction } | Change::Restore { correction } if *correction == self.id => {
                Err(BadCorrection::OfItself)
            }
            _ => Ok(()),
        }
    }
}

/// What a sensor's readings were off by, for a while by its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Calibration {
    /// From when, inclusive.
    pub from: Time,
    /// Until when, exclusive.
    pub until: Time,
    /// What to add to its values.
    pub offset: i64,
    /// What to add to its times.
    pub skew: Micros,
}

impl Calibration {
    /// The reading as it should have been. Calibrations of one time add up.
    #[must_use]
    pub fn applied(all: &[Self], raw: Reading) -> Reading {
        let mut right = raw;
        for calibration in all.iter().filter(|c| c.from <= raw.time && raw.time < c.until) {
            right.value = right.value.saturating_add(calibration.offset);
            right.time = right.time.plus(calibration.skew);
        }
        right
    }
}
