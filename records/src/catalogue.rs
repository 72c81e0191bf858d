//! Products and appliances: the slowly changing inputs.

use serde::{Deserialize, Serialize};

use crate::{ApplianceId, HouseholdId, Name, ProductId, Time};

/// A record of the product database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Product {
    /// Its SKU.
    pub id: ProductId,
    /// When the record was made: of two records of one product the later holds, in whatever order they come.
    pub as_of: Time,
    /// What people call it.
    pub name: Name,
    /// Category path, from the broadest to the narrowest, joined by `/`.
    pub category: Name,
    /// Brand; none where it has none.
    pub brand: Name,
    /// Weight of one full package, in milligrams; 0 where unknown.
    pub package_mg: i64,
    /// Days that it keeps from being put in; 0 where unknown.
    pub shelf_life_days: u32,
}

/// An appliance, and the thresholds that hold for it.
///
/// Thresholds are data: changing one is a change of this row, and the views are repaired like for any other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Appliance {
    /// Its installation-wide name.
    pub id: ApplianceId,
    /// When the record was made: of two records of one appliance the later holds, in whatever order they come.
    pub as_of: Time,
    /// Whose it is.
    pub household: HouseholdId,
    /// The market region that its household counts in.
    pub region: Name,
    /// `fridge`, `freezer`, `oven`, `pantry`, ...
    pub kind: Name,
    /// The maker's model.
    pub model: Name,
    /// IANA time zone; decides its days and weeks. None: UTC.
    pub time_zone: Name,
    /// A candidate below this score is not taken for the product.
    pub min_score: crate::Ppm,
    /// A sighting or movement surer than this needs no review.
    pub review_below: crate::Ppm,
    /// A market cell of its region with fewer households is withheld.
    pub min_households: u32,
}

impl Appliance {
    /// [`min_score`](Self::min_score) of an appliance that states none.
    pub const DEFAULT_MIN_SCORE: crate::Ppm = 500_000;
    /// [`review_below`](Self::review_below) of an appliance that states none.
    pub const DEFAULT_REVIEW_BELOW: crate::Ppm = 800_000;
    /// [`min_households`](Self::min_households) of an appliance that states none.
    pub const DEFAULT_MIN_HOUSEHOLDS: u32 = 5;

    /// An appliance of that household and kind, with nothing else known: no region and model, UTC, default thresholds.
    pub fn new(id: ApplianceId, household: HouseholdId, kind: Name) -> Self {
        Self {
            id,
            as_of: Time::MIN,
            household,
            region: Name::default(),
            kind,
            model: Name::default(),
            time_zone: Name::default(),
            min_score: Self::DEFAULT_MIN_SCORE,
            review_below: Self::DEFAULT_REVIEW_BELOW,
            min_households: Self::DEFAULT_MIN_HOUSEHOLDS,
        }
    }
}
