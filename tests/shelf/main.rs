//! The index of a catalogue on disk: kept in step with its pictures, read in place, and of no harm whatever becomes of it.
#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use image::{ImageFormat, Rgb, RgbImage};
use larder::{
    catalogue::{Catalogue, Entry},
    eyes::picture,
    gallery::{Shelf, ShelfError},
};
use larder_kernels::{decode::DecodeLimits, kaze::Finder};
use larder_pipelines::{
    gallery::Look,
    recogniser::{Embedder, Guess},
};
use larder_records::ProductId;

/// A print of 48 bars, each product's its own.
fn print(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % bound) as u32
    };
    let mut drawn = RgbImage::from_pixel(200, 240, Rgb([128, 120, 110]));
    for _ in 0..48 {
        let (x, y, width, height) = (below(180), below(220), 6 + below(30), 6 + below(24));
        let colour = Rgb([below(256) as u8, below(256) as u8, below(256) as u8]);
        for (dy, dx) in (0..height).flat_map(|dy| (0..width).map(move |dx| (dy, dx))) {
            if x + dx < 200 && y + dy < 240 {
                drawn.put_pixel(x + dx, y + dy, colour);
            }
        }
    }
    let mut bytes = Cursor::new(Vec::new());
    drawn.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn sku(number: u64) -> String {
    format!("product-{number}")
}

fn put(catalogue: &mut Catalogue, number: u64) {
    let entry = Entry {
        sku: sku(number),
        name: String::new(),
        category: "made/up".into(),
        brand: String::new(),
        package_grams: 0,
        shelf_life_days: 0,
        simulated: false,
    };
    catalogue.put(entry).unwrap();
    catalogue.add_reference(&sku(number), &print(number), None).unwrap();
}

fn four(dir: &Path) -> (Catalogue, PathBuf) {
    let mut catalogue = Catalogue::open(dir).unwrap();
    (0..4).for_each(|number| put(&mut catalogue, number));
    (catalogue, dir.join("features.index"))
}

/// The shelf, and how many pictures were looked at.
fn open(catalogue: &Catalogue) -> (Shelf, usize) {
    let seen = AtomicUsize::new(0);
    let shelf = Shelf::open(catalogue, Embedder::default(), || _ = seen.fetch_add(1, Ordering::Relaxed)).unwrap();
    (shelf, seen.into_inner())
}

fn look(number: u64) -> Look {
    Look::at_query(&picture(print(number)), DecodeLimits::default(), &mut Finder::default()).unwrap()
}

fn search(shelf: &Shelf, number: u64) -> Vec<Guess> {
    shelf.search(&look(number)).unwrap()
}

fn shows(shelf: &Shelf, number: u64) -> bool {
    let guesses = search(shelf, number);
    guesses[0].product == ProductId::of(&sku(number)) && guesses[0].hit.is_some()
}

#[test]
fn only_what_is_new_is_looked_at_and_what_is_gone_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (mut catalogue, _) = four(dir.path());
    let (shelf, seen) = open(&catalogue);
    assert_eq!((seen, shelf.len()), (4, 4));
    assert!((0..4).all(|number| shows(&shelf, number)));
    put(&mut catalogue, 4);
    let (grown, seen) = open(&catalogue);
    assert_eq!((seen, grown.len()), (1, 5));
    assert!((0..5).all(|number| shows(&grown, number)));
    assert!((0..4).all(|number| shows(&shelf, number)), "one that was opened before does not see what was appended");
    fs::remove_dir_all(dir.path().join("references").join(sku(2))).unwrap();
    let (shelf, seen) = open(&catalogue);
    assert_eq!((seen, shelf.len()), (0, 4));
    let guesses = search(&shelf, 2);
    assert!(guesses.len() == 4 && guesses.iter().all(|guess| guess.product != ProductId::of(&sku(2))), "{guesses:?}");
    assert_eq!(search(&shelf, 1), search(&open(&catalogue).0, 1));
}

#[test]
fn a_torn_appendix_costs_only_what_was_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut catalogue, path) = four(dir.path());
    let before = search(&open(&catalogue).0, 3);
    let whole = fs::metadata(&path).unwrap().len();
    put(&mut catalogue, 4);
    open(&catalogue);
    let grown = fs::metadata(&path).unwrap().len();
    File::options().write(true).open(&path).unwrap().set_len(grown - 70).unwrap();
    let (shelf, seen) = open(&catalogue);
    assert_eq!((seen, shelf.len()), (1, 5));
    assert!(shows(&shelf, 4) && whole < grown);
    assert_eq!(search(&shelf, 3)[0].hit, before[0].hit);
}

#[test]
fn a_file_that_is_cut_while_it_is_mapped_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let (catalogue, path) = four(dir.path());
    let (shelf, _) = open(&catalogue);
    File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    assert!(matches!(shelf.search(&look(1)), Err(ShelfError::Cut(cut)) if cut == path));
    // And is made anew when it is opened the next time.
    let (shelf, _) = open(&catalogue);
    assert!(shows(&shelf, 1));
}

#[test]
fn a_file_that_is_written_over_while_it_is_mapped_is_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let (catalogue, path) = four(dir.path());
    let length = {
        open(&catalogue);
        fs::metadata(&path).unwrap().len() as usize
    };
    for fill in [0xff_u8, 0, 0x7f, 0x80] {
        let (shelf, _) = open(&catalogue);
        // In place: the same file, other bytes.
        File::options().write(true).open(&path).unwrap().write_all(&vec![fill; length]).unwrap();
        (0..4).for_each(|number| _ = shelf.search(&look(number)));
        let (shelf, _) = open(&catalogue);
        assert!(shows(&shelf, 0), "an index that is damaged is made anew");
    }
}
