//! Kernels and operators composed: vision, inventory, behaviour, market.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod behaviour;
mod inventory;
mod looks;
mod market;
mod review;
mod views;
pub mod vision;

pub use views::{Inputs, Views, views};
