//! The built-in descriptor of a box, for where no CNN embedding is configured.
//!
//! What a product is told by here is its colours, how bright they are, and how busy and how directed its print is; not
//! where in the box they lie, for the same bottle stands, lies and turns its back.

use larder_records::{BoundingBox, PPM, Ppm};

use crate::{ImageGrey8, ImageRgb8, lighting::GainMap};

const LUMA_BINS: usize = 7;
const COLOUR_BINS: usize = 9;
const COLOURS: usize = LUMA_BINS * COLOUR_BINS * COLOUR_BINS;
const EDGE_BINS: usize = 8;
/// Components of a descriptor.
pub const DESCRIPTOR_LEN: usize = COLOURS + EDGE_BINS;

/// The part of the squared length that edges have.
const EDGE_SHARE: f32 = 0.15;

/// Adds `weight` to the two bins around `at`, by nearness.
fn split(at: f32, bins: usize) -> [(usize, f32); 2] {
    let at = at.clamp(0.0, (bins - 1) as f32);
    let low = (at as usize).min(bins - 2);
    let part = at - low as f32;
    [(low, 1.0 - part), (low + 1, part)]
}

/// The place of a chromaticity (-0.5 to 0.5) among the bins: finer near grey, where most products are.
fn colour_bin(chroma: f32) -> f32 {
    let middle = (COLOUR_BINS / 2) as f32;
    middle + middle * (chroma.abs() * 2.0).sqrt().copysign(chroma)
}

/// The logarithm to base 2 of a number from 1 up, straight between powers of two: the same on every machine.
fn octaves(value: f32) -> f32 {
    let bits = value.to_bits();
    ((bits >> 23) as f32 - 127.0) + (bits & 0x7f_ffff) as f32 / 8_388_608.0
}

/// What is known of a picture beside its pixels.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The light that falls on each place.
    pub gains: &'a GainMap,
    /// How much each place differs from the background, `factor` times smaller than the picture; none where there is
    /// none known.
    pub change: Option<(&'a ImageGrey8, usize)>,
}

/// The change from which a pixel surely is the object's.
const SURE_CHANGE: f32 = 12.0;
/// The weight of a pixel that looks like the empty scene: an object may have the scene's colour.
const UNCHANGED_WEIGHT: f32 = 0.15;

/// Describes the pixels of `bounds`: unit length, each component times 127.
///
/// Histograms of brightness and chromaticity (opponent colours over intensity) under even light, with bins shared by
/// nearness, of the pixels in the ellipse that fits the box; and of how strong edges are. Square roots make the dot
/// product of two of them the Bhattacharyya coefficient (as in RootSIFT: Arandjelovic and Zisserman 2012).
pub fn describe(image: &ImageRgb8, bounds: BoundingBox, around: Surroundings) -> Vec<i8> {
    let mut colours = [0.0_f32; COLOURS];
    let mut edges = [0.0_f32; EDGE_BINS];
    let bounds = image.clip(bounds);
    let (width, height) =
        (f32::from(bounds.right.saturating_sub(bounds.left)), f32::from(bounds.bottom.saturating_sub(bounds.top)));
    // About 1,200 samples say as much as all pixels.
    let stride = ((width * height / 1200.0).sqrt() as usize).max(1);
    let mut above: &[[u8; 3]] = &[];
    for (y, row) in image.rows_in(bounds).enumerate().step_by(stride) {
        let dy = (y as f32 + 0.5) / height * 2.0 - 1.0;
        for x in (0..row.len()).step_by(stride) {
            let dx = (x as f32 + 0.5) / width * 2.0 - 1.0;
            let out = dx * dx + dy * dy;
            if out > 1.3 {
                continue;
            }
            let (full_x, full_y) = (usize::from(bounds.left) + x, usize::from(bounds.top) + y);
            let gain = around.gains.at(full_x, full_y).map(|gain| f32::from(gain) / 256.0);
            let changed = around.change.map_or(1.0, |(change, factor)| {
                let (x, y) = ((full_x / factor).min(change.width() - 1), (full_y / factor).min(change.height() - 1));
                (f32::from(change.row(y)[x]) / SURE_CHANGE).clamp(UNCHANGED_WEIGHT, 1.0)
            });
            let weight = (1.0 - 0.5 * out) * changed;
            let [r, g, b]: [f32; 3] = std::array::from_fn(|c| (f32::from(row[x][c]) * gain[c]).min(255.0));
            let intensity = r + g + b + 40.0;
            let luma = split((r + g + b) / 765.0 * LUMA_BINS as f32 - 0.5, LUMA_BINS);
            let red = split(colour_bin((r - g) / intensity), COLOUR_BINS);
            let yellow = split(colour_bin(((r + g) * 0.5 - b) / intensity), COLOUR_BINS);
            for (l, wl) in luma {
                for (u, wu) in red {
                    for (v, wv) in yellow {
                        colours[(l * COLOUR_BINS + u) * COLOUR_BINS + v] += weight * wl * wu * wv;
                    }
                }
            }
            if let (Some(up), true) = (above.get(x), x >= stride) {
                let grey = |[r, g, b]: [u8; 3]| (f32::from(r) + 2.0 * f32::from(g) + f32::from(b)) * 0.25 * gain[1];
                let (gx, gy) = (grey(row[x]) - grey(row[x - stride]), grey(row[x]) - grey(*up));
                let strength = (gx * gx + gy * gy).sqrt();
                for (bin, part) in split(octaves(strength + 1.0) - 0.5, EDGE_BINS) {
                    edges[bin] += weight * part;
                }
            }
        }
        above = row;
    }
    let mut out = Vec::with_capacity(DESCRIPTOR_LEN);
    for (bins, share) in [(colours.as_slice(), 1.0 - EDGE_SHARE), (&edges, EDGE_SHARE)] {
        let total: f32 = bins.iter().sum();
        out.extend(bins.iter().map(|bin| (127.0 * (share * bin / total.max(1e-6)).sqrt()).round() as i8));
    }
    out
}

