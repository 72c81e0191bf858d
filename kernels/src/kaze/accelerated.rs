//! A-KAZE: each octave of the scale space has half the size of the one before; binary descriptors.

use crate::{
    ImageGrey8, Plane,
    features::{BinaryFeatures, Keypoint},
};

use super::{
    CONTRAST_PERCENTILE, Diffusivity, FIRST_SIGMA, REACH, SLOPE_SIGMA, apart,
    diffusion::{Conductivity, contrast_factor, diffuse},
    diffusion_time,
    extrema::{Extremum, local_maxima, refine_2d, suppress},
    fed::step_times,
    filter::{halve, smooth, unit_brightness},
    hessian::{Reach, determinant, slopes},
    mldb,
    msurf::Frame,
    orientation::{Direction, Disc},
    rows::by_items,
    sigma, weight, within_limits,
};

/// What A-KAZE looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AkazeParams {
    /// Whether descriptors keep the picture's axes: faster, where nothing turns.
    pub upright: bool,
    /// The determinant of the Hessian from which a point is one; brightness goes from 0 to 1.
    pub threshold: f32,
    /// Octaves of the scale space, at most 8; fewer in a small picture.
    pub n_octaves: usize,
    /// Levels of an octave, at most 16.
    pub n_octave_layers: usize,
    /// What conducts.
    pub diffusivity: Diffusivity,
    /// The most points; the strongest are kept.
    pub max_points: usize,
}

impl Default for AkazeParams {
    fn default() -> Self {
        Self {
            upright: false,
            threshold: 0.001,
            n_octaves: 4,
            n_octave_layers: 4,
            diffusivity: Diffusivity::PmG2,
            max_points: usize::MAX,
        }
    }
}

/// The radius of what is found, as a multiple of the blur (`derivative_factor`).
const RADIUS: f64 = 1.5;
/// From sample to sample of a description, as a multiple of the blur.
const STEP: f64 = 1.35;
/// Determinants grow by this power of the blur.
const PREFERENCE: f64 = 0.4;
/// The contrast factor shrinks so from octave to octave.
const CONTRAST_FALL: f32 = 0.75;
/// An octave with fewer pixels along a side is left out, but for the first.
const MIN_WIDTH: usize = 80;
const MIN_HEIGHT: usize = 40;

/// One level of the scale space, before any picture.
#[derive(Clone, Debug)]
pub(super) struct Level {
    pub(super) octave: usize,
    pub(super) sigma: f64,
    pub(super) reach: Reach,
    /// What determinants of this level weigh.
    pub(super) weight: f32,
    /// Pixels of the level from sample to sample of a description.
    pub(super) step: f32,
    /// Pixels of the level that a description reaches beyond its point.
    pub(super) border: usize,
    /// The steps of diffusion from the level before.
    pub(super) steps: Vec<f32>,
}

impl Level {
    /// Pixels of the picture, along a side, for one of the level.
    pub(super) fn ratio(&self) -> f32 {
        (1_u32 << self.octave) as f32
    }

    /// What is described has this radius, in pixels of the picture.
    pub(super) fn radius(&self) -> f32 {
        (self.sigma * RADIUS) as f32
    }

    /// The place in the picture of one in the level, whose pixels are means of the picture's.
    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        let (ratio, shift) = (self.ratio(), 0.5 * (self.ratio() - 1.0));
        (x * ratio + shift, y * ratio + shift)
    }
}

/// A-KAZE with its parameters. Share one between threads.
#[derive(Clone, Debug)]
pub struct Akaze {
    params: AkazeParams,
    threads: usize,
    pub(super) levels: Vec<Level>,
    pub(super) disc: Disc,
}

/// Buffers reused from picture to picture; hold nothing that changes a result.
#[derive(Clone, Debug, Default)]
pub struct AkazeScratch {
    smooth: [Plane<f32>; 2],
    space: SpaceScratch,
    determinant: Plane<f32>,
    /// Brightness and slopes of every level.
    levels: Vec<[Plane<f32>; 3]>,
    extrema: Vec<Extremum>,
}

