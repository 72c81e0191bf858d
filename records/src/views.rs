//! The rows of the maintained views. What each column means is told in `docs/lake.md`, and here.
//!
//! Counts are packages. A day is a number of days since 1970-01-01 in the appliance's own time zone; a week is its Monday.

use serde::{Deserialize, Serialize};

use crate::{ApplianceId, FrameKey, HouseholdId, Name, Ppm, ProductId, Reason, SensorId, SightingKey, Time};

/// Days since 1970-01-01, in the appliance's own time zone.
pub type Day = i32;

/// One opening of a door, to its closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Visit {
    /// Whose door.
    pub appliance: ApplianceId,
    /// The door's sensor.
    pub sensor: SensorId,
    /// When it was opened.
    pub opened: Time,
    /// When it was closed; none while it stands open.
    pub closed: Option<Time>,
}

/// What a movement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// Put in.
    In,
    /// Taken out.
    Out,
    /// Put elsewhere in the same appliance.
    Moved,
}

impl MovementKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::In, Self::Out, Self::Moved];

    /// Its name in tables, corrections and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Moved => "moved",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Who says that something moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MovementSource {
    /// The appliance's own sensors.
    Sensors,
    /// A receipt, a scan or a narration: its id.
    Declared(Name),
    /// A person who counted: the correction's id. What the count says beyond all that is known to have moved.
    Counted(Name),
}

/// An item put in, taken out or moved, in one visit, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Movement {
    /// Where.
    pub appliance: ApplianceId,
    /// When: the opening of the visit, or the declared time.
    pub time: Time,
    /// What was moved in one go: the declared group; none for sensors, whose go is the visit at `time`, and for counts, which are
    /// no go.
    pub group: Name,
    /// What.
    pub product: ProductId,
    /// Which way.
    pub kind: MovementKind,
    /// How many packages; at least 1.
    pub quantity: i64,
    /// How sure.
    pub confidence: Ppm,
    /// Who says so.
    pub source: MovementSource,
    /// Why, where declared.
    pub reason: Reason,
    /// What was paid, in hundredths of the currency, where declared.
    pub cents: i64,
    /// Change on the scales from the look before to this one, in milligrams: after the visit, less what they showed just before
    /// the first visit that followed the look before. None for a first look, and where either is not known.
    pub weight_delta_mg: Option<i64>,
    /// The look before, where the sensors say so.
    pub before: Option<FrameKey>,
    /// The look after, where the sensors say so.
    pub after: Option<FrameKey>,
}

impl Movement {
    /// What it does to the count: positive in, negative out, 0 moved.
    pub fn signed(&self) -> i64 {
        match self.kind {
            MovementKind::In => self.quantity,
            MovementKind::Out => -self.quantity,
            MovementKind::Moved => 0,
        }
    }
}

/// What an appliance holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Inventory {
    /// Where.
    pub appliance: ApplianceId,
    /// What.
    pub product: ProductId,
    /// How many; at least 1.
    pub count: i64,
    /// Since when there are so many.
    pub since: Time,
    /// The confidence of the least sure movement since there were last none, or somebody last counted.
    pub confidence: Ppm,
}

/// What an appliance held from one movement to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InventoryInterval {
    /// Where.
    pub appliance: ApplianceId,
    /// What.
    pub product: ProductId,
    /// From when, inclusive.
    pub from: Time,
    /// Until when, exclusive; none where it still is so.
    pub until: Option<Time>,
    /// How many; never 0. Negative where more is known to have come out than to have gone in.
    pub count: i64,
}

/// What to do about a food; where several hold, the first of discard, check and eat soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Advice {
    /// Nothing.
    Keep,
    /// Its last two days have begun.
    EatSoon,
    /// It was out of the cold for longer than two hours in all.
    Check,
    /// Its shelf life is over.
    Discard,
}

