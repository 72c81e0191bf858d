//! Pictures of products made of real ones by warping and recolouring, photos of these, and what KAZE sees in them.

use larder_kernels::{
    ImageGrey8, ImageRgb8,
    features::FloatFeatures,
    grey::grey,
    homography::Homography,
    index::Described,
    kaze::{Kaze, KazeParams, KazeScratch},
};
use rayon::prelude::*;

use super::{FEATURES, Random};

/// Pixels along the sides of a product's picture, and of a photo.
const PRODUCT: usize = 300;
const PHOTO: usize = 400;

/// What products are made of, and what is seen beside them.
pub(super) struct Pictures {
    pub(super) sources: Vec<ImageRgb8>,
    pub(super) others: Vec<ImageRgb8>,
}

impl Pictures {
    /// A product's picture: the upper half of one picture above the lower half of another, each warped and recoloured.
    fn product(&self, id: u64) -> ImageRgb8 {
        let mut random = Random(id.wrapping_mul(0x9fb2_1c65_1e98_df25));
        let halves = [id as usize % self.sources.len(), random.below(self.sources.len())].map(|source| {
            let source = &self.sources[source];
            let (back, colours) = (view(source, PRODUCT, [0.8, 1.3], &mut random), Recolouring::new(&mut random));
            (source, back, colours)
        });
        picture(PRODUCT, |x, y| {
            let (source, back, colours) = &halves[usize::from(y >= PRODUCT / 2)];
            colours.apply(sample(source, back, x, y).unwrap_or([255.0; 3]))
        })
    }

    /// A photo of a product: smaller, in perspective, under other light, its right part hidden but for `shown`, before other
    /// things, blurred and noisy.
    fn photo(&self, id: u64, shown: f32) -> ImageRgb8 {
        let (product, mut random) = (self.product(id), Random(id ^ 0x0bad_cafe));
        let back = view(&product, PHOTO, [0.5, 0.8], &mut random);
        let behind = &self.others[random.below(self.others.len())];
        let backdrop = view(behind, PHOTO, [1.2, 1.6], &mut random);
        let (gain, warm) = (random.between(0.5, 1.0), random.between(0.8, 1.2));
        let sharp: Vec<[f32; 3]> = (0..PHOTO * PHOTO)
            .map(|i| {
                let (x, y) = (i % PHOTO, i / PHOTO);
                let hidden =
                    back.apply([x as f64, y as f64]).is_none_or(|at| at[0] > f64::from(shown) * PRODUCT as f64);
                let seen = if hidden { None } else { sample(&product, &back, x, y) };
                let [r, g, b] = seen.or_else(|| sample(behind, &backdrop, x, y)).unwrap_or([128.0; 3]);
                [r * gain * warm, g * gain, b * gain / warm]
            })
            .collect();
        picture(PHOTO, |x, y| {
            let mut sum = [0.0; 3];
            for (dy, down) in [0.25, 0.5, 0.25].into_iter().enumerate() {
                for (dx, across) in [0.25, 0.5, 0.25].into_iter().enumerate() {
                    let at = |place: usize, step: usize| (place + step).saturating_sub(1).min(PHOTO - 1);
                    let pixel = sharp[at(y, dy) * PHOTO + at(x, dx)];
                    (0..3).for_each(|channel| sum[channel] += pixel[channel] * down * across);
                }
            }
            sum.map(|light: f32| light + random.between(-10.0, 10.0))
        })
    }

    /// What KAZE sees in the pictures of products.
    pub(super) fn products(&self, ids: &[u64]) -> Vec<Described> {
        describe(ids, FEATURES, |id| self.product(id))
    }

    /// What KAZE sees in photos of them.
    pub(super) fn photos(&self, ids: &[u64], shown: f32) -> Vec<Described> {
        describe(ids, 2 * FEATURES, |id| self.photo(id, shown))
    }
}

