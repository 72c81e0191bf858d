//! Opponent colours: brightness, red against green, yellow against blue.

use crate::{ImageRgb8, Plane};

/// A picture in opponent colours, one plane each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpponentImage {
    /// `(2 R + 5 G + B) / 8`: 0 to 255.
    pub luma: Plane<i16>,
    /// `R - G`: -255 to 255.
    pub red_green: Plane<i16>,
    /// `(R + G) / 2 - B`: -255 to 255.
    pub yellow_blue: Plane<i16>,
}

impl OpponentImage {
    /// Takes the colours of `image`, reusing the buffers.
    pub fn fill(&mut self, image: &ImageRgb8) {
        let (width, height) = (image.width(), image.height());
        self.luma.reshape(width, height);
        self.red_green.reshape(width, height);
        self.yellow_blue.reshape(width, height);
        let planes =
            self.luma.pixels_mut().iter_mut().zip(self.red_green.pixels_mut()).zip(self.yellow_blue.pixels_mut());
        for (((luma, red_green), yellow_blue), pixel) in planes.zip(image.pixels()) {
            [*luma, *red_green, *yellow_blue] = opponent(*pixel);
        }
    }
}

/// One colour on the three axes of [`OpponentImage`].
pub(crate) fn opponent(pixel: [u8; 3]) -> [i16; 3] {
    let [r, g, b] = pixel.map(i16::from);
    [(2 * r + 5 * g + b + 4) >> 3, r - g, ((r + g) >> 1) - b]
}
