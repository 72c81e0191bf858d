//! The exact product in a picture of one: its local features are looked up among those of every reference picture, and the
//! best of these are verified by a view of one on the other.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use bytes::Bytes;
use larder_kernels::{
    ImageGrey8, ImageRgb8,
    decode::{self, DecodeLimits},
    features::FloatFeatures,
    grey::grey,
    index::{
        Code, Colours, Described, IndexError, Kind, ProductIndex, Recognition, SearchScratch, Training, Vocabulary,
    },
    kaze::{Finder, Kaze, KazeParams},
    resize::cut_to_side,
};
use larder_records::{BoundingBox, Image, ProductId};

use crate::vision::VisionError;

/// A reference picture is made so large, along its longer side, before it is looked at: the pictures of catalogues are small,
/// and features smaller than a letter are found only in larger ones.
const REFERENCE_SIDE: usize = 640;
/// A picture that is asked about shows more than the product.
const QUERY_SIDE: usize = 900;
/// Packages in the dim corner of a shelf have weak edges.
const THRESHOLD: f32 = 1e-4;
/// The strongest are kept.
const MAX_POINTS: usize = 4000;

/// Why a gallery cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    /// A picture cannot be used.
    #[error(transparent)]
    Picture(#[from] VisionError),
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// What a picture looks like to a gallery.
#[derive(Clone, Debug)]
pub struct Look {
    described: Described,
    image: ImageRgb8,
    /// How many pixels of this are one of the picture, and where in the picture its first pixel lies.
    zoom: f64,
    corner: [f64; 2],
}

impl Look {
    /// At a reference picture: the part inside `bounds`, or all of it. Its features are found by `finder`, whichever that is.
    ///
    /// # Errors
    /// [`GalleryError::Picture`] where it cannot be decoded.
    pub fn at_reference(
        picture: &Image,
        bounds: Option<BoundingBox>,
        limits: DecodeLimits,
        finder: &mut Finder,
    ) -> Result<Self, GalleryError> {
        Self::at(picture, bounds, REFERENCE_SIDE, limits, finder)
    }

    /// At a picture whose product is asked for.
    ///
    /// # Errors
    /// [`GalleryError::Picture`] where it cannot be decoded.
    pub fn at_query(picture: &Image, limits: DecodeLimits, finder: &mut Finder) -> Result<Self, GalleryError> {
        Self::at(picture, None, QUERY_SIDE, limits, finder)
    }

    fn at(
        picture: &Image,
        bounds: Option<BoundingBox>,
        side: usize,
        limits: DecodeLimits,
        finder: &mut Finder,
    ) -> Result<Self, GalleryError> {
        let (image, bounds) = cut(picture, bounds, side, limits)?;
        let mut brightness = ImageGrey8::default();
        grey(&image, &mut brightness);
        let mut features = FloatFeatures::default();
        let kaze = Kaze::new(KazeParams { threshold: THRESHOLD, max_points: MAX_POINTS, ..KazeParams::default() });
        finder.kaze(&kaze, &brightness, &mut features);
        let size = image.bounds();
        let described = Described::from_float(&features, size.right, size.bottom)?;
        let longer = (bounds.right.saturating_sub(bounds.left)).max(bounds.bottom.saturating_sub(bounds.top));
        let zoom = side as f64 / f64::from(longer.max(1));
        Ok(Self { described, image, zoom, corner: [f64::from(bounds.left), f64::from(bounds.top)] })
    }

    /// The picture, as large as it is looked at.
    pub fn image(&self) -> &ImageRgb8 {
        &self.image
    }

    /// How many local features it has.
    pub fn features(&self) -> usize {
        self.described.len()
    }
}

/// A reference picture, as large as it is looked at: the part inside `bounds`, or all of it.
///
/// # Errors
/// [`GalleryError::Picture`] where it cannot be decoded.
pub fn reference_picture(
    picture: &Image,
    bounds: Option<BoundingBox>,
    limits: DecodeLimits,
) -> Result<ImageRgb8, GalleryError> {
    Ok(cut(picture, bounds, REFERENCE_SIDE, limits)?.0)
}

/// The part of a picture inside `bounds`, its longer side `side` pixels, and where it lies.
fn cut(
    picture: &Image,
    bounds: Option<BoundingBox>,
    side: usize,
    limits: DecodeLimits,
) -> Result<(ImageRgb8, BoundingBox), GalleryError> {
    let mut decoded = ImageRgb8::default();
    decode::decode_rgb8(picture, limits, &mut decoded).map_err(VisionError::from)?;
    let bounds = decoded.clip(bounds.unwrap_or_else(|| decoded.bounds()));
    Ok((cut_to_side(&decoded, bounds, side), bounds))
}

/// A product that a picture shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Which.
    pub product: ProductId,
    /// The number of the reference picture that it was told by.
    pub reference: u64,
    /// Features at places of their own that agree on one view of the reference picture.
    pub inliers: u32,
    /// What hits are ranked by; comparable within one picture.
    pub score: f64,
    /// The decimal logarithm of how many such views chance alone would give.
    pub log_chance: f64,
    /// Where the corners of the reference picture lie in the picture, from its top left on round; none where it is seen from
    /// behind.
    pub corners: Option<[[f64; 2]; 4]>,
}

