//! The inside of the simulated fridge and the camera in its door. Millimetres: x to the right, y up, z into the fridge; the
//! origin is the middle of the floor's front edge.

use super::products::{GOODS, Good};

/// Half the width inside.
pub(super) const HALF_WIDTH: f32 = 360.0;
/// The height inside.
pub(super) const HEIGHT: f32 = 630.0;
/// The depth inside.
pub(super) const DEPTH: f32 = 380.0;
/// The heights of the floor and the two shelves.
pub(super) const SHELVES: [f32; 3] = [0.0, 265.0, 465.0];
/// How thick a shelf is, below its surface.
pub(super) const SHELF_THICKNESS: f32 = 9.0;

/// Pixels of the visible picture.
pub(super) const PICTURE: (usize, usize) = (640, 480);

/// Focal length, in pixels of the visible picture.
const FOCAL: f32 = 420.0;
/// The principal point, in pixels of the visible picture.
const CENTRE: (f32, f32) = (320.0, 178.0);
/// Where the camera is: it looks straight along z.
pub(super) const CAMERA: [f32; 3] = [0.0, 400.0, -560.0];

/// The direction in which the camera sees the point (x, y) of its picture, 1 long along z.
pub(super) fn ray(x: f32, y: f32) -> [f32; 3] {
    [(x - CENTRE.0) / FOCAL, (CENTRE.1 - y) / FOCAL, 1.0]
}

/// Where in the picture the camera sees a point in front of it.
pub(super) fn project(point: [f32; 3]) -> (f32, f32) {
    let away = point[2] - CAMERA[2];
    (CENTRE.0 + FOCAL * (point[0] - CAMERA[0]) / away, CENTRE.1 - FOCAL * (point[1] - CAMERA[1]) / away)
}

/// A place that a package can stand in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slot {
    /// The middle of its footprint: x, the shelf's height, z.
    pub(super) foot: [f32; 3],
    /// Room above the shelf.
    pub(super) headroom: f32,
    /// Whether others may stand before it.
    pub(super) back: bool,
}

/// Places in front, then those behind; behind, they lie where the camera sees between those in front.
const FRONT: [f32; 5] = [-280.0, -140.0, 0.0, 140.0, 280.0];
const BACK: [f32; 4] = [-285.0, -95.0, 95.0, 285.0];
/// Number of slots.
pub(super) const SLOTS: usize = SHELVES.len() * (FRONT.len() + BACK.len());

/// The slot of that number.
pub(super) fn slot(number: usize) -> Slot {
    let each = FRONT.len() + BACK.len();
    let (shelf, place) = (number / each % SHELVES.len(), number % each);
    let floor = SHELVES[shelf];
    let ceiling = SHELVES.get(shelf + 1).map_or(HEIGHT, |next| next - SHELF_THICKNESS);
    let back = place >= FRONT.len();
    let (x, z) = if back { (BACK[place - FRONT.len()], 290.0) } else { (FRONT[place], 95.0) };
    Slot { foot: [x, floor, z], headroom: ceiling - floor, back }
}

/// A package in the fridge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Item {
    /// Which of [`GOODS`].
    pub(super) good: usize,
    /// In which slot.
    pub(super) slot: usize,
    /// How far its middle is off the slot's: x, z.
    pub(super) off: (f32, f32),
    /// How far it is turned about the vertical, in radians.
    pub(super) turn: f32,
    /// Its weight, in milligrams.
    pub(super) milligrams: i64,
    /// When it came from the shop, in microseconds since 1970.
    pub(super) bought: i64,
    /// When it was last put in, in microseconds since 1970.
    pub(super) since: i64,
    /// How warm it was then, in degrees Celsius.
    pub(super) warmth: f32,
}

impl Item {
    /// What it is.
    pub(super) fn kind(&self) -> &'static Good {
        &GOODS[self.good]
    }

    /// The middle of its footprint.
    pub(super) fn foot(&self) -> [f32; 3] {
        let [x, y, z] = slot(self.slot).foot;
        [x + self.off.0, y, z + self.off.1]
    }
}
