//! M-SURF: the descriptor of KAZE (Agrawal 2008, section 3.3; Alcantarilla 2012, section 2.3).

use crate::{Plane, simd::vectorised};

/// Samples along a side of the square that is described.
const SIDE: usize = 24;
/// Samples along a side of one of its subregions, and from one to the next: they overlap.
const REGION: usize = 9;
const REGION_STEP: usize = 5;
/// Subregions along a side.
const REGIONS: usize = 4;

/// What samples weigh in a subregion, and subregions in the square, by how far along one side they lie.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub(super) sample: [f32; REGION],
    pub(super) region: [f32; REGIONS],
}

impl Default for Weights {
    fn default() -> Self {
        let gaussian = |distance: f64, sigma: f64| libm::exp(-distance * distance / (2.0 * sigma * sigma)) as f32;
        Self {
            sample: std::array::from_fn(|index| gaussian(index as f64 - 4.0, 2.5)),
            region: std::array::from_fn(|index| gaussian(index as f64 - 1.5, 1.5)),
        }
    }
}

/// Sums of a subregion: of slopes across and down, and of their sizes; all four again apart by the sign of the other slope
/// where the descriptor is extended.
const PLAIN: usize = 4;
const EXTENDED: usize = 8;
/// Components of a plain descriptor.
pub(super) const COMPONENTS: usize = REGIONS * REGIONS * PLAIN;
/// Components of an extended descriptor.
pub(super) const EXTENDED_COMPONENTS: usize = REGIONS * REGIONS * EXTENDED;

/// Where a descriptor is taken, in pixels of the level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) x: f32,
    pub(super) y: f32,
    /// Pixels from sample to sample.
    pub(super) step: f32,
    /// Cosine and sine of the orientation.
    pub(super) cosine: f32,
    pub(super) sine: f32,
}

/// Describes a place by the slopes around it; `out` (of [`COMPONENTS`] or [`EXTENDED_COMPONENTS`]) becomes a unit vector, or
/// zeros where all is flat.
pub(super) fn describe(weights: &Weights, dx: &Plane<f32>, dy: &Plane<f32>, frame: Frame, out: &mut [f32]) {
    if out.len() == EXTENDED_COMPONENTS {
        describe_extended(weights, dx, dy, frame, out);
    } else {
        describe_plain(weights, dx, dy, frame, out);
    }
    // Sixteen sums side by side, in an order that no instruction set changes.
    let mut squares = [0.0_f32; 16];
    for values in out.as_chunks::<16>().0 {
        for (square, value) in squares.iter_mut().zip(values) {
            *square += value * value;
        }
    }
    let length = squares.iter().sum::<f32>().sqrt();
    if length > 0.0 {
        out.iter_mut().for_each(|value| *value /= length);
    }
}

/// Slopes along the frame's own axes, at column l of row k of its square: `[l][k]`.
type Square = [[f32; SIDE]; SIDE];

vectorised! {
    fn describe_plain(weights: &Weights, dx: &Plane<f32>, dy: &Plane<f32>, frame: Frame, out: &mut [f32]) {
        let (along, across) = sample(dx, dy, frame);
        sum_up::<PLAIN>(weights, &along, &across, |across, along| [across, along, across.abs(), along.abs()], out);
    }
}

vectorised! {
    fn describe_extended(weights: &Weights, dx: &Plane<f32>, dy: &Plane<f32>, frame: Frame, out: &mut [f32]) {
        let (along, across) = sample(dx, dy, frame);
        let parted = |across: f32, along: f32| {
            let (up, right) = (along >= 0.0, across >= 0.0);
            let kept = |keep: bool, value: f32| if keep { value } else { 0.0 };
            [
                kept(up, across),
                kept(!up, across),
                kept(up, across.abs()),
                kept(!up, across.abs()),
                kept(right, along),
                kept(!right, along),
                kept(right, along.abs()),
                kept(!right, along.abs()),
            ]
        };
        sum_up::<EXTENDED>(weights, &along, &across, parted, out);
    }
}

