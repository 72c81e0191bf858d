//! Nonlinear diffusion: how well each place conducts, and the diffusion itself.

use std::{
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{Plane, buffer::Buffer, simd::vectorised};

use super::rows::{PaddedRow, by_rows, gather};

/// How conductivity falls with the gradient (Alcantarilla 2012, section 2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Diffusivity {
    /// Perona and Malik's g1: keeps edges of high contrast.
    PmG1,
    /// Perona and Malik's g2: keeps wide regions.
    #[default]
    PmG2,
    /// Weickert's: smooths both sides of an edge more than across it.
    Weickert,
    /// Charbonnier's.
    Charbonnier,
}

/// How well the borders between neighbouring pixels conduct, 0 to 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Conductivity {
    /// Between each pixel and the one to its right; unspecified in the last column.
    right: Plane<f32>,
    /// Between each pixel and the one below it; unspecified in the last row.
    below: Plane<f32>,
}

/// Slopes of a row by Scharr's operator, 32 times as large.
struct Scharr {
    sums: PaddedRow,
    differences: PaddedRow,
}

impl Scharr {
    fn new(width: usize) -> Self {
        Self { sums: PaddedRow::new(width, 1), differences: PaddedRow::new(width, 1) }
    }

    /// The squared length of the slope at each pixel of row `y`.
    fn squared(&mut self, smooth: &Plane<f32>, y: usize, out: &mut [f32]) {
        let height = smooth.height();
        let (above, row) = (smooth.row(y.saturating_sub(1)), smooth.row(y));
        let below = smooth.row((y + 1).min(height - 1));
        scharr_down(above, row, below, self.sums.inner(), self.differences.inner());
        self.sums.extend();
        self.differences.extend();
        let [before, here, after] = self.differences.spread(1);
        scharr_across(self.sums.moved(-1), self.sums.moved(1), before, here, after, out);
    }
}

vectorised! {
    fn scharr_down(above: &[f32], row: &[f32], below: &[f32], sums: &mut [f32], differences: &mut [f32]) {
        let width = row.len();
        let (above, below) = (&above[..width], &below[..width]);
        let (sums, differences) = (&mut sums[..width], &mut differences[..width]);
        for x in 0..width {
            sums[x] = 3.0 * (above[x] + below[x]) + 10.0 * row[x];
            differences[x] = below[x] - above[x];
        }
    }
}

vectorised! {
    fn scharr_across(left: &[f32], right: &[f32], before: &[f32], here: &[f32], after: &[f32], out: &mut [f32]) {
        let width = out.len();
        let (left, right) = (&left[..width], &right[..width]);
        let (before, here, after) = (&before[..width], &here[..width], &after[..width]);
        for x in 0..width {
            let dx = right[x] - left[x];
            let dy = 3.0 * (before[x] + after[x]) + 10.0 * here[x];
            out[x] = dx * dx + dy * dy;
        }
    }
}

impl Conductivity {
    /// Of a smoothed picture, with the contrast factor that [`contrast_factor`] found in it or in a larger one.
    pub(super) fn fill(&mut self, threads: usize, smooth: &Plane<f32>, contrast: f32, kind: Diffusivity) {
        let (width, height) = (smooth.width(), smooth.height());
        self.right.reshape(width, height);
        self.below.reshape(width, height);
        let scale = 1.0 / (contrast * contrast);
        by_rows(threads, [&mut self.right, &mut self.below], |rows, [right, below]| {
            let mut scharr = Scharr::new(width);
            let (mut here, mut next) = (PaddedRow::new(width, 1), PaddedRow::new(width, 1));
            let mut conduct = |y: usize, into: &mut PaddedRow| {
                scharr.squared(smooth, y, into.inner());
                kind.of(scale, into.inner());
                into.extend();
            };
            conduct(rows.start, &mut here);
            for ((y, right), below) in rows.zip(right.chunks_exact_mut(width)).zip(below.chunks_exact_mut(width)) {
                conduct((y + 1).min(height - 1), &mut next);
                halfway(here.moved(0), here.moved(1), next.moved(0), right, below);
                std::mem::swap(&mut here, &mut next);
            }
        });
    }
}

