//! From the inputs to every maintained view.

use larder_operators::{Rows, latest, ledger, levels, movements, visits, windows};
use larder_records::views::{
    Behaviour, FoodState, Inventory, InventoryInterval, Market, MarketPair, Movement, PairBehaviour, ProductBehaviour,
    ReviewItem, Visit,
};

use crate::{
    Inputs, behaviour,
    corrected::{declared_in_truth, declared_judged, items_in_truth, taken_for, verdicts},
    inventory, looks, market, moved, review,
};

/// What comes out.
pub struct Views<'scope> {
    /// Openings of doors.
    pub visits: Rows<'scope, Visit>,
    /// What was put in, taken out and moved.
    pub movements: Rows<'scope, Movement>,
    /// What each appliance holds now.
    pub inventory: Rows<'scope, Inventory>,
    /// What each appliance held when.
    pub inventory_history: Rows<'scope, InventoryInterval>,
    /// How each food fares.
    pub food_state: Rows<'scope, FoodState>,
    /// Each household's weeks.
    pub behaviour: Rows<'scope, Behaviour>,
    /// Each household's products.
    pub behaviour_products: Rows<'scope, ProductBehaviour>,
    /// What each household takes out together.
    pub behaviour_pairs: Rows<'scope, PairBehaviour>,
    /// Market cells.
    pub market: Rows<'scope, Market>,
    /// What is bought together.
    pub market_pairs: Rows<'scope, MarketPair>,
    /// What is unsure.
    pub review_queue: Rows<'scope, ReviewItem>,
}

/// Maintains every view of `inputs`.
pub fn views(inputs: Inputs<'_>) -> Views<'_> {
    let products = latest(inputs.products.map(|product| (product.id, product)));
    let appliances = latest(inputs.appliances.map(|appliance| (appliance.id, appliance)));

    let taken_for = taken_for(products.clone(), inputs.stand_ins.clone());

    let visits = visits(inputs.readings.clone());
    let windows = windows(visits.clone());
    let visits = visits.concat(inputs.cold_visits);
    let levels = levels(windows.clone(), inputs.readings.clone());
    let times = looks::on_time(inputs.frames.clone(), inputs.skews);
    let (pictures, depths) = looks::pictures(windows.clone(), inputs.frames, times.clone(), inputs.amendments);
    let by_appliance = looks::by_appliance(pictures.clone());
    let thresholds = looks::thresholds(pictures.clone(), appliances.clone());
    let verdicts = verdicts(inputs.verdicts);
    let around = looks::Around { depths, windows, levels, taken_for, verdicts: verdicts.clone() };
    let looks = looks::looks(pictures, by_appliance.clone(), thresholds.clone(), around);
    let declared = declared_in_truth(inventory::declared(inputs.declared), inputs.stand_ins.clone())
        .flat_map(|movement| movements::declared(&movement));
    let sensed = inventory::movements(looks).concat(inputs.cold_movements);
    let known = sensed.concat(declared_judged(declared, verdicts));
    let lines = ledger(known.clone(), inputs.counts);
    let movements = known.concat(inventory::counted(lines.clone()));

    let readings = inputs.readings.map(|reading| (reading.appliance, reading.time));
    let frames = times.map(|(frame, time, _)| (frame.appliance, time));
    let times = movements.clone().map(|movement| (movement.appliance, movement.time));
    let events = readings.concatenate([frames, times]);

    let moved = moved::by_appliance(movements.clone());
    let homes = behaviour::homes(appliances.clone());
    let (behaviour, behaviour_products) =
        behaviour::weeks_and_products(visits.clone(), moved.clone(), lines.clone(), homes.clone());
    Views {
        inventory: inventory::inventory(lines.clone()),
        inventory_history: inventory::history(lines.clone()),
        food_state: inventory::food_state(lines.clone(), events, products.clone(), appliances.clone()),
        behaviour,
        behaviour_products,
        behaviour_pairs: behaviour::taken_together(movements.clone(), homes),
        market: market::cells_of(moved.clone(), lines, products, appliances.clone()),
        market_pairs: market::pairs_of(movements.clone(), appliances),
        review_queue: items_in_truth(review::queue(by_appliance, moved, thresholds), inputs.stand_ins)
            .concat(inputs.cold_reviews),
        visits,
        movements,
    }
}
