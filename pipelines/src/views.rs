//! From the inputs to every maintained view.

use larder_operators::{Rows, latest, ledger, levels, visits, windows};
use larder_records::{
    Appliance, DeclaredMovement, FrameResult, Product, Reading, Review,
    views::{
        Behaviour, FoodState, Inventory, InventoryInterval, Market, MarketPair, Movement, PairBehaviour,
        ProductBehaviour, ReviewItem, Visit,
    },
};

use crate::{behaviour, inventory, looks, market, review};

/// What goes in. Each is a set of rows: a row counts once, however often it was delivered.
pub struct Inputs<'scope> {
    /// Readings of every modality.
    pub readings: Rows<'scope, Reading>,
    /// Vision results, without embeddings.
    pub frames: Rows<'scope, FrameResult>,
    /// Product records.
    pub products: Rows<'scope, Product>,
    /// Appliances.
    pub appliances: Rows<'scope, Appliance>,
    /// Declared movements.
    pub declared: Rows<'scope, DeclaredMovement>,
    /// Reviews.
    pub reviews: Rows<'scope, Review>,
}

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

    let visits = visits(inputs.readings.clone());
    let windows = windows(visits.clone());
    let levels = levels(windows.clone(), inputs.readings.clone());
    let (pictures, depths) = looks::pictures(windows.clone(), inputs.frames.clone(), inputs.reviews);
    let looks = looks::looks(pictures.clone(), depths, windows, levels, products.clone(), appliances.clone());
    let movements = inventory::movements(looks::bridged(looks), inputs.declared);
    let lines = ledger(movements.clone());

    let readings = inputs.readings.map(|reading| (reading.appliance, reading.time));
    let frames = inputs.frames.map(|frame| (frame.key.appliance, frame.key.time));
    let moved = movements.clone().map(|movement| (movement.appliance, movement.time));
    let events = readings.concatenate([frames, moved]);

    let homes = behaviour::homes(appliances.clone());
    Views {
        inventory: inventory::inventory(lines.clone()),
        inventory_history: inventory::history(lines.clone()),
        food_state: inventory::food_state(lines.clone(), events, products.clone(), appliances.clone()),
        behaviour: behaviour::weeks(visits.clone(), movements.clone(), homes.clone()),
        behaviour_products: behaviour::products(movements.clone(), lines.clone(), homes.clone()),
        behaviour_pairs: behaviour::taken_together(movements.clone(), homes),
        market: market::cells_of(movements.clone(), lines, products, appliances.clone()),
        market_pairs: market::pairs_of(movements.clone(), appliances.clone()),
        review_queue: review::queue(pictures, movements.clone(), appliances),
        visits,
        movements,
    }
}
