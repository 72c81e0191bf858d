//! The kernels of vision beside plain loops that say the same pixel by pixel, on every instruction set.
#![allow(clippy::unwrap_used)]

use larder_kernels::{
    ImageGrey8, ImageRgb8, Plane,
    align::{Pyramid, Template},
    describe::{DESCRIPTOR_LEN, Surroundings, describe},
    lighting::GainMap,
    simd::{InstructionSet, limit},
};
use larder_records::BoundingBox;
use proptest::prelude::*;

/// Some noise on some colours, the same every time.
fn picture(width: usize, height: usize, seed: u32) -> ImageRgb8 {
    let pixel = |i: usize| {
        let (x, y) = (i % width, i / width);
        let noise = (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 24;
        let base = [(x * 5 + y) % 256, (x * y / 9 + seed as usize) % 256, (3 * y + 40) % 256];
        base.map(|base| (base as u32 * 7 / 8 + noise / 8) as u8)
    };
    ImageRgb8::from_pixels(width, height, (0..width * height).map(pixel).collect()).unwrap()
}

/// What the descriptor says it is: every sampled pixel shares its weight among eight bins of colour and two of edges.
fn plain_descriptor(
    image: &ImageRgb8,
    bounds: BoundingBox,
    gains: &GainMap,
    change: Option<(&ImageGrey8, usize)>,
) -> Vec<i8> {
    let mut bins = [0.0_f32; DESCRIPTOR_LEN];
    let bounds = image.clip(bounds);
    let (left, top) = (usize::from(bounds.left), usize::from(bounds.top));
    let (wide, high) = (usize::from(bounds.right) - left, usize::from(bounds.bottom) - top);
    let stride = (((wide * high) as f32 / 1200.0).sqrt() as usize).max(1);
    let near = |at: f32, bins: usize| {
        let at = at.clamp(0.0, (bins - 1) as f32);
        let low = (at.floor() as usize).min(bins - 2);
        [(low, 1.0 - (at - low as f32)), (low + 1, at - low as f32)]
    };
    let chroma_place = |chroma: f32| 4.0 + 4.0 * (chroma.abs() * 2.0).sqrt() * chroma.signum();
    for y in (0..high).step_by(stride) {
        for x in (0..wide).step_by(stride) {
            let dx = (x as f32 + 0.5) / wide as f32 * 2.0 - 1.0;
            let dy = (y as f32 + 0.5) / high as f32 * 2.0 - 1.0;
            let out = dx * dx + dy * dy;
            if out > 1.3 {
                continue;
            }
            let changed = change.map_or(1.0, |(change, factor)| {
                let row = change.row(((top + y) / factor).min(change.height() - 1));
                (f32::from(row[((left + x) / factor).min(change.width() - 1)]) / 12.0).clamp(0.15, 1.0)
            });
            let weight = (1.0 - 0.5 * out) * changed;
            let gain = gains.at(left + x, top + y).map(|gain| f32::from(gain) / 256.0);
            let raw = |x: usize, y: usize| image.row(top + y)[left + x].map(f32::from);
            let here = raw(x, y);
            let [r, g, b] = [0, 1, 2].map(|c| (here[c] * gain[c]).min(255.0));
            let sum = r + g + b;
            for (l, light) in near(sum / 765.0 * 7.0 - 0.5, 7) {
                for (u, red) in near(chroma_place((r - g) / (sum + 40.0)), 9) {
                    for (v, yellow) in near(chroma_place(((r + g) * 0.5 - b) / (sum + 40.0)), 9) {
                        bins[l * 81 + u * 9 + v] += weight * light * red * yellow;
                    }
                }
            }
            if x > 0 && y > 0 {
                let grey = |[r, g, b]: [f32; 3]| (r + 2.0 * g + b) * 0.25 * gain[1];
                let (gx, gy) = (grey(here) - grey(raw(x - stride, y)), grey(here) - grey(raw(x, y - stride)));
                let strength = (gx * gx + gy * gy).sqrt() + 1.0;
                let whole = (0..).take_while(|n| strength >= 2.0_f32.powi(n + 1)).count() as i32;
                let octaves = whole as f32 + (strength / 2.0_f32.powi(whole) - 1.0);
                for (bin, part) in near(octaves - 0.5, 8) {
                    bins[567 + bin] += weight * part;
                }
            }
        }
    }
    let (colours, edges) = bins.split_at(567);
    let rooted = |bins: &[f32], share: f32| -> Vec<i8> {
        let total = bins.iter().sum::<f32>().max(1e-6);
        bins.iter().map(|bin| (127.0 * (share * bin / total).sqrt()).round() as i8).collect()
    };
    [rooted(colours, 1.0 - 0.15), rooted(edges, 0.15)].concat()
}

/// Runs `work` on every instruction set that this machine has.
fn on_every_set<T>(mut work: impl FnMut() -> T) -> Vec<T> {
    let results = InstructionSet::ALL.map(|set| {
        limit(set);
        work()
    });
    results.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_descriptor_is_that_of_plain_loops_on_every_instruction_set(
        (left, top, wide, high) in (0_u16..60, 0_u16..60, 1_u16..120, 1_u16..120),
        seed in 0_u32..1000,
        factor in 1_usize..5,
        lit in any::<bool>(),
        known in any::<bool>(),
    ) {
        let (width, height) = (130, 110);
        let image = picture(width, height, seed);
        let (across, down) = (width / factor, height / factor);
        let mut gains = GainMap::default();
        if lit {
            let mut all = ImageGrey8::new(across, down);
            all.pixels_mut().fill(1);
            gains.from_scene(&picture(across, down, seed + 1), &all, factor, 3);
        }
        let change = (0..across * down).map(|i| (i * 7 % 40) as u8).collect();
        let change = ImageGrey8::from_pixels(across, down, change).unwrap();
        let change = known.then_some((&change, factor));
        let bounds = BoundingBox { left, top, right: left + wide, bottom: top + high };
        let plain = plain_descriptor(&image, bounds, &gains, change);
        for ours in on_every_set(|| describe(&image, bounds, Surroundings { gains: &gains, change })) {
            prop_assert_eq!(&ours, &plain);
        }
    }
}

#[test]
fn a_picture_is_aligned_the_same_on_every_instruction_set() {
    let light = |x0: f32, y0: f32| {
        let mut plane = Plane::<i16>::new(231, 187);
        for y in 0..187 {
            for x in 0..231 {
                let (x, y) = (x as f32 + x0, y as f32 + y0);
                let wave = (x * 0.07).sin() + (y * 0.05).cos() + (x * 0.02 + y * 0.03).sin();
                plane.row_mut((y - y0) as usize)[(x - x0) as usize] = (110.0 + 40.0 * wave) as i16;
            }
        }
        plane
    };
    let [mut still, mut moved] = [Pyramid::default(), Pyramid::default()];
    still.fill(&light(0.0, 0.0));
    moved.fill(&light(5.0, -3.0));
    let template = Template::new(&still);
    let found = on_every_set(|| template.align(&moved).unwrap());
    let (x, y) = found[0].map.apply(100.0, 90.0);
    assert!((x - 95.0).abs() < 0.3 && (y - 93.0).abs() < 0.3, "{x}, {y}");
    assert!(found.iter().all(|other| *other == found[0]), "{found:?}");
}
