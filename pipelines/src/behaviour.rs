//! How households use their appliances.

use differential_dataflow::operators::CountTotal;
use larder_operators::{
    ByKey, Rows,
    calendar::{day, monday},
    grouped,
    ledger::Line,
    pairs,
};
use larder_records::{
    Appliance, ApplianceId, HouseholdId, Name, ProductId, Time,
    views::{Behaviour, Day, Movement, MovementKind, MovementSource, PairBehaviour, ProductBehaviour, Visit},
};
use serde::{Deserialize, Serialize};

use crate::moved::Moved;

/// Where each appliance stands: household and time zone.
pub(crate) fn homes<'scope>(
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> ByKey<'scope, ApplianceId, (HouseholdId, Name)> {
    let homes = appliances.map(|(id, appliance)| (id, (appliance.household, appliance.time_zone)));
    homes.arrange_by_key_named("Arrange: Homes")
}

/// The week of an instant.
pub(crate) fn week(time: Time, zone: Name) -> Day {
    monday(day(time, zone))
}

/// What was moved in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Go {
    /// All of one declared group.
    Group(Name),
    /// All of one instant, where there is no group: of one visit, for the sensors' movements.
    Instant(Time),
}

/// The products that went in one go, `kind` alone: `((appliance, go), (first time, smaller, greater))`. What was counted together
/// did not move together.
pub(crate) fn together<'scope>(
    movements: Rows<'scope, Movement>,
    kind: MovementKind,
) -> Rows<'scope, ((ApplianceId, Go), (Time, ProductId, ProductId))> {
    pairs(movements.flat_map(move |m| {
        let go = if m.group == Name::default() { Go::Instant(m.time) } else { Go::Group(m.group) };
        let counted = matches!(m.source, MovementSource::Counted(_));
        (m.kind == kind && !counted).then_some(((m.appliance, go), (m.time, m.product)))
    }))
}

/// Each household's weeks, and its products.
pub(crate) fn weeks_and_products<'scope>(
    visits: Rows<'scope, Visit>,
    moved: ByKey<'scope, ApplianceId, Moved>,
    lines: Rows<'scope, ((ApplianceId, ProductId), Line)>,
    homes: ByKey<'scope, ApplianceId, (HouseholdId, Name)>,
) -> (Rows<'scope, Behaviour>, Rows<'scope, ProductBehaviour>) {
    let moved = moved.join_core(homes.clone(), |_, m, &(household, zone)| {
        let out = m.kind == MovementKind::Out;
        (m.kind != MovementKind::Moved).then(|| (household, week(m.time, zone), m.product, m.time, out, m.quantity))
    });
    (weeks(visits, moved.clone(), homes.clone()), products(moved, lines, homes))
}

/// Household, week, product, time, out and not in, quantity.
type AtHome = (HouseholdId, Day, ProductId, Time, bool, i64);

fn weeks<'scope>(
    visits: Rows<'scope, Visit>,
    moved: Rows<'scope, AtHome>,
    homes: ByKey<'scope, ApplianceId, (HouseholdId, Name)>,
) -> Rows<'scope, Behaviour> {
    let openings = visits
        .map(|visit| (visit.appliance, (visit.opened, visit.closed)))
        .arrange_by_key_named("Arrange: Visits")
        .join_core(homes, |_, &(opened, closed), &(household, zone)| {
            let seconds = closed.map_or(0, |closed| closed.since(opened) / Time::SECOND);
            Some(((household, week(opened, zone)), seconds))
        })
        .explode(|(cell, seconds)| [(cell, (1, seconds as isize, 0, 0))]);
    let moved = moved.explode(|(household, week, _, _, out, quantity)| {
        let quantity = quantity as isize;
        [((household, week), if out { (0, 0, 0, quantity) } else { (0, 0, quantity, 0) })]
    });
    openings.concat(moved).count_total().map(
        |((household, week), (openings, open_seconds, put_in, taken_out)): (_, (isize, isize, isize, isize))| {
            Behaviour {
                household,
                week,
                openings: openings as i64,
                open_seconds: open_seconds as i64,
                put_in: put_in as i64,
                taken_out: taken_out as i64,
            }
        },
    )
}

fn products<'scope>(
    moved: Rows<'scope, AtHome>,
    lines: Rows<'scope, ((ApplianceId, ProductId), Line)>,
    homes: ByKey<'scope, ApplianceId, (HouseholdId, Name)>,
) -> Rows<'scope, ProductBehaviour> {
    let put_in =
        moved.clone().flat_map(|(household, _, product, time, out, _)| (!out).then_some(((household, product), time)));
    let restocks = grouped(put_in, "Restocks", |_, instants, restocks| {
        if let (Some((first, _)), Some((last, _))) = (instants.first(), instants.last()) {
            restocks.push((instants.len() as isize - 1, (last.since(**first) / Time::SECOND) as isize));
        }
    })
    .explode(|(key, (times, seconds))| [(key, ((0, 0, 0), (0, times, seconds)))]);
    let counts = moved.explode(|(household, _, product, _, out, quantity)| {
        let quantity = quantity as isize;
        [((household, product), (if out { (0, quantity, 0) } else { (quantity, 0, 0) }, (0, 0, 0)))]
    });
    let stays = lines
        .flat_map(|((appliance, product), line)| match line {
            Line::Stay { put_in, taken_out, quantity } => {
                Some((appliance, (product, taken_out.since(put_in) / Time::SECOND, quantity)))
            }
            _ => None,
        })
        .arrange_by_key_named("Arrange: Stays")
        .join_core(homes, |_, &(product, seconds, quantity), &(household, _)| {
            Some(((household, product), (seconds, quantity)))
        })
        .explode(|(key, (seconds, quantity))| {
            [(key, ((0, 0, quantity as isize), (seconds.saturating_mul(quantity) as isize, 0, 0)))]
        });
    counts.concatenate([restocks, stays]).count_total().map(
        |((household, product), ((put_in, taken_out, stays), (stay_seconds, restocks, restock_seconds)))| {
            let [put_in, taken_out, stays, stay_seconds, restocks, restock_seconds]: [i64; 6] =
                [put_in, taken_out, stays, stay_seconds, restocks, restock_seconds].map(|n: isize| n as i64);
            ProductBehaviour { household, product, put_in, taken_out, stays, stay_seconds, restocks, restock_seconds }
        },
    )
}

/// What each household takes out together.
pub(crate) fn taken_together<'scope>(
    movements: Rows<'scope, Movement>,
    homes: ByKey<'scope, ApplianceId, (HouseholdId, Name)>,
) -> Rows<'scope, PairBehaviour> {
    together(movements, MovementKind::Out)
        .map(|((appliance, _), (_, first, second))| (appliance, (first, second)))
        .arrange_by_key_named("Arrange: Pairs")
        .join_core(homes, |_, &(first, second), &(household, _)| Some((household, first, second)))
        .count_total()
        .map(|((household, first, second), together)| PairBehaviour {
            household,
            first,
            second,
            together: together as i64,
        })
}
