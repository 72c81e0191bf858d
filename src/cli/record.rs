//! `larder record`: feeds into recordings, and what is in them.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use larder::feeds::{
    kafka::{Captured, Source, Until, capture},
    recording::{RecordingWriter, info},
};
use serde::Serialize;

use super::{kafka::Reading, output::Output, stop};

/// Record Kafka topics, byte for byte; look into recordings
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Record {
    #[command(subcommand)]
    command: Option<Look>,
    #[command(flatten)]
    topics: Topics,
}

#[derive(Debug, Subcommand)]
enum Look {
    /// List channels, counts, times, and what cannot be read
    Info {
        /// An MCAP file
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Topics {
    #[command(flatten)]
    reading: Reading,
    /// The MCAP file to write; it is there when the recording is done
    #[arg(short, long, value_name = "FILE", required = true)]
    output: Option<PathBuf>,
    /// End when all is in that was there at the beginning
    #[arg(long)]
    until_end: bool,
    /// End after so many records
    #[arg(long)]
    records: Option<u64>,
    /// End after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Recorded {
    path: PathBuf,
    #[serde(flatten)]
    captured: Captured,
    file_bytes: u64,
}

impl Record {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        match self.command {
            Some(Look::Info { file }) => output.result(&info(&file)?, ToString::to_string),
            None => self.topics.record(output),
        }
    }
}

impl Topics {
    fn record(self, output: &Output) -> anyhow::Result<()> {
        let path = self.output.context("say where to: -o FILE")?;
        let runtime = stop::runtime().context("starting a runtime")?;
        let stop = stop::on_signals(&runtime).context("listening for signals")?;
        let mut source = Source::open(self.reading.options()?, |_| anyhow::Ok(None))?;
        let mut out = RecordingWriter::create(&path)?;
        let until = Until { ended: self.until_end, records: self.records, time: self.seconds.map(Duration::from_secs) };
        let bar = output.progress("recording", self.records.unwrap_or_default(), "records");
        let captured = capture(&mut source, &mut out, until, &stop, |captured| bar.set_position(captured.records))?;
        bar.finish_and_clear();
        let file_bytes = out.finish()?.bytes;
        output.result(&Recorded { path, captured, file_bytes }, |recorded| {
            let Recorded { path, captured: Captured { records, bytes }, file_bytes } = recorded;
            format!("{records} records of {bytes} bytes in {} ({file_bytes} bytes)", path.display())
        })
    }
}
