//! Drives the dataflow: feeds in, lake out.
