//! Recordings: feeds on disk, as MCAP files.
