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
    /// light matters much; -1 to 1. Squares without any of `places`, where features are, are background and left out. None where
    /// colours are unknown, less than half of the squares are seen, or either is flat.
    pub(super) fn likeness(
        &self,
        picture: &ImageRgb8,
        map: &Homography,
        [width, height]: [f64; 2],
        places: impl Iterator<Item = [f64; 2]>,
    ) -> Option<f64> {
        if !self.are_known() {
            return None;
        }
        let mut printed = [false; SIDE * SIDE];
        for [x, y] in places {
            let square =
                |x: f64, length: f64| ((x + 0.5) / length * SIDE as f64).clamp(0.0, SIDE as f64 - 1.0) as usize;
            printed[square(y, height) * SIDE + square(x, width)] = true;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for square in (0..SIDE * SIDE).filter(|&square| printed[square]) {
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
        (ours.len() * 2 >= printed.iter().filter(|&&printed| printed).count())
            .then(|| correlation(&ours, &theirs))
            .flatten()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A carton with a coloured top, seen by `map` from the picture's pixels in a grey shop.
    fn picture(colour: [u8; 3], back: &Homography, light: [u16; 3]) -> ImageRgb8 {
        let pixel = |i: usize| {
            let place = back.apply([(i % 320) as f64, (i / 320) as f64]);
            let shown = match place {
                Some([x, y]) if (0.0..120.0).contains(&x) && (0.0..180.0).contains(&y) => {
                    if y < 80.0 {
                        colour
                    } else {
                        [230, 230, 220]
                    }
                }
                _ => [90, 90, 90],
            };
            std::array::from_fn(|channel| (u16::from(shown[channel]) * light[channel] / 100) as u8)
        };
        ImageRgb8::from_pixels(320, 320, (0..320 * 320).map(pixel).collect()).unwrap()
    }

    #[test]
    fn the_right_colour_is_more_alike_under_any_light() {
        let (even, flat) = ([100, 100, 100], Homography::IDENTITY);
        let all = || (0..12 * 18).map(|i| [f64::from(i % 12) * 10.0 + 5.0, f64::from(i / 12) * 10.0 + 5.0]);
        let crop = |image: ImageRgb8| {
            let pixels = (0..180).flat_map(|y| image.row(y)[..120].to_vec()).collect();
            Colours::of(&ImageRgb8::from_pixels(120, 180, pixels).unwrap())
        };
        let (green, orange) = ([60, 160, 50], [240, 130, 20]);
        let reference = [crop(picture(green, &flat, even)), crop(picture(orange, &flat, even))];
        let map = Homography::from_similarity(1.3, 0.2, [60.0, 90.0], [170.0, 150.0]).unwrap();
        let back = map.inverse().unwrap();
        for (shown, colour) in [green, orange].into_iter().enumerate() {
            for light in [even, [100, 85, 60], [50, 55, 60]] {
                let seen = picture(colour, &back, light);
                let like = |which: usize| reference[which].likeness(&seen, &map, [120.0, 180.0], all()).unwrap();
                assert!(like(shown) > like(1 - shown) + 0.1, "{shown} {light:?}: {} {}", like(shown), like(1 - shown));
            }
        }
        let unknown = Colours::UNKNOWN.likeness(&picture(green, &back, even), &map, [120.0, 180.0], all());
        assert_eq!(unknown, None);
        let beyond = Homography::from_similarity(1.0, 0.0, [0.0, 0.0], [900.0, 0.0]).unwrap();
        assert_eq!(reference[0].likeness(&picture(green, &back, even), &beyond, [120.0, 180.0], all()), None);
    }
}
