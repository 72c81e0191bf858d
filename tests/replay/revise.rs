//! A new vision over old recordings.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use larder::lake::{Lake, VisionDay};
use larder_records::{FrameResult, Names, views::Movement};
use serde_json::Value;

use super::{digests, kitchen};

/// What a new vision is: changes that the old lets pass are none to it, and it is less sure of what it sees.
const NEW: &str = "colour_thresholds = [9, 13, 19, 28]\nchance = 850000\n";

struct Kitchen {
    dir: tempfile::TempDir,
    recordings: Vec<PathBuf>,
}

impl Kitchen {
    fn new(appliances: u32, days: u32) -> Self {
        let (dir, recordings) = kitchen(appliances, days);
        std::fs::write(dir.path().join("new.toml"), NEW).unwrap();
        Self { dir, recordings }
    }

    fn at(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn lake(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The arguments of a command on a lake that sees by the old or the new vision.
    fn seeing(&self, command: &str, lake: &str, new: bool) -> Vec<String> {
        let mut arguments: Vec<String> = [command, "--lake"].map(str::to_owned).to_vec();
        arguments.push(self.at(lake));
        for (option, name) in [("--catalogue", "catalogue"), ("--scenes", "scenes")] {
            arguments.extend([option.to_owned(), self.at(name)]);
        }
        if new {
            arguments.extend(["--vision".to_owned(), self.at("new.toml")]);
        }
        arguments
    }

    fn recordings(&self) -> Vec<String> {
        self.recordings.iter().map(|path| path.to_str().unwrap().to_owned()).collect()
    }

    fn replay(&self, lake: &str, new: bool, more: &[String]) -> Value {
        json(&[self.seeing("replay", lake, new), self.recordings(), more.to_vec()].concat())
    }

    fn revise(&self, lake: &str, more: &[&str]) -> Value {
        let more: Vec<String> = more.iter().map(|&text| text.to_owned()).collect();
        json(&[self.seeing("revise", lake, true), self.recordings(), more].concat())
    }
}

fn larder(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(arguments);
    command
}

fn json(arguments: &[String]) -> Value {
    let output = larder(&[vec!["--json".to_owned()], arguments.to_vec()].concat()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(arguments: &[String]) -> String {
    let output = larder(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn frames(lake: &Path) -> Vec<FrameResult> {
    let mut frames = Lake::open(lake).unwrap().read_frames(&mut Names::default()).unwrap();
    frames.sort();
    frames
}

/// Corrects a lake: an object, a product, a movement and a count.
fn correct(kitchen: &Kitchen, lake: &str) {
    let mut names = Names::default();
    let opened = Lake::open(&kitchen.lake(lake)).unwrap();
    let movements = opened.read::<Movement>(&mut names).unwrap();
    let looks: Vec<_> = movements.iter().filter_map(|m| m.after).collect();
    let frames = opened.read_frames(&mut names).unwrap();
    let look = frames.iter().filter(|f| looks.contains(&f.key) && !f.sightings.is_empty()).max().unwrap();
    let b = look.sightings[0].bounds;
    let sighting = format!("{}@{},{},{},{}", look.key.hash, b.left, b.top, b.right, b.bottom);
    let first = movements.iter().min().unwrap();
    let (appliance, sku) = (names.text(first.appliance.0), names.text(first.product.0));
    let other = movements.iter().map(|m| names.text(m.product.0)).find(|other| *other != sku).unwrap();
    let time = jiff::Timestamp::from_microsecond(first.time.0).unwrap().to_string();
    for what in [
        vec!["relabel", &sighting, sku],
        vec!["product", sku, "--package-grams", "333"],
        vec!["refuse", appliance, &time, "in", sku],
        vec!["count", appliance, other, "4", "--at", "2100-01-01T00:00:00Z"],
    ] {
        let what: Vec<String> = what.into_iter().map(str::to_owned).collect();
        json(&[["correct", "--lake"].map(str::to_owned).to_vec(), vec![kitchen.at(lake)], what].concat());
    }
}

#[test]
fn a_revised_lake_is_what_a_replay_by_the_new_vision_gives_however_often_it_was_killed_on_the_way() {
    let kitchen = Kitchen::new(2, 3);
    let old = text(&kitchen.replay("lake", false, &[])["fingerprint"]).to_owned();
    correct(&kitchen, "lake");
    let before = digests(&kitchen.lake("lake"));
    let mut corrections: Vec<String> = ["correct", "--lake"].map(str::to_owned).to_vec();
    corrections.extend([kitchen.at("lake"), "export".to_owned(), kitchen.at("corrections.mcap")]);
    assert_eq!(json(&corrections)["messages"], 4);

    // a recording carries the corrections: a replay from nothing has them too
    let with = [kitchen.at("corrections.mcap")];
    kitchen.replay("old from nothing", false, &with);
    assert_eq!(digests(&kitchen.lake("old from nothing")), before, "corrections from a recording");
    let again = kitchen.replay("old from nothing", false, &with);
    assert_eq!((&again["corrections"], &again["readings"], &again["frames"]), (&0.into(), &0.into(), &0.into()));
    kitchen.replay("new from nothing", true, &with);
    let expected = digests(&kitchen.lake("new from nothing"));
    assert_ne!(expected, before, "the new vision sees the same as the old: the test would say nothing");

    let plan = kitchen.revise("lake", &["--dry-run"]);
    let new = text(&plan["fingerprint"]).to_owned();
    let other =
        [kitchen.seeing("revise", "lake", true), kitchen.recordings(), vec!["--fingerprint".into(), old.clone()]];
    assert!(refused(&other.concat()).contains(&new), "another vision than the one named");
    assert_eq!(digests(&kitchen.lake("lake")), before, "neither a dry run nor a refusal changes anything");
    let days = plan["days"].as_u64().unwrap();
    assert!(days >= 6, "{plan}");

    // killed when the log of what holds has so many commits
    let log = kitchen.lake("lake").join("vision_days/_delta_log");
    let commits = || {
        std::fs::read_dir(&log).map_or(0, |log| {
            log.filter(|file| {
                file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|kind| kind == "json"))
            })
            .count()
        })
    };
    let (mut left, mut to_see) = (days, plan["frames_to_see"].as_u64().unwrap());
    for kill_at in [2, 4, 6] {
        let arguments =
            [kitchen.seeing("revise", "lake", true), kitchen.recordings(), vec!["--fingerprint".into(), new.clone()]];
        let mut child = larder(&arguments.concat()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while commits() < kill_at && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let plan = kitchen.revise("lake", &["--dry-run"]);
        println!("killed at {kill_at}: {} of {left} days and {} frames left", plan["days"], plan["frames_to_see"]);
        assert!(plan["days"].as_u64().unwrap() <= left && plan["frames_to_see"].as_u64().unwrap() <= to_see);
        (left, to_see) = (plan["days"].as_u64().unwrap(), plan["frames_to_see"].as_u64().unwrap());
        let mut names = Names::default();
        let rows = Lake::open(&kitchen.lake("lake")).unwrap().read::<VisionDay>(&mut names).unwrap();
        let mut by_day: BTreeMap<_, usize> = BTreeMap::new();
        rows.iter().for_each(|row| *by_day.entry((row.appliance, row.day)).or_default() += 1);
        assert!(by_day.values().all(|count| *count == 1), "a day has two visions, or none");
    }
    let done = kitchen.revise("lake", &["--fingerprint", &new[..12]]);
    assert_eq!(done["days"].as_u64().unwrap(), left, "what was swapped before is not swapped again");
    assert_eq!(done["frames"].as_u64().unwrap(), to_see, "what was remembered is not looked at again");
    assert_eq!(digests(&kitchen.lake("lake")), expected, "revised");
    assert_eq!(frames(&kitchen.lake("lake")), frames(&kitchen.lake("new from nothing")));
    let commits_of_days =
        Lake::open(&kitchen.lake("lake")).unwrap().history::<VisionDay>(&mut Names::default()).unwrap();
    let mut swaps: BTreeMap<u64, usize> = BTreeMap::new();
    for change in commits_of_days.iter().filter(|change| change.version > 1) {
        *swaps.entry(change.version).or_default() += 1;
    }
    assert!(swaps.len() as u64 == days && swaps.values().all(|rows| *rows == 2), "one commit a day: {swaps:?}");

    // the new vision goes on where it was, and the old is refused
    let again = kitchen.replay("lake", true, &[]);
    assert_eq!((&again["frames"], &again["readings"]), (&0.into(), &0.into()));
    let by_old = [kitchen.seeing("replay", "lake", false), kitchen.recordings()].concat();
    assert!(refused(&by_old).contains("larder revise"));
    // and back, from memory alone
    let back: Vec<String> =
        ["revise", "--lake", &kitchen.at("lake"), "--fingerprint", &old[..10]].map(str::to_owned).to_vec();
    let back = json(&back);
    assert_eq!((back["days"].as_u64(), back["frames"].as_u64()), (Some(days), Some(0)));
    assert_eq!(digests(&kitchen.lake("lake")), before, "and back again");
    assert_eq!(frames(&kitchen.lake("lake")), frames(&kitchen.lake("old from nothing")));
}

#[test]
fn what_a_comparison_tells_before_a_swap_is_what_the_swap_changes() {
    let kitchen = Kitchen::new(1, 3);
    kitchen.replay("lake", false, &[]);
    kitchen.replay("old", false, &[]);
    let before = digests(&kitchen.lake("lake"));
    let new = text(&kitchen.revise("lake", &["--dry-run"])["fingerprint"]).to_owned();
    kitchen.revise("lake", &["--fingerprint", &new, "--no-swap"]);
    assert_eq!(digests(&kitchen.lake("lake")), before, "what is only remembered changes no view");

    let compare = |old: &str, new: &str, more: &[&str]| {
        let words = ["compare", old, new].into_iter().chain(more.iter().copied());
        json(&words.map(str::to_owned).collect::<Vec<_>>())
    };
    let lake = kitchen.at("lake");
    let pictures = kitchen.lake("differences");
    let recording = kitchen.recordings()[0].clone();
    let told = compare(
        "held",
        &new,
        &["--lake", &lake, "--recording", &recording, "--pictures", pictures.to_str().unwrap(), "--most", "30"],
    );
    let done = kitchen.revise("lake", &["--fingerprint", &new]);
    assert_eq!(done["frames"], 0, "what is remembered is not looked at again");
    // lakes, before and after, compared
    let lakes = compare(&kitchen.at("old"), &lake, &["--most", "30"]);
    assert_eq!(told["views"], lakes["views"]);
    assert_eq!(told["objects_differing"], lakes["objects_differing"]);

    // counted apart
    let mut names = Names::default();
    let mut rows = |lake: &str| Lake::open(&kitchen.lake(lake)).unwrap().read::<Movement>(&mut names).unwrap();
    let (was, is) = (rows("old"), rows("lake"));
    let only = |rows: &[Movement], others: &[Movement]| rows.iter().filter(|row| !others.contains(row)).count();
    let movements = told["views"].as_array().unwrap().iter().find(|view| view["view"] == "movements").unwrap();
    assert_eq!(movements["only_old"], only(&was, &is));
    assert_eq!(movements["only_new"], only(&is, &was));
    assert!(only(&was, &is) > 0, "nothing differs: the comparison says nothing");

    let objects = told["objects"].as_array().unwrap();
    assert!(!objects.is_empty());
    for object in objects {
        let picture = image::open(text(&object["picture"])).unwrap().into_rgb8();
        for (side, colour) in [("old", [230, 40, 40]), ("new", [40, 210, 60])] {
            if object[side].is_object() {
                // the new is drawn over the old, which may lie under it
                let there = picture.pixels().any(|pixel| pixel.0 == colour);
                assert!(there || side == "old" && object["old"]["box"] == object["new"]["box"], "{side} of {object}");
            }
        }
    }
    let none = ["compare", "held", "0123456789ab", "--lake", &lake].map(str::to_owned);
    assert!(refused(&none).contains(&new), "those that there are are told");
}

#[test]
fn days_whose_pictures_are_nowhere_stay_as_they_were_and_are_told() {
    let kitchen = Kitchen::new(2, 2);
    kitchen.replay("lake", false, &[]);
    kitchen.replay("new", true, &[]);
    let new = text(&kitchen.revise("lake", &["--dry-run"])["fingerprint"]).to_owned();
    let mut some = kitchen.seeing("revise", "lake", true);
    some.extend([kitchen.recordings()[0].clone(), "--fingerprint".to_owned(), new.clone()]);
    assert!(refused(&some).contains("in no recording given"));
    let by_old = [kitchen.seeing("replay", "lake", false), kitchen.recordings()].concat();
    assert!(refused(&by_old).contains("larder revise"), "one appliance is the new vision's");
    kitchen.revise("lake", &["--fingerprint", &new]);
    assert_eq!(digests(&kitchen.lake("lake")), digests(&kitchen.lake("new")));
}
