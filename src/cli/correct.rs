//! `larder correct`: what people say of what the machine got wrong.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::Context as _;
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use larder::{
    corrections::{Written, WrittenBox, WrittenChange, WrittenFrame, WrittenMovement, WrittenPart},
    engine::{Engine, EngineError, History, Opening, ViewChanges},
    feeds::recording::RecordingWriter,
    lake::Lake,
};
use larder_pipelines::Refusal;
use larder_records::{Correction, FrameResult, Names, Time, views::MovementKind};
use serde::Serialize;

use super::{
    correct_file::{Line, Lines},
    lake::open,
    output::{Output, table},
};

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

#[derive(Debug, Subcommand)]
enum What {
    /// An object in a picture is this product
    Relabel {
        /// FRAME#INDEX as in sightings.frame_hash and sighting_index, or FRAME@LEFT,TOP,RIGHT,BOTTOM; the beginning of a
        /// frame's hash will do
        sighting: Sighting,
        /// The SKU that it is
        product: String,
    },
    /// There is nothing in that place of the picture, or nothing that counts
    Reject {
        /// As for relabel
        sighting: Sighting,
    },
    /// What was taken for one object is several
    Split {
        /// As for relabel
        sighting: Sighting,
        /// LEFT,TOP,RIGHT,BOTTOM=SKU
        #[arg(required = true, num_args = 2.., value_name = "BOX=SKU")]
        parts: Vec<Part>,
    },
    /// What was taken for several objects of a picture is one
    Join {
        /// The SKU that it is
        #[arg(long)]
        product: String,
        /// As for relabel; all of one picture
        #[arg(required = true, num_args = 2..)]
        sightings: Vec<Sighting>,
    },
    /// There is something more in a picture
    Add {
        /// The frame's hash, or its beginning
        frame: String,
        /// LEFT,TOP,RIGHT,BOTTOM, in pixels
        #[arg(value_name = "BOX", value_parser = parse_box)]
        bounds: WrittenBox,
        /// The SKU that it is
        product: String,
    },
    /// A movement is certain
    Confirm(Movement),
    /// A movement never was
    Refuse(Movement),
    /// Somebody looked: there are so many
    Count {
        /// Where
        appliance: String,
        /// The SKU
        product: String,
        /// How many packages
        count: i64,
        /// When they looked [default: now]
        #[arg(long)]
        at: Option<jiff::Timestamp>,
    },
    /// A product's record is another; a new SKU makes a new product
    Product {
        /// The SKU
        product: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        /// Category path, such as dairy/yoghurt
        #[arg(long)]
        category: Option<String>,
        /// Brand
        #[arg(long)]
        brand: Option<String>,
        /// Weight of one full package, in grams
        #[arg(long, value_name = "GRAMS")]
        package_grams: Option<u32>,
        /// Days that it keeps
        #[arg(long, value_name = "DAYS")]
        shelf_life_days: Option<u32>,
    },
    /// A product is another: whatever was taken for it was that one
    Merge {
        /// The SKU that goes
        product: String,
        /// The SKU that it is in truth
        into: String,
    },
    /// There is no such product: nothing is taken for it
    Remove {
        /// The SKU
        product: String,
    },
    /// An appliance stands elsewhere, is another household's, or has other thresholds
    Appliance {
        /// Which
        appliance: String,
        /// Whose it is
        #[arg(long)]
        household: Option<String>,
        /// The market region that it counts in
        #[arg(long)]
        region: Option<String>,
        /// IANA time zone, such as Europe/Stockholm
        #[arg(long)]
        time_zone: Option<String>,
        /// A candidate below is not taken for the product; 0 to 1
        #[arg(long, value_name = "SCORE")]
        min_score: Option<f64>,
        /// What is surer needs no review; 0 to 1
        #[arg(long, value_name = "SCORE")]
        review_below: Option<f64>,
        /// A market cell of its region with fewer households is withheld
        #[arg(long, value_name = "K")]
        min_households: Option<u32>,
    },
    /// A sensor was off for a while
    Calibrate {
        /// Whose
        appliance: String,
        /// Which
        sensor: String,
        /// From when, by its own clock
        #[arg(long)]
        from: jiff::Timestamp,
        /// Until when, by its own clock
        #[arg(long)]
        until: jiff::Timestamp,
        /// What to add to its values, in the unit of readings.value
        #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
        offset: i64,
        /// What to add to its times, in seconds
        #[arg(long, default_value_t = 0.0, allow_negative_numbers = true, value_name = "SECONDS")]
        skew: f64,
    },
    /// A correction does not hold
    Undo {
        /// Its id (see list)
        correction: String,
    },
    /// A correction that was undone holds again
    Restore {
        /// Its id (see list)
        correction: String,
    },
    /// Corrections from a file, one JSON document a line (see docs/corrections.md); - is the standard input
    ///
    /// One that is refused changes nothing, and keeps none of the others from holding.
    File {
        /// The file
        file: PathBuf,
    },
    /// List all corrections, the latest first
    List,
    /// Write all corrections of the lake to a recording, which larder replay takes in with the others
    Export {
        /// The MCAP file, in place of any there
        file: PathBuf,
    },
}

