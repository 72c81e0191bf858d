//! The command line, from photos of a fridge to the pixels that a row rests on, and to what people say of them.

#![allow(clippy::unwrap_used)]

mod bad;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use larder::{
    feeds::{Event, Feed as _, recording::Recording},
    lake::Lake,
};
use larder_records::{BoundingBox, Digest, Names, ProductId, Time, views::Inventory};
use serde_json::Value;

fn larder(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_larder")).args(arguments).output().unwrap()
}

fn done(arguments: &[&str]) -> String {
    let output = larder(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&done(&[&["--json"], arguments].concat())).unwrap()
}

/// A lake of the fridge's photos, and their recording; none, with a message, where the photos are not there.
fn fridge(dir: &Path) -> Option<(String, String)> {
    let photos = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/fridge_snapshots/positive"));
    if !photos.is_dir() {
        eprintln!("skipped: {} is not there", photos.display());
        return None;
    }
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let (recording, lake, scenes, catalogue) = (at("fridge.mcap"), at("lake"), at("scenes"), at("catalogue"));
    done(&["import", "snapshots", photos.to_str().unwrap(), "-o", &recording]);
    done(&["scene", "learn", &recording, "--first", "4", "--labelled", "-o", &scenes]);
    done(&["catalogue", "enroll", &recording, "--first", "4", "--catalogue", &catalogue]);
    done(&["replay", &recording, "--lake", &lake, "--catalogue", &catalogue, "--scenes", &scenes]);
    Some((lake, recording))
}

fn inventory(lake: &str) -> (Vec<Inventory>, Names) {
    let mut names = Names::default();
    let rows = Lake::open(Path::new(lake)).unwrap().read(&mut names).unwrap();
    (rows, names)
}

fn digests(lake: &str) -> Vec<(String, u64, Digest)> {
    Lake::open(Path::new(lake)).unwrap().digest().unwrap()
}

/// Where people say that products are, by the time of the photo.
fn truth(recording: &str) -> Vec<(Time, ProductId, BoundingBox)> {
    let mut recording = Recording::open(recording).unwrap();
    let (mut names, mut truth) = (Names::default(), Vec::new());
    while let Some((_, entry)) = recording.next_entry(&mut names).unwrap() {
        if let Ok(Event::Truth(told)) = entry {
            let items = told.items.into_iter();
            truth.extend(items.filter_map(|(product, _, bounds)| Some((told.time, product, bounds?))));
        }
    }
    truth
}

#[test]
fn each_item_of_a_fridge_is_explained_by_pixels_that_show_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some((lake, recording)) = fridge(dir.path()) else { return };
    let truth = truth(&recording);
    let crops = dir.path().join("why");
    let (rows, names) = inventory(&lake);
    assert!(rows.len() >= 7, "{rows:?}");
    let mut right = 0;
    for row in &rows {
        let (appliance, sku) = (names.text(row.appliance.0), names.text(row.product.0));
        let key = [format!("appliance={appliance}"), format!("sku={sku}")];
        let explanation = json(&[
            "explain",
            "--lake",
            &lake,
            "--view",
            "inventory",
            "--key",
            &key[0],
            "--key",
            &key[1],
            "--recording",
            &recording,
            "--crops",
            crops.to_str().unwrap(),
        ]);
        let movements = explanation["movements"].as_array().unwrap();
        assert!(!movements.is_empty(), "{sku} rests on nothing");
        let put_in = movements.iter().rfind(|m| m["kind"] == "in").unwrap();
        let look = put_in["looks"].as_array().unwrap().iter().find(|look| look["which"] == "after").unwrap();
        let time: jiff::Timestamp = serde_json::from_value(look["frame"]["time"].clone()).unwrap();
        let objects = look["objects"].as_array().unwrap();
        assert!(!objects.is_empty(), "{sku} is nowhere in the look that says it came");
        let mut shown = 0;
        for object in objects {
            let [left, top, right, bottom]: [u16; 4] = serde_json::from_value(object["box"].clone()).unwrap();
            let bounds = BoundingBox { left, top, right, bottom };
            let crop = image::open(object["crop"].as_str().unwrap()).unwrap();
            assert!(crop.width() >= u32::from(right - left) && crop.height() >= u32::from(bottom - top));
            let there = |(at, product, place): &&(Time, ProductId, BoundingBox)| {
                at.0 == time.as_microsecond() && *product == row.product && place.overlap(bounds) * 2 > place.area()
            };
            shown += usize::from(truth.iter().find(there).is_some());
        }
        println!("{sku}: {shown} of {} objects where the labels say", objects.len());
        right += usize::from(shown > 0);
    }
    println!("{right} of {} products", rows.len());
    assert!(right + 1 >= rows.len(), "{right} of {} rows are explained by the right pixels", rows.len());
}