impl Diffusivity {
    /// Turns squared slopes, which `scale` makes relative to the contrast factor, into conductivity.
    fn of(self, scale: f32, values: &mut [f32]) {
        match self {
            Self::PmG1 => values.iter_mut().for_each(|value| *value = libm::expf(-(*value * scale))),
            Self::PmG2 => g2(scale, values),
            Self::Weickert => values.iter_mut().for_each(|value| *value = weickert(*value * scale)),
            Self::Charbonnier => charbonnier(scale, values),
        }
    }
}

vectorised! {
    fn g2(scale: f32, values: &mut [f32]) {
        values.iter_mut().for_each(|value| *value = 1.0 / (1.0 + *value * scale));
    }
}

vectorised! {
    fn charbonnier(scale: f32, values: &mut [f32]) {
        values.iter_mut().for_each(|value| *value = 1.0 / (1.0 + *value * scale).sqrt());
    }
}

/// With `m` of 8, as in the paper.
fn weickert(squared: f32) -> f32 {
    let fourth = (squared * squared) * (squared * squared);
    if fourth > 0.0 { 1.0 - libm::expf(-3.315 / fourth) } else { 1.0 }
}

vectorised! {
    fn halfway(here: &[f32], beside: &[f32], under: &[f32], right: &mut [f32], below: &mut [f32]) {
        let width = right.len();
        let (here, beside, under, below) = (&here[..width], &beside[..width], &under[..width], &mut below[..width]);
        for x in 0..width {
            right[x] = 0.5 * (here[x] + beside[x]);
            below[x] = 0.5 * (here[x] + under[x]);
        }
    }
}

/// Bins of the histogram of gradients.
const CONTRAST_BINS: usize = 300;
/// The contrast factor of a picture without contrast.
const NO_CONTRAST: f32 = 0.03;

/// The gradient that this part of all pixels with any gradient stay below: what counts as an edge (Alcantarilla 2012, section
/// 2.1: the 70 % percentile). `magnitude` is scratch.
pub(super) fn contrast_factor(threads: usize, smooth: &Plane<f32>, percentile: f64, magnitude: &mut Plane<f32>) -> f32 {
    let (width, height) = (smooth.width(), smooth.height());
    magnitude.reshape(width, height);
    let columns = 1..width.saturating_sub(1).max(1);
    let is_inner = |y: usize| y > 0 && y + 1 < height;
    // The bits of floats that are not negative are ordered as they are.
    let greatest = AtomicU32::new(0);
    by_rows(threads, [&mut *magnitude], |rows, [out]| {
        let mut scharr = Scharr::new(width);
        for (y, out) in rows.zip(out.chunks_exact_mut(width)) {
            scharr.squared(smooth, y, out);
            let most = square_roots(out, columns.clone());
            greatest.fetch_max(if is_inner(y) { most.to_bits() } else { 0 }, Ordering::Relaxed);
        }
    });
    let greatest = f32::from_bits(greatest.into_inner());
    if greatest <= 0.0 {
        return NO_CONTRAST;
    }
    let scale = CONTRAST_BINS as f32 / greatest;
    let mut histograms = Vec::new();
    gather(threads, 0..height, &mut histograms, |rows, histograms| {
        // Four counters side by side: equal neighbours would wait for each other.
        let mut bins = vec![[0_u32; 4]; CONTRAST_BINS];
        for y in rows.filter(|&y| is_inner(y)) {
            for (index, &value) in magnitude.row(y)[columns.clone()].iter().enumerate() {
                if value > 0.0 {
                    bins[((value * scale) as usize).min(CONTRAST_BINS - 1)][index % 4] += 1;
                }
            }
        }
        histograms.push(bins);
    });
    let counts = (0..CONTRAST_BINS).map(|bin| histograms.iter().flat_map(|bins| bins[bin]).map(u64::from).sum::<u64>());
    let wanted = (counts.clone().sum::<u64>() as f64 * percentile) as u64;
    let below = counts
        .scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        })
        .take_while(|&sum| sum < wanted)
        .count();
    greatest * (below + 1) as f32 / CONTRAST_BINS as f32
}

vectorised! {
    /// Takes the square root of values, none negative; the greatest of those in `columns`.
    fn square_roots(values: &mut [f32], columns: Range<usize>) -> f32 {
        values.iter_mut().for_each(|value| *value = value.sqrt());
        let mut most = [0.0_f32; 16];
        let (whole, rest) = values[columns].as_chunks::<16>();
        for values in whole {
            for (most, &value) in most.iter_mut().zip(values) {
                *most = if value > *most { value } else { *most };
            }
        }
        most.iter().chain(rest).fold(0.0, |most, &value| most.max(value))
    }
}

