//! `larder import`: what people already have, as recordings.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use larder::feeds::{
    importers::{
        Doors, Importer, Movements, Narrations, Power, Progress, Receipts, Report, Rgbd, Snapshots, Staging, import,
    },
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
        #[command(flatten)]
        staged: Staged,
    },
    /// A folder of colour pictures with depth: NAME_rgb.png, NAME_depth_mm.png, and optionally NAME_label.png
    Rgbd {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        staged: Staged,
    },
    /// A folder of door sensor logs: NAME.sensors and NAME.sensor_names (start, seconds, sensor)
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
    /// A folder of power logs, a device and day a file: dd/mm/yyyy HH:MM:SS;watt;watt
    Power {
        #[command(flatten)]
        place: Place,
        /// Whose the devices are
        #[arg(long, default_value = "tracebase")]
        household: String,
        /// IANA time zone of the files
        #[arg(long, default_value = "Europe/Berlin")]
        time_zone: String,
        /// The market region that the household counts in
        #[arg(long, default_value = "")]
        region: String,
    },
    /// A folder of movements known from elsewhere: receipts (transactions.csv) or narrations (EPIC_train_action_labels.csv)
    Movements {
        #[command(flatten)]
        place: Place,
        /// IANA time zone of the shops or homes
        #[arg(long, default_value = "UTC")]
        time_zone: String,
        /// The market region of all households
        #[arg(long, default_value = "us")]
        region: String,
        /// The column of demographics.csv that stands for a region, such as income
        #[arg(long, value_name = "COLUMN")]
        region_from: Option<String>,
    },
}

/// What pictures without times are of, and when.
#[derive(Debug, Args)]
struct Staged {
    /// The appliance that they show; HOUSEHOLD/KIND where it is not given
    #[arg(long)]
    appliance: Option<String>,
    /// Whose it is
    #[arg(long, default_value = "snapshots")]
    household: String,
    /// What kind of appliance it is
    #[arg(long, default_value = "fridge")]
    kind: String,
    /// When the first was taken
    #[arg(long, default_value = "2020-01-01T00:00:00Z")]
    start: jiff::Timestamp,
    /// Minutes from one picture to the next
    #[arg(long, default_value_t = 60)]
    interval: u32,
    /// The market region that the household counts in
    #[arg(long, default_value = "")]
    region: String,
}

impl Staged {
    fn staging(self) -> anyhow::Result<Staging> {
        let staging = Staging::of(&self.household, &self.kind);
        Ok(Staging {
            appliance: self.appliance.unwrap_or(staging.appliance),
            region: self.region,
            start: Time::from_seconds(self.start.as_second()).context("--start")?,
            interval: i64::from(self.interval) * Time::MINUTE,
            ..staging
        })
    }
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
            Kind::Snapshots { place, staged } => {
                (Box::new(Snapshots { staging: staged.staging()?, ..Snapshots::default() }), place)
            }
            Kind::Rgbd { place, staged } => (Box::new(Rgbd { staging: staged.staging()? }), place),
            Kind::Doors { place, only, time_zone, region } => (Box::new(Doors { only, time_zone, region }), place),
            Kind::Power { place, household, time_zone, region } => {
                (Box::new(Power { household, region, time_zone }), place)
            }
            Kind::Movements { place, time_zone, region, region_from } => {
                let narrations = Narrations { region: region.clone(), time_zone: time_zone.clone() };
                (Box::new(Movements { receipts: Receipts { region, region_from, time_zone }, narrations }), place)
            }
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
