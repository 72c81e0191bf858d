//! What moved, what each appliance holds, what it held, and how the food fares.

use larder_operators::{
    Rows, calendar::day, latest, ledger::Line, movements, neighbours, newest_hours, occlusion::bridge, or_default,
};
use larder_records::{
    Appliance, ApplianceId, DeclaredMovement, Name, Product, ProductId, Time,
    views::{Advice, FoodState, Inventory, InventoryInterval, Movement},
};

use crate::{
    corrected::judged,
    looks::{Judged, LookKey},
};

/// Minutes out of the cold from which on a food is to be looked at.
const MAX_MINUTES_OUT: i64 = 120;

/// Of declared movements with one id in one appliance, the greatest row.
pub(crate) fn declared(rows: Rows<'_, DeclaredMovement>) -> Rows<'_, DeclaredMovement> {
    latest(rows.map(|movement| ((movement.appliance, movement.id), movement))).map(|(_, movement)| movement)
}

/// The movements that the sensors tell of: between each look and the one before, both with what they hide by the two looks on either
/// side of them. So each rests on six looks.
pub(crate) fn movements(looks: Rows<'_, (LookKey, Judged)>) -> Rows<'_, Movement> {
    let looks = looks.map(|((appliance, sensor, _), look)| ((appliance, sensor), look));
    neighbours(looks, |(look, _)| look.opened, 3).flat_map(|(_, window): (_, [Option<Judged>; 6])| {
        let [a, b, c, d, e, f] = window.each_ref().map(|look| look.as_ref().map(|(look, _)| look));
        let before = bridge([a, b, c, d, e]);
        let moved = bridge([b, c, d, e, f]).map(|after| movements::between(before.as_ref(), &after));
        let verdicts = window[3].as_ref().and_then(|(_, verdicts)| verdicts.clone());
        moved.into_iter().flatten().filter_map(move |movement| judged(movement, verdicts.as_ref()))
    })
}

/// What counts say beyond all that is known to have moved, as movements.
pub(crate) fn counted<'scope>(lines: Rows<'scope, ((ApplianceId, ProductId), Line)>) -> Rows<'scope, Movement> {
    lines.flat_map(|((appliance, product), line)| match line {
        Line::Adjusted { time, more, id } => Some(movements::counted(appliance, product, time, more, id)),
        _ => None,
    })
}

/// What each appliance holds now.
pub(crate) fn inventory<'scope>(lines: Rows<'scope, ((ApplianceId, ProductId), Line)>) -> Rows<'scope, Inventory> {
    lines.flat_map(|((appliance, product), line)| match line {
        Line::Now { count, since, confidence, .. } => Some(Inventory { appliance, product, count, since, confidence }),
        _ => None,
    })
}

/// What each appliance held when.
pub(crate) fn history<'scope>(
    lines: Rows<'scope, ((ApplianceId, ProductId), Line)>,
) -> Rows<'scope, InventoryInterval> {
    lines.flat_map(|((appliance, product), line)| match line {
        Line::Held { from, until, count } => Some(InventoryInterval { appliance, product, from, until, count }),
        _ => None,
    })
}

/// How each food fares. `events` are all instants at which anything happened.
pub(crate) fn food_state<'scope>(
    lines: Rows<'scope, ((ApplianceId, ProductId), Line)>,
    events: Rows<'scope, (ApplianceId, Time)>,
    products: Rows<'scope, (ProductId, Product)>,
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> Rows<'scope, FoodState> {
    let held = lines.flat_map(|((appliance, product), line)| match line {
        Line::Now { count, oldest_in, minutes_out, .. } => Some((product, (appliance, count, oldest_in, minutes_out))),
        _ => None,
    });
    let shelf_lives = or_default(
        held.clone().map(|(product, _)| product),
        products.map(|(id, product)| (id, product.shelf_life_days)),
        0,
    );
    let held = held.join_map(shelf_lives, |product, &(appliance, count, oldest_in, minutes_out), shelf_life_days| {
        (appliance, (*product, count, oldest_in, minutes_out, *shelf_life_days))
    });

    let now = newest_hours(events);
    let zones = or_default(
        now.clone().map(|(appliance, _)| appliance),
        appliances.map(|(id, appliance)| (id, appliance.time_zone)),
        Name::default(),
    );
    let clocks = now.join_map(zones, |appliance, now, zone| (*appliance, (*now, *zone)));
    held.join_map(clocks, |&appliance, &(product, count, oldest_in, minutes_out, shelf_life_days), &(now, zone)| {
        let expires = (shelf_life_days > 0)
            .then(|| day(oldest_in, zone).saturating_add(i32::try_from(shelf_life_days).unwrap_or(i32::MAX)));
        let today = day(now, zone);
        let advice = match expires {
            Some(last) if today > last => Advice::Discard,
            _ if minutes_out > MAX_MINUTES_OUT => Advice::Check,
            Some(last) if today >= last.saturating_sub(1) => Advice::EatSoon,
            _ => Advice::Keep,
        };
        let age_hours = (now.since(oldest_in) / Time::HOUR).max(0);
        FoodState { appliance, product, count, oldest_in, age_hours, expires, minutes_out, advice }
    })
}
