//! Where the determinant of the Hessian is greatest.

use crate::{Plane, simd::vectorised};

use super::rows::gather;

/// A place that stands out, in pixels of its level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extremum {
    /// The level, over all octaves.
    pub(super) level: usize,
    /// Column, to less than a pixel.
    pub(super) x: f32,
    /// Row, to less than a pixel.
    pub(super) y: f32,
    /// Levels (down to parts of one) above its own; 0 where it is not looked for between levels.
    pub(super) shift: f32,
    /// The determinant.
    pub(super) response: f32,
}

impl Extremum {
    /// The lower the stronger; equally strong ones by level, row and column. One number, so that none is compared in steps.
    fn rank(&self) -> u128 {
        let bits = self.response.to_bits();
        // As whole numbers, floats are ordered if those below zero are turned round.
        let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
        // Places are not below zero.
        [!ascending, self.level as u32, self.y.to_bits(), self.x.to_bits()]
            .iter()
            .fold(0, |rank, &part| rank << 32 | u128::from(part))
    }
}

/// Pixels looked at together.
const BLOCK: usize = 16;

/// Calls `look` with column and row of each pixel that is above `threshold`, greater than the four of its eight neighbours that
/// come before it, not less than those after it (of equal ones, the first is found), and at least `border` (1 or more)
/// pixels from the edges; what it makes of them goes into `found`, row by row. On `threads` threads.
pub(super) fn local_maxima<T: Send>(
    threads: usize,
    plane: &Plane<f32>,
    threshold: f32,
    border: usize,
    found: &mut Vec<T>,
    look: impl Fn(usize, usize) -> Option<T> + Sync,
) {
    let (width, height) = (plane.width(), plane.height());
    if width < 2 * border + 1 || height < 2 * border + 1 {
        return;
    }
    gather(threads, border..height - border, found, |rows, found| {
        let columns = border..width - border;
        let mut marks = vec![[0; BLOCK]; columns.len().div_ceil(BLOCK)];
        for y in rows {
            let (above, row, below) = (plane.row(y - 1), plane.row(y), plane.row(y + 1));
            let [left, here, right] = [border - 1, border, border + 1].map(|from| &row[from..from + columns.len()]);
            let (up, down) = (&above[columns.clone()], &below[columns.clone()]);
            mark(threshold, left, here, right, up, down, marks.as_flattened_mut());
            for (block, marks) in marks.iter().enumerate().filter(|(_, marks)| u128::from_ne_bytes(**marks) != 0) {
                for x in (0..BLOCK).filter(|&place| marks[place] != 0).map(|place| border + block * BLOCK + place) {
                    let value = row[x];
                    if value > above[x - 1] && value > above[x + 1] && value >= below[x - 1] && value >= below[x + 1] {
                        found.extend(look(x, y));
                    }
                }
            }
        }
    });
}

vectorised! {
    /// Marks the pixels that are above the threshold, and a maximum among the four beside, above and below them.
    fn mark(
        threshold: f32, left: &[f32], row: &[f32], right: &[f32], above: &[f32], below: &[f32], marks: &mut [u8],
    ) {
        let width = row.len();
        let (left, right, above, below) = (&left[..width], &right[..width], &above[..width], &below[..width]);
        let marks = &mut marks[..width];
        for x in 0..width {
            let value = row[x];
            // Without branches, so that many are looked at together.
            let before = (value > threshold) & (value > left[x]) & (value > above[x]);
            marks[x] = u8::from(before & (value >= right[x]) & (value >= below[x]));
        }
    }
}

/// Whether all of the nine pixels around a place of another level are as `less` says.
pub(super) fn all_around(plane: &Plane<f32>, x: usize, y: usize, less: impl Fn(f32) -> bool) -> bool {
    (y - 1..=y + 1).all(|y| plane.row(y)[x - 1..=x + 1].iter().all(|&other| less(other)))
}

/// Where the parabola through a maximum and its eight neighbours has its top; none where that is over a pixel away.
pub(super) fn refine_2d(plane: &Plane<f32>, x: usize, y: usize) -> Option<[f32; 2]> {
    let (above, row, below) = (plane.row(y - 1), plane.row(y), plane.row(y + 1));
    let (dx, dy) = (0.5 * (row[x + 1] - row[x - 1]), 0.5 * (below[x] - above[x]));
    let dxx = row[x + 1] + row[x - 1] - 2.0 * row[x];
    let dyy = below[x] + above[x] - 2.0 * row[x];
    let dxy = 0.25 * ((below[x + 1] + above[x - 1]) - (above[x + 1] + below[x - 1]));
    let determinant = dxx * dyy - dxy * dxy;
    let shift = [(dxy * dy - dyy * dx) / determinant, (dxy * dx - dxx * dy) / determinant];
    shift.iter().all(|part| part.abs() <= 1.0).then_some(shift)
}