/// How a food fares: the oldest package of a product in an appliance, first in, first out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FoodState {
    /// Where.
    pub appliance: ApplianceId,
    /// What.
    pub product: ProductId,
    /// How many; at least 1.
    pub count: i64,
    /// When the oldest was first put in: a package that came back within a day counts from its first putting in.
    pub oldest_in: Time,
    /// Whole hours from then to the appliance's "now": the beginning of the newest UTC hour in which it sent a frame or reading or
    /// something moved; at least 0.
    pub age_hours: i64,
    /// The last day of its shelf life; none where the product's is unknown.
    pub expires: Option<Day>,
    /// Whole minutes that packages of it were out and back in within a day, where they came out after the oldest was put in.
    /// Each pair of an out and an in counts once, rounded down, however many packages it moved.
    pub minutes_out: i64,
    /// What to do.
    pub advice: Advice,
}

/// How a household used its appliances in one week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Behaviour {
    /// Whose.
    pub household: HouseholdId,
    /// The Monday of the week.
    pub week: Day,
    /// Visits that began.
    pub openings: i64,
    /// Seconds that they lasted, whole seconds of each; a visit without an end counts 0.
    pub open_seconds: i64,
    /// Packages put in.
    pub put_in: i64,
    /// Packages taken out.
    pub taken_out: i64,
}

/// How a household uses one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProductBehaviour {
    /// Whose.
    pub household: HouseholdId,
    /// What.
    pub product: ProductId,
    /// Packages put in.
    pub put_in: i64,
    /// Packages taken out.
    pub taken_out: i64,
    /// Packages whose putting in and taking out are both known, matched first in, first out in each appliance.
    pub stays: i64,
    /// Whole seconds that those stayed in, each rounded down, summed.
    pub stay_seconds: i64,
    /// Times that it was put in again, counted by distinct instants of putting in less one.
    pub restocks: i64,
    /// Whole seconds from the first putting in to the last: `restock_seconds / restocks` is the mean time between.
    pub restock_seconds: i64,
}

/// Two products that a household takes out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairBehaviour {
    /// Whose.
    pub household: HouseholdId,
    /// The product whose id is smaller.
    pub first: ProductId,
    /// The other.
    pub second: ProductId,
    /// Goes (visits or declared groups) in which both were taken out.
    pub together: i64,
}

/// What a market cell is about. A product without a brand or category has no cell there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MarketLevel {
    /// One product: its SKU.
    Product,
    /// One brand: its name.
    Brand,
    /// One category: its whole path.
    Category,
}

/// One cell of the market: a region, a week, and a product, brand or category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Market {
    /// Where.
    pub region: Name,
    /// The Monday of the week.
    pub week: Day,
    /// What kind of thing `key` names.
    pub level: MarketLevel,
    /// The SKU, the brand or the category path.
    pub key: Name,
    /// Packages put in.
    pub put_in: i64,
    /// Packages taken out to be used: neither wasted nor back in the same appliance within a day, matched first in, first out.
    /// One whose in is not known counts here.
    pub used_up: i64,
    /// Packages taken out to be thrown away: declared so, or out more than the shelf life, in days of 24 hours, after they
    /// were first put in.
    pub wasted: i64,
    /// Hundredths of the currency paid for what was put in.
    pub cents: i64,
    /// Households that put it in or took it out; at least the k of the region, the greatest `min_households` of its appliances.
    pub households: i64,
}

/// Two products bought together in a region and week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MarketPair {
    /// Where.
    pub region: Name,
    /// The Monday of the week.
    pub week: Day,
    /// The product whose id is smaller.
    pub first: ProductId,
    /// The other.
    pub second: ProductId,
    /// Goes (visits or declared groups) in which both were put in.
    pub together: i64,
    /// Households that did so; at least the k of the region.
    pub households: i64,
}

/// What a reviewer is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReviewSubject {
    /// A sighting of a look, not corrected, whose best candidate scores less than the appliance's `review_below`, or less than
    /// 50,000 ppm more than the next.
    Sighting(SightingKey),
    /// A movement by the sensors, neither confirmed nor refused, less sure than the appliance's `review_below`.
    Movement(MovementKind),
}

/// Something unsure, for a person to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReviewItem {
    /// Where.
    pub appliance: ApplianceId,
    /// When.
    pub time: Time,
    /// What about.
    pub subject: ReviewSubject,
    /// What it is taken for; none where for nothing.
    pub product: Option<ProductId>,
    /// How sure.
    pub confidence: Ppm,
}
