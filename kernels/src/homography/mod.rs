//! Projective maps between two pictures of the same plane, found among matches of which most are wrong.
//!
//! [`Homography::fit`] is the direct linear transformation in normalised coordinates (Hartley 1997); [`find`] is RANSAC
//! in the order of PROSAC (Chum and Matas 2005) with local optimisation (Chum, Matas and Kittler 2003); [`verify`] asks first
//! for what turn, zoom and place many matches agree (Lowe 2004, section 7.3), which leaves few wrong ones to sample from.
//! Sampling is a function of a seed and a counter, and all sums are taken in the order of the pairs: the same answer on
//! every run and machine.

mod chance;
mod ransac;
mod votes;

pub(crate) use ransac::Random;
pub use ransac::{Found, Limits, Search, find};
pub use votes::{Posed, clusters, verify};

/// A place in the one picture, and the same place in the other, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Column and row in the picture that is mapped (of a product: the reference).
    pub from: [f64; 2],
    /// Column and row in the picture that it is mapped to.
    pub to: [f64; 2],
}

/// A projective map `(x, y) -> (u / w, v / w)`, where `(u, v, w)` is the matrix times `(x, y, 1)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Homography {
    rows: [[f64; 3]; 3],
}

/// A denominator below this is at or behind the horizon.
const HORIZON: f64 = 1e-9;

impl Homography {
    /// Leaves every place where it is.
    pub const IDENTITY: Self = Self { rows: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] };

    /// Of its matrix, row by row; none where a number is not finite or the map cannot be undone.
    pub fn from_rows(rows: [[f64; 3]; 3]) -> Option<Self> {
        let map = Self { rows };
        map.inverse().map(|_| map)
    }

    /// The map that zooms by `zoom` and turns by `turn` radians (from x towards y), and takes `from` to `to`.
    pub fn from_similarity(zoom: f64, turn: f64, from: [f64; 2], to: [f64; 2]) -> Option<Self> {
        let (sin, cos) = libm::sincos(turn);
        let (a, b) = (zoom * cos, zoom * sin);
        Self::from_rows([
            [a, -b, to[0] - (a * from[0] - b * from[1])],
            [b, a, to[1] - (b * from[0] + a * from[1])],
            [0.0, 0.0, 1.0],
        ])
    }

    /// The matrix, row by row.
    pub fn rows(&self) -> [[f64; 3]; 3] {
        self.rows
    }

    fn denominator(&self, x: f64, y: f64) -> f64 {
        self.rows[2][0] * x + self.rows[2][1] * y + self.rows[2][2]
    }

    /// The image of a place; none at the horizon and behind it.
    pub fn apply(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let w = self.denominator(x, y);
        // Not a number is no place either.
        if w.partial_cmp(&HORIZON) != Some(std::cmp::Ordering::Greater) {
            return None;
        }
        let row = |row: &[f64; 3]| (row[0] * x + row[1] * y + row[2]) / w;
        Some([row(&self.rows[0]), row(&self.rows[1])])
    }

    /// How many times larger an area around a place gets; negative where it is seen from behind.
    pub fn zoom_of_area(&self, [x, y]: [f64; 2]) -> f64 {
        let w = self.denominator(x, y);
        determinant(&self.rows) / (w * w * w)
    }

    /// The way back, scaled so that the two agree on which side of the horizon is seen; none where there is none.
    pub fn inverse(&self) -> Option<Self> {
        let m = &self.rows;
        let size = m.iter().flatten().fold(0.0_f64, |size, value| size.max(value.abs()));
        let det = determinant(m);
        // A comparison that also fails for what is not a number.
        let regular = det.abs() > 1e-12 * size * size * size && size < 1e100;
        if !regular || m.iter().flatten().any(|value| !value.is_finite()) {
            return None;
        }
        let minor = |r0: usize, r1: usize, c0: usize, c1: usize| (m[r0][c0] * m[r1][c1] - m[r0][c1] * m[r1][c0]) / det;
        Some(Self {
            rows: [
                [minor(1, 2, 1, 2), -minor(0, 2, 1, 2), minor(0, 1, 1, 2)],
                [-minor(1, 2, 0, 2), minor(0, 2, 0, 2), -minor(0, 1, 0, 2)],
                [minor(1, 2, 0, 1), -minor(0, 2, 0, 1), minor(0, 1, 0, 1)],
            ],
        })
    }

    /// First `first`, then `self`.
    pub fn after(&self, first: &Self) -> Self {
        let cell = |r: usize, c: usize| (0..3).map(|k| self.rows[r][k] * first.rows[k][c]).sum();
        Self { rows: std::array::from_fn(|r| std::array::from_fn(|c| cell(r, c))) }
    }

    /// The map that leaves the smallest sum of squared distances between the images of `from` and `to`, nearly: the direct linear
    /// transformation, each pair then weighted by its denominator, `rounds` times, so that what is minimised tends to the
    /// distance in pixels. None for fewer than four pairs or where they do not tell (on a line, say).
    pub fn fit<'a>(pairs: impl Iterator<Item = &'a Pair> + Clone, rounds: usize) -> Option<Self> {
        let (from, to) =
            (Frame::of(pairs.clone().map(|pair| pair.from))?, Frame::of(pairs.clone().map(|pair| pair.to))?);
        let mut bottom = [0.0_f64, 0.0];
        let mut solved = [0.0; 8];
        for _ in 0..=rounds {
            let mut normal = [[0.0_f64; 9]; 8];
            for pair in pairs.clone() {
                let ([x, y], [u, v]) = (from.inside(pair.from), to.inside(pair.to));
                let w = bottom[0] * x + bottom[1] * y + 1.0;
                if w < 0.05 {
                    return None;
                }
                let weight = 1.0 / (w * w);
                let first = [x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u];
                let second = [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v];
                for row in [first, second] {
                    for i in 0..8 {
                        let scaled = weight * row[i];
                        for j in i..9 {
                            normal[i][j] += scaled * row[j];
                        }
                    }
                }
            }
            for i in 1..8 {
                let (above, below) = normal.split_at_mut(i);
                below[0].iter_mut().zip(above).for_each(|(value, row)| *value = row[i]);
            }
            solved = solve(normal)?;
            bottom = [solved[6], solved[7]];
        }
        let [a, b, c, d, e, f, g, h] = solved;
        let inside = Self { rows: [[a, b, c], [d, e, f], [g, h, 1.0]] };
        let map = to.leave().after(&inside).after(&from.enter());
        Self::from_rows(map.rows)
    }

    /// The images of the corners of a picture, clockwise from the top left; none where one is not seen.
    pub fn corners(&self, width: f64, height: f64) -> Option<[[f64; 2]; 4]> {
        let (right, bottom) = (width - 0.5, height - 0.5);
        let corner = |x, y| self.apply([x, y]);
        Some([corner(-0.5, -0.5)?, corner(right, -0.5)?, corner(right, bottom)?, corner(-0.5, bottom)?])
    }
}

fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

/// Twice the area of a triangle; positive where its corners go from x towards y.
fn doubled_area(a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

fn squared_distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1])
}

/// Coordinates about the mean of some places, at a mean distance of the square root of two: keeps equations well conditioned.
struct Frame {
    mean: [f64; 2],
    scale: f64,
}

impl Frame {
    fn of(places: impl Iterator<Item = [f64; 2]> + Clone) -> Option<Self> {
        let count = places.clone().count() as f64;
        let mut mean = [0.0; 2];
        for place in places.clone() {
            mean[0] += place[0];
            mean[1] += place[1];
        }
        mean = mean.map(|sum| sum / count);
        let distance = places.map(|place| squared_distance(place, mean).sqrt()).sum::<f64>() / count;
        (distance > 1e-9 && distance < 1e9).then(|| Self { mean, scale: std::f64::consts::SQRT_2 / distance })
    }

    fn inside(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [(x - self.mean[0]) * self.scale, (y - self.mean[1]) * self.scale]
    }

    fn enter(&self) -> Homography {
        let (scale, [x, y]) = (self.scale, self.mean);
        Homography { rows: [[scale, 0.0, -scale * x], [0.0, scale, -scale * y], [0.0, 0.0, 1.0]] }
    }

    fn leave(&self) -> Homography {
        let (scale, [x, y]) = (1.0 / self.scale, self.mean);
        Homography { rows: [[scale, 0.0, x], [0.0, scale, y], [0.0, 0.0, 1.0]] }
    }
}

