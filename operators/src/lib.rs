//! Dataflow operators on timely and differential: pure, incremental, exact
