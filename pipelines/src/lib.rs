//! Kernels and operators composed: vision, inventory, behaviour, market.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod vision;
