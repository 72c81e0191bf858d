//! From a map of change to boxes that may hold one object each.

use larder_records::{BoundingBox, PPM, Ppm};

use crate::{
    ImageGrey8,
    components::{ComponentScratch, components},
    morphology,
};

/// The change from which a pixel surely is not the scene's.
pub const SURE_CHANGE: u8 = 16;

/// Boxes that overlap by more are one.
const SAME_BOX: Ppm = 880_000;

/// How boxes are proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProposeParams<'a> {
    /// The change from which a pixel counts, lowest first; each gives its own boxes.
    pub thresholds: &'a [u8],
    /// Gaps up to twice as wide are closed first, in pixels; each gives its own boxes.
    pub closes: &'a [usize],
    /// Bridges and grains up to twice as wide are cut, in pixels; each gives its own boxes.
    pub cuts: &'a [usize],
    /// The least part of a box that changed.
    pub min_filled: Ppm,
    /// The least part of the picture that an object fills.
    pub min_area: Ppm,
    /// The largest part of the picture that an object's box fills.
    pub max_area: Ppm,
}

/// A box that may hold an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Where, in pixels of the map.
    pub bounds: BoundingBox,
    /// The part of the box that changed.
    pub filled: Ppm,
    /// How much changed in it: the sum of the change, no pixel counting for more than [`SURE_CHANGE`].
    pub mass: u32,
}

/// The sum of the change in a box, no pixel counting for more than [`SURE_CHANGE`].
pub fn mass(change: &ImageGrey8, bounds: BoundingBox) -> u32 {
    change.rows_in(bounds).flatten().map(|&at| u32::from(at.min(SURE_CHANGE))).sum()
}

/// Reused buffers of [`propose`].
#[derive(Clone, Debug, Default)]
pub struct ProposeScratch {
    changed: ImageGrey8,
    mask: ImageGrey8,
    cut: ImageGrey8,
    other: ImageGrey8,
    components: ComponentScratch,
}

/// The boxes of the connected parts of `change`, at every threshold and cut: an object that touches another at a low
/// threshold stands alone at a higher one. Of boxes that are about the same, the one of the lowest threshold is proposed.
pub fn propose(change: &ImageGrey8, params: ProposeParams, scratch: &mut ProposeScratch) -> Vec<Proposal> {
    let pixels = change.pixels().len() as u64;
    let (least, most) =
        (pixels * u64::from(params.min_area) / u64::from(PPM), pixels * u64::from(params.max_area) / u64::from(PPM));
    let mut found: Vec<Proposal> = Vec::new();
    for &threshold in params.thresholds {
        scratch.changed.reshape(change.width(), change.height());
        for (to, &from) in scratch.changed.pixels_mut().iter_mut().zip(change.pixels()) {
            *to = u8::from(from >= threshold);
        }
        for &close in params.closes {
            scratch.mask.clone_from(&scratch.changed);
            morphology::close(&mut scratch.mask, close, &mut scratch.other);
            let mut cut_so_far = usize::MAX;
            for &cut in params.cuts {
                // To cut twice is to cut by the sum.
                if cut_so_far > cut {
                    scratch.cut.clone_from(&scratch.mask);
                    cut_so_far = 0;
                }
                morphology::erode(&mut scratch.cut, cut - cut_so_far, &mut scratch.other);
                cut_so_far = cut;
                let grown = u16::try_from(cut).unwrap_or(u16::MAX);
                for component in components(&scratch.cut, &mut scratch.components) {
                    let b = component.bounds;
                    let bounds = change.clip(BoundingBox {
                        left: b.left.saturating_sub(grown),
                        top: b.top.saturating_sub(grown),
                        right: b.right.saturating_add(grown),
                        bottom: b.bottom.saturating_add(grown),
                    });
                    let area = bounds.area();
                    if area < least || area > most || is_known(bounds, &found) {
                        continue;
                    }
                    let changed: u64 = scratch.changed.rows_in(bounds).flatten().map(|&pixel| u64::from(pixel)).sum();
                    let filled = (changed * u64::from(PPM) / area.max(1)) as Ppm;
                    if filled >= params.min_filled {
                        found.push(Proposal { bounds, filled, mass: mass(change, bounds) });
                    }
                }
            }
        }
    }
    let parts = found.len();
    for upper in 0..parts {
        for lower in 0..parts {
            let Some(bounds) = stacked(found[upper].bounds, found[lower].bounds) else { continue };
            if bounds.area() > most || is_known(bounds, &found) {
                continue;
            }
            // What lies between the two did not change.
            let share = |part: &Proposal| part.bounds.area() * u64::from(part.filled);
            let filled = ((share(&found[upper]) + share(&found[lower])) / bounds.area().max(1)) as Ppm;
            if filled >= params.min_filled {
                found.push(Proposal { bounds, filled, mass: mass(change, bounds) });
            }
        }
    }
    found
}

fn is_known(bounds: BoundingBox, found: &[Proposal]) -> bool {
    found.iter().any(|known| known.bounds.iou(bounds) > SAME_BOX)
}

/// The box around two of which one stands right above the other, close enough to be one thing with a band between them
/// that looks like the scene.
fn stacked(upper: BoundingBox, lower: BoundingBox) -> Option<BoundingBox> {
    let around = BoundingBox {
        left: upper.left.min(lower.left),
        top: upper.top.min(lower.top),
        right: upper.right.max(lower.right),
        bottom: upper.bottom.max(lower.bottom),
    };
    let shared = upper.right.min(lower.right).saturating_sub(upper.left.max(lower.left));
    let gap = lower.top.checked_sub(upper.bottom)?;
    let aligned = u32::from(shared) * 10 >= u32::from(around.right - around.left) * 7;
    let near = u32::from(gap) * 3 <= u32::from(around.bottom - around.top);
    (aligned && near).then_some(around)
}
