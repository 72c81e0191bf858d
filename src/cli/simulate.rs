//! `larder simulate`: a simulated kitchen.

use std::path::PathBuf;

use clap::Args;
use larder::feeds::simulator::{Options, Summary, simulate};

use super::output::Output;

/// Simulate appliances: recordings, a catalogue with reference pictures, and the truth
///
/// The same seed gives the same bytes.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// How many appliances, each in a household of its own
    #[arg(long, default_value_t = 3)]
    pub(super) appliances: u32,
    /// How many days
    #[arg(long, default_value_t = 14)]
    pub(super) days: u32,
    /// Which kitchens
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Where to: feeds/*.mcap, catalogue/, truth/*.parquet
    #[arg(short, long, value_name = "FOLDER")]
    pub(super) output: PathBuf,
}

impl Simulate {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let summary = self.simulate(output)?;
        output.result(&summary, ToString::to_string)
    }

    pub(super) fn simulate(&self, output: &Output) -> anyhow::Result<Summary> {
        let options =
            Options { appliances: self.appliances, days: self.days, seed: self.seed, output: self.output.clone() };
        let bar = output.progress("simulating", u64::from(self.appliances) * u64::from(self.days), "days");
        let summary = simulate(&options, &|days| bar.inc(days))?;
        bar.finish_and_clear();
        Ok(summary)
    }
}
