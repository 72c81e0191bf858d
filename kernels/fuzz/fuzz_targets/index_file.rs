//! Product index files whose checksums are right: what checksums hold back from a fuzzer, a bad writer can still do.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use larder_kernels::{
    features::{FloatDescriptors, FloatFeatures, Keypoint},
    index::{Colours, Described, Kind, ProductIndex, Recognised, Recognition, SearchScratch, Training, Vocabulary},
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

/// Bytes of a chunk's header.
const HEADER: usize = 64;

/// Twelve features, other ones for each `which`.
fn described(which: u32) -> Described {
    let keypoints = (0..12_u16).map(|i| Keypoint {
        x: f32::from(i % 4) * 30.0 + which as f32,
        y: f32::from(i / 4) * 40.0,
        size: 8.0,
        angle: f32::from(i) * 0.5,
        response: 1.0,
        octave: 0,
        level: 0,
    });
    let value = |i: u32| (((i + which * 7919).wrapping_mul(2_654_435_761) >> 16) & 255) as f32 / 800.0 - 0.16;
    let descriptors = FloatDescriptors::from_values(64, (0..12 * 64).map(value).collect()).unwrap_or_default();
    Described::from_float(&FloatFeatures { keypoints: keypoints.collect(), descriptors }, 120, 120)
        .expect("one for each")
}

/// An index of three products, one of which was removed again, in two writes.
static SEED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let codes: Vec<_> = (0..3).flat_map(|which| described(which).codes().to_vec()).collect();
    let training = Training { branches: Some(2), ..Training::default() };
    let mut index = ProductIndex::new(Vocabulary::train(Kind::Float, &codes, &training).expect("codes"));
    let mut file = Vec::new();
    index.add(1, &described(0), Colours::UNKNOWN).expect("the kind");
    index.add(2, &described(1), Colours::UNKNOWN).expect("the kind");
    index.save(&mut file).expect("memory");
    index.remove(1);
    index.add(3, &described(2), Colours::UNKNOWN).expect("the kind");
    index.append(&mut file).expect("memory");
    file
});

/// Makes every checksum right, chunk by chunk.
fn seal(file: &mut [u8]) {
    let mut rest = file;
    while rest.len() >= HEADER {
        let length = u64::from_le_bytes(std::array::from_fn(|i| rest[16 + i]));
        let filled = usize::try_from(length).ok().and_then(|length| length.checked_next_multiple_of(64));
        let filled = filled.unwrap_or(usize::MAX).min(rest.len() - HEADER);
        let (chunk, after) = rest.split_at_mut(HEADER + filled);
        let sum = crc32fast::hash(&chunk[HEADER..]);
        chunk[24..28].copy_from_slice(&sum.to_le_bytes());
        let sum = crc32fast::hash(&chunk[..HEADER - 4]);
        chunk[HEADER - 4..HEADER].copy_from_slice(&sum.to_le_bytes());
        rest = after;
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = if (size < 2 * HEADER || seed.is_multiple_of(64)) && SEED.len() <= max_size {
        data[..SEED.len()].copy_from_slice(&SEED);
        SEED.len()
    } else {
        size
    };
    let size = fuzzer_mutate(data, size, max_size);
    seal(&mut data[..size]);
    size
});

fn answers(index: &ProductIndex) -> Option<Vec<Recognised>> {
    index.recognise(&described(1), None, &Recognition::default(), &mut SearchScratch::default()).ok()
}

fuzz_target!(|data: &[u8]| {
    let Ok(mut index) = ProductIndex::open(Bytes::copy_from_slice(data)) else { return };
    answers(&index);
    if index.add(5, &described(1), Colours::UNKNOWN).is_err() {
        return;
    }
    let first = index.products().next();
    if let Some(first) = first {
        index.remove(first);
    }
    let mut file = Vec::new();
    index.save(&mut file).expect("memory");
    let read = ProductIndex::open(file.into()).expect("what is written can be read");
    // Debug text: numbers that are none are not equal to themselves.
    assert_eq!(format!("{:?}", answers(&index)), format!("{:?}", answers(&read)));
});
