//! What regions buy, use and throw away, as far as enough households stand behind it.

use std::hash::Hash;

use differential_dataflow::ExchangeData;
use larder_operators::{ByKey, Rows, latest, ledger::Line, or_default, reach};
use larder_records::{
    Appliance, ApplianceId, HouseholdId, Name, Product, ProductId, Time,
    views::{Day, Market, MarketLevel, MarketPair, Movement, MovementKind},
};

use crate::{
    behaviour::{together, week},
    moved::Moved,
};

/// Put in, used up, wasted, hundredths of the currency.
type Sums = (isize, isize, isize, isize);
/// Region, week, and what the cell is about.
type Cell = (Name, Day, MarketLevel, Name);

/// Region, household and time zone of each appliance.
fn places<'scope>(
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> ByKey<'scope, ApplianceId, (Name, HouseholdId, Name)> {
    appliances
        .map(|(id, appliance)| (id, (appliance.region, appliance.household, appliance.time_zone)))
        .arrange_by_key_named("Arrange: Places")
}

/// Of cells that begin with a region, those that at least k households stand behind, where k is the greatest
/// `min_households` of the region's appliances.
fn withhold<'scope, C, S>(
    cells: Rows<'scope, (Name, (C, S, isize))>,
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> Rows<'scope, (Name, C, S, isize)>
where
    C: ExchangeData + Hash,
    S: ExchangeData,
{
    let least = latest(appliances.map(|(_, appliance)| (appliance.region, appliance.min_households)));
    cells.join_core(least.arrange_by_key_named("Arrange: k"), |&region, (cell, sums, households), &least| {
        let enough = i64::try_from(*households).is_ok_and(|households| households >= i64::from(least));
        enough.then(|| (region, cell.clone(), sums.clone(), *households))
    })
}

/// What a product counts as, and its shelf life: itself, its brand and its category, so that a change of one moves the cells of that
/// one alone.
type Fact = (MarketLevel, Name, u32);

/// The facts of each product that moves.
fn facts<'scope>(
    moved: Rows<'scope, ProductId>,
    products: Rows<'scope, (ProductId, Product)>,
) -> ByKey<'scope, ProductId, Fact> {
    or_default(
        moved,
        products.map(|(id, product)| (id, (product.brand, product.category, product.shelf_life_days))),
        (Name::default(), Name::default(), 0),
    )
    .flat_map(|(product, (brand, category, shelf_life))| {
        let keys = [(MarketLevel::Product, product.0), (MarketLevel::Brand, brand), (MarketLevel::Category, category)];
        keys.into_iter()
            .filter(|(level, key)| *level == MarketLevel::Product || *key != Name::default())
            .map(move |(level, key)| (product, (level, key, shelf_life)))
    })
    .arrange_by_key_named("Arrange: Facts")
}

/// Market cells.
///
/// Where a product's shelf life is known, packages that come out more than so many times 24 hours after they were first put
/// in are wasted, whatever was declared.
pub(crate) fn cells_of<'scope>(
    moved: ByKey<'scope, ApplianceId, Moved>,
    lines: Rows<'scope, ((ApplianceId, ProductId), Line)>,
    products: Rows<'scope, (ProductId, Product)>,
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> Rows<'scope, Market> {
    let places = places(appliances.clone());
    let facts = facts(moved.clone().as_collection(|_, m| m.product), products);
    let moved = moved
        .join_core(places.clone(), |_, m, &(region, household, zone)| {
            let (put_in, cents) = if m.kind == MovementKind::In { (m.quantity, m.cents) } else { (0, 0) };
            let row = || (m.product, (region, household, week(m.time, zone), put_in, cents));
            (m.kind != MovementKind::Moved).then(row)
        })
        .arrange_by_key_named("Arrange: Moved products")
        .join_core(facts.clone(), |_, &(region, household, week, put_in, cents), &(level, key, _)| {
            Some((((region, week, level, key), household), (put_in, cents)))
        });
    let gone = lines
        .flat_map(|((appliance, product), line)| match line {
            Line::Gone { time, put_in, quantity, wasted } => {
                // the shelf life is over when this is greater
                let days_begun = put_in.map_or(0, |put_in| (time.since(put_in) + Time::DAY - 1) / Time::DAY);
                Some((appliance, (product, time, quantity, wasted, days_begun)))
            }
            _ => None,
        })
        .arrange_by_key_named("Arrange: Gone")
        .join_core(places, |_, &(product, time, quantity, wasted, days_begun), &(region, _, zone)| {
            Some(((product, (region, week(time, zone), wasted, days_begun)), quantity))
        })
        .explode(|(row, quantity)| [(row, quantity as isize)])
        .arrange_by_key_named("Arrange: Gone products")
        .join_core(facts, |_, &(region, week, wasted, days_begun), &(level, key, shelf_life)| {
            let wasted = wasted || (shelf_life > 0 && days_begun > i64::from(shelf_life));
            Some(((region, week, level, key), wasted))
        })
        .explode(|(cell, wasted)| [(cell, if wasted { (0, 0, 1, 0) } else { (0, 1, 0, 0) })]);
    let put_in = moved
        .clone()
        .filter(|(_, sums)| *sums != (0, 0))
        .explode(|((cell, _), (put_in, cents))| [(cell, (put_in as isize, 0, 0, cents as isize))]);

    let cells = reach::<Cell, Sums>(moved.map(|(reached, _)| reached), put_in.concat(gone))
        .map(|((region, week, level, key), (sums, households))| (region, ((week, level, key), sums, households)));
    withhold(cells, appliances).map(|(region, (week, level, key), (put_in, used_up, wasted, cents), households)| {
        Market {
            region,
            week,
            level,
            key,
            put_in: put_in as i64,
            used_up: used_up as i64,
            wasted: wasted as i64,
            cents: cents as i64,
            households: households as i64,
        }
    })
}

/// What is put in together. A go counts in the week of its first putting in.
pub(crate) fn pairs_of<'scope>(
    movements: Rows<'scope, Movement>,
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> Rows<'scope, MarketPair> {
    let bought = together(movements, MovementKind::In)
        .map(|((appliance, _), (time, first, second))| (appliance, (time, first, second)))
        .arrange_by_key_named("Arrange: Pairs")
        .join_core(places(appliances.clone()), |_, &(time, first, second), &(region, household, zone)| {
            Some(((region, week(time, zone), first, second), household))
        });
    let times = bought.clone().map(|(cell, _)| cell);
    let cells = reach(bought, times).map(|((region, week, first, second), (together, households))| {
        (region, ((week, first, second), together, households))
    });
    withhold(cells, appliances).map(|(region, (week, first, second), together, households)| MarketPair {
        region,
        week,
        first,
        second,
        together: together as i64,
        households: households as i64,
    })
}
