//! Made-up descriptors, the same as in `tests/python/opencv_features.py`.

use larder_kernels::features::{BinaryDescriptor, FloatDescriptors};

/// Components of a float descriptor.
const COMPONENTS: usize = 64;

/// SplitMix64 of `index`.
fn noise(index: usize) -> u64 {
    let word = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Descriptors of 486 bits, from the one with the number `start`.
pub fn binary(start: usize, count: usize) -> Vec<BinaryDescriptor> {
    (start..start + count)
        .map(|number| {
            let mut words = std::array::from_fn(|word| noise(number * 8 + word));
            words[7] &= (1 << (486 - 7 * 64)) - 1;
            words
        })
        .collect()
}

/// Descriptors of 64 components from -1 to 1, from the one with the number `start`.
pub fn floats(start: usize, count: usize) -> FloatDescriptors {
    let values = (start * COMPONENTS..(start + count) * COMPONENTS)
        .map(|index| (noise(index) >> 40) as f32 / (1 << 23) as f32 - 1.0)
        .collect();
    FloatDescriptors::from_values(COMPONENTS, values).unwrap()
}
