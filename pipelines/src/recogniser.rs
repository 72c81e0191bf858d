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
use larder_records::{BoundingBox, Digest, Name, ProductId};

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
    fingerprint: Digest,
}

/// What a picture looks like as a whole: the direction of an embedding, in whole numbers, so that the same is kept in a file as is
/// compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    values: Vec<i8>,
}

impl Whole {
    /// Of an embedding of any length; the largest component becomes 127.
    fn of(embedding: &[f32]) -> Self {
        let most = embedding.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
        Self { values: embedding.iter().map(|value| (value * (127.0 / most)).round() as i8).collect() }
    }

    /// As it is kept.
    pub fn from_values(values: Vec<i8>) -> Self {
        Self { values }
    }

    /// Its components.
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// The cosine, -1 to 1; 0 where one has no direction.
    fn likeness(&self, other: &Self) -> f64 {
        let dot = |a: &Self, b: &Self| -> i64 {
            a.values.iter().zip(&b.values).map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b))).sum()
        };
        let lengths = (dot(self, self) as f64).sqrt() * (dot(other, other) as f64).sqrt();
        dot(self, other) as f64 / lengths.max(1.0)
    }
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
        let digest = Digest::of(bytes).0.to_le_bytes();
        let fingerprint = Digest::of_parts([&digest[..], format!("{config:?}").as_bytes()]);
        Ok(Self { network: Some((network, format)), fingerprint })
    }

    /// By a network: not in this build.
    ///
    /// # Errors
    /// [`ModelError::NotBuilt`].
    #[cfg(not(feature = "onnx"))]
    pub fn load(_config: &EmbeddingConfig, _bytes: &[u8]) -> Result<Self, ModelError> {
        Err(ModelError::NotBuilt("`embedding`"))
    }

    /// What it says of a picture depends on this and the picture alone.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// What a reference picture looks like.
    ///
    /// # Errors
    /// [`VisionError`] where the network fails.
    pub fn reference(&self, image: &ImageRgb8) -> Result<Whole, VisionError> {
        Ok(Whole::of(&self.describe(image, image.bounds())?))
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
    fn middles(&self, image: &ImageRgb8) -> Result<Whole, VisionError> {
        let mut mean: Vec<f32> = Vec::new();
        for share in MIDDLES {
            let described = self.describe(image, middle(image.bounds(), share))?;
            mean.resize(described.len(), 0.0);
            mean.iter_mut().zip(&described).for_each(|(mean, value)| *mean += value);
        }
        Ok(Whole::of(&mean))
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

/// A product that a picture may show, and what each stage said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// Which.
    pub product: ProductId,
    /// Its category.
    pub category: Name,
    /// How it is seen by its local features; none where it is not.
    pub hit: Option<Hit>,
    /// How like the whole is, -1 to 1.
    pub likeness: f64,
    /// The mean of that over the products of its category.
    pub category_likeness: f64,
}

#[derive(Debug)]
struct Entry {
    product: ProductId,
    category: Name,
    whole: Whole,
}

/// The reference pictures of all products, as a gallery of local features, and each as a whole.
#[derive(Debug)]
pub struct Recogniser {
    gallery: Gallery,
    embedder: Embedder,
    /// By the number of the reference picture.
    entries: BTreeMap<u64, Entry>,
}

impl Recogniser {
    /// Of the products of `gallery`, once [`Self::add`] has been told what their reference pictures look like.
    pub fn new(gallery: Gallery, embedder: Embedder) -> Self {
        Self { gallery, embedder, entries: BTreeMap::new() }
    }

    /// Tells what the reference picture of that number looks like, by the same embedder ([`Embedder::reference`]).
    pub fn add(&mut self, reference: u64, product: ProductId, category: Name, whole: Whole) {
        self.entries.insert(reference, Entry { product, category, whole });
    }

    /// The gallery.
    pub fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// What describes pictures as a whole.
    pub fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    /// All products, the likeliest first: those that are seen by their features, as [`Gallery::search`] ranks them, then the others by the
    /// whole.
    ///
    /// # Errors
    /// [`GalleryError::Picture`] where the network fails.
    pub fn recognise(&self, look: &Look) -> Result<Vec<Guess>, GalleryError> {
        let hits = self.gallery.search(look)?;
        let mut rest = self.by_the_whole(look)?;
        let mut seen: Vec<Guess> = Vec::new();
        for hit in hits {
            let Some(at) = rest.iter().position(|guess| guess.product == hit.product) else { continue };
            let whole = rest.remove(at);
            seen.push(Guess { hit: Some(hit), ..whole });
        }
        seen.extend(rest);
        Ok(seen)
    }

    /// All products by the look of the whole alone, category first.
    ///
    /// # Errors
    /// [`GalleryError::Picture`] where the network fails.
    pub fn by_the_whole(&self, look: &Look) -> Result<Vec<Guess>, GalleryError> {
        let picture = self.embedder.middles(look.image())?;
        // The best of a product's pictures.
        let mut products: BTreeMap<ProductId, (Name, f64)> = BTreeMap::new();
        for entry in self.entries.values() {
            let likeness = picture.likeness(&entry.whole);
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
                Guess { product, category, hit: None, likeness, category_likeness: sum / count }
            })
            .collect();
        let score = |guess: &Guess| guess.likeness + CATEGORY * guess.category_likeness;
        guesses.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.product.cmp(&b.product)));
        Ok(guesses)
    }
}
