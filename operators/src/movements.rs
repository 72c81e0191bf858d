//! What changed from one look to the next.

use larder_records::{
    ApplianceId, DeclaredMovement, Name, PPM, Ppm, ProductId, Reason, Time,
    views::{Movement, MovementKind, MovementSource},
};

use crate::occlusion::{Bridged, Item, Look, NEARER_MM, items_of, nearest_items, shift};

/// An item whose centre went further than this part of the picture's width or height was put elsewhere.
const MOVED_PART: u32 = 8;
/// More packages than this in one declared movement, or hundredths of the currency, are cut to it.
pub(crate) const MAX_QUANTITY: i64 = 1_000_000;
const MAX_CENTS: i64 = 1_000_000_000_000;

/// The movements between two looks that follow each other, one a product and kind; those of a first look are what it shows.
///
/// Items of one product are paired with [`nearest`](crate::occlusion::nearest); what has no partner went in or out, and a partner whose centre lies
/// further off than an eighth of the picture's width or height was moved.
///
/// The confidence begins with the score of the least sure item of the movement, in which a review is certain. Where the
/// change of the load since the look before and the package weights of all that went in or out are known, it is fused with
/// how well they agree, `a = 1 - |change - expected| / sum of all package weights moved`, at least 0: from a half on, `a`
/// takes up to half of the doubt away, `s + (1 - s) * (2a - 1) / 2`; below, it takes up to half of the score,
/// `s * (1/2 + a)`. One camera is taken to show all that stands on the scales. Where a depth camera looked both times, what it
/// says is fused in the same way, `a` being the part of the items for which it agrees: at the box of an item that went in
/// it must now see something nearer, of one that went out something farther, by at least [`NEARER_MM`]. An item where it
/// sees the opposite is left out, for something else came or went in front of it.
///
/// ```
/// use std::sync::Arc;
///
/// use larder_operators::{movements::between, occlusion::{Bridged, Item, Look}};
/// use larder_records::{ApplianceId, BoundingBox, Digest, FrameKey, ProductId, SensorId, Time, views::MovementKind};
///
/// let milk = Item {
///     product: Some(ProductId::of("milk")), bounds: BoundingBox { left: 0, top: 0, right: 9, bottom: 9 },
///     depth_mm: None, score: 900_000, package_mg: 1_000_000,
/// };
/// let look = |at: i64, items: &[Item], delta| Bridged {
///     look: Arc::new(Look {
///         opened: Time(at), items: items.to_vec(), width: 100, height: 100, depth: None, after: vec![],
///         next_before: vec![],
///         frame: FrameKey {
///             appliance: ApplianceId::of("fridge"), sensor: SensorId::of("camera"), time: Time(at), hash: Digest(0),
///         },
///     }),
///     weight_delta_mg: delta,
/// };
/// let out = between(Some(&look(1, &[milk], None)), &look(2, &[], Some(-1_000_000)));
/// assert_eq!((out.len(), out[0].kind, out[0].quantity, out[0].confidence), (1, MovementKind::Out, 1, 950_000));
/// ```
pub fn between(before: Option<&Bridged>, after: &Bridged) -> Vec<Movement> {
    let old = before.map_or(&[][..], |bridged| &bridged.look.items);
    let new = &after.look.items;
    let mut products: Vec<ProductId> = old.iter().chain(new).filter_map(|item| item.product).collect();
    products.sort_unstable();
    products.dedup();

    let mut found: Vec<Found> = Vec::new();
    for product in products {
        let (old, new) = (items_of(old, product), items_of(new, product));
        let matched = nearest_items(old, new);
        let put = new.iter().enumerate().filter(|(n, _)| matched.iter().all(|(_, m)| m != n)).map(|(_, item)| item);
        let taken = old.iter().enumerate().filter(|(n, _)| matched.iter().all(|(b, _)| b != n)).map(|(_, item)| item);
        let moved = matched.iter().map(|&(b, a)| (&old[b], &new[a])).filter(|(b, a)| {
            let (across, down) = shift(b.bounds, a.bounds);
            across * MOVED_PART > 2 * u32::from(after.look.width)
                || down * MOVED_PART > 2 * u32::from(after.look.height)
        });
        let mut add = |kind, items: &mut dyn Iterator<Item = &Item>| {
            let mut sums = Found { product, kind, count: 0, score: PPM, package_mg: 0, deep: (0, 0) };
            for item in items {
                sums.count += 1;
                sums.score = sums.score.min(item.score);
                sums.package_mg = sums.package_mg.max(item.package_mg);
                if let Some(agrees) = before.and_then(|before| depth_agrees(kind, item, &before.look, &after.look)) {
                    sums.deep.0 += u32::from(agrees);
                    sums.deep.1 += 1;
                }
            }
            if sums.count > 0 {
                found.push(sums);
            }
        };
        add(MovementKind::In, &mut put.into_iter());
        add(MovementKind::Out, &mut taken.into_iter());
        add(MovementKind::Moved, &mut moved.map(|(_, item)| item));
    }

    let agreement = before.and(after.weight_delta_mg).and_then(|change| agreement(change, &found));
    let movement = |Found { product, kind, count, score, deep: (agree, of), .. }| Movement {
        appliance: after.look.frame.appliance,
        time: after.look.opened,
        group: Name::default(),
        product,
        kind,
        quantity: count,
        confidence: fuse(fuse(score, agreement), (agree * PPM).checked_div(of)),
        source: MovementSource::Sensors,
        reason: Reason::Unspecified,
        cents: 0,
        weight_delta_mg: after.weight_delta_mg,
        before: before.map(|bridged| bridged.look.frame),
        after: Some(after.look.frame),
    };
    found.into_iter().map(movement).collect()
}

