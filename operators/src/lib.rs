//! Dataflow operators on timely and differential: pure, incremental, exact.
//!
//! The timestamp is a `u64` epoch, event time is data. Every operator's output at an epoch depends on the *set* of rows
//! up to that epoch alone: not on their order, their batches, the number of workers, or how often a row was delivered.
#![cfg_attr(test, allow(clippy::unwrap_used))]
// Collections of keyed rows are told best by their types.
#![allow(clippy::type_complexity)]

pub mod calendar;
mod clock;
mod grouped;
pub mod ledger;
mod looks;
pub mod movements;
mod neighbours;
pub mod occlusion;
mod pairs;
mod reach;
mod settle;
mod visits;
mod weights;
mod windows;

pub use clock::newest_hours;
pub use grouped::{ByKey, grouped};
pub use ledger::ledger;
pub use looks::last_frames;
pub use neighbours::neighbours;
pub use pairs::pairs;
pub use reach::reach;
pub use settle::{latest, or_default};
pub use visits::visits;
pub use weights::{Level, Levels, levels};
pub use windows::{LINGER, Window, windows};

/// A collection over epochs.
pub type Rows<'scope, R> = differential_dataflow::VecCollection<'scope, u64, R>;
