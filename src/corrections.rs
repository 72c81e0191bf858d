//! Corrections as people write them: JSON with texts in place of ids.
//!
//! One document a correction:
//!
//! ```json
//! {"author": "ada", "time": "2026-03-01T18:00:00Z", "reason": "the label was torn",
//!  "change": {"relabel": {"frame": {"appliance": "fridge-1", "sensor": "camera", "time": "2026-02-27T07:12:09.5Z",
//!                                   "hash": "9d3c0a61b7e24f5d8a90c1b2d3e4f506"},
//!                         "box": [310, 122, 402, 300], "product": "oat-milk-1l"}}}
//! ```

use larder_records::{
    Amendment, ApplianceFields, ApplianceId, BoundingBox, Change, Correction, Digest, FrameKey, HouseholdId,
    IdCollision, MovementKey, Name, Names, PPM, Ppm, ProductFields, ProductId, SensorId, Time, views::MovementKind,
};
use serde::{Deserialize, Serialize};

/// Why what somebody wrote is no correction.
#[derive(Debug, thiserror::Error)]
pub enum WrittenError {
    /// It is not the JSON that it should be.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Two texts share an id.
    #[error(transparent)]
    Collision(#[from] IdCollision),
    /// A frame's digest is none.
    #[error("{0:?} is no digest of a frame: 32 hexadecimal digits are")]
    Frame(String),
    /// A score is none.
    #[error("{0} is no score: one from 0 to 1 is")]
    Score(f64),
    /// A span that is too long to tell.
    #[error("{0} seconds are more than a clock can be off by")]
    Span(f64),
}

/// A correction as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Its id; where there is none, one that follows from all else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Who made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// When.
    pub time: jiff::Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What is changed.
    pub change: WrittenChange,
}

/// Which picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenFrame {
    /// Whose.
    pub appliance: String,
    /// Which camera's.
    pub sensor: String,
    /// When it was taken, by the camera's clock.
    pub time: jiff::Timestamp,
    /// The digest of its bytes: 32 hexadecimal digits.
    pub hash: String,
}

/// Left, top, right, bottom, in pixels.
pub type WrittenBox = [u16; 4];

/// A part of what was taken for one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenPart {
    /// Where.
    #[serde(rename = "box")]
    pub bounds: WrittenBox,
    /// What.
    pub product: String,
}

/// Which movement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenMovement {
    /// Where.
    pub appliance: String,
    /// When: `movements.time`.
    pub time: jiff::Timestamp,
    /// What.
    pub product: String,
    /// `in`, `out` or `moved`.
    pub kind: MovementKind,
}

/// What is changed; see [`Change`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WrittenChange {
    /// An object is this product.
    Relabel {
        /// In which picture.
        frame: WrittenFrame,
        /// Which object.
        #[serde(rename = "box")]
        bounds: WrittenBox,
        /// What it is.
        product: String,
    },
    /// There is nothing that counts.
    Reject {
        /// In which picture.
        frame: WrittenFrame,
        /// Which object.
        #[serde(rename = "box")]
        bounds: WrittenBox,
    },
    /// One object is several.
    Split {
        /// In which picture.
        frame: WrittenFrame,
        /// Which object.
        #[serde(rename = "box")]
        bounds: WrittenBox,
        /// What it is in truth.
        parts: Vec<WrittenPart>,
    },
    /// Several objects are one.
    Join {
        /// In which picture.
        frame: WrittenFrame,
        /// Which objects.
        boxes: Vec<WrittenBox>,
        /// What it is.
        product: String,
    },
    /// There is something more.
    Add {
        /// In which picture.
        frame: WrittenFrame,
        /// Where.
        #[serde(rename = "box")]
        bounds: WrittenBox,
        /// What it is.
        product: String,
    },
    /// A movement is certain.
    Confirm(WrittenMovement),
    /// A movement never was.
    Refuse(WrittenMovement),
    /// Somebody counted.
    Count {
        /// Where.
        appliance: String,
        /// What.
        product: String,
        /// When.
        at: jiff::Timestamp,
        /// How many.
        count: i64,
    },
    /// A product's record is another.
    Product {
        /// Which.
        product: String,
        /// What people call it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Category path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<String>,
        /// Brand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        brand: Option<String>,
        /// Weight of a full package, in milligrams.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        package_mg: Option<i64>,
        /// Days that it keeps.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shelf_life_days: Option<u32>,
    },
    /// A product is another.
    Merge {
        /// Which.
        product: String,
        /// What it is in truth.
        into: String,
    },
    /// There is no such product.
    Remove {
        /// Which.
        product: String,
    },
    /// An appliance's record is another.
    Appliance {
        /// Which.
        appliance: String,
        /// Whose it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        household: Option<String>,
        /// Where it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
        /// IANA time zone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time_zone: Option<String>,
        /// A candidate below is not taken for the product; 0 to 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_score: Option<f64>,
        /// What is surer needs no review; 0 to 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        review_below: Option<f64>,
        /// A market cell with fewer households is withheld.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_households: Option<u32>,
    },
    /// A sensor was off for a while.
    Calibrate {
        /// Whose.
        appliance: String,
        /// Which.
        sensor: String,
        /// From when, by its own clock.
        from: jiff::Timestamp,
        /// Until when, by its own clock.
        until: jiff::Timestamp,
        /// What to add to its values, in the unit of `readings.value`.
        #[serde(default)]
        offset: i64,
        /// What to add to its times, in seconds.
        #[serde(default)]
        skew_seconds: f64,
    },
    /// A correction does not hold.
    Undo {
        /// Its id.
        correction: String,
    },
    /// A correction that was undone holds again.
    Restore {
        /// Its id.
        correction: String,
    },
}

