//! Networks, where some are configured: a detector beside the change detector, an embedding in place of the built-in
//! descriptor.

use std::sync::Arc;

use larder_kernels::{
    ImageRgb8,
    describe::{Surroundings, describe},
};
#[cfg(feature = "onnx")]
use larder_kernels::{
    cnn_boxes,
    letterbox::{InputFormat, letterbox},
    onnx::Network,
};
use larder_records::{BoundingBox, Digest, Name, Ppm};
use serde::{Deserialize, Serialize};

use super::{VisionConfig, VisionError};

/// Which network finds boxes, and from which files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorConfig {
    /// The network.
    pub kind: DetectorKind,
    /// Its ONNX file.
    pub file: String,
    /// A text file of its classes' names, one a line.
    pub class_names: Option<String>,
    /// Boxes that score less are left out.
    #[serde(default = "default_min_score")]
    pub min_score: Ppm,
}

fn default_min_score() -> Ppm {
    300_000
}

/// The detection networks that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectorKind {
    /// FastestDet: 352 by 352, stretched.
    FastestDet,
    /// YOLOX-nano: 416 by 416, letterboxed on grey.
    YoloxNano,
}

/// Which network describes boxes. A value of 0 to 255 is given to it as `(value - mean) / divisor`; its last output is
/// the embedding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Its ONNX file.
    pub file: String,
    /// Pixels a row and rows of its input.
    pub side: u16,
    /// Whether it takes blue first.
    pub bgr: bool,
    /// See above.
    pub mean: u8,
    /// See above.
    pub divisor: u16,
}

/// Why the networks of a configuration cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The program was built without them.
    #[error("{0} names a network, but this program was built without networks (feature `onnx`)")]
    NotBuilt(&'static str),
    /// A file cannot be read.
    #[error("{file}: {reason}")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        reason: std::io::Error,
    },
    /// A file is no network that can be run.
    #[cfg(feature = "onnx")]
    #[error("{file}: {reason}")]
    Broken {
        /// Which.
        file: String,
        /// Why.
        reason: larder_kernels::onnx::OnnxError,
    },
}

/// A box of the detection network.
pub(super) struct Found {
    pub(super) bounds: BoundingBox,
    pub(super) score: Ppm,
    pub(super) class: Name,
}

/// The networks of a configuration; by default none.
#[derive(Clone, Debug, Default)]
pub struct Models {
    loaded: Arc<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    #[cfg(feature = "onnx")]
    detector: Option<Detector>,
    #[cfg(feature = "onnx")]
    embedding: Option<(Network, InputFormat)>,
    digest: Digest,
}

#[cfg(feature = "onnx")]
#[derive(Debug)]
struct Detector {
    network: Network,
    config: DetectorConfig,
    names: Vec<Name>,
}

