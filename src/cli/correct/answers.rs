//! What became of corrections, told as it does.

use larder::engine::ViewChanges;
use larder_pipelines::Refusal;
use larder_records::Names;
use serde::Serialize;

use crate::cli::output::{Output, table};

/// What became of one correction.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Where it stands in the file, where it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u64>,
    pub(super) id: String,
    pub(super) kind: &'static str,
    /// Why it was refused, where it was.
    pub(super) refused: Option<String>,
}

/// The rows of a view that came and went.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Changed {
    pub(in crate::cli) view: &'static str,
    pub(in crate::cli) inserted: u64,
    pub(in crate::cli) deleted: u64,
}

/// The views of which rows came or went.
pub(in crate::cli) fn changed(changes: &ViewChanges) -> Vec<Changed> {
    let by_view = changes.by_view().into_iter().filter(|(_, inserted, deleted)| inserted + deleted > 0);
    by_view.map(|(view, inserted, deleted)| Changed { view, inserted, deleted }).collect()
}

/// What the corrections did, beside the answers.
#[derive(Debug, Serialize)]
pub(super) struct Corrected {
    pub(super) changed: Vec<Changed>,
    pub(super) committed: bool,
    /// From the corrections to the last view in memory.
    pub(super) milliseconds: f64,
}

/// Answers told at most to people, of those made and of those refused.
const MOST: usize = 20;

/// What becomes of corrections, told as it does: there may be more than fit into memory.
pub(super) struct Answers<'a> {
    output: &'a Output,
    pub(super) made: u64,
    refused: u64,
    first_made: Vec<String>,
    first_refused: Vec<String>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(output: &'a Output) -> anyhow::Result<Self> {
        output.piece("{\"corrections\": [")?;
        Ok(Self { output, made: 0, refused: 0, first_made: Vec::new(), first_refused: Vec::new() })
    }

    pub(super) fn tell(&mut self, answer: Answer) -> anyhow::Result<()> {
        let comma = if self.made + self.refused > 0 { "," } else { "" };
        self.output.piece(&format!("{comma}{}", serde_json::to_string(&answer)?))?;
        let Answer { line, id, kind, refused } = answer;
        let (count, first, text) = match refused {
            None => (&mut self.made, &mut self.first_made, format!("{kind} {id}\n")),
            Some(why) => {
                let line = line.map_or(String::new(), |line| format!("line {line}: "));
                (&mut self.refused, &mut self.first_refused, format!("{line}refused {kind} {id}: {why}\n"))
            }
        };
        *count += 1;
        if first.len() < MOST {
            first.push(text);
        }
        Ok(())
    }

    /// Tells what they did; an error where some were refused.
    pub(super) fn finish(self, corrected: &Corrected) -> anyhow::Result<()> {
        let rest = serde_json::to_string(corrected)?;
        // the fields of the document that the answers began
        self.output.piece(&format!("], {}", rest.trim_start_matches('{')))?;
        self.output.say(self.pretty(corrected).trim_end())?;
        let (refused, all) = (self.refused, self.made + self.refused);
        anyhow::ensure!(refused == 0, "{refused} of {all} corrections refused");
        Ok(())
    }

    fn pretty(&self, Corrected { changed, committed, milliseconds }: &Corrected) -> String {
        let mut text = String::new();
        for (count, first) in [(self.made, &self.first_made), (self.refused, &self.first_refused)] {
            text.extend(first.iter().map(String::as_str));
            let more = count - first.len() as u64;
            if more > 0 {
                text += &format!("... and {more} more\n");
            }
        }
        let rows: Vec<_> = changed
            .iter()
            .map(|view| vec![view.view.to_owned(), format!("+{}", view.inserted), format!("-{}", view.deleted)])
            .collect();
        if rows.is_empty() {
            text += "no view changes\n";
        } else {
            text += &table(&["view", "rows", ""], &rows);
        }
        let done = if *committed { "committed" } else { "nothing written" };
        text + &format!("in {milliseconds:.1} ms; {done}")
    }
}

pub(super) fn in_words(refusal: Refusal, names: &Names) -> String {
    match refusal {
        Refusal::UnknownProduct(product) => format!("there is no product {:?}", names.text(product.0)),
        Refusal::Circle(product) => {
            format!("it closes a circle: {:?} is merged into this product already", names.text(product.0))
        }
        Refusal::Gone(product) => {
            format!("the product {:?} is no more: it was merged into another, or removed", names.text(product.0))
        }
        other => other.to_string(),
    }
}
