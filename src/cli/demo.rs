//! `larder demo`: the whole path on simulated kitchens.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use larder::{
    eval::{Evaluation, evaluate, truths},
    feeds::{Event, Feed as _, Truth, recording::Recording},
    lake::Lake,
    picture,
};
use larder_records::{
    Appliance, ApplianceId, FrameResult, Image, Modality, Names, Payload, Time,
    views::{Behaviour, Inventory, InventoryInterval, Market, MarketLevel},
};
use serde::Serialize;

use super::{
    eval,
    output::{Output, table},
    replay::{Replay, Replayed},
    scene,
    simulate::Simulate,
};

/// Simulate kitchens, replay them, and show what comes out
#[derive(Debug, Args)]
pub(super) struct Demo {
    #[command(flatten)]
    simulate: Simulated,
    /// Dataflow threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

/// What to simulate.
#[derive(Debug, Args)]
struct Simulated {
    /// How many appliances, each in a household of its own
    #[arg(long, default_value_t = 3)]
    appliances: u32,
    /// How many days
    #[arg(long, default_value_t = 14)]
    days: u32,
    /// Which kitchens
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to; what an earlier demo left there is replaced
    #[arg(short, long, value_name = "FOLDER", default_value = "larder-demo")]
    output: PathBuf,
}

#[derive(Debug, Serialize)]
struct Shown {
    simulated: bool,
    lake: PathBuf,
    picture: PathBuf,
    replayed: Replayed,
    evaluation: Evaluation,
}

/// Marks a folder as a demo's, so that only such a folder is ever replaced.
const MARK: &str = "larder-demo.txt";

impl Demo {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let Simulated { appliances, days, seed, output: dir } = self.simulate;
        make_room(&dir)?;
        output.say(&format!(
            "Simulated kitchens: {appliances} appliances, {days} days, seed {seed}. All figures below are simulated.\n"
        ))?;
        Simulate { appliances, days, seed, output: dir.clone() }.simulate(output)?;

        let recordings = recordings(&dir.join("feeds"))?;
        let mut names = Names::default();
        for recording in &recordings {
            let shots = scene::first_shots(recording, 6, &mut names)?;
            larder::eyes::write_scene(&dir.join("scenes"), &scene::learn(&shots, false)?)?;
        }
        let lake = dir.join("lake");
        let replay =
            Replay::of(recordings.clone(), lake.clone(), dir.join("catalogue"), dir.join("scenes"), self.workers);
        let replayed = replay.replay(output)?;

        let truths = truths(&recordings, &mut names)?;
        let opened = Lake::open(&lake)?;
        let history = opened.read::<InventoryInterval>(&mut names)?;
        let evaluation = evaluate(&truths, &history, &names, 0);
        let picture = draw_fullest(&opened, &recordings, &dir, &mut names)?;
        let shown = Shown { simulated: true, lake, picture, replayed, evaluation };
        if output.json() {
            return output.result(&shown, |_| String::new());
        }
        output.say(&inventory(&opened, &truths, &mut names)?)?;
        let truth = eval::pretty(&shown.evaluation);
        output.say(&format!("Inventory against truth, at every visit of every appliance\n{truth}"))?;
        output.say(&behaviour(&opened, &mut names)?)?;
        output.say(&market(&opened, &mut names)?)?;
        output.say(&next(&shown))?;
        Ok(())
    }
}

fn make_room(dir: &Path) -> anyhow::Result<()> {
    let mark = dir.join(MARK);
    if mark.exists() {
        fs::remove_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let taken = dir.exists() && fs::read_dir(dir).with_context(|| dir.display().to_string())?.next().is_some();
    anyhow::ensure!(!taken, "{}: holds something other than a demo; give another folder with -o", dir.display());
    fs::create_dir_all(dir).and_then(|()| fs::write(&mark, "Made by larder demo, which replaces this folder.\n"))?;
    Ok(())
}

fn recordings(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = file?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "mcap") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    Ok(paths)
}

/// The inventory of the first appliance, beside what it truly held last.
fn inventory(lake: &Lake, truths: &[Truth], names: &mut Names) -> anyhow::Result<String> {
    let mut last: BTreeMap<ApplianceId, &Truth> = BTreeMap::new();
    for truth in truths {
        let newest = last.entry(truth.appliance).or_insert(truth);
        if newest.time <= truth.time {
            *newest = truth;
        }
    }
    let rows = lake.read::<Inventory>(names)?;
    let Some(truth) = last.values().min_by_key(|truth| names.text(truth.appliance.0)) else { return Ok(String::new()) };
    let mut counts: BTreeMap<&str, (i64, i64, String)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.appliance == truth.appliance) {
        let count = counts.entry(names.text(row.product.0)).or_default();
        count.0 = row.count;
        count.2 = shown_time(row.since);
    }
    for (product, packages, _) in &truth.items {
        counts.entry(names.text(product.0)).or_default().1 += i64::from(*packages);
    }
    let rows: Vec<_> = counts
        .iter()
        .map(|(sku, (found, truth, since))| {
            let note = if found == truth { "" } else { "differs" };
            vec![(*sku).to_owned(), found.to_string(), truth.to_string(), since.clone(), note.to_owned()]
        })
        .collect();
    let header = ["product", "inventory", "truth", "since", ""];
    Ok(format!("Inventory of {} now\n{}", names.text(truth.appliance.0), table(&header, &rows)))
}

