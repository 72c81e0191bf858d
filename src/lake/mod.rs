//! The lake: Delta tables in one folder.
