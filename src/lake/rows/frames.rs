//! What vision said: a row a frame, and a row a sighting.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::RecordBatch;
use larder_records::{
    ApplianceId, BoundingBox, Candidate, Digest, FrameKey, FrameResult, Grid, Modality, Name, Names, Ppm, ProductId,
    SensorId, Sighting, Time,
};

use super::{
    Month,
    visions::{Held, day_of},
};
use crate::lake::{
    LakeError,
    cells::{Cell, Reader, Score},
    error::ColumnError,
    row::{Row as _, table},
};

/// A [`FrameResult`] without its sightings. A frame whose row is there is there with all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lake) struct FrameRow {
    key: FrameKey,
    modality: Modality,
    fingerprint: Digest,
    width: u16,
    height: u16,
    sightings: u32,
    grid: Option<Grid>,
}

/// A [`Sighting`] and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lake) struct SightingRow {
    key: FrameKey,
    fingerprint: Digest,
    index: u16,
    modality: Modality,
    sighting: Sighting,
}

/// What tells vision results apart.
pub(in crate::lake) type ResultKey = (FrameKey, Digest);

impl FrameRow {
    pub(in crate::lake) fn key(&self) -> ResultKey {
        (self.key, self.fingerprint)
    }
}

impl SightingRow {
    pub(in crate::lake) fn key(&self) -> ResultKey {
        (self.key, self.fingerprint)
    }
}

/// `result` as rows of both tables. Of a frame with more sightings than an index can number, the rest is left out.
pub(in crate::lake) fn split(result: &FrameResult) -> (FrameRow, Vec<SightingRow>) {
    let sightings: Vec<_> = (0..=u16::MAX)
        .zip(&result.sightings)
        .map(|(index, sighting)| SightingRow {
            key: result.key,
            fingerprint: result.fingerprint,
            index,
            modality: result.modality,
            sighting: sighting.clone(),
        })
        .collect();
    let frame = FrameRow {
        key: result.key,
        modality: result.modality,
        fingerprint: result.fingerprint,
        width: result.width,
        height: result.height,
        sightings: u32::try_from(sightings.len()).unwrap_or(u32::MAX),
        grid: result.grid.clone(),
    };
    (frame, sightings)
}

/// The inverse of [`split`]. Sightings of no frame are dropped: their frame's commit never came.
pub(in crate::lake) fn join(frames: Vec<FrameRow>, sightings: Vec<SightingRow>) -> Vec<FrameResult> {
    let mut of_frame: BTreeMap<ResultKey, Vec<(u16, Sighting)>> = BTreeMap::new();
    for row in sightings {
        of_frame.entry(row.key()).or_default().push((row.index, row.sighting));
    }
    frames
        .into_iter()
        .map(|frame| {
            let mut sightings = of_frame.remove(&frame.key()).unwrap_or_default();
            sightings.sort();
            // should a crash have left one twice, it is one
            sightings.dedup_by_key(|(index, _)| *index);
            FrameResult {
                key: frame.key,
                modality: frame.modality,
                fingerprint: frame.fingerprint,
                width: frame.width,
                height: frame.height,
                sightings: sightings.into_iter().map(|(_, sighting)| sighting).collect(),
                grid: frame.grid,
            }
        })
        .collect()
}

/// The columns that [`visions`] reads, in the order of the file.
pub(in crate::lake) const VISIONS: [&str; 3] = ["appliance", "time", "fingerprint"];

/// The fingerprints that hold by `held` of each appliance in the columns [`VISIONS`].
pub(in crate::lake) fn visions(
    batch: &RecordBatch,
    held: &Held,
) -> Result<HashMap<ApplianceId, BTreeSet<Digest>>, LakeError> {
    let mut seen: HashMap<ApplianceId, BTreeSet<Digest>> = HashMap::new();
    let all = |_, _| true;
    each(FrameRow::TABLE.name, batch, VISIONS, all, |appliance, time, fingerprint: Digest| {
        if held.get(appliance, day_of(time)).is_none_or(|of_day| of_day == fingerprint) {
            seen.entry(appliance).or_default().insert(fingerprint);
        }
    })?;
    Ok(seen)
}

/// The columns that [`candidates`] reads, in the order of the file.
pub(in crate::lake) const CANDIDATES: [&str; 3] = ["appliance", "time", "candidates"];