/// As [`refine_2d`], between three levels of one size too: the last part is in levels.
pub(super) fn refine_3d([lower, plane, upper]: [&Plane<f32>; 3], x: usize, y: usize) -> Option<[f32; 3]> {
    let at = |plane: &Plane<f32>, x: usize, y: usize| plane.row(y)[x];
    let slope = |more: f32, less: f32| 0.5 * (more - less);
    let value = at(plane, x, y);
    let bend = |more: f32, less: f32| more + less - 2.0 * value;
    let twist = |a: f32, b: f32, c: f32, d: f32| 0.25 * ((a + b) - (c + d));
    let slopes = [
        slope(at(plane, x + 1, y), at(plane, x - 1, y)),
        slope(at(plane, x, y + 1), at(plane, x, y - 1)),
        slope(at(upper, x, y), at(lower, x, y)),
    ];
    let xx = bend(at(plane, x + 1, y), at(plane, x - 1, y));
    let yy = bend(at(plane, x, y + 1), at(plane, x, y - 1));
    let ss = bend(at(upper, x, y), at(lower, x, y));
    let xy = twist(at(plane, x + 1, y + 1), at(plane, x - 1, y - 1), at(plane, x + 1, y - 1), at(plane, x - 1, y + 1));
    let xs = twist(at(upper, x + 1, y), at(lower, x - 1, y), at(upper, x - 1, y), at(lower, x + 1, y));
    let ys = twist(at(upper, x, y + 1), at(lower, x, y - 1), at(upper, x, y - 1), at(lower, x, y + 1));
    let shift = solve([[xx, xy, xs], [xy, yy, ys], [xs, ys, ss]], slopes.map(|slope| -slope));
    shift.iter().all(|part| part.abs() <= 1.0).then_some(shift)
}

