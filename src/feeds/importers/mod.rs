//! Turns what people already have into recordings.
