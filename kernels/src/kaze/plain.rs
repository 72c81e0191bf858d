//! KAZE: every level of the scale space has the size of the picture; descriptors of floating-point components.

use crate::{
    ImageGrey8, Plane,
    features::{FloatDescriptors, FloatFeatures, Keypoint},
};

use super::{
    CONTRAST_PERCENTILE, Diffusivity, FIRST_SIGMA, REACH, SLOPE_SIGMA, apart,
    diffusion::{Conductivity, contrast_factor, diffuse},
    diffusion_time,
    extrema::{Extremum, all_around, local_maxima, refine_3d, suppress},
    fed::step_times,
    filter::{smooth, unit_brightness},
    hessian::{Reach, determinant, slopes},
    msurf::{self, Frame},
    orientation::{Direction, Disc},
    sigma, two_to, weight, within_limits,
};

/// What KAZE looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KazeParams {
    /// Whether descriptors have 128 components, not 64.
    pub extended: bool,
    /// Whether descriptors keep the picture's axes: faster, where nothing turns.
    pub upright: bool,
    /// The determinant of the Hessian from which a point is one; brightness goes from 0 to 1.
    pub threshold: f32,
    /// Octaves of the scale space, at most 8.
    pub n_octaves: usize,
    /// Levels of an octave, at most 16.
    pub n_octave_layers: usize,
    /// What conducts.
    pub diffusivity: Diffusivity,
    /// The most points; the strongest are kept.
    pub max_points: usize,
}

impl Default for KazeParams {
    fn default() -> Self {
        Self {
            extended: false,
            upright: false,
            threshold: 0.001,
            n_octaves: 4,
            n_octave_layers: 4,
            diffusivity: Diffusivity::PmG2,
            max_points: usize::MAX,
        }
    }
}

/// Determinants grow by this power of the blur.
const PREFERENCE: f64 = 0.6;

/// One level of the scale space, before any picture.
#[derive(Clone, Debug)]
pub(super) struct Level {
    pub(super) sigma: f64,
    pub(super) reach: Reach,
    /// What determinants of this level weigh.
    pub(super) weight: f32,
    /// The steps of diffusion from the level before.
    pub(super) steps: Vec<f32>,
}

/// KAZE with its parameters. Share one between threads.
#[derive(Clone, Debug)]
pub struct Kaze {
    params: KazeParams,
    threads: usize,
    pub(super) levels: Vec<Level>,
    pub(super) disc: Disc,
    pub(super) weights: msurf::Weights,
}

/// Buffers reused from picture to picture; hold nothing that changes a result.
#[derive(Clone, Debug, Default)]
pub struct KazeScratch {
    light: Plane<f32>,
    next: Plane<f32>,
    smooth: Plane<f32>,
    conductivity: Conductivity,
    /// Slopes of every level.
    slopes: Vec<[Plane<f32>; 2]>,
    /// Determinants of three levels in turn.
    determinants: [Plane<f32>; 3],
    extrema: Vec<Extremum>,
}

impl Kaze {
    /// KAZE by `params`, on one thread.
    pub fn new(params: KazeParams) -> Self {
        let (n_octaves, layers) = within_limits(params.n_octaves, params.n_octave_layers);
        let params = KazeParams { n_octaves, n_octave_layers: layers, ..params };
        // One level more, before the first: a maximum is one between levels.
        let sigmas =
            (0..=params.n_octaves * layers).map(|level| sigma(0, level, layers) / sigma(0, 1, layers) * FIRST_SIGMA);
        let mut before = None;
        let levels = sigmas
            .map(|sigma| {
                let since = before.replace(sigma).map_or(0.0, diffusion_time);
                Level {
                    sigma,
                    reach: Reach::new(REACH * sigma),
                    weight: weight(sigma, PREFERENCE),
                    steps: step_times(diffusion_time(sigma) - since),
                }
            })
            .collect();
        Self { params, threads: 1, levels, disc: Disc::default(), weights: msurf::Weights::default() }
    }

