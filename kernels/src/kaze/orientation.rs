//! The main orientation of what is around a point.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use crate::{Plane, simd::vectorised};

/// Samples lie on a grid in a disc of less than six steps around the point.
const REACH: isize = 6;
/// Samples of the disc, filled up to whole vectors with ones of no weight.
const SAMPLES: usize = 112;
/// Parts of the circle: sums are taken over a window of a sixth of it, which moves from part to part.
const PARTS: usize = 48;
/// Parts in the window.
const WINDOW: usize = PARTS / 6;

/// Where samples are taken, in steps, and what each weighs: a Gaussian of two and a half steps.
#[derive(Clone, Debug)]
pub(super) struct Disc {
    pub(super) across: [f32; SAMPLES],
    pub(super) down: [f32; SAMPLES],
    pub(super) weight: [f32; SAMPLES],
}

/// A direction: its angle (to 2e-6), and its cosine and sine, which are not taken from that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direction {
    pub(super) angle: f32,
    pub(super) cosine: f32,
    pub(super) sine: f32,
}

impl Direction {
    /// That of the axis of x.
    const RIGHT: Self = Self { angle: 0.0, cosine: 1.0, sine: 0.0 };

    /// That of a vector of the given squared length.
    #[inline(always)]
    fn of([dx, dy]: [f32; 2], squared: f32) -> Self {
        if squared <= 0.0 {
            return Self::RIGHT;
        }
        let length = squared.sqrt();
        Self { angle: angle_of(dx, dy), cosine: dx / length, sine: dy / length }
    }
}

impl Default for Disc {
    fn default() -> Self {
        let mut disc = Self { across: [0.0; SAMPLES], down: [0.0; SAMPLES], weight: [0.0; SAMPLES] };
        let places = (1 - REACH..REACH).flat_map(|y| (1 - REACH..REACH).map(move |x| (x, y)));
        for (index, (x, y)) in places.filter(|(x, y)| x * x + y * y < REACH * REACH).enumerate() {
            let squared = (x * x + y * y) as f64;
            disc.across[index] = x as f32;
            disc.down[index] = y as f32;
            disc.weight[index] = libm::exp(-squared / (2.0 * 2.5 * 2.5)) as f32;
        }
        disc
    }
}

impl Disc {
    /// The [`orientation`] around a place, unless descriptors keep the picture's axes.
    pub(super) fn direction(
        &self,
        upright: bool,
        dx: &Plane<f32>,
        dy: &Plane<f32>,
        x: f32,
        y: f32,
        step: f32,
    ) -> Direction {
        if upright { Direction::RIGHT } else { orientation(self, dx, dy, x, y, step) }
    }
}

/// The angle of a vector, 0 to 2 pi, to 2e-6; 0 of no vector.
#[inline(always)]
pub(super) fn angle_of(dx: f32, dy: f32) -> f32 {
    let (wide, high) = (dx.abs(), dy.abs());
    let (less, more) = (wide.min(high), wide.max(high));
    let ratio = less / more.max(f32::MIN_POSITIVE);
    // A minimax polynomial of the arc tangent from 0 to 1.
    let square = ratio * ratio;
    let mut angle = -0.011_721_2;
    for coefficient in [0.052_653_32, -0.116_432_87, 0.193_543_46, -0.332_623_47, 0.999_977_26] {
        angle = angle * square + coefficient;
    }
    angle *= ratio;
    angle = if high > wide { FRAC_PI_2 - angle } else { angle };
    angle = if dx < 0.0 { PI - angle } else { angle };
    if dy < 0.0 { TAU - angle } else { angle }
}

vectorised! {
    /// The direction, 0 to 2 pi, in which most slopes around `x`, `y` point (Alcantarilla 2012, section 2.3, after SURF: Bay
    /// 2008, section 4.1): of all windows of a sixth of the circle the sum of whose slopes is longest, that sum's.
    /// Samples outside the picture have no weight.
    fn orientation(disc: &Disc, dx: &Plane<f32>, dy: &Plane<f32>, x: f32, y: f32, step: f32) -> Direction {
        let (right, bottom) = ((dx.width() - 1) as f32, (dx.height() - 1) as f32);
        let stride = dx.width() as f32;
        let mut place = [0_u32; SAMPLES];
        let mut weight = [0.0_f32; SAMPLES];
        for i in 0..SAMPLES {
            // Halves go up; a cast drops what is behind the point.
            let column = (x + disc.across[i] * step + 0.5).floor();
            let row = (y + disc.down[i] * step + 0.5).floor();
            let inside = column >= 0.0 && row >= 0.0 && column <= right && row <= bottom;
            weight[i] = if inside { disc.weight[i] } else { 0.0 };
            let (column, row) = (column.max(0.0).min(right), row.max(0.0).min(bottom));
            place[i] = row as u32 * stride as u32 + column as u32;
        }
        let (dx, dy) = (dx.pixels(), dy.pixels());
        let (mut across, mut down) = ([0.0_f32; SAMPLES], [0.0_f32; SAMPLES]);
        for i in 0..SAMPLES {
            across[i] = weight[i] * dx[place[i] as usize];
            down[i] = weight[i] * dy[place[i] as usize];
        }
        let mut part = [0_u32; SAMPLES];
        for i in 0..SAMPLES {
            part[i] = (angle_of(across[i], down[i]) * (PARTS as f32 / TAU)) as u32;
        }
        let mut sums = [[0.0_f32; 2]; PARTS];
        for i in 0..SAMPLES {
            let sum = &mut sums[(part[i] as usize).min(PARTS - 1)];
            sum[0] += across[i];
            sum[1] += down[i];
        }
        let mut best = [0.0_f32; 2];
        let mut longest = 0.0;
        for start in 0..PARTS {
            let mut sum = [0.0_f32; 2];
            for part in start..start + WINDOW {
                let [across, down] = sums[if part < PARTS { part } else { part - PARTS }];
                sum = [sum[0] + across, sum[1] + down];
            }
            let length = sum[0] * sum[0] + sum[1] * sum[1];
            if length > longest {
                (best, longest) = (sum, length);
            }
        }
        Direction::of(best, longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_those_of_the_mathematicians() {
        for step in 0..1000 {
            let angle = f64::from(step) * std::f64::consts::TAU / 1000.0;
            for length in [1e-20, 1.0, 1e10] {
                let ours = angle_of((length * angle.cos()) as f32, (length * angle.sin()) as f32);
                let off = (f64::from(ours) - angle).abs();
                assert!(off.min((off - std::f64::consts::TAU).abs()) < 3e-6, "{angle}: {ours}");
            }
        }
        assert_eq!(angle_of(0.0, 0.0), 0.0);
    }

    #[test]
    fn a_slope_points_up_it() {
        for degrees in (0..360).step_by(15) {
            let angle = (degrees as f32).to_radians();
            let (dx, dy) = (vec![angle.cos(); 64 * 64], vec![angle.sin(); 64 * 64]);
            let plane = |values| Plane::from_pixels(64, 64, values).unwrap();
            let found = orientation(&Disc::default(), &plane(dx), &plane(dy), 30.0, 20.0, 2.0);
            let off = (found.angle - angle).abs();
            assert!(off.min((off - TAU).abs()) < 1e-4, "{degrees}: {found:?}");
            assert!(
                (found.cosine - angle.cos()).abs() < 1e-5 && (found.sine - angle.sin()).abs() < 1e-5,
                "{degrees}: {found:?}"
            );
        }
    }
}
