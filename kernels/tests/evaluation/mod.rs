//! How well features are found again in another picture of the same plane.
//!
//! K. Mikolajczyk et al., *A Comparison of Affine Region Detectors*, IJCV 2005, section 4: a region of the one picture and one of the
//! other show the same where they overlap enough when laid over each other by the homography.

use larder_kernels::{
    features::{BinaryDescriptor, FloatDescriptors, Keypoint},
    matching::{HammingTrains, L2Trains},
};

/// From pixels of the first picture to those of the second, row by row.
pub type Homography = [[f64; 3]; 3];

/// Regions overlap enough where the part that is not common is less than this.
const MAX_OVERLAP_ERROR: f64 = 0.4;
/// Regions are enlarged so that the one in the first picture has this radius: else larger ones would overlap more easily (section 4.1).
const NORMAL_RADIUS: f64 = 30.0;

/// Descriptors of either kind.
#[derive(Clone, Debug)]
pub enum Descriptors {
    Binary(Vec<BinaryDescriptor>),
    Float(FloatDescriptors),
}

impl Descriptors {
    fn select(&self, indices: &[usize]) -> Self {
        match self {
            Self::Binary(all) => Self::Binary(indices.iter().map(|&index| all[index]).collect()),
            Self::Float(all) => {
                let values = indices.iter().flat_map(|&index| all.get(index).to_vec()).collect();
                Self::Float(FloatDescriptors::from_values(all.components(), values).unwrap())
            }
        }
    }

    /// The nearest of `trains` to each of these.
    fn nearest(&self, trains: &Self) -> Vec<Option<usize>> {
        match (self, trains) {
            (Self::Binary(queries), Self::Binary(trains)) => {
                let (mut held, mut found) = (HammingTrains::default(), Vec::new());
                held.fill(trains);
                held.nearest2(queries, 1, &mut found);
                found.into_iter().map(|found| found.best.map(|best| best.index as usize)).collect()
            }
            (Self::Float(queries), Self::Float(trains)) => {
                let (mut held, mut found) = (L2Trains::default(), Vec::new());
                held.fill(trains);
                held.nearest2(queries, 1, &mut found).unwrap();
                found.into_iter().map(|found| found.best.map(|best| best.index as usize)).collect()
            }
            _ => panic!("descriptors of two kinds"),
        }
    }
}

/// The features of a picture.
#[derive(Clone, Debug)]
pub struct Found {
    /// Width and height of the picture.
    pub size: (usize, usize),
    pub keypoints: Vec<Keypoint>,
    pub descriptors: Descriptors,
}

impl Found {
    /// The `count` strongest.
    pub fn strongest(&self, count: usize) -> Self {
        let mut order: Vec<usize> = (0..self.keypoints.len()).collect();
        order.sort_by(|&a, &b| self.keypoints[b].response.total_cmp(&self.keypoints[a].response));
        order.truncate(count);
        self.select(&order)
    }

    fn select(&self, indices: &[usize]) -> Self {
        Self {
            size: self.size,
            keypoints: indices.iter().map(|&index| self.keypoints[index]).collect(),
            descriptors: self.descriptors.select(indices),
        }
    }

    /// Those that `homography` maps into `other`.
    fn common(&self, homography: &Homography, other: &Self) -> Self {
        let inside = |index: &usize| {
            let (x, y) = project(homography, place(&self.keypoints[*index]));
            (0.0..=other.size.0 as f64 - 1.0).contains(&x) && (0.0..=other.size.1 as f64 - 1.0).contains(&y)
        };
        self.select(&(0..self.keypoints.len()).filter(inside).collect::<Vec<_>>())
    }
}

/// What a pair of pictures gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The lesser number of points in the part that both pictures show.
    pub points: usize,
    /// Pairs of regions, each in one pair, that overlap enough, by `points`.
    pub repeatability: f64,
    /// Nearest neighbours, each train counted once, that overlap enough, by `points`.
    pub matching: f64,
}

