//! The built-in descriptor of a box, for where no CNN embedding is configured.

use larder_records::{BoundingBox, PPM, Ppm};

use crate::ImageRgb8;

/// Components of a descriptor.
pub const DESCRIPTOR_LEN: usize = 4 * 32;

/// Describes the pixels of `bounds`: unit length, each component times 127.
///
/// A histogram of colours (opponent axes and brightness), one for each quarter of the box; square roots make the dot
/// product of two of them the Bhattacharyya coefficient (RootSIFT: Arandjelovic and Zisserman 2012).
pub fn describe(image: &ImageRgb8, bounds: BoundingBox) -> Vec<i8> {
    let mut counts = [0_u32; DESCRIPTOR_LEN];
    let bounds = image.clip(bounds);
    let (middle_x, middle_y) =
        (usize::from(bounds.right - bounds.left) / 2, usize::from(bounds.bottom.saturating_sub(bounds.top)) / 2);
    for (y, row) in image.rows_in(bounds).enumerate() {
        for (x, &[r, g, b]) in row.iter().enumerate() {
            let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
            let light = (r + g + b) / 192;
            let warm = ((r - g) / 32 + 1).clamp(0, 3);
            let yellow = i32::from((r + g) / 2 - b > 32);
            let cell = usize::from(x >= middle_x) + 2 * usize::from(y >= middle_y);
            counts[cell * 32 + (light.min(3) * 8 + warm * 2 + yellow) as usize] += 1;
        }
    }
    let total: u32 = counts.iter().sum();
    counts.map(|count| (127.0 * (f64::from(count) / f64::from(total.max(1))).sqrt()).round() as i8).to_vec()
}

/// The cosine of the angle between two descriptors; 0 where they are of different kinds or opposed.
pub fn similarity(a: &[i8], b: &[i8]) -> Ppm {
    if a.len() != b.len() {
        return 0;
    }
    let dot = |a: &[i8], b: &[i8]| a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
    let norm = f64::from(dot(a, a)) * f64::from(dot(b, b));
    if norm == 0.0 {
        return 0;
    }
    (f64::from(dot(a, b)).max(0.0) / norm.sqrt() * f64::from(PPM)).round().min(f64::from(PPM)) as Ppm
}
