//! A simulated kitchen: households that use their fridges, the sensors that watch, and the truth.
//!
//! [`simulate`] writes, for each appliance, a recording; a catalogue with reference pictures of everything that can be
//! bought; and what truly happened. Each appliance draws on random numbers of its own, so that the same options give the
//! same bytes however many threads there are.

mod chance;
mod household;
mod pictures;
mod products;
mod recorder;
mod render;
mod scene;
mod sensors;
mod solid;
mod truth;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use larder_records::{IdCollision, Time};
use rayon::prelude::*;
use serde::Serialize;

use super::recording::WriteError;
use crate::catalogue::CatalogueError;

/// Monday, 2026-01-05T00:00:00Z: when every simulation starts.
pub const START: Time = Time(1_767_571_200_000_000);

/// What to simulate, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many appliances, each a fridge in a household of its own.
    pub appliances: u32,
    /// How many days from [`START`].
    pub days: u32,
    /// Which kitchens.
    pub seed: u64,
    /// Where to: `feeds/*.mcap`, `catalogue/` and `truth/*.parquet` are written in it.
    pub output: PathBuf,
}

/// Why a simulation failed.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A file or folder cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A recording cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The catalogue cannot be written.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A table of the truth cannot be written.
    #[error("{path}: {source}")]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: parquet::errors::ParquetError,
    },
    /// A picture cannot be compressed.
    #[error("a picture: {0}")]
    Picture(#[from] image::ImageError),
    /// The time zones that come with the program lack one.
    #[error("a time zone: {0}")]
    TimeZone(#[from] jiff::Error),
    /// Two names share an id.
    #[error(transparent)]
    Collision(#[from] IdCollision),
}

impl SimulateError {
    fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

/// What was simulated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Always: nothing of it was measured.
    pub simulated: bool,
    /// Appliances.
    pub appliances: u32,
    /// Days.
    pub days: u32,
    /// Openings of doors.
    pub visits: u64,
    /// Packages put in, taken out and moved.
    pub movements: u64,
    /// Messages in the recordings.
    pub messages: u64,
    /// Bytes of the recordings.
    pub bytes: u64,
    /// Where it lies.
    pub output: PathBuf,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { appliances, days, visits, movements, messages, .. } = self;
        let megabytes = self.bytes as f64 / 1e6;
        write!(
            f,
            "{}: {appliances} simulated appliances over {days} days: {visits} visits, {movements} movements, \
             {messages} messages, {megabytes:.1} MB",
            self.output.display()
        )
    }
}

/// Simulates appliances, as many at a time as there are threads; `progress` hears, from any of them, how many days of an
/// appliance were just finished.
///
/// # Errors
/// [`SimulateError`]: the first appliance's that failed.
pub fn simulate(options: &Options, progress: &(dyn Fn(u64) + Sync)) -> Result<Summary, SimulateError> {
    let feeds = options.output.join("feeds");
    fs::create_dir_all(&feeds).map_err(SimulateError::io(&feeds))?;
    let room = render::Room::new();
    pictures::write_catalogue(&options.output.join("catalogue"), &room)?;
    let recorded: Vec<_> = (0..options.appliances)
        .into_par_iter()
        .map(|number| recorder::record(options, number, &room, &feeds, progress))
        .collect::<Result<_, _>>()?;
    let mut summary = Summary {
        simulated: true,
        appliances: options.appliances,
        days: options.days,
        visits: 0,
        movements: 0,
        messages: 0,
        bytes: 0,
        output: options.output.clone(),
    };
    let mut lives = Vec::new();
    for recorder::Recorded { appliance, visits, file } in recorded {
        summary.visits += visits.len() as u64;
        summary.movements += visits.iter().map(|visit| visit.changes.len() as u64).sum::<u64>();
        summary.messages += file.messages;
        summary.bytes += file.bytes;
        lives.push((appliance, visits));
    }
    truth::write(&options.output.join("truth"), &lives)?;
    Ok(summary)
}

#[cfg(test)]
mod tests;
