//! KAZE and A-KAZE on pictures whose points are known.
#![allow(clippy::unwrap_used)]

use larder_kernels::{
    ImageGrey8,
    features::{BinaryFeatures, FloatFeatures, Keypoint},
    kaze::{Akaze, AkazeParams, AkazeScratch, Diffusivity, Kaze, KazeParams, KazeScratch},
    simd::{InstructionSet, limit},
};
use proptest::prelude::*;

fn kaze(image: &ImageGrey8, params: KazeParams, threads: usize) -> FloatFeatures {
    let mut features = FloatFeatures::default();
    Kaze::new(params).with_threads(threads).detect_and_compute(image, &mut KazeScratch::default(), &mut features);
    features
}

fn akaze(image: &ImageGrey8, params: AkazeParams, threads: usize) -> BinaryFeatures {
    let mut features = BinaryFeatures::default();
    Akaze::new(params).with_threads(threads).detect_and_compute(image, &mut AkazeScratch::default(), &mut features);
    features
}

/// Spots of many sizes, dark and bright.
fn spots(width: usize, height: usize) -> ImageGrey8 {
    let spots: Vec<(f32, f32, f32, f32)> = (0..width * height / 700)
        .map(|i| {
            let part = |by: usize, of: usize| (i * by % of) as f32;
            let (x, y) = (part(7919, width), part(104_729, height));
            (x, y, 2.0 + part(31, 9), if i % 2 == 0 { 90.0 } else { -80.0 })
        })
        .collect();
    let pixel = |i: usize| {
        let (x, y) = ((i % width) as f32, (i / width) as f32);
        let light = spots.iter().fold(120.0, |sum, &(sx, sy, radius, light)| {
            let squared = (x - sx) * (x - sx) + 1.7 * (y - sy) * (y - sy) + 0.5 * (x - sx) * (y - sy);
            if squared < 40.0 * radius * radius {
                sum + light * (-squared / (2.0 * radius * radius)).exp()
            } else {
                sum
            }
        });
        light.clamp(0.0, 255.0) as u8
    };
    ImageGrey8::from_pixels(width, height, (0..width * height).map(pixel).collect()).unwrap()
}

/// A picture with room for three octaves.
const SIDE: usize = 400;

/// One round spot of that standard deviation.
fn spot(x: f32, y: f32, sigma: f32) -> ImageGrey8 {
    let pixel = |i: usize| {
        let (dx, dy) = ((i % SIDE) as f32 - x, (i / SIDE) as f32 - y);
        (60.0 + 180.0 * (-(dx * dx + dy * dy) / (2.0 * sigma * sigma)).exp()) as u8
    };
    ImageGrey8::from_pixels(SIDE, SIDE, (0..SIDE * SIDE).map(pixel).collect()).unwrap()
}

#[test]
fn a_result_does_not_depend_on_the_instruction_set_or_the_threads() {
    for (width, height, least) in [(317, 203, 50), (131, 97, 1)] {
        let image = spots(width, height);
        let all = InstructionSet::ALL.map(|most| {
            limit(most);
            let float = [1, 2, 3].map(|threads| kaze(&image, KazeParams::default(), threads));
            let binary = [1, 2, 3].map(|threads| akaze(&image, AkazeParams::default(), threads));
            (float, binary)
        });
        assert!(all[0].0[0].keypoints.len() >= least && all[0].1[0].keypoints.len() >= least);
        for (float, binary) in &all {
            assert!(float.iter().all(|found| *found == all[0].0[0]));
            assert!(binary.iter().all(|found| *found == all[0].1[0]));
        }
    }
}

#[test]
fn scratch_of_another_picture_changes_nothing() {
    let (large, small) = (spots(300, 220), spots(131, 97));
    let (mut scratch, mut found) = (KazeScratch::default(), FloatFeatures::default());
    let (mut binary_scratch, mut binary) = (AkazeScratch::default(), BinaryFeatures::default());
    for image in [&large, &small, &large] {
        Kaze::new(KazeParams::default()).detect_and_compute(image, &mut scratch, &mut found);
        assert_eq!(found, kaze(image, KazeParams::default(), 1));
        Akaze::new(AkazeParams::default()).detect_and_compute(image, &mut binary_scratch, &mut binary);
        assert_eq!(binary, akaze(image, AkazeParams::default(), 1));
    }
}

