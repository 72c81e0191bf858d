//! `larder catalogue`: the product database.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use larder::{
    catalogue::{Catalogue as Folder, Entry},
    eyes::picture,
    gallery::Shelf,
};
use larder_kernels::{ImageRgb8, decode};
use larder_pipelines::{gallery::Look, vision::VisionConfig};
use larder_records::{ImageEncoding, Names, Payload, ProductId};
use serde::Serialize;

use super::{
    output::{Output, table},
    scene::first_shots,
};

/// Keep the product database
#[derive(Debug, Subcommand)]
pub(super) enum Catalogue {
    /// Add a product, or replace the one of the same SKU
    Add(Add),
    /// List the products
    List {
        /// The catalogue's folder
        #[arg(long)]
        catalogue: PathBuf,
    },
    /// Find the products that a picture shows, the best first
    Search(Search),
    /// Take a recording's first images as reference pictures, where a person has drawn boxes (the recording's truth)
    Enroll {
        /// The catalogue's folder
        #[arg(long)]
        catalogue: PathBuf,
        /// From how many images of each camera
        #[arg(long, default_value_t = 4, value_name = "N")]
        first: usize,
        /// An MCAP file
        recording: PathBuf,
    },
}

/// A picture whose product is asked for.
#[derive(Debug, Args)]
pub(super) struct Search {
    /// The catalogue's folder
    #[arg(long)]
    catalogue: PathBuf,
    /// A picture, JPEG or PNG
    file: PathBuf,
    /// The most products
    #[arg(long, value_name = "N", default_value_t = 5)]
    most: usize,
}

/// A product that a picture shows.
#[derive(Debug, Serialize)]
struct Seen {
    sku: String,
    name: String,
    category: String,
    /// Features that agree on one view of the reference picture.
    inliers: u32,
    /// What they are ranked by.
    score: f64,
    /// The decimal logarithm of how many such views chance alone would give.
    log_chance: f64,
    /// Where the reference picture's corners lie in the picture.
    corners: Option<[[f64; 2]; 4]>,
}

/// A product to add.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// The catalogue's folder
    #[arg(long)]
    catalogue: PathBuf,
    /// Its SKU
    #[arg(long)]
    sku: String,
    /// What people call it
    #[arg(long, default_value = "")]
    name: String,
    /// From the broadest to the narrowest, such as dairy/yoghurt
    #[arg(long, default_value = "")]
    category: String,
    /// Its brand
    #[arg(long, default_value = "")]
    brand: String,
    /// Weight of one full package
    #[arg(long, default_value_t = 0)]
    package_grams: u32,
    /// How long it keeps
    #[arg(long, default_value_t = 0)]
    shelf_life_days: u32,
    /// A reference picture, JPEG or PNG; may be given several times
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    entry: Entry,
    references: usize,
}

#[derive(Debug, Serialize)]
struct Enrolled {
    images: usize,
    products: usize,
    references: usize,
}

impl Catalogue {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run(output),
            Self::Search(search) => search.run(output),
            Self::List { catalogue } => list(&catalogue, output),
            Self::Enroll { catalogue, first, recording } => {
                let enrolled = enroll(&catalogue, &recording, first)?;
                output.result(&enrolled, |e| {
                    format!("{} reference pictures of {} products from {} images", e.references, e.products, e.images)
                })
            }
        }
    }
}

impl Search {
    fn run(self, output: &Output) -> anyhow::Result<()> {
        let Self { catalogue: dir, file, most } = self;
        anyhow::ensure!(dir.is_dir(), "{}: there is no catalogue here", dir.display());
        let catalogue = Folder::open(&dir)?;
        let bar = output.progress("looking at reference pictures", 0, "pictures");
        let gallery = Shelf::open(&catalogue, || bar.inc(1))?;
        bar.finish_and_clear();
        let limits = VisionConfig::default().limits();
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        let look = Look::at_query(&picture(bytes), limits).with_context(|| file.display().to_string())?;
        let by_id: BTreeMap<ProductId, &Entry> =
            catalogue.products().map(|entry| (ProductId::of(&entry.sku), entry)).collect();
        let seen: Vec<Seen> = gallery
            .search(&look)?
            .into_iter()
            .filter_map(|hit| {
                let entry = by_id.get(&hit.product)?;
                Some(Seen {
                    sku: entry.sku.clone(),
                    name: entry.name.clone(),
                    category: entry.category.clone(),
                    inliers: hit.inliers,
                    score: hit.score,
                    log_chance: hit.log_chance,
                    corners: hit.corners,
                })
            })
            .take(most)
            .collect();
        output.result(&seen, |seen| {
            if seen.is_empty() {
                return format!("none of {} reference pictures is seen", gallery.len());
            }
            let row = |seen: &Seen| {
                let numbers =
                    [seen.inliers.to_string(), format!("{:.1}", seen.score), format!("{:.1}", seen.log_chance)];
                [&seen.sku, &seen.name, &seen.category].map(String::clone).into_iter().chain(numbers).collect()
            };
            let rows: Vec<_> = seen.iter().map(row).collect();
            table(&["sku", "name", "category", "inliers", "score", "log chance"], &rows)
        })
    }
}

