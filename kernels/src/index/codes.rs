//! Descriptors as 64 bytes each, compared in whole numbers.

use crate::{
    features::{BinaryFeatures, FloatFeatures, Keypoint},
    simd::vectorised,
};

use super::IndexError;

/// Bytes of a descriptor.
pub(super) const BYTES: usize = 64;
/// A descriptor: 64 signed components in steps of 1/256, or 512 bits, the lowest of the first byte first.
pub type Code = [u8; BYTES];

/// Components of a unit vector are kept in steps of 1/256, up to half: hardly any is larger.
const STEP: f32 = 256.0;

/// What descriptors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64 components of unit vectors, as KAZE's M-SURF; compared by the squared distance, in steps of 1/256.
    Float,
    /// 512 bits, as A-KAZE's M-LDB; compared by how many differ.
    Binary,
}

/// The features of a picture, as an index takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    pub(super) kind: Kind,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) keypoints: Vec<Keypoint>,
    pub(super) codes: Vec<Code>,
}

impl Described {
    /// Of KAZE's features of a picture of `width` by `height` pixels. An error where there are more than 65,535 features, descriptors do
    /// not have 64 components, or there is not one for each point.
    pub fn from_float(features: &FloatFeatures, width: u16, height: u16) -> Result<Self, IndexError> {
        let descriptors = &features.descriptors;
        if !descriptors.is_empty() && descriptors.components() != BYTES {
            return Err(IndexError::Components(descriptors.components()));
        }
        let code = |values: &[f32; BYTES]| values.map(|value| (value * STEP).clamp(-127.0, 127.0).round() as i8 as u8);
        let codes = descriptors.values().as_chunks().0.iter().map(code).collect();
        Self::new(Kind::Float, features.keypoints.clone(), codes, width, height)
    }

    /// Of A-KAZE's features of a picture of `width` by `height` pixels; errors as in [`Self::from_float`].
    pub fn from_binary(features: &BinaryFeatures, width: u16, height: u16) -> Result<Self, IndexError> {
        let codes = features.descriptors.iter().map(|words| {
            let mut code = [0; BYTES];
            code.as_chunks_mut().0.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
            code
        });
        Self::new(Kind::Binary, features.keypoints.clone(), codes.collect(), width, height)
    }

    fn new(
        kind: Kind,
        keypoints: Vec<Keypoint>,
        codes: Vec<Code>,
        width: u16,
        height: u16,
    ) -> Result<Self, IndexError> {
        if keypoints.len() != codes.len() {
            return Err(IndexError::Unpaired { points: keypoints.len(), descriptors: codes.len() });
        }
        if codes.len() > usize::from(u16::MAX) {
            return Err(IndexError::TooManyFeatures(codes.len()));
        }
        Ok(Self { kind, width, height, keypoints, codes })
    }

    /// What its descriptors are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The number of features.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The points, in the order of the features.
    pub fn keypoints(&self) -> &[Keypoint] {
        &self.keypoints
    }

    /// Their descriptors.
    pub fn codes(&self) -> &[Code] {
        &self.codes
    }
}

/// How far `code` is from each of `others`: squared distances in steps of 1/256, or differing bits.
pub fn distances(kind: Kind, code: &Code, others: &[Code], out: &mut Vec<u32>) {
    out.resize(others.len(), 0);
    match kind {
        Kind::Float => squared(code, others, out),
        Kind::Binary => differing(code, others, out),
    }
}

vectorised! {
    fn squared(code: &Code, others: &[Code], out: &mut [u32]) {
        let code = code.map(|byte| i16::from(byte as i8));
        for (out, other) in out.iter_mut().zip(others) {
            let mut sum = 0_i32;
            for (&a, &b) in code.iter().zip(other) {
                let off = i32::from(a - i16::from(b as i8));
                sum += off * off;
            }
            *out = sum as u32;
        }
    }
}

vectorised! {
    fn differing(code: &Code, others: &[Code], out: &mut [u32]) {
        let words = |code: &Code| -> [u64; 8] {
            let chunks = code.as_chunks().0;
            std::array::from_fn(|i| u64::from_le_bytes(chunks[i]))
        };
        let code = words(code);
        for (out, other) in out.iter_mut().zip(others) {
            let other = words(other);
            *out = code.iter().zip(&other).map(|(a, b)| (a ^ b).count_ones()).sum();
        }
    }
}
