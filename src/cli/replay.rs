//! `larder replay`: recordings in, lake out.

use std::{path::PathBuf, str::FromStr};

use anyhow::Context as _;
use clap::Args;
use larder::{
    config::Config,
    engine::{Counts, History, Plan, Progress, Shuffle},
    feeds::{
        Feed, Merge, Pace,
        kafka::{Connection, Playback, Played, Publisher},
        recording::Recording,
    },
};
use larder_records::Time;
use serde::Serialize;

use super::{kafka, output::Output, vision::VisionOptions};

/// Replay recordings into a lake: vision, dataflow, tables; or to Kafka
///
/// What the lake holds already is not taken in again; a frame seen before is not looked at again. To Kafka, captured records are
/// sent as they were; other recordings as their appliances would send them, at the times of their events.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// MCAP files; several are merged by event time
    #[arg(required = true)]
    recordings: Vec<PathBuf>,
    /// The lake's folder; made where there is none
    #[arg(long, required_unless_present = "to_kafka", conflicts_with = "to_kafka")]
    lake: Option<PathBuf>,
    /// Send the recordings to these brokers instead: host:port, separated by commas
    #[arg(long, value_name = "BROKERS")]
    to_kafka: Option<String>,
    /// The topic that all goes to; of what was captured, by default the topic that it is from
    #[arg(long, requires = "to_kafka")]
    topic: Option<String>,
    /// A property of librdkafka
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = kafka::pair, requires = "to_kafka")]
    properties: Vec<(String, String)>,
    /// Take the properties from a configuration of larder run
    #[arg(long, value_name = "FILE", requires = "to_kafka", conflicts_with = "properties")]
    config: Option<PathBuf>,
    #[command(flatten)]
    vision: VisionOptions,
    /// Dataflow threads
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// New events an epoch
    #[arg(long, default_value_t = Plan::default().batch)]
    batch: usize,
    /// New events a commit
    #[arg(long, default_value_t = Plan::default().commit_every)]
    commit_every: usize,
    /// How fast event time passes: max, or a factor such as 1x or 10x
    #[arg(long, default_value = "max", value_parser = pace)]
    speed: Pace,
    /// Deliver events out of order, each up to so many seconds late
    #[arg(long, value_name = "SECONDS")]
    shuffle: Option<u32>,
    /// Which order --shuffle makes
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn pace(text: &str) -> Result<Pace, String> {
    if text == "max" {
        return Ok(Pace::Max);
    }
    let factor = text.strip_suffix('x').and_then(|factor| f64::from_str(factor).ok());
    match factor {
        Some(factor) if factor.is_finite() && factor > 0.0 => Ok(Pace::Times(factor)),
        _ => Err("neither max nor a factor such as 1x or 10x".to_owned()),
    }
}

/// What a replay did.
#[derive(Debug, Serialize)]
pub(super) struct Replayed {
    #[serde(flatten)]
    pub(super) counts: Counts,
    pub(super) seconds: f64,
    /// What vision ran on.
    vision: String,
    /// What it is called: see `larder revise`.
    fingerprint: String,
}

impl Replay {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        if let Some(brokers) = &self.to_kafka {
            return self.play(brokers, output);
        }
        let replayed = self.replay(output)?;
        output.result(&replayed, |Replayed { counts: c, seconds, .. }| {
            format!(
                "{} events in {seconds:.1} s ({:.0}/s): {} readings, {} frames with {} sightings, {} declared movements; \
                 {} duplicates, {} dead letters\n{} view changes in {} commits",
                c.events,
                c.events as f64 / seconds.max(1e-9),
                c.readings,
                c.frames,
                c.sightings,
                c.declared,
                c.duplicates,
                c.dead_letters,
                c.view_changes,
                c.commits
            )
        })
    }

    /// A replay with all else at its default.
    pub(super) fn of(
        recordings: Vec<PathBuf>,
        lake: PathBuf,
        catalogue: PathBuf,
        scenes: PathBuf,
        workers: usize,
    ) -> Self {
        let Plan { batch, commit_every, pace, shuffle: _ } = Plan::default();
        Self {
            recordings,
            lake: Some(lake),
            to_kafka: None,
            topic: None,
            properties: Vec::new(),
            config: None,
            vision: VisionOptions { catalogue: Some(catalogue), scenes: Some(scenes), vision: None },
            workers,
            batch,
            commit_every,
            speed: pace,
            shuffle: None,
            seed: 1,
        }
    }

    /// Sends the recordings to Kafka.
    fn play(&self, brokers: &str, output: &Output) -> anyhow::Result<()> {
        let properties = match &self.config {
            Some(path) => Config::read(path)?.connection().properties,
            None => self.properties.iter().cloned().collect(),
        };
        let mut publisher = Publisher::new(&Connection { brokers: brokers.to_owned(), properties })?;
        let recordings = self.recordings.iter().map(Recording::open).collect::<Result<Vec<_>, _>>()?;
        let playback = Playback::new(recordings)?;
        let bar = output.progress("sending", 0, "records");
        let played = playback.send(&mut publisher, self.topic.as_deref(), self.speed, |played| {
            bar.set_position(played.records);
        })?;
        bar.finish_and_clear();
        output.result(&played, |Played { records, bytes, refused }| {
            format!("{records} records of {bytes} bytes sent; {refused} messages that could not be read")
        })
    }

    pub(super) fn replay(&self, output: &Output) -> anyhow::Result<Replayed> {
        let started = std::time::Instant::now();
        let lake = self.lake.as_deref().context("say into which --lake")?;
        let mut engine = self.vision.engine(lake, self.workers.into(), History::Whole)?;
        let fingerprint = engine.vision().map_or_else(String::new, |name| name.to_string());

        let mut feeds: Vec<Box<dyn Feed>> = Vec::new();
        let mut bytes = 0;
        for path in &self.recordings {
            let recording = Recording::open(path)?;
            bytes += recording.length();
            feeds.push(Box::new(recording));
        }
        let plan = Plan {
            batch: self.batch.max(1),
            commit_every: self.commit_every.max(1),
            pace: self.speed,
            shuffle: self.shuffle.map(|seconds| Shuffle { span: i64::from(seconds) * Time::SECOND, seed: self.seed }),
        };
        let vision = engine.vision_backend().unwrap_or_default();
        output.say(&format!("vision: {fingerprint}, on {vision}"))?;
        let bar = output.progress("replaying", bytes, "bytes");
        let counts =
            larder::engine::replay(&mut Merge::new(feeds), &mut engine, plan, |Progress { bytes, .. }| {
                bar.set_position(bytes);
            })?;
        bar.finish_and_clear();
        // A GPU may have failed since.
        let vision = engine.vision_backend().unwrap_or_default();
        Ok(Replayed { counts, seconds: started.elapsed().as_secs_f64(), vision, fingerprint })
    }
}
