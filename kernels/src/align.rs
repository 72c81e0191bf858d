//! Where a camera that was moved a little looks now: affine alignment of a picture to a template.
//!
//! Inverse compositional image alignment (Baker and Matthews 2004) on compressed brightness, coarse to fine, invariant to gain
//! and offset (as in ECC: Evangelidis and Psarakis 2008). Differences are clipped, so that objects that came or went
//! pull little (Huber's modified residuals).

use std::ops::Range;

use crate::{Plane, simd::vectorised, whole::whole};

/// An affine map of pixel coordinates: `x' = xx x + xy y + x0`, `y' = yx x + yy y + y0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Coefficients of `x'`: of x, of y, constant.
    pub x: [f32; 3],
    /// Coefficients of `y'`: of x, of y, constant.
    pub y: [f32; 3],
}

impl Affine {
    /// Leaves every point where it is.
    pub const IDENTITY: Self = Self { x: [1.0, 0.0, 0.0], y: [0.0, 1.0, 0.0] };

    /// The image of a point.
    pub fn apply(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x[0] * x + self.x[1] * y + self.x[2], self.y[0] * x + self.y[1] * y + self.y[2])
    }

    /// First `first`, then `self`.
    pub fn after(&self, first: &Self) -> Self {
        let row = |row: &[f32; 3]| {
            [
                row[0] * first.x[0] + row[1] * first.y[0],
                row[0] * first.x[1] + row[1] * first.y[1],
                row[0] * first.x[2] + row[1] * first.y[2] + row[2],
            ]
        };
        Self { x: row(&self.x), y: row(&self.y) }
    }

    /// The way back; none where the map is flat.
    pub fn inverse(&self) -> Option<Self> {
        let det = self.x[0] * self.y[1] - self.x[1] * self.y[0];
        if det.abs() < 1e-6 {
            return None;
        }
        let (a, b, c, d) = (self.y[1] / det, -self.x[1] / det, -self.y[0] / det, self.x[0] / det);
        Some(Self { x: [a, b, -(a * self.x[2] + b * self.y[2])], y: [c, d, -(c * self.x[2] + d * self.y[2])] })
    }

    /// The same map where both pictures are enlarged by `factor` (pixel centres at halves).
    pub fn enlarged(&self, factor: f32) -> Self {
        let shift = (factor - 1.0) / 2.0;
        let constant = |row: &[f32; 3]| factor * row[2] + shift - shift * (row[0] + row[1]);
        Self { x: [self.x[0], self.x[1], constant(&self.x)], y: [self.y[0], self.y[1], constant(&self.y)] }
    }
}

/// Levels of a pyramid, each half as large as the one before.
const LEVELS: usize = 3;
/// Brightness, as the sum of four pixels, is compressed as `b / (b + KNEE)`: nearly logarithmic, and exact arithmetic.
const KNEE: f32 = 256.0;
/// A level with a shorter side is left out.
const MIN_SIDE: usize = 12;

/// Compressed brightness at several sizes, finest first.
#[derive(Clone, Debug, Default)]
pub struct Pyramid {
    levels: Vec<Plane<f32>>,
}

impl Pyramid {
    /// Of a plane of brightness (0 to 255); its finest level has half the size of `luma`.
    pub fn fill(&mut self, luma: &Plane<i16>) {
        self.levels.resize_with(LEVELS, Plane::default);
        let (finest, coarser) = self.levels.split_at_mut(1);
        halve(luma, &mut finest[0], |sum| sum / (sum + KNEE));
        let mut finer = &finest[0];
        for level in coarser {
            halve(finer, level, |sum| sum * 0.25);
            finer = level;
        }
    }

    fn usable(&self) -> impl Iterator<Item = &Plane<f32>> {
        self.levels.iter().filter(|level| level.width().min(level.height()) >= MIN_SIDE)
    }
}

fn halve<T: Copy + Default>(from: &Plane<T>, to: &mut Plane<f32>, finish: impl Fn(f32) -> f32)
where
    f32: From<T>,
{
    to.reshape(from.width() / 2, from.height() / 2);
    for y in 0..to.height() {
        let (upper, lower) = (from.row(2 * y), from.row(2 * y + 1));
        for ((to, upper), lower) in to.row_mut(y).iter_mut().zip(upper.as_chunks::<2>().0).zip(lower.as_chunks::<2>().0)
        {
            *to = finish(f32::from(upper[0]) + f32::from(upper[1]) + f32::from(lower[0]) + f32::from(lower[1]));
        }
    }
}

