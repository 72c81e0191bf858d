//! What is to be corrected, as the command line says it.

use std::{collections::BTreeSet, path::PathBuf, str::FromStr};

use anyhow::Context as _;
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use larder::{
    corrections::{WrittenBox, WrittenChange, WrittenFrame, WrittenMovement, WrittenPart},
    lake::Lake,
};
use larder_records::{FrameKey, Names, views::MovementKind};

#[derive(Debug, Subcommand)]
pub(super) enum What {
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
pub(super) struct Movement {
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
pub(super) struct Sighting {
    frame: String,
    place: Place,
}

#[derive(Debug, Clone)]
pub(super) enum Place {
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
pub(super) struct Part(WrittenPart);

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

impl What {
    /// What is to change; `now` is when.
    pub(super) fn change(self, lake: &Lake, names: &mut Names, now: jiff::Timestamp) -> anyhow::Result<WrittenChange> {
        let mut frames = Frames { lake, names, held: None };
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
                let frame = WrittenFrame::of(frames.of(&frame)?, frames.names)?;
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

/// The frames of a lake that people name by the beginning of their hashes.
struct Frames<'a> {
    lake: &'a Lake,
    names: &'a mut Names,
    /// The keys of all that hold; none before they are asked for.
    held: Option<Vec<FrameKey>>,
}

impl Frames<'_> {
    /// The frame whose hash begins so.
    fn of(&mut self, hash: &str) -> anyhow::Result<FrameKey> {
        if self.held.is_none() {
            let held = self.lake.held(self.names)?;
            let seen = self.lake.read_seen(self.names)?.into_iter();
            let keys: BTreeSet<FrameKey> =
                seen.filter(|(key, vision)| held.holds(*key, *vision)).map(|(key, _)| key).collect();
            self.held = Some(keys.into_iter().collect());
        }
        let beginning = hash.to_lowercase();
        let held = self.held.iter().flatten();
        let meant: Vec<&FrameKey> = held.filter(|key| key.hash.to_string().starts_with(&beginning)).collect();
        match meant[..] {
            [] => anyhow::bail!("there is no frame {hash}"),
            [key] => Ok(*key),
            _ => anyhow::bail!("{} frames begin with {hash}: give more of the hash", meant.len()),
        }
    }

    fn find(&mut self, Sighting { frame, place }: &Sighting) -> anyhow::Result<(WrittenFrame, WrittenBox)> {
        let key = self.of(frame)?;
        let bounds = match place {
            Place::Box(bounds) => *bounds,
            Place::Index(index) => {
                let found = self.lake.frames(&BTreeSet::from([key]), self.names)?.remove(&key);
                let sightings = found.map(|found| found.sightings).unwrap_or_default();
                let seen = sightings.get(usize::from(*index)).with_context(|| {
                    format!("frame {frame} has {} sightings: none has the index {index}", sightings.len())
                })?;
                [seen.bounds.left, seen.bounds.top, seen.bounds.right, seen.bounds.bottom]
            }
        };
        Ok((WrittenFrame::of(key, self.names)?, bounds))
    }
}
