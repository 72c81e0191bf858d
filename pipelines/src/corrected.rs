//! What corrections do to rows on their way to the views.

use larder_operators::{Rows, latest};
use larder_records::{
    Amendment, BoundingBox, DeclaredMovement, FrameResult, MovementKey, Name, PPM, Ppm, Product, ProductId, Time,
    views::{Movement, ReviewItem},
};
use serde::{Deserialize, Serialize};

use crate::looks::{Contents, Seen, Shown, Verdicts};

/// What a product is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StandIn {
    /// The product that it is in truth; none where it is no product at all.
    pub into: Option<ProductId>,
    /// That one's package weight, in milligrams; 0 where unknown.
    pub package_mg: i64,
}

/// An amendment of a picture, with what orders it among others of the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Told {
    /// When the correction was made.
    pub time: Time,
    /// The correction's id.
    pub id: Name,
    /// What it says.
    pub amendment: Amendment,
}

/// What a person says of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// It never was.
    Refused,
    /// It is certain.
    Confirmed,
}

pub use larder_operators::ledger::Counted;

/// What each known product is taken for, those that stand for themselves included.
pub(crate) fn taken_for<'scope>(
    products: Rows<'scope, (ProductId, Product)>,
    stand_ins: Rows<'scope, (ProductId, StandIn)>,
) -> Rows<'scope, (ProductId, StandIn)> {
    let themselves = products.map(|(id, product)| {
        let itself = StandIn { into: Some(id), package_mg: product.package_mg };
        (id, (false, itself))
    });
    let others = stand_ins.map(|(id, stand_in)| (id, (true, stand_in)));
    latest(themselves.concat(others)).map(|(id, (_, stand_in))| (id, stand_in))
}

/// Rows of products as rows of what those are taken for; rows of no product are dropped where `keep_none` says so. What has no
/// stand-in passes through untouched, so the cost follows the rows that change.
fn in_truth<'scope, R: differential_dataflow::ExchangeData + std::hash::Hash>(
    rows: Rows<'scope, R>,
    stand_ins: Rows<'scope, (ProductId, StandIn)>,
    product: impl Fn(&R) -> Option<ProductId> + 'static,
    replace: impl Fn(&R, Option<ProductId>) -> Option<R> + 'static,
) -> Rows<'scope, R> {
    let changed = rows
        .clone()
        .flat_map(move |row| Some((product(&row)?, row)))
        .join_map(stand_ins, move |_, row, stand_in| (row.clone(), replace(row, stand_in.into)))
        .flat_map(|(old, new)| [Some((old, -1)), new.map(|new| (new, 1))].into_iter().flatten())
        .explode(|(row, times): (R, isize)| [(row, times)]);
    rows.concat(changed)
}

/// Declared movements of the products that they are in truth.
pub(crate) fn declared_in_truth<'scope>(
    declared: Rows<'scope, DeclaredMovement>,
    stand_ins: Rows<'scope, (ProductId, StandIn)>,
) -> Rows<'scope, DeclaredMovement> {
    let replace = |row: &DeclaredMovement, into| Some(DeclaredMovement { product: into?, ..row.clone() });
    in_truth(declared, stand_ins, |row| Some(row.product), replace)
}

/// Review items that name the products that they are taken for in truth.
pub(crate) fn items_in_truth<'scope>(
    items: Rows<'scope, ReviewItem>,
    stand_ins: Rows<'scope, (ProductId, StandIn)>,
) -> Rows<'scope, ReviewItem> {
    in_truth(items, stand_ins, |row| row.product, |row, into| Some(ReviewItem { product: into, ..*row }))
}