/// What it takes to come from one level to the next.
#[derive(Clone, Debug, Default)]
struct SpaceScratch {
    half: Plane<f32>,
    conductivity: Conductivity,
    contrast: f32,
}

impl Akaze {
    /// A-KAZE by `params`, on one thread.
    pub fn new(params: AkazeParams) -> Self {
        let (n_octaves, layers) = within_limits(params.n_octaves, params.n_octave_layers);
        let params = AkazeParams { n_octaves, n_octave_layers: layers, ..params };
        let mut before = diffusion_time(FIRST_SIGMA);
        let levels = (0..params.n_octaves * layers)
            .map(|level| {
                let octave = level / layers;
                let sigma = sigma(octave, level % layers, layers);
                let time = diffusion_time(sigma) - before;
                before = diffusion_time(sigma);
                // In pixels of the level, as its diffusion is: the authors' code diffuses for the whole picture's time.
                let inside = sigma / f64::from(1 << octave);
                let step = inside * STEP;
                Level {
                    octave,
                    sigma,
                    reach: Reach::new(REACH * inside),
                    weight: weight(sigma, PREFERENCE),
                    step: step as f32,
                    border: (std::f64::consts::SQRT_2 * 10.0 * step).ceil() as usize + 1,
                    steps: step_times(time / f64::from(1 << (2 * octave))),
                }
            })
            .collect();
        Self { params, threads: 1, levels, disc: Disc::default() }
    }

