//! What moved, as the views of households and regions see it.

use larder_operators::{ByKey, Rows};
use larder_records::{
    ApplianceId, Ppm, ProductId, Time,
    views::{Movement, MovementKind, MovementSource},
};
use serde::{Deserialize, Serialize};

/// A movement without its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) time: Time,
    pub(crate) product: ProductId,
    pub(crate) kind: MovementKind,
    pub(crate) quantity: i64,
    pub(crate) cents: i64,
    pub(crate) confidence: Ppm,
    /// Whether the sensors say so.
    pub(crate) sensed: bool,
}

/// The movements of each appliance, held once for all that join them with what is known of it.
pub(crate) fn by_appliance(movements: Rows<'_, Movement>) -> ByKey<'_, ApplianceId, Moved> {
    let moved = movements.map(|m| {
        let sensed = m.source == MovementSource::Sensors;
        let Movement { time, product, kind, quantity, cents, confidence, .. } = m;
        (m.appliance, Moved { time, product, kind, quantity, cents, confidence, sensed })
    });
    moved.arrange_by_key_named("Arrange: Moved")
}
