//! `larder record`: what is in a recording.

use std::path::PathBuf;

use clap::Subcommand;
use larder::feeds::recording::info;

use super::output::Output;

/// Look into recordings
#[derive(Debug, Subcommand)]
pub(super) enum Record {
    /// List channels, counts, times, and what cannot be read
    Info {
        /// An MCAP file
        file: PathBuf,
    },
}

impl Record {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let Self::Info { file } = self;
        output.result(&info(&file)?, ToString::to_string)
    }
}