/// Cramer's rule; not finite where the matrix is singular.
fn solve(matrix: [[f32; 3]; 3], right: [f32; 3]) -> [f32; 3] {
    let determinant = |m: [[f32; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(matrix);
    std::array::from_fn(|column| {
        let mut replaced = matrix;
        (0..3).for_each(|row| replaced[row][column] = right[row]);
        determinant(replaced) / whole
    })
}

/// Of extrema of one level or of neighbouring levels that lie within the radius of the stronger one, the stronger one: none
/// is found twice. `radius` is of a level and in pixels of the picture, as is what `place` says of an extremum.
///
/// The strongest come first; equal ones by level, row and column, so that the order of `extrema` does not matter.
pub(super) fn suppress(
    extrema: &mut Vec<Extremum>,
    levels: usize,
    size: (usize, usize),
    radius: impl Fn(usize) -> f32,
    place: impl Fn(&Extremum) -> (f32, f32),
) {
    extrema.sort_unstable_by_key(Extremum::rank);
    // A square of cells for each level, as wide as its radius: what is near lies in nine of them.
    let mut kept: Vec<Cells> = (0..levels).map(|level| Cells::new(size, radius(level))).collect();
    extrema.retain(|extremum| {
        let (x, y) = place(extremum);
        let near = extremum.level.saturating_sub(1)..(extremum.level + 2).min(levels);
        if near.clone().any(|level| kept[level].any_within(x, y, radius(level))) {
            return false;
        }
        kept[extremum.level].insert(x, y);
        true
    });
}

/// Points by where they lie.
struct Cells {
    side: f32,
    columns: usize,
    /// The last point of each cell, as its place among all; [`Cells::NONE`] where there is none.
    last: Vec<u32>,
    /// Each point with the one before it in its cell.
    points: Vec<([f32; 2], u32)>,
}

impl Cells {
    const NONE: u32 = u32::MAX;

    fn new((width, height): (usize, usize), side: f32) -> Self {
        let side = side.max(4.0);
        let columns = (width as f32 / side) as usize + 1;
        let cells = columns * ((height as f32 / side) as usize + 1);
        Self { side, columns, last: vec![Self::NONE; cells], points: Vec::new() }
    }

    fn cell(&self, x: f32, y: f32) -> (usize, usize) {
        let rows = self.last.len() / self.columns;
        (((x / self.side) as usize).min(self.columns - 1), ((y / self.side) as usize).min(rows - 1))
    }

    fn insert(&mut self, x: f32, y: f32) {
        let (column, row) = self.cell(x, y);
        let here = self.points.len() as u32;
        let before = std::mem::replace(&mut self.last[row * self.columns + column], here);
        self.points.push(([x, y], before));
    }

    fn any_within(&self, x: f32, y: f32, radius: f32) -> bool {
        let (left, top) = self.cell(x - radius, y - radius);
        let (right, bottom) = self.cell(x + radius, y + radius);
        let is_within = |[px, py]: [f32; 2]| (px - x) * (px - x) + (py - y) * (py - y) < radius * radius;
        (top..=bottom).any(|row| {
            self.last[row * self.columns + left..=row * self.columns + right].iter().any(|&last| {
                let mut of_cell = std::iter::successors(self.points.get(last as usize), |(_, before)| {
                    self.points.get(*before as usize)
                });
                of_cell.any(|&(place, _)| is_within(place))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maxima_are_those_that_a_look_at_every_pixel_finds() {
        let value = |i: usize| (((i * 2_654_435_761) >> 11) % 50) as f32;
        for (width, height, border) in [(3, 3, 1), (2, 9, 1), (17, 20, 1), (100, 31, 4), (33, 12, 6), (70, 301, 2)] {
            let plane = Plane::from_pixels(width, height, (0..width * height).map(value).collect()).unwrap();
            let mut found = Vec::new();
            local_maxima(1, &plane, 30.0, border, &mut found, |x, y| Some((x, y)));
            for threads in [2, 3, 7] {
                let mut shared = Vec::new();
                local_maxima(threads, &plane, 30.0, border, &mut shared, |x, y| Some((x, y)));
                assert_eq!(shared, found, "{width}x{height} on {threads}");
            }
            let mut expected = Vec::new();
            for y in border..height.saturating_sub(border) {
                for x in border..width.saturating_sub(border) {
                    let mut around = (y - 1..=y + 1).flat_map(|v| (x - 1..=x + 1).map(move |u| (u, v)));
                    let less = around.all(|(u, v)| {
                        let (here, there) = (plane.row(y)[x], plane.row(v)[u]);
                        there < here || there == here && (v, u) >= (y, x)
                    });
                    if plane.row(y)[x] > 30.0 && less {
                        expected.push((x, y));
                    }
                }
            }
            assert_eq!(found, expected, "{width}x{height}");
        }
    }

    #[test]
    fn the_top_of_a_parabola_is_found_between_pixels_and_levels() {
        let (tx, ty, ts) = (5.3_f32, 4.6_f32, 0.2_f32);
        let level = |s: f32| {
            let value = |i: usize| {
                let (x, y) = ((i % 11) as f32 - tx, (i / 11) as f32 - ty);
                10.0 - x * x - 2.0 * y * y - 0.5 * x * y - (s - ts) * (s - ts)
            };
            Plane::from_pixels(11, 11, (0..121).map(value).collect()).unwrap()
        };
        let levels = [level(-1.0), level(0.0), level(1.0)];
        let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        let [x, y] = refine_2d(&levels[1], 5, 5).unwrap();
        near(5.0 + x, tx);
        near(5.0 + y, ty);
        let [x, y, s] = refine_3d([&levels[0], &levels[1], &levels[2]], 5, 5).unwrap();
        near(5.0 + x, tx);
        near(5.0 + y, ty);
        near(s, ts);
        assert_eq!(refine_2d(&levels[1], 8, 5), None);
        assert_eq!(refine_2d(&Plane::new(3, 3), 1, 1), None);
    }

    #[test]
    fn of_what_lies_together_the_strongest_is_kept_whatever_the_order() {
        let place = |i: usize| ((i * 7919 % 211) as f32, (i * 104_729 % 197) as f32);
        let all: Vec<Extremum> = (0..600)
            .map(|i| {
                let ((x, y), response) = (place(i), (i * 31 % 40) as f32);
                Extremum { level: i % 5, x, y, shift: 0.0, response }
            })
            .collect();
        let radius = |level: usize| 6.0 + 3.0 * level as f32;
        let run = |mut extrema: Vec<Extremum>| {
            suppress(&mut extrema, 5, (211, 197), radius, |e| (e.x, e.y));
            extrema
        };
        let kept = run(all.clone());
        assert_eq!(run(all.iter().rev().copied().collect()), kept);
        let close = |a: &Extremum, b: &Extremum| {
            a.level.abs_diff(b.level) <= 1 && (a.x - b.x).hypot(a.y - b.y) < radius(b.level)
        };
        // The oracle: each in turn, beside all that were kept before it.
        let mut order = all;
        order.sort_by(|a, b| {
            b.response
                .total_cmp(&a.response)
                .then((a.level, a.y as i32, a.x as i32).cmp(&(b.level, b.y as i32, b.x as i32)))
        });
        let mut expected: Vec<Extremum> = Vec::new();
        for extremum in order {
            if !expected.iter().any(|other| close(&extremum, other)) {
                expected.push(extremum);
            }
        }
        assert_eq!(kept, expected);
        assert!(kept.len() > 50 && kept.len() < 500, "{}", kept.len());
    }
}
