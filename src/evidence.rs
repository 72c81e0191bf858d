//! From a row of a view back to what it rests on: movements, looks, objects, pixels, and the corrections that touched them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use larder_kernels::{
    ImageRgb8,
    decode::{self, DecodeLimits},
};
use larder_operators::calendar::{day, monday};
use larder_pipelines::{
    Intake,
    corrected::{self, Told},
};
use larder_records::{
    Appliance, ApplianceId, BoundingBox, Change, Correction, Digest, FrameKey, FrameResult, IdCollision, Name, Names,
    PPM, Payload, Product, ProductId, Time,
    views::{Day, Movement, MovementKind, MovementSource},
};
use serde::Serialize;

use crate::{
    corrections::{Unnamed, Written, WrittenFrame, stamp},
    drawing,
    engine::ObjectDifference,
    feeds::{Event, Feed as _, FeedError, recording::Recording},
    lake::{Lake, LakeError},
};

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

/// The views whose rows rest on movements, and the columns that tell these apart.
const VIEWS: [(&str, &[&str]); 9] = [
    ("movements", &["appliance", "time", "sku", "kind"]),
    ("inventory", &["appliance", "sku"]),
    ("inventory_history", &["appliance", "sku"]),
    ("food_state", &["appliance", "sku"]),
    ("behaviour", &["household", "week"]),
    ("behaviour_products", &["household", "sku"]),
    ("behaviour_pairs", &["household", "first_sku", "second_sku"]),
    ("market", &["region", "week", "level", "key"]),
    ("market_pairs", &["region", "week", "first_sku", "second_sku"]),
];

/// Which rows are to be explained: a view, and values of some of its columns.
#[derive(Debug, Clone)]
pub struct Question {
    view: &'static str,
    values: BTreeMap<&'static str, String>,
}