impl Add {
    fn run(self, output: &Output) -> anyhow::Result<()> {
        let mut catalogue = Folder::open(&self.catalogue)?;
        let limits = VisionConfig::default().limits();
        let mut pictures = Vec::new();
        for path in &self.image {
            let picture = picture(std::fs::read(path).with_context(|| path.display().to_string())?);
            decode::decode_rgb8(&picture, limits, &mut ImageRgb8::default())
                .with_context(|| path.display().to_string())?;
            pictures.push(picture.data);
        }
        let entry = Entry {
            sku: self.sku.clone(),
            name: self.name,
            category: self.category,
            brand: self.brand,
            package_grams: self.package_grams,
            shelf_life_days: self.shelf_life_days,
            simulated: false,
        };
        catalogue.put(entry.clone())?;
        for picture in &pictures {
            catalogue.add_reference(&self.sku, picture, None)?;
        }
        catalogue.save()?;
        let references = catalogue.references(&self.sku)?.len();
        output.result(&Listed { entry, references }, |listed| {
            format!("{}: {} reference pictures", listed.entry.sku, listed.references)
        })
    }
}

fn list(catalogue: &Path, output: &Output) -> anyhow::Result<()> {
    anyhow::ensure!(catalogue.is_dir(), "{}: there is no catalogue here", catalogue.display());
    let catalogue = Folder::open(catalogue)?;
    let listed = catalogue
        .products()
        .map(|entry| Ok(Listed { entry: entry.clone(), references: catalogue.references(&entry.sku)?.len() }))
        .collect::<anyhow::Result<Vec<_>>>()?;
    output.result(&listed, |listed| {
        let rows: Vec<_> = listed
            .iter()
            .map(|Listed { entry: e, references }| {
                let numbers = [e.package_grams, e.shelf_life_days].map(|n| n.to_string());
                let texts = [&e.sku, &e.name, &e.category, &e.brand].map(String::clone);
                texts.into_iter().chain(numbers).chain([references.to_string()]).collect()
            })
            .collect();
        table(&["sku", "name", "category", "brand", "grams", "days", "references"], &rows)
    })
}

/// Takes the first `first` images of each camera in `recording`, with the boxes of their truth, as reference pictures.
fn enroll(dir: &Path, recording: &Path, first: usize) -> anyhow::Result<Enrolled> {
    let mut names = Names::default();
    let shots = first_shots(recording, first, &mut names)?;
    let mut catalogue = Folder::open(dir)?;
    let mut enrolled = Enrolled { images: 0, products: 0, references: 0 };
    for shot in &shots {
        let (Payload::Image(image), Some(truth)) = (&shot.frame.payload, &shot.truth) else { continue };
        if !matches!(image.encoding, ImageEncoding::Jpeg | ImageEncoding::Png) {
            continue;
        }
        enrolled.images += 1;
        for (product, _, bounds) in truth.items.iter().filter(|(_, _, bounds)| bounds.is_some()) {
            let sku = names.text(product.0);
            if !catalogue.contains(sku) {
                enrolled.products += 1;
                catalogue.put(Entry {
                    sku: sku.to_owned(),
                    name: sku.to_owned(),
                    category: String::new(),
                    brand: String::new(),
                    package_grams: 0,
                    shelf_life_days: 0,
                    simulated: false,
                })?;
            }
            catalogue.add_reference(sku, &image.data, *bounds)?;
            enrolled.references += 1;
        }
    }
    anyhow::ensure!(enrolled.references > 0, "{}: its first {first} images have no boxes", recording.display());
    catalogue.save()?;
    Ok(enrolled)
}
