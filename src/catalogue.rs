//! The catalogue on disk: `products.jsonl`, one product a line; `references/SKU/`, pictures of the product alone (PNG, JPEG) and
//! boxes (JSON) that say where a picture in `frames/` shows it among others.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use larder_records::{BoundingBox, Digest, IdCollision, ImageEncoding, Names, Product, ProductId, Time};
use serde::{Deserialize, Serialize};

use crate::files::replace;

/// Why a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of `products.jsonl` is no product.
    #[error("{path}, line {line}: {source}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A SKU that cannot name a folder.
    #[error(
        "{0:?} cannot be a SKU: it is empty, starts with a dot, or has a slash, a backslash or a control character"
    )]
    BadSku(String),
    /// Two SKUs share an id.
    #[error(transparent)]
    Collision(#[from] IdCollision),
}

/// A line of `products.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its SKU.
    pub sku: String,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// Category path, such as `dairy/yoghurt`.
    #[serde(default)]
    pub category: String,
    /// Brand; empty where it has none.
    #[serde(default)]
    pub brand: String,
    /// Weight of one full package, in grams; 0 where unknown.
    #[serde(default)]
    pub package_grams: u32,
    /// Days that it keeps; 0 where unknown.
    #[serde(default)]
    pub shelf_life_days: u32,
    /// Whether it is the simulator's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
}

impl Entry {
    /// The entry as a record, its texts interned, later than any that a feed can bring.
    ///
    /// # Errors
    /// [`IdCollision`] where a text shares its id with another.
    pub fn product(&self, names: &mut Names) -> Result<Product, IdCollision> {
        Ok(Product {
            id: ProductId(names.intern(&self.sku)?),
            as_of: Time::MAX,
            name: names.intern(&self.name)?,
            category: names.intern(&self.category)?,
            brand: names.intern(&self.brand)?,
            package_mg: i64::from(self.package_grams) * 1000,
            shelf_life_days: self.shelf_life_days,
        })
    }
}

/// A reference picture of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The picture's file.
    pub picture: PathBuf,
    /// Where it shows the product; none where it shows nothing else.
    pub bounds: Option<BoundingBox>,
}

/// A catalogue in a folder.
#[derive(Debug, Clone)]
pub struct Catalogue {
    dir: PathBuf,
    products: BTreeMap<String, Entry>,
}

impl Catalogue {
    /// Reads the catalogue in `dir`; an absent or empty folder is an empty catalogue.
    ///
    /// # Errors
    /// [`CatalogueError`] naming the file and line that cannot be read.
    pub fn open(dir: &Path) -> Result<Self, CatalogueError> {
        let path = dir.join("products.jsonl");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|source| CatalogueError::Io { path: path.clone(), source })?,
        };
        let mut products = BTreeMap::new();
        for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let entry: Entry = serde_json::from_str(text).map_err(|source| CatalogueError::Line {
                path: path.clone(),
                line: line + 1,
                source,
            })?;
            check_sku(&entry.sku)?;
            products.insert(entry.sku.clone(), entry);
        }
        Ok(Self { dir: dir.to_owned(), products })
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its products, by SKU.
    pub fn products(&self) -> impl Iterator<Item = &Entry> {
        self.products.values()
    }

    /// Adds a product, or replaces the one of its SKU. Takes effect on disk with [`Catalogue::save`].
    ///
    /// # Errors
    /// [`CatalogueError::BadSku`].
    pub fn put(&mut self, entry: Entry) -> Result<(), CatalogueError> {
        check_sku(&entry.sku)?;
        self.products.insert(entry.sku.clone(), entry);
        Ok(())
    }

    /// Whether it has a product of that SKU.
    pub fn contains(&self, sku: &str) -> bool {
        self.products.contains_key(sku)
    }

    /// Writes `products.jsonl`, whole ([`replace`]).
    ///
    /// # Errors
    /// [`CatalogueError::Io`].
    pub fn save(&self) -> Result<(), CatalogueError> {
        let path = self.dir.join("products.jsonl");
        let write = |file: &mut io::BufWriter<fs::File>| {
            for entry in self.products.values() {
                serde_json::to_writer(&mut *file, entry)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        };
        replace(&path, write).map_err(|source| CatalogueError::Io { path, source })
    }

    /// Keeps `picture`, which shows `sku` alone, or in `bounds` among other things. Files are named by the digest of what is
    /// in them: the same reference again changes nothing.
    ///
    /// # Errors
    /// [`CatalogueError`] where the SKU is bad or a file cannot be written.
    pub fn add_reference(&self, sku: &str, picture: &[u8], bounds: Option<BoundingBox>) -> Result<(), CatalogueError> {
        check_sku(sku)?;
        let kind = if ImageEncoding::of_file(picture) == Some(ImageEncoding::Png) { "png" } else { "jpg" };
        let file = format!("{}.{kind}", Digest::of(picture));
        let references = self.dir.join("references").join(sku);
        let Some(bounds) = bounds else { return write(&references.join(file), picture) };
        write(&self.dir.join("frames").join(&file), picture)?;
        let text = serde_json::json!({ "frame": file, "box": [bounds.left, bounds.top, bounds.right, bounds.bottom] });
        let text = text.to_string();
        write(&references.join(format!("{}.json", Digest::of(text.as_bytes()))), text.as_bytes())
    }

    /// The reference pictures of `sku`, by file name.
    ///
    /// # Errors
    /// [`CatalogueError`] where the folder cannot be listed, or a box cannot be read.
    pub fn references(&self, sku: &str) -> Result<Vec<Reference>, CatalogueError> {
        let dir = self.dir.join("references").join(sku);
        let list = || -> io::Result<Vec<PathBuf>> {
            let mut files = fs::read_dir(&dir)?.map(|file| Ok(file?.path())).collect::<io::Result<Vec<_>>>()?;
            files.sort();
            Ok(files)
        };
        let files = match list() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|source| CatalogueError::Io { path: dir, source })?,
        };
        let mut references = Vec::new();
        for path in files {
            let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default().to_ascii_lowercase();
            match kind.as_str() {
                "png" | "jpg" | "jpeg" => references.push(Reference { picture: path, bounds: None }),
                "json" => references.push(self.boxed(path)?),
                _ => {}
            }
        }
        Ok(references)
    }

    fn boxed(&self, path: PathBuf) -> Result<Reference, CatalogueError> {
        #[derive(Deserialize)]
        struct Boxed {
            frame: PathBuf,
            r#box: [u16; 4],
        }
        let text = fs::read_to_string(&path).map_err(|source| CatalogueError::Io { path: path.clone(), source })?;
        let read = serde_json::from_str(&text).map_err(|source| CatalogueError::Line { path, line: 1, source })?;
        let Boxed { frame, r#box: [left, top, right, bottom] } = read;
        let frame = frame.file_name().unwrap_or_default();
        let bounds = BoundingBox { left, top, right, bottom };
        Ok(Reference { picture: self.dir.join("frames").join(frame), bounds: Some(bounds) })
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CatalogueError> {
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, bytes))
        .map_err(|source| CatalogueError::Io { path: path.to_owned(), source })
}

