//! `larder rederive`: the views from what the lake remembers.

use std::path::PathBuf;

use clap::Args;
use larder::engine::Engine;
use larder_records::Names;
use serde::Serialize;

use super::{
    correct::{Changed, changed},
    lake::open,
    output::{Output, table},
};

/// Compute every view anew from the inputs that the lake remembers, and mend the tables that differ
///
/// No picture is looked at: sightings are remembered. A view whose folder was taken away is written again.
#[derive(Debug, Args)]
pub(super) struct Rederive {
    /// The lake's folder
    #[arg(long)]
    lake: PathBuf,
    /// Tell what differs, and mend nothing; fails where something does
    #[arg(long)]
    check: bool,
    /// Dataflow threads
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

#[derive(Debug, Serialize)]
struct Rederived {
    /// Rows that were missing, and rows that should not have been there.
    differing: Vec<Changed>,
    seconds: f64,
}

impl Rederive {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let started = std::time::Instant::now();
        let mut engine = Engine::open_blind(open(&self.lake)?, Names::default(), self.workers)?;
        let differing = changed(engine.changes()?);
        if !self.check {
            engine.commit()?;
        }
        let rederived = Rederived { differing, seconds: started.elapsed().as_secs_f64() };
        output.result(&rederived, |Rederived { differing, seconds }| {
            let rows: Vec<_> = differing
                .iter()
                .map(|view| vec![view.view.to_owned(), view.inserted.to_string(), view.deleted.to_string()])
                .collect();
            let told = match (rows.is_empty(), self.check) {
                (true, _) => "every view is what it should be".to_owned(),
                (false, true) => table(&["view", "missing", "too many"], &rows),
                (false, false) => table(&["view", "added", "taken out"], &rows),
            };
            format!("{}\nin {seconds:.1} s", told.trim_end())
        })?;
        anyhow::ensure!(!self.check || rederived.differing.is_empty(), "views differ from what the inputs say");
        Ok(())
    }
}
