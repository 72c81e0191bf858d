//! Derivatives of the scale space, and the determinant of the Hessian that blobs are found by.

use crate::{Plane, simd::vectorised};

use super::rows::{PaddedRow, by_rows, nearest};

/// Scharr's weights of the middle and the sides, over the width of his operator (Scharr 2000; Alcantarilla 2012, section 2.3),
/// by which slopes come out times the scale.
const SIDE: f32 = 3.0 / 32.0;
const MIDDLE: f32 = 10.0 / 32.0;

/// The distance in pixels from a place to those whose difference is its slope. It grows with the scale, smoothly: rounded to
/// whole pixels, as in the authors' code, it favours some scales over others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reach {
    pub(super) whole: usize,
    pub(super) part: f32,
}

impl Reach {
    /// Of `pixels`, at least one.
    pub(super) fn new(pixels: f64) -> Self {
        let pixels = pixels.max(1.0);
        Self { whole: pixels as usize, part: (pixels - pixels.floor()) as f32 }
    }

    /// Pixels on either side that it may need.
    fn margin(self) -> usize {
        self.whole + 1
    }

    /// The two rows between which the place above (-1) or below (1) row `y` lies, the nearer one first.
    fn rows(self, plane: &Plane<f32>, y: usize, side: isize) -> [&[f32]; 2] {
        [self.whole, self.margin()].map(|by| plane.row(nearest(y as isize + side * by as isize, plane.height())))
    }

    /// As [`Reach::rows`], to the left and to the right.
    fn columns(self, row: &PaddedRow, side: isize) -> [&[f32]; 2] {
        [self.whole, self.margin()].map(|by| row.moved(side * by as isize))
    }
}

/// Slopes of a smoothed picture across and down, times the scale that `reach` is of.
pub(super) fn slopes(threads: usize, smooth: &Plane<f32>, reach: Reach, dx: &mut Plane<f32>, dy: &mut Plane<f32>) {
    let width = smooth.width();
    dx.reshape(width, smooth.height());
    dy.reshape(width, smooth.height());
    by_rows(threads, [dx, dy], |rows, [dx, dy]| {
        let [mut sums, mut differences] = std::array::from_fn(|_| PaddedRow::new(width, reach.margin()));
        for ((y, dx), dy) in rows.zip(dx.chunks_exact_mut(width)).zip(dy.chunks_exact_mut(width)) {
            let [above, below] = [-1, 1].map(|side| reach.rows(smooth, y, side));
            down(reach.part, above, smooth.row(y), below, sums.inner(), differences.inner());
            sums.extend();
            differences.extend();
            let sums = [-1, 1].map(|side| reach.columns(&sums, side));
            let [before, after] = [-1, 1].map(|side| reach.columns(&differences, side));
            across(reach.part, sums, before, differences.moved(0), after, dx, dy);
        }
    });
}

/// The determinant of the Hessian from slopes taken at the same `reach`, which is normalised by the scale, times `weight`.
pub(super) fn determinant(
    threads: usize,
    dx: &Plane<f32>,
    dy: &Plane<f32>,
    reach: Reach,
    weight: f32,
    out: &mut Plane<f32>,
) {
    let width = dx.width();
    out.reshape(width, dx.height());
    by_rows(threads, [out], |rows, [out]| {
        let [mut x_sums, mut x_differences, mut y_differences] =
            std::array::from_fn(|_| PaddedRow::new(width, reach.margin()));
        for (y, out) in rows.zip(out.chunks_exact_mut(width)) {
            let [above, below] = [-1, 1].map(|side| reach.rows(dx, y, side));
            down(reach.part, above, dx.row(y), below, x_sums.inner(), x_differences.inner());
            let [above, below] = [-1, 1].map(|side| reach.rows(dy, y, side));
            subtract(reach.part, above, below, y_differences.inner());
            for row in [&mut x_sums, &mut x_differences, &mut y_differences] {
                row.extend();
            }
            let sums = [-1, 1].map(|side| reach.columns(&x_sums, side));
            let [x_before, x_after] = [-1, 1].map(|side| reach.columns(&x_differences, side));
            let [y_before, y_after] = [-1, 1].map(|side| reach.columns(&y_differences, side));
            let x = (x_before, x_differences.moved(0), x_after);
            let y = (y_before, y_differences.moved(0), y_after);
            determinant_row(reach.part, weight, sums, x, y, out);
        }
    });
}

/// The value between two pixels.
#[inline(always)]
fn between(part: f32, [near, far]: [&[f32]; 2], x: usize) -> f32 {
    near[x] + part * (far[x] - near[x])
}

#[inline(always)]
fn cut([near, far]: [&[f32]; 2], width: usize) -> [&[f32]; 2] {
    [&near[..width], &far[..width]]
}

vectorised! {
    /// Each column weighed, and its ends' difference.
    fn down(
        part: f32, above: [&[f32]; 2], row: &[f32], below: [&[f32]; 2], sums: &mut [f32], differences: &mut [f32],
    ) {
        let width = row.len();
        let (above, below) = (cut(above, width), cut(below, width));
        let (sums, differences) = (&mut sums[..width], &mut differences[..width]);
        for x in 0..width {
            let (above, below) = (between(part, above, x), between(part, below, x));
            sums[x] = SIDE * (above + below) + MIDDLE * row[x];
            differences[x] = below - above;
        }
    }
}