/// Which movement, as in the table movements.
#[derive(Debug, Args)]
struct Movement {
    /// Where
    appliance: String,
    /// When
    time: jiff::Timestamp,
    /// Which way
    #[arg(value_parser = kind())]
    kind: MovementKind,
    /// The SKU
    product: String,
}

fn kind() -> impl TypedValueParser<Value = MovementKind> {
    PossibleValuesParser::new(MovementKind::ALL.map(MovementKind::as_str))
        .try_map(|word| MovementKind::from_name(&word).ok_or("no such kind"))
}

impl Movement {
    fn written(self) -> WrittenMovement {
        WrittenMovement { appliance: self.appliance, time: self.time, product: self.product, kind: self.kind }
    }
}

/// An object in a picture, as people name it.
#[derive(Debug, Clone)]
struct Sighting {
    frame: String,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Index(u16),
    Box(WrittenBox),
}

impl FromStr for Sighting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((frame, index)) = text.split_once('#')
            && let Ok(index) = index.parse()
        {
            return Ok(Self { frame: frame.to_owned(), place: Place::Index(index) });
        }
        match text.split_once('@') {
            Some((frame, bounds)) => Ok(Self { frame: frame.to_owned(), place: Place::Box(parse_box(bounds)?) }),
            None => Err("neither FRAME#INDEX nor FRAME@LEFT,TOP,RIGHT,BOTTOM".to_owned()),
        }
    }
}

#[derive(Debug, Clone)]
struct Part(WrittenPart);

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (bounds, product) = text.split_once('=').ok_or("not LEFT,TOP,RIGHT,BOTTOM=SKU")?;
        Ok(Self(WrittenPart { bounds: parse_box(bounds)?, product: product.to_owned() }))
    }
}

fn parse_box(text: &str) -> Result<WrittenBox, String> {
    let sides: Option<Vec<u16>> = text.split(',').map(|side| side.trim().parse().ok()).collect();
    sides
        .and_then(|sides| sides.try_into().ok())
        .ok_or_else(|| format!("{text:?} is not LEFT,TOP,RIGHT,BOTTOM in pixels"))
}

/// What became of one correction.
#[derive(Debug, Serialize)]
struct Answer {
    /// Where it stands in the file, where it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    id: String,
    kind: &'static str,
    /// Why it was refused, where it was.
    refused: Option<String>,
}

/// The rows of a view that came and went.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    pub(super) view: &'static str,
    pub(super) inserted: u64,
    pub(super) deleted: u64,
}

/// The views of which rows came or went.
pub(super) fn changed(changes: &ViewChanges) -> Vec<Changed> {
    let by_view = changes.by_view().into_iter().filter(|(_, inserted, deleted)| inserted + deleted > 0);
    by_view.map(|(view, inserted, deleted)| Changed { view, inserted, deleted }).collect()
}

/// What the corrections did, beside the answers.
#[derive(Debug, Serialize)]
struct Corrected {
    changed: Vec<Changed>,
    committed: bool,
    /// From the corrections to the last view in memory.
    milliseconds: f64,
}

/// A correction as `list` tells it.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    written: Written,
    kind: &'static str,
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

/// Answers told at most to people, of those made and of those refused.
const MOST: usize = 20;

/// What becomes of corrections, told as it does: there may be more than fit into memory.
struct Answers<'a> {
    output: &'a Output,
    made: u64,
    refused: u64,
    first_made: Vec<String>,
    first_refused: Vec<String>,
}

impl<'a> Answers<'a> {
    fn new(output: &'a Output) -> anyhow::Result<Self> {
        output.piece("{\"corrections\": [")?;
        Ok(Self { output, made: 0, refused: 0, first_made: Vec::new(), first_refused: Vec::new() })
    }

