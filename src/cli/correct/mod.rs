//! `larder correct`: what people say of what the machine got wrong.

mod answers;
mod file;
mod list;
mod what;

use std::path::PathBuf;

use clap::Args;
use larder::{
    corrections::Written,
    engine::{Engine, EngineError, History, Opening},
};
use larder_records::{Names, Time};

use super::{lake::open, output::Output};
use answers::{Answer, Answers, Corrected, in_words};
use file::{Line, Lines};
use list::{export, list};
use what::What;

pub(super) use answers::{Changed, changed};

/// Correct what the machine got wrong: every table becomes what it would be had it been right all along
///
/// No picture is looked at again. Each correction is kept, with who made it, when and why, and can be undone.
#[derive(Debug, Args)]
pub(super) struct Correct {
    /// The lake's folder
    #[arg(long)]
    lake: PathBuf,
    /// Who corrects
    #[arg(long, default_value = "", env = "LARDER_AUTHOR")]
    author: String,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    /// When the correction is made; of two that speak of one thing the later holds [default: now]
    #[arg(long)]
    time: Option<jiff::Timestamp>,
    /// Tell what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Dataflow threads
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Days of each appliance's history to read beside what the corrections change; more of them only take longer
    #[arg(long, default_value_t = 7, value_name = "DAYS")]
    history_days: u32,
    #[command(subcommand)]
    what: What,
}

impl Correct {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let mut names = Names::default();
        let lake = open(&self.lake)?;
        let now = self.time.unwrap_or_else(jiff::Timestamp::now);
        let written: Box<dyn Iterator<Item = anyhow::Result<Line>>> = match self.what {
            What::List => return list(&lake, names, output),
            What::Export { ref file } => return export(&lake, names, file, output),
            What::File { ref file } => Box::new(Lines::open(file)?),
            what => {
                let change = what.change(&lake, &mut names, now)?;
                let written =
                    Written { id: String::new(), author: self.author, time: now, reason: self.reason, change };
                Box::new(std::iter::once(Ok((None, Ok(written)))))
            }
        };

        let history = History::Recent(i64::from(self.history_days) * Time::DAY);
        let opening = Opening { eyes: None, workers: self.workers.into(), history };
        let mut engine = Engine::open_with(lake, names, opening)?;
        if !self.dry_run {
            // what a crash left behind is no work of these corrections
            engine.commit()?;
        }
        let started = std::time::Instant::now();
        let mut answers = Answers::new(output)?;
        for written in written {
            let (line, written) = written?;
            let answer = match written {
                Ok(written) => Answer { line, ..correct(&mut engine, &written)? },
                Err(why) => Answer { line, id: String::new(), kind: "unreadable", refused: Some(why) },
            };
            answers.tell(answer)?;
        }
        let changed = changed(engine.changes()?);
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        let committed = !self.dry_run && answers.made > 0;
        if committed {
            engine.commit()?;
        }
        answers.finish(&Corrected { changed, committed, milliseconds })
    }
}

/// Makes one correction, or says why not. What is refused leaves nothing behind, not even its names.
fn correct(engine: &mut Engine, written: &Written) -> Result<Answer, EngineError> {
    let (mut names, mut kind) = (Names::default(), "unreadable");
    let refused = match written.correction(&mut names) {
        Ok(correction) => {
            kind = correction.change.kind();
            match engine.refusal(&correction)? {
                Some(refusal) => Some(in_words(refusal, &names)),
                None => match written.correction(engine.names()) {
                    Err(error) => Some(error.to_string()),
                    Ok(kept) => match engine.correct(kept) {
                        Err(EngineError::Refused(refusal)) => Some(in_words(refusal, &names)),
                        done => done.map(|()| None)?,
                    },
                },
            }
        }
        Err(error) => Some(error.to_string()),
    };
    Ok(Answer { line: None, id: written.id(), kind, refused })
}
