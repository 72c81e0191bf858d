//! What can go wrong with a frame or a scene reference.

use larder_kernels::decode::DecodeError;
use larder_records::{DeadReason, Modality};

/// Why a frame was not seen.
#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// Its picture was not decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A configured network failed on it.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Network(#[from] larder_kernels::onnx::OnnxError),
    /// A configured network gives outputs of another shape than its kind does.
    #[cfg(feature = "onnx")]
    #[error("the network's outputs are not of the shape that its kind gives")]
    WrongNetwork,
    /// It carries a reading, or is of a modality without pictures.
    #[error("a {0} frame carries no picture")]
    NoPicture(Modality),
}

impl VisionError {
    /// The kind of fault, as dead letters count it.
    pub fn reason(&self) -> DeadReason {
        match self {
            Self::Decode(DecodeError::TooLarge { .. }) => DeadReason::TooLarge,
            Self::Decode(_) => DeadReason::BadImage,
            Self::NoPicture(_) => DeadReason::Malformed,
            #[cfg(feature = "onnx")]
            Self::Network(_) | Self::WrongNetwork => DeadReason::BadImage,
        }
    }
}

/// Why bytes are not a scene reference.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// Not the format that [`super::Scene::to_bytes`] writes, or cut short.
    #[error("not a scene reference: {0}")]
    Malformed(&'static str),
}
