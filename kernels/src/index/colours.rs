//! What a product looks like, small: what tells the apple's carton from the orange's, where all else of their print is the same.

use crate::{ImageRgb8, homography::Homography};

/// Squares along a side of the picture.
pub(super) const SIDE: usize = 96;
/// Bytes of the colours of a product.
pub(super) const BYTES: usize = SIDE * SIDE * 3 + 8;

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

    fn squares(&self) -> Vec<[u8; 3]> {
        self.bytes.as_chunks().0[..SIDE * SIDE].to_vec()
    }
}

/// Points along a side of a square at which a picture is looked at.
const POINTS: usize = 3;
/// A square is paper, not print, where all of its colours are brighter.
const PAPER: f32 = 240.0;
/// Colours that differ by less in every channel are the same print.
const SAME: f32 = 25.0;
/// Only where colours differ by more than this (see [`opponents`]) do they tell two products apart.
const TELLING: f32 = 15.0;
/// What is farther from both is a hand or a reflection, and is as far from both.
const STRANGE: f32 = 60.0;
/// The maps are a pixel or two off: colours are smoothed so many times.
const SMOOTHED: usize = 4;
/// So many squares must show print, and so many of these must differ.
const FEWEST: usize = SIDE * SIDE / 48;
const FEWEST_TELLING: usize = SIDE * SIDE / 300;

/// A product's colours, and pixels a row and rows of its picture.
pub(super) type Print<'a> = (&'a Colours, [f64; 2]);

/// A picture and two prints, square by square, in the squares of the one's picture. Where the picture or the other print is not
/// seen, its colours are those of the one.
pub(super) struct Laid {
    pub(super) seen: Vec<[f32; 3]>,
    pub(super) own: Vec<[f32; 3]>,
    pub(super) other: Vec<[f32; 3]>,
    /// Whether all three are seen.
    pub(super) known: Vec<bool>,
}

impl Laid {
    /// `map` takes the product's picture to the picture, and `between` to that of the other; none where colours are not known.
    pub(super) fn new(
        picture: &ImageRgb8,
        map: &Homography,
        (own, size): Print<'_>,
        (other, other_size): Print<'_>,
        between: &Homography,
    ) -> Option<Self> {
        if !own.are_known() || !other.are_known() {
            return None;
        }
        let other = ImageRgb8::from_pixels(SIDE, SIDE, other.squares())?;
        let [x, y] = other_size.map(|length| SIDE as f64 / length);
        let into_squares =
            Homography::from_rows([[x, 0.0, 0.5 * x - 0.5], [0.0, y, 0.5 * y - 0.5], [0.0, 0.0, 1.0]])?.after(between);
        let own: Vec<[f32; 3]> = own.squares().into_iter().map(|colour| colour.map(f32::from)).collect();
        let (seen, other) = (seen(picture, map, size), seen(&other, &into_squares, size));
        let known = seen.iter().zip(&other).map(|(seen, other)| seen.is_some() && other.is_some()).collect();
        let filled = |squares: Vec<Option<[f32; 3]>>| {
            squares.into_iter().zip(&own).map(|(square, own)| square.unwrap_or(*own)).collect()
        };
        Some(Self { seen: filled(seen), other: filled(other), own, known })
    }
}

/// How much better the print of one product explains a picture than that of another, -1 to 1, by the colours of the places where they
/// differ. The light may be of any colour: it is taken from where the prints are the same. None where there is nothing to go by.
pub(super) fn preference(laid: &Laid) -> Option<f64> {
    let printed = |&i: &usize| laid.known[i] && !(is_paper(laid.own[i]) && is_paper(laid.other[i]));
    let printed: Vec<usize> = (0..SIDE * SIDE).filter(printed).collect();
    if printed.len() < FEWEST {
        return None;
    }
    let [seen, own, other] = [&laid.seen, &laid.own, &laid.other].map(|squares| smooth(squares.clone(), SMOOTHED));

    let same = |i: &usize| (0..3).all(|channel| (own[*i][channel] - other[*i][channel]).abs() < SAME);
    let mut lit: Vec<usize> = printed.iter().copied().filter(same).collect();
    if lit.len() < FEWEST {
        lit.clone_from(&printed);
    }
    let gains: [f32; 3] = std::array::from_fn(|channel| {
        let gain = |&i: &usize| seen[i][channel] / ((own[i][channel] + other[i][channel]) * 0.5 + 8.0);
        let mut gains: Vec<f32> = lit.iter().map(gain).collect();
        gains.sort_by(f32::total_cmp);
        gains[gains.len() / 2].max(0.02)
    });
    let (mut for_own, mut apart, mut telling) = (0.0_f64, 0.0_f64, 0);
    for i in printed {
        let seen = opponents(std::array::from_fn(|channel| seen[i][channel] / gains[channel]));
        let (own, other) = (opponents(own[i]), opponents(other[i]));
        let differ = squared(own, other);
        if differ > TELLING * TELLING {
            let off = |print| squared(seen, print).min(STRANGE * STRANGE);
            for_own += f64::from((off(other) - off(own)).clamp(-differ, differ));
            apart += f64::from(differ.min(STRANGE * STRANGE));
            telling += 1;
        }
    }
    (telling >= FEWEST_TELLING).then(|| for_own / apart)
}

