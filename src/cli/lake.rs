//! `larder lake`: what is in a lake, and what need not be.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::{Span, SpanRelativeTo};
use serde::Serialize;

use super::output::{Output, table};

/// Look into a lake, and keep it in order
#[derive(Debug, Subcommand)]
pub(super) enum Lake {
    /// List its tables: rows, files, bytes, version and epoch
    Info(Folder),
    /// Print one digest for each view: equal where the contents are equal, however they were made and laid out
    Digest(Folder),
    /// Say how long old versions are kept; vacuum goes by it
    Retain(Retain),
    /// Remove files that no version within the retention needs; whoever writes the lake may go on meanwhile
    Vacuum(Vacuum),
}

/// Which lake.
#[derive(Debug, Args)]
pub(super) struct Folder {
    /// The lake's folder
    #[arg(long)]
    lake: PathBuf,
}

/// How long versions are kept.
#[derive(Debug, Args)]
pub(super) struct Retain {
    #[command(flatten)]
    folder: Folder,
    /// How long versions can be read after a newer one replaced them, such as 7d, 12h, 30min
    #[arg(value_parser = retention)]
    duration: Duration,
}

/// What to remove.
#[derive(Debug, Args)]
pub(super) struct Vacuum {
    #[command(flatten)]
    folder: Folder,
    /// How long versions can be read after a newer one replaced them, such as 7d, 12h, 30min [default: what each table says
    /// in delta.deletedFileRetentionDuration and delta.logRetentionDuration]
    #[arg(long, value_parser = retention)]
    retain: Option<Duration>,
    /// Tell what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

fn retention(text: &str) -> Result<Duration, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    // a day has 24 hours here, as it has in Delta's properties
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
    Duration::try_from(duration).map_err(|_| "a retention is not negative".to_owned())
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
            Self::Retain(Retain { folder, duration }) => Ok(open(&folder.lake)?.retain(duration)?),
            Self::Vacuum(Vacuum { folder, retain, dry_run }) => {
                let removed = open(&folder.lake)?.vacuum(retain, dry_run)?;
                output.result(&removed, |removed| {
                    let rows: Vec<_> = removed
                        .iter()
                        .map(|t| {
                            vec![
                                t.table.clone(),
                                t.files.to_string(),
                                t.bytes.to_string(),
                                t.log_files.to_string(),
                                t.oldest_version.to_string(),
                            ]
                        })
                        .collect();
                    table(&["table", "files", "bytes", "log files", "oldest version"], &rows)
                        + if dry_run { "a dry run: this is what would be removed" } else { "" }
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