/// Gaussian elimination with partial pivoting; the last column is the right side. None where the matrix is singular.
fn solve(mut rows: [[f64; 9]; 8]) -> Option<[f64; 8]> {
    let largest = rows.iter().enumerate().fold(0.0_f64, |largest, (i, row)| largest.max(row[i].abs()));
    for column in 0..8 {
        let pivot = (column..8).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        // A comparison that also fails for what is not a number.
        let regular = rows[pivot][column].abs() > 1e-13 * largest;
        if !regular {
            return None;
        }
        rows.swap(column, pivot);
        let top = rows[column];
        for row in rows.iter_mut().skip(column + 1) {
            let factor = row[column] / top[column];
            for j in column..9 {
                row[j] -= factor * top[j];
            }
        }
    }
    let mut solved = [0.0; 8];
    for i in (0..8).rev() {
        let known: f64 = (i + 1..8).map(|j| rows[i][j] * solved[j]).sum();
        solved[i] = (rows[i][8] - known) / rows[i][i];
    }
    Some(solved)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A view of a 300 x 400 reference: corners moved by up to a fifth of it, then turned, zoomed and moved.
    pub(super) fn views() -> impl Strategy<Value = Homography> {
        let corner = || (-60.0..60.0, -60.0..60.0);
        let moved = (corner(), corner(), corner(), corner());
        (moved, 0.4..2.5_f64, 0.0..std::f64::consts::TAU, (50.0..600.0, 50.0..600.0)).prop_map(
            |(moved, zoom, turn, to)| {
                let corners = [[0.0, 0.0], [300.0, 0.0], [300.0, 400.0], [0.0, 400.0]];
                let moved = [moved.0, moved.1, moved.2, moved.3];
                let pairs: Vec<Pair> = corners
                    .iter()
                    .zip(moved)
                    .map(|(&from, (dx, dy))| Pair { from, to: [from[0] + dx, from[1] + dy] })
                    .collect();
                let bent = Homography::fit(pairs.iter(), 0).unwrap();
                Homography::from_similarity(zoom, turn, [150.0, 200.0], [to.0, to.1]).unwrap().after(&bent)
            },
        )
    }

    proptest! {
        #[test]
        fn four_pairs_give_the_map_they_were_made_by(map in views()) {
            let from = [[10.0, 20.0], [280.0, 35.0], [250.0, 390.0], [20.0, 300.0]];
            let pairs = from.map(|from| Pair { from, to: map.apply(from).unwrap() });
            let found = Homography::fit(pairs.iter(), 0).unwrap();
            for place in [[150.0, 200.0], [0.0, 0.0], [299.0, 399.0]] {
                let (ours, theirs) = (found.apply(place).unwrap(), map.apply(place).unwrap());
                prop_assert!(squared_distance(ours, theirs) < 1e-10, "{ours:?} {theirs:?}");
            }
        }

        #[test]
        fn there_and_back_is_where_it_was(map in views(), x in 0.0..300.0, y in 0.0..400.0) {
            let back = map.inverse().unwrap().apply(map.apply([x, y]).unwrap()).unwrap();
            prop_assert!(squared_distance(back, [x, y]) < 1e-12);
            let same = map.inverse().unwrap().after(&map).apply([x, y]).unwrap();
            prop_assert!(squared_distance(same, [x, y]) < 1e-12);
        }

        #[test]
        fn areas_grow_as_a_small_triangle_does(map in views(), x in 0.0..300.0, y in 0.0..400.0) {
            let at = |dx, dy| map.apply([x + dx, y + dy]).unwrap();
            let grown = doubled_area(at(0.0, 0.0), at(1e-4, 0.0), at(0.0, 1e-4)) / 1e-8;
            let told = map.zoom_of_area([x, y]);
            prop_assert!((grown - told).abs() < 1e-3 * told, "{grown} {told}");
        }

        #[test]
        fn the_fit_leaves_less_than_any_small_change_of_it(map in views(), noise in prop::collection::vec(-2.0..2.0, 48)) {
            let pairs: Vec<Pair> = noise.as_chunks::<2>().0.iter().enumerate().map(|(i, [dx, dy])| {
                let from = [(i % 6) as f64 * 50.0 + 20.0, (i / 6) as f64 * 110.0 + 15.0];
                let [x, y] = map.apply(from).unwrap();
                Pair { from, to: [x + dx, y + dy] }
            }).collect();
            let left = |map: &Homography| -> f64 {
                pairs.iter().map(|pair| squared_distance(map.apply(pair.from).unwrap(), pair.to)).sum()
            };
            let fit = Homography::fit(pairs.iter(), 6).unwrap();
            let least = left(&fit);
            // Moved, turned and zoomed a little: no better by more than the approximation.
            for (zoom, turn, dx, dy) in [(1.0, 0.0, 0.1, 0.0), (1.0, 0.0, 0.0, -0.1), (1.001, 0.0, 0.0, 0.0), (1.0, 1e-3, 0.0, 0.0)] {
                let middle = fit.apply([150.0, 200.0]).unwrap();
                let change = Homography::from_similarity(zoom, turn, middle, [middle[0] + dx, middle[1] + dy]).unwrap();
                prop_assert!(least <= left(&change.after(&fit)) * 1.001, "{least}");
            }
        }
    }

    #[test]
    fn what_does_not_tell_gives_no_map() {
        let pair = |x: f64, y: f64| Pair { from: [x, y], to: [2.0 * x, 2.0 * y] };
        let line: Vec<Pair> = (0..10).map(|i| pair(f64::from(i), 3.0 * f64::from(i))).collect();
        assert_eq!(Homography::fit(line.iter(), 1), None);
        assert_eq!(Homography::fit([pair(5.0, 5.0); 10].iter(), 1), None);
        assert_eq!(Homography::fit(line[..3].iter(), 1), None);
        assert_eq!(Homography::fit([].iter(), 1), None);
        let wild = [pair(f64::NAN, 0.0), pair(1.0, 7.0), pair(9.0, 2.0), pair(4.0, f64::INFINITY)];
        assert_eq!(Homography::fit(wild.iter(), 1), None);
        assert_eq!(Homography::from_rows([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 0.0, 1.0]]), None);
    }

    #[test]
    fn nothing_is_seen_at_the_horizon_or_behind_it() {
        let map = Homography::from_rows([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.01, 0.0, 1.0]]).unwrap();
        assert!(map.apply([-99.0, 5.0]).is_some());
        assert_eq!(map.apply([-100.0, 5.0]), None);
        assert_eq!(map.apply([-101.0, 5.0]), None);
        assert_eq!(map.apply([f64::NAN, 5.0]), None);
    }
}
