//! From a row of a view back to what it rests on: movements, looks, objects, pixels, and the corrections that touched them.

mod pictures;
mod question;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use larder_operators::calendar::{day, monday};
use larder_pipelines::{
    Intake,
    corrected::{self, Told},
};
use larder_records::{
    Appliance, ApplianceId, BoundingBox, Change, Correction, FrameKey, FrameResult, IdCollision, Name, Names, PPM,
    Product, ProductId, Time,
    views::{Day, Movement, MovementSource},
};
use serde::Serialize;

use crate::{
    corrections::{Unnamed, Written, WrittenFrame, stamp},
    feeds::FeedError,
    lake::{Lake, LakeError},
};

use question::VIEWS;

pub use pictures::write_differences;
pub use question::Question;

/// Why a row cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A recording cannot be read.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// Two names share an id.
    #[error(transparent)]
    Collision(#[from] IdCollision),
    /// A name without a text.
    #[error(transparent)]
    Unnamed(#[from] Unnamed),
    /// A view that rests on no movements.
    #[error("{view:?} rests on no movements; these do: {}", VIEWS.map(|(view, _)| view).join(", "))]
    View {
        /// What was asked for.
        view: String,
    },
    /// A column that the view's rows are not told apart by.
    #[error("rows of {view} are not told apart by {column:?}, but by: {}", .columns.join(", "))]
    Column {
        /// Which view.
        view: String,
        /// The column asked for.
        column: String,
        /// Those that there are.
        columns: &'static [&'static str],
    },
    /// A value that the column cannot have.
    #[error("{column} cannot be {value:?}: {expected}")]
    Value {
        /// Which column.
        column: String,
        /// What was asked for.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// A crop cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A crop cannot be made a PNG.
    #[error("{path}: {source}")]
    Png {
        /// Which.
        path: PathBuf,
        /// What the library said.
        source: image::ImageError,
    },
}

/// What rows rest on.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The movements, the oldest first.
    pub movements: Vec<MovementEvidence>,
    /// The corrections that touched them, or the records that they are counted by, the oldest first.
    pub corrections: Vec<CorrectionEvidence>,
}

/// A movement, and what it rests on.
#[derive(Debug, Clone, Serialize)]
pub struct MovementEvidence {
    /// Where.
    pub appliance: String,
    /// When.
    pub time: jiff::Timestamp,
    /// What.
    pub sku: String,
    /// `in`, `out` or `moved`.
    pub kind: &'static str,
    /// How many.
    pub quantity: i64,
    /// How sure, from 0 to 1.
    pub confidence: f64,
    /// `sensors`, `declared` or `counted`.
    pub source: &'static str,
    /// Of what was declared or counted: the declared id, or the correction's.
    pub id: Option<String>,
    /// Change of the load, in milligrams.
    pub weight_delta_mg: Option<i64>,
    /// The pictures before and after.
    pub looks: Vec<LookEvidence>,
}

/// A picture that a movement rests on.
#[derive(Debug, Clone, Serialize)]
pub struct LookEvidence {
    /// `before` or `after`.
    pub which: &'static str,
    /// Which.
    pub frame: WrittenFrame,
    /// What it shows of the product.
    pub objects: Vec<ObjectEvidence>,
    #[serde(skip)]
    key: FrameKey,
}

/// An object in a picture.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectEvidence {
    /// Left, top, right, bottom, in pixels.
    #[serde(rename = "box")]
    pub bounds: [u16; 4],
    /// How sure the product is, from 0 to 1.
    pub score: f64,
    /// Whether people say so.
    pub corrected: bool,
    /// The picture of it, where it was written.
    pub crop: Option<PathBuf>,
}

/// A correction that touched a row.
#[derive(Debug, Clone, Serialize)]
pub struct CorrectionEvidence {
    /// What it says.
    #[serde(flatten)]
    pub written: Written,
    /// Its kind, in a word.
    pub kind: &'static str,
    /// Whether it holds: not undone.
    pub holds: bool,
}