/// A template with all that can be computed before a picture comes.
#[derive(Clone, Debug)]
pub struct Template {
    levels: Vec<Level>,
}

#[derive(Clone, Debug)]
struct Level {
    value: Plane<f32>,
    /// Derivatives by the six parameters of the increment, for each inner pixel.
    steepest: Vec<[f32; 6]>,
    inverse_hessian: [[f64; 6]; 6],
    /// Standard deviation of the inner pixels.
    spread: f32,
}

/// How a picture lies to a template.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    /// From the template's pixels to the picture's, in the sizes that the pyramids were made from.
    pub map: Affine,
    /// The correlation of what both show, -1 to 1.
    pub correlation: f32,
}

impl Template {
    /// Of the given pyramid.
    pub fn new(pyramid: &Pyramid) -> Self {
        Self { levels: pyramid.usable().filter_map(Level::new).collect() }
    }

    /// The correlation of the template and what `picture` shows without any movement, -1 to 1; none where either is flat
    /// or a side of it too short to tell.
    pub fn correlation_at_rest(&self, picture: &Pyramid) -> Option<f32> {
        let (level, picture) = (self.levels.first()?, picture.usable().next()?);
        level.correlation(picture, &Affine::IDENTITY)
    }

    /// Where `picture` lies; none where the two have nothing in common, or a side of either is too short to tell.
    pub fn align(&self, picture: &Pyramid) -> Option<Alignment> {
        let levels: Vec<(&Level, &Plane<f32>)> = self.levels.iter().zip(picture.usable()).collect();
        let &(coarse, coarse_picture) = levels.last()?;
        let mut best: Option<Alignment> = None;
        for start in coarse.starts(coarse_picture) {
            let mut map = start;
            for (index, (level, picture)) in levels.iter().enumerate().rev() {
                if index + 1 < levels.len() {
                    map = map.enlarged(2.0);
                }
                let Some(refined) = level.refine(picture, map, [12, 16, 24][index.min(2)]) else { break };
                map = refined;
                if index == 0 {
                    let correlation = level.correlation(picture, &map).unwrap_or(-1.0);
                    if best.is_none_or(|best| correlation > best.correlation) {
                        best = Some(Alignment { map: map.enlarged(2.0), correlation });
                    }
                }
            }
            if best.is_some_and(|best| best.correlation > 0.8) {
                break;
            }
        }
        best
    }
}

impl Level {
    fn new(value: &Plane<f32>) -> Option<Self> {
        let (width, height) = (value.width(), value.height());
        let mut steepest = Vec::with_capacity((width - 2) * (height - 2));
        let mut hessian = [[0.0_f64; 6]; 6];
        for y in 1..height - 1 {
            let (above, row, below) = (value.row(y - 1), value.row(y), value.row(y + 1));
            for x in 1..width - 1 {
                let (gx, gy) = ((row[x + 1] - row[x - 1]) * 0.5, (below[x] - above[x]) * 0.5);
                let (u, v) = Self::unit(width, height, x, y);
                let step = [gx * u, gx * v, gx, gy * u, gy * v, gy];
                for i in 0..6 {
                    for j in 0..6 {
                        hessian[i][j] += f64::from(step[i]) * f64::from(step[j]);
                    }
                }
                steepest.push(step);
            }
        }
        let (_, spread) = mean_and_spread(value.pixels().iter().copied());
        Some(Self { value: value.clone(), steepest, inverse_hessian: invert(hessian)?, spread })
    }

    /// Coordinates about the centre, in units of half the longer side: keeps the equations well conditioned.
    fn unit(width: usize, height: usize, x: usize, y: usize) -> (f32, f32) {
        let scale = 2.0 / width.max(height) as f32;
        ((x as f32 - width as f32 * 0.5) * scale, (y as f32 - height as f32 * 0.5) * scale)
    }