/// The colours of a picture in the squares of a product's picture that `map` takes there; none where less than half of one is in it.
fn seen(picture: &ImageRgb8, map: &Homography, [width, height]: [f64; 2]) -> Vec<Option<[f32; 3]>> {
    let square = |square: usize| {
        let (mut sums, mut met) = ([0_u32; 3], 0);
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
                (0..3).for_each(|channel| sums[channel] += u32::from(pixel[channel]));
                met += 1;
            }
        }
        (met * 2 > (POINTS * POINTS) as u32).then(|| sums.map(|sum| sum as f32 / met as f32))
    };
    (0..SIDE * SIDE).map(square).collect()
}

/// A binomial of five squares along both axes, so many times.
pub(super) fn smooth<const N: usize>(mut squares: Vec<[f32; N]>, times: usize) -> Vec<[f32; N]> {
    const WEIGHTS: [f32; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];
    let near = |at: usize, tap: usize| (at + tap).saturating_sub(2).min(SIDE - 1);
    let mean = |taps: [&[f32; N]; 5]| -> [f32; N] {
        std::array::from_fn(|i| (0..5).fold(0.0, |sum, tap| sum + WEIGHTS[tap] * taps[tap][i]))
    };
    let mut before = Vec::new();
    for _ in 0..times {
        before.clone_from(&squares);
        for (row, to) in before.chunks_exact(SIDE).zip(squares.chunks_exact_mut(SIDE)) {
            for at in [0, 1, SIDE - 2, SIDE - 1] {
                to[at] = mean(std::array::from_fn(|tap| &row[near(at, tap)]));
            }
            for (to, near) in to[2..].iter_mut().zip(row.windows(5)) {
                *to = mean(std::array::from_fn(|tap| &near[tap]));
            }
        }
        before.clone_from(&squares);
        for (y, to) in squares.chunks_exact_mut(SIDE).enumerate() {
            let rows: [&[[f32; N]]; 5] = std::array::from_fn(|tap| &before[near(y, tap) * SIDE..][..SIDE]);
            for (x, to) in to.iter_mut().enumerate() {
                *to = mean(std::array::from_fn(|tap| &rows[tap][x]));
            }
        }
    }
    squares
}

fn is_paper(colour: [f32; 3]) -> bool {
    colour.iter().all(|&light| light > PAPER)
}

/// Red against green, yellow against blue, and half the brightness, which shadows change most.
fn opponents([r, g, b]: [f32; 3]) -> [f32; 3] {
    [r - g, (r + g) * 0.5 - b, (r + g + b) / 6.0]
}