fn describe(ids: &[u64], most: usize, show: impl Fn(u64) -> ImageRgb8 + Sync) -> Vec<Described> {
    let kaze = Kaze::new(KazeParams { threshold: 1e-4, max_points: most, ..KazeParams::default() });
    let scratch = || (KazeScratch::default(), ImageGrey8::default(), FloatFeatures::default());
    let one = |(scratch, brightness, features): &mut (KazeScratch, ImageGrey8, FloatFeatures), &id: &u64| {
        let shown = show(id);
        grey(&shown, brightness);
        kaze.detect_and_compute(brightness, scratch, features);
        let size = shown.bounds();
        Described::from_float(features, size.right, size.bottom).expect("one descriptor for each point")
    };
    ids.par_iter().map_init(scratch, one).collect()
}

/// From the pixels of a square picture to those of `source`, whose middle is near its own: turned, zoomed so that `source` is within
/// those times as wide as the square, and in perspective.
fn view(source: &ImageRgb8, side: usize, [least, most]: [f32; 2], random: &mut Random) -> Homography {
    let middle = [source.width() as f64 / 2.0, source.height() as f64 / 2.0];
    let wide = f64::from(random.between(least, most)) * side as f64 / source.width().min(source.height()) as f64;
    let mut shift = || side as f64 * (0.5 + f64::from(random.between(-0.06, 0.06)));
    let to = [shift(), shift()];
    let map = Homography::from_similarity(wide, f64::from(random.between(-0.3, 0.3)), middle, to);
    let mut tilt = || f64::from(random.between(-0.3, 0.3)) / side as f64;
    let (across, down) = (tilt(), tilt());
    // About the middle, so that what is seen stays in sight.
    let half = side as f64 / 2.0;
    let slant = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [across, down, 1.0 - half * (across + down)]];
    let slant = Homography::from_rows(slant).unwrap_or(Homography::IDENTITY);
    map.and_then(|map| slant.after(&map).inverse()).unwrap_or(Homography::IDENTITY)
}

/// Colours mixed, brightened and bent, as another print of the same drawing has them.
struct Recolouring {
    rows: [[f32; 3]; 3],
    bend: f32,
}

impl Recolouring {
    fn new(random: &mut Random) -> Self {
        let mut rows = [[0.0; 3]; 3];
        for row in &mut rows {
            let weights = [0; 3].map(|_| random.between(0.05, 1.0));
            let sum: f32 = weights.iter().sum();
            *row = weights.map(|weight| weight / sum);
        }
        Self { rows, bend: random.between(0.7, 1.4) }
    }

    fn apply(&self, colour: [f32; 3]) -> [f32; 3] {
        self.rows.map(|row| {
            let mixed: f32 = row.iter().zip(colour).map(|(weight, light)| weight * light).sum();
            255.0 * (mixed / 255.0).clamp(0.0, 1.0).powf(self.bend)
        })
    }
}

/// The colour where `map` takes a pixel, between four pixels; none outside.
fn sample(source: &ImageRgb8, map: &Homography, x: usize, y: usize) -> Option<[f32; 3]> {
    let [x, y] = map.apply([x as f64, y as f64])?;
    if !(x >= 0.0 && y >= 0.0 && x < (source.width() - 1) as f64 && y < (source.height() - 1) as f64) {
        return None;
    }
    let (left, top) = (x as usize, y as usize);
    let (right, down) = (x as f32 - left as f32, y as f32 - top as f32);
    let (above, below) = (&source.row(top)[left..left + 2], &source.row(top + 1)[left..left + 2]);
    Some(std::array::from_fn(|channel| {
        let between = |row: &[[u8; 3]]| f32::from(row[0][channel]) * (1.0 - right) + f32::from(row[1][channel]) * right;
        between(above) * (1.0 - down) + between(below) * down
    }))
}

fn picture(side: usize, mut colour: impl FnMut(usize, usize) -> [f32; 3]) -> ImageRgb8 {
    let pixels =
        (0..side * side).map(|i| colour(i % side, i / side).map(|light| light.clamp(0.0, 255.0) as u8)).collect();
    ImageRgb8::from_pixels(side, side, pixels).expect("as many as it has")
}
