//! Everything of Larder that touches the outside world: feeds, the lake, the engine that drives the dataflow, and the
//! command line. See `ARCHITECTURE.md` for how the data walks through it.

pub mod catalogue;
pub mod engine;
pub mod feeds;
pub mod lake;
