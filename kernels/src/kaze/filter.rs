//! Smoothing and halving of pictures.

use crate::{ImageGrey8, Plane, simd::vectorised};

use super::rows::{PaddedRow, by_rows, nearest};

/// Brightness from 0 to 1.
pub(super) fn unit_brightness(threads: usize, image: &ImageGrey8, out: &mut Plane<f32>) {
    let width = image.width();
    out.reshape(width, image.height());
    by_rows(threads, [out], |rows, [out]| convert(&image.pixels()[rows.start * width..rows.end * width], out));
}

vectorised! {
    fn convert(from: &[u8], to: &mut [f32]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = f32::from(from) * (1.0 / 255.0);
        }
    }
}

/// Half a Gaussian: the weights of the middle and of `R` pixels beside it, which with their mirror images sum to 1.
pub(super) fn gaussian<const R: usize>(sigma: f64) -> ([f32; R], f32) {
    let weight = |distance: usize| libm::exp(-((distance * distance) as f64) / (2.0 * sigma * sigma));
    let sum = 1.0 + 2.0 * (1..=R).map(weight).sum::<f64>();
    (std::array::from_fn(|index| (weight(index + 1) / sum) as f32), (1.0 / sum) as f32)
}

/// `from` smoothed by a Gaussian cut off after `R` pixels; beyond its borders a picture goes on as at them.
pub(super) fn smooth<const R: usize>(threads: usize, sigma: f64, from: &Plane<f32>, to: &mut Plane<f32>) {
    let (beside, middle) = gaussian::<R>(sigma);
    let (width, height) = (from.width(), from.height());
    to.reshape(width, height);
    by_rows(threads, [to], |rows, [to]| {
        let mut sums = PaddedRow::new(width, R);
        for (y, to) in (rows.start as isize..).zip(to.chunks_exact_mut(width)) {
            let above = std::array::from_fn(|i| from.row(nearest(y - i as isize - 1, height)));
            let below = std::array::from_fn(|i| from.row(nearest(y + i as isize + 1, height)));
            weigh::<R>(middle, beside, from.row(nearest(y, height)), above, below, sums.inner());
            sums.extend();
            let left = std::array::from_fn(|i| sums.moved(-(i as isize) - 1));
            let right = std::array::from_fn(|i| sums.moved(i as isize + 1));
            weigh::<R>(middle, beside, sums.moved(0), left, right, to);
        }
    });
}

vectorised! {
    /// The weighted sum of rows, from the middle outwards.
    fn weigh<const R: usize>(
        middle: f32, beside: [f32; R], row: &[f32], before: [&[f32]; R], after: [&[f32]; R], to: &mut [f32],
    ) {
        let width = to.len();
        let row = &row[..width];
        let (before, after) = (before.map(|row| &row[..width]), after.map(|row| &row[..width]));
        for x in 0..width {
            let mut value = middle * row[x];
            for i in 0..R {
                value += beside[i] * (before[i][x] + after[i][x]);
            }
            to[x] = value;
        }
    }
}

/// Half as wide and half as high: means of four pixels. An odd last row or column is left out.
pub(super) fn halve(threads: usize, from: &Plane<f32>, to: &mut Plane<f32>) {
    to.reshape(from.width() / 2, from.height() / 2);
    let width = to.width();
    by_rows(threads, [to], |rows, [to]| {
        for (y, to) in rows.zip(to.chunks_exact_mut(width.max(1))) {
            halve_row(from.row(2 * y), from.row(2 * y + 1), to);
        }
    });
}

vectorised! {
    fn halve_row(upper: &[f32], lower: &[f32], to: &mut [f32]) {
        for ((to, upper), lower) in to.iter_mut().zip(upper.as_chunks::<2>().0).zip(lower.as_chunks::<2>().0) {
            *to = ((upper[0] + upper[1]) + (lower[0] + lower[1])) * 0.25;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_is_the_sum_of_the_formula() {
        let value = |i: usize| (((i * 2_654_435_761) >> 9) % 256) as f32 / 255.0;
        for (width, height) in [(1, 1), (7, 2), (40, 70)] {
            let plane = Plane::from_pixels(width, height, (0..width * height).map(value).collect()).unwrap();
            let mut out = Plane::default();
            smooth::<4>(2, 1.6, &plane, &mut out);
            let weight = |d: isize| (-(d * d) as f64 / (2.0 * 1.6 * 1.6)).exp();
            let total: f64 = (-4..=4).map(weight).sum::<f64>().powi(2);
            for y in 0..height as isize {
                for x in 0..width as isize {
                    let mut sum = 0.0;
                    for dy in -4..=4 {
                        for dx in -4..=4 {
                            let pixel = plane.row(nearest(y + dy, height))[nearest(x + dx, width)];
                            sum += weight(dx) * weight(dy) * f64::from(pixel);
                        }
                    }
                    let found = f64::from(out.row(y as usize)[x as usize]);
                    assert!((found - sum / total).abs() < 1e-6, "{x} {y}: {found} {}", sum / total);
                }
            }
        }
    }

    #[test]
    fn halves_are_means_of_four_pixels() {
        let plane = Plane::from_pixels(5, 3, (0..15).map(|i| i as f32).collect()).unwrap();
        let mut out = Plane::default();
        halve(1, &plane, &mut out);
        assert_eq!((out.width(), out.height(), out.pixels()), (2, 1, &[3.0, 5.0][..]));
    }
}
