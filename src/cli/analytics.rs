//! `larder analytics`: a further process of the dataflow of `larder run`.

use std::{panic, path::PathBuf, process};

use anyhow::Context as _;
use clap::Args;
use larder::{
    config::Config,
    engine::{BROKEN, assist},
};

use super::output::Output;

/// Share the work and the memory of the dataflow of larder run, as a process of its own
///
/// Waits for the run, and for the next one when it has ended. When the run or another process dies, it dies too: a
/// supervisor starts them all again, and the run goes on where the lake stands.
#[derive(Debug, Args)]
pub(super) struct Analytics {
    /// The TOML file of larder run, with cluster.processes in it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which of cluster.processes this one is; the run itself is number 0
    #[arg(long, value_name = "NUMBER")]
    process: usize,
}

impl Analytics {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let cluster = Config::read(&self.config)?.cluster()?;
        anyhow::ensure!(
            (1..cluster.processes.len()).contains(&self.process),
            "--process {} is none of the other processes: {} names {} in cluster.processes, and number 0 is larder run",
            self.process,
            self.config.display(),
            cluster.processes.len()
        );
        end_together();
        loop {
            output.say(&format!("waiting for the run at {}", cluster.processes[0]))?;
            assist(&cluster, self.process)
                .with_context(|| format!("as process {} at {}", self.process, cluster.processes[self.process]))?;
        }
    }
}

/// From now on this process ends, with one line that says why, when the connection to another one of the dataflow is lost.
pub(super) fn end_together() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        if let Some(cause) = panicked.payload_as_str().and_then(|message| message.strip_prefix(BROKEN)) {
            eprintln!("larder: another process of the dataflow is gone: {cause}");
            process::exit(1);
        }
        usual(panicked);
    }));
}
