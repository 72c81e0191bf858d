//! Local features: points that are found again from elsewhere and under other light, and what is around each.

/// A point of interest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    /// Column, in pixels of the picture; the centre of the first pixel is 0.
    pub x: f32,
    /// Row, in pixels of the picture; the centre of the first pixel is 0.
    pub y: f32,
    /// Diameter of what is described, in pixels of the picture.
    pub size: f32,
    /// The main orientation in radians, 0 to 2 pi, from the axis of x towards that of y; 0 where features are upright.
    pub angle: f32,
    /// How strongly the point stands out; comparable within one picture.
    pub response: f32,
    /// The octave it was found in.
    pub octave: u8,
    /// The level of the scale space it was found in, over all octaves.
    pub level: u8,
}

/// The points of a picture and their descriptors, one for each, in the same order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features<D> {
    /// The points.
    pub keypoints: Vec<Keypoint>,
    /// What is around each.
    pub descriptors: D,
}

/// Descriptors of floating-point components: unit vectors, compared by the distance between them (L2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatDescriptors {
    components: usize,
    values: Vec<f32>,
}

impl FloatDescriptors {
    /// None yet, of `components` components each.
    pub fn new(components: usize) -> Self {
        Self { components, values: Vec::new() }
    }

    /// Of the given values, one descriptor after another; none where they are not whole descriptors.
    pub fn from_values(components: usize, values: Vec<f32>) -> Option<Self> {
        (components > 0 && values.len().is_multiple_of(components)).then_some(Self { components, values })
    }

    /// Components of a descriptor.
    pub fn components(&self) -> usize {
        self.components
    }

    /// The number of descriptors.
    pub fn len(&self) -> usize {
        self.values.len() / self.components.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All values, one descriptor after another.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values themselves, to use their buffer again.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// The descriptor of that index.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn get(&self, index: usize) -> &[f32] {
        &self.values[index * self.components..][..self.components]
    }
}

/// A descriptor of bits, compared by how many differ (Hamming): M-LDB's 486, the rest zero; the first bit is the lowest of the
/// first word.
pub type BinaryDescriptor = [u64; 8];

/// Features as KAZE finds them.
pub type FloatFeatures = Features<FloatDescriptors>;
/// Features as A-KAZE finds them.
pub type BinaryFeatures = Features<Vec<BinaryDescriptor>>;