    /// The same with the rows of a picture shared out among `threads` of the current thread pool.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads: threads.max(1), ..self }
    }

    /// Its parameters.
    pub fn params(&self) -> &KazeParams {
        &self.params
    }

    /// Finds the points of `image` and describes them, the strongest first. A picture of fewer than three rows or columns has
    /// none.
    pub fn detect_and_compute(&self, image: &ImageGrey8, scratch: &mut KazeScratch, features: &mut FloatFeatures) {
        let components = if self.params.extended { msurf::EXTENDED_COMPONENTS } else { msurf::COMPONENTS };
        features.keypoints.clear();
        let mut values = std::mem::take(&mut features.descriptors).into_values();
        values.clear();
        if image.width() >= 3 && image.height() >= 3 {
            self.detect(image, scratch);
            self.describe(scratch, &mut features.keypoints, &mut values, components);
        }
        features.descriptors = FloatDescriptors::from_values(components, values).unwrap_or_default();
    }

    /// Builds the scale space, level by level, and leaves its slopes and extrema in `scratch`.
    fn detect(&self, image: &ImageGrey8, scratch: &mut KazeScratch) {
        let threads = self.threads;
        let KazeScratch { light, next, smooth: smoothed, conductivity, slopes: all_slopes, determinants, extrema } =
            scratch;
        extrema.clear();
        all_slopes.resize_with(self.levels.len(), Default::default);
        unit_brightness(threads, image, next);
        smooth::<4>(threads, self.levels[0].sigma, next, light);
        smooth::<2>(threads, SLOPE_SIGMA, light, smoothed);
        let contrast = contrast_factor(threads, smoothed, CONTRAST_PERCENTILE, next);
        for (index, level) in self.levels.iter().enumerate() {
            if index > 0 {
                conductivity.fill(threads, smoothed, contrast, self.params.diffusivity);
                diffuse(threads, light, conductivity, &level.steps, next);
                std::mem::swap(light, next);
                smooth::<2>(threads, SLOPE_SIGMA, light, smoothed);
            }
            let [dx, dy] = &mut all_slopes[index];
            slopes(threads, smoothed, level.reach, dx, dy);
            determinant(threads, dx, dy, level.reach, level.weight, &mut determinants[index % 3]);
            if index >= 2 {
                let [lower, middle, upper] = [2, 1, 0].map(|back| &determinants[(index - back) % 3]);
                self.find(index - 1, [lower, middle, upper], extrema);
            }
        }
        let size = (image.width(), image.height());
        let radius = |level: usize| apart(self.levels[level].sigma);
        suppress(extrema, self.levels.len(), size, radius, |extremum| (extremum.x, extremum.y));
        extrema.truncate(self.params.max_points);
    }

    fn find(&self, level: usize, planes: [&Plane<f32>; 3], extrema: &mut Vec<Extremum>) {
        let [lower, middle, upper] = planes;
        local_maxima(self.threads, middle, self.params.threshold, 1, extrema, |x, y| {
            let response = middle.row(y)[x];
            let greatest =
                all_around(lower, x, y, |other| response > other) && all_around(upper, x, y, |other| response >= other);
            let [right, down, shift] = greatest.then(|| refine_3d(planes, x, y))??;
            Some(Extremum { level, x: x as f32 + right, y: y as f32 + down, shift, response })
        });
    }

    fn describe(&self, scratch: &KazeScratch, keypoints: &mut Vec<Keypoint>, values: &mut Vec<f32>, components: usize) {
        let layers = self.params.n_octave_layers;
        keypoints.extend(scratch.extrema.iter().map(|extremum| {
            let scale = two_to(extremum.shift / layers as f32);
            Keypoint {
                x: extremum.x,
                y: extremum.y,
                size: 2.0 * self.levels[extremum.level].sigma as f32 * scale,
                angle: 0.0,
                response: extremum.response,
                octave: ((extremum.level - 1) / layers) as u8,
                level: (extremum.level - 1) as u8,
            }
        }));
        values.resize(keypoints.len() * components, 0.0);
        let one = |keypoint: &mut Keypoint, descriptor: &mut [f32]| {
            let [dx, dy] = &scratch.slopes[usize::from(keypoint.level) + 1];
            let Keypoint { x, y, size, .. } = *keypoint;
            let step = size / 2.0;
            let Direction { angle, cosine, sine } = self.disc.direction(self.params.upright, dx, dy, x, y, step);
            keypoint.angle = angle;
            msurf::describe(&self.weights, dx, dy, Frame { x, y, step, cosine, sine }, descriptor);
        };
        super::rows::by_items(self.threads, keypoints, values, components, one);
    }
}
