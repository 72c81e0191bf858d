//! `larder catalogue`: the product database.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use larder::{
    catalogue::{Catalogue as Folder, Entry},
    eyes::{picture, read_config},
    gallery::Shelf,
    gpu,
};
use larder_kernels::{ImageRgb8, decode};
use larder_pipelines::{
    gallery::Look,
    recogniser::{Embedder, Guess},
    vision::VisionConfig,
};
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
    /// A TOML file with the parameters of vision: its `embedding` is the network that describes whole pictures; without one, colours
    /// and edges do
    #[arg(long, value_name = "FILE")]
    vision: Option<PathBuf>,
    /// A picture, JPEG or PNG
    file: PathBuf,
    /// The most products
    #[arg(long, value_name = "N", default_value_t = 5)]
    most: usize,
}

/// What a picture shows.
#[derive(Debug, Serialize)]
struct Shown {
    /// How many reference pictures were compared.
    references: usize,
    categories: Vec<Likely>,
    products: Vec<Seen>,
}

/// A category that it may be of: that of the first product, then the others by how like their products are on average, -1 to 1.
#[derive(Debug, Serialize)]
struct Likely {
    category: String,
    likeness: f64,
}

/// A product that a picture may show.
#[derive(Debug, Serialize)]
struct Seen {
    sku: String,
    name: String,
    category: String,
    told_by: ToldBy,
    /// How like its most alike reference picture is as a whole, -1 to 1.
    likeness: f64,
    /// How its print is seen; none where it is not.
    #[serde(flatten)]
    print: Option<Print>,
}

/// What a product is ranked by.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ToldBy {
    /// By its print: local features that agree on one view.
    Print,
    /// By the look of the whole, its category first.
    Whole,
}

/// How a product's print is seen.
#[derive(Debug, Serialize)]
struct Print {
    /// Features that agree on one view of the reference picture.
    inliers: u32,
    /// What products that are told by their print are ranked by.
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
        let Self { catalogue: dir, vision, file, most } = self;
        anyhow::ensure!(dir.is_dir(), "{}: there is no catalogue here", dir.display());
        let catalogue = Folder::open(&dir)?;
        let config = vision.as_deref().map(read_config).transpose()?.unwrap_or_default();
        let embedder = match &config.embedding {
            Some(embedding) => {
                let bytes = std::fs::read(&embedding.file).with_context(|| embedding.file.clone())?;
                Embedder::load(embedding, &bytes)?
            }
            None => Embedder::default(),
        };
        let bar = output.progress("looking at reference pictures", 0, "pictures");
        let shelf = Shelf::open(&catalogue, embedder, || bar.inc(1))?;
        bar.finish_and_clear();
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        // One picture is not worth opening a GPU for; one that is open already is asked.
        let look = gpu::with_finder(1, |finder| Look::at_query(&picture(bytes), config.limits(), finder))
            .with_context(|| file.display().to_string())?;
        let shown = Shown::of(&shelf.search(&look)?, &catalogue, shelf.len(), most);
        output.result(&shown, Shown::pretty)
    }
}

/// Categories that are shown.
const MOST_CATEGORIES: usize = 3;

impl Shown {
    fn of(guesses: &[Guess], catalogue: &Folder, references: usize, most: usize) -> Self {
        let by_id: BTreeMap<ProductId, &Entry> =
            catalogue.products().map(|entry| (ProductId::of(&entry.sku), entry)).collect();
        let known = || guesses.iter().filter_map(|guess| Some((guess, *by_id.get(&guess.product)?)));
        let mut categories: Vec<Likely> = Vec::new();
        for (guess, entry) in known() {
            if categories.iter().all(|likely| likely.category != entry.category) {
                categories.push(Likely { category: entry.category.clone(), likeness: guess.category_likeness });
            }
        }
        if let Some((_, others)) = categories.split_first_mut() {
            others.sort_by(|a, b| b.likeness.total_cmp(&a.likeness));
        }
        categories.truncate(MOST_CATEGORIES);
        let seen = |(guess, entry): (&Guess, &Entry)| Seen {
            sku: entry.sku.clone(),
            name: entry.name.clone(),
            category: entry.category.clone(),
            told_by: if guess.hit.is_some() { ToldBy::Print } else { ToldBy::Whole },
            likeness: guess.likeness,
            print: guess.hit.as_ref().map(|hit| Print {
                inliers: hit.inliers,
                score: hit.score,
                log_chance: hit.log_chance,
                corners: hit.corners,
            }),
        };
        Self { references, categories, products: known().map(seen).take(most).collect() }
    }

    fn pretty(&self) -> String {
        let categories = self.categories.iter().map(|Likely { category, likeness }| {
            let category = if category.is_empty() { "none" } else { category };
            format!("{category} ({likeness:.2})")
        });
        let row = |seen: &Seen| {
            let number = |value: fn(&Print) -> String| seen.print.as_ref().map_or("-".to_owned(), value);
            let told_by = match seen.told_by {
                ToldBy::Print => "its print",
                ToldBy::Whole => "the whole",
            };
            vec![
                seen.sku.clone(),
                seen.name.clone(),
                seen.category.clone(),
                told_by.to_owned(),
                number(|print| print.inliers.to_string()),
                number(|print| format!("{:.1}", print.score)),
                number(|print| format!("{:.1}", print.log_chance)),
                format!("{:.2}", seen.likeness),
            ]
        };
        let rows: Vec<_> = self.products.iter().map(row).collect();
        let header = ["sku", "name", "category", "told by", "inliers", "score", "log chance", "likeness"];
        format!("category: {}\n{}", categories.collect::<Vec<_>>().join(", "), table(&header, &rows))
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
