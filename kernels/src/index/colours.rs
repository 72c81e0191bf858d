//! What colours a product has, and where: what tells the apple's carton from the orange's.

use crate::{ImageRgb8, homography::Homography};

/// Squares along a side of the picture.
const SIDE: usize = 12;
/// Bytes of the colours of a product.
pub(super) const BYTES: usize = SIDE * SIDE * 3 + 8 - (SIDE * SIDE * 3) % 8;

/// The mean colours of a picture in squares; the last byte says whether they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colours {
    bytes: [u8; BYTES],
}

impl Colours {
    /// Of a product whose colours are not known.
    pub const UNKNOWN: Self = Self { bytes: [0; BYTES] };

    /// Of a picture; unknown where it has fewer pixels than squares along a side.
    pub fn of(image: &ImageRgb8) -> Self {
        let mut colours = Self::UNKNOWN;
        if image.width().min(image.height()) < SIDE {
            return colours;
        }
        for square in 0..SIDE * SIDE {
            let range = |at: usize, length: usize| at * length / SIDE..(at + 1) * length / SIDE;
            let (columns, rows) = (range(square % SIDE, image.width()), range(square / SIDE, image.height()));
            let count = (columns.len() * rows.len()) as u64;
            let mut sums = [count / 2; 3];
            for pixel in rows.flat_map(|y| &image.row(y)[columns.clone()]) {
                (0..3).for_each(|channel| sums[channel] += u64::from(pixel[channel]));
            }
            (0..3).for_each(|channel| colours.bytes[square * 3 + channel] = (sums[channel] / count) as u8);
        }
        colours.bytes[BYTES - 1] = 1;
        colours
    }

    pub(super) fn bytes(&self) -> &[u8; BYTES] {
        &self.bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        Self { bytes: *bytes }
    }

    /// Whether they are known.
    pub fn are_known(&self) -> bool {
        self.bytes[BYTES - 1] != 0
    }
}

/// Points along a side of a square at which a picture is looked at.
const POINTS: usize = 3;

impl Colours {
    /// How like the colours of a picture are where `map` takes the product's picture of `width` by `height` pixels: the
    /// correlation over all squares that are seen and all channels, each less its mean, so that neither brightness nor tint of the
    /// light matters much; -1 to 1. None where colours are unknown, less than half of the squares are seen, or either is flat.
    pub(super) fn likeness(&self, picture: &ImageRgb8, map: &Homography, width: f64, height: f64) -> Option<f64> {
        if !self.are_known() {
            return None;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for square in 0..SIDE * SIDE {
            let (mut sums, mut met) = ([0_u64; 3], 0);
            for point in 0..POINTS * POINTS {
                let at = |square: usize, point: usize, length: f64| {
                    ((square * POINTS + point) as f64 + 0.5) / (SIDE * POINTS) as f64 * length - 0.5
                };
                let x = at(square % SIDE, point % POINTS, width);
                let y = at(square / SIDE, point / POINTS, height);
                let Some([x, y]) = map.apply([x, y]) else { continue };
                let (x, y) = ((x + 0.5).floor(), (y + 0.5).floor());
                if x >= 0.0 && y >= 0.0 && x < picture.width() as f64 && y < picture.height() as f64 {
                    let pixel = picture.row(y as usize)[x as usize];
                    (0..3).for_each(|channel| sums[channel] += u64::from(pixel[channel]));
                    met += 1;
                }
            }
            if met * 2 > (POINTS * POINTS) as u64 {
                ours.push(std::array::from_fn(|channel| i64::from(self.bytes[square * 3 + channel])));
                theirs.push(sums.map(|sum| (sum / met) as i64));
            }
        }
        (ours.len() * 2 >= SIDE * SIDE).then(|| correlation(&ours, &theirs)).flatten()
    }
}

/// Of whole numbers, summed exactly.
fn correlation(a: &[[i64; 3]], b: &[[i64; 3]]) -> Option<f64> {
    let count = a.len() as i64;
    let (mut aa, mut bb, mut ab) = (0_i64, 0_i64, 0_i64);
    for channel in 0..3 {
        let sum = |values: &[[i64; 3]]| values.iter().map(|value| value[channel]).sum::<i64>();
        let product = |a: &[[i64; 3]], b: &[[i64; 3]]| {
            count * a.iter().zip(b).map(|(a, b)| a[channel] * b[channel]).sum::<i64>() - sum(a) * sum(b)
        };
        aa += product(a, a);
        bb += product(b, b);
        ab += product(a, b);
    }
    // Flat: a spread of two steps of brightness or less.
    let flat = 4 * 3 * count * count;
    (aa > flat && bb > flat).then(|| ab as f64 / (aa as f64 * bb as f64).sqrt())
}
