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