impl Models {
    /// Loads what `config` names; `read` gives the bytes of a file.
    ///
    /// # Errors
    /// [`ModelError`].
    #[cfg(feature = "onnx")]
    pub fn load(
        config: &VisionConfig,
        mut read: impl FnMut(&str) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, ModelError> {
        let mut digests = Vec::new();
        let mut bytes_of = |file: &str| {
            let bytes = read(file).map_err(|reason| ModelError::Unreadable { file: file.into(), reason })?;
            digests.extend_from_slice(&Digest::of(&bytes).0.to_le_bytes());
            Ok(bytes)
        };
        let network = |file: &str, bytes: &[u8], side: usize| {
            Network::load(bytes, side, side).map_err(|reason| ModelError::Broken { file: file.into(), reason })
        };
        let mut loaded = Loaded::default();
        if let Some(config) = &config.detector {
            let side = match config.kind {
                DetectorKind::FastestDet => 352,
                DetectorKind::YoloxNano => 416,
            };
            let network = network(&config.file, &bytes_of(&config.file)?, side)?;
            let names = match &config.class_names {
                Some(file) => {
                    String::from_utf8_lossy(&bytes_of(file)?).lines().map(|line| Name::of(line.trim())).collect()
                }
                None => Vec::new(),
            };
            loaded.detector = Some(Detector { network, config: config.clone(), names });
        }
        if let Some(config) = &config.embedding {
            let side = usize::from(config.side);
            let network = network(&config.file, &bytes_of(&config.file)?, side)?;
            let format = InputFormat {
                width: side,
                height: side,
                bgr: config.bgr,
                pad: None,
                mean: f32::from(config.mean),
                scale: 1.0 / f32::from(config.divisor.max(1)),
            };
            loaded.embedding = Some((network, format));
        }
        loaded.digest = Digest::of(&digests);
        Ok(Self { loaded: Arc::new(loaded) })
    }

    /// Loads what `config` names: nothing, in this build.
    ///
    /// # Errors
    /// [`ModelError::NotBuilt`] where it names a network.
    #[cfg(not(feature = "onnx"))]
    pub fn load(
        config: &VisionConfig,
        _read: impl FnMut(&str) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, ModelError> {
        match (&config.detector, &config.embedding) {
            (Some(_), _) => Err(ModelError::NotBuilt("`detector`")),
            (_, Some(_)) => Err(ModelError::NotBuilt("`embedding`")),
            (None, None) => Ok(Self::default()),
        }
    }

    /// The digest of the files.
    pub(super) fn digest(&self) -> Digest {
        self.loaded.digest
    }

    /// Boxes of the detection network; none where there is none.
    #[cfg(feature = "onnx")]
    pub(super) fn detect(&self, picture: &ImageRgb8, config: &VisionConfig) -> Result<Vec<Found>, VisionError> {
        let Some(Detector { network, config: own, names }) = &self.loaded.detector else { return Ok(Vec::new()) };
        let (width, height) = network.size();
        let (pad, scale) = match own.kind {
            DetectorKind::FastestDet => (None, 1.0 / 255.0),
            DetectorKind::YoloxNano => (Some(114), 1.0),
        };
        let format = InputFormat { width, height, bgr: true, pad, mean: 0.0, scale };
        let mut input = Vec::new();
        let zoom = letterbox(picture, picture.bounds(), format, &mut input);
        let outputs = network.run(&input)?;
        let raw = match (own.kind, outputs.first().map(|output| (&output.shape[..], &output.values))) {
            (DetectorKind::FastestDet, Some((&[_, planes, rows, columns], values))) => {
                cnn_boxes::fastestdet(values, planes, rows, columns, width as f32, height as f32)
            }
            (DetectorKind::YoloxNano, Some((&[_, _, row], values))) => cnn_boxes::yolox(values, row, width, height),
            _ => None,
        };
        let raw = raw.ok_or(VisionError::WrongNetwork)?;
        let size = (picture.bounds().right, picture.bounds().bottom);
        let found = cnn_boxes::finish(&raw, zoom, size, own.min_score, config.max_iou);
        let name = |class: usize| names.get(class).copied().unwrap_or_else(|| Name::of(&class.to_string()));
        Ok(found
            .into_iter()
            .map(|found| Found { bounds: found.bounds, score: found.score, class: name(found.class) })
            .collect())
    }

    /// Boxes of the detection network: none, in this build.
    #[cfg(not(feature = "onnx"))]
    pub(super) fn detect(&self, _picture: &ImageRgb8, _config: &VisionConfig) -> Result<Vec<Found>, VisionError> {
        Ok(Vec::new())
    }

    /// The descriptor of a box: the network's embedding, scaled so that its largest component is 127; else the built-in.
    pub(super) fn describe(
        &self,
        picture: &ImageRgb8,
        bounds: BoundingBox,
        around: Surroundings,
    ) -> Result<Vec<i8>, VisionError> {
        #[cfg(feature = "onnx")]
        if let Some((network, format)) = &self.loaded.embedding {
            if picture.clip(bounds).area() == 0 {
                return Ok(Vec::new());
            }
            let mut input = Vec::new();
            letterbox(picture, bounds, *format, &mut input);
            let output = network.run(&input)?.pop().ok_or(VisionError::WrongNetwork)?;
            let largest = output.values.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
            return Ok(output.values.iter().map(|value| (value / largest * 127.0).round() as i8).collect());
        }
        Ok(describe(picture, bounds, around))
    }
}
