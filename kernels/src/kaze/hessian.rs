//! Derivatives of the scale space, and the determinant of the Hessian that blobs are found by.

use crate::{Plane, simd::vectorised};

use super::rows::{PaddedRow, by_rows, nearest};

/// Scharr's weights of the middle and the sides, over the width of his operator (Scharr 2000; Alcantarilla 2012, section 2.3),
/// by which slopes come out times the scale.
const SIDE: f32 = 3.0 / 32.0;
const MIDDLE: f32 = 10.0 / 32.0;

/// Slopes of a smoothed picture across and down, times `scale` (the distance, in pixels, over which they are taken).
pub(super) fn slopes(threads: usize, smooth: &Plane<f32>, scale: usize, dx: &mut Plane<f32>, dy: &mut Plane<f32>) {
    let (width, height, reach) = (smooth.width(), smooth.height(), scale as isize);
    dx.reshape(width, height);
    dy.reshape(width, height);
    by_rows(threads, [dx, dy], |rows, [dx, dy]| {
        let (mut sums, mut differences) = (PaddedRow::new(width, scale), PaddedRow::new(width, scale));
        for ((y, dx), dy) in rows.zip(dx.chunks_exact_mut(width)).zip(dy.chunks_exact_mut(width)) {
            let [above, row, below] = [-reach, 0, reach].map(|by| smooth.row(nearest(y as isize + by, height)));
            weigh(above, row, below, sums.inner());
            subtract(above, below, differences.inner());
            sums.extend();
            differences.extend();
            subtract(sums.moved(-reach), sums.moved(reach), dx);
            let [before, here, after] = differences.spread(reach);
            weigh(before, here, after, dy);
        }
    });
}

vectorised! {
    fn weigh(before: &[f32], here: &[f32], after: &[f32], out: &mut [f32]) {
        let width = out.len();
        let (before, here, after) = (&before[..width], &here[..width], &after[..width]);
        for x in 0..width {
            out[x] = SIDE * (before[x] + after[x]) + MIDDLE * here[x];
        }
    }
}

vectorised! {
    fn subtract(before: &[f32], after: &[f32], out: &mut [f32]) {
        let width = out.len();
        let (before, after) = (&before[..width], &after[..width]);
        for x in 0..width {
            out[x] = after[x] - before[x];
        }
    }
}

/// The determinant of the Hessian, from slopes taken at the same `scale`; it is normalised by the scale, so that values at all
/// scales compare.
pub(super) fn determinant(threads: usize, dx: &Plane<f32>, dy: &Plane<f32>, scale: usize, out: &mut Plane<f32>) {
    let (width, height, reach) = (dx.width(), dx.height(), scale as isize);
    out.reshape(width, height);
    by_rows(threads, [out], |rows, [out]| {
        let mut padded: [PaddedRow; 3] = std::array::from_fn(|_| PaddedRow::new(width, scale));
        for (y, out) in rows.zip(out.chunks_exact_mut(width)) {
            let [up, down] = [-reach, reach].map(|by| nearest(y as isize + by, height));
            let [sums, x_differences, y_differences] = &mut padded;
            weigh(dx.row(up), dx.row(y), dx.row(down), sums.inner());
            subtract(dx.row(up), dx.row(down), x_differences.inner());
            subtract(dy.row(up), dy.row(down), y_differences.inner());
            padded.iter_mut().for_each(PaddedRow::extend);
            let [sums, x_differences, y_differences] = &padded;
            determinant_row(
                sums.moved(-reach),
                sums.moved(reach),
                x_differences.spread(reach),
                y_differences.spread(reach),
                out,
            );
        }
    });
}

vectorised! {
    /// From rows that were weighed or subtracted downwards.
    fn determinant_row(
        sums_before: &[f32], sums_after: &[f32], x_differences: [&[f32]; 3], y_differences: [&[f32]; 3], out: &mut [f32],
    ) {
        let width = out.len();
        let (sums_before, sums_after) = (&sums_before[..width], &sums_after[..width]);
        let [x_before, x_here, x_after] = x_differences.map(|row| &row[..width]);
        let [y_before, y_here, y_after] = y_differences.map(|row| &row[..width]);
        for x in 0..width {
            let dxx = sums_after[x] - sums_before[x];
            let dxy = SIDE * (x_before[x] + x_after[x]) + MIDDLE * x_here[x];
            let dyy = SIDE * (y_before[x] + y_after[x]) + MIDDLE * y_here[x];
            out[x] = dxx * dyy - dxy * dxy;
        }
    }
}
