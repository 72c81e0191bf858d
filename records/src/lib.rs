//! The types that pass between Larder's rooms, and their wire formats.
//!
//! Everything here is plain data: no I/O, no clock, no floating point in anything that is ordered, hashed or summed.
//! Quantities are integers in the units that [`Modality`] names; scores are parts per million ([`Ppm`]).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod catalogue;
mod correction;
mod dead_letter;
mod frame;
mod id;
mod movement;
mod sighting;
mod time;
pub mod views;
pub mod wire;

pub use catalogue::{Appliance, Product};
pub use correction::{
    Amendment, ApplianceFields, BadCorrection, Calibration, Change, Correction, MovementKey, ProductFields,
};
pub use dead_letter::{DeadLetter, Position, Reason as DeadReason};
pub use frame::{Frame, Image, ImageEncoding, Modality, Payload, PixelFormat, Reading};
pub use id::{ApplianceId, Digest, HouseholdId, IdCollision, Name, Names, ProductId, SensorId};
pub use movement::{DeclaredMovement, Reason, Truth};
pub use sighting::{BoundingBox, Candidate, FrameKey, FrameResult, Grid, PPM, Ppm, Sighting, SightingKey};
pub use time::{Micros, Time, TimeOutOfRange};
