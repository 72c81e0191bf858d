//! `larder eval`: the inventory against the truth.

use std::path::PathBuf;

use clap::Args;
use larder::eval::{Evaluation, evaluate, truths};
use larder_records::{Names, views::InventoryInterval};

use super::output::{Output, table};

/// Compare the inventory with the truth that recordings carry
#[derive(Debug, Args)]
pub(super) struct Eval {
    /// The lake's folder
    #[arg(long)]
    lake: PathBuf,
    /// Leave out the first N instants of each appliance, such as those that the catalogue was enrolled from
    #[arg(long, default_value_t = 0, value_name = "N")]
    skip: usize,
    /// Recordings with truth in them
    #[arg(required = true)]
    recordings: Vec<PathBuf>,
}

impl Eval {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let mut names = Names::default();
        let truths = truths(&self.recordings, &mut names)?;
        anyhow::ensure!(!truths.is_empty(), "no truth in {}", list(&self.recordings));
        let history = super::lake::open(&self.lake)?.read::<InventoryInterval>(&mut names)?;
        let evaluation = evaluate(&truths, &history, &names, self.skip);
        output.result(&evaluation, pretty)
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The evaluation as a table, the sum last.
pub(super) fn pretty(evaluation: &Evaluation) -> String {
    let row = |name: &str, tally: &larder::eval::Tally| {
        let counts = [tally.truth, tally.found, tally.right].map(|count| count.to_string());
        let rates = [tally.precision(), tally.recall(), tally.f1()].map(|rate| format!("{rate:.3}"));
        [name.to_owned()].into_iter().chain(counts).chain(rates).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = evaluation.products.iter().map(|(sku, tally)| row(sku, tally)).collect();
    rows.push(row("all", &evaluation.all));
    let header = ["product", "truth", "found", "right", "precision", "recall", "F1"];
    format!(
        "{}  {} instants, {} of them right in every count\n",
        table(&header, &rows),
        evaluation.instants,
        evaluation.exact
    )
}