/// What people say of each movement last.
pub(crate) fn verdicts(said: Rows<'_, (MovementKey, Verdict)>) -> Rows<'_, (MovementKey, Verdict)> {
    latest(said)
}

/// A movement with what people say of it; none where it never was.
pub(crate) fn judged(movement: Movement, verdicts: Option<&Verdicts>) -> Option<Movement> {
    let mut said = verdicts.into_iter().flat_map(|verdicts| verdicts.iter());
    match said.find(|(product, kind, _)| (*product, *kind) == (movement.product, movement.kind)) {
        None => Some(movement),
        Some((.., Verdict::Refused)) => None,
        Some((.., Verdict::Confirmed)) => Some(Movement { confidence: PPM, ..movement }),
    }
}

/// Declared movements with what people say of them. Those of the sensors are judged where they are told ([`judged`]): here each
/// would be held once more.
pub(crate) fn declared_judged<'scope>(
    movements: Rows<'scope, Movement>,
    verdicts: Rows<'scope, (MovementKey, Verdict)>,
) -> Rows<'scope, Movement> {
    let changed = movements
        .clone()
        .map(|m| (MovementKey { appliance: m.appliance, time: m.time, product: m.product, kind: m.kind }, m))
        .join_map(verdicts, |_, movement, verdict| (movement.clone(), *verdict))
        .flat_map(|(old, verdict)| {
            let new = (verdict == Verdict::Confirmed).then(|| (Movement { confidence: PPM, ..old.clone() }, 1));
            [Some((old, -1)), new].into_iter().flatten()
        })
        .explode(|(movement, times): (Movement, isize)| [(movement, times)]);
    movements.concat(changed)
}

/// What a picture shows, by all that was said of it, in order.
pub(crate) fn amend<'a>(seen: &mut Vec<Seen>, told: impl IntoIterator<Item = &'a Amendment>) {
    for amendment in told {
        match amendment {
            Amendment::Relabel { bounds, product } => {
                if let Some(at) = find(seen, *bounds) {
                    seen[at].shown = Shown::Product(*product);
                }
            }
            Amendment::Reject { bounds } => {
                if let Some(at) = find(seen, *bounds) {
                    seen[at].shown = Shown::Nothing;
                }
            }
            Amendment::Split { bounds, parts } => {
                if let Some(at) = find(seen, *bounds) {
                    let whole = seen.remove(at);
                    seen.extend(parts.iter().map(|(bounds, product)| Seen::said_to_be(whole.index, *bounds, *product)));
                }
            }
            Amendment::Join { bounds, product } => {
                let mut whole: Option<Seen> = None;
                for bounds in bounds {
                    let Some(at) = find(seen, *bounds) else { continue };
                    let part = seen.remove(at);
                    whole = Some(match whole {
                        None => Seen::said_to_be(part.index, part.bounds, *product),
                        Some(whole) => Seen { bounds: whole.bounds.around(part.bounds), ..whole },
                    });
                }
                seen.extend(whole);
            }
            Amendment::Add { bounds, product } => seen.push(Seen::said_to_be(u16::MAX, *bounds, *product)),
        }
    }
}

/// An object of a picture, as it is taken in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Where.
    pub bounds: BoundingBox,
    /// What it is taken for, before merges of products; none where for nothing known.
    pub product: Option<ProductId>,
    /// How sure that is.
    pub score: Ppm,
    /// Whether people say so.
    pub said: bool,
}

/// What a visible frame shows, by what vision saw, what was told of it (in whatever order), and the appliance's threshold.
pub fn objects(frame: FrameResult, mut told: Vec<Told>, min_score: Ppm) -> Vec<Object> {
    let Some(Contents::Objects(objects)) = Contents::of(frame) else { return Vec::new() };
    let mut seen = objects.seen.to_vec();
    told.sort();
    amend(&mut seen, told.iter().map(|told| &told.amendment));
    let shown = seen.iter().filter(|seen| seen.shown != Shown::Nothing);
    shown
        .map(|seen| {
            let chosen = seen.chosen(min_score);
            Object {
                bounds: seen.bounds,
                product: chosen.map(|(product, _)| product),
                score: chosen.map_or(0, |(_, score)| score),
                said: seen.is_said(),
            }
        })
        .collect()
}

/// Of the boxes that share at least half of their union with `bounds`, that which shares most; of equals the first.
fn find(seen: &[Seen], bounds: BoundingBox) -> Option<usize> {
    let shared = seen.iter().map(|seen| seen.bounds.iou(bounds)).enumerate();
    let best = shared.min_by_key(|(at, iou)| (std::cmp::Reverse(*iou), *at));
    best.filter(|(_, iou)| *iou >= PPM / 2).map(|(at, _)| at)
}
