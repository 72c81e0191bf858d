//! Other sizes of a picture.

use image::{
    RgbImage,
    imageops::{FilterType, resize},
};
use larder_records::BoundingBox;

use crate::{ImageGrey8, ImageRgb8};

/// The part of a picture inside `bounds`, larger or smaller so that its longer side has `side` pixels; nothing where there is
/// nothing inside. Pixels between pixels are straight between them (larger) or means (smaller).
pub fn cut_to_side(image: &ImageRgb8, bounds: BoundingBox, side: usize) -> ImageRgb8 {
    let pixels: Vec<[u8; 3]> = image.rows_in(bounds).flatten().copied().collect();
    let bounds = image.clip(bounds);
    let (width, height) = (
        u32::from(bounds.right.saturating_sub(bounds.left)),
        u32::from(bounds.bottom) - u32::from(bounds.top.min(bounds.bottom)),
    );
    let longer = u64::from(width.max(height));
    let Some(cut) = RgbImage::from_raw(width, height, pixels.into_flattened()).filter(|_| width.min(height) > 0) else {
        return ImageRgb8::default();
    };
    let scaled = |length: u32| ((u64::from(length) * side as u64 + longer / 2) / longer).max(1) as u32;
    let scaled = resize(&cut, scaled(width), scaled(height), FilterType::Triangle);
    let (width, height) = (scaled.width() as usize, scaled.height() as usize);
    let pixels = scaled.into_raw().as_chunks().0.to_vec();
    ImageRgb8::from_pixels(width, height, pixels).unwrap_or_default()
}

/// The picture made smaller by a whole `factor`: each pixel is the rounded mean of `factor * factor`. Columns and rows
/// that do not fill a block are dropped, but a side never falls below one pixel.
pub fn shrink(image: &ImageRgb8, factor: usize, into: &mut ImageRgb8) {
    let factor = factor.max(1).min(image.width().max(1)).min(image.height().max(1));
    let (width, height) = (image.width() / factor, image.height() / factor);
    into.reshape(width, height);
    let half = (factor * factor / 2) as u32;
    let area = (factor * factor) as u32;
    let mut sums = vec![[half; 3]; width];
    for y in 0..height {
        sums.fill([half; 3]);
        for row in y * factor..(y + 1) * factor {
            for (sum, block) in sums.iter_mut().zip(image.row(row).chunks_exact(factor)) {
                for pixel in block {
                    for channel in 0..3 {
                        sum[channel] += u32::from(pixel[channel]);
                    }
                }
            }
        }
        for (to, sum) in into.row_mut(y).iter_mut().zip(&sums) {
            *to = sum.map(|channel| (channel / area) as u8);
        }
    }
}

/// Weights sum up to this.
const WEIGHT: i32 = 1 << 11;

/// The picture made larger by a whole `factor`, smoothly (bicubic after Keys 1981, a = -1/2), so that features that are too small for
/// the finest level of a scale space are found. Pixel centres are at halves: the pixel x becomes `(x + 1/2) * factor - 1/2`.
pub fn enlarge(image: &ImageGrey8, factor: usize, into: &mut ImageGrey8) {
    let factor = factor.max(1);
    let (width, height) = (image.width(), image.height());
    into.reshape(width * factor, height * factor);
    if width == 0 || height == 0 {
        return;
    }
    let taps = taps(factor);
    // Rows made wider, times WEIGHT.
    let mut wide = vec![0_i32; width * factor * height];
    for (y, wide) in wide.chunks_exact_mut(width * factor).enumerate() {
        let row = image.row(y);
        for (x, out) in wide.iter_mut().enumerate() {
            let (first, weights) = &taps[x % factor];
            *out =
                (0..4).map(|tap| weights[tap] * i32::from(row[clamped(x / factor, first + tap as isize, width)])).sum();
        }
    }
    for y in 0..height * factor {
        let (first, weights) = &taps[y % factor];
        let rows: [&[i32]; 4] = std::array::from_fn(|tap| {
            let row = clamped(y / factor, first + tap as isize, height);
            &wide[row * width * factor..][..width * factor]
        });
        for (x, out) in into.row_mut(y).iter_mut().enumerate() {
            let sum: i32 = (0..4).map(|tap| weights[tap] * rows[tap][x]).sum();
            *out = ((sum + WEIGHT * WEIGHT / 2) / (WEIGHT * WEIGHT)).clamp(0, 255) as u8;
        }
    }
}

fn clamped(at: usize, off: isize, length: usize) -> usize {
    at.saturating_add_signed(off).min(length - 1)
}