    /// The same with the rows of a picture shared out among `threads` of the current thread pool.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads: threads.max(1), ..self }
    }

    /// Its parameters.
    pub fn params(&self) -> &AkazeParams {
        &self.params
    }

    /// Finds the points of `image` and describes them, the strongest first. A picture of fewer than three rows or columns has
    /// none.
    pub fn detect_and_compute(&self, image: &ImageGrey8, scratch: &mut AkazeScratch, features: &mut BinaryFeatures) {
        features.keypoints.clear();
        features.descriptors.clear();
        if image.width() >= 3 && image.height() >= 3 {
            self.detect(image, scratch);
            self.describe(scratch, features);
        }
    }

    /// Octaves that a picture of that size has.
    pub(super) fn octaves(&self, width: usize, height: usize) -> usize {
        let is_wide = |octave: &usize| width >> octave >= MIN_WIDTH && height >> octave >= MIN_HEIGHT;
        (1..self.params.n_octaves).take_while(is_wide).count() + 1
    }

    /// Builds the scale space, level by level, and leaves it with its extrema in `scratch`.
    ///
    /// With several threads the extrema of one level are looked for while the next is made: each of the two alone has too little to
    /// share out where pictures are small.
    fn detect(&self, image: &ImageGrey8, scratch: &mut AkazeScratch) {
        let AkazeScratch { smooth: [smoothed, next_smoothed], space, determinant, levels, extrema } = scratch;
        extrema.clear();
        levels.resize_with(self.levels.len(), Default::default);
        let octaves = self.octaves(image.width(), image.height());
        let count = self.levels.iter().take_while(|level| level.octave < octaves).count();
        self.first_level(image, space, &mut levels[0][0], smoothed);
        for index in 0..count {
            let (done, rest) = levels.split_at_mut(index + 1);
            let [light, dx, dy] = &mut done[index];
            let mut find = || self.find_extrema(index, smoothed, [dx, dy], determinant, extrema);
            match rest.first_mut().filter(|_| index + 1 < count) {
                None => find(),
                Some([next, ..]) => {
                    let mut make = || self.next_level(index + 1, light, smoothed, space, next, next_smoothed);
                    if self.threads > 1 {
                        rayon::join(make, find);
                    } else {
                        find();
                        make();
                    }
                }
            }
            std::mem::swap(smoothed, next_smoothed);
        }
        let radius = |level: usize| apart(self.levels[level].sigma);
        let place = |extremum: &Extremum| self.levels[extremum.level].place(extremum.x, extremum.y);
        suppress(extrema, self.levels.len(), (image.width(), image.height()), radius, place);
        extrema.truncate(self.params.max_points);
    }

    /// The first level of the scale space, `light`, which the picture is, and that smoothed for slopes.
    fn first_level(
        &self,
        image: &ImageGrey8,
        space: &mut SpaceScratch,
        light: &mut Plane<f32>,
        smoothed: &mut Plane<f32>,
    ) {
        let threads = self.threads;
        unit_brightness(threads, image, &mut space.half);
        smooth::<4>(threads, FIRST_SIGMA, &space.half, light);
        smooth::<2>(threads, SLOPE_SIGMA, light, smoothed);
        space.contrast = contrast_factor(threads, smoothed, CONTRAST_PERCENTILE, &mut space.half);
    }

    /// The level `index`, `light`, from the one before, of which `before_smoothed` is smoothed; and `light` smoothed.
    fn next_level(
        &self,
        index: usize,
        before: &Plane<f32>,
        before_smoothed: &Plane<f32>,
        space: &mut SpaceScratch,
        light: &mut Plane<f32>,
        smoothed: &mut Plane<f32>,
    ) {
        let (threads, level) = (self.threads, &self.levels[index]);
        let SpaceScratch { half, conductivity, contrast } = space;
        let halved = level.octave > self.levels[index - 1].octave;
        if halved {
            halve(threads, before, half);
            smooth::<2>(threads, SLOPE_SIGMA, half, smoothed);
            *contrast *= CONTRAST_FALL;
        }
        let conducts = if halved { &*smoothed } else { before_smoothed };
        conductivity.fill(threads, conducts, *contrast, self.params.diffusivity);
        diffuse(threads, if halved { half } else { before }, conductivity, &level.steps, light);
        smooth::<2>(threads, SLOPE_SIGMA, light, smoothed);
    }

    /// Appends the extrema of the level `index`, which is `smoothed`, and leaves its slopes.
    fn find_extrema(
        &self,
        index: usize,
        smoothed: &Plane<f32>,
        [dx, dy]: [&mut Plane<f32>; 2],
        hessian: &mut Plane<f32>,
        extrema: &mut Vec<Extremum>,
    ) {
        let (threads, level) = (self.threads, &self.levels[index]);
        slopes(threads, smoothed, level.reach, dx, dy);
        determinant(threads, dx, dy, level.reach, level.weight, hessian);
        local_maxima(threads, hessian, self.params.threshold, level.border, extrema, |x, y| {
            let [right, down] = refine_2d(hessian, x, y)?;
            let response = hessian.row(y)[x];
            Some(Extremum { level: index, x: x as f32 + right, y: y as f32 + down, shift: 0.0, response })
        });
    }

    fn describe(&self, scratch: &AkazeScratch, features: &mut BinaryFeatures) {
        features.keypoints.extend(scratch.extrema.iter().map(|extremum| {
            let level = &self.levels[extremum.level];
            let (x, y) = level.place(extremum.x, extremum.y);
            Keypoint {
                x,
                y,
                size: 2.0 * level.radius(),
                angle: 0.0,
                response: extremum.response,
                octave: level.octave as u8,
                level: extremum.level as u8,
            }
        }));
        features.descriptors.resize(features.keypoints.len(), Default::default());
        let mut points: Vec<_> = features.keypoints.iter_mut().zip(&scratch.extrema).collect();
        by_items(self.threads, &mut points, &mut features.descriptors, 1, |(keypoint, extremum), descriptor| {
            let Extremum { level, x, y, .. } = **extremum;
            let [light, dx, dy] = &scratch.levels[level];
            let step = self.levels[level].step;
            let Direction { angle, cosine, sine } = self.disc.direction(self.params.upright, dx, dy, x, y, step);
            keypoint.angle = angle;
            descriptor[0] = mldb::describe(light, dx, dy, Frame { x, y, step, cosine, sine });
        });
    }
}