/// The cosine of the angle between two descriptors; 0 where they are of different kinds or opposed.
pub fn similarity(a: &[i8], b: &[i8]) -> Ppm {
    if a.len() != b.len() {
        return 0;
    }
    let dot = |a: &[i8], b: &[i8]| a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
    let norm = f64::from(dot(a, a)) * f64::from(dot(b, b));
    if norm == 0.0 {
        return 0;
    }
    (f64::from(dot(a, b)).max(0.0) / norm.sqrt() * f64::from(PPM)).round().min(f64::from(PPM)) as Ppm
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disc(inside: [u8; 3], outside: [u8; 3]) -> ImageRgb8 {
        let pixels = (0..60 * 60)
            .map(|i| {
                let (x, y) = (i % 60 - 30, i / 60 - 30);
                if x * x + y * y < 500 { inside } else { outside }
            })
            .collect();
        ImageRgb8::from_pixels(60, 60, pixels).unwrap()
    }

    fn plain(image: &ImageRgb8) -> Vec<i8> {
        describe(image, image.bounds(), Surroundings { gains: &GainMap::default(), change: None })
    }

    #[test]
    fn a_product_is_more_like_itself_on_its_side_than_like_another() {
        let mut bottle = disc([30, 140, 40], [200, 190, 170]);
        (20..25).for_each(|y| bottle.row_mut(y)[20..40].fill([230, 230, 60]));
        let mut lying = bottle.clone();
        for y in 0..60 {
            for x in 0..60 {
                lying.row_mut(x)[59 - y] = bottle.row(y)[x];
            }
        }
        let ketchup = disc([170, 30, 30], [200, 190, 170]);
        let (bottle, lying, ketchup) = (plain(&bottle), plain(&lying), plain(&ketchup));
        assert_eq!(similarity(&bottle, &bottle), PPM);
        assert!(similarity(&bottle, &lying) > 980_000);
        assert!(similarity(&bottle, &ketchup) < 700_000);
    }

    #[test]
    fn what_did_not_change_hardly_counts() {
        let (on_white, on_red) = (disc([30, 60, 160], [220, 215, 210]), disc([30, 60, 160], [190, 40, 40]));
        let mut change = ImageGrey8::new(60, 60);
        for (to, from) in change.pixels_mut().iter_mut().zip(on_white.pixels()) {
            *to = if from[2] == 160 { 100 } else { 0 };
        }
        let gains = GainMap::default();
        let seen = |image: &ImageRgb8| {
            describe(image, image.bounds(), Surroundings { gains: &gains, change: Some((&change, 1)) })
        };
        let masked = similarity(&seen(&on_white), &seen(&on_red));
        assert!(masked > similarity(&plain(&on_white), &plain(&on_red)) && masked > 900_000, "{masked}");
    }

    #[test]
    fn descriptors_of_different_kinds_and_empty_boxes_are_like_nothing() {
        let image = disc([0; 3], [255; 3]);
        let nothing = BoundingBox { left: 70, top: 70, right: 90, bottom: 90 };
        let gains = GainMap::default();
        let empty = describe(&image, nothing, Surroundings { gains: &gains, change: None });
        assert_eq!((empty.len(), similarity(&empty, &plain(&image))), (DESCRIPTOR_LEN, 0));
        assert_eq!(similarity(&[1, 2], &[1, 2, 3]), 0);
    }
}
