//! Movements known from elsewhere than the appliance's own sensors.

use serde::{Deserialize, Serialize};

use crate::{ApplianceId, BoundingBox, Name, ProductId, Time};

/// Why something was moved, where the source says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Reason {
    /// Not said.
    #[default]
    Unspecified,
    /// Bought: comes from a shop.
    Bought,
    /// Eaten, drunk or cooked.
    Used,
    /// Thrown away.
    Wasted,
}

/// A movement from a receipt, a scan or a narration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeclaredMovement {
    /// Where it went in or came out.
    pub appliance: ApplianceId,
    /// When.
    pub time: Time,
    /// Unique in its appliance: the same id again is the same movement.
    pub id: Name,
    /// Who says so.
    pub source: Name,
    /// What.
    pub product: ProductId,
    /// Packages: positive in, negative out.
    pub quantity: i64,
    /// What was moved in one go: a basket, one opening of a door.
    pub group: Name,
    /// Why.
    pub reason: Reason,
    /// What was paid for all of it, in hundredths of the currency; 0 where unknown.
    pub cents: i64,
}

/// What an appliance truly held at one instant: for evaluation alone, no view is computed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Where.
    pub appliance: ApplianceId,
    /// When.
    pub time: Time,
    /// Each item: product, packages, and where its picture shows it.
    pub items: Vec<(ProductId, u32, Option<BoundingBox>)>,
}