/// The slowly changing inputs of a lake, as corrected.
struct Records {
    intake: Intake,
    corrections: Vec<Correction>,
    /// What is told of each picture, and holds.
    told: BTreeMap<FrameKey, Vec<Told>>,
}

impl Records {
    fn read(lake: &Lake, names: &mut Names) -> Result<Self, LakeError> {
        let mut intake = Intake::default();
        let mut corrections: Vec<Correction> = lake.read(names)?;
        corrections.sort_by_key(Correction::order);
        for correction in &corrections {
            // the lake holds none that can never hold
            let _ = intake.correction(correction);
        }
        for product in lake.read::<Product>(names)? {
            intake.product(&product);
        }
        for appliance in lake.read::<Appliance>(names)? {
            intake.appliance(&appliance);
        }
        let mut told: BTreeMap<FrameKey, Vec<Told>> = BTreeMap::new();
        for made in corrections.iter().filter(|made| intake.holds(made.id)) {
            if let Change::Picture { frame, amendment } = &made.change {
                let amendment = amendment.clone();
                told.entry(*frame).or_default().push(Told { time: made.time, id: made.id, amendment });
            }
        }
        Ok(Self { intake, corrections, told })
    }

    fn week(&self, appliance: ApplianceId, time: Time) -> Day {
        let zone = self.intake.appliance_now(appliance).map_or(Name::default(), |record| record.time_zone);
        monday(day(time, zone))
    }
}

/// What the rows of `question` rest on, by what the lake holds.
///
/// # Errors
/// [`EvidenceError`] where the lake cannot be read or the question names what no row can have.
pub fn explain(lake: &Lake, names: &mut Names, question: &Question) -> Result<Explanation, EvidenceError> {
    let records = Records::read(lake, names)?;
    let mut movements = question::meant(lake, names, question, &records)?;
    movements.sort_by_key(|m| (m.time, m.appliance, m.product, m.kind));
    if matches!(question.view(), "inventory" | "food_state") {
        since_none(&mut movements);
    }
    let wanted: BTreeSet<FrameKey> = movements.iter().flat_map(|m| [m.before, m.after]).flatten().collect();
    let frames = lake.frames(&wanted, names)?;
    let evidence = movements.iter().map(|m| evidence(m, &frames, &records, names)).collect::<Result<_, _>>()?;
    let touching = touching(question, &movements, &records);
    let corrections = touching
        .into_iter()
        .map(|correction| {
            Ok(CorrectionEvidence {
                written: Written::of(correction, names)?,
                kind: correction.change.kind(),
                holds: records.intake.holds(correction.id),
            })
        })
        .collect::<Result<_, Unnamed>>()?;
    Ok(Explanation { movements: evidence, corrections })
}

/// Of movements in order, those of each product in each appliance since there were last none of it.
fn since_none(movements: &mut Vec<Movement>) {
    let mut levels: BTreeMap<(ApplianceId, ProductId), i64> = BTreeMap::new();
    let mut last_none: BTreeMap<(ApplianceId, ProductId), Time> = BTreeMap::new();
    for same_time in movements.chunk_by(|a, b| a.time == b.time) {
        for m in same_time {
            *levels.entry((m.appliance, m.product)).or_default() += m.signed();
        }
        for m in same_time.iter().filter(|m| levels[&(m.appliance, m.product)] <= 0) {
            last_none.insert((m.appliance, m.product), m.time);
        }
    }
    movements.retain(|m| last_none.get(&(m.appliance, m.product)).is_none_or(|none| m.time > *none));
}

fn score(ppm: u32) -> f64 {
    f64::from(ppm) / f64::from(PPM)
}