/// `from` after a cycle of diffusion by the given steps (see [`super::fed`]).
///
/// All steps go over the picture together, each one row behind the step before it, so that what they need stays in the
/// cache: the picture is read and written once a cycle, not once a step. A thread's part begins and ends as many rows
/// early and late as steps are to come.
pub(super) fn diffuse(threads: usize, from: &Plane<f32>, by: &Conductivity, steps: &[f32], to: &mut Plane<f32>) {
    let (width, height) = (from.width(), from.height());
    to.reshape(width, height);
    by_rows(threads, [to], |part, [to]| {
        if steps.is_empty() {
            return to.copy_from_slice(&from.pixels()[part.start * width..part.end * width]);
        }
        let (first, end) = (part.start.saturating_sub(steps.len()), (part.end + steps.len()).min(height));
        let (mut before, mut after) =
            (Buffer::new((part.start - first) * width), Buffer::new((end - part.end) * width));
        let rows = [&mut *before, to, &mut *after].into_iter().flat_map(|rows| rows.chunks_exact_mut(width));
        cycle(from, first, &mut rows.collect::<Vec<_>>(), &part, by, steps);
    });
}

/// Diffuses the rows of `part` into `rows`, of which the first is the picture's row `first`. Those beyond the part end up in
/// between.
fn cycle(
    from: &Plane<f32>,
    first: usize,
    rows: &mut [&mut [f32]],
    part: &Range<usize>,
    by: &Conductivity,
    steps: &[f32],
) {
    let width = from.width();
    // What flowed down into the row that a step comes to next.
    let stride = width.next_multiple_of(16);
    let mut inflow = Buffer::<f32>::new(steps.len() * stride);
    // What flows to the right within a row; nothing does over its ends.
    let mut across = Buffer::<f32>::new(width + 1);
    rows[0].copy_from_slice(from.row(first));
    for turn in 0..rows.len() + steps.len() - 1 {
        if let Some(next) = rows.get_mut(turn + 1) {
            next.copy_from_slice(from.row(first + turn + 1));
        }
        for (lag, (&time, inflow)) in steps.iter().zip(inflow.chunks_exact_mut(stride)).enumerate() {
            let Some(place) = turn.checked_sub(lag) else { break };
            let (y, left) = (first + place, steps.len() - lag);
            // A step needs one row more above, for what flows from it, than are left after it.
            if place >= rows.len() || y + left < part.start || y + 1 >= part.end + left {
                continue;
            }
            let (done, ahead) = rows.split_at_mut(place + 1);
            let row = &mut *done[place];
            flow_right(row, by.right.row(y), &mut across[1..width]);
            match ahead.first() {
                Some(next) => step_row(time, row, next, by.below.row(y), &across, inflow),
                None => step_last_row(time, row, &across, inflow),
            }
        }
    }
}

vectorised! {
    fn flow_right(row: &[f32], right: &[f32], across: &mut [f32]) {
        let borders = across.len();
        let (here, next, right) = (&row[..borders], &row[1..=borders], &right[..borders]);
        for x in 0..borders {
            across[x] = right[x] * (next[x] - here[x]);
        }
    }
}

vectorised! {
    fn step_row(time: f32, row: &mut [f32], next: &[f32], below: &[f32], across: &[f32], inflow: &mut [f32]) {
        let width = row.len();
        let (next, below, inflow) = (&next[..width], &below[..width], &mut inflow[..width]);
        let (before, behind) = (&across[..width], &across[1..=width]);
        for x in 0..width {
            let outflow = below[x] * (next[x] - row[x]);
            row[x] += time * ((behind[x] - before[x]) + (outflow - inflow[x]));
            inflow[x] = outflow;
        }
    }
}

