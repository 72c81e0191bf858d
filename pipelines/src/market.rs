//! What regions buy, use and throw away, as far as enough households stand behind it.

use std::hash::Hash;

use differential_dataflow::ExchangeData;
use larder_operators::{Rows, latest, ledger::Line, or_default, reach};
use larder_records::{
    Appliance, ApplianceId, HouseholdId, Name, Product, ProductId, Time,
    views::{Day, Market, MarketLevel, MarketPair, Movement, MovementKind},
};

use crate::behaviour::{together, week};

/// Put in, used up, wasted, hundredths of the currency.
type Sums = (isize, isize, isize, isize);
/// Region, week, and what the cell is about.
type Cell = (Name, Day, MarketLevel, Name);

/// Region, household and time zone of each appliance.
fn places<'scope>(
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> Rows<'scope, (ApplianceId, (Name, HouseholdId, Name))> {
    appliances.map(|(id, appliance)| (id, (appliance.region, appliance.household, appliance.time_zone)))
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

/// The cells that a product counts in: its own, its brand's and its category's.
fn cells(region: Name, week: Day, product: ProductId, brand: Name, category: Name) -> impl Iterator<Item = Cell> {
    let keys = [(MarketLevel::Product, product.0), (MarketLevel::Brand, brand), (MarketLevel::Category, category)];
    keys.into_iter()
        .filter(|(level, key)| *level == MarketLevel::Product || *key != Name::default())
        .map(move |(level, key)| (region, week, level, key))
}

/// Market cells.
///
/// Where a product's shelf life is known, packages that come out more than so many times 24 hours after they were first put
/// in are wasted, whatever was declared.
pub(crate) fn cells_of<'scope>(
    movements: Rows<'scope, Movement>,
    lines: Rows<'scope, ((ApplianceId, ProductId), Line)>,
    products: Rows<'scope, (ProductId, Product)>,
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> Rows<'scope, Market> {
    let places = places(appliances.clone()).arrange_by_key_named("Arrange: Places");
    let moved = movements
        .clone()
        .flat_map(|m| {
            let put_in = if m.kind == MovementKind::In { m.quantity } else { 0 };
            let cents = if m.kind == MovementKind::In { m.cents } else { 0 };
            (m.kind != MovementKind::Moved).then_some((m.appliance, (m.product, m.time, put_in, cents)))
        })
        .join_core(places.clone(), |_, &(product, time, put_in, cents), &(region, household, zone)| {
            [((product, (region, week(time, zone), household)), put_in, cents)]
        })
        .explode(|(row, put_in, cents)| [(row, ((put_in as isize, 0, 0, cents as isize), 1_isize))]);
    let gone = lines
        .flat_map(|((appliance, product), line)| match line {
            Line::Gone { time, put_in, quantity, wasted } => {
                // the shelf life is over when this is greater
                let days_begun = put_in.map_or(0, |put_in| (time.since(put_in) + Time::DAY - 1) / Time::DAY);
                Some((appliance, (product, time, quantity, wasted, days_begun)))
            }
            _ => None,
        })
        .join_core(places, |_, &(product, time, quantity, wasted, days_begun), &(region, household, zone)| {
            [((product, (region, week(time, zone), household, wasted, days_begun)), quantity)]
        })
        .explode(|(row, quantity)| [(row, quantity as isize)]);

    let facts = or_default(
        movements.map(|m| m.product),
        products.map(|(id, product)| (id, (product.brand, product.category, product.shelf_life_days))),
        (Name::default(), Name::default(), 0),
    )
    .arrange_by_key_named("Arrange: Facts");
    let moved = moved.join_core(facts.clone(), |&product, &(region, week, household), &(brand, category, _)| {
        cells(region, week, product, brand, category).map(move |cell| (cell, household))
    });
    let gone = gone
        .join_core(facts, |&product, row, &(brand, category, shelf_life)| {
            let &(region, week, household, wasted, days_begun) = row;
            let wasted = wasted || (shelf_life > 0 && days_begun > i64::from(shelf_life));
            cells(region, week, product, brand, category).map(move |cell| ((cell, household), wasted))
        })
        .explode(|(row, wasted)| [(row, (if wasted { (0, 0, 1, 0) } else { (0, 1, 0, 0) }, 0_isize))]);

    let cells = reach::<Cell, Sums>(moved.concat(gone))
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
        .join_map(places(appliances.clone()), |_, &(time, first, second), &(region, household, zone)| {
            ((region, week(time, zone), first, second), household)
        })
        .explode(|row| [(row, (1_isize, 1_isize))]);
    let cells = reach(bought).map(|((region, week, first, second), (together, households))| {
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