/// By product, in the frames of which appliances a sighting of the columns [`CANDIDATES`] that is wanted has it as a candidate.
pub(in crate::lake) fn candidates(
    batch: &RecordBatch,
    wanted: impl Fn(ApplianceId, Time) -> bool,
) -> Result<HashMap<ProductId, BTreeSet<ApplianceId>>, LakeError> {
    let mut seen: HashMap<ProductId, BTreeSet<ApplianceId>> = HashMap::new();
    each(SightingRow::TABLE.name, batch, CANDIDATES, wanted, |appliance, _, candidates: Vec<Candidate>| {
        for candidate in candidates {
            seen.entry(candidate.product).or_default().insert(appliance);
        }
    })?;
    Ok(seen)
}

/// Tells of each row that is wanted: whose it is, of when, and the cell of the third of `columns`.
fn each<C: Cell>(
    table: &'static str,
    batch: &RecordBatch,
    columns: [&'static str; 3],
    wanted: impl Fn(ApplianceId, Time) -> bool,
    mut tell: impl FnMut(ApplianceId, Time, C),
) -> Result<(), LakeError> {
    let mut names = Names::default();
    let mut read = || -> Result<(), ColumnError> {
        let appliances = Reader::new::<Name>(batch, columns[0])?;
        let times = Reader::new::<Time>(batch, columns[1])?;
        let cells = Reader::new::<C>(batch, columns[2])?;
        for n in 0..batch.num_rows() {
            let (appliance, time) = (ApplianceId(appliances.get(n, &mut names)?), times.get(n, &mut names)?);
            if wanted(appliance, time) {
                tell(appliance, time, cells.get(n, &mut names)?);
            }
        }
        Ok(())
    };
    read().map_err(|error| LakeError::column(table, error))
}

fn grid(columns: Option<u16>, rows: Option<u16>, cells: Option<Vec<u16>>) -> Option<Grid> {
    Some(Grid { columns: columns?, rows: rows?, cells: cells? })
}

table! {
    FrameRow as "frames", partition ["month"], feed false;
    columns |row| {
        appliance: Name = row.key.appliance.0,
        sensor: Name = row.key.sensor.0,
        time: Time = row.key.time,
        frame_hash: Digest = row.key.hash,
        fingerprint: Digest = row.fingerprint,
        modality: Modality = row.modality,
        width: u16 = row.width,
        height: u16 = row.height,
        sightings: u32 = row.sightings,
        grid_columns: Option<u16> = row.grid.as_ref().map(|grid| grid.columns),
        grid_rows: Option<u16> = row.grid.as_ref().map(|grid| grid.rows),
        grid_cells: Option<Vec<u16>> = row.grid.as_ref().map(|grid| grid.cells.clone()),
    }
    derived { month: Month = Month(row.key.time) }
    read FrameRow {
        key: FrameKey { appliance: ApplianceId(appliance), sensor: SensorId(sensor), time, hash: frame_hash },
        modality,
        fingerprint,
        width,
        height,
        sightings,
        grid: grid(grid_columns, grid_rows, grid_cells),
    }
}

table! {
    SightingRow as "sightings", partition ["month"], feed false;
    columns |row| {
        appliance: Name = row.key.appliance.0,
        sensor: Name = row.key.sensor.0,
        time: Time = row.key.time,
        frame_hash: Digest = row.key.hash,
        fingerprint: Digest = row.fingerprint,
        sighting_index: u16 = row.index,
        modality: Modality = row.modality,
        box_left: u16 = row.sighting.bounds.left,
        box_top: u16 = row.sighting.bounds.top,
        box_right: u16 = row.sighting.bounds.right,
        box_bottom: u16 = row.sighting.bounds.bottom,
        detection: Score = Score(row.sighting.detection),
        depth_mm: Option<u16> = row.sighting.depth_mm,
        heat_ck: Option<u16> = row.sighting.heat_ck,
        candidates: Vec<Candidate> = row.sighting.candidates.clone(),
        classes: Vec<(Name, Ppm)> = row.sighting.classes.clone(),
        embedding: Vec<i8> = row.sighting.embedding.clone(),
    }
    derived {
        best_sku: Option<Name> = row.sighting.candidates.first().map(|candidate| candidate.product.0),
        best_score: Option<Score> = row.sighting.candidates.first().map(|candidate| Score(candidate.score)),
        month: Month = Month(row.key.time),
    }
    read SightingRow {
        key: FrameKey { appliance: ApplianceId(appliance), sensor: SensorId(sensor), time, hash: frame_hash },
        fingerprint,
        index: sighting_index,
        modality,
        sighting: Sighting {
            bounds: BoundingBox { left: box_left, top: box_top, right: box_right, bottom: box_bottom },
            detection: detection.0,
            candidates,
            classes,
            embedding,
            depth_mm,
            heat_ck,
        },
    }
}