vectorised! {
    fn step_last_row(time: f32, row: &mut [f32], across: &[f32], inflow: &[f32]) {
        let width = row.len();
        let (before, behind, inflow) = (&across[..width], &across[1..=width], &inflow[..width]);
        for x in 0..width {
            row[x] += time * ((behind[x] - before[x]) + (0.0 - inflow[x]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texture(width: usize, height: usize) -> Plane<f32> {
        let value = |i: usize| (((i * 2_654_435_761) >> 7) % 1000) as f32 / 1000.0;
        Plane::from_pixels(width, height, (0..width * height).map(value).collect()).unwrap()
    }

    /// One step by the formula, a pixel at a time; what does not exist conducts nothing.
    fn plain_step(light: &Plane<f32>, by: &Conductivity, time: f32) -> Plane<f32> {
        let (width, height) = (light.width(), light.height());
        let mut out = light.clone();
        for y in 0..height {
            for x in 0..width {
                let here = light.row(y)[x];
                let right = if x + 1 < width { by.right.row(y)[x] * (light.row(y)[x + 1] - here) } else { 0.0 };
                let left = if x > 0 { by.right.row(y)[x - 1] * (here - light.row(y)[x - 1]) } else { 0.0 };
                let down = if y + 1 < height { by.below.row(y)[x] * (light.row(y + 1)[x] - here) } else { 0.0 };
                let up = if y > 0 { by.below.row(y - 1)[x] * (here - light.row(y - 1)[x]) } else { 0.0 };
                out.row_mut(y)[x] = here + time * ((right - left) + (down - up));
            }
        }
        out
    }

    #[test]
    fn a_cycle_is_its_steps_one_after_another_on_any_number_of_threads() {
        for (width, height) in [(1, 1), (1, 9), (9, 1), (5, 4), (37, 70), (64, 200)] {
            let light = texture(width, height);
            let mut by = Conductivity::default();
            by.fill(1, &light, 3.0, Diffusivity::PmG2);
            let steps = super::super::fed::step_times(17.0);
            let plain = steps.iter().fold(light.clone(), |light, &time| plain_step(&light, &by, time));
            for threads in [1, 2, 5] {
                let mut fast = Plane::default();
                diffuse(threads, &light, &by, &steps, &mut fast);
                assert_eq!(fast, plain, "{width}x{height} on {threads}");
            }
        }
    }

    #[test]
    fn diffusion_keeps_the_light_and_brings_it_nearer_to_even() {
        let light = texture(50, 60);
        let mut by = Conductivity::default();
        by.fill(1, &light, 1e6, Diffusivity::PmG2);
        let mut out = Plane::default();
        diffuse(1, &light, &by, &super::super::fed::step_times(50.0), &mut out);
        let sum = |plane: &Plane<f32>| plane.pixels().iter().map(|&value| f64::from(value)).sum::<f64>();
        let spread = |plane: &Plane<f32>| {
            let mean = sum(plane) / 3000.0;
            plane.pixels().iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>()
        };
        assert!((sum(&light) - sum(&out)).abs() < 0.01);
        // A Gaussian of that time averages over some 600 pixels.
        assert!(spread(&out) * 200.0 < spread(&light), "{} of {}", spread(&out), spread(&light));
    }

    #[test]
    fn edges_conduct_less_than_what_is_even_whatever_the_diffusivity() {
        let step = |i: usize| if i % 40 < 20 { 0.2 } else { 0.8 };
        let edge = Plane::from_pixels(40, 8, (0..320).map(step).collect()).unwrap();
        for kind in [Diffusivity::PmG1, Diffusivity::PmG2, Diffusivity::Weickert, Diffusivity::Charbonnier] {
            let mut by = Conductivity::default();
            by.fill(1, &edge, 2.0, kind);
            let row = by.right.row(4);
            assert_eq!(row[5], 1.0, "{kind:?}");
            assert!(row[19] < 0.5, "{kind:?}: {}", row[19]);
        }
    }

    #[test]
    fn the_contrast_factor_is_the_slope_that_most_stay_below() {
        // Slopes 0, 1/100, 2/100 ... across; each as often as the others.
        let value = |i: usize| {
            let x = (i % 101) as f32;
            x * x / 200.0
        };
        let slope = Plane::from_pixels(101, 200, (0..20_200).map(value).collect()).unwrap();
        for threads in [1, 2, 5] {
            let factor = contrast_factor(threads, &slope, 0.7, &mut Plane::default());
            // Scharr's operator is 32 times the slope.
            assert!((factor / 32.0 - 0.7).abs() < 0.01, "{}", factor / 32.0);
        }
        let flat = Plane::new(30, 30);
        assert_eq!(contrast_factor(1, &flat, 0.7, &mut Plane::default()), NO_CONTRAST);
        assert_eq!(contrast_factor(1, &Plane::new(1, 1), 0.7, &mut Plane::default()), NO_CONTRAST);
    }
}
