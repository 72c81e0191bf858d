//! Products found by their local features, made-up ones and real cartons.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, io::Cursor, path::Path};

use image::{ImageFormat, Rgb, RgbImage, imageops};
use larder_kernels::decode::DecodeLimits;
use larder_pipelines::gallery::{Gallery, Look};
use larder_records::{BoundingBox, Image, ImageEncoding, ProductId};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/grocery_store");

fn png(picture: &RgbImage) -> Image {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    Image { encoding: ImageEncoding::Png, data: bytes.into_inner().into() }
}

/// A package with a print of its own.
fn package(number: u32) -> RgbImage {
    let spot = |i: u32| {
        let part = |by: u32, of: u32| (i.wrapping_mul(by).wrapping_add(number.wrapping_mul(7_919_113)) % of) as f32;
        (part(2_654_435_761, 200), part(40_503_001, 260), 3.0 + part(97_777, 12), part(31_337, 200) - 100.0)
    };
    let spots: Vec<_> = (0..60).map(|i| spot(i + 1)).collect();
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
    let look = Look::at_reference(&png(&package(number)), None, DecodeLimits::default()).unwrap();
    (u64::from(number), ProductId::of(&number.to_string()), look)
}

fn query(image: &Image) -> Look {
    Look::at_query(image, DecodeLimits::default()).unwrap()
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
    let stranger = gallery.search(&query(&photo(&package(99), (70, 110)))).unwrap();
    assert!(stranger.iter().all(|hit| hit.inliers < 8), "{stranger:?}");
}

#[test]
fn a_reference_may_be_a_part_of_a_picture() {
    let shelf = photo(&package(3), (70, 110));
    let bounds = BoundingBox { left: 70, top: 110, right: 220, bottom: 305 };
    let look = Look::at_reference(&shelf, Some(bounds), DecodeLimits::default()).unwrap();
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
    let opened = Gallery::open(&bytes, whose(99)).unwrap();
    assert_eq!(opened.search(&picture).unwrap(), answer);

    let mut without = Gallery::open(&bytes, whose(2)).unwrap();
    assert!(!without.has(2) && without.search(&picture).unwrap().iter().all(|hit| hit.product != ProductId::of("2")));
    without.add(&all[2..3]).unwrap();
    assert_eq!(without.search(&picture).unwrap(), answer);
    let mut change = Vec::new();
    without.append(&mut change).unwrap();
    let grown = [bytes, change].concat();
    assert_eq!(Gallery::open(&grown, whose(99)).unwrap().search(&picture).unwrap(), answer);
}

#[test]
fn pictures_without_features_are_no_gallery_and_show_nothing() {
    let blank = png(&RgbImage::from_pixel(50, 50, Rgb([200, 200, 200])));
    let look = Look::at_reference(&blank, None, DecodeLimits::default()).unwrap();
    assert_eq!(look.features(), 0);
    assert!(Gallery::new(&[(1, ProductId::of("1"), look)]).is_err());
    let gallery = Gallery::new(&[reference(1)]).unwrap();
    assert!(gallery.search(&query(&blank)).unwrap().is_empty());
    assert!(
        Look::at_query(&Image { encoding: ImageEncoding::Jpeg, data: vec![1, 2].into() }, DecodeLimits::default())
            .is_err()
    );
}

/// `LARDER_ALL=1` asks with every photo, not every fourth.
#[test]
fn printed_cartons_in_shops_are_told_by_one_clean_picture_of_each() {
    let data = Path::new(DATA);
    let Ok(classes) = fs::read_to_string(data.join("classes.csv")) else {
        eprintln!("skipped: {DATA} is absent");
        return;
    };
    let jpeg = |path: &str| Image {
        encoding: ImageEncoding::Jpeg,
        data: fs::read(data.join(path.trim_start_matches('/'))).unwrap().into(),
    };
    let references: Vec<(u64, ProductId, Look)> = classes
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|row| row[4].contains("/Packages/"))
        .map(|row| {
            let look = Look::at_reference(&jpeg(row[4]), None, DecodeLimits::default()).unwrap();
            (row[1].parse().unwrap(), ProductId::of(row[1]), look)
        })
        .collect();
    assert_eq!(references.len(), 31);
    let gallery = Gallery::new(&references).unwrap();
    let list = fs::read_to_string(data.join("train_subset.txt")).unwrap();
    let every = if std::env::var_os("LARDER_ALL").is_some() { 1 } else { 4 };
    let photos: Vec<(&str, &str)> = list
        .lines()
        .filter(|line| line.starts_with("train/Packages/"))
        .filter_map(|line| line.split_once(", ").map(|(path, rest)| (path, rest.split(',').next().unwrap())))
        .filter(|(_, class)| gallery.has(class.parse().unwrap()))
        .step_by(every)
        .collect();
    let (mut right, mut among, mut none) = (0, 0, 0);
    for (path, class) in &photos {
        let hits = gallery.search(&query(&jpeg(path))).unwrap();
        let place = hits.iter().position(|hit| hit.product == ProductId::of(class));
        right += usize::from(place == Some(0));
        among += usize::from(place.is_some_and(|place| place < 5));
        none += usize::from(hits.is_empty());
    }
    println!("{} photos: {right} right, {among} among the first five, {none} without an answer", photos.len());
    assert!(right * 100 >= photos.len() * 80, "{right} of {}", photos.len());
}