/// A movement in the making.
struct Found {
    product: ProductId,
    kind: MovementKind,
    count: i64,
    /// Of the least sure item.
    score: Ppm,
    package_mg: i64,
    /// For how many items depth agrees, and of how many it knows.
    deep: (u32, u32),
}

/// Whether depth agrees that the item came or went; none where it does not know.
fn depth_agrees(kind: MovementKind, item: &Item, before: &Look, after: &Look) -> Option<bool> {
    let at = |look: &Look| look.depth.as_ref()?.at(item.bounds, look.width, look.height);
    let (then, now) = (i32::from(at(before)?), i32::from(at(after)?));
    let nearer = match kind {
        MovementKind::In => then - now,
        MovementKind::Out => now - then,
        MovementKind::Moved => return None,
    };
    let enough = i32::from(NEARER_MM);
    (nearer > -enough).then_some(nearer >= enough)
}

/// How well the scales agree with what was seen; none where a package weight is not known.
fn agreement(change: i64, found: &[Found]) -> Option<Ppm> {
    let (mut expected, mut moved) = (0_i128, 0_i128);
    for &Found { kind, count, package_mg: package, .. } in found {
        let weight = i128::from(package) * i128::from(count);
        let sign = match kind {
            MovementKind::In => 1,
            MovementKind::Out => -1,
            MovementKind::Moved => continue,
        };
        if package <= 0 {
            return None;
        }
        expected += sign * weight;
        moved += weight;
    }
    let off = (i128::from(change) - expected).abs();
    (moved > 0).then(|| PPM - Ppm::try_from(off * i128::from(PPM) / moved).unwrap_or(PPM).min(PPM))
}

/// A score and the agreement of other evidence, as one confidence.
fn fuse(score: Ppm, agreement: Option<Ppm>) -> Ppm {
    let one = u64::from(PPM);
    let score = u64::from(score.min(PPM));
    let fused = match agreement.map(u64::from) {
        None => score,
        Some(a) if 2 * a >= one => score + (one - score) * (2 * a - one) / (2 * one),
        Some(a) => score * (one + 2 * a) / (2 * one),
    };
    Ppm::try_from(fused).unwrap_or(PPM)
}