impl Written {
    /// The correction that a JSON document tells.
    ///
    /// # Errors
    /// [`WrittenError::Json`] naming what is wrong in it, and where.
    pub fn parse(json: &str) -> Result<Self, WrittenError> {
        Ok(serde_json::from_str(json)?)
    }

    /// The id that it has, or that follows from all else: the same correction again is the same one.
    pub fn id(&self) -> String {
        if !self.id.is_empty() {
            return self.id.clone();
        }
        let told = serde_json::to_string(self).unwrap_or_default();
        Digest::of(told.as_bytes()).to_string()[..12].to_owned()
    }

    /// The correction, its texts interned.
    ///
    /// # Errors
    /// [`WrittenError`] where a text cannot be interned, or a digest, score or span is none.
    pub fn correction(&self, names: &mut Names) -> Result<Correction, WrittenError> {
        Ok(Correction {
            time: time(self.time),
            id: names.intern(&self.id())?,
            author: names.intern(&self.author)?,
            reason: names.intern(&self.reason)?,
            change: self.change.change(names)?,
        })
    }

    /// A correction as it would be written.
    ///
    /// # Errors
    /// [`Unnamed`] where a name in it has no text.
    pub fn of(correction: &Correction, names: &Names) -> Result<Self, Unnamed> {
        Ok(Self {
            id: text(correction.id, names)?,
            author: text(correction.author, names)?,
            time: stamp(correction.time),
            reason: text(correction.reason, names)?,
            change: WrittenChange::of(&correction.change, names)?,
        })
    }
}

/// A name that was never interned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name {0:?} has no text")]
pub struct Unnamed(pub Name);

fn text(name: Name, names: &Names) -> Result<String, Unnamed> {
    let text = names.text(name);
    if text.is_empty() && name != Name::default() { Err(Unnamed(name)) } else { Ok(text.to_owned()) }
}

fn time(stamp: jiff::Timestamp) -> Time {
    Time(stamp.as_microsecond())
}

