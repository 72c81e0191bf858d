//! A picture of a product apart from any scene: what can be guessed of light and background from the picture itself.

use larder_kernels::{ImageGrey8, ImageRgb8, change::colour_distance, describe::Surroundings, lighting::GainMap};
use larder_records::BoundingBox;

/// One guess.
pub(super) struct Apart {
    gains: GainMap,
    change: Option<ImageGrey8>,
}

/// The part of a side that a corner takes.
const CORNER: usize = 12;
/// A background, seen in a corner, has channels within so much of each other (of 256 parts of the largest), and is
/// brighter than this.
const NEUTRAL: (u32, u32) = (150, 60);
/// Where fewer parts of 8 of the box differ from the corners, the corners are the product's own.
const LEAST_OBJECT: usize = 3;
/// A pixel that differs by so much from the corners is the product's.
const DIFFERENT: u8 = 8;

impl Apart {
    /// Guesses for the part of `picture` inside `bounds`, the plain one (light as it is, no background) first.
    pub(super) fn guesses(picture: &ImageRgb8, bounds: BoundingBox) -> Vec<Self> {
        let mut guesses = vec![Self { gains: GainMap::default(), change: None }];
        let corners = corners(picture, bounds);
        let neutral: Vec<[u8; 3]> = corners
            .iter()
            .copied()
            .filter(|corner| {
                let (low, high) = corner.iter().fold((255, 0), |(low, high), &c| (c.min(low), c.max(high)));
                u32::from(high) > NEUTRAL.1 && u32::from(low) * 256 >= u32::from(high) * NEUTRAL.0
            })
            .collect();
        let change = Some(change(picture, &corners)).filter(|change| {
            let (mut all, mut different) = (0, 0);
            for &pixel in change.rows_in(bounds).flatten() {
                all += 1;
                different += usize::from(pixel >= DIFFERENT);
            }
            different * 8 >= all * LEAST_OBJECT
        });
        if let Some(light) = neutral.iter().max_by_key(|corner| corner.iter().map(|&c| u32::from(c)).sum::<u32>()) {
            guesses.push(Self { gains: GainMap::from_white(*light), change: change.clone() });
        }
        if let (None, Some(change)) = (guesses.get(1), change) {
            guesses.push(Self { gains: GainMap::default(), change: Some(change) });
        }
        guesses
    }

    pub(super) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { gains: &self.gains, change: self.change.as_ref().map(|change| (change, 1)) }
    }
}

/// The mean colours of the four corners of the box.
fn corners(picture: &ImageRgb8, bounds: BoundingBox) -> [[u8; 3]; 4] {
    let bounds = picture.clip(bounds);
    let part = |from: u16, to: u16| ((usize::from(to.saturating_sub(from)) / CORNER) as u16).max(1);
    let (wide, high) = (part(bounds.left, bounds.right), part(bounds.top, bounds.bottom));
    let columns = [(bounds.left, bounds.left + wide), (bounds.right.saturating_sub(wide), bounds.right)];
    let rows = [(bounds.top, bounds.top + high), (bounds.bottom.saturating_sub(high), bounds.bottom)];
    std::array::from_fn(|corner| {
        let ((left, right), (top, bottom)) = (columns[corner % 2], rows[corner / 2]);
        let (mut sum, mut count) = ([0_u64; 3], 0);
        for pixel in picture.rows_in(BoundingBox { left, top, right, bottom }).flatten() {
            (0..3).for_each(|c| sum[c] += u64::from(pixel[c]));
            count += 1;
        }
        sum.map(|s| (s / count.max(1)) as u8)
    })
}

/// How far each pixel is from the nearest corner.
fn change(picture: &ImageRgb8, corners: &[[u8; 3]; 4]) -> ImageGrey8 {
    let mut out = ImageGrey8::new(picture.width(), picture.height());
    for (to, &pixel) in out.pixels_mut().iter_mut().zip(picture.pixels()) {
        *to = corners.iter().map(|&corner| colour_distance(pixel, corner)).min().unwrap_or(0);
    }
    out
}
