//! Feeds: where frames come from.

use std::time::Duration;

use larder_records::{
    Appliance, Correction, DeadLetter, DeclaredMovement, Digest, Frame, FrameResult, IdCollision, Names, Position,
    Product, Time,
};

pub mod importers;
pub mod kafka;
mod merge;
mod pace;
pub mod recording;
pub mod simulator;

pub use larder_records::Truth;
pub use merge::Merge;
pub use pace::{Clock, Pace};

/// One thing that a feed yields.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A message of a sensor.
    Frame(Frame),
    /// What the vision of that name saw in a frame, elsewhere.
    Seen(FrameResult, Digest),
    /// A record that could not be taken in elsewhere; its position is there.
    Refused(DeadLetter),
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
        Event::Seen(result, _) => Some(result.key.time),
        Event::Refused(_) => None,
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

/// A feed without an end of its own, whose reader keeps how far it came.
pub trait LiveFeed {
    /// The next entry, or none where none comes within `wait`. Names met on the way are interned into `names`.
    ///
    /// # Errors
    /// [`FeedError`] where nothing more can be read. What may pass, such as a broker that is gone for a while, is no error.
    fn poll(&mut self, names: &mut Names, wait: Duration) -> Result<Option<Entry>, FeedError>;

    /// How many bytes of records were read.
    fn bytes_read(&self) -> u64;

    /// The positions before which all was handed on, of whatever moved since [`LiveFeed::committed`] was last told.
    fn uncommitted(&self) -> Vec<Position>;

    /// Learns that [`LiveFeed::uncommitted`] is on the disk.
    fn committed(&mut self);

    /// Whether all was handed on that was there when reading began.
    fn ended(&self) -> bool;
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
    /// Kafka cannot be read.
    #[error(transparent)]
    Kafka(#[from] kafka::KafkaError),
    /// Two names share an id.
    #[error(transparent)]
    Collision(#[from] IdCollision),
}