/// The reference pictures of all products, by numbers that the caller gives them.
#[derive(Clone, Debug)]
pub struct Gallery {
    index: ProductIndex,
    products: BTreeMap<u64, ProductId>,
}

impl Gallery {
    /// Of the given reference pictures, whose features its vocabulary is learnt from.
    ///
    /// # Errors
    /// [`IndexError::NothingToLearnFrom`] where none has any.
    pub fn new(references: &[(u64, ProductId, Look)]) -> Result<Self, GalleryError> {
        let codes: Vec<Code> = references.iter().flat_map(|(.., look)| look.described.codes()).copied().collect();
        let vocabulary = Vocabulary::train(Kind::Float, &codes, &Training::default())?;
        let mut gallery = Self { index: ProductIndex::new(vocabulary), products: BTreeMap::new() };
        gallery.add(references)?;
        Ok(gallery)
    }

    /// From what [`Gallery::save`] wrote, `products` saying whose each picture is. Pictures of no product are taken out. The bytes, which
    /// may be those of a mapped file, are shared, not copied (see [`ProductIndex::open`]).
    ///
    /// # Errors
    /// [`GalleryError::Index`] where the bytes are damaged or of another version.
    pub fn open(bytes: Bytes, products: BTreeMap<u64, ProductId>) -> Result<Self, GalleryError> {
        let mut index = ProductIndex::open(bytes)?;
        let gone: Vec<u64> = index.products().filter(|reference| !products.contains_key(reference)).collect();
        for reference in gone {
            index.remove(reference);
        }
        let products = index.products().filter_map(|held| Some((held, *products.get(&held)?))).collect();
        Ok(Self { index, products })
    }

    /// Adds reference pictures, or replaces those of the same numbers.
    ///
    /// # Errors
    /// [`GalleryError::Index`]: never of a [`Look`].
    pub fn add(&mut self, references: &[(u64, ProductId, Look)]) -> Result<(), GalleryError> {
        let rows: Vec<_> = references
            .iter()
            .map(|(reference, _, look)| (*reference, &look.described, Colours::of(&look.image)))
            .collect();
        self.index.add_all(&rows)?;
        self.products.extend(references.iter().map(|(reference, product, _)| (*reference, *product)));
        Ok(())
    }

    /// Whether it has the reference picture of that number.
    pub fn has(&self, reference: u64) -> bool {
        self.products.contains_key(&reference)
    }

    /// The number of reference pictures.
    pub fn len(&self) -> usize {
        self.products.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// Writes all of it; the file grows by [`Gallery::append`].
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn save(&mut self, sink: &mut impl Write) -> io::Result<()> {
        self.index.save(sink)
    }

    /// Writes what has changed since it was opened or saved.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn append(&mut self, sink: &mut impl Write) -> io::Result<()> {
        self.index.append(sink)
    }

    /// The products that a picture shows, the best first, each once.
    ///
    /// # Errors
    /// [`GalleryError::Index`]: never of a [`Look`].
    pub fn search(&self, look: &Look) -> Result<Vec<Hit>, GalleryError> {
        let how = Recognition::default();
        let seen = self.index.recognise(&look.described, Some(&look.image), &how, &mut SearchScratch::default())?;
        let mut hits: Vec<Hit> = Vec::new();
        for seen in seen {
            let Some(&product) = self.products.get(&seen.product) else { continue };
            if hits.iter().any(|better| better.product == product) {
                continue;
            }
            let (width, height) = seen.size;
            let place = |[x, y]: [f64; 2]| [x / look.zoom + look.corner[0], y / look.zoom + look.corner[1]];
            hits.push(Hit {
                product,
                reference: seen.product,
                inliers: seen.inliers,
                score: seen.score,
                log_chance: seen.log_chance,
                corners: seen.map.corners(f64::from(width), f64::from(height)).map(|corners| corners.map(place)),
            });
        }
        Ok(hits)
    }
}