fn behaviour(lake: &Lake, names: &mut Names) -> anyhow::Result<String> {
    let mut rows = lake.read::<Behaviour>(names)?;
    rows.sort_by_key(|row| (names.text(row.household.0).to_owned(), row.week));
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let numbers = [row.openings, row.open_seconds, row.put_in, row.taken_out].map(|n| n.to_string());
            [names.text(row.household.0).to_owned(), shown_day(row.week)].into_iter().chain(numbers).collect()
        })
        .collect();
    let header = ["household", "week of", "openings", "seconds open", "put in", "taken out"];
    Ok(format!("Behaviour\n{}", table(&header, &rows)))
}

fn market(lake: &Lake, names: &mut Names) -> anyhow::Result<String> {
    let k = lake.read::<Appliance>(names)?.iter().map(|a| a.min_households).max().unwrap_or_default();
    let mut rows = lake.read::<Market>(names)?;
    rows.retain(|row| row.level == MarketLevel::Category);
    rows.sort_by_key(|row| (row.week, std::cmp::Reverse(row.put_in), row.region, row.key));
    let rows: Vec<_> = rows
        .iter()
        .take(12)
        .map(|row| {
            let numbers = [row.put_in, row.used_up, row.wasted, row.households].map(|n| n.to_string());
            [names.text(row.region).to_owned(), shown_day(row.week), names.text(row.key).to_owned()]
                .into_iter()
                .chain(numbers)
                .collect()
        })
        .collect();
    let header = ["region", "week of", "category", "put in", "used up", "wasted", "households"];
    Ok(format!("Market, by category; cells with fewer than {k} households are withheld\n{}", table(&header, &rows)))
}

/// Draws the visible frame with the most sightings that are taken for a product.
fn draw_fullest(lake: &Lake, recordings: &[PathBuf], dir: &Path, names: &mut Names) -> anyhow::Result<PathBuf> {
    let frames = lake.read_frames(names)?;
    let taken = |frame: &FrameResult| {
        frame.sightings.iter().filter_map(|seen| seen.taken_for(Appliance::DEFAULT_MIN_SCORE)).count()
    };
    let fullest = frames
        .iter()
        .filter(|frame| frame.modality == Modality::Visible)
        .max_by_key(|frame| (taken(frame), frame.key))
        .context("vision saw no visible frame")?;
    let image = find_image(recordings, fullest, names)?.context("the frame is in no recording")?;
    let caption = format!(
        "{} at {}, simulated: {} products in {} sightings",
        names.text(fullest.key.appliance.0),
        shown_time(fullest.key.time),
        taken(fullest),
        fullest.sightings.len()
    );
    let svg = picture::draw(&image, fullest, names, Appliance::DEFAULT_MIN_SCORE, &caption)
        .context("raw images are not drawn")?;
    let path = dir.join("frame.svg");
    fs::write(&path, svg).with_context(|| path.display().to_string())?;
    Ok(path)
}

fn find_image(recordings: &[PathBuf], of: &FrameResult, names: &mut Names) -> anyhow::Result<Option<Image>> {
    for path in recordings {
        let mut recording = Recording::open(path)?;
        while let Some((_, entry)) = recording.next_entry(names)? {
            let Ok(Event::Frame(frame)) = entry else { continue };
            if (frame.appliance, frame.sensor, frame.time) != (of.key.appliance, of.key.sensor, of.key.time) {
                continue;
            }
            if let Payload::Image(image) = frame.payload {
                return Ok(Some(image));
            }
        }
    }
    Ok(None)
}

fn shown_time(time: Time) -> String {
    jiff::Timestamp::from_microsecond(time.0).map_or_else(|_| "-".to_owned(), |t| t.strftime("%F %R").to_string())
}

fn shown_day(day: i32) -> String {
    shown_time(Time(i64::from(day) * Time::DAY)).chars().take(10).collect()
}

fn next(shown: &Shown) -> String {
    let lake = shown.lake.display();
    format!(
        "The lake is in {lake}, a frame with its sightings in {}.\n\n\
         Query it (cargo build --release -p larder-query, once), or open it in DuckDB, Polars or Spark:\n  \
         larder query --lake {lake} \"SELECT appliance, sku, count FROM inventory ORDER BY 1, 2\"\n  \
         larder query --lake {lake} \"SELECT sku, SUM(delta) AS net, COUNT(*) AS movements FROM movements GROUP BY 1 ORDER BY 3 DESC\"\n  \
         larder query --lake {lake} \"SELECT household, week, openings, open_seconds / openings AS mean_seconds FROM behaviour ORDER BY 1, 2\"\n",
        shown.picture.display()
    )
}
