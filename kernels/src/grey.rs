//! How bright a coloured picture is.

use crate::{ImageGrey8, ImageRgb8};

/// Weights of red, green and blue (ITU-R BT.601), in parts of 2^16.
const WEIGHTS: [u32; 3] = [19_595, 38_470, 7_471];

/// The brightness of each pixel, rounded; grey stays what it is.
pub fn grey(image: &ImageRgb8, into: &mut ImageGrey8) {
    into.reshape(image.width(), image.height());
    for (to, &[red, green, blue]) in into.pixels_mut().iter_mut().zip(image.pixels()) {
        let sum = WEIGHTS[0] * u32::from(red) + WEIGHTS[1] * u32::from(green) + WEIGHTS[2] * u32::from(blue);
        *to = ((sum + (1 << 15)) >> 16) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_stays_and_green_is_the_brightest_of_colours() {
        let mut pixels: Vec<[u8; 3]> = (0..=255).map(|value| [value; 3]).collect();
        pixels.extend([[255, 0, 0], [0, 255, 0], [0, 0, 255]]);
        let mut brightness = ImageGrey8::default();
        grey(&ImageRgb8::from_pixels(7, 37, pixels).unwrap(), &mut brightness);
        let expected: Vec<u8> = (0..=255).chain([76, 150, 29]).collect();
        assert_eq!(brightness.pixels(), expected);
    }
}
