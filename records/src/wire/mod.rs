//! The protobuf messages of `proto/`, and the checks between them and Larder's own types.
//!
//! Everything from outside passes through here once: what comes out is finite, within what a sensor can measure, within
//! the years of [`Time`](crate::Time), and of bounded size. What does not pass is [`Refused`], with the reason that is
//! counted and the fault in words.

mod correction;
mod frame;
mod household;
mod image;
mod reading;
mod schema;
mod seen;
mod time;

#[cfg(test)]
mod tests;

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

pub use correction::{decode_correction, encode_correction};
pub use frame::{decode_frame, decode_plain_reading, encode_frame};
pub use generated::{foxglove, larder::v1};
pub use household::{
    decode_appliance, decode_declared, decode_product, decode_truth, encode_appliance, encode_declared, encode_product,
    encode_truth,
};
pub use image::{
    MAX_IMAGE_BYTES, check_image, decode_compressed, decode_raw, encode_compressed, encode_raw, image_modality,
};
pub use reading::{check_value, decode_reading, decode_reading_bytes, decode_value, encode_reading};
pub use schema::{DESCRIPTORS, schema};
pub use seen::{decode_dead_letter, decode_seen, encode_dead_letter, encode_seen};
pub use time::{decode_time, encode_time};

use crate::{DeadReason, IdCollision};

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail} ({})", reason.as_str())]
pub struct Refused {
    /// The kind of fault, which is counted.
    pub reason: DeadReason,
    /// The fault in words.
    pub detail: String,
}

impl Refused {
    /// A refusal.
    pub fn new(reason: DeadReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    fn malformed(detail: impl Into<String>) -> Self {
        Self::new(DeadReason::Malformed, detail)
    }
}

impl From<prost::DecodeError> for Refused {
    fn from(error: prost::DecodeError) -> Self {
        Self::malformed(error.to_string())
    }
}

/// Why a message with names in it could not be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It is refused; what follows it may be well.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// One of its names shares an id with another: nothing can be told apart any more.
    #[error(transparent)]
    Collision(#[from] IdCollision),
}
