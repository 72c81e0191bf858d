//! The built-in descriptor of a box, for where no CNN embedding is configured.
//!
//! What a product is told by here is its colours, how bright they are, and how busy and how directed its print is; not
//! where in the box they lie, for the same bottle stands, lies and turns its back.

use larder_records::{BoundingBox, PPM, Ppm};

use crate::{ImageGrey8, ImageRgb8, lighting::GainMap, simd::vectorised, whole::whole};

const LUMA_BINS: usize = 7;
const COLOUR_BINS: usize = 9;
const COLOURS: usize = LUMA_BINS * COLOUR_BINS * COLOUR_BINS;
const EDGE_BINS: usize = 8;
/// Components of a descriptor.
pub const DESCRIPTOR_LEN: usize = COLOURS + EDGE_BINS;

/// The part of the squared length that edges have.
const EDGE_SHARE: f32 = 0.15;

/// The lower of the two bins that `at` lies between, and how near it is to the upper one.
#[inline(always)]
fn split(at: f32, bins: usize) -> (u32, f32) {
    let (at, low) = whole(at, (bins - 1) as f32);
    let low = low.min(bins as i32 - 2);
    (low as u32, at - low as f32)
}

/// The place of a chromaticity (-0.5 to 0.5) among the bins: finer near grey, where most products are.
#[inline(always)]
fn colour_bin(chroma: f32) -> f32 {
    let middle = (COLOUR_BINS / 2) as f32;
    middle + middle * (chroma.abs() * 2.0).sqrt().copysign(chroma)
}

/// The logarithm to base 2 of a number from 1 up, straight between powers of two: the same on every machine.
#[inline(always)]
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

/// Pixels that are weighed at once.
const BLOCK: usize = 128;

/// Pixels as they are read; each field has a value for each.
struct Samples {
    len: usize,
    pixel: [[u8; BLOCK]; 3],
    gain: [[u16; BLOCK]; 3],
    change: [u8; BLOCK],
    /// The squared distance from the middle of the box, where the ellipse that fits it has 1.
    out: [f32; BLOCK],
    /// Four times the brightness without any gain, of the pixel, the one to the left and the one above.
    grey: [[u16; BLOCK]; 3],
    /// 1 where there is one to the left and one above, else 0.
    edge: [f32; BLOCK],
}

/// What pixels add to the bins.
struct Weighed {
    /// The first of eight bins of colour.
    bin: [u32; BLOCK],
    /// Weights by brightness and the first chromaticity; those by the second, which they are multiplied by.
    colour: [[f32; BLOCK]; 4],
    yellow: [[f32; BLOCK]; 2],
    edge_bin: [u32; BLOCK],
    edge: [[f32; BLOCK]; 2],
}

vectorised! {
    /// All of a block, however many of it are used: the loop then has no rest.
    fn weigh(samples: &Samples, into: &mut Weighed) {
        for i in 0..BLOCK {
            let changed = (f32::from(samples.change[i]) / SURE_CHANGE).clamp(UNCHANGED_WEIGHT, 1.0);
            let weight = (1.0 - 0.5 * samples.out[i]) * changed;
            let gain: [f32; 3] = std::array::from_fn(|c| f32::from(samples.gain[c][i]) / 256.0);
            let [r, g, b]: [f32; 3] =
                std::array::from_fn(|c| (f32::from(samples.pixel[c][i]) * gain[c]).min(255.0));
            let intensity = r + g + b + 40.0;
            let (l, luma) = split((r + g + b) / 765.0 * LUMA_BINS as f32 - 0.5, LUMA_BINS);
            let (u, red) = split(colour_bin((r - g) / intensity), COLOUR_BINS);
            let (v, yellow) = split(colour_bin(((r + g) * 0.5 - b) / intensity), COLOUR_BINS);
            into.bin[i] = (l * COLOUR_BINS as u32 + u) * COLOUR_BINS as u32 + v;
            let (darker, lighter) = (weight * (1.0 - luma), weight * luma);
            into.colour[0][i] = darker * (1.0 - red);
            into.colour[1][i] = darker * red;
            into.colour[2][i] = lighter * (1.0 - red);
            into.colour[3][i] = lighter * red;
            into.yellow[0][i] = 1.0 - yellow;
            into.yellow[1][i] = yellow;
            let grey: [f32; 3] = std::array::from_fn(|n| f32::from(samples.grey[n][i]) * 0.25 * gain[1]);
            let (gx, gy) = (grey[0] - grey[1], grey[0] - grey[2]);
            let strength = (gx * gx + gy * gy).sqrt();
            let (bin, part) = split(octaves(strength + 1.0) - 0.5, EDGE_BINS);
            let weight = weight * samples.edge[i];
            into.edge_bin[i] = bin;
            into.edge[0][i] = weight * (1.0 - part);
            into.edge[1][i] = weight * part;
        }
    }
}

vectorised! {
    /// The roots of `bins` as parts of their sum, `share` of the squared length.
    fn rooted(bins: &[f32], share: f32, into: &mut [i8]) {
        let total = bins.iter().sum::<f32>().max(1e-6);
        for (to, bin) in into.iter_mut().zip(bins) {
            // Rounded, for which vectors have no instruction: away from 0.
            let (root, part) = whole(127.0 * (share * bin / total).sqrt(), 127.0);
            *to = (part + i32::from(root - part as f32 >= 0.5)) as i8;
        }
    }
}

/// Histograms of a box, and the buffers that they are filled from.
struct Histograms {
    colours: [f32; COLOURS],
    edges: [f32; EDGE_BINS],
    samples: Samples,
    weighed: Weighed,
}

impl Histograms {
    /// The bins that a colour is shared among, from its first on: two neighbours in each of three directions.
    const SPAN: usize = COLOUR_BINS * COLOUR_BINS + COLOUR_BINS + 2;

