//! What differs between a picture and the empty scene.

use crate::{
    ImageGrey8, ImageGrey16, ImageRgb8,
    opponent::{OpponentImage, opponent},
    simd::vectorised,
    whole::whole,
};

/// Weight of the two colour axes against brightness: light varies more than colour does.
const COLOUR_WEIGHT: i32 = 2;
/// Units of distance in one unit of the result.
const UNIT: f32 = 4.0;

/// How far each pixel of `picture` is from the nearest colour within `reach` pixels of the same place in `empty`: the
/// Euclidean distance over (brightness, 2 x red-green, 2 x yellow-blue), divided by 4, 255 at most; 0 where `known` is 0.
///
/// The reach forgives a camera that moved: parallax, which no alignment of a whole picture undoes. `scratch` is
/// overwritten.
///
/// # Panics
/// Where the pictures differ in size.
pub fn colour_change(
    picture: &OpponentImage,
    empty: &OpponentImage,
    known: &ImageGrey8,
    reach: usize,
    scratch: &mut Vec<i32>,
    into: &mut ImageGrey8,
) {
    let (width, height) = (picture.luma.width(), picture.luma.height());
    assert_eq!((width, height), (empty.luma.width(), empty.luma.height()), "picture and empty scene differ in size");
    assert_eq!((width, height), (known.width(), known.height()), "picture and mask differ in size");
    into.reshape(width, height);
    for y in 0..height {
        scratch.clear();
        scratch.resize(width, i32::MAX);
        let here = [picture.luma.row(y), picture.red_green.row(y), picture.yellow_blue.row(y)];
        for other in y.saturating_sub(reach)..(y + reach + 1).min(height) {
            let there = [empty.luma.row(other), empty.red_green.row(other), empty.yellow_blue.row(other)];
            for shift in 0..=reach.min(width.saturating_sub(1)) {
                nearer(&mut scratch[shift..], here.map(|row| &row[shift..]), there);
                if shift > 0 {
                    nearer(scratch, here, there.map(|row| &row[shift..]));
                }
            }
        }
        distances(scratch, known.row(y), into.row_mut(y));
    }
}

/// The distance of two colours, as [`colour_change`] measures it.
pub fn colour_distance(a: [u8; 3], b: [u8; 3]) -> u8 {
    let (a, b) = (opponent(a), opponent(b));
    distance(squared(std::array::from_fn(|c| i32::from(a[c]) - i32::from(b[c]))))
}

/// From (brightness, red-green, yellow-blue) differences.
#[inline(always)]
fn squared(d: [i32; 3]) -> i32 {
    d[0] * d[0] + COLOUR_WEIGHT * COLOUR_WEIGHT * (d[1] * d[1] + d[2] * d[2])
}

#[inline(always)]
fn distance(squared: i32) -> u8 {
    whole((squared as f32).sqrt() / UNIT, 255.0).1 as u8
}

vectorised! {
    /// Lowers each of `nearest` to the squared distance of the colours beside it.
    fn nearer(nearest: &mut [i32], here: [&[i16]; 3], there: [&[i16]; 3]) {
        let here = here[0].iter().zip(here[1]).zip(here[2]);
        let there = there[0].iter().zip(there[1]).zip(there[2]);
        for ((nearest, ((h0, h1), h2)), ((t0, t1), t2)) in nearest.iter_mut().zip(here).zip(there) {
            let difference = |h: &i16, t: &i16| i32::from(h - t);
            *nearest = (*nearest).min(squared([difference(h0, t0), difference(h1, t1), difference(h2, t2)]));
        }
    }
}

vectorised! {
    /// The distances of the squares `nearest`, where `known`.
    fn distances(nearest: &[i32], known: &[u8], into: &mut [u8]) {
        for ((to, &nearest), &known) in into.iter_mut().zip(nearest).zip(known) {
            *to = if known == 0 { 0 } else { distance(nearest) };
        }
    }
}

