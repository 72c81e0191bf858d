//! Parameters of vision.

use larder_kernels::decode::DecodeLimits;
use larder_records::Ppm;
use serde::{Deserialize, Serialize};

/// All parameters of vision. Every one of them is part of the fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VisionConfig {
    /// Larger pictures are refused, in pixels.
    pub max_pixels: u64,
    /// Of two boxes that overlap by more (intersection over union), the weaker goes.
    pub max_iou: Ppm,
    /// A pixel differs from the scene where a channel does by more, of 255.
    pub colour_change: u8,
    /// A pixel differs from the scene where it does by more, in the unit of the modality (millimetres, hundredths of a
    /// kelvin).
    pub grey_change: u16,
    /// A smaller part of the frame is not seen as an object.
    pub min_area: Ppm,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self { max_pixels: 40_000_000, max_iou: 450_000, colour_change: 40, grey_change: 30, min_area: 800 }
    }
}

impl VisionConfig {
    /// The score from which a candidate is taken for the product, unless the appliance says otherwise.
    pub const DEFAULT_MIN_SCORE: Ppm = 500_000;

    /// The limits of decoding.
    pub fn limits(&self) -> DecodeLimits {
        DecodeLimits { max_pixels: self.max_pixels }
    }

    /// The text that is hashed into the fingerprint.
    pub(super) fn canonical(&self) -> String {
        format!("{self:?}")
    }
}