    fn new() -> Self {
        let samples = Samples {
            len: 0,
            pixel: [[0; BLOCK]; 3],
            gain: [[0; BLOCK]; 3],
            change: [0; BLOCK],
            out: [0.0; BLOCK],
            grey: [[0; BLOCK]; 3],
            edge: [0.0; BLOCK],
        };
        let weighed = Weighed {
            bin: [0; BLOCK],
            colour: [[0.0; BLOCK]; 4],
            yellow: [[0.0; BLOCK]; 2],
            edge_bin: [0; BLOCK],
            edge: [[0.0; BLOCK]; 2],
        };
        Self { colours: [0.0; COLOURS], edges: [0.0; EDGE_BINS], samples, weighed }
    }

    /// Adds the pixels read so far to the bins, one after the other.
    fn add(&mut self) {
        let Self { colours, edges, samples, weighed } = self;
        weigh(samples, weighed);
        for i in 0..std::mem::take(&mut samples.len) {
            let yellow = [weighed.yellow[0][i], weighed.yellow[1][i]];
            let first = weighed.bin[i] as usize;
            if let Some(bins) = colours[first..].first_chunk_mut::<{ Self::SPAN }>() {
                let starts = [0, COLOUR_BINS, COLOUR_BINS * COLOUR_BINS, COLOUR_BINS * COLOUR_BINS + COLOUR_BINS];
                for (start, weight) in starts.into_iter().zip(&weighed.colour) {
                    bins[start] += weight[i] * yellow[0];
                    bins[start + 1] += weight[i] * yellow[1];
                }
            }
            let first = weighed.edge_bin[i] as usize;
            edges[first] += weighed.edge[0][i];
            edges[first + 1] += weighed.edge[1][i];
        }
    }
}

/// What does not change from row to row of a box, by sampled column.
struct Column {
    /// In the box.
    x: usize,
    /// Of the map of gains, and of that of change.
    gain: usize,
    change: usize,
    /// The square of how far from the middle it is.
    out: f32,
}

/// Describes the pixels of `bounds`: unit length, each component times 127.
///
/// Histograms of brightness and chromaticity (opponent colours over intensity) under even light, with bins shared by
/// nearness, of the pixels in the ellipse that fits the box; and of how strong edges are. Square roots make the dot
/// product of two of them the Bhattacharyya coefficient (as in RootSIFT: Arandjelovic and Zisserman 2012).
pub fn describe(image: &ImageRgb8, bounds: BoundingBox, around: Surroundings) -> Vec<i8> {
    let mut histograms = Histograms::new();
    let bounds = image.clip(bounds);
    let (width, height) =
        (f32::from(bounds.right.saturating_sub(bounds.left)), f32::from(bounds.bottom.saturating_sub(bounds.top)));
    // About 1,200 samples say as much as all pixels.
    let stride = ((width * height / 1200.0).sqrt() as usize).max(1);
    let change_cell = |at: usize, factor: usize, side: usize| (at / factor).min(side - 1);
    let from_middle = |at: usize, side: f32| (at as f32 + 0.5) / side * 2.0 - 1.0;
    let columns: Vec<Column> = (0..usize::from(bounds.right.saturating_sub(bounds.left)))
        .step_by(stride)
        .map(|x| {
            let full_x = usize::from(bounds.left) + x;
            let from_middle = from_middle(x, width);
            Column {
                x,
                gain: around.gains.column(full_x),
                change: around.change.map_or(0, |(change, factor)| change_cell(full_x, factor, change.width())),
                out: from_middle * from_middle,
            }
        })
        .collect();
    let mut above: Vec<u16> = vec![0; columns.len()];
    for (y, row) in image.rows_in(bounds).enumerate().step_by(stride) {
        let full_y = usize::from(bounds.top) + y;
        let gains = around.gains.row(full_y);
        let change = around.change.map(|(change, factor)| change.row(change_cell(full_y, factor, change.height())));
        let from_middle = from_middle(y, height);
        let mut left = 0;
        for (index, (column, above)) in columns.iter().zip(&mut above).enumerate() {
            let pixel = row[column.x];
            let [r, g, b] = pixel.map(u16::from);
            let grey = r + 2 * g + b;
            let before = [std::mem::replace(&mut left, grey), std::mem::replace(above, grey)];
            let out = column.out + from_middle * from_middle;
            if out > 1.3 {
                continue;
            }
            let samples = &mut histograms.samples;
            let at = samples.len;
            let gain = gains[column.gain];
            for c in 0..3 {
                samples.pixel[c][at] = pixel[c];
                samples.gain[c][at] = gain[c];
            }
            // Where no background is known, all of it is the object's.
            samples.change[at] = change.map_or(u8::MAX, |change| change[column.change]);
            samples.out[at] = out;
            samples.grey[0][at] = grey;
            samples.grey[1][at] = before[0];
            samples.grey[2][at] = before[1];
            samples.edge[at] = f32::from(u8::from(y > 0 && index > 0));
            samples.len += 1;
            if samples.len == BLOCK {
                histograms.add();
            }
        }
    }
    histograms.add();
    let mut out = vec![0; DESCRIPTOR_LEN];
    let (colours, edges) = out.split_at_mut(COLOURS);
    rooted(&histograms.colours, 1.0 - EDGE_SHARE, colours);
    rooted(&histograms.edges, EDGE_SHARE, edges);
    out
}

vectorised! {
    fn dot(a: &[i8], b: &[i8]) -> i32 {
        a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
    }
}

/// The cosine of the angle between two descriptors; 0 where they are of different kinds or opposed.
pub fn similarity(a: &[i8], b: &[i8]) -> Ppm {
    if a.len() != b.len() {
        return 0;
    }
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