/// For each pixel of a block the first of its four taps, from the pixel that the block was, and their weights.
fn taps(factor: usize) -> Vec<(isize, [i32; 4])> {
    let place = |pixel: usize| (pixel as f64 + 0.5) / factor as f64 - 0.5;
    let taps = (0..factor).map(|pixel| {
        let first = place(pixel).floor() as isize - 1;
        let mut weights = [0_i32; 4];
        for (tap, weight) in weights.iter_mut().enumerate() {
            let d = (place(pixel) - (first + tap as isize) as f64).abs();
            let cubic = if d < 1.0 {
                1.5 * d * d * d - 2.5 * d * d + 1.0
            } else {
                -0.5 * d * d * d + 2.5 * d * d - 4.0 * d + 2.0
            };
            *weight = (cubic * f64::from(WEIGHT)).round() as i32;
        }
        // What rounding lost goes to the nearest.
        let nearest = usize::from(weights[2] > weights[1]) + 1;
        weights[nearest] += WEIGHT - weights.iter().sum::<i32>();
        (first, weights)
    });
    taps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cutting_has_the_side_that_is_asked_for_and_shows_what_was_there() {
        let pixels = (0..40 * 30).map(|i| if i % 40 < 20 { [200, 0, 0] } else { [0, 0, 100] }).collect();
        let image = ImageRgb8::from_pixels(40, 30, pixels).unwrap();
        let bounds = BoundingBox { left: 10, top: 5, right: 30, bottom: 15 };
        let larger = cut_to_side(&image, bounds, 100);
        assert_eq!((larger.width(), larger.height()), (100, 50));
        assert_eq!((larger.row(25)[10], larger.row(25)[90]), ([200, 0, 0], [0, 0, 100]));
        assert_eq!(cut_to_side(&image, bounds, 10).width(), 10);
        for nothing in [
            BoundingBox { left: 50, top: 0, right: 60, bottom: 9 },
            BoundingBox { left: 9, top: 9, right: 3, bottom: 3 },
        ] {
            assert_eq!(cut_to_side(&image, nothing, 10), ImageRgb8::default());
        }
    }

    #[test]
    fn each_small_pixel_is_the_mean_of_its_block() {
        let pixels = (0..5 * 4).map(|i| [i as u8, 2 * i as u8, 255]).collect();
        let image = ImageRgb8::from_pixels(5, 4, pixels).unwrap();
        let mut small = ImageRgb8::default();
        shrink(&image, 2, &mut small);
        // Blocks of (0, 1, 5, 6), (2, 3, 7, 8), (10, 11, 15, 16), (12, 13, 17, 18); the fifth column is dropped.
        assert_eq!(small.pixels(), [[3, 6, 255], [5, 10, 255], [13, 26, 255], [15, 30, 255]]);
        shrink(&image, 1, &mut small);
        assert_eq!(small, image);
        shrink(&image, 99, &mut small);
        assert_eq!((small.width(), small.height()), (1, 1));
    }

    #[test]
    fn an_enlarged_slope_is_the_same_slope() {
        let image =
            ImageGrey8::from_pixels(20, 9, (0..20 * 9).map(|i| (i % 20 * 7 + i / 20 * 3) as u8).collect()).unwrap();
        for factor in [1, 2, 3, 5] {
            let mut large = ImageGrey8::default();
            enlarge(&image, factor, &mut large);
            assert_eq!((large.width(), large.height()), (20 * factor, 9 * factor));
            // Cubic convolution keeps slopes, but for the last pixels, beyond which the picture is held to go on flat.
            for (y, x) in (2 * factor..7 * factor).flat_map(|y| (2 * factor..18 * factor).map(move |x| (y, x))) {
                let place = |pixel: usize| (pixel as f64 + 0.5) / factor as f64 - 0.5;
                let expected = place(x) * 7.0 + place(y) * 3.0;
                assert!((f64::from(large.row(y)[x]) - expected).abs() <= 0.6, "{factor}: {x},{y}");
            }
        }
        enlarge(&ImageGrey8::default(), 3, &mut ImageGrey8::new(4, 4));
    }

    #[test]
    fn an_edge_overshoots_no_brightness_that_there_is_none_of() {
        let image = ImageGrey8::from_pixels(6, 4, (0..24).map(|i| if i % 6 < 3 { 0 } else { 255 }).collect()).unwrap();
        let mut large = ImageGrey8::default();
        enlarge(&image, 4, &mut large);
        assert!(
            large.row(0)[..8].iter().all(|&light| light == 0) && large.row(0)[16..].iter().all(|&light| light == 255)
        );
        assert!(large.row(7).is_sorted());
    }
}
