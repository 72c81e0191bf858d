//! A part of a picture as the input of a network: resized, in planes, as floats.

use larder_records::BoundingBox;

use crate::ImageRgb8;

/// What a network wants its input to look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputFormat {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Blue first, else red first.
    pub bgr: bool,
    /// Keep the proportions and fill the right and the bottom with this grey; else stretch.
    pub pad: Option<u8>,
    /// A value of 0 to 255 becomes `(value - mean) * scale`.
    pub mean: f32,
    /// See `mean`.
    pub scale: f32,
}

/// Pixels of the input in one pixel of the picture, across and down.
pub type Zoom = (f32, f32);

/// Fills `into` with three planes of `height` rows of `width` values, one a channel: the part of `image` inside `bounds`,
/// resized bilinearly with pixel centres at halves (OpenCV's `INTER_LINEAR`, to half a unit of rounding).
///
/// # Panics
/// Where the clipped `bounds` are empty.
pub fn letterbox(image: &ImageRgb8, bounds: BoundingBox, format: InputFormat, into: &mut Vec<f32>) -> Zoom {
    let fit = Fit::new((image.width(), image.height()), bounds, format);
    let Fit { left, top, from_width, from_height, to_width, to_height, .. } = fit;
    let plane = format.width * format.height;
    into.clear();
    into.resize(3 * plane, fit.fill(format));
    let columns: Vec<(usize, usize, f32)> = (0..to_width).map(|x| between(x, to_width, from_width)).collect();
    for y in 0..to_height {
        let (upper, lower, down) = between(y, to_height, from_height);
        let (upper, lower) = (&image.row(top + upper)[left..], &image.row(top + lower)[left..]);
        for (x, &(first, second, right)) in columns.iter().enumerate() {
            for channel in 0..3 {
                let mix = |row: &[[u8; 3]]| {
                    let (a, b) = (f32::from(row[first][channel]), f32::from(row[second][channel]));
                    a + right * (b - a)
                };
                let (above, below) = (mix(upper), mix(lower));
                let value = above + down * (below - above);
                let to = if format.bgr { 2 - channel } else { channel };
                into[to * plane + y * format.width + x] = (value - format.mean) * format.scale;
            }
        }
    }
    fit.zoom
}

/// Which part of a picture becomes which part of a network's input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) from_width: usize,
    pub(crate) from_height: usize,
    pub(crate) to_width: usize,
    pub(crate) to_height: usize,
    pub(crate) zoom: Zoom,
}

impl Fit {
    /// Of `bounds`, clipped to a picture of `size` (width, height); panics where nothing is left of them.
    pub(crate) fn new(size: (usize, usize), bounds: BoundingBox, format: InputFormat) -> Self {
        let inside = |side: u16, most: usize| usize::from(side).min(most);
        let (left, top) = (inside(bounds.left, size.0), inside(bounds.top, size.1));
        let from_width = inside(bounds.right, size.0).saturating_sub(left);
        let from_height = inside(bounds.bottom, size.1).saturating_sub(top);
        assert!(from_width > 0 && from_height > 0, "nothing to resize");
        let mut zoom = (format.width as f32 / from_width as f32, format.height as f32 / from_height as f32);
        let (mut to_width, mut to_height) = (format.width, format.height);
        if format.pad.is_some() {
            let least = zoom.0.min(zoom.1);
            zoom = (least, least);
            to_width = ((from_width as f32 * least) as usize).clamp(1, format.width);
            to_height = ((from_height as f32 * least) as usize).clamp(1, format.height);
        }
        Self { left, top, from_width, from_height, to_width, to_height, zoom }
    }

    /// What the rest of the input is filled with.
    pub(crate) fn fill(&self, format: InputFormat) -> f32 {
        (f32::from(format.pad.unwrap_or(0)) - format.mean) * format.scale
    }
}

/// The two places of a side of `from` pixels that the place `at` of one of `to` pixels lies between, and how far on.
fn between(at: usize, to: usize, from: usize) -> (usize, usize, f32) {
    let place = ((at as f32 + 0.5) * (from as f32 / to as f32) - 0.5).clamp(0.0, (from - 1) as f32);
    let first = place as usize;
    (first, (first + 1).min(from - 1), place - first as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: InputFormat = InputFormat { width: 4, height: 4, bgr: false, pad: Some(114), mean: 0.0, scale: 1.0 };

    fn wide() -> ImageRgb8 {
        let pixels = (0..8 * 4).map(|i| [i as u8, 100, 200]).collect();
        ImageRgb8::from_pixels(8, 4, pixels).unwrap()
    }

    #[test]
    fn proportions_are_kept_and_the_rest_is_grey() {
        let (image, mut out) = (wide(), Vec::new());
        assert_eq!(letterbox(&image, image.bounds(), PLAIN, &mut out), (0.5, 0.5));
        // Halving lies in the middle of four pixels: rows 0 and 1, columns 0 and 1.
        assert_eq!(out[0], (0.0 + 1.0 + 8.0 + 9.0) / 4.0);
        assert_eq!(out[4 + 3], (22.0 + 23.0 + 30.0 + 31.0) / 4.0);
        assert!(out[8..16].iter().all(|&value| value == 114.0));
        assert!(out[16..24].iter().all(|&value| value == 100.0));
    }

    #[test]
    fn a_part_of_the_same_size_is_copied_with_its_channels_in_the_order_asked_for() {
        let (image, mut out) = (wide(), Vec::new());
        let part = BoundingBox { left: 2, top: 0, right: 6, bottom: 4 };
        let format = InputFormat { bgr: true, pad: None, mean: 100.0, scale: 0.5, ..PLAIN };
        letterbox(&image, part, format, &mut out);
        assert_eq!(out[0], 50.0);
        assert_eq!(out[32..36], [-49.0, -48.5, -48.0, -47.5]);
    }
}