fn evidence(
    m: &Movement,
    frames: &BTreeMap<FrameKey, FrameResult>,
    records: &Records,
    names: &Names,
) -> Result<MovementEvidence, EvidenceError> {
    let text = |name: Name| names.text(name).to_owned();
    let (source, id) = match m.source {
        MovementSource::Sensors => ("sensors", None),
        MovementSource::Declared(id) => ("declared", Some(text(id))),
        MovementSource::Counted(id) => ("counted", Some(text(id))),
    };
    let mut looks = Vec::new();
    for (which, key) in [("before", m.before), ("after", m.after)] {
        let Some(frame) = key.and_then(|key| frames.get(&key)) else { continue };
        let objects = told(frame, records)
            .into_iter()
            .filter(|object| object.product.and_then(|product| records.intake.in_truth(product)) == Some(m.product));
        let objects = objects.map(|object| {
            let BoundingBox { left, top, right, bottom } = object.bounds;
            ObjectEvidence {
                bounds: [left, top, right, bottom],
                score: score(object.score),
                corrected: object.said,
                crop: None,
            }
        });
        looks.push(LookEvidence {
            which,
            frame: WrittenFrame::of(frame.key, names)?,
            objects: objects.collect(),
            key: frame.key,
        });
    }
    Ok(MovementEvidence {
        appliance: text(m.appliance.0),
        time: stamp(m.time),
        sku: text(m.product.0),
        kind: m.kind.as_str(),
        quantity: m.quantity,
        confidence: score(m.confidence),
        source,
        id,
        weight_delta_mg: m.weight_delta_mg,
        looks,
    })
}

/// What a frame shows, as corrected.
fn told(frame: &FrameResult, records: &Records) -> Vec<corrected::Object> {
    let told = records.told.get(&frame.key).cloned().unwrap_or_default();
    let min_score =
        records.intake.appliance_now(frame.key.appliance).map_or(Appliance::DEFAULT_MIN_SCORE, |home| home.min_score);
    corrected::objects(frame.clone(), told, min_score)
}

/// The corrections that touched movements, or the records that they are counted by; with those that undo or restore them.
fn touching<'a>(question: &Question, movements: &[Movement], records: &'a Records) -> Vec<&'a Correction> {
    let frames: BTreeSet<FrameKey> = movements.iter().flat_map(|m| [m.before, m.after]).flatten().collect();
    let products: BTreeSet<ProductId> = movements.iter().map(|m| m.product).collect();
    let appliances: BTreeSet<ApplianceId> = movements.iter().map(|m| m.appliance).collect();
    let asked = (question.name("appliance").map(ApplianceId), question.name("sku").map(ProductId));
    let is = |product: ProductId| {
        let truth = records.intake.in_truth(product);
        [Some(product), truth].into_iter().flatten().any(|id| products.contains(&id) || asked.1 == Some(id))
    };
    let at = |appliance: ApplianceId| appliances.contains(&appliance) || asked.0 == Some(appliance);
    let about = |change: &Change| match change {
        Change::Picture { frame, .. } => frames.contains(frame),
        Change::Movement { movement, .. } => at(movement.appliance) && is(movement.product),
        Change::Count { appliance, product, .. } => at(*appliance) && is(*product),
        Change::Product { product, .. } | Change::Remove { product } => is(*product),
        Change::Merge { product, into } => is(*product) || is(*into),
        Change::Appliance { appliance, .. } => at(*appliance),
        Change::Calibration { appliance, from, until, .. } => {
            at(*appliance) && movements.iter().any(|m| *from <= m.time && m.time < *until)
        }
        Change::Undo { .. } | Change::Restore { .. } => false,
    };
    let touched: BTreeSet<Name> =
        records.corrections.iter().filter(|made| about(&made.change)).map(|made| made.id).collect();
    let concerns = |made: &&Correction| match made.change {
        Change::Undo { correction } | Change::Restore { correction } => touched.contains(&correction),
        _ => touched.contains(&made.id),
    };
    records.corrections.iter().filter(concerns).collect()
}