pub(super) fn squared<const N: usize>(a: [f32; N], b: [f32; N]) -> f32 {
    (0..N).fold(0.0, |sum, i| sum + (a[i] - b[i]) * (a[i] - b[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [f64; 2] = [120.0, 180.0];

    /// A carton with stripes and a top of some colour, seen by what `back` undoes, in a grey shop.
    fn picture(colour: [u8; 3], back: &Homography, light: [u16; 3]) -> ImageRgb8 {
        let pixel = |i: usize| {
            let place = back.apply([(i % 320) as f64, (i / 320) as f64]);
            let shown = match place {
                Some([x, y]) if (0.0..120.0).contains(&x) && (0.0..180.0).contains(&y) => {
                    match (y < 60.0, y % 30.0 < 12.0) {
                        (true, _) => colour,
                        (false, true) => [40, 60, 130],
                        (false, false) => [230, 230, 220],
                    }
                }
                _ => [90, 90, 90],
            };
            std::array::from_fn(|channel| (u16::from(shown[channel]) * light[channel] / 100) as u8)
        };
        ImageRgb8::from_pixels(320, 320, (0..320 * 320).map(pixel).collect()).unwrap()
    }

    fn told(
        picture: &ImageRgb8,
        map: &Homography,
        own: Print<'_>,
        other: Print<'_>,
        between: &Homography,
    ) -> Option<f64> {
        preference(&Laid::new(picture, map, own, other, between)?)
    }

    fn crop(image: &ImageRgb8) -> Colours {
        let pixels = (0..180).flat_map(|y| image.row(y)[..120].to_vec()).collect();
        Colours::of(&ImageRgb8::from_pixels(120, 180, pixels).unwrap())
    }

    #[test]
    fn the_right_colour_is_preferred_under_any_light() {
        let (even, flat) = ([100, 100, 100], Homography::IDENTITY);
        let (green, orange) = ([60, 160, 50], [240, 130, 20]);
        let prints = [green, orange].map(|colour| crop(&picture(colour, &flat, even)));
        let map = Homography::from_similarity(1.3, 0.2, [60.0, 90.0], [170.0, 150.0]).unwrap();
        let back = map.inverse().unwrap();
        for (shown, colour) in [green, orange].into_iter().enumerate() {
            for light in [even, [100, 85, 60], [50, 55, 60]] {
                let seen = picture(colour, &back, light);
                let (right, wrong) = ((&prints[shown], SIZE), (&prints[1 - shown], SIZE));
                let preferred = told(&seen, &map, right, wrong, &flat).unwrap();
                let other = told(&seen, &map, wrong, right, &flat).unwrap();
                assert!(preferred > 0.5 && other < -0.5, "{shown} {light:?}: {preferred} {other}");
            }
        }
    }

    #[test]
    fn a_print_is_laid_over_the_other_where_it_belongs() {
        let (even, flat) = ([100, 100, 100], Homography::IDENTITY);
        let (green, orange) = ([60, 160, 50], [240, 130, 20]);
        let own = crop(&picture(green, &flat, even));
        // The other's picture is larger, and shows the carton elsewhere.
        let between = Homography::from_similarity(0.9, 0.0, [0.0, 0.0], [25.0, 30.0]).unwrap();
        let other = Colours::of(&picture(orange, &between.inverse().unwrap(), even));
        let seen = picture(green, &flat, even);
        let preferred = told(&seen, &flat, (&own, SIZE), (&other, [320.0, 320.0]), &between).unwrap();
        assert!(preferred > 0.5, "{preferred}");
        // What lies beside the other's carton, where it is taken to be.
        let astray = Homography::from_similarity(0.9, 0.0, [0.0, 0.0], [900.0, 0.0]).unwrap();
        assert_eq!(told(&seen, &flat, (&own, SIZE), (&other, [320.0, 320.0]), &astray), None);
    }

    #[test]
    fn the_same_unknown_and_unseen_colours_prefer_none() {
        let (even, flat) = ([100, 100, 100], Homography::IDENTITY);
        let seen = picture([60, 160, 50], &flat, even);
        let (own, other) = (crop(&seen), crop(&picture([240, 130, 20], &flat, even)));
        assert_eq!(told(&seen, &flat, (&own, SIZE), (&own, SIZE), &flat), None);
        assert_eq!(told(&seen, &flat, (&own, SIZE), (&Colours::UNKNOWN, SIZE), &flat), None);
        let beyond = Homography::from_similarity(1.0, 0.0, [0.0, 0.0], [900.0, 0.0]).unwrap();
        assert_eq!(told(&seen, &beyond, (&own, SIZE), (&other, SIZE), &flat), None);
        for size in [[0.0, 0.0], [f64::NAN, 1.0]] {
            assert_eq!(told(&seen, &flat, (&own, SIZE), (&other, size), &flat), None);
        }
        assert!(!Colours::of(&ImageRgb8::new(SIDE - 1, 200)).are_known());
    }
}
