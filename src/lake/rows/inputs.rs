//! The tables of the inputs.

use std::collections::BTreeMap;

use larder_records::{
    Appliance, ApplianceId, BoundingBox, Candidate, DeadLetter, DeadReason, DeclaredMovement, Digest, FrameKey,
    FrameResult, Grid, HouseholdId, Modality, Name, Position, Product, ProductId, Reading, Review, ReviewVerdict,
    SensorId, Sighting, SightingKey, Time,
};

use super::{
    Row,
    views::{get_reason, put_reason},
};
use crate::lake::{
    LakeError,
    columns::{Column, Kind, Reader, Writer},
};

fn get_modality(cells: &mut Reader<'_>) -> Result<Modality, LakeError> {
    Modality::from_name(cells.text()?).ok_or_else(|| cells.bad_word())
}

impl Row for Reading {
    const TABLE: &'static str = "readings";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("sensor", Kind::Text),
        ("modality", Kind::Text),
        ("time", Kind::Time),
        ("sequence", Kind::Long),
        ("value", Kind::Long),
    ];
    const CHANGE_FEED: bool = false;
    const BY_MONTH: bool = true;

    fn when(&self) -> Time {
        self.time
    }

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.appliance.0);
        cells.name(self.sensor.0);
        cells.text(Some(self.modality.as_str()));
        cells.time(self.time);
        cells.long(i64::from(self.sequence));
        cells.long(self.value);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            appliance: ApplianceId(cells.name()?),
            sensor: SensorId(cells.name()?),
            modality: get_modality(cells)?,
            time: cells.time()?,
            sequence: u32::try_from(cells.long()?).map_err(|_| cells.bad_word())?,
            value: cells.long()?,
        })
    }
}

/// A vision result without its sightings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lake) struct FrameRow {
    key: FrameKey,
    fingerprint: Digest,
    modality: Modality,
    width: u16,
    height: u16,
    sightings: u16,
    grid: Option<Grid>,
}

fn put_key(key: &FrameKey, cells: &mut Writer<'_>) {
    cells.name(key.appliance.0);
    cells.name(key.sensor.0);
    cells.time(key.time);
    cells.digest(Some(key.hash));
}

fn get_key(cells: &mut Reader<'_>) -> Result<FrameKey, LakeError> {
    Ok(FrameKey {
        appliance: ApplianceId(cells.name()?),
        sensor: SensorId(cells.name()?),
        time: cells.time()?,
        hash: cells.digest()?,
    })
}

impl Row for FrameRow {
    const TABLE: &'static str = "frames";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("sensor", Kind::Text),
        ("time", Kind::Time),
        ("frame_hash", Kind::Text),
        ("fingerprint", Kind::Text),
        ("modality", Kind::Text),
        ("width", Kind::Int),
        ("height", Kind::Int),
        ("sightings", Kind::Int),
        ("grid_columns", Kind::Int),
        ("grid", Kind::Ints),
    ];
    const CHANGE_FEED: bool = false;
    const BY_MONTH: bool = true;

    fn when(&self) -> Time {
        self.key.time
    }

    fn put(&self, cells: &mut Writer<'_>) {
        put_key(&self.key, cells);
        cells.digest(Some(self.fingerprint));
        cells.text(Some(self.modality.as_str()));
        for number in [self.width, self.height, self.sightings] {
            cells.int(i32::from(number));
        }
        cells.int(self.grid.as_ref().map(|grid| i32::from(grid.columns)));
        cells.ints(self.grid.as_ref().map(|grid| grid.cells.iter().map(|cell| i32::from(*cell))));
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        let key = get_key(cells)?;
        let fingerprint = cells.digest()?;
        let modality = get_modality(cells)?;
        let [width, height, sightings] = [cells.small()?, cells.small()?, cells.small()?];
        let columns = cells.optional_int().and_then(|columns| u16::try_from(columns).ok());
        let grid = columns.zip(cells.ints::<u16>()?).map(|(columns, cells)| Grid {
            columns,
            rows: u16::try_from(cells.len() / usize::from(columns.max(1))).unwrap_or(u16::MAX),
            cells,
        });
        Ok(Self { key, fingerprint, modality, width, height, sightings, grid })
    }
}

/// One sighting of a vision result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lake) struct SightingRow {
    key: SightingKey,
    fingerprint: Digest,
    sighting: Sighting,
}

