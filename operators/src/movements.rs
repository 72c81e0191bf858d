//! What changed from one look to the next.

use larder_records::{
    DeclaredMovement, Name, PPM, Ppm, ProductId, Reason,
    views::{Movement, MovementKind, MovementSource},
};

use crate::occlusion::{Bridged, Item, nearest, shift};

/// An item whose centre went further than this part of the picture's width or height was put elsewhere.
const MOVED_PART: u32 = 8;
/// More packages than this in one declared movement, or hundredths of the currency, are cut to it.
const MAX_QUANTITY: i64 = 1_000_000;
const MAX_CENTS: i64 = 1_000_000_000_000;

/// The movements between two looks that follow each other, one a product and kind; those of a first look are what it shows.
///
/// Items of one product are paired with [`nearest`]; what has no partner went in or out, and a partner whose centre lies
/// further off than an eighth of the picture's width or height was moved.
///
/// The confidence begins with the score of the least sure item of the movement, in which a review is certain. Where the
/// change of the load since the look before and the package weights of all that went in or out are known, it is fused with
/// how well they agree, `a = 1 - |change - expected| / sum of all package weights moved`, at least 0: from a half on, `a`
/// takes up to half of the doubt away, `s + (1 - s) * (2a - 1) / 2`; below, it takes up to half of the score,
/// `s * (1/2 + a)`. One camera is taken to show all that stands on the scales.
///
/// ```
/// use larder_operators::{movements::between, occlusion::{Bridged, Item, Look}};
/// use larder_records::{ApplianceId, BoundingBox, Digest, FrameKey, ProductId, SensorId, Time, views::MovementKind};
///
/// let milk = Item {
///     product: Some(ProductId::of("milk")), bounds: BoundingBox { left: 0, top: 0, right: 9, bottom: 9 },
///     depth_mm: None, score: 900_000, package_mg: 1_000_000,
/// };
/// let look = |at: i64, items: &[Item], delta| Bridged {
///     look: Look {
///         opened: Time(at), items: items.to_vec(), width: 100, height: 100, after: vec![], next_before: vec![],
///         frame: FrameKey {
///             appliance: ApplianceId::of("fridge"), sensor: SensorId::of("camera"), time: Time(at), hash: Digest(0),
///         },
///     },
///     previous: None,
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

    let mut found: Vec<(ProductId, MovementKind, i64, Ppm, i64)> = Vec::new();
    for product in products {
        let of = |items: &'_ [Item]| items.iter().filter(|i| i.product == Some(product)).cloned().collect::<Vec<_>>();
        let (old, new) = (of(old), of(new));
        let boxes = |items: &[Item]| items.iter().map(|item| item.bounds).collect::<Vec<_>>();
        let matched = nearest(&boxes(&old), &boxes(&new));
        let put = new.iter().enumerate().filter(|(n, _)| matched.iter().all(|(_, m)| m != n)).map(|(_, item)| item);
        let taken = old.iter().enumerate().filter(|(n, _)| matched.iter().all(|(b, _)| b != n)).map(|(_, item)| item);
        let moved = matched.iter().map(|&(b, a)| (&old[b], &new[a])).filter(|(b, a)| {
            let (across, down) = shift(b.bounds, a.bounds);
            across * MOVED_PART > 2 * u32::from(after.look.width)
                || down * MOVED_PART > 2 * u32::from(after.look.height)
        });
        let mut add = |kind, items: &mut dyn Iterator<Item = &Item>| {
            let sums = items.fold(None, |sums: Option<(i64, Ppm, i64)>, item| {
                let (count, score, package) = sums.unwrap_or((0, PPM, 0));
                Some((count + 1, score.min(item.score), package.max(item.package_mg)))
            });
            if let Some((count, score, package)) = sums {
                found.push((product, kind, count, score, package));
            }
        };
        add(MovementKind::In, &mut put.into_iter());
        add(MovementKind::Out, &mut taken.into_iter());
        add(MovementKind::Moved, &mut moved.map(|(_, item)| item));
    }

    let agreement = before.and(after.weight_delta_mg).and_then(|change| agreement(change, &found));
    let movement = |(product, kind, quantity, score, _)| Movement {
        appliance: after.look.frame.appliance,
        time: after.look.opened,
        group: Name::default(),
        product,
        kind,
        quantity,
        confidence: fuse(score, agreement),
        source: MovementSource::Sensors,
        reason: Reason::Unspecified,
        cents: 0,
        weight_delta_mg: after.weight_delta_mg,
        before: before.map(|bridged| bridged.look.frame),
        after: Some(after.look.frame),
    };
    found.into_iter().map(movement).collect()
}

/// How well the scales agree with what was seen; none where a package weight is not known.
fn agreement(change: i64, found: &[(ProductId, MovementKind, i64, Ppm, i64)]) -> Option<Ppm> {
    let (mut expected, mut moved) = (0_i128, 0_i128);
    for &(_, kind, count, _, package) in found {
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

/// A score and the agreement of the scales, as one confidence.
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
