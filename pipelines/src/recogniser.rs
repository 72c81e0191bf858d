//! From a category to the product: local features where they agree on one view, the look of the whole picture where they do not.
//!
//! Printed packages are told by [`Gallery`]: by features, verified geometrically. What has no print, or shows it too blurred or too slanted,
//! is told by an embedding of the whole: categories are ranked by how like their products are on average, and products by that
//! and by how like they are themselves.

use std::collections::BTreeMap;

use larder_kernels::{
    ImageRgb8,
    describe::{Surroundings, describe},
    lighting::GainMap,
};
#[cfg(feature = "onnx")]
use larder_kernels::{
    letterbox::{InputFormat, letterbox},
    onnx::Network,
};
use larder_records::{BoundingBox, Name, ProductId};

use crate::{
    gallery::{Gallery, GalleryError, Hit, Look},
    vision::{EmbeddingConfig, ModelError, VisionError},
};

/// A picture is looked at as a whole and at these shares of its middle, where the product is.
const MIDDLES: [f32; 3] = [1.0, 0.8, 0.6];
/// What a category is like counts so much beside what its product is like.
const CATEGORY: f64 = 0.5;

/// Describes pictures as a whole: by an embedding network where there is one, else by their colours and edges.
#[derive(Debug, Default)]
pub struct Embedder {
    #[cfg(feature = "onnx")]
    network: Option<(Network, InputFormat)>,
}

impl Embedder {
    /// By the network of `config`, whose file has these bytes.
    ///
    /// # Errors
    /// [`ModelError::Broken`] where it cannot be run.
    #[cfg(feature = "onnx")]
    pub fn load(config: &EmbeddingConfig, bytes: &[u8]) -> Result<Self, ModelError> {
        let side = usize::from(config.side);
        let network = Network::load(bytes, side, side)
            .map_err(|reason| ModelError::Broken { file: config.file.clone(), reason })?;
        let scale = 1.0 / f32::from(config.divisor.max(1));
        let format =
            InputFormat { width: side, height: side, bgr: config.bgr, pad: None, mean: f32::from(config.mean), scale };
        Ok(Self { network: Some((network, format)) })
    }

    /// By a network: not in this build.
    ///
    /// # Errors
    /// [`ModelError::NotBuilt`].
    #[cfg(not(feature = "onnx"))]
    pub fn load(_config: &EmbeddingConfig, _bytes: &[u8]) -> Result<Self, ModelError> {
        Err(ModelError::NotBuilt("`embedding`"))
    }

    /// Of unit length, but for what has no features at all.
    fn describe(&self, image: &ImageRgb8, bounds: BoundingBox) -> Result<Vec<f32>, VisionError> {
        #[cfg(feature = "onnx")]
        if let Some((network, format)) = &self.network {
            let mut input = Vec::new();
            letterbox(image, bounds, *format, &mut input);
            let output = network.run(&input)?.pop().ok_or(VisionError::WrongNetwork)?;
            return Ok(unit(output.values));
        }
        let around = Surroundings { gains: &GainMap::default(), change: None };
        Ok(unit(describe(image, bounds, around).into_iter().map(f32::from).collect()))
    }

    /// The mean of the middles of a picture.
    fn describe_middles(&self, image: &ImageRgb8) -> Result<Vec<f32>, VisionError> {
        let mut mean: Vec<f32> = Vec::new();
        for share in MIDDLES {
            let described = self.describe(image, middle(image.bounds(), share))?;
            mean.resize(described.len(), 0.0);
            mean.iter_mut().zip(&described).for_each(|(mean, value)| *mean += value);
        }
        Ok(unit(mean))
    }
}

fn middle(bounds: BoundingBox, share: f32) -> BoundingBox {
    let margin = |length: u16| (f32::from(length) * (1.0 - share) * 0.5) as u16;
    let (x, y) = (margin(bounds.right), margin(bounds.bottom));
    BoundingBox { left: x, top: y, right: bounds.right - x, bottom: bounds.bottom - y }
}

