//! Everything of Larder that touches the outside world: feeds, the lake, the engine that drives the dataflow, and what
//! the command line is made of. `ARCHITECTURE.md` tells how the data walks through it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod catalogue;
pub mod changes;
pub mod config;
pub mod corrections;
#[cfg(feature = "cuda")]
pub mod cubins;
pub mod drawing;
pub mod engine;
pub mod eval;
pub mod evidence;
pub mod eyes;
pub mod feeds;
pub mod files;
pub mod gallery;
pub mod gpu;
pub mod lake;
pub mod lookout;
pub mod picture;
pub mod service;
mod wholes;

#[cfg(test)]
#[path = "../tests/python/mod.rs"]
mod python;