impl Row for SightingRow {
    const TABLE: &'static str = "sightings";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("sensor", Kind::Text),
        ("time", Kind::Time),
        ("frame_hash", Kind::Text),
        ("fingerprint", Kind::Text),
        ("sighting", Kind::Int),
        ("left", Kind::Int),
        ("top", Kind::Int),
        ("right", Kind::Int),
        ("bottom", Kind::Int),
        ("detection_ppm", Kind::Int),
        ("candidates", Kind::Candidates),
        ("classes", Kind::Classes),
        ("embedding", Kind::Bytes),
        ("depth_mm", Kind::Int),
        ("heat_ck", Kind::Int),
    ];
    const CHANGE_FEED: bool = false;
    const BY_MONTH: bool = true;

    fn when(&self) -> Time {
        self.key.frame.time
    }

    fn put(&self, cells: &mut Writer<'_>) {
        let seen = &self.sighting;
        put_key(&self.key.frame, cells);
        cells.digest(Some(self.fingerprint));
        cells.int(i32::from(self.key.index));
        for edge in [seen.bounds.left, seen.bounds.top, seen.bounds.right, seen.bounds.bottom] {
            cells.int(i32::from(edge));
        }
        cells.small(seen.detection);
        cells.scored(seen.candidates.iter().map(|candidate| (candidate.product.0, candidate.score)));
        cells.scored(seen.classes.iter().copied());
        let bytes: Vec<u8> = seen.embedding.iter().map(|component| component.cast_unsigned()).collect();
        cells.bytes(&bytes);
        cells.int(seen.depth_mm.map(i32::from));
        cells.int(seen.heat_ck.map(i32::from));
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        let frame = get_key(cells)?;
        let fingerprint = cells.digest()?;
        let index = cells.small()?;
        let bounds =
            BoundingBox { left: cells.small()?, top: cells.small()?, right: cells.small()?, bottom: cells.small()? };
        let detection = cells.small()?;
        let candidates = cells.scored()?.into_iter();
        let candidates = candidates.map(|(name, score)| Candidate { product: ProductId(name), score }).collect();
        let classes = cells.scored()?;
        let embedding = cells.bytes()?.iter().map(|byte| byte.cast_signed()).collect();
        let mut optional = || cells.optional_int().and_then(|number| u16::try_from(number).ok());
        let (depth_mm, heat_ck) = (optional(), optional());
        let sighting = Sighting { bounds, detection, candidates, classes, embedding, depth_mm, heat_ck };
        Ok(Self { key: SightingKey { frame, index }, fingerprint, sighting })
    }
}

/// Vision results as rows of the two tables.
pub(in crate::lake) fn split_frames(results: &[FrameResult]) -> (Vec<FrameRow>, Vec<SightingRow>) {
    let mut sightings = Vec::new();
    let frames = results
        .iter()
        .map(|result| {
            for (index, sighting) in (0..).zip(&result.sightings) {
                let key = SightingKey { frame: result.key, index };
                sightings.push(SightingRow { key, fingerprint: result.fingerprint, sighting: sighting.clone() });
            }
            FrameRow {
                key: result.key,
                fingerprint: result.fingerprint,
                modality: result.modality,
                width: result.width,
                height: result.height,
                sightings: u16::try_from(result.sightings.len()).unwrap_or(u16::MAX),
                grid: result.grid.clone(),
            }
        })
        .collect();
    (frames, sightings)
}

/// The reverse of [`split_frames`]. A frame of which a sighting is missing is left out: a crash came between the two
/// commits, and the frame is to be seen again.
pub(in crate::lake) fn join_frames(frames: Vec<FrameRow>, sightings: Vec<SightingRow>) -> Vec<FrameResult> {
    let mut by_frame: BTreeMap<(FrameKey, Digest), BTreeMap<u16, Sighting>> = BTreeMap::new();
    for row in sightings {
        by_frame.entry((row.key.frame, row.fingerprint)).or_default().insert(row.key.index, row.sighting);
    }
    let mut results = Vec::with_capacity(frames.len());
    for row in frames {
        let seen = by_frame.remove(&(row.key, row.fingerprint)).unwrap_or_default();
        if seen.len() == usize::from(row.sightings) {
            results.push(FrameResult {
                key: row.key,
                modality: row.modality,
                fingerprint: row.fingerprint,
                width: row.width,
                height: row.height,
                sightings: seen.into_values().collect(),
                grid: row.grid,
            });
        }
    }
    results
}