#[test]
fn a_spot_is_found_where_it_is_and_as_large_as_it_is() {
    for diffusivity in [Diffusivity::PmG1, Diffusivity::PmG2, Diffusivity::Weickert, Diffusivity::Charbonnier] {
        let mut sizes = Vec::new();
        for (x, y, sigma) in [(201.3, 197.8, 2.5), (190.5, 204.25, 5.0), (199.0, 201.6, 10.0)] {
            // One of the places is halfway between two pixels, which are then equal.
            let image = spot(x, y, sigma);
            let found = kaze(&image, KazeParams { diffusivity, ..KazeParams::default() }, 1);
            let binary = akaze(&image, AkazeParams { diffusivity, ..AkazeParams::default() }, 1);
            for best in [found.keypoints[0], binary.keypoints[0]] {
                assert!((best.x - x).abs() < 0.5 && (best.y - y).abs() < 0.5, "{diffusivity:?} {sigma}: {best:?}");
            }
            sizes.push(found.keypoints[0].size);
        }
        for pair in sizes.windows(2) {
            assert!((1.3..3.0).contains(&(pair[1] / pair[0])), "{diffusivity:?}: {sizes:?}");
        }
    }
}

/// The picture turned by a quarter.
fn turned(image: &ImageGrey8) -> ImageGrey8 {
    let (width, height) = (image.width(), image.height());
    let pixel = |i: usize| image.row(height - 1 - i % height)[i / height];
    ImageGrey8::from_pixels(height, width, (0..width * height).map(pixel).collect()).unwrap()
}

fn pairs<'a>(
    before: &'a [Keypoint],
    after: &'a [Keypoint],
    height: usize,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    before.iter().enumerate().filter_map(move |(a, point)| {
        let (x, y) = (height as f32 - 1.0 - point.y, point.x);
        let near = |other: &Keypoint| (other.x - x).hypot(other.y - y) < 0.2 && other.level == point.level;
        Some((a, after.iter().position(near)?))
    })
}

#[test]
fn a_turned_picture_has_the_same_points_with_the_same_descriptors_turned() {
    let image = spots(256, 192);
    let quarter = std::f32::consts::FRAC_PI_2;
    let turn = |a: &Keypoint, b: &Keypoint| ((b.angle - a.angle) / quarter).rem_euclid(4.0);

    let (before, after) = (kaze(&image, KazeParams::default(), 1), kaze(&turned(&image), KazeParams::default(), 1));
    let found: Vec<_> = pairs(&before.keypoints, &after.keypoints, 192).collect();
    assert!(found.len() * 100 >= before.keypoints.len() * 95, "{} of {}", found.len(), before.keypoints.len());
    let same = found.iter().filter(|&&(a, b)| {
        let (one, other) = (before.descriptors.get(a), after.descriptors.get(b));
        let distance: f32 = one.iter().zip(other).map(|(p, q)| (p - q) * (p - q)).sum();
        distance < 1e-6 && (turn(&before.keypoints[a], &after.keypoints[b]) - 1.0).abs() < 1e-4
    });
    assert!(same.count() * 100 >= found.len() * 90);

    let (before, after) = (akaze(&image, AkazeParams::default(), 1), akaze(&turned(&image), AkazeParams::default(), 1));
    let found: Vec<_> = pairs(&before.keypoints, &after.keypoints, 192).collect();
    assert!(found.len() * 100 >= before.keypoints.len() * 95, "{} of {}", found.len(), before.keypoints.len());
    let same = found.iter().filter(|&&(a, b)| {
        let bits: u32 = before.descriptors[a].iter().zip(after.descriptors[b]).map(|(p, q)| (p ^ q).count_ones()).sum();
        bits <= 2 && (turn(&before.keypoints[a], &after.keypoints[b]) - 1.0).abs() < 1e-4
    });
    assert!(same.count() * 100 >= found.len() * 90);
}

