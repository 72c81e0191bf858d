//! `larder revise`: a new vision over old recordings.

use std::path::PathBuf;

use clap::Args;
use larder::{
    engine::{Engine, Look, NewVision, Revised, RevisionPlan, revise},
    feeds::{Feed, Merge, recording::Recording},
    lake::{KnownVision, Lake},
};
use larder_records::{Digest, Names};
use serde::Serialize;

use super::{
    lake::open,
    output::Output,
    vision::{VisionOptions, digest},
};

/// Let a new vision look at old recordings, and let what it sees hold
///
/// What the old vision saw stays remembered beside it. Each appliance's day is swapped in one commit, as soon as all its frames
/// have been seen. Killed, it goes on where it was: nothing that is remembered is looked at again. Corrections stay: they name
/// objects by their boxes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    larder revise --lake out/lake --catalogue catalogue --scenes scenes --vision new.toml --dry-run feeds/*.mcap\n  \
    larder revise --lake out/lake --catalogue catalogue --scenes scenes --vision new.toml --fingerprint 5b1f04c97a2e feeds/*.mcap\n  \
    larder revise --lake out/lake --fingerprint 9d3c0a61b7e2    (back to a vision that is remembered; needs no recordings)")]
pub(super) struct Revise {
    /// MCAP files with the pictures
    recordings: Vec<PathBuf>,
    /// The lake's folder
    #[arg(long)]
    lake: PathBuf,
    /// Which vision is to hold: the digest that --dry-run tells, or its beginning. Where the options make up another, nothing is
    /// done. Without recordings and options: one that the lake remembers
    #[arg(long, value_name = "NEW", value_parser = digest, required_unless_present = "dry_run")]
    fingerprint: Option<String>,
    #[command(flatten)]
    vision: VisionOptions,
    /// Tell which vision this is and what there is to do, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Remember what the new vision sees, and let the old hold (see larder compare)
    #[arg(long, conflicts_with = "dry_run")]
    no_swap: bool,
    /// Dataflow threads
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

#[derive(Debug, Serialize)]
struct Planned {
    /// The vision's name.
    fingerprint: String,
    appliances: u64,
    days: u64,
    frames_to_see: u64,
    frames_remembered: u64,
}

#[derive(Debug, Serialize)]
struct Done {
    fingerprint: String,
    #[serde(flatten)]
    revised: Revised,
    seconds: f64,
}

impl Revise {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let started = std::time::Instant::now();
        let mut names = Names::default();
        let lake = open(&self.lake)?;
        let (catalogue, new) = if self.recordings.is_empty() && self.vision.is_empty() {
            (None, self.remembered(&lake, &mut names)?)
        } else {
            let (catalogue, eyes) = self.vision.open(&mut names)?;
            (catalogue, NewVision::Eyes(Box::new(eyes)))
        };
        let name = new.name().to_string();
        if let Some(wanted) = &self.fingerprint {
            anyhow::ensure!(
                name.starts_with(wanted),
                "these options make up vision {name}, not {wanted}: models, parameters, scenes or reference pictures differ"
            );
        }
        let plan = RevisionPlan::of(&lake, &mut names, &new)?;
        if self.dry_run {
            let planned = Planned {
                fingerprint: name,
                appliances: plan.appliances().len() as u64,
                days: plan.days(),
                frames_to_see: plan.to_see(),
                frames_remembered: plan.remembered(),
            };
            return output.result(&planned, |p| {
                format!(
                    "vision {}\n{} days of {} appliances to swap: {} frames to see, {} remembered",
                    p.fingerprint, p.days, p.appliances, p.frames_to_see, p.frames_remembered
                )
            });
        }
        let mut feeds: Vec<Box<dyn Feed>> = Vec::new();
        for path in &self.recordings {
            feeds.push(Box::new(Recording::open(path)?));
        }
        let mut engine = Engine::open_blind(lake, names, self.workers)?;
        if let Some(catalogue) = catalogue.as_ref().filter(|_| !self.no_swap) {
            engine.take_catalogue(catalogue)?;
        }
        let (days, frames) = (plan.days(), plan.to_see());
        let bar = output.progress(
            "looking again",
            if frames > 0 { frames } else { days },
            if frames > 0 { "frames" } else { "days" },
        );
        let tell = |Look { seen, days }| bar.set_position(if frames > 0 { seen } else { days });
        let revised = revise(&mut engine, &new, plan, &mut Merge::new(feeds), !self.no_swap, tell)?;
        bar.finish_and_clear();
        let done = Done { fingerprint: name, revised, seconds: started.elapsed().as_secs_f64() };
        output.result(&done, |done| pretty(done, self.no_swap))?;
        anyhow::ensure!(
            revised.frames_left == 0,
            "{} frames of {} days are in no recording given: the old vision holds there",
            revised.frames_left,
            revised.days_left
        );
        Ok(())
    }

    /// The vision that the lake remembers.
    fn remembered(&self, lake: &Lake, names: &mut Names) -> anyhow::Result<NewVision> {
        let wanted = self.fingerprint.as_deref().unwrap_or_default();
        let mut known: Vec<Digest> = lake.read::<KnownVision>(names)?.iter().map(|known| known.vision).collect();
        known.sort();
        known.dedup();
        let meant: Vec<Digest> =
            known.iter().copied().filter(|name| !wanted.is_empty() && name.to_string().starts_with(wanted)).collect();
        let told = || known.iter().map(Digest::to_string).collect::<Vec<_>>().join(", ");
        let [name] = meant[..] else {
            anyhow::bail!("no recordings, and no one vision {wanted:?} that the lake remembers; it knows: {}", told())
        };
        let new = NewVision::remembered(lake, names, name)?;
        new.ok_or_else(|| anyhow::anyhow!("the lake remembers no vision {wanted}"))
    }
}

fn pretty(Done { fingerprint, revised: r, seconds }: &Done, no_swap: bool) -> String {
    let mut text = format!("vision {fingerprint}: {} frames seen with {} sightings", r.frames, r.sightings);
    if r.remembered > 0 {
        text += &format!(", {} remembered", r.remembered);
    }
    if r.refused > 0 {
        text += &format!(", {} that it could not see", r.refused);
    }
    text += &if no_swap {
        format!("\nthe old holds on as before in {} days", r.days_left)
    } else {
        format!("\nit holds in {} days more; {} view changes", r.days, r.view_changes)
    };
    text + &format!("\nin {seconds:.1} s")
}