/// Compares what was found in two pictures, of which `homography` maps the first to the second.
pub fn evaluate(first: &Found, second: &Found, homography: &Homography) -> Score {
    let back = inverse(homography);
    let (first, second) = (first.common(homography, second), second.common(&back, first));
    let points = first.keypoints.len().min(second.keypoints.len());
    let mut near = Vec::new();
    for (i, a) in first.keypoints.iter().enumerate() {
        for (j, b) in second.keypoints.iter().enumerate() {
            let error = overlap_error(a, b, &back);
            if error < MAX_OVERLAP_ERROR {
                near.push((error, i, j));
            }
        }
    }
    // The best pairs first.
    near.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let (mut taken_first, mut taken_second) = (vec![false; first.keypoints.len()], vec![false; second.keypoints.len()]);
    let mut pairs = 0;
    for &(_, i, j) in &near {
        if !taken_first[i] && !taken_second[j] {
            (taken_first[i], taken_second[j]) = (true, true);
            pairs += 1;
        }
    }
    let mut matched = vec![false; second.keypoints.len()];
    for (i, j) in first.descriptors.nearest(&second.descriptors).into_iter().enumerate() {
        if let Some(j) = j
            && overlap_error(&first.keypoints[i], &second.keypoints[j], &back) < MAX_OVERLAP_ERROR
        {
            matched[j] = true;
        }
    }
    let right = matched.into_iter().filter(|&matched| matched).count();
    let part = |count: usize| count as f64 / points.max(1) as f64;
    Score { points, repeatability: part(pairs), matching: part(right) }
}

fn place(keypoint: &Keypoint) -> (f64, f64) {
    (f64::from(keypoint.x), f64::from(keypoint.y))
}

/// Where `homography` maps a point.
fn project(homography: &Homography, (x, y): (f64, f64)) -> (f64, f64) {
    let [u, v, w] = homography.map(|row| row[0] * x + row[1] * y + row[2]);
    (u / w, v / w)
}

/// The slopes of the homography at a point: how it maps what is near.
fn slopes(homography: &Homography, (x, y): (f64, f64)) -> [[f64; 2]; 2] {
    let [u, v, w] = homography.map(|row| row[0] * x + row[1] * y + row[2]);
    let [[a, b, _], [c, d, _], [e, f, _]] = *homography;
    [[a * w - u * e, b * w - u * f], [c * w - v * e, d * w - v * f]].map(|row| row.map(|slope| slope / (w * w)))
}

/// The homography the other way.
pub fn inverse(homography: &Homography) -> Homography {
    let [[a, b, c], [d, e, f], [g, h, i]] = *homography;
    let adjugate = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ];
    let determinant = a * adjugate[0][0] + b * adjugate[1][0] + c * adjugate[2][0];
    adjugate.map(|row| row.map(|value| value / determinant))
}

/// The part of two regions that is not common to them, in the first picture, to which `back` maps the second; 1 where their centres
/// are further apart than the radius of the first.
fn overlap_error(a: &Keypoint, b: &Keypoint, back: &Homography) -> f64 {
    let (ax, ay) = place(a);
    let (bx, by) = project(back, place(b));
    let (dx, dy) = (bx - ax, by - ay);
    let radius = f64::from(a.size) / 2.0;
    if dx.hypot(dy) >= radius {
        return 1.0;
    }
    // The circle of radius r becomes the ellipse of all p with p' M^-1 p <= 1, M = r^2 S S'.
    let [[p, q], [r, s]] = slopes(back, place(b));
    let by = f64::from(b.size) / 2.0 * NORMAL_RADIUS / radius;
    let (xx, xy, yy) = (by * by * (p * p + q * q), by * by * (p * r + q * s), by * by * (r * r + s * s));
    let determinant = xx * yy - xy * xy;
    let areas = std::f64::consts::PI * (NORMAL_RADIUS * NORMAL_RADIUS + determinant.sqrt());
    // By rows: the parts of both regions in a row are intervals.
    const ROWS: i32 = 240;
    let height = 2.0 * NORMAL_RADIUS / f64::from(ROWS);
    let mut common = 0.0;
    for row in 0..ROWS {
        let y = (f64::from(row) + 0.5) * height - NORMAL_RADIUS;
        let half = (NORMAL_RADIUS * NORMAL_RADIUS - y * y).sqrt();
        let below = y - dy;
        if below * below < yy {
            let (middle, half_of_b) = (dx + xy / yy * below, (determinant * (yy - below * below)).sqrt() / yy);
            common += (half.min(middle + half_of_b) - (-half).max(middle - half_of_b)).max(0.0) * height;
        }
    }
    1.0 - common / (areas - common)
}

/// What is known of the evaluation without any picture.
mod tests {
    use super::*;

    fn point(x: f32, y: f32, size: f32) -> Keypoint {
        Keypoint { x, y, size, angle: 0.0, response: x, octave: 0, level: 0 }
    }