#[test]
fn a_correction_at_the_command_line_changes_every_table_and_an_undo_brings_all_back() {
    let dir = tempfile::tempdir().unwrap();
    let Some((lake, _)) = fridge(dir.path()) else { return };
    let before = digests(&lake);
    let (rows, names) = inventory(&lake);
    let text = |row: &Inventory| (names.text(row.appliance.0).to_owned(), names.text(row.product.0).to_owned());
    let ((appliance, wrong), (_, right)) = (text(&rows[0]), text(&rows[1]));
    let correct = |arguments: &[&str]| json(&[&["correct", "--lake", &lake, "--author", "ada"], arguments].concat());

    let dry = json(&["correct", "--lake", &lake, "--dry-run", "merge", &wrong, &right]);
    assert_eq!((&dry["committed"], digests(&lake)), (&Value::Bool(false), before.clone()));
    let merged = correct(&["merge", &wrong, &right]);
    assert_eq!(dry["changed"], merged["changed"], "what a dry run tells is what happens");
    assert!(inventory(&lake).0.iter().all(|row| row.product != rows[0].product), "{wrong} is no more");
    let id = merged["corrections"][0]["id"].as_str().unwrap();

    let refused = larder(&["correct", "--lake", &lake, "count", &appliance, &wrong, "3"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("is no more"), "{refused:?}");
    let circle = larder(&["correct", "--lake", &lake, "merge", &right, &wrong]);
    assert!(String::from_utf8_lossy(&circle.stdout).contains("circle"), "{circle:?}");
    let unknown = larder(&["correct", "--lake", &lake, "merge", "no such thing", &right]);
    assert!(String::from_utf8_lossy(&unknown.stdout).contains("\"no such thing\""), "{unknown:?}");

    let counted = correct(&["count", &appliance, &right, "7", "--at", "2100-01-01T00:00:00Z"]);
    let held = inventory(&lake).0.into_iter().find(|row| row.product == rows[1].product).unwrap();
    assert_eq!(held.count, 7);
    let key = [format!("appliance={appliance}"), format!("sku={right}")];
    let question = ["--lake", &lake, "--view", "inventory", "--key", &key[0], "--key", &key[1]];
    let why = json(&[&["explain"][..], &question].concat());
    let kinds: Vec<&str> =
        why["corrections"].as_array().unwrap().iter().map(|made| made["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["merge", "count"]);
    let history = json(&[&["history"][..], &question].concat());
    let last = history.as_array().unwrap().last().unwrap();
    assert!(last["inserted"].as_bool().unwrap() && last["row"].to_string().contains("\"7\""), "{last}");

    correct(&["undo", counted["corrections"][0]["id"].as_str().unwrap()]);
    correct(&["undo", id]);
    assert_eq!(digests(&lake), before);
    done(&["rederive", "--lake", &lake, "--check"]);
    std::fs::remove_dir_all(Path::new(&lake).join("inventory")).unwrap();
    assert_eq!(larder(&["rederive", "--lake", &lake, "--check"]).status.code(), Some(1));
    done(&["rederive", "--lake", &lake]);
    assert_eq!(digests(&lake), before, "a view that was taken away is written again");
    assert_eq!(json(&["correct", "--lake", &lake, "list"]).as_array().unwrap().len(), 4);
}