fn check_sku(sku: &str) -> Result<(), CatalogueError> {
    let bad = sku.is_empty() || sku.starts_with('.') || sku.contains(|c: char| c == '/' || c == '\\' || c.is_control());
    if bad { Err(CatalogueError::BadSku(sku.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sku: &str) -> Entry {
        Entry {
            sku: sku.into(),
            name: "Milk".into(),
            category: "dairy/milk".into(),
            brand: String::new(),
            package_grams: 1000,
            shelf_life_days: 7,
            simulated: false,
        }
    }

    #[test]
    fn what_is_saved_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut catalogue = Catalogue::open(dir.path()).unwrap();
        catalogue.put(entry("milk-1l")).unwrap();
        catalogue.save().unwrap();
        let bounds = BoundingBox { left: 1, top: 2, right: 3, bottom: 4 };
        for _ in 0..2 {
            catalogue.add_reference("milk-1l", b"\x89PNG alone", None).unwrap();
            catalogue.add_reference("milk-1l", b"among others", Some(bounds)).unwrap();
        }

        let again = Catalogue::open(dir.path()).unwrap();
        assert_eq!(again.products().collect::<Vec<_>>(), [&entry("milk-1l")]);
        let mut references = again.references("milk-1l").unwrap();
        references.sort_by_key(|reference| reference.bounds.is_some());
        assert_eq!(references.iter().map(|r| r.bounds).collect::<Vec<_>>(), [None, Some(bounds)]);
        assert_eq!(fs::read(&references[0].picture).unwrap(), b"\x89PNG alone");
        assert_eq!(fs::read(&references[1].picture).unwrap(), b"among others");
        assert!(again.references("eggs").unwrap().is_empty());
    }

    #[test]
    fn a_sku_cannot_leave_the_catalogue() {
        let dir = tempfile::tempdir().unwrap();
        let mut catalogue = Catalogue::open(dir.path()).unwrap();
        for sku in ["", ".", "..", "../x", "a/b", "a\\b", "a\nb"] {
            assert!(matches!(catalogue.put(entry(sku)), Err(CatalogueError::BadSku(_))), "{sku:?}");
            assert!(catalogue.add_reference(sku, b"x", None).is_err(), "{sku:?}");
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("products.jsonl"), "{\"sku\":\"a\"}\n\n{\"sku\":3}\n").unwrap();
        let error = Catalogue::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("products.jsonl, line 3"), "{error}");
    }
}
