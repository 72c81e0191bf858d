//! `larder import`: what people already have, as recordings.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use larder::feeds::{
    importers::{Doors, Importer, Progress, Report, Snapshots, import},
    recording::Summary,
};
use larder_records::Time;
use serde::Serialize;

use super::output::Output;

/// Turn what you already have into a recording
#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A folder of photos of an open appliance, with optional boxes and labels (TSV, VOC XML, YOLO, COCO JSON)
    Snapshots {
        #[command(flatten)]
        place: Place,
        /// The appliance that they show
        #[arg(long, default_value = "snapshots/fridge")]
        appliance: String,
        /// Whose it is
        #[arg(long, default_value = "snapshots")]
        household: String,
        /// When the first was taken, such as 2020-01-01T00:00:00Z
        #[arg(long, default_value = "2020-01-01T00:00:00Z")]
        start: jiff::Timestamp,
        /// Minutes from one photo to the next
        #[arg(long, default_value_t = 60)]
        interval: u32,
    },
    /// Logs of door sensors: NAME.sensors and NAME.sensor_names (start, seconds, sensor)
    Doors {
        #[command(flatten)]
        place: Place,
        /// Only the sensor of this name; may be given several times
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// IANA time zone of the homes
        #[arg(long, default_value = "UTC")]
        time_zone: String,
        /// The market region that they count in
        #[arg(long, default_value = "")]
        region: String,
    },
}

/// From where to where.
#[derive(Debug, Args)]
struct Place {
    /// What to import
    path: PathBuf,
    /// The recording to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, Serialize)]
struct Imported {
    recording: PathBuf,
    #[serde(flatten)]
    report: Report,
    summary: Summary,
}

struct Bar<'a> {
    output: &'a Output,
    bar: ProgressBar,
}

impl Progress for Bar<'_> {
    fn total(&mut self, steps: u64) {
        self.bar = self.output.progress("importing", steps, "steps");
    }

    fn advance(&mut self, steps: u64) {
        self.bar.inc(steps);
    }
}

impl Import {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let (importer, place): (Box<dyn Importer>, Place) = match self.kind {
            Kind::Snapshots { place, appliance, household, start, interval } => {
                let start = Time::from_seconds(start.as_second()).context("--start")?;
                let interval = i64::from(interval) * Time::MINUTE;
                (Box::new(Snapshots { appliance, household, start, interval, ..Snapshots::default() }), place)
            }
            Kind::Doors { place, only, time_zone, region } => (Box::new(Doors { only, time_zone, region }), place),
        };
        let mut bar = Bar { output, bar: ProgressBar::hidden() };
        let (report, summary) = import(importer.as_ref(), &place.path, &place.output, &mut bar)?;
        bar.bar.finish_and_clear();
        output.result(&Imported { recording: place.output, report, summary }, pretty)
    }
}

fn pretty(Imported { recording, report: r, .. }: &Imported) -> String {
    let mut text = format!(
        "{}: {} readings, {} images, {} declared movements, {} products, {} appliances, {} truths\n",
        recording.display(),
        r.readings,
        r.images,
        r.declared,
        r.products,
        r.appliances,
        r.truths
    );
    if r.faults > 0 {
        text += &format!("{} lines or files could not be read; the first:\n", r.faults);
        for fault in r.first_faults.iter().take(10) {
            text += &format!("  {fault}\n");
        }
    }
    text
}
