//! What the products look like.

use std::{collections::BTreeMap, sync::Arc};

use larder_kernels::{ImageGrey8, ImageRgb8, decode, kaze::Finder};
use larder_records::{BoundingBox, Digest, Image, ProductId};

use super::{Scene, VisionConfig, VisionError, apart::Apart, detect::DetectScratch, features::Print, models::Models};

/// The descriptors of the products' reference pictures and, where they are asked for, their local features.
#[derive(Clone, Debug, Default)]
pub struct References {
    models: Models,
    descriptors: BTreeMap<ProductId, Vec<Vec<i8>>>,
    prints: BTreeMap<ProductId, Vec<Arc<Print>>>,
}

impl References {
    /// No products yet, to be described by the embedding network of `models`; `default()` describes them by the built-in
    /// descriptor.
    pub fn with_models(models: Models) -> Self {
        Self { models, ..Self::default() }
    }

    /// The networks that the products are described by.
    pub(super) fn models(&self) -> &Models {
        &self.models
    }

    /// Adds a picture of `product`: the part of it inside `bounds`, or all of it. Where the picture shows a view of
    /// `scene`, light and background are told apart from the product by it, as they will be when it is looked for: give
    /// whole frames with a box rather than cuttings of them. Local features, where they are asked for, are found by `finder`,
    /// whichever that is.
    ///
    /// # Errors
    /// [`VisionError`] where the picture cannot be decoded.
    pub fn add(
        &mut self,
        product: ProductId,
        picture: &Image,
        bounds: Option<BoundingBox>,
        scene: Option<&Scene>,
        config: &VisionConfig,
        finder: &mut Finder,
    ) -> Result<(), VisionError> {
        let mut decoded = ImageRgb8::default();
        decode::decode_rgb8(picture, config.limits(), &mut decoded)?;
        let bounds = bounds.unwrap_or_else(|| decoded.bounds());
        let mut scratch = DetectScratch::default();
        let mut described = Vec::new();
        if scratch.lay_under(&decoded, &scene.map(Scene::colour_views).unwrap_or_default(), config) {
            described.push(self.models.describe(&decoded, bounds, scratch.surroundings())?);
        } else {
            for apart in Apart::guesses(&decoded, bounds) {
                described.push(self.models.describe(&decoded, bounds, apart.surroundings())?);
            }
        }
        self.descriptors.entry(product).or_default().extend(described);
        if let Some(how) = &config.features {
            let mut print = Print::default();
            print.fill(&decoded, bounds, how, &mut ImageGrey8::default(), finder);
            self.prints.entry(product).or_default().push(Arc::new(print));
        }
        Ok(())
    }

    /// The number of products.
    pub fn len(&self) -> usize {
        self.descriptors.len()
    }

    /// Whether there are no products.
    pub fn is_empty(&self) -> bool {
        self.descriptors.is_empty()
    }

    /// Every product with its descriptors, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ProductId, &[Vec<i8>])> {
        self.descriptors.iter().map(|(&product, descriptors)| (product, descriptors.as_slice()))
    }

    /// The local features of each picture of `product`; none where they were not asked for.
    pub(super) fn prints(&self, product: ProductId) -> impl Iterator<Item = &Print> {
        self.prints.get(&product).into_iter().flatten().map(Arc::as_ref)
    }

    /// The digest of all of it, the networks' files included.
    pub fn digest(&self) -> Digest {
        let mut bytes = self.models.digest().0.to_le_bytes().to_vec();
        for (product, descriptors) in &self.descriptors {
            for descriptor in descriptors {
                bytes.extend_from_slice(&product.0.0.to_le_bytes());
                bytes.extend_from_slice(&(descriptor.len() as u64).to_le_bytes());
                bytes.extend(descriptor.iter().map(|&component| component.cast_unsigned()));
            }
        }
        for (product, prints) in &self.prints {
            for print in prints {
                bytes.extend_from_slice(&product.0.0.to_le_bytes());
                print.write_to(&mut bytes);
            }
        }
        Digest::of(&bytes)
    }
}
