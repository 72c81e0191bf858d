//! The corrections that a lake holds.

use std::path::Path;

use anyhow::Context as _;
use larder::{corrections::Written, feeds::recording::RecordingWriter, lake::Lake};
use larder_records::{Correction, Names};
use serde::Serialize;

use crate::cli::output::{Output, table};

/// A correction as `list` tells it.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    written: Written,
    kind: &'static str,
}

pub(super) fn export(lake: &Lake, mut names: Names, file: &Path, output: &Output) -> anyhow::Result<()> {
    let mut corrections: Vec<Correction> = lake.read(&mut names)?;
    corrections.sort_by_key(Correction::order);
    let mut recording = RecordingWriter::create(file)?;
    for correction in &corrections {
        let told = || format!("correction {}", names.text(correction.id));
        recording.correction(correction, &names).with_context(told)?;
    }
    let summary = recording.finish()?;
    output.result(&summary, |summary| format!("{}: {} corrections", file.display(), summary.messages))
}

pub(super) fn list(lake: &Lake, mut names: Names, output: &Output) -> anyhow::Result<()> {
    let mut corrections: Vec<Correction> = lake.read(&mut names)?;
    corrections.sort_by_key(|correction| std::cmp::Reverse(correction.order()));
    let listed = corrections
        .iter()
        .map(|correction| Ok(Listed { written: Written::of(correction, &names)?, kind: correction.change.kind() }))
        .collect::<anyhow::Result<Vec<_>>>()?;
    output.result(&listed, |listed| {
        let rows: Vec<_> = listed
            .iter()
            .map(|Listed { written, kind }| {
                let time = written.time.strftime("%F %T").to_string();
                vec![
                    written.id.clone(),
                    time,
                    written.author.clone(),
                    (*kind).to_owned(),
                    written.change.fields(),
                    written.reason.clone(),
                ]
            })
            .collect();
        table(&["id", "time", "author", "kind", "what", "reason"], &rows)
    })
}
