//! `larder compare`: what would be otherwise by another vision.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use larder::{
    corrections::WrittenFrame,
    engine::{Compared, ObjectDifference, RowInWords, Side, Taken, ViewDifference, compare},
    evidence::write_differences,
};
use larder_records::{Names, PPM};
use serde::Serialize;

use super::output::{Output, table};

/// Tell what differs between two visions of one lake, or between two lakes: rows of each view, and objects in pictures
///
/// A vision is named as larder revise names it, or by its fingerprint in the table frames, or by the beginning of either; what
/// holds now is called held. Both must be remembered: larder revise --no-swap lets a new vision see, and the old hold.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    larder compare held 5b1f04c97a2e --lake out/lake --recording feeds/fridge-1.mcap --pictures out/differences\n  \
    larder compare out/lake out/other-lake")]
pub(super) struct Compare {
    /// held, a vision of the lake, or the folder of a lake
    #[arg(value_name = "OLD")]
    old: String,
    /// As OLD
    #[arg(value_name = "NEW")]
    new: String,
    /// The lake whose visions are compared
    #[arg(long)]
    lake: Option<PathBuf>,
    /// A recording that holds the pictures, for --pictures; several times for several
    #[arg(long, requires = "pictures", value_name = "FILE")]
    recording: Vec<PathBuf>,
    /// Write each object that differs as a PNG picture into this folder: red by the old, green by the new
    #[arg(long, requires = "recording", value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// At most so many rows of a view are told of either side, so many objects, and so many pictures written
    #[arg(long, default_value_t = 20, value_name = "N")]
    most: usize,
    /// Dataflow threads
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

#[derive(Debug, Serialize)]
struct Told {
    views: Vec<ViewDifference>,
    /// Objects that are seen by both, and taken for the same.
    objects_alike: u64,
    objects_differing: u64,
    /// The first of them.
    objects: Vec<ToldObject>,
    /// Days of appliances in which the old, or the new, did not see all frames; what holds is taken for them.
    old_days_left: u64,
    new_days_left: u64,
}

#[derive(Debug, Serialize)]
struct ToldObject {
    frame: WrittenFrame,
    old: Option<ToldTaken>,
    new: Option<ToldTaken>,
    picture: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct ToldTaken {
    #[serde(rename = "box")]
    bounds: [u16; 4],
    /// None where for nothing known.
    sku: Option<String>,
    score: f64,
}

impl Compare {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let mut names = Names::default();
        let old = self.side(&self.old, &mut names)?;
        let new = self.side(&self.new, &mut names)?;
        let days_left = (old.days_left, new.days_left);
        let Compared { views, mut objects, alike } = compare(old, new, &names, self.most)?;
        let differing = objects.len() as u64;
        objects.truncate(self.most);
        let pictures = match &self.pictures {
            Some(dir) => write_differences(&objects, &self.recording, dir)?,
            None => vec![None; objects.len()],
        };
        let told = objects.iter().zip(pictures).map(|(object, picture)| tell(object, picture, &names));
        let told = Told {
            views,
            objects_alike: alike,
            objects_differing: differing,
            objects: told.collect::<anyhow::Result<_>>()?,
            old_days_left: days_left.0,
            new_days_left: days_left.1,
        };
        output.result(&told, pretty)
    }

    fn side(&self, word: &str, names: &mut Names) -> anyhow::Result<Side> {
        let folder = Path::new(word);
        if folder.is_dir() {
            return Ok(Side::of(folder, None, names, self.workers)?);
        }
        let lake = self.lake.as_deref().with_context(|| {
            format!("{word} is no folder of a lake, and --lake does not say of which lake it is a vision")
        })?;
        anyhow::ensure!(lake.is_dir(), "{}: there is no lake", lake.display());
        Ok(Side::of(lake, (word != "held").then_some(word), names, self.workers)?)
    }
}

fn tell(object: &ObjectDifference, picture: Option<PathBuf>, names: &Names) -> anyhow::Result<ToldObject> {
    let taken = |taken: Taken| ToldTaken {
        bounds: [taken.bounds.left, taken.bounds.top, taken.bounds.right, taken.bounds.bottom],
        sku: taken.product.map(|product| names.text(product.0).to_owned()),
        score: f64::from(taken.score) / f64::from(PPM),
    };
    let frame = WrittenFrame::of(object.frame, names)?;
    Ok(ToldObject { frame, old: object.old.map(taken), new: object.new.map(taken), picture })
}

fn pretty(told: &Told) -> String {
    let mut text = String::new();
    let differing: Vec<_> = told.views.iter().filter(|view| view.only_old + view.only_new > 0).collect();
    if differing.is_empty() {
        text += "no view differs\n";
    } else {
        let row = |view: &&ViewDifference| {
            vec![view.view.to_owned(), format!("-{}", view.only_old), format!("+{}", view.only_new)]
        };
        text += &table(&["view", "only old", "only new"], &differing.iter().map(row).collect::<Vec<_>>());
    }
    for view in differing {
        text += &format!("\n{}\n", view.view);
        for (sign, rows, count) in [('-', &view.old, view.only_old), ('+', &view.new, view.only_new)] {
            text.extend(rows.iter().map(|row| format!("  {sign} {}\n", in_one_line(row))));
            let more = count.saturating_sub(rows.len() as u64);
            if more > 0 {
                text += &format!("  {sign} and {more} more\n");
            }
        }
    }
    text += &format!("\nobjects: {} alike, {} differ\n", told.objects_alike, told.objects_differing);
    for object in &told.objects {
        let side = |taken: &Option<ToldTaken>| match taken {
            None => "not seen".to_owned(),
            Some(taken) => {
                let [left, top, right, bottom] = taken.bounds;
                let what = match &taken.sku {
                    Some(sku) => format!("{sku} {:.2}", taken.score),
                    None => "nothing known".to_owned(),
                };
                format!("{what} at {left},{top},{right},{bottom}")
            }
        };
        let picture = object.picture.as_ref().map_or(String::new(), |path| format!(" -> {}", path.display()));
        text += &format!(
            "  {}/{} at {}, frame {}: {} -> {}{picture}\n",
            object.frame.appliance,
            object.frame.sensor,
            object.frame.time.strftime("%F %T"),
            object.frame.hash.get(..8).unwrap_or_default(),
            side(&object.old),
            side(&object.new)
        );
    }
    let more = told.objects_differing.saturating_sub(told.objects.len() as u64);
    if more > 0 {
        text += &format!("  and {more} more (--most)\n");
    }
    for (which, days) in [("old", told.old_days_left), ("new", told.new_days_left)] {
        if days > 0 {
            text += &format!("the {which} did not see all frames of {days} days: what holds was taken for them\n");
        }
    }
    text
}

fn in_one_line(row: &RowInWords) -> String {
    row.iter().map(|(column, value)| format!("{column}={value}")).collect::<Vec<_>>().join(" ")
}
