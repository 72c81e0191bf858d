//! `larder vision`: pictures from Kafka in, sightings to Kafka out.

use std::{
    path::PathBuf,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use larder::{
    config::Config,
    engine::Counts,
    feeds::kafka::{Member, Outlet},
    lookout::look_out,
    service::Status,
};
use larder_records::Names;
use serde::Serialize;

use super::{
    output::Output,
    run::{TELL_EVERY, service},
    stop,
    vision::VisionOptions,
};

/// Look at the pictures of Kafka topics and send what is seen to another, for larder run; as many at once as are needed
///
/// A stateless member of a consumer group: it may be started, stopped and killed at any time. SIGTERM or SIGINT ends it.
#[derive(Debug, Args)]
pub(super) struct Lookout {
    /// The TOML file that says what to read and where to; deploy/vision.toml is one
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read the configuration, and end
    #[arg(long)]
    check: bool,
}

/// What it did.
#[derive(Debug, Serialize)]
struct Looked {
    events: u64,
    frames: u64,
    sightings: u64,
    dead_letters: u64,
    seconds: f64,
}

/// Tells metrics how much waits, from time to time.
struct Teller<'a> {
    status: &'a Status,
    told: Option<Instant>,
}

impl Teller<'_> {
    fn tell(&mut self, member: &Member, counts: Counts, batch: Option<Duration>) {
        if let Some(took) = batch {
            self.status.metrics.epoch(took);
        }
        self.status.metrics.counts(counts);
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            for (topic, partition, records) in member.lag() {
                self.status.metrics.lag(&topic, partition, records);
            }
            tracing::info!(
                events = counts.events,
                frames = counts.frames,
                dead_letters = counts.dead_letters,
                partitions = member.partitions(),
                "looking"
            );
        }
    }
}

impl Lookout {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let config = Config::read(&self.config)?;
        let (options, topic) = config.lookout()?;
        if self.check {
            return output.say(&format!("{} is a configuration", self.config.display()));
        }
        let started = Instant::now();
        let runtime = stop::runtime().context("starting a runtime")?;
        let stop = stop::on_signals(&runtime).context("listening for signals")?;
        let status = service(&config, &runtime, output)?;
        let mut names = Names::default();
        let (_, eyes) = VisionOptions::of(&config).open(&mut names)?;
        let outlet = Outlet::open(&config.connection(), topic.to_owned())?;
        let mut member = Member::join(options)?;
        output.say(&format!("looking with vision {}, on {}", eyes.name(), eyes.backend()))?;
        status.ready.store(true, Ordering::Relaxed);
        let bar = output.progress("looking", 0, "frames");
        let mut teller = Teller { status: &status, told: None };
        let counts =
            look_out(&mut member, &eyes, &mut names, &outlet, config.rhythm(), &stop, |member, counts, took| {
                bar.set_position(counts.frames);
                teller.tell(member, counts, took);
            })?;
        bar.finish_and_clear();
        let Counts { events, frames, sightings, dead_letters, .. } = counts;
        let looked = Looked { events, frames, sightings, dead_letters, seconds: started.elapsed().as_secs_f64() };
        output.result(&looked, |looked| {
            let Looked { events, frames, sightings, dead_letters, seconds } = looked;
            format!("{events} records in {seconds:.1} s: {frames} frames with {sightings} sightings; {dead_letters} dead letters")
        })
    }
}