    const IDENTITY: Homography = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

    #[test]
    fn the_overlap_error_is_that_of_circles_and_ellipses() {
        let one = point(50.0, 50.0, 60.0);
        assert!(overlap_error(&one, &one, &IDENTITY).abs() < 1e-3);
        // One inside the other: the lesser area by the greater.
        let error = overlap_error(&one, &point(50.0, 50.0, 48.0), &IDENTITY);
        assert!((error - (1.0 - 0.64)).abs() < 1e-3, "{error}");
        // Two circles of radius 30 whose centres are 18 apart: a lens.
        let (r, d) = (30.0_f64, 18.0_f64);
        let lens = 2.0 * r * r * (d / (2.0 * r)).acos() - d / 2.0 * (4.0 * r * r - d * d).sqrt();
        let expected = 1.0 - lens / (2.0 * std::f64::consts::PI * r * r - lens);
        let error = overlap_error(&one, &point(60.8, 64.4, 60.0), &IDENTITY);
        assert!((error - expected).abs() < 1e-3, "{error} not {expected}");
        // A circle of half the radius under a stretch by 4 and 2: an ellipse as wide as the doubled and as high as the first.
        let stretch = [[4.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]];
        let error = overlap_error(&one, &point(12.5, 25.0, 30.0), &stretch);
        assert!((error - 0.5).abs() < 1e-3, "{error}");
        // The same, turned: slopes that are not along the axes.
        let (sine, cosine) = 0.6_f64.sin_cos();
        let turned = [[4.0 * cosine, -2.0 * sine, 0.0], [4.0 * sine, 2.0 * cosine, 0.0], [0.0, 0.0, 1.0]];
        let at = project(&turned, (12.5, 25.0));
        let error = overlap_error(&point(at.0 as f32, at.1 as f32, 60.0), &point(12.5, 25.0, 30.0), &turned);
        assert!((error - 0.5).abs() < 1e-3, "{error}");
        // Too far apart, however much they overlap once enlarged.
        assert_eq!(overlap_error(&point(50.0, 50.0, 4.0), &point(52.5, 50.0, 4.0), &IDENTITY), 1.0);
    }

    #[test]
    fn what_is_found_again_counts_once_and_only_where_both_pictures_show_it() {
        // Two to the right by a homography that moves by 40: one falls out of the second picture.
        let moved = [[1.0, 0.0, 40.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let bits = |numbers: &[u64]| Descriptors::Binary(numbers.iter().map(|&number| [number; 8]).collect());
        let first = Found {
            size: (100, 100),
            keypoints: vec![
                point(10.0, 10.0, 8.0),
                point(30.0, 40.0, 8.0),
                point(90.0, 40.0, 8.0),
                point(20.0, 70.0, 8.0),
            ],
            descriptors: bits(&[1, 2, 4, 8]),
        };
        // The first is found twice, the second with another descriptor, the fourth not at all.
        let second = Found {
            size: (100, 100),
            keypoints: vec![
                point(50.0, 10.0, 8.0),
                point(51.0, 10.0, 8.0),
                point(70.0, 40.0, 8.0),
                point(90.0, 90.0, 8.0),
            ],
            descriptors: bits(&[1, 1, u64::MAX, 2]),
        };
        let score = evaluate(&first, &second, &moved);
        assert_eq!(score, Score { points: 3, repeatability: 2.0 / 3.0, matching: 1.0 / 3.0 });
        assert_eq!(first.strongest(2).keypoints, [first.keypoints[2], first.keypoints[1]]);
    }

    #[test]
    fn a_homography_and_its_inverse_cancel() {
        let homography = [[0.76, -0.3, 225.0], [0.33, 1.01, -77.0], [3.5e-4, -1.4e-5, 1.0]];
        let (x, y) = project(&inverse(&homography), project(&homography, (120.0, 80.0)));
        assert!((x - 120.0).abs() < 1e-9 && (y - 80.0).abs() < 1e-9);
        let [[p, _], [r, _]] = slopes(&homography, (120.0, 80.0));
        let (from, to) = (project(&homography, (120.0, 80.0)), project(&homography, (120.0 + 1e-6, 80.0)));
        assert!(((to.0 - from.0) / 1e-6 - p).abs() < 1e-6 && ((to.1 - from.1) / 1e-6 - r).abs() < 1e-6);
    }
}
