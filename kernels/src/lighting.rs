//! Evening out the lighting: what each place must be multiplied by to look as under even, white light.

use crate::{ImageGrey8, ImageRgb8, Plane};

/// What the empty scene looks like under even light: a light grey.
const EVEN: u32 = 200;
/// Gains are kept between these, times 256: dark places hold more noise than light.
const GAIN_RANGE: (u32, u32) = (160, 768);

/// The gain of a place whose `count` pixels sum up to `sum`.
fn even_gain(sum: u32, count: u32) -> u16 {
    (EVEN * 256 * count / sum.max(1)).clamp(GAIN_RANGE.0, GAIN_RANGE.1) as u16
}

/// A gain for each place and channel, times 256.
#[derive(Clone, Debug)]
pub struct GainMap {
    factor: usize,
    gains: Plane<[u16; 3]>,
}

impl Default for GainMap {
    /// Leaves every picture as it is.
    fn default() -> Self {
        let mut map = Self { factor: 1, gains: Plane::default() };
        map.reset();
        map
    }
}

impl GainMap {
    /// Leaves every picture of any size as it is.
    pub fn reset(&mut self) {
        self.factor = usize::MAX;
        self.gains.reshape(1, 1);
        self.gains.pixels_mut().fill([256; 3]);
    }

    /// The same everywhere: what looks like `white` is made an even light grey.
    pub fn from_white(white: [u8; 3]) -> Self {
        let mut map = Self::default();
        map.gains.pixels_mut().fill(white.map(|channel| even_gain(u32::from(channel), 1)));
        map
    }

    /// From the empty scene as the picture's camera sees it under its light, `factor` times smaller than the picture:
    /// the scene's interior is taken to be about white, so what is not white there is the light's doing. The light is
    /// the mean within `radius` pixels; where `known` is 0, the picture is left as it is.
    pub fn from_scene(&mut self, empty: &ImageRgb8, known: &ImageGrey8, factor: usize, radius: usize) {
        let (width, height) = (empty.width(), empty.height());
        self.factor = factor.max(1);
        self.gains.reshape(width, height);
        // Sums over rows and columns before each pixel (Crow 1984), with the number of known pixels as the last channel.
        let stride = width + 1;
        let mut sums = vec![[0_u32; 4]; stride * (height + 1)];
        for y in 0..height {
            let mut row = [0_u32; 4];
            for (x, (pixel, &known)) in empty.row(y).iter().zip(known.row(y)).enumerate() {
                if known != 0 {
                    (0..3).for_each(|c| row[c] += u32::from(pixel[c]));
                    row[3] += 1;
                }
                let above = sums[y * stride + x + 1];
                sums[(y + 1) * stride + x + 1] = std::array::from_fn(|c| row[c] + above[c]);
            }
        }
        for y in 0..height {
            let (top, bottom) = (y.saturating_sub(radius) * stride, (y + radius + 1).min(height) * stride);
            for (x, gain) in self.gains.row_mut(y).iter_mut().enumerate() {
                let (left, right) = (x.saturating_sub(radius), (x + radius + 1).min(width));
                let sum = |c: usize| {
                    sums[bottom + right][c]
                        .wrapping_add(sums[top + left][c])
                        .wrapping_sub(sums[bottom + left][c])
                        .wrapping_sub(sums[top + right][c])
                };
                let count = sum(3);
                *gain = std::array::from_fn(|c| {
                    if count == 0 {
                        return 256;
                    }
                    even_gain(sum(c), count)
                });
            }
        }
    }

    /// The column of the map that the pixels in column `x` of the picture lie in.
    pub(crate) fn column(&self, x: usize) -> usize {
        (x / self.factor).min(self.gains.width() - 1)
    }

    /// The row of the map that the pixels in row `y` of the picture lie in.
    pub(crate) fn row(&self, y: usize) -> &[[u16; 3]] {
        self.gains.row((y / self.factor).min(self.gains.height() - 1))
    }

    /// The gains, times 256, at a pixel of the picture.
    pub fn at(&self, x: usize, y: usize) -> [u16; 3] {
        self.row(y)[self.column(x)]
    }
}
