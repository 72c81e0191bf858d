//! From the inputs to every maintained view.

use differential_dataflow::VecCollection;
use larder_records::{
    Appliance, DeclaredMovement, FrameResult, Product, Reading, Review,
    views::{
        Behaviour, FoodState, Inventory, InventoryInterval, Market, MarketPair, Movement, PairBehaviour,
        ProductBehaviour, ReviewItem, Visit,
    },
};

/// A collection over epochs.
pub(crate) type Rows<'scope, R> = VecCollection<'scope, u64, R>;

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
    fn empty<'scope, R: Clone + 'static>(like: &Rows<'scope, Reading>) -> Rows<'scope, R> {
        like.clone().flat_map(|_| None)
    }
    let like = &inputs.readings;
    Views {
        visits: empty(like),
        movements: empty(like),
        inventory: empty(like),
        inventory_history: empty(like),
        food_state: empty(like),
        behaviour: empty(like),
        behaviour_products: empty(like),
        behaviour_pairs: empty(like),
        market: empty(like),
        market_pairs: empty(like),
        review_queue: empty(like),
    }
}