    fn tell(&mut self, answer: Answer) -> anyhow::Result<()> {
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
    fn finish(self, corrected: &Corrected) -> anyhow::Result<()> {
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

fn in_words(refusal: Refusal, names: &Names) -> String {
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

fn export(lake: &Lake, mut names: Names, file: &Path, output: &Output) -> anyhow::Result<()> {
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

fn list(lake: &Lake, mut names: Names, output: &Output) -> anyhow::Result<()> {
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

impl What {
    /// What is to change; `now` is when.
    fn change(self, lake: &Lake, names: &mut Names, now: jiff::Timestamp) -> anyhow::Result<WrittenChange> {
        let mut frames = Frames { lake, names, all: None };
        Ok(match self {
            Self::Relabel { sighting, product } => {
                let (frame, bounds) = frames.find(&sighting)?;
                WrittenChange::Relabel { frame, bounds, product }
            }
            Self::Reject { sighting } => {
                let (frame, bounds) = frames.find(&sighting)?;
                WrittenChange::Reject { frame, bounds }
            }
            Self::Split { sighting, parts } => {
                let (frame, bounds) = frames.find(&sighting)?;
                WrittenChange::Split { frame, bounds, parts: parts.into_iter().map(|part| part.0).collect() }
            }
            Self::Join { product, sightings } => {
                let mut found =
                    sightings.iter().map(|sighting| frames.find(sighting)).collect::<anyhow::Result<Vec<_>>>()?;
                let boxes = found.iter().map(|(_, bounds)| *bounds).collect();
                let (frame, _) = found.swap_remove(0);
                anyhow::ensure!(
                    found.iter().all(|(other, _)| *other == frame),
                    "objects of two pictures cannot be one"
                );
                WrittenChange::Join { frame, boxes, product }
            }
            Self::Add { frame, bounds, product } => {
                let frame = WrittenFrame::of(frames.of(&frame)?.key, frames.names)?;
                WrittenChange::Add { frame, bounds, product }
            }
            Self::Confirm(movement) => WrittenChange::Confirm(movement.written()),
            Self::Refuse(movement) => WrittenChange::Refuse(movement.written()),
            Self::Count { appliance, product, count, at } => {
                WrittenChange::Count { appliance, product, at: at.unwrap_or(now), count }
            }
            Self::Product { product, name, category, brand, package_grams, shelf_life_days } => {
                let package_mg = package_grams.map(|grams| i64::from(grams) * 1000);
                WrittenChange::Product { product, name, category, brand, package_mg, shelf_life_days }
            }
            Self::Merge { product, into } => WrittenChange::Merge { product, into },
            Self::Remove { product } => WrittenChange::Remove { product },
            Self::Appliance { appliance, household, region, time_zone, min_score, review_below, min_households } => {
                WrittenChange::Appliance {
                    appliance,
                    household,
                    region,
                    time_zone,
                    min_score,
                    review_below,
                    min_households,
                }
            }
            Self::Calibrate { appliance, sensor, from, until, offset, skew } => {
                WrittenChange::Calibrate { appliance, sensor, from, until, offset, skew_seconds: skew }
            }
            Self::Undo { correction } => WrittenChange::Undo { correction },
            Self::Restore { correction } => WrittenChange::Restore { correction },
            Self::File { .. } | Self::List | Self::Export { .. } => anyhow::bail!("that is no change"),
        })
    }
}

/// The frames of a lake, read when first asked for.
struct Frames<'a> {
    lake: &'a Lake,
    names: &'a mut Names,
    all: Option<Vec<FrameResult>>,
}

impl Frames<'_> {
    /// The frame whose hash begins so.
    fn of(&mut self, hash: &str) -> anyhow::Result<&FrameResult> {
        if self.all.is_none() {
            self.all = Some(self.lake.read_frames(self.names)?);
        }
        let all = self.all.as_deref().unwrap_or_default();
        let beginning = hash.to_lowercase();
        let meant: Vec<&FrameResult> =
            all.iter().filter(|frame| frame.key.hash.to_string().starts_with(&beginning)).collect();
        match meant[..] {
            [] => anyhow::bail!("there is no frame {hash}"),
            [frame] => Ok(frame),
            [first, ..] if meant.iter().all(|frame| frame.key == first.key) => Ok(first),
            _ => anyhow::bail!("{} frames begin with {hash}: give more of the hash", meant.len()),
        }
    }

    fn find(&mut self, Sighting { frame, place }: &Sighting) -> anyhow::Result<(WrittenFrame, WrittenBox)> {
        let found = self.of(frame)?;
        let bounds = match place {
            Place::Box(bounds) => *bounds,
            Place::Index(index) => {
                let seen = found.sightings.get(usize::from(*index)).with_context(|| {
                    format!("frame {frame} has {} sightings: none has the index {index}", found.sightings.len())
                })?;
                [seen.bounds.left, seen.bounds.top, seen.bounds.right, seen.bounds.bottom]
            }
        };
        let key = found.key;
        Ok((WrittenFrame::of(key, self.names)?, bounds))
    }
}