/// A time as it is written; the nearest that can be, where it is too far off.
pub(crate) fn stamp(time: Time) -> jiff::Timestamp {
    let within = time.0.clamp(jiff::Timestamp::MIN.as_microsecond(), jiff::Timestamp::MAX.as_microsecond());
    jiff::Timestamp::from_microsecond(within).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

fn bounds([left, top, right, bottom]: WrittenBox) -> BoundingBox {
    BoundingBox { left, top, right, bottom }
}

fn written_box(BoundingBox { left, top, right, bottom }: BoundingBox) -> WrittenBox {
    [left, top, right, bottom]
}

fn ppm(score: f64) -> Result<Ppm, WrittenError> {
    match (score * f64::from(PPM)).round() {
        // no score rounds to more than a million
        ppm if (0.0..=f64::from(PPM)).contains(&ppm) => Ok(ppm as Ppm),
        _ => Err(WrittenError::Score(score)),
    }
}

impl WrittenFrame {
    fn key(&self, names: &mut Names) -> Result<FrameKey, WrittenError> {
        Ok(FrameKey {
            appliance: ApplianceId(names.intern(&self.appliance)?),
            sensor: SensorId(names.intern(&self.sensor)?),
            time: time(self.time),
            hash: self.hash.parse().map_err(|_| WrittenError::Frame(self.hash.clone()))?,
        })
    }

    /// The frame of `key` as it would be written.
    ///
    /// # Errors
    /// [`Unnamed`] where a name in it has no text.
    pub fn of(key: FrameKey, names: &Names) -> Result<Self, Unnamed> {
        Ok(Self {
            appliance: text(key.appliance.0, names)?,
            sensor: text(key.sensor.0, names)?,
            time: stamp(key.time),
            hash: key.hash.to_string(),
        })
    }
}

impl WrittenMovement {
    fn key(&self, names: &mut Names) -> Result<MovementKey, WrittenError> {
        Ok(MovementKey {
            appliance: ApplianceId(names.intern(&self.appliance)?),
            time: time(self.time),
            product: ProductId(names.intern(&self.product)?),
            kind: self.kind,
        })
    }

    fn of(key: MovementKey, names: &Names) -> Result<Self, Unnamed> {
        Ok(Self {
            appliance: text(key.appliance.0, names)?,
            time: stamp(key.time),
            product: text(key.product.0, names)?,
            kind: key.kind,
        })
    }
}

impl WrittenChange {
    /// Its fields in one line of JSON, without the word that names it.
    pub fn fields(&self) -> String {
        let change = serde_json::to_value(self).unwrap_or_default();
        change.as_object().and_then(|change| change.values().next()).cloned().unwrap_or_default().to_string()
    }

    /// What is changed, its texts interned.
    ///
    /// # Errors
    /// Those of [`Written::correction`].
    pub fn change(&self, names: &mut Names) -> Result<Change, WrittenError> {
        fn product(text: &str, names: &mut Names) -> Result<ProductId, IdCollision> {
            Ok(ProductId(names.intern(text)?))
        }
        fn some(text: &Option<String>, names: &mut Names) -> Result<Option<Name>, IdCollision> {
            text.as_deref().map(|text| names.intern(text)).transpose()
        }
        Ok(match self {
            Self::Relabel { frame, bounds: at, product: is } => Change::Picture {
                frame: frame.key(names)?,
                amendment: Amendment::Relabel { bounds: bounds(*at), product: product(is, names)? },
            },
            Self::Reject { frame, bounds: at } => {
                Change::Picture { frame: frame.key(names)?, amendment: Amendment::Reject { bounds: bounds(*at) } }
            }
            Self::Split { frame, bounds: at, parts } => {
                let part = |part: &WrittenPart| Ok((bounds(part.bounds), product(&part.product, names)?));
                let parts = parts.iter().map(part).collect::<Result<_, IdCollision>>()?;
                Change::Picture { frame: frame.key(names)?, amendment: Amendment::Split { bounds: bounds(*at), parts } }
            }
            Self::Join { frame, boxes, product: is } => Change::Picture {
                frame: frame.key(names)?,
                amendment: Amendment::Join {
                    bounds: boxes.iter().copied().map(bounds).collect(),
                    product: product(is, names)?,
                },
            },
            Self::Add { frame, bounds: at, product: is } => Change::Picture {
                frame: frame.key(names)?,
                amendment: Amendment::Add { bounds: bounds(*at), product: product(is, names)? },
            },
            Self::Confirm(movement) => Change::Movement { movement: movement.key(names)?, confirmed: true },
            Self::Refuse(movement) => Change::Movement { movement: movement.key(names)?, confirmed: false },
            Self::Count { appliance, product: of, at, count } => Change::Count {
                appliance: ApplianceId(names.intern(appliance)?),
                product: product(of, names)?,
                at: time(*at),
                count: *count,
            },
            Self::Product { product: of, name, category, brand, package_mg, shelf_life_days } => Change::Product {
                product: product(of, names)?,
                fields: ProductFields {
                    name: some(name, names)?,
                    category: some(category, names)?,
                    brand: some(brand, names)?,
                    package_mg: *package_mg,
                    shelf_life_days: *shelf_life_days,
                },
            },
            Self::Merge { product: of, into } => {
                Change::Merge { product: product(of, names)?, into: product(into, names)? }
            }
            Self::Remove { product: of } => Change::Remove { product: product(of, names)? },
            Self::Appliance { appliance, household, region, time_zone, min_score, review_below, min_households } => {
                Change::Appliance {
                    appliance: ApplianceId(names.intern(appliance)?),
                    fields: ApplianceFields {
                        household: some(household, names)?.map(HouseholdId),
                        region: some(region, names)?,
                        time_zone: some(time_zone, names)?,
                        min_score: min_score.map(ppm).transpose()?,
                        review_below: review_below.map(ppm).transpose()?,
                        min_households: *min_households,
                    },
                }
            }
            Self::Calibrate { appliance, sensor, from, until, offset, skew_seconds } => {
                let skew = skew_seconds * Time::SECOND as f64;
                if skew.is_nan() || skew.abs() > Time::DAY as f64 * 36_600.0 {
                    return Err(WrittenError::Span(*skew_seconds));
                }
                Change::Calibration {
                    appliance: ApplianceId(names.intern(appliance)?),
                    sensor: SensorId(names.intern(sensor)?),
                    from: time(*from),
                    until: time(*until),
                    offset: *offset,
                    skew: skew.round() as i64,
                }
            }
            Self::Undo { correction } => Change::Undo { correction: names.intern(correction)? },
            Self::Restore { correction } => Change::Restore { correction: names.intern(correction)? },
        })
    }

    /// `change` as it would be written.
    ///
    /// # Errors
    /// [`Unnamed`] where a name in it has no text.
    pub fn of(change: &Change, names: &Names) -> Result<Self, Unnamed> {
        let text = |name: Name| text(name, names);
        let some = |name: Option<Name>| name.map(text).transpose();
        Ok(match change {
            Change::Picture { frame, amendment } => {
                let frame = WrittenFrame::of(*frame, names)?;
                match amendment {
                    Amendment::Relabel { bounds, product } => {
                        Self::Relabel { frame, bounds: written_box(*bounds), product: text(product.0)? }
                    }
                    Amendment::Reject { bounds } => Self::Reject { frame, bounds: written_box(*bounds) },
                    Amendment::Split { bounds, parts } => {
                        let part = |(bounds, product): &(BoundingBox, ProductId)| {
                            Ok(WrittenPart { bounds: written_box(*bounds), product: text(product.0)? })
                        };
                        let parts = parts.iter().map(part).collect::<Result<_, Unnamed>>()?;
                        Self::Split { frame, bounds: written_box(*bounds), parts }
                    }
                    Amendment::Join { bounds, product } => Self::Join {
                        frame,
                        boxes: bounds.iter().copied().map(written_box).collect(),
                        product: text(product.0)?,
                    },
                    Amendment::Add { bounds, product } => {
                        Self::Add { frame, bounds: written_box(*bounds), product: text(product.0)? }
                    }
                }
            }
            Change::Movement { movement, confirmed: true } => Self::Confirm(WrittenMovement::of(*movement, names)?),
            Change::Movement { movement, confirmed: false } => Self::Refuse(WrittenMovement::of(*movement, names)?),
            Change::Count { appliance, product, at, count } => {
                Self::Count { appliance: text(appliance.0)?, product: text(product.0)?, at: stamp(*at), count: *count }
            }
            Change::Product { product, fields } => Self::Product {
                product: text(product.0)?,
                name: some(fields.name)?,
                category: some(fields.category)?,
                brand: some(fields.brand)?,
                package_mg: fields.package_mg,
                shelf_life_days: fields.shelf_life_days,
            },
            Change::Merge { product, into } => Self::Merge { product: text(product.0)?, into: text(into.0)? },
            Change::Remove { product } => Self::Remove { product: text(product.0)? },
            Change::Appliance { appliance, fields } => {
                let score = |ppm: Ppm| f64::from(ppm) / f64::from(PPM);
                Self::Appliance {
                    appliance: text(appliance.0)?,
                    household: some(fields.household.map(|household| household.0))?,
                    region: some(fields.region)?,
                    time_zone: some(fields.time_zone)?,
                    min_score: fields.min_score.map(score),
                    review_below: fields.review_below.map(score),
                    min_households: fields.min_households,
                }
            }
            Change::Calibration { appliance, sensor, from, until, offset, skew } => Self::Calibrate {
                appliance: text(appliance.0)?,
                sensor: text(sensor.0)?,
                from: stamp(*from),
                until: stamp(*until),
                offset: *offset,
                skew_seconds: *skew as f64 / Time::SECOND as f64,
            },
            Change::Undo { correction } => Self::Undo { correction: text(*correction)? },
            Change::Restore { correction } => Self::Restore { correction: text(*correction)? },
        })
    }
}
