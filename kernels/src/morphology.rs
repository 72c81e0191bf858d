//! Clean-up of masks: erosion, dilation, opening and closing with a square.

use crate::ImageGrey8;

/// Each pixel becomes the smallest (`erode`) or largest value within `radius` rows and columns; outside the picture
/// there is nothing. Separable: rows, then columns.
#[inline(always)]
fn extreme(mask: &mut ImageGrey8, radius: usize, scratch: &mut ImageGrey8, pick: impl Fn(u8, u8) -> u8 + Copy) {
    // A closure, not a function pointer: the loops must be compiled for what they pick to be vectorised.
    if radius == 0 || mask.pixels().is_empty() {
        return;
    }
    let (width, height) = (mask.width(), mask.height());
    scratch.reshape(width, height);
    for y in 0..height {
        let (from, to) = (mask.row(y), scratch.row_mut(y));
        to.copy_from_slice(from);
        for shift in 1..=radius.min(width - 1) {
            to[shift..].iter_mut().zip(from).for_each(|(to, &from)| *to = pick(*to, from));
            to.iter_mut().zip(&from[shift..]).for_each(|(to, &from)| *to = pick(*to, from));
        }
    }
    for y in 0..height {
        let to = mask.row_mut(y);
        to.copy_from_slice(scratch.row(y));
        for other in y.saturating_sub(radius)..(y + radius + 1).min(height) {
            to.iter_mut().zip(scratch.row(other)).for_each(|(to, &from)| *to = pick(*to, from));
        }
    }
}

/// The smallest value within `radius`.
pub fn erode(mask: &mut ImageGrey8, radius: usize, scratch: &mut ImageGrey8) {
    extreme(mask, radius, scratch, |a, b| a.min(b));
}

/// The largest value within `radius`.
pub fn dilate(mask: &mut ImageGrey8, radius: usize, scratch: &mut ImageGrey8) {
    extreme(mask, radius, scratch, |a, b| a.max(b));
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