impl Row for DeclaredMovement {
    const TABLE: &'static str = "declared";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("time", Kind::Time),
        ("id", Kind::Text),
        ("source", Kind::Text),
        ("sku", Kind::Text),
        ("quantity", Kind::Long),
        ("go", Kind::Text),
        ("reason", Kind::Text),
        ("cents", Kind::Long),
    ];
    const CHANGE_FEED: bool = false;
    const BY_MONTH: bool = true;

    fn when(&self) -> Time {
        self.time
    }

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.appliance.0);
        cells.time(self.time);
        cells.name(self.id);
        cells.name(self.source);
        cells.name(self.product.0);
        cells.long(self.quantity);
        cells.name(self.group);
        put_reason(self.reason, cells);
        cells.long(self.cents);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            appliance: ApplianceId(cells.name()?),
            time: cells.time()?,
            id: cells.name()?,
            source: cells.name()?,
            product: ProductId(cells.name()?),
            quantity: cells.long()?,
            group: cells.name()?,
            reason: get_reason(cells)?,
            cents: cells.long()?,
        })
    }
}

impl Row for Product {
    const TABLE: &'static str = "products";
    const COLUMNS: &'static [Column] = &[
        ("sku", Kind::Text),
        ("as_of", Kind::Time),
        ("name", Kind::Text),
        ("category", Kind::Text),
        ("brand", Kind::Text),
        ("package_mg", Kind::Long),
        ("shelf_life_days", Kind::Long),
    ];

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.id.0);
        cells.time(self.as_of);
        cells.name(self.name);
        cells.name(self.category);
        cells.name(self.brand);
        cells.long(self.package_mg);
        cells.long(i64::from(self.shelf_life_days));
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            id: ProductId(cells.name()?),
            as_of: cells.time()?,
            name: cells.name()?,
            category: cells.name()?,
            brand: cells.name()?,
            package_mg: cells.long()?,
            shelf_life_days: u32::try_from(cells.long()?).map_err(|_| cells.bad_word())?,
        })
    }
}

impl Row for Appliance {
    const TABLE: &'static str = "appliances";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("as_of", Kind::Time),
        ("household", Kind::Text),
        ("region", Kind::Text),
        ("kind", Kind::Text),
        ("model", Kind::Text),
        ("time_zone", Kind::Text),
        ("min_score_ppm", Kind::Int),
        ("review_below_ppm", Kind::Int),
        ("min_households", Kind::Int),
    ];

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.id.0);
        cells.time(self.as_of);
        for name in [self.household.0, self.region, self.kind, self.model, self.time_zone] {
            cells.name(name);
        }
        for number in [self.min_score, self.review_below, self.min_households] {
            cells.small(number);
        }
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            id: ApplianceId(cells.name()?),
            as_of: cells.time()?,
            household: HouseholdId(cells.name()?),
            region: cells.name()?,
            kind: cells.name()?,
            model: cells.name()?,
            time_zone: cells.name()?,
            min_score: cells.small()?,
            review_below: cells.small()?,
            min_households: cells.small()?,
        })
    }
}

impl Row for Review {
    const TABLE: &'static str = "reviews";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("sensor", Kind::Text),
        ("frame_time", Kind::Time),
        ("frame_hash", Kind::Text),
        ("sighting", Kind::Int),
        ("time", Kind::Time),
        ("sku", Kind::Text),
    ];

    fn put(&self, cells: &mut Writer<'_>) {
        put_key(&self.sighting.frame, cells);
        cells.int(i32::from(self.sighting.index));
        cells.time(self.time);
        cells.name(match self.verdict {
            ReviewVerdict::Reject => Name::default(),
            ReviewVerdict::Product(product) => product.0,
        });
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        let sighting = SightingKey { frame: get_key(cells)?, index: cells.small()? };
        let time = cells.time()?;
        let product = cells.name()?;
        let verdict =
            if product == Name::default() { ReviewVerdict::Reject } else { ReviewVerdict::Product(ProductId(product)) };
        Ok(Self { sighting, time, verdict })
    }
}

impl Row for DeadLetter {
    const TABLE: &'static str = "dead_letters";
    const COLUMNS: &'static [Column] =
        &[("source", Kind::Text), ("offset", Kind::Long), ("reason", Kind::Text), ("detail", Kind::Text)];
    const CHANGE_FEED: bool = false;

    fn put(&self, cells: &mut Writer<'_>) {
        cells.text(Some(&self.position.source));
        cells.long(i64::try_from(self.position.offset).unwrap_or(i64::MAX));
        cells.text(Some(self.reason.as_str()));
        cells.text(Some(&self.detail));
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        let source = cells.text()?.into();
        let offset = u64::try_from(cells.long()?).map_err(|_| cells.bad_word())?;
        let reason = DeadReason::from_name(cells.text()?).ok_or_else(|| cells.bad_word())?;
        let detail = cells.text()?.to_owned();
        Ok(Self { position: Position { source, offset }, reason, detail })
    }
}
