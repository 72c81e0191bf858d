//! Products found by their local features, made-up ones and real cartons.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, io::Cursor, path::Path};

use image::{ImageFormat, Rgb, RgbImage, imageops};
use larder_kernels::{decode::DecodeLimits, kaze::Finder};
#[cfg(feature = "onnx")]
use larder_pipelines::vision::EmbeddingConfig;
use larder_pipelines::{
    gallery::{Gallery, Look},
    recogniser::{Embedder, Recogniser},
};
use larder_records::{BoundingBox, Image, ImageEncoding, Name, ProductId};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/grocery_store");

fn png(picture: &RgbImage) -> Image {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    Image { encoding: ImageEncoding::Png, data: bytes.into_inner().into() }
}

/// A package with a print of its own.
fn package(number: u32) -> RgbImage {
    printed(number, |i| i)
}

/// One that nobody has. Made as the others are, 99 would share a part of its print with them but for a shift: 38 of its 60 spots lie as
/// they do in 1, 33 of them with the same sign, so that finding the one in the other is right. Not this one.
fn stranger() -> RgbImage {
    printed(99, |i| {
        let mixed = (i ^ (i << 13)).wrapping_mul(0x85eb_ca6b);
        (mixed ^ (mixed >> 15)).wrapping_mul(0xc2b2_ae35) >> 3
    })
}

fn printed(number: u32, order: impl Fn(u32) -> u32) -> RgbImage {
    let spot = |i: u32| {
        let part = |by: u32, of: u32| (i.wrapping_mul(by).wrapping_add(number.wrapping_mul(7_919_113)) % of) as f32;
        (part(2_654_435_761, 200), part(40_503_001, 260), 3.0 + part(97_777, 12), part(31_337, 200) - 100.0)
    };
    let spots: Vec<_> = (0..60).map(|i| spot(order(i + 1))).collect();
    RgbImage::from_fn(200, 260, |x, y| {
        let light = spots.iter().fold(128.0, |sum, &(sx, sy, radius, light)| {
            let (dx, dy) = (x as f32 - sx, y as f32 - sy);
            if dx.abs() < radius && dy.abs() < radius * 0.6 { sum + light } else { sum }
        });
        let light = light.clamp(0.0, 255.0) as u8;
        Rgb([light, light / 2 + 60, 255 - light])
    })
}

/// A photo of it: smaller, on a grey shelf.
fn photo(package: &RgbImage, place: (i64, i64)) -> Image {
    let mut shelf = RgbImage::from_pixel(400, 360, Rgb([90, 90, 95]));
    let small = imageops::resize(package, 150, 195, imageops::FilterType::Triangle);
    imageops::overlay(&mut shelf, &small, place.0, place.1);
    png(&shelf)
}

fn reference(number: u32) -> (u64, ProductId, Look) {
    let look =
        Look::at_reference(&png(&package(number)), None, DecodeLimits::default(), &mut Finder::default()).unwrap();
    (u64::from(number), ProductId::of(&number.to_string()), look)
}

fn query(image: &Image) -> Look {
    Look::at_query(image, DecodeLimits::default(), &mut Finder::default()).unwrap()
}

#[test]
fn a_product_is_found_where_it_stands() {
    let references: Vec<_> = (0..6).map(reference).collect();
    let gallery = Gallery::new(&references).unwrap();
    for number in 0..6 {
        let hits = gallery.search(&query(&photo(&package(number), (70, 110)))).unwrap();
        assert_eq!(hits[0].product, ProductId::of(&number.to_string()));
        let corners = hits[0].corners.unwrap();
        for ([x, y], (left, top)) in corners.iter().zip([(70.0, 110.0), (220.0, 110.0), (220.0, 305.0), (70.0, 305.0)])
        {
            // A twentieth of the package: a corner may be far from all features.
            assert!((x - left).abs() < 10.0 && (y - top).abs() < 10.0, "{number}: {corners:?}");
        }
    }
    let stranger = gallery.search(&query(&photo(&stranger(), (70, 110)))).unwrap();
    assert!(stranger.iter().all(|hit| hit.inliers < 8), "{stranger:?}");
}

#[test]
fn a_reference_may_be_a_part_of_a_picture() {
    let shelf = photo(&package(3), (70, 110));
    let bounds = BoundingBox { left: 70, top: 110, right: 220, bottom: 305 };
    let look = Look::at_reference(&shelf, Some(bounds), DecodeLimits::default(), &mut Finder::default()).unwrap();
    let gallery = Gallery::new(&[(1, ProductId::of("3"), look), reference(4)]).unwrap();
    let hits = gallery.search(&query(&png(&package(3)))).unwrap();
    assert_eq!(hits[0].product, ProductId::of("3"));
}