    /// The few most promising maps of a coarse grid of shifts and scales, best first.
    fn starts(&self, picture: &Plane<f32>) -> Vec<Affine> {
        let (width, height) = (self.value.width() as f32, self.value.height() as f32);
        let (wide, high) = (picture.width() as f32 / width, picture.height() as f32 / height);
        let mut found: Vec<(f32, Affine)> = Vec::new();
        for zoom in [1.0_f32, 0.87, 1.15] {
            for dy in -3_i8..=3 {
                for dx in -3_i8..=3 {
                    let (sx, sy) = (wide * zoom, high * zoom);
                    let x0 = width * wide * (0.5 + f32::from(dx) * 0.05) - sx * width * 0.5;
                    let y0 = height * high * (0.5 + f32::from(dy) * 0.05) - sy * height * 0.5;
                    let map = Affine { x: [sx, 0.0, x0], y: [0.0, sy, y0] };
                    if let Some(correlation) = self.correlation(picture, &map) {
                        found.push((correlation, map));
                    }
                }
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().take(3).map(|(_, map)| map).collect()
    }

    /// Calls `visit` with each row that `picture` shows a part of: the row, its columns that are shown, and what the picture
    /// shows there; the number of pixels met. Only inner pixels are looked at.
    fn visit(
        &self,
        picture: &Plane<f32>,
        map: &Affine,
        places: &mut Places,
        mut visit: impl FnMut(usize, Range<usize>, &[f32]),
    ) -> usize {
        let (width, height) = (self.value.width(), self.value.height());
        let (right, bottom) = (picture.width() as f32 - 1.001, picture.height() as f32 - 1.001);
        let mut met = 0;
        for y in 1..height - 1 {
            places.fill(map, y as f32, width - 2);
            // Along a row both coordinates only rise or only fall: what lies in the picture is of one piece.
            let Some(shown) = places.inside(right, bottom) else { continue };
            let now = places.sample(picture, shown.clone());
            met += now.len();
            visit(y, shown.start + 1..shown.end + 1, now);
        }
        met
    }

    /// Where the pixels of a row are among the inner ones.
    fn inner(&self, y: usize, shown: &Range<usize>) -> Range<usize> {
        let before = (y - 1) * (self.value.width() - 2);
        before + shown.start - 1..before + shown.end - 1
    }

    /// Fewer common pixels say nothing.
    fn enough(&self, met: usize) -> bool {
        met * 2 > self.steepest.len()
    }

    fn correlation(&self, picture: &Plane<f32>, map: &Affine) -> Option<f32> {
        let (mut st, mut sp, mut stt, mut spp, mut stp) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
        let met = self.visit(picture, map, &mut Places::default(), |y, shown, there| {
            for (&t, &p) in self.value.row(y)[shown].iter().zip(there) {
                let (t, p) = (f64::from(t), f64::from(p));
                st += t;
                sp += p;
                stt += t * t;
                spp += p * p;
                stp += t * p;
            }
        });
        let n = met as f64;
        let (vt, vp) = (stt - st * st / n, spp - sp * sp / n);
        (self.enough(met) && vt > 1e-9 * n && vp > 1e-9 * n).then(|| ((stp - st * sp / n) / (vt * vp).sqrt()) as f32)
    }

    /// Gauss-Newton steps from `map`; none where it runs away.
    fn refine(&self, picture: &Plane<f32>, mut map: Affine, steps: usize) -> Option<Affine> {
        let (width, height) = (self.value.width(), self.value.height());
        let scale = 2.0 / width.max(height) as f32;
        let mut there = vec![0.0; self.steepest.len()];
        let mut rows: Vec<(usize, Range<usize>)> = Vec::with_capacity(height);
        let mut places = Places::default();
        let mut residuals = vec![0.0; width];
        for _ in 0..steps {
            rows.clear();
            let (mut st, mut sp, mut stt, mut spp) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
            let met = self.visit(picture, &map, &mut places, |y, shown, now| {
                for (&t, &p) in self.value.row(y)[shown.clone()].iter().zip(now) {
                    let (t, p) = (f64::from(t), f64::from(p));
                    st += t;
                    sp += p;
                    stt += t * t;
                    spp += p * p;
                }
                there[self.inner(y, &shown)].copy_from_slice(now);
                rows.push((y, shown));
            });
            if !self.enough(met) {
                return None;
            }
            let n = met as f64;
            let (mean_t, mean_p) = (st / n, sp / n);
            let (var_t, var_p) = (stt / n - mean_t * mean_t, spp / n - mean_p * mean_p);
            if var_p < 1e-6 || var_t < 1e-6 {
                return None;
            }
            let gain = (var_t / var_p).sqrt() as f32;
            let (mean_t, mean_p) = (mean_t as f32, mean_p as f32);
            let limit = 0.5 * self.spread;
            let mut sums = [0.0_f64; 6];
            for (y, shown) in &rows {
                let inner = self.inner(*y, shown);
                let residuals = &mut residuals[..inner.len()];
                let means = [mean_p, mean_t];
                clipped(&there[inner.clone()], &self.value.row(*y)[shown.clone()], means, gain, limit, residuals);
                let mut row_sums = [0.0_f32; 6];
                for (&residual, step) in residuals.iter().zip(&self.steepest[inner]) {
                    for (sum, step) in row_sums.iter_mut().zip(step) {
                        *sum += step * residual;
                    }
                }
                for (sum, row) in sums.iter_mut().zip(row_sums) {
                    *sum += f64::from(row);
                }
            }
            let delta: [f32; 6] = std::array::from_fn(|i| {
                self.inverse_hessian[i].iter().zip(&sums).map(|(h, s)| h * s).sum::<f64>() as f32
            });
            let (cx, cy) = (width as f32 * 0.5, height as f32 * 0.5);
            let constant = |row: &[f32]| row[2] - scale * (row[0] * cx + row[1] * cy);
            let increment = Affine {
                x: [1.0 + scale * delta[0], scale * delta[1], constant(&delta[..3])],
                y: [scale * delta[3], 1.0 + scale * delta[4], constant(&delta[3..])],
            };
            map = map.after(&increment.inverse()?);
            if delta.iter().all(|step| step.abs() < 0.01) {
                break;
            }
        }
        Some(map)
    }
}

/// Beyond it floats tell no pixels apart.
const FARTHEST: f32 = 16_777_216.0;

/// Where the inner pixels of a row lie in a picture, and what it shows there. Reused from row to row.
#[derive(Default)]
struct Places {
    x: Vec<f32>,
    y: Vec<f32>,
    now: Vec<f32>,
}

impl Places {
    /// Where `map` takes `count` pixels of the row `y`, from the second on.
    fn fill(&mut self, map: &Affine, y: f32, count: usize) {
        self.x.resize(count, 0.0);
        self.y.resize(count, 0.0);
        placed(map, y, &mut self.x, &mut self.y);
    }

    /// Those between 0 and `right`, 0 and `bottom`; none where there are none.
    fn inside(&self, right: f32, bottom: f32) -> Option<Range<usize>> {
        let inside = |(&x, &y): (&f32, &f32)| x >= 0.0 && y >= 0.0 && x <= right && y <= bottom;
        let mut places = self.x.iter().zip(&self.y);
        let first = places.position(inside)?;
        let more = places.rposition(inside).map_or(0, |last| last + 1);
        Some(first..first + 1 + more)
    }

    /// The picture's values at the places `among`, which are inside.
    fn sample(&mut self, picture: &Plane<f32>, among: Range<usize>) -> &[f32] {
        self.now.resize(among.len(), 0.0);
        sampled(picture.pixels(), picture.width(), &self.x[among.clone()], &self.y[among], &mut self.now);
        &self.now
    }
}

vectorised! {
    fn placed(map: &Affine, y: f32, to_x: &mut [f32], to_y: &mut [f32]) {
        let map = *map;
        for (index, (to_x, to_y)) in to_x.iter_mut().zip(to_y).enumerate() {
            (*to_x, *to_y) = map.apply((index as u32 + 1) as f32, y);
        }
    }
}

vectorised! {
    /// The values at places between pixels, straight between the four around.
    fn sampled(pixels: &[f32], stride: usize, x: &[f32], y: &[f32], into: &mut [f32]) {
        let Some(last) = pixels.len().checked_sub(stride + 2) else { return };
        for ((to, &x), &y) in into.iter_mut().zip(x).zip(y) {
            let ((x, left), (y, top)) = (whole(x, FARTHEST), whole(y, FARTHEST));
            let (fx, fy) = (x - left as f32, y - top as f32);
            let at = (top as usize * stride + left as usize).min(last);
            // SAFETY: `last + stride + 1` is the index of the last pixel.
            let around = unsafe { [0, 1, stride, stride + 1].map(|step| *pixels.get_unchecked(at + step)) };
            let upper = around[0] + fx * (around[1] - around[0]);
            let lower = around[2] + fx * (around[3] - around[2]);
            *to = upper + fy * (lower - upper);
        }
    }
}

vectorised! {
    /// How far the picture is from the template, from means that are taken to be the same, but no farther than `limit`.
    fn clipped(picture: &[f32], template: &[f32], means: [f32; 2], gain: f32, limit: f32, into: &mut [f32]) {
        for ((to, p), t) in into.iter_mut().zip(picture).zip(template) {
            *to = ((p - means[0]) * gain - (t - means[1])).max(-limit).min(limit);
        }
    }
}

fn mean_and_spread(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let (mut count, mut sum, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
    for value in values {
        count += 1.0;
        sum += f64::from(value);
        squares += f64::from(value) * f64::from(value);
    }
    let mean = sum / count;
    (mean as f32, (squares / count - mean * mean).max(0.0).sqrt() as f32)
}

/// Gauss-Jordan elimination with partial pivoting; none where the matrix is singular.
fn invert(mut matrix: [[f64; 6]; 6]) -> Option<[[f64; 6]; 6]> {
    let mut inverse: [[f64; 6]; 6] = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))));
    for column in 0..6 {
        let pivot = (column..6).max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        if matrix[pivot][column].abs() < 1e-9 {
            return None;
        }
        matrix.swap(column, pivot);
        inverse.swap(column, pivot);
        let divisor = matrix[column][column];
        for j in 0..6 {
            matrix[column][j] /= divisor;
            inverse[column][j] /= divisor;
        }
        for row in (0..6).filter(|&row| row != column) {
            let factor = matrix[row][column];
            for j in 0..6 {
                matrix[row][j] -= factor * matrix[column][j];
                inverse[row][j] -= factor * inverse[column][j];
            }
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blobs of light, seen through `map` from the picture's pixels.
    fn scene(map: &Affine) -> Plane<i16> {
        let mut out = Plane::new(240, 200);
        for y in 0..200 {
            for x in 0..240 {
                let (x0, y0) = map.apply(x as f32, y as f32);
                let blob = |cx: f32, cy: f32, r: f32, light: f32| {
                    let d = ((x0 - cx) * (x0 - cx) + (y0 - cy) * (y0 - cy)) / (r * r);
                    light / (1.0 + d * d)
                };
                let light = 40.0
                    + blob(60.0, 50.0, 20.0, 120.0)
                    + blob(180.0, 90.0, 30.0, 90.0)
                    + blob(100.0, 160.0, 16.0, 150.0)
                    + blob(200.0, 170.0, 12.0, 100.0);
                out.row_mut(y)[x] = light as i16;
            }
        }
        out
    }

    fn pyramid(luma: &Plane<i16>) -> Pyramid {
        let mut pyramid = Pyramid::default();
        pyramid.fill(luma);
        pyramid
    }

    #[test]
    fn a_moved_camera_is_found_again_though_an_object_came_and_the_light_fell() {
        let moved = Affine { x: [0.98, 0.05, 9.0], y: [-0.04, 1.01, -6.0] };
        let back = moved.inverse().unwrap();
        let template = Template::new(&pyramid(&scene(&Affine::IDENTITY)));
        // A pixel p of the picture shows the place back(p) of the template.
        let mut luma = scene(&back);
        luma.pixels_mut().iter_mut().for_each(|light| *light = *light * 7 / 10);
        (80..120).for_each(|y| luma.row_mut(y)[100..140].fill(15));
        let found = template.align(&pyramid(&luma)).unwrap();
        assert!(found.correlation > 0.6, "{found:?}");
        for (x, y) in [(20.0, 20.0), (220.0, 30.0), (120.0, 100.0), (30.0, 180.0)] {
            let ((x1, y1), (x2, y2)) = (found.map.apply(x, y), moved.apply(x, y));
            assert!((x1 - x2).abs() < 2.5 && (y1 - y2).abs() < 2.5, "{x},{y}: {x1},{y1} not {x2},{y2}");
        }
    }

    #[test]
    fn a_map_and_its_inverse_cancel_at_every_size() {
        let map = Affine { x: [0.9, 0.1, 5.0], y: [-0.2, 1.1, -3.0] };
        let (x, y) = map.inverse().unwrap().after(&map).apply(12.0, 34.0);
        assert!((x - 12.0).abs() < 1e-4 && (y - 34.0).abs() < 1e-4);
        // The pixel (1, 1) of a picture covers the centre (2.5, 2.5) of the one twice as large.
        let (x, y) = map.apply(1.0, 1.0);
        let (x2, y2) = map.enlarged(2.0).apply(2.5, 2.5);
        assert!((2.0 * x + 0.5 - x2).abs() < 1e-4 && (2.0 * y + 0.5 - y2).abs() < 1e-4);
        assert_eq!(Affine { x: [1.0, 2.0, 0.0], y: [2.0, 4.0, 0.0] }.inverse(), None);
    }

    #[test]
    fn nothing_is_found_in_a_blank_or_tiny_picture() {
        let template = Template::new(&pyramid(&scene(&Affine::IDENTITY)));
        assert_eq!(template.align(&pyramid(&Plane::new(240, 200))), None);
        assert_eq!(template.align(&pyramid(&Plane::new(3, 2))), None);
        let blank = Template::new(&pyramid(&Plane::new(240, 200)));
        assert_eq!(blank.align(&pyramid(&scene(&Affine::IDENTITY))), None);
    }
}
