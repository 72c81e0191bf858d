//! Kernels and operators composed: vision, inventory, behaviour, market.
#![cfg_attr(test, allow(clippy::unwrap_used))]
// Collections of keyed rows are told best by their types.
#![allow(clippy::type_complexity)]

mod behaviour;
pub mod corrected;
pub mod gallery;
mod inputs;
mod intake;
mod inventory;
mod looks;
mod market;
mod moved;
pub mod recogniser;
mod review;
mod views;
pub mod vision;
mod workers;

pub use inputs::{Batch, Inputs, Sessions};
pub use intake::{Intake, Refusal, Replaced};
pub use views::{Views, views};
pub use workers::worker_config;