#[test]
fn what_is_saved_added_and_removed_answers_as_if_it_had_always_been_so() {
    let all: Vec<_> = (0..6).map(reference).collect();
    let mut gallery = Gallery::new(&all).unwrap();
    let picture = query(&photo(&package(2), (20, 30)));
    let answer = gallery.search(&picture).unwrap();
    let mut bytes = Vec::new();
    gallery.save(&mut bytes).unwrap();
    let whose = |but: u64| -> BTreeMap<u64, ProductId> {
        all.iter().map(|(number, product, _)| (*number, *product)).filter(|(number, _)| *number != but).collect()
    };
    let opened = Gallery::open(bytes.clone().into(), whose(99)).unwrap();
    assert_eq!(opened.search(&picture).unwrap(), answer);

    let mut without = Gallery::open(bytes.clone().into(), whose(2)).unwrap();
    assert!(!without.has(2) && without.search(&picture).unwrap().iter().all(|hit| hit.product != ProductId::of("2")));
    without.add(&all[2..3]).unwrap();
    assert_eq!(without.search(&picture).unwrap(), answer);
    let mut change = Vec::new();
    without.append(&mut change).unwrap();
    let grown = [bytes, change].concat();
    assert_eq!(Gallery::open(grown.into(), whose(99)).unwrap().search(&picture).unwrap(), answer);
}

#[test]
fn pictures_without_features_are_no_gallery_and_show_nothing() {
    let blank = png(&RgbImage::from_pixel(50, 50, Rgb([200, 200, 200])));
    let look = Look::at_reference(&blank, None, DecodeLimits::default(), &mut Finder::default()).unwrap();
    assert_eq!(look.features(), 0);
    assert!(Gallery::new(&[(1, ProductId::of("1"), look)]).is_err());
    let gallery = Gallery::new(&[reference(1)]).unwrap();
    assert!(gallery.search(&query(&blank)).unwrap().is_empty());
    assert!(
        Look::at_query(
            &Image { encoding: ImageEncoding::Jpeg, data: vec![1, 2].into() },
            DecodeLimits::default(),
            &mut Finder::default()
        )
        .is_err()
    );
}

#[cfg(feature = "onnx")]
fn network() -> Option<Embedder> {
    let bytes = fs::read(Path::new(DATA).join("../models/efficientnet_lite0/efficientnet_lite0.onnx")).ok()?;
    let config =
        EmbeddingConfig { file: "efficientnet_lite0.onnx".into(), side: 224, bgr: false, mean: 127, divisor: 128 };
    Some(Embedder::load(&config, &bytes).unwrap())
}

#[cfg(not(feature = "onnx"))]
fn network() -> Option<Embedder> {
    None
}

#[test]
fn what_is_not_seen_by_features_is_told_by_the_whole_and_its_category() {
    let plain = |colour| {
        let picture = png(&RgbImage::from_pixel(60, 60, Rgb(colour)));
        Look::at_reference(&picture, None, DecodeLimits::default(), &mut Finder::default()).unwrap()
    };
    let fruit = [("lime", [60, 160, 40]), ("lemon", [230, 210, 60]), ("plum", [90, 30, 80])];
    let mut recogniser = Recogniser::new(Gallery::new(&[reference(1)]).unwrap(), Embedder::default());
    let (number, product, look) = reference(1);
    let whole = recogniser.embedder().reference(look.image()).unwrap();
    recogniser.add(number, product, Name::of("carton"), whole);
    for ((name, colour), number) in fruit.into_iter().zip(10..) {
        let whole = recogniser.embedder().reference(plain(colour).image()).unwrap();
        recogniser.add(number, ProductId::of(name), Name::of("fruit"), whole);
    }
    for (name, colour) in fruit {
        let shown = png(&RgbImage::from_pixel(80, 70, Rgb(colour.map(|light| light - 8))));
        let guesses = recogniser.recognise(&query(&shown)).unwrap();
        assert_eq!((guesses[0].product, guesses[0].hit.is_none(), guesses.len()), (ProductId::of(name), true, 4));
    }
    let guesses = recogniser.recognise(&query(&photo(&package(1), (70, 110)))).unwrap();
    assert_eq!(guesses[0].product, product);
    assert!(guesses[0].hit.is_some() && guesses[1..].iter().all(|guess| guess.hit.is_none()));
}

