//! `larder lake`: what is in a lake.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{Output, table};

/// Look into a lake
#[derive(Debug, Subcommand)]
pub(super) enum Lake {
    /// List its tables: rows, files, bytes, version and epoch
    Info(Folder),
    /// Print one digest for each view: equal where the contents are equal, however they were made and laid out
    Digest(Folder),
}

/// Which lake.
#[derive(Debug, Args)]
pub(super) struct Folder {
    /// The lake's folder
    #[arg(long)]
    lake: PathBuf,
}

#[derive(Debug, Serialize)]
struct ViewDigest {
    view: String,
    rows: u64,
    digest: String,
}

impl Lake {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        match self {
            Self::Info(Folder { lake }) => {
                let info = open(&lake)?.info()?;
                output.result(&info, |info| {
                    let rows: Vec<_> = info
                        .iter()
                        .map(|t| {
                            let version = t.version.to_string();
                            let epoch = t.epoch.map_or("-".to_owned(), |epoch| epoch.to_string());
                            vec![
                                t.table.clone(),
                                t.rows.to_string(),
                                t.files.to_string(),
                                t.bytes.to_string(),
                                version,
                                epoch,
                            ]
                        })
                        .collect();
                    table(&["table", "rows", "files", "bytes", "version", "epoch"], &rows)
                })
            }
            Self::Digest(Folder { lake }) => {
                let digests = open(&lake)?.digest()?;
                let digests: Vec<_> = digests
                    .into_iter()
                    .map(|(view, rows, digest)| ViewDigest { view, rows, digest: digest.to_string() })
                    .collect();
                output.result(&digests, |digests| {
                    let rows: Vec<_> =
                        digests.iter().map(|d| vec![d.view.clone(), d.rows.to_string(), d.digest.clone()]).collect();
                    table(&["view", "rows", "digest"], &rows)
                })
            }
        }
    }
}

/// Opens a lake that must be there.
pub(super) fn open(path: &std::path::Path) -> anyhow::Result<larder::lake::Lake> {
    anyhow::ensure!(path.is_dir(), "{}: there is no lake here", path.display());
    larder::lake::Lake::open(path).with_context(|| format!("opening the lake {}", path.display()))
}