fn unit(mut values: Vec<f32>) -> Vec<f32> {
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter_mut().for_each(|value| *value /= length.max(f32::MIN_POSITIVE));
    values
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
}

/// A product that a picture may show, and what each stage said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// Which.
    pub product: ProductId,
    /// How it is seen by its local features; none where it is not.
    pub hit: Option<Hit>,
    /// How like the whole is, -1 to 1.
    pub likeness: f64,
    /// The mean of that over the products of its category.
    pub category_likeness: f64,
}

struct Entry {
    product: ProductId,
    category: Name,
    embedding: Vec<f32>,
}

/// The reference pictures of all products, as a gallery of local features, and each as a whole.
pub struct Recogniser<'a> {
    gallery: Gallery<'a>,
    embedder: Embedder,
    /// By the number of the reference picture.
    entries: BTreeMap<u64, Entry>,
}

impl<'a> Recogniser<'a> {
    /// Of the products of `gallery`, once [`Self::add`] has looked at their reference pictures as a whole.
    pub fn new(gallery: Gallery<'a>, embedder: Embedder) -> Self {
        Self { gallery, embedder, entries: BTreeMap::new() }
    }

    /// Looks at the reference picture of that number as a whole.
    ///
    /// # Errors
    /// [`GalleryError::Picture`] where the network fails.
    pub fn add(&mut self, reference: u64, product: ProductId, category: Name, look: &Look) -> Result<(), GalleryError> {
        let embedding = self.embedder.describe(look.image(), look.image().bounds())?;
        self.entries.insert(reference, Entry { product, category, embedding });
        Ok(())
    }

    /// The gallery.
    pub fn gallery(&self) -> &Gallery<'a> {
        &self.gallery
    }

    /// All products, the likeliest first: those that are seen by their features, as [`Gallery::search`] ranks them, then the others by the
    /// whole.
    ///
    /// # Errors
    /// [`GalleryError::Picture`] where the network fails.
    pub fn recognise(&self, look: &Look) -> Result<Vec<Guess>, GalleryError> {
        let hits = self.gallery.search(look)?;
        let mut rest = self.by_the_whole(look)?;
        let seen: Vec<Guess> = hits
            .into_iter()
            .map(|hit| {
                let whole = rest.iter().find(|guess| guess.product == hit.product);
                let (likeness, category_likeness) =
                    whole.map_or((0.0, 0.0), |whole| (whole.likeness, whole.category_likeness));
                Guess { product: hit.product, hit: Some(hit), likeness, category_likeness }
            })
            .collect();
        rest.retain(|guess| seen.iter().all(|seen| seen.product != guess.product));
        Ok(seen.into_iter().chain(rest).collect())
    }

    /// All products by the look of the whole alone, category first.
    ///
    /// # Errors
    /// [`GalleryError::Picture`] where the network fails.
    pub fn by_the_whole(&self, look: &Look) -> Result<Vec<Guess>, GalleryError> {
        let picture = self.embedder.describe_middles(look.image())?;
        // The best of a product's pictures.
        let mut products: BTreeMap<ProductId, (Name, f64)> = BTreeMap::new();
        for entry in self.entries.values() {
            let likeness = cosine(&picture, &entry.embedding);
            let best = products.entry(entry.product).or_insert((entry.category, likeness));
            best.1 = best.1.max(likeness);
        }
        let mut categories: BTreeMap<Name, (f64, f64)> = BTreeMap::new();
        for &(category, likeness) in products.values() {
            let (sum, count) = categories.entry(category).or_default();
            *sum += likeness;
            *count += 1.0;
        }
        let mut guesses: Vec<Guess> = products
            .into_iter()
            .map(|(product, (category, likeness))| {
                let (sum, count) = categories[&category];
                Guess { product, hit: None, likeness, category_likeness: sum / count }
            })
            .collect();
        let score = |guess: &Guess| guess.likeness + CATEGORY * guess.category_likeness;
        guesses.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.product.cmp(&b.product)));
        Ok(guesses)
    }
}
