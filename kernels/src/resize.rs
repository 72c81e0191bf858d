//! Other sizes of a picture.

use crate::ImageRgb8;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