vectorised! {
    fn subtract(part: f32, above: [&[f32]; 2], below: [&[f32]; 2], differences: &mut [f32]) {
        let width = differences.len();
        let (above, below) = (cut(above, width), cut(below, width));
        for x in 0..width {
            differences[x] = between(part, below, x) - between(part, above, x);
        }
    }
}

vectorised! {
    fn across(
        part: f32, sums: [[&[f32]; 2]; 2], before: [&[f32]; 2], here: &[f32], after: [&[f32]; 2],
        dx: &mut [f32], dy: &mut [f32],
    ) {
        let width = dx.len();
        let [sums_before, sums_after] = sums.map(|rows| cut(rows, width));
        let (before, here, after) = (cut(before, width), &here[..width], cut(after, width));
        let dy = &mut dy[..width];
        for x in 0..width {
            dx[x] = between(part, sums_after, x) - between(part, sums_before, x);
            dy[x] = SIDE * (between(part, before, x) + between(part, after, x)) + MIDDLE * here[x];
        }
    }
}

/// A row between the places before and after each of its pixels.
type Among<'a> = ([&'a [f32]; 2], &'a [f32], [&'a [f32]; 2]);

vectorised! {
    /// From rows that were weighed or subtracted downwards.
    fn determinant_row(
        part: f32, weight: f32, sums: [[&[f32]; 2]; 2], x_differences: Among, y_differences: Among, out: &mut [f32],
    ) {
        let width = out.len();
        let [sums_before, sums_after] = sums.map(|rows| cut(rows, width));
        let (x_before, x_here, x_after) = x_differences;
        let (x_before, x_here, x_after) = (cut(x_before, width), &x_here[..width], cut(x_after, width));
        let (y_before, y_here, y_after) = y_differences;
        let (y_before, y_here, y_after) = (cut(y_before, width), &y_here[..width], cut(y_after, width));
        for x in 0..width {
            let dxx = between(part, sums_after, x) - between(part, sums_before, x);
            let dxy = SIDE * (between(part, x_before, x) + between(part, x_after, x)) + MIDDLE * x_here[x];
            let dyy = SIDE * (between(part, y_before, x) + between(part, y_after, x)) + MIDDLE * y_here[x];
            out[x] = weight * (dxx * dyy - dxy * dxy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value at a place between pixels of one row or column, beyond the borders as at them.
    fn at(plane: &Plane<f32>, x: f64, y: f64) -> f64 {
        let pixel = |x: f64, y: f64| {
            f64::from(plane.row(nearest(y as isize, plane.height()))[nearest(x as isize, plane.width())])
        };
        let (fx, fy) = (x - x.floor(), y - y.floor());
        let row = |y: f64| (1.0 - fx) * pixel(x.floor(), y) + fx * pixel(x.floor() + 1.0, y);
        (1.0 - fy) * row(y.floor()) + fy * row(y.floor() + 1.0)
    }

    /// Scharr's operator on a grid as wide as the reach.
    fn slope(plane: &Plane<f32>, x: f64, y: f64, reach: f64, (ax, ay): (f64, f64)) -> f64 {
        [(-1.0, 3.0), (0.0, 10.0), (1.0, 3.0)]
            .map(|(side, weight)| {
                let (sx, sy) = (x + side * ay * reach, y + side * ax * reach);
                weight / 32.0
                    * (at(plane, sx + ax * reach, sy + ay * reach) - at(plane, sx - ax * reach, sy - ay * reach))
            })
            .iter()
            .sum()
    }

    #[test]
    fn slopes_and_determinants_are_those_of_the_formula_to_the_borders() {
        let value = |i: usize| ((i * 2_654_435_761 >> 9) % 512) as f32 / 512.0;
        for (width, height, reach) in [(23, 40, 1.0), (40, 23, 2.34), (3, 3, 7.5), (50, 80, 12.0)] {
            let plane = Plane::from_pixels(width, height, (0..width * height).map(value).collect()).unwrap();
            let (mut dx, mut dy, mut det) = (Plane::default(), Plane::default(), Plane::default());
            slopes(2, &plane, Reach::new(reach), &mut dx, &mut dy);
            determinant(2, &dx, &dy, Reach::new(reach), 3.0, &mut det);
            for y in 0..height {
                for x in 0..width {
                    let (fx, fy, across, down) = (x as f64, y as f64, (1.0, 0.0), (0.0, 1.0));
                    // The steps from a place near the border are not those of one beyond it: rows and columns are clamped alone.
                    assert!((f64::from(dx.row(y)[x]) - slope(&plane, fx, fy, reach, across)).abs() < 1e-5, "{x} {y}");
                    assert!((f64::from(dy.row(y)[x]) - slope(&plane, fx, fy, reach, down)).abs() < 1e-5, "{x} {y}");
                    let dxx = slope(&dx, fx, fy, reach, across);
                    let (dxy, dyy) = (slope(&dx, fx, fy, reach, down), slope(&dy, fx, fy, reach, down));
                    let expected = 3.0 * (dxx * dyy - dxy * dxy);
                    assert!((f64::from(det.row(y)[x]) - expected).abs() < 1e-5, "{x} {y}");
                }
            }
        }
    }
}
