//! Kernels and operators composed: vision, inventory, behaviour, market.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod views;
pub mod vision;

pub use views::{Inputs, Views, views};
