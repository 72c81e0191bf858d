//! What vision saw: sightings, before any threshold and before any choice of product.

use serde::{Deserialize, Serialize};

use crate::{ApplianceId, Digest, Modality, Name, ProductId, SensorId, Time};

/// Parts per million: a score or a confidence from 0 to [`PPM`].
pub type Ppm = u32;

/// One, in parts per million.
pub const PPM: Ppm = 1_000_000;

/// The identity of one image frame. A frame delivered twice has one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FrameKey {
    /// Whose sensor.
    pub appliance: ApplianceId,
    /// Which sensor.
    pub sensor: SensorId,
    /// Event time.
    pub time: Time,
    /// The digest of the picture's bytes.
    pub hash: Digest,
}

/// Pixels of the frame: left and top inclusive, right and bottom exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Left edge.
    pub left: u16,
    /// Top edge.
    pub top: u16,
    /// Right edge, exclusive.
    pub right: u16,
    /// Bottom edge, exclusive.
    pub bottom: u16,
}

impl BoundingBox {
    /// Its area, in pixels; 0 for an empty or inverted box.
    pub fn area(self) -> u64 {
        u64::from(self.right.saturating_sub(self.left)) * u64::from(self.bottom.saturating_sub(self.top))
    }

    /// The area that it shares with `other`, in pixels.
    pub fn overlap(self, other: Self) -> u64 {
        Self {
            left: self.left.max(other.left),
            top: self.top.max(other.top),
            right: self.right.min(other.right),
            bottom: self.bottom.min(other.bottom),
        }
        .area()
    }

    /// The smallest box around both.
    pub fn around(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// Intersection over union.
    pub fn iou(self, other: Self) -> Ppm {
        let shared = self.overlap(other);
        let union = self.area() + other.area() - shared;
        (shared * u64::from(PPM)).checked_div(union).map_or(0, |iou| u32::try_from(iou).unwrap_or(PPM))
    }
}

/// A product that a sighting may be, with its score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Candidate {
    /// Which product.
    pub product: ProductId,
    /// How like it.
    pub score: Ppm,
}

/// One object seen in one frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// Where.
    pub bounds: BoundingBox,
    /// How sure the detector is that something is there.
    pub detection: Ppm,
    /// What it may be, best first; equal scores by product id. At most one a product.
    pub candidates: Vec<Candidate>,
    /// What the detector or classifier calls it (`bottle`, ...), best first.
    pub classes: Vec<(Name, Ppm)>,
    /// The descriptor of the box, each component times 127; empty for depth and infrared.
    pub embedding: Vec<i8>,
    /// Median distance in the box, in millimetres; depth frames only.
    pub depth_mm: Option<u16>,
    /// Median temperature in the box, in hundredths of a kelvin; infrared frames only.
    pub heat_ck: Option<u16>,
}

impl Sighting {
    /// The best candidate, where its score reaches `min_score`.
    pub fn taken_for(&self, min_score: Ppm) -> Option<Candidate> {
        self.candidates.first().copied().filter(|best| best.score >= min_score)
    }
}

/// A coarse picture of a depth or infrared frame: the median of each cell, row after row, 0 where there is no reading.
///
/// Depth and heat of a box seen by another sensor are looked up here, so that vision treats each frame by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grid {
    /// Cells a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// `columns * rows` medians, in the unit of the frame's modality.
    pub cells: Vec<u16>,
}

impl Grid {
    /// The reading at a box of a picture of the same view, `width` by `height` pixels: the lower median of the cells that have
    /// a reading and their centre in the box, or, where the box holds no centre, the cell that holds the box's. None where
    /// there is no reading.
    ///
    /// ```
    /// use larder_records::{BoundingBox, Grid};
    ///
    /// let grid = Grid { columns: 2, rows: 1, cells: vec![700, 300] };
    /// let at = |left, right| grid.at(BoundingBox { left, top: 0, right, bottom: 50 }, 100, 50);
    /// assert_eq!((at(0, 60), at(60, 100), at(0, 100), at(90, 95)), (Some(700), Some(300), Some(300), Some(300)));
    /// ```
    pub fn at(&self, bounds: BoundingBox, width: u16, height: u16) -> Option<u16> {
        let cells = |low: u16, high: u16, cells: u16, pixels: u16| {
            // The centre of cell n is pixel (n + 1/2) * pixels / cells: everything is doubled to stay whole.
            let (low, high, cells, pixels) = (u64::from(low), u64::from(high), u64::from(cells), u64::from(pixels));
            let first =
                |pixel: u64| (2 * pixel * cells).saturating_sub(pixels).div_ceil((2 * pixels).max(1)).min(cells);
            let (from, until) = (first(low), first(high));
            if from < until {
                return from..until;
            }
            let middle = (low + high) * cells / (2 * pixels).max(1);
            middle.min(cells)..(middle + 1).min(cells)
        };
        let columns = cells(bounds.left, bounds.right, self.columns, width);
        let mut found: Vec<u16> = cells(bounds.top, bounds.bottom, self.rows, height)
            .flat_map(|row| columns.clone().map(move |column| row * u64::from(self.columns) + column))
            .filter_map(|cell| self.cells.get(usize::try_from(cell).ok()?).copied())
            .filter(|reading| *reading != 0)
            .collect();
        found.sort_unstable();
        found.get(found.len().saturating_sub(1) / 2).copied()
    }
}

/// All that vision says of one image frame: a pure function of the frame's bytes and the fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FrameResult {
    /// Which frame.
    pub key: FrameKey,
    /// What its sensor measures.
    pub modality: Modality,
    /// The digest of everything else that the result depends on: models, parameters, kernel version, scene reference,
    /// reference pictures.
    pub fingerprint: Digest,
    /// Pixels a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// What was seen, from the top left; a frame with nothing in it has none.
    pub sightings: Vec<Sighting>,
    /// Depth and infrared frames only.
    pub grid: Option<Grid>,
}

impl FrameResult {
    /// The result as the dataflow needs it: embeddings and class names serve only to look candidates up again.
    #[must_use]
    pub fn without_embeddings(&self) -> Self {
        let bare = |sighting: &Sighting| Sighting {
            bounds: sighting.bounds,
            detection: sighting.detection,
            candidates: sighting.candidates.clone(),
            classes: Vec::new(),
            embedding: Vec::new(),
            depth_mm: sighting.depth_mm,
            heat_ck: sighting.heat_ck,
        };
        Self { sightings: self.sightings.iter().map(bare).collect(), grid: self.grid.clone(), ..*self }
    }
}

/// The identity of one sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SightingKey {
    /// In which frame.
    pub frame: FrameKey,
    /// Its place in [`FrameResult::sightings`].
    pub index: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_of_boxes_is_counted_in_pixels() {
        let a = BoundingBox { left: 0, top: 0, right: 10, bottom: 10 };
        let b = BoundingBox { left: 5, top: 5, right: 15, bottom: 15 };
        assert_eq!((a.area(), a.overlap(b), a.iou(b)), (100, 25, 142_857));
        let inverted = BoundingBox { left: 10, top: 0, right: 0, bottom: 10 };
        assert_eq!((inverted.area(), a.iou(inverted), inverted.iou(inverted)), (0, 0, 0));
    }
}