/// Of photos in shops, `LARDER_ALL=1` asks with every one, not every fourth.
struct Shop {
    /// Class, coarse class and reference picture.
    references: Vec<(String, String, Look)>,
    /// Path, class and coarse class.
    photos: Vec<(String, String, String)>,
}

fn jpeg(path: &str) -> Image {
    let data = fs::read(Path::new(DATA).join(path.trim_start_matches('/'))).unwrap();
    Image { encoding: ImageEncoding::Jpeg, data: data.into() }
}

impl Shop {
    fn open(cartons_only: bool) -> Option<Self> {
        let Ok(classes) = fs::read_to_string(Path::new(DATA).join("classes.csv")) else {
            eprintln!("skipped: {DATA} is absent");
            return None;
        };
        let references: Vec<(String, String, Look)> = classes
            .lines()
            .skip(1)
            .map(|line| line.split(',').collect::<Vec<_>>())
            .filter(|row| !cartons_only || row[4].contains("/Packages/"))
            .map(|row| {
                let look =
                    Look::at_reference(&jpeg(row[4]), None, DecodeLimits::default(), &mut Finder::default()).unwrap();
                (row[1].to_owned(), row[3].to_owned(), look)
            })
            .collect();
        let every = if std::env::var_os("LARDER_ALL").is_some() { 1 } else { 4 };
        let list = fs::read_to_string(Path::new(DATA).join("train_subset.txt")).unwrap();
        let photos = list
            .lines()
            .map(|line| line.split(", ").map(str::to_owned).collect::<Vec<_>>())
            .filter(|row| references.iter().any(|reference| reference.0 == row[1]))
            .map(|row| (row[0].clone(), row[1].clone(), row[2].clone()))
            .step_by(every)
            .collect();
        Some(Self { references, photos })
    }

    fn recogniser(&self) -> Recogniser {
        let numbered: Vec<(u64, ProductId, Look)> = self
            .references
            .iter()
            .map(|(class, _, look)| (class.parse().unwrap(), ProductId::of(class), look.clone()))
            .collect();
        let embedder = network().unwrap_or_default();
        let mut recogniser = Recogniser::new(Gallery::new(&numbered).unwrap(), embedder);
        for (class, coarse, look) in &self.references {
            let whole = recogniser.embedder().reference(look.image()).unwrap();
            recogniser.add(class.parse().unwrap(), ProductId::of(class), Name::of(coarse), whole);
        }
        recogniser
    }

    fn coarse(&self, product: ProductId) -> &str {
        &self.references.iter().find(|reference| ProductId::of(&reference.0) == product).unwrap().1
    }
}

#[test]
fn printed_cartons_in_shops_are_told_by_one_clean_picture_of_each() {
    let Some(shop) = Shop::open(true) else { return };
    assert_eq!(shop.references.len(), 31);
    let recogniser = shop.recogniser();
    let (mut seen, mut right, mut odd) = (0, 0, 0);
    for (number, (path, class, _)) in shop.photos.iter().enumerate() {
        let guesses = recogniser.recognise(&query(&jpeg(path))).unwrap();
        let first = guesses[0].product == ProductId::of(class);
        seen += usize::from(first && guesses[0].hit.is_some());
        right += usize::from(first);
        odd += usize::from(first && number % 2 == 1);
    }
    let of = shop.photos.len();
    println!("{of} photos: {seen} right by features alone, {right} with the whole; {odd} of the {} odd ones", of / 2);
    assert!(seen * 100 >= of * 87 && right * 100 >= of * 88, "{seen} and {right} of {of}");
}

#[test]
fn fruit_and_cartons_are_told_better_than_by_the_embedding_alone() {
    let Some(shop) = Shop::open(false) else { return };
    assert_eq!(shop.references.len(), 81);
    let recogniser = shop.recogniser();
    let (mut alone, mut whole) = ([0, 0], [0, 0]);
    for (path, class, coarse) in &shop.photos {
        let look = query(&jpeg(path));
        let by_network = recogniser.by_the_whole(&look).unwrap();
        let nearest = by_network.iter().max_by(|a, b| a.likeness.total_cmp(&b.likeness)).unwrap().product;
        let first = recogniser.recognise(&look).unwrap()[0].product;
        for (counts, product) in [(&mut alone, nearest), (&mut whole, first)] {
            counts[0] += usize::from(product == ProductId::of(class));
            counts[1] += usize::from(shop.coarse(product) == coarse);
        }
    }
    println!("{} photos: {whole:?} right, fine and coarse; {alone:?} by the embedding alone", shop.photos.len());
    assert!(whole[0] > alone[0] && whole[1] > alone[1], "{whole:?} {alone:?}");
}
