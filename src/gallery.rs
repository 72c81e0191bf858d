//! The gallery of a catalogue on disk: `features.index`, kept in step with the reference pictures.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use larder_kernels::index::IndexError;
use larder_pipelines::{
    gallery::{Gallery, GalleryError, Look, reference_picture},
    recogniser::{Embedder, Guess, Recogniser, Whole},
    vision::VisionConfig,
};
use larder_records::{BoundingBox, Image, Name, ProductId};
use rayon::prelude::*;

use crate::{
    catalogue::{Catalogue, CatalogueError, Reference},
    eyes::picture,
    files::{Mapped, replace},
    gpu, wholes,
};

/// Why the gallery of a catalogue cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A reference picture cannot be used.
    #[error("{path}: {source}")]
    Reference {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: GalleryError,
    },
    /// The catalogue cannot be used.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The index cannot be used.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// Somebody has made the index shorter while it was in use.
    #[error("{0}: it was cut while it was in use; try again")]
    Cut(PathBuf),
    /// There is nothing to compare with.
    #[error("{0}: no reference picture has any features to go by")]
    Bare(PathBuf),
}

/// Where a reference picture is, and whose.
struct Shown {
    product: ProductId,
    category: Name,
    path: PathBuf,
    bounds: Option<BoundingBox>,
}

impl Shown {
    fn picture(&self) -> Result<Image, ShelfError> {
        let bytes = fs::read(&self.path).map_err(|source| ShelfError::Io { path: self.path.clone(), source })?;
        Ok(picture(bytes))
    }

    fn unusable(&self, source: impl Into<GalleryError>) -> ShelfError {
        ShelfError::Reference { path: self.path.clone(), source: source.into() }
    }
}

/// The reference pictures of a catalogue, ready to be searched. Their features stay in the file, which is mapped.
#[derive(Debug)]
pub struct Shelf {
    path: PathBuf,
    index: Mapped,
    recogniser: Recogniser,
}

impl Shelf {
    /// Opens the index of `catalogue`: looks at the reference pictures that it lacks, forgets those that are gone, and keeps it. An
    /// index that is damaged or of another version is made anew. What `embedder` says of the pictures is kept beside it. `seen` is called
    /// for each picture that is looked at.
    ///
    /// # Errors
    /// [`ShelfError`] naming the file that cannot be used.
    pub fn open(catalogue: &Catalogue, embedder: Embedder, seen: impl Fn() + Sync) -> Result<Self, ShelfError> {
        let path = catalogue.dir().join("features.index");
        let kept = catalogue.dir().join(format!("looks-{}.cache", embedder.fingerprint()));
        let at_kept = |source| ShelfError::Io { path: kept.clone(), source };
        let shown = shown(catalogue)?;
        let wholes = wholes::read(&kept).map_err(at_kept)?;
        let known: Vec<u64> = wholes.keys().copied().collect();
        let mut opening = Opening { path: &path, shown: &shown, embedder: &embedder, wholes, seen };
        let (index, gallery) = opening.index(catalogue.dir())?;
        opening.look_at_wholes()?;
        let mut wholes = opening.wholes;
        wholes.retain(|number, _| shown.contains_key(number));
        if !wholes.keys().eq(&known) {
            wholes::write(&kept, &wholes).map_err(at_kept)?;
        }
        let mut recogniser = Recogniser::new(gallery, embedder);
        for (number, whole) in wholes {
            if let Some(shown) = shown.get(&number) {
                recogniser.add(number, shown.product, shown.category, whole);
            }
        }
        Ok(Self { path, index, recogniser })
    }

    /// All products, the likeliest first: those that a picture shows by their features, then the others by the look of the whole.
    ///
    /// # Errors
    /// [`ShelfError::Cut`] where somebody has cut the index since it was opened, and where a network fails.
    pub fn search(&self, look: &Look) -> Result<Vec<Guess>, ShelfError> {
        if !self.index.is_whole().map_err(|source| ShelfError::Io { path: self.path.clone(), source })? {
            return Err(ShelfError::Cut(self.path.clone()));
        }
        Ok(self.recogniser.recognise(look)?)
    }

    /// The number of reference pictures.
    pub fn len(&self) -> usize {
        self.recogniser.gallery().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.recogniser.gallery().is_empty()
    }
}

/// Pictures that are looked at before they are taken into the index: as many as fit memory easily.
const BATCH: usize = 256;
/// Pixels of a reference picture as it is looked at, about.
const PIXELS: usize = 640 * 480;
/// A vocabulary is learnt from so many pictures at most.
const SAMPLE: usize = 2048;

/// The files of a catalogue while they are brought up to date.
struct Opening<'a, S> {
    path: &'a Path,
    shown: &'a BTreeMap<u64, Shown>,
    embedder: &'a Embedder,
    wholes: BTreeMap<u64, Whole>,
    seen: S,
}

