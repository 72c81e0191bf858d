//! Made-up numbers, and descriptors of them that are the same as in `tests/python/opencv_features.py`.
// Who uses it takes a part.
#![allow(dead_code)]

use larder_kernels::features::{BinaryDescriptor, FloatDescriptors};

/// Components of a float descriptor.
const COMPONENTS: usize = 64;

/// The number at `index` of those from `seed` by SplitMix64 (Steele, Lea and Flood 2014).
pub fn noise(seed: u64, index: usize) -> u64 {
    let word = seed.wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Descriptors of 486 bits, from the one with the number `start`.
pub fn binary(start: usize, count: usize) -> Vec<BinaryDescriptor> {
    (start..start + count)
        .map(|number| {
            let mut words = std::array::from_fn(|word| noise(0, number * 8 + word));
            words[7] &= (1 << (486 - 7 * 64)) - 1;
            words
        })
        .collect()
}

/// Descriptors of 64 components from -1 to 1, from the one with the number `start`.
pub fn floats(start: usize, count: usize) -> FloatDescriptors {
    let values = (start * COMPONENTS..(start + count) * COMPONENTS)
        .map(|index| (noise(0, index) >> 40) as f32 / (1 << 23) as f32 - 1.0)
        .collect();
    FloatDescriptors::from_values(COMPONENTS, values).unwrap()
}