/// Samples the slopes at every place of the square, between pixels by the nearest four.
#[inline(always)]
fn sample(dx: &Plane<f32>, dy: &Plane<f32>, frame: Frame) -> (Square, Square) {
    let Frame { x, y, step, cosine, sine } = frame;
    let (width, height) = (dx.width(), dx.height());
    let (right, bottom) = ((width - 1) as f32, (height - 1) as f32);
    let (last_column, last_row) = ((width - 2) as i32, (height - 2) as i32);
    let (dx, dy) = (&dx.pixels()[..width * height], &dy.pixels()[..width * height]);
    let (mut along, mut across) = ([[0.0; SIDE]; SIDE], [[0.0; SIDE]; SIDE]);
    for l in 0..SIDE {
        let sideways = (l as f32 - 12.0) * step;
        let mut at = [0_u32; SIDE];
        let (mut part_x, mut part_y) = ([0.0_f32; SIDE], [0.0_f32; SIDE]);
        for k in 0..SIDE {
            let forward = (k as f32 - 12.0) * step;
            let sample_x = (x + (forward * cosine - sideways * sine)).max(0.0).min(right);
            let sample_y = (y + (forward * sine + sideways * cosine)).max(0.0).min(bottom);
            let column = (sample_x as i32).min(last_column);
            let row = (sample_y as i32).min(last_row);
            part_x[k] = sample_x - column as f32;
            part_y[k] = sample_y - row as f32;
            at[k] = (row * width as i32 + column) as u32;
        }
        for k in 0..SIDE {
            let at = at[k] as usize;
            let between = |values: &[f32]| {
                // SAFETY: `at` is the index of a pixel that is neither in the last column nor in the last row of a plane of
                // `width * height` pixels, to which both slices were cut.
                let [a, b, c, d] = [0, 1, width, width + 1].map(|offset| unsafe { *values.get_unchecked(at + offset) });
                let upper = a + part_x[k] * (b - a);
                let lower = c + part_x[k] * (d - c);
                upper + part_y[k] * (lower - upper)
            };
            let (slope_x, slope_y) = (between(dx), between(dy));
            along[l][k] = slope_x * cosine + slope_y * sine;
            across[l][k] = slope_y * cosine - slope_x * sine;
        }
    }
    (along, across)
}

/// Sums up each subregion's samples: first over its columns, for all rows at once, then over its rows.
#[inline(always)]
fn sum_up<const N: usize>(
    weights: &Weights,
    along: &Square,
    across: &Square,
    channels: impl Fn(f32, f32) -> [f32; N],
    out: &mut [f32],
) {
    let mut columns = [[[0.0_f32; SIDE]; N]; REGIONS];
    for l in 0..SIDE {
        let mut values = [[0.0_f32; SIDE]; N];
        for k in 0..SIDE {
            let parts = channels(across[l][k], along[l][k]);
            for (values, part) in values.iter_mut().zip(parts) {
                values[k] = part;
            }
        }
        for (region, columns) in columns.iter_mut().enumerate() {
            let Some(&weight) = l.checked_sub(region * REGION_STEP).and_then(|inside| weights.sample.get(inside))
            else {
                continue;
            };
            for (columns, values) in columns.iter_mut().zip(&values) {
                for k in 0..SIDE {
                    columns[k] += weight * values[k];
                }
            }
        }
    }
    let regions = (0..REGIONS).flat_map(|down| (0..REGIONS).map(move |beside| (down, beside)));
    for ((down, beside), out) in regions.zip(out.as_chunks_mut::<N>().0) {
        let weight = weights.region[down] * weights.region[beside];
        for (out, column) in out.iter_mut().zip(&columns[beside]) {
            let mut sum = 0.0;
            for (k, sample) in weights.sample.iter().enumerate() {
                sum += sample * column[down * REGION_STEP + k];
            }
            *out = sum * weight;
        }
    }
}