#[test]
fn descriptors_are_unit_vectors_and_upright_points_have_no_angle() {
    let image = spots(256, 192);
    for extended in [false, true] {
        let found = kaze(&image, KazeParams { extended, upright: true, ..KazeParams::default() }, 1);
        assert_eq!(found.descriptors.components(), if extended { 128 } else { 64 });
        assert_eq!(found.descriptors.len(), found.keypoints.len());
        for index in 0..found.keypoints.len() {
            let length: f32 = found.descriptors.get(index).iter().map(|value| value * value).sum();
            assert!((length - 1.0).abs() < 1e-4, "{length}");
            assert_eq!(found.keypoints[index].angle, 0.0);
        }
    }
    let binary = akaze(&image, AkazeParams { upright: true, ..AkazeParams::default() }, 1);
    // 486 bits of 512.
    assert!(binary.descriptors.iter().all(|words| words[7] >> 38 == 0));
}

#[test]
fn an_extended_descriptor_holds_the_plain_one() {
    let image = spots(200, 150);
    let plain = kaze(&image, KazeParams::default(), 1);
    let extended = kaze(&image, KazeParams { extended: true, ..KazeParams::default() }, 1);
    assert_eq!(plain.keypoints, extended.keypoints);
    for index in 0..plain.keypoints.len() {
        let parts = extended.descriptors.get(index).as_chunks::<8>().0;
        let sums: Vec<f32> = parts.iter().flat_map(|p| [p[0] + p[1], p[4] + p[5], p[2] + p[3], p[6] + p[7]]).collect();
        let length = sums.iter().map(|value| value * value).sum::<f32>().sqrt();
        for (sum, component) in sums.iter().zip(plain.descriptors.get(index)) {
            assert!((sum / length - component).abs() < 1e-4);
        }
    }
}

#[test]
fn the_strongest_points_are_kept_first() {
    let image = spots(256, 192);
    let all = kaze(&image, KazeParams::default(), 1);
    assert!(all.keypoints.windows(2).all(|pair| pair[0].response >= pair[1].response));
    let few = kaze(&image, KazeParams { max_points: 7, ..KazeParams::default() }, 1);
    assert_eq!(few.keypoints, all.keypoints[..7]);
    let (all, few) = (
        akaze(&image, AkazeParams::default(), 1),
        akaze(&image, AkazeParams { max_points: 7, ..AkazeParams::default() }, 1),
    );
    assert_eq!(few.keypoints, all.keypoints[..7]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_picture_and_any_parameters_give_points_in_the_picture(
        width in 0_usize..70, height in 0_usize..70, noise in any::<u64>(), octaves in 0_usize..20, layers in 0_usize..40,
        threshold in 0.0_f32..0.01,
    ) {
        let pixel = |i: usize| ((i as u64 + 1).wrapping_mul(noise | 1) >> 13) as u8;
        let image = ImageGrey8::from_pixels(width, height, (0..width * height).map(pixel).collect()).unwrap();
        let (n_octaves, n_octave_layers) = (octaves, layers);
        let found = kaze(&image, KazeParams { threshold, n_octaves, n_octave_layers, ..KazeParams::default() }, 2);
        let binary = akaze(&image, AkazeParams { threshold, n_octaves, n_octave_layers, ..AkazeParams::default() }, 2);
        for point in found.keypoints.iter().chain(&binary.keypoints) {
            prop_assert!(point.x >= 0.0 && point.x <= width as f32 - 1.0, "{point:?}");
            prop_assert!(point.y >= 0.0 && point.y <= height as f32 - 1.0, "{point:?}");
            prop_assert!(point.size > 0.0 && point.response > threshold);
            prop_assert!((0.0..=std::f32::consts::TAU).contains(&point.angle));
        }
    }
}