impl Question {
    /// The rows of `view` in which each column has its value.
    ///
    /// # Errors
    /// [`EvidenceError::View`], [`EvidenceError::Column`].
    pub fn new(view: &str, values: &[(String, String)]) -> Result<Self, EvidenceError> {
        let known = VIEWS.into_iter().find(|(known, _)| *known == view);
        let (view, columns) = known.ok_or_else(|| EvidenceError::View { view: view.to_owned() })?;
        let values = values
            .iter()
            .map(|(column, value)| match columns.iter().find(|known| *known == column) {
                Some(column) => Ok((*column, value.clone())),
                None => Err(EvidenceError::Column { view: view.to_owned(), column: column.clone(), columns }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { view, values })
    }

    fn name(&self, column: &str) -> Option<Name> {
        self.values.get(column).map(|value| Name::of(value))
    }

    fn parsed<T: std::str::FromStr>(&self, column: &str, expected: &'static str) -> Result<Option<T>, EvidenceError> {
        let wrong = |value: &String| EvidenceError::Value { column: column.to_owned(), value: value.clone(), expected };
        self.values.get(column).map(|value| value.parse().map_err(|_| wrong(value))).transpose()
    }
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
    let mut movements = meant(lake, names, question, &records)?;
    movements.sort_by_key(|m| (m.time, m.appliance, m.product, m.kind));
    if matches!(question.view, "inventory" | "food_state") {
        since_none(&mut movements);
    }
    let wanted: BTreeSet<FrameKey> = movements.iter().flat_map(|m| [m.before, m.after]).flatten().collect();
    let mut frames: BTreeMap<FrameKey, FrameResult> = BTreeMap::new();
    for frame in lake.read_frames(names)?.into_iter().filter(|frame| wanted.contains(&frame.key)) {
        // of several, that of the greatest fingerprint holds
        let newer = frames.get(&frame.key).is_none_or(|held| held.fingerprint <= frame.fingerprint);
        if newer {
            frames.insert(frame.key, frame);
        }
    }
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

/// The movements that rows of the question count.
fn meant(
    lake: &Lake,
    names: &mut Names,
    question: &Question,
    records: &Records,
) -> Result<Vec<Movement>, EvidenceError> {
    let time: Option<jiff::Timestamp> = question.parsed("time", "a time such as 2026-03-01T18:00:00Z")?;
    let week: Option<jiff::civil::Date> = question.parsed("week", "a date such as 2026-03-02")?;
    let kind = match question.values.get("kind").map(String::as_str) {
        None => None,
        Some(word) => Some(MovementKind::from_name(word).ok_or_else(|| EvidenceError::Value {
            column: "kind".to_owned(),
            value: word.to_owned(),
            expected: "in, out or moved",
        })?),
    };
    let skus: Vec<Name> =
        ["sku", "first_sku", "second_sku"].iter().filter_map(|column| question.name(column)).collect();
    let epoch = jiff::civil::date(1970, 1, 1);
    let week = week.map(|week| week.since(epoch).map_or(Day::MAX, |span| span.get_days()));
    let (appliance, household, region) =
        (question.name("appliance"), question.name("household"), question.name("region"));
    let key = question.name("key");
    let level = question.values.get("level").map_or("product", String::as_str);
    let is = |wanted: Option<Name>, found: Option<Name>| wanted.is_none_or(|wanted| found == Some(wanted));
    let mut movements = lake.read::<Movement>(names)?;
    movements.retain(|m| {
        let home = records.intake.appliance_now(m.appliance);
        let product = records.intake.product_now(m.product);
        let cell = match level {
            "brand" => product.map(|product| product.brand),
            "category" => product.map(|product| product.category),
            _ => Some(m.product.0),
        };
        is(appliance, Some(m.appliance.0))
            && (skus.is_empty() || skus.contains(&m.product.0))
            && is(household, home.as_ref().map(|home| home.household.0))
            && is(region, home.as_ref().map(|home| home.region))
            && is(key, cell)
            && kind.is_none_or(|kind| m.kind == kind)
            && time.is_none_or(|time| m.time == Time(time.as_microsecond()))
            && week.is_none_or(|week| records.week(m.appliance, m.time) == week)
    });
    Ok(movements)
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

/// Pixels around an object that its crop shows too.
const MARGIN: u16 = 4;

impl Explanation {
    /// Finds the pictures in `recordings` and writes each object of them as a PNG into `dir`; how many were written.
    ///
    /// # Errors
    /// [`EvidenceError`] where a recording cannot be read or a crop not written. A picture that cannot be decoded has no crops.
    pub fn write_crops(&mut self, recordings: &[PathBuf], dir: &Path) -> Result<usize, EvidenceError> {
        let looks = self.movements.iter().flat_map(|movement| &movement.looks);
        let wanted: BTreeSet<FrameKey> = looks.map(|look| look.key).collect();
        make_folder(dir)?;
        let mut written = BTreeSet::new();
        each_picture(recordings, &wanted, |key, picture| {
            let looks = self.movements.iter_mut().flat_map(|movement| &mut movement.looks);
            for object in looks.filter(|look| look.key == key).flat_map(|look| &mut look.objects) {
                let [left, top, right, bottom] = object.bounds;
                let path = dir.join(format!("{}-{left}-{top}-{right}-{bottom}.png", &key.hash.to_string()[..8]));
                if written.insert(path.clone()) {
                    write_png(&path, &crop(picture, BoundingBox { left, top, right, bottom }))?;
                }
                object.crop = Some(path);
            }
            Ok(())
        })?;
        Ok(written.len())
    }
}

/// Red: what the old sees. Green: what the new does.
const OLD_AND_NEW: [drawing::Colour; 2] = [[230, 40, 40], [40, 210, 60]];

/// Finds the pictures in `recordings` and writes each of the objects as a PNG into `dir`: its box by the old in red, by the new
/// in green. Where each was written; none where its picture is in no recording, or cannot be decoded.
///
/// # Errors
/// [`EvidenceError`] where a recording cannot be read or a picture not written.
pub fn write_differences(
    objects: &[ObjectDifference],
    recordings: &[PathBuf],
    dir: &Path,
) -> Result<Vec<Option<PathBuf>>, EvidenceError> {
    make_folder(dir)?;
    let mut paths = vec![None; objects.len()];
    let wanted: BTreeSet<FrameKey> = objects.iter().map(|object| object.frame).collect();
    each_picture(recordings, &wanted, |key, picture| {
        for (object, path) in objects.iter().zip(&mut paths).filter(|(object, _)| object.frame == key) {
            let sides = [object.old, object.new].map(|side| side.map(|taken| taken.bounds));
            let Some(whole) = sides.into_iter().flatten().reduce(around) else { continue };
            let mut drawn = picture.clone();
            for (bounds, colour) in sides.into_iter().zip(OLD_AND_NEW) {
                if let Some(bounds) = bounds {
                    drawing::draw_box(&mut drawn, bounds, colour);
                }
            }
            let BoundingBox { left, top, right, bottom } = whole;
            let hash = key.hash.to_string();
            let to = dir.join(format!("{}-{left}-{top}-{right}-{bottom}.png", &hash[..8]));
            write_png(&to, &crop(&drawn, whole))?;
            *path = Some(to);
        }
        Ok(())
    })?;
    Ok(paths)
}

fn around(a: BoundingBox, b: BoundingBox) -> BoundingBox {
    BoundingBox {
        left: a.left.min(b.left),
        top: a.top.min(b.top),
        right: a.right.max(b.right),
        bottom: a.bottom.max(b.bottom),
    }
}

fn make_folder(dir: &Path) -> Result<(), EvidenceError> {
    std::fs::create_dir_all(dir).map_err(|source| EvidenceError::Io { path: dir.to_owned(), source })
}

fn write_png(path: &Path, picture: &ImageRgb8) -> Result<(), EvidenceError> {
    let png = drawing::png(picture).map_err(|source| EvidenceError::Png { path: path.to_owned(), source })?;
    std::fs::write(path, png).map_err(|source| EvidenceError::Io { path: path.to_owned(), source })
}

/// Hands on each wanted frame's picture that is in the recordings and can be decoded.
fn each_picture(
    recordings: &[PathBuf],
    wanted: &BTreeSet<FrameKey>,
    mut each: impl FnMut(FrameKey, &ImageRgb8) -> Result<(), EvidenceError>,
) -> Result<(), EvidenceError> {
    let (mut names, mut picture) = (Names::default(), ImageRgb8::default());
    for path in recordings {
        let mut recording = Recording::open(path)?;
        while let Some((_, entry)) = recording.next_entry(&mut names)? {
            let Ok(Event::Frame(frame)) = entry else { continue };
            let Payload::Image(image) = &frame.payload else { continue };
            let (appliance, sensor, time) = (frame.appliance, frame.sensor, frame.time);
            if wanted.range(first(appliance, sensor, time)..).next().is_none_or(|key| key.time != time) {
                continue;
            }
            let key = FrameKey { appliance, sensor, time, hash: Digest::of(&image.data) };
            if wanted.contains(&key) && decode::decode_rgb8(image, DecodeLimits::default(), &mut picture).is_ok() {
                each(key, &picture)?;
            }
        }
    }
    Ok(())
}

/// The least key of a frame of that instant.
fn first(appliance: ApplianceId, sensor: larder_records::SensorId, time: Time) -> FrameKey {
    FrameKey { appliance, sensor, time, hash: Digest(0) }
}

fn crop(picture: &ImageRgb8, bounds: BoundingBox) -> ImageRgb8 {
    let bounds = picture.clip(BoundingBox {
        left: bounds.left.saturating_sub(MARGIN),
        top: bounds.top.saturating_sub(MARGIN),
        right: bounds.right.saturating_add(MARGIN),
        bottom: bounds.bottom.saturating_add(MARGIN),
    });
    let pixels: Vec<[u8; 3]> = picture.rows_in(bounds).flatten().copied().collect();
    let width = usize::from(bounds.right.saturating_sub(bounds.left));
    let height = usize::from(bounds.bottom.saturating_sub(bounds.top));
    ImageRgb8::from_pixels(width, height, pixels).unwrap_or_default()
}
