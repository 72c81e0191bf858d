//! Feeds: where frames come from.

use larder_records::{
    Appliance, Correction, DeadLetter, DeclaredMovement, Frame, IdCollision, Names, Position, Product, Time,
};

pub mod importers;
mod merge;
pub mod recording;
pub mod simulator;

pub use larder_records::Truth;
pub use merge::Merge;

/// One thing that a feed yields.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A message of a sensor.
    Frame(Frame),
    /// A movement known from elsewhere.
    Declared(DeclaredMovement),
    /// A record of the product database.
    Product(Product),
    /// An appliance and its thresholds.
    Appliance(Appliance),
    /// What people say of what the machine got wrong.
    Correction(Correction),
    /// What was truly there: for evaluation alone.
    Truth(Truth),
}

/// What stands at one position of a feed: an event, or why there is none.
pub type Entry = (Position, Result<Event, DeadLetter>);

/// The event time of what stands at an entry, where it has one.
pub fn event_time((_, entry): &Entry) -> Option<Time> {
    match entry.as_ref().ok()? {
        Event::Frame(frame) => Some(frame.time),
        Event::Declared(movement) => Some(movement.time),
        Event::Truth(truth) => Some(truth.time),
        Event::Product(product) => Some(product.as_of),
        Event::Appliance(appliance) => Some(appliance.as_of),
        Event::Correction(correction) => Some(correction.time),
    }
}

/// The ordered events of some appliances.
pub trait Feed {
    /// The next entry, or none at the end. Names met on the way are interned into `names`.
    ///
    /// A record that cannot be taken in is an entry, not an error: the feed goes on behind it.
    ///
    /// # Errors
    /// [`FeedError`] where nothing more can be read.
    fn next_entry(&mut self, names: &mut Names) -> Result<Option<Entry>, FeedError>;

    /// How many bytes of its sources are read, for progress.
    fn bytes_read(&self) -> u64;
}

/// Why a feed cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two names share an id.
    #[error(transparent)]
    Collision(#[from] IdCollision),
}
