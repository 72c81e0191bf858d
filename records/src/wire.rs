//! The protobuf messages of `proto/`, and the checks between them and Larder's own types.

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    pub mod foxglove {
        include!(concat!(env!("OUT_DIR"), "/foxglove.rs"));
    }
    pub mod larder {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/larder.v1.rs"));
        }
    }
}

pub use generated::{foxglove, larder::v1};

/// The `FileDescriptorSet` of every message here, well-known types included: what an MCAP schema record embeds.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