/// A declared movement as a movement; none where nothing moved. Absurd quantities and sums are cut to a million packages and
/// ten thousand million units of the currency, so that no sum over them overflows.
///
/// ```
/// use larder_operators::movements::declared;
/// use larder_records::{ApplianceId, DeclaredMovement, Name, PPM, ProductId, Reason, Time, views::MovementKind};
///
/// let bought = DeclaredMovement {
///     appliance: ApplianceId::of("pantry"), time: Time(1), id: Name::of("1"), source: Name::of("receipt"),
///     product: ProductId::of("rice"), quantity: 2, group: Name::of("basket"), reason: Reason::Bought, cents: 398,
/// };
/// let movement = declared(&bought).unwrap();
/// assert_eq!((movement.kind, movement.quantity, movement.confidence), (MovementKind::In, 2, PPM));
/// assert_eq!(declared(&DeclaredMovement { quantity: 0, ..bought }), None);
/// ```
pub fn declared(movement: &DeclaredMovement) -> Option<Movement> {
    let kind = match movement.quantity {
        0 => return None,
        1.. => MovementKind::In,
        _ => MovementKind::Out,
    };
    Some(Movement {
        appliance: movement.appliance,
        time: movement.time,
        group: movement.group,
        product: movement.product,
        kind,
        quantity: movement.quantity.saturating_abs().min(MAX_QUANTITY),
        confidence: PPM,
        source: MovementSource::Declared(movement.id),
        reason: movement.reason,
        cents: movement.cents.clamp(-MAX_CENTS, MAX_CENTS),
        weight_delta_mg: None,
        before: None,
        after: None,
    })
}

/// What a count says beyond what is known to have moved, as a movement.
pub fn counted(appliance: ApplianceId, product: ProductId, time: Time, more: i64, id: Name) -> Movement {
    Movement {
        appliance,
        time,
        group: Name::default(),
        product,
        kind: if more < 0 { MovementKind::Out } else { MovementKind::In },
        quantity: more.saturating_abs(),
        confidence: PPM,
        source: MovementSource::Counted(id),
        reason: Reason::Unspecified,
        cents: 0,
        weight_delta_mg: None,
        before: None,
        after: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use larder_records::{BoundingBox, Digest, FrameKey, Grid, SensorId};

    use super::*;

    /// A look at a shelf whose left and right half are so far away.
    fn look(opened: i64, items: &[Item], cells: [u16; 2]) -> Bridged {
        let frame = FrameKey {
            appliance: ApplianceId::of("fridge"),
            sensor: SensorId::of("camera"),
            time: Time(opened),
            hash: Digest(0),
        };
        let depth = Some(Arc::new(Grid { columns: 2, rows: 1, cells: cells.to_vec() }));
        let (items, opened) = (items.to_vec(), Time(opened));
        let look = Look { opened, frame, width: 100, height: 50, items, depth, after: vec![], next_before: vec![] };
        Bridged { look: Arc::new(look), weight_delta_mg: None }
    }

    #[test]
    fn depth_takes_doubt_away_where_it_agrees_and_adds_to_it_where_it_does_not() {
        let milk = Item {
            product: Some(ProductId::of("milk")),
            bounds: BoundingBox { left: 10, top: 5, right: 40, bottom: 45 },
            depth_mm: None,
            score: 800_000,
            package_mg: 0,
        };
        let confidence = |then: &[Item], was: u16, now: &[Item], is: u16| {
            let movements = between(Some(&look(1, then, [was, 900])), &look(2, now, [is, 900]));
            assert_eq!(movements.len(), 1);
            movements[0].confidence
        };
        let milk = &[milk];
        assert_eq!(confidence(&[], 700, milk, 500), 900_000, "something nearer came");
        assert_eq!(confidence(&[], 700, milk, 690), 400_000, "nothing came");
        assert_eq!(confidence(&[], 500, milk, 700), 800_000, "what stood in front went");
        assert_eq!(confidence(&[], 0, milk, 500), 800_000, "there was no reading");
        assert_eq!(confidence(milk, 500, &[], 700), 900_000, "something nearer went");
        assert_eq!(confidence(milk, 700, &[], 700), 400_000, "nothing went");
        assert_eq!(confidence(milk, 700, &[], 500), 800_000, "something came in front");
    }
}