/// How far each pixel of a depth or infrared picture is from the same place in `empty`, divided by `unit`, 255 at most;
/// 0 where either has no reading.
///
/// # Panics
/// Where the pictures differ in size, or `unit` is 0.
pub fn grey_change(picture: &ImageGrey16, empty: &ImageGrey16, unit: u16, into: &mut ImageGrey8) {
    assert_eq!((picture.width(), picture.height()), (empty.width(), empty.height()), "the pictures differ in size");
    into.reshape(picture.width(), picture.height());
    for ((to, &now), &then) in into.pixels_mut().iter_mut().zip(picture.pixels()).zip(empty.pixels()) {
        *to = if now == 0 || then == 0 { 0 } else { (now.abs_diff(then) / unit).min(255) as u8 };
    }
}

/// Guesses the pixels where `known` is 0: the mean of the known pixels around, from the edges of each gap inwards, until
/// none is left (or none was known). `known` becomes 1 where a guess was made.
pub fn fill_unknown(image: &mut ImageRgb8, known: &mut ImageGrey8) {
    let (width, height) = (image.width(), image.height());
    loop {
        let before = known.clone();
        let mut filled = 0;
        for y in 0..height {
            for x in 0..width {
                if before.row(y)[x] != 0 {
                    continue;
                }
                let (mut sum, mut count) = ([0_u32; 3], 0);
                for ny in y.saturating_sub(1)..(y + 2).min(height) {
                    for nx in x.saturating_sub(1)..(x + 2).min(width) {
                        if before.row(ny)[nx] != 0 {
                            let pixel = image.row(ny)[nx];
                            (0..3).for_each(|c| sum[c] += u32::from(pixel[c]));
                            count += 1;
                        }
                    }
                }
                if count > 0 {
                    image.row_mut(y)[x] = sum.map(|s| ((s + count / 2) / count) as u8);
                    known.row_mut(y)[x] = 1;
                    filled += 1;
                }
            }
        }
        if filled == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picture(width: usize, height: usize, values: &[u8]) -> ImageRgb8 {
        let pixels = (0..width * height).map(|i| std::array::from_fn(|c| values[(3 * i + c) % values.len()])).collect();
        ImageRgb8::from_pixels(width, height, pixels).unwrap()
    }

    proptest! {
        #[test]
        fn change_is_the_distance_to_the_nearest_colour_around(
            width in 1_usize..9,
            height in 1_usize..7,
            now in prop::collection::vec(any::<u8>(), 5..50),
            then in prop::collection::vec(any::<u8>(), 5..50),
            reach in 0_usize..4,
        ) {
            let (now, then) = (picture(width, height, &now), picture(width, height, &then));
            let (mut a, mut b, mut out) = (OpponentImage::default(), OpponentImage::default(), ImageGrey8::default());
            a.fill(&now);
            b.fill(&then);
            let mut known = ImageGrey8::new(width, height);
            known.pixels_mut().iter_mut().skip(1).for_each(|known| *known = 1);
            colour_change(&a, &b, &known, reach, &mut Vec::new(), &mut out);
            for y in 0..height {
                for x in 0..width {
                    let mut least = u8::MAX;
                    for ny in y.saturating_sub(reach)..(y + reach + 1).min(height) {
                        for nx in x.saturating_sub(reach)..(x + reach + 1).min(width) {
                            least = least.min(colour_distance(now.row(y)[x], then.row(ny)[nx]));
                        }
                    }
                    let expected = if (x, y) == (0, 0) { 0 } else { least };
                    prop_assert_eq!(out.row(y)[x], expected);
                }
            }
        }
    }

    #[test]
    fn places_without_a_reading_did_not_change() {
        let now = ImageGrey16::from_pixels(4, 1, vec![500, 0, 500, 500]).unwrap();
        let then = ImageGrey16::from_pixels(4, 1, vec![800, 800, 0, 510]).unwrap();
        let mut out = ImageGrey8::default();
        grey_change(&now, &then, 30, &mut out);
        assert_eq!(out.pixels(), [10, 0, 0, 0]);
    }

    #[test]
    fn gaps_are_filled_from_their_edges() {
        let mut image = ImageRgb8::from_pixels(4, 1, vec![[10, 20, 30], [0; 3], [0; 3], [50, 60, 70]]).unwrap();
        let mut known = ImageGrey8::from_pixels(4, 1, vec![1, 0, 0, 1]).unwrap();
        fill_unknown(&mut image, &mut known);
        assert_eq!(image.pixels(), [[10, 20, 30], [10, 20, 30], [50, 60, 70], [50, 60, 70]]);
    }
}
