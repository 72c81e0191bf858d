//! The gallery of a catalogue on disk: `features.index`, kept in step with the reference pictures.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use larder_kernels::index::IndexError;
use larder_pipelines::{
    gallery::{Gallery, GalleryError, Hit, Look},
    vision::VisionConfig,
};
use larder_records::{BoundingBox, Name, ProductId};
use rayon::prelude::*;

use crate::{
    catalogue::{Catalogue, CatalogueError, Reference},
    eyes::picture,
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
    /// There is nothing to compare with.
    #[error("{0}: no reference picture has any features to go by")]
    Bare(PathBuf),
}

/// Where a reference picture is, and whose.
struct Shown {
    product: ProductId,
    path: PathBuf,
    bounds: Option<BoundingBox>,
}

/// The reference pictures of a catalogue, ready to be searched.
#[derive(Debug)]
pub struct Shelf {
    bytes: Vec<u8>,
    products: BTreeMap<u64, ProductId>,
}

impl Shelf {
    /// Opens the index of `catalogue`: looks at the reference pictures that it lacks, forgets those that are gone, and keeps it. An
    /// index that is damaged or of another version is made anew. `seen` is called for each picture that is looked at.
    ///
    /// # Errors
    /// [`ShelfError`] naming the file that cannot be used.
    pub fn open(catalogue: &Catalogue, seen: impl Fn() + Sync) -> Result<Self, ShelfError> {
        let path = catalogue.dir().join("features.index");
        let shown = shown(catalogue)?;
        let products: BTreeMap<u64, ProductId> = shown.iter().map(|(&number, shown)| (number, shown.product)).collect();
        let mut bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|source| ShelfError::Io { path: path.clone(), source })?,
        };
        let at = |source| ShelfError::Io { path: path.clone(), source };
        match Gallery::open(&bytes, products.clone()) {
            Ok(mut gallery) => {
                let missing = shown.iter().filter(|(number, _)| !gallery.has(**number));
                gallery.add(&look(missing, &seen)?)?;
                let mut change = Vec::new();
                gallery.append(&mut change).map_err(at)?;
                if !change.is_empty() {
                    append(&path, &change).map_err(at)?;
                    drop(gallery);
                    bytes.extend(change);
                }
            }
            Err(_) => {
                let mut gallery = match Gallery::new(&look(shown.iter(), &seen)?) {
                    Err(GalleryError::Index(IndexError::NothingToLearnFrom)) => {
                        return Err(ShelfError::Bare(catalogue.dir().to_owned()));
                    }
                    made => made?,
                };
                bytes.clear();
                gallery.save(&mut bytes).map_err(at)?;
                replace(&path, &bytes).map_err(at)?;
            }
        }
        Ok(Self { bytes, products })
    }

    /// The products that a picture shows, the best first, each once.
    ///
    /// # Errors
    /// [`GalleryError`]: never of an index that was just opened.
    pub fn search(&self, look: &Look) -> Result<Vec<Hit>, GalleryError> {
        Gallery::open(&self.bytes, self.products.clone())?.search(look)
    }

    /// The number of reference pictures.
    pub fn len(&self) -> usize {
        self.products.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }
}

/// Every reference picture by its number: that of its product's SKU and its file's name, which is the digest of what is in it.
fn shown(catalogue: &Catalogue) -> Result<BTreeMap<u64, Shown>, ShelfError> {
    let mut shown = BTreeMap::new();
    for entry in catalogue.products() {
        for Reference { picture: path, bounds } in catalogue.references(&entry.sku)? {
            let file = path.file_name().unwrap_or_default();
            let text = format!("{}/{}/{bounds:?}", entry.sku, file.display());
            shown.insert(Name::of(&text).0, Shown { product: ProductId::of(&entry.sku), path, bounds });
        }
    }
    Ok(shown)
}

/// Looks at reference pictures, on all cores.
fn look<'a>(
    shown: impl Iterator<Item = (&'a u64, &'a Shown)>,
    seen: &(impl Fn() + Sync),
) -> Result<Vec<(u64, ProductId, Look)>, ShelfError> {
    let limits = VisionConfig::default().limits();
    let one = |(&number, Shown { product, path, bounds }): (&u64, &Shown)| {
        let bytes = fs::read(path).map_err(|source| ShelfError::Io { path: path.clone(), source })?;
        let look = Look::at_reference(&picture(bytes), *bounds, limits)
            .map_err(|source| ShelfError::Reference { path: path.clone(), source })?;
        seen();
        Ok((number, *product, look))
    };
    let shown: Vec<_> = shown.collect();
    shown.into_par_iter().map(one).collect()
}

fn append(path: &Path, change: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.write_all(change)?;
    file.sync_all()
}

/// Writes the file whole beside the old one first, so that no reader sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("index.new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
