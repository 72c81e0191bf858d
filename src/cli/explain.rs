//! `larder explain` and `larder history`: why a row is there, and how it came to be.

use std::path::PathBuf;

use clap::Args;
use larder::evidence::{Explanation, Question, explain};
use larder_records::Names;

use super::{lake::open, output::Output};

/// Walk from a row of a view to its movements, looks, objects and pixels, and to the corrections that touched it
#[derive(Debug, Args)]
#[command(
    after_help = "Example: larder explain --lake out/lake --view inventory --key appliance=fridge-1 --key sku=oat-milk-1l \
                  --recording feeds/fridge-1.mcap --crops out/why"
)]
pub(super) struct Explain {
    /// The lake's folder
    #[arg(long)]
    lake: PathBuf,
    /// The view: one that rests on movements
    #[arg(long)]
    view: String,
    /// A column of it and its value; several times to tell rows further apart
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = pair)]
    key: Vec<(String, String)>,
    /// A recording that holds the pictures, for --crops; several times for several
    #[arg(long, requires = "crops", value_name = "FILE")]
    recording: Vec<PathBuf>,
    /// Write the objects as PNG pictures into this folder
    #[arg(long, requires = "recording", value_name = "DIR")]
    crops: Option<PathBuf>,
    /// At most so many movements are printed, the latest
    #[arg(long, default_value_t = 20, value_name = "N")]
    most: usize,
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("not COLUMN=VALUE")?;
    Ok((column.trim().to_owned(), value.to_owned()))
}

impl Explain {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let question = Question::new(&self.view, &self.key)?;
        let mut names = Names::default();
        let mut explanation = explain(&open(&self.lake)?, &mut names, &question)?;
        if let Some(dir) = &self.crops {
            explanation.write_crops(&self.recording, dir)?;
        }
        anyhow::ensure!(
            !explanation.movements.is_empty() || !explanation.corrections.is_empty(),
            "no row of {} with {} rests on any movement",
            self.view,
            self.key.iter().map(|(column, value)| format!("{column}={value}")).collect::<Vec<_>>().join(", ")
        );
        output.result(&explanation, |explanation| pretty(explanation, self.most))
    }
}

fn pretty(Explanation { movements, corrections }: &Explanation, most: usize) -> String {
    let mut text = String::new();
    let hidden = movements.len().saturating_sub(most);
    if hidden > 0 {
        text += &format!("... {hidden} earlier movements (--most)\n");
    }
    for m in &movements[hidden..] {
        let by = m.id.as_ref().map_or(String::new(), |id| format!(" {id}"));
        let scale = m.weight_delta_mg.map_or(String::new(), |mg| format!(", scales {:+} g", mg / 1000));
        text += &format!(
            "{} {} {} {} {} (confidence {:.2}, {}{by}{scale})\n",
            m.time.strftime("%F %T"),
            m.appliance,
            m.kind,
            m.quantity,
            m.sku,
            m.confidence,
            m.source
        );
        for look in &m.looks {
            text += &format!(
                "  {:<6} {} at {}, frame {}\n",
                look.which,
                look.frame.sensor,
                look.frame.time.strftime("%F %T"),
                look.frame.hash
            );
            for object in &look.objects {
                let [left, top, right, bottom] = object.bounds;
                let sure = if object.corrected { "by hand".to_owned() } else { format!("score {:.2}", object.score) };
                let crop = object.crop.as_ref().map_or(String::new(), |path| format!(" -> {}", path.display()));
                text += &format!("         at {left},{top},{right},{bottom}: {sure}{crop}\n");
            }
        }
    }
    if !corrections.is_empty() {
        text += "corrections:\n";
    }
    for correction in corrections {
        let told = correction.written.change.fields();
        text += &format!(
            "  {} {} {} {}{} {told}{}\n",
            correction.written.id,
            correction.written.time.strftime("%F %T"),
            correction.written.author,
            correction.kind,
            if correction.holds || matches!(correction.kind, "undo" | "restore") { "" } else { " (undone)" },
            if correction.written.reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", correction.written.reason)
            }
        );
    }
    text
}

/// Tell how a row of a view came to be: what it was after each commit that changed it
#[derive(Debug, Args)]
#[command(
    after_help = "Example: larder history --lake out/lake --view inventory --key appliance=fridge-1 --key sku=oat-milk-1l"
)]
pub(super) struct History {
    /// The lake's folder
    #[arg(long)]
    lake: PathBuf,
    /// The table: a view, or products, appliances or corrections
    #[arg(long)]
    view: String,
    /// A column of it and its value; several times to tell rows further apart
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = pair)]
    key: Vec<(String, String)>,
}

impl History {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let changes = open(&self.lake)?.told_history(&self.view, &self.key)?;
        anyhow::ensure!(!changes.is_empty(), "no row of {} was ever like that", self.view);
        output.result(&changes, |changes| {
            let mut text = String::new();
            let mut last = None;
            for change in changes {
                if last != Some(change.version) {
                    last = Some(change.version);
                    let epoch = change.epoch.map_or("-".to_owned(), |epoch| epoch.to_string());
                    text += &format!("epoch {epoch}, committed {}\n", change.committed.strftime("%F %T"));
                }
                let cells: Vec<String> = change.row.iter().map(|(column, value)| format!("{column}={value}")).collect();
                text += &format!("  {} {}\n", if change.inserted { '+' } else { '-' }, cells.join(" "));
            }
            text
        })
    }
}
