//! Parameters of vision.

use larder_kernels::decode::DecodeLimits;
use larder_records::Ppm;
use serde::{Deserialize, Serialize};

use super::{
    features::FeatureConfig,
    models::{DetectorConfig, EmbeddingConfig},
};

/// All parameters of vision. Every one of them is part of the fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VisionConfig {
    /// Larger pictures are refused, in pixels.
    pub max_pixels: u64,
    /// Of two boxes of a detection network that overlap by more (intersection over union), the weaker goes.
    pub max_iou: Ppm,
    /// A picture shows the scene where its correlation with it is at least this.
    pub min_correlation: Ppm,
    /// The light of a place is the mean of the scene within so many pixels, at working size.
    pub light_radius: u8,
    /// How far apart two places of picture and scene may lie and still be compared, in pixels at working size (the longer
    /// side about 333).
    pub reach: u8,
    /// The differences in colour from which a pixel is not the scene's, lowest first; see
    /// [`larder_kernels::change::colour_change`].
    pub colour_thresholds: Vec<u8>,
    /// The difference of depth or heat from which a pixel is not the scene's, in the unit of the modality (millimetres,
    /// hundredths of a kelvin).
    pub grey_change: u16,
    /// The least part of the picture that an object's box fills.
    pub min_area: Ppm,
    /// The largest part of the picture that an object's box fills.
    pub max_area: Ppm,
    /// The similarity to a product that anything may have by chance: it scores a half.
    pub chance: Ppm,
    /// A network that finds boxes, beside the change detector; none by default.
    pub detector: Option<DetectorConfig>,
    /// A network that describes boxes, in place of the built-in descriptor; none by default.
    pub embedding: Option<EmbeddingConfig>,
    /// Local features, asked where descriptors leave open which product is seen; none by default, for they cost more than they
    /// tell where products are told by their colours (see `docs/accuracy.md`).
    pub features: Option<FeatureConfig>,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            max_pixels: 40_000_000,
            max_iou: 450_000,
            min_correlation: 600_000,
            light_radius: 10,
            reach: 2,
            colour_thresholds: vec![4, 6, 9, 13, 19, 28],
            grey_change: 30,
            min_area: 1_000,
            max_area: 150_000,
            chance: 800_000,
            detector: None,
            embedding: None,
            features: None,
        }
    }
}

impl VisionConfig {
    /// The score from which a candidate is taken for the product, unless the appliance says otherwise.
    pub const DEFAULT_MIN_SCORE: Ppm = 500_000;

    /// The limits of decoding.
    pub fn limits(&self) -> DecodeLimits {
        DecodeLimits { max_pixels: self.max_pixels }
    }

    pub(super) fn min_correlation(&self) -> f32 {
        self.min_correlation as f32 / larder_records::PPM as f32
    }

    /// The text that is hashed into the fingerprint.
    pub(super) fn canonical(&self) -> String {
        format!("{self:?}")
    }
}
