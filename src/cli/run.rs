//! `larder run`: live feeds in, lake out.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;
use larder::{
    changes::Changes,
    config::Config,
    engine::{Counts, EngineError, Watcher, run_live},
    feeds::{
        FeedError,
        kafka::{DeadLetterTopic, Source, Start},
    },
    lake::Lake,
    service::{self, Status},
};
use larder_records::DeadLetter;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::{analytics::end_together, output::Output, stop, vision::VisionOptions};

/// Take in Kafka topics for as long as it runs: vision, dataflow, tables
///
/// Goes on where the lake stands, exactly. SIGTERM or SIGINT commits what was taken in and ends it.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The TOML file that says what to read and where to; deploy/larder.toml explains every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read all partitions anew from there, whatever the lake holds of them: earliest, latest, an offset, or a time such as
    /// 2026-03-01T18:00:00Z. What is in the lake already changes nothing
    #[arg(long, value_name = "START")]
    from: Option<Start>,
    /// End when all is in that was there at the beginning
    #[arg(long)]
    until_end: bool,
    /// Read the configuration, and end
    #[arg(long)]
    check: bool,
}

/// What a run did.
#[derive(Debug, Serialize)]
struct Ran {
    #[serde(flatten)]
    counts: Counts,
    seconds: f64,
}

/// Serves metrics where `config` says so; what they are told.
pub(super) fn service(config: &Config, runtime: &Runtime, output: &Output) -> anyhow::Result<Arc<Status>> {
    let status = Arc::new(Status::default());
    if let Some(address) = config.metrics() {
        let bound = service::serve(runtime, address, status.clone());
        let bound = bound.with_context(|| format!("serving metrics at {address}"))?;
        output.say(&format!("metrics at http://{bound}/metrics"))?;
    }
    Ok(status)
}

/// How often it is told how much waits in Kafka.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(1);

/// Passes on what a run does: to the terminal, the log, the metrics and the dead-letter topic.
struct Teller {
    bar: ProgressBar,
    status: Arc<Status>,
    letters: Option<DeadLetterTopic>,
    changes: Option<Changes>,
    told: Instant,
}

impl Teller {
    fn tell_in_time(&mut self, source: &Source, counts: Counts) {
        if self.told.elapsed() >= TELL_EVERY {
            self.tell(source, counts);
        }
    }

    fn tell(&mut self, source: &Source, counts: Counts) {
        self.told = Instant::now();
        self.status.metrics.counts(counts);
        for (topic, partition, records) in source.lag() {
            self.status.metrics.lag(topic, partition, records);
        }
    }
}

impl Watcher<Source> for Teller {
    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), FeedError> {
        Ok(self.letters.as_ref().map_or(Ok(()), |topic| topic.send(letters))?)
    }

    fn committed(&mut self, lake: &Lake) -> Result<(), EngineError> {
        self.changes.as_mut().map_or(Ok(()), |changes| changes.follow(lake))
    }

    fn idle(&mut self, source: &Source, counts: Counts) {
        self.tell_in_time(source, counts);
    }

    fn epoch(&mut self, source: &Source, counts: Counts, after: Duration) {
        self.bar.set_position(counts.events);
        self.status.metrics.epoch(after);
        self.tell_in_time(source, counts);
    }

    fn arranged(&mut self, updates: BTreeMap<String, u64>) {
        self.status.metrics.arranged(&updates);
    }

    fn commit(&mut self, source: &Source, counts: Counts, took: Duration) {
        self.status.metrics.commit(took);
        self.tell(source, counts);
        let behind: u64 = source.lag().map(|(.., records)| records).sum();
        tracing::info!(
            events = counts.events,
            dead_letters = counts.dead_letters,
            behind,
            milliseconds = took.as_millis() as u64,
            "committed"
        );
    }
}

impl Run {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let config = Config::read(&self.config)?;
        if self.check {
            return output.say(&format!("{} is a configuration", self.config.display()));
        }
        let started = Instant::now();
        let runtime = stop::runtime().context("starting a runtime")?;
        let status = service(&config, &runtime, output)?;
        let vision = VisionOptions::of(&config);
        let (lake, cluster) = (config.lake()?, config.cluster()?);
        if cluster.is_shared() {
            end_together();
            let others = cluster.processes[1..].join(", ");
            output.say(&format!("waiting for the other processes of the dataflow: {others}"))?;
        }
        let engine = if config.is_blind() {
            vision.blind_engine(&lake, cluster, config.history())?
        } else {
            vision.engine(&lake, cluster, config.history())?
        };
        let (cold, seconds) = (engine.cold_appliances(), started.elapsed().as_secs_f64());
        tracing::info!(lake = %lake.display(), cold, seconds, "the lake is open");
        // until here a signal ends the process at once: nothing was taken in
        let stop = stop::on_signals(&runtime).context("listening for signals")?;
        let mut source = Source::open(config.source(self.from), |partition| {
            engine.lake().covered(partition).map_err(anyhow::Error::from)
        })?;
        let letters = config.dead_letter_topic().map(str::to_owned);
        let letters = letters.map(|topic| DeadLetterTopic::open(&config.connection(), topic)).transpose()?;
        let changes = config
            .changes()
            .map(|(topic, actions)| Changes::open(&config.connection(), topic.to_owned(), actions.map(str::to_owned)));
        let changes = changes.transpose()?;
        let bar = output.progress("taking in", 0, "events");
        let mut teller = Teller { bar, status, letters, changes, told: started };
        // what a run before this one committed and did not live to send
        teller.committed(engine.lake())?;
        teller.tell(&source, engine.counts());
        teller.status.ready.store(true, Ordering::Relaxed);
        output.say(&format!("reading {} partitions into {}", source.partitions(), lake.display()))?;
        let counts = run_live(&mut source, engine, config.rhythm(), self.until_end, &stop, &mut teller)?;
        teller.bar.finish_and_clear();
        output.result(&Ran { counts, seconds: started.elapsed().as_secs_f64() }, |Ran { counts: c, seconds }| {
            format!(
                "{} events in {seconds:.1} s: {} readings, {} frames with {} sightings, {} declared movements; {} duplicates, \
                 {} dead letters; {} commits",
                c.events, c.readings, c.frames, c.sightings, c.declared, c.duplicates, c.dead_letters, c.commits
            )
        })
    }
}