impl<S: Fn() + Sync> Opening<'_, S> {
    /// The index as it is on disk, brought up to date.
    fn index(&mut self, folder: &Path) -> Result<(Mapped, Gallery), ShelfError> {
        let products: BTreeMap<u64, ProductId> =
            self.shown.iter().map(|(&number, shown)| (number, shown.product)).collect();
        let path = self.path;
        let at = |source| ShelfError::Io { path: path.to_owned(), source };
        let mut made = false;
        loop {
            let mapped = match Mapped::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                mapped => Some(mapped.map_err(at)?),
            };
            let opened = mapped.map(|mapped| Ok::<_, GalleryError>((open_whole(&mapped, &products)?, mapped)));
            match opened {
                Some(Ok(((mut gallery, torn), mapped))) => {
                    self.add_missing(&mut gallery)?;
                    if torn {
                        replace(path, |file| gallery.save(file)).map_err(at)?;
                        continue;
                    }
                    let mut change = Vec::new();
                    gallery.append(&mut change).map_err(at)?;
                    if change.is_empty() || mapped.append(&change).map_err(at)? {
                        return Ok((mapped, gallery));
                    }
                    // Somebody else has appended: see what.
                }
                Some(Err(error)) if made => return Err(error.into()),
                _ => {
                    let mut gallery = self.learn(folder)?;
                    self.add_missing(&mut gallery)?;
                    replace(path, |file| gallery.save(file)).map_err(at)?;
                    made = true;
                }
            }
        }
    }

    /// A gallery of some of the pictures, whose features its vocabulary is learnt from.
    fn learn(&mut self, folder: &Path) -> Result<Gallery, ShelfError> {
        let step = self.shown.len().div_ceil(SAMPLE).max(1);
        let sample = self.look(self.shown.keys().copied().step_by(step).collect())?;
        match Gallery::new(&sample) {
            Err(GalleryError::Index(IndexError::NothingToLearnFrom)) => Err(ShelfError::Bare(folder.to_owned())),
            made => Ok(made?),
        }
    }

    fn add_missing(&mut self, gallery: &mut Gallery) -> Result<(), ShelfError> {
        let missing: Vec<u64> = self.shown.keys().copied().filter(|&number| !gallery.has(number)).collect();
        for batch in missing.chunks(BATCH) {
            gallery.add(&self.look(batch.to_vec())?)?;
        }
        Ok(())
    }

    /// Looks at reference pictures, on all cores: at their features, and at the whole of those that are not kept yet.
    fn look(&mut self, numbers: Vec<u64>) -> Result<Vec<(u64, ProductId, Look)>, ShelfError> {
        let limits = VisionConfig::default().limits();
        let pixels = PIXELS * numbers.len();
        let one = |number: u64| {
            let Some(shown) = self.shown.get(&number) else { return Ok(None) };
            let picture = shown.picture()?;
            let look = gpu::with_finder(pixels, |finder| Look::at_reference(&picture, shown.bounds, limits, finder))
                .map_err(|source| shown.unusable(source))?;
            let new = !self.wholes.contains_key(&number);
            let whole = new.then(|| self.embedder.reference(look.image())).transpose();
            (self.seen)();
            Ok(Some(((number, shown.product, look), whole.map_err(|source| shown.unusable(source))?)))
        };
        let looked: Vec<_> = numbers.into_par_iter().map(one).collect::<Result<Vec<_>, ShelfError>>()?;
        let mut looks = Vec::with_capacity(looked.len());
        for (look, whole) in looked.into_iter().flatten() {
            self.wholes.extend(whole.map(|whole| (look.0, whole)));
            looks.push(look);
        }
        Ok(looks)
    }

    /// Looks at the whole of those pictures that are in the index, but not kept yet.
    fn look_at_wholes(&mut self) -> Result<(), ShelfError> {
        let limits = VisionConfig::default().limits();
        let missing: Vec<_> = self.shown.iter().filter(|(number, _)| !self.wholes.contains_key(number)).collect();
        let one = |(&number, shown): (&u64, &Shown)| {
            let picture = reference_picture(&shown.picture()?, shown.bounds, limits);
            let picture = picture.map_err(|source| shown.unusable(source))?;
            (self.seen)();
            Ok((number, self.embedder.reference(&picture).map_err(|source| shown.unusable(source))?))
        };
        let looked = missing.into_par_iter().map(one).collect::<Result<Vec<_>, ShelfError>>()?;
        self.wholes.extend(looked);
        Ok(())
    }
}

/// The gallery of a file, and whether it ends in an appendix that was never written to its end, which is left out.
fn open_whole(mapped: &Mapped, products: &BTreeMap<u64, ProductId>) -> Result<(Gallery, bool), GalleryError> {
    let bytes = mapped.bytes();
    match Gallery::open(bytes.clone(), products.clone()) {
        Err(GalleryError::Index(IndexError::Truncated { at })) if at > 0 && at < bytes.len() as u64 => {
            Ok((Gallery::open(bytes.slice(..at as usize), products.clone())?, true))
        }
        opened => Ok((opened?, false)),
    }
}

/// Every reference picture by its number: that of its product's SKU and its file's name, which is the digest of what is in it.
fn shown(catalogue: &Catalogue) -> Result<BTreeMap<u64, Shown>, ShelfError> {
    let mut shown = BTreeMap::new();
    for entry in catalogue.products() {
        let (product, category) = (ProductId::of(&entry.sku), Name::of(&entry.category));
        for Reference { picture: path, bounds } in catalogue.references(&entry.sku)? {
            let file = path.file_name().unwrap_or_default();
            let text = format!("{}/{}/{bounds:?}", entry.sku, file.display());
            shown.insert(Name::of(&text).0, Shown { product, category, path, bounds });
        }
    }
    Ok(shown)
}
