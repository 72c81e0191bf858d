//! A simulated kitchen: appliances, a household that uses them, and the truth.
