//! Clean-up of masks: erosion, dilation, opening and closing with a square.

use crate::{ImageGrey8, simd::vectorised};

vectorised! {
    /// Each pixel becomes the smallest (`LARGEST` 0) or largest value within `radius` rows and columns; outside the picture
    /// there is nothing. Separable: rows, then columns. `scratch` is as large as `mask`.
    fn extreme<const LARGEST: usize>(mask: &mut [u8], scratch: &mut [u8], width: usize, radius: usize) {
        let pick = |a: u8, b: u8| if LARGEST == 0 { a.min(b) } else { a.max(b) };
        for (from, to) in mask.chunks_exact(width).zip(scratch.chunks_exact_mut(width)) {
            to.copy_from_slice(from);
            for shift in 1..=radius.min(width - 1) {
                to[shift..].iter_mut().zip(from).for_each(|(to, &from)| *to = pick(*to, from));
                to.iter_mut().zip(&from[shift..]).for_each(|(to, &from)| *to = pick(*to, from));
            }
        }
        let height = mask.len() / width;
        for (y, to) in mask.chunks_exact_mut(width).enumerate() {
            let mut others = scratch.chunks_exact(width).take((y + radius + 1).min(height)).skip(y.saturating_sub(radius));
            others.next().into_iter().for_each(|other| to.copy_from_slice(other));
            for other in others {
                to.iter_mut().zip(other).for_each(|(to, &from)| *to = pick(*to, from));
            }
        }
    }
}

fn run<const LARGEST: usize>(mask: &mut ImageGrey8, radius: usize, scratch: &mut ImageGrey8) {
    if radius == 0 || mask.pixels().is_empty() {
        return;
    }
    let width = mask.width();
    scratch.reshape(width, mask.height());
    extreme::<LARGEST>(mask.pixels_mut(), scratch.pixels_mut(), width, radius);
}

/// The smallest value within `radius`.
pub fn erode(mask: &mut ImageGrey8, radius: usize, scratch: &mut ImageGrey8) {
    run::<0>(mask, radius, scratch);
}

/// The largest value within `radius`.
pub fn dilate(mask: &mut ImageGrey8, radius: usize, scratch: &mut ImageGrey8) {
    run::<1>(mask, radius, scratch);
}

/// Removes what is narrower than `2 * radius + 1` pixels.
pub fn open(mask: &mut ImageGrey8, radius: usize, scratch: &mut ImageGrey8) {
    erode(mask, radius, scratch);
    dilate(mask, radius, scratch);
}

/// Fills gaps narrower than `2 * radius + 1` pixels.
pub fn close(mask: &mut ImageGrey8, radius: usize, scratch: &mut ImageGrey8) {
    dilate(mask, radius, scratch);
    erode(mask, radius, scratch);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every pixel by looking at every pixel of its square.
    fn plain(mask: &ImageGrey8, radius: usize, pick: fn(u8, u8) -> u8) -> ImageGrey8 {
        let mut out = mask.clone();
        for y in 0..mask.height() {
            for x in 0..mask.width() {
                for ny in y.saturating_sub(radius)..(y + radius + 1).min(mask.height()) {
                    for nx in x.saturating_sub(radius)..(x + radius + 1).min(mask.width()) {
                        let to = &mut out.row_mut(y)[x];
                        *to = pick(*to, mask.row(ny)[nx]);
                    }
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn erosion_and_dilation_are_those_of_plain_loops(
            width in 0_usize..9,
            values in prop::collection::vec(0_u8..4, 0..80),
            radius in 0_usize..12,
        ) {
            let height = values.len() / width.max(1);
            let mask = ImageGrey8::from_pixels(width, height, values[..width * height].to_vec()).unwrap();
            let (mut eroded, mut dilated, mut scratch) = (mask.clone(), mask.clone(), ImageGrey8::default());
            erode(&mut eroded, radius, &mut scratch);
            dilate(&mut dilated, radius, &mut scratch);
            prop_assert_eq!(eroded, plain(&mask, radius, u8::min));
            prop_assert_eq!(dilated, plain(&mask, radius, u8::max));
        }
    }
}
