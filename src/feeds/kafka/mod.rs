//! Kafka: live feeds, their recordings, and recordings played back. `docs/kafka.md` tells it from outside.
//!
//! [`Source`] reads fixed partitions from the offsets that the lake itself holds; Kafka's own group offsets are written for
//! whoever watches lag, and never read. [`capture`] keeps records byte for byte in a recording, [`Playback`] sends them.

mod capture;
mod client;
mod last;
mod member;
mod pictures;
mod publish;
mod record;
mod source;
mod start;
mod store;

pub use capture::{Captured, Until, capture};
pub use client::{Complaint, Connection, Lag};
pub use last::last_value;
pub use member::{Member, Received};
pub use pictures::{Pictures, Place};
pub use publish::{DeadLetterTopic, Outlet, Playback, Played, Publisher};
pub use record::{Carries, Decoded, MAX_RECORD_BYTES, SCHEMA_HEADER, decode, outgoing};
pub use source::{Options, Source, Topic};
pub use start::Start;

use larder_records::IdCollision;
use rdkafka::error::KafkaError as ClientError;

/// Why Kafka cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// A property that librdkafka does not take.
    #[error("kafka: {0}")]
    Property(String),
    /// A property that would break what Larder promises.
    #[error("kafka: the property {name:?} is Larder's own to set{}", .instead.map_or_else(String::new, |key| format!("; use {key}")))]
    Reserved {
        /// Which.
        name: String,
        /// What to use in its place.
        instead: Option<&'static str>,
    },
    /// A group cannot start there.
    #[error("kafka: a consumer group starts at the earliest or the latest record, not at {from:?}")]
    GroupStart {
        /// Where it was to start.
        from: Start,
    },
    /// A broker does not let this client in.
    #[error("kafka: {brokers}: {what}: {complaint}")]
    NotLetIn {
        /// The addresses tried.
        brokers: String,
        /// What was asked for.
        what: String,
        /// What the client said.
        complaint: Complaint,
    },
    /// No broker answers.
    #[error("kafka: {brokers}: {what}: {fault}{}", .complaint.as_ref().map_or_else(String::new, |told| format!(": {told}")))]
    Broker {
        /// The addresses tried.
        brokers: String,
        /// What was asked for.
        what: String,
        /// What the client said.
        fault: Box<ClientError>,
        /// What it complained of before.
        complaint: Option<Complaint>,
    },
    /// A bucket of pictures cannot be reached.
    #[error("kafka: the pictures at {url}: {fault}; look at kafka.pictures and the variables AWS_*")]
    Pictures {
        /// Which.
        url: String,
        /// What the client said.
        fault: String,
    },
    /// The topic is not there.
    #[error("kafka: there is no topic {topic:?} at {brokers}")]
    NoTopic {
        /// Which.
        topic: String,
        /// Where.
        brokers: String,
    },
    /// A partition is to be read that the topic does not have.
    #[error("kafka: the topic {topic:?} has {has} partitions, none of number {partition}")]
    NoPartition {
        /// Of which topic.
        topic: String,
        /// Which.
        partition: i32,
        /// How many there are.
        has: usize,
    },
    /// What is wanted was deleted.
    #[error(
        "kafka: {topic}/{partition}: offset {wanted} is gone: the topic's retention deleted all before {first}. What lies \
         between is lost to this lake; to go on without it, start with --from earliest"
    )]
    Lost {
        /// Of which topic.
        topic: String,
        /// In which partition.
        partition: i32,
        /// The first offset that the lake does not hold.
        wanted: u64,
        /// The first offset that there is.
        first: u64,
    },
    /// The lake holds more than the topic ever had.
    #[error(
        "kafka: {topic}/{partition}: the lake covers all before offset {wanted}, but the topic ends at {end}: it was made anew, \
         or is another cluster's. To read it from its beginning, start with --from earliest"
    )]
    Ahead {
        /// Of which topic.
        topic: String,
        /// In which partition.
        partition: i32,
        /// The first offset that the lake does not hold.
        wanted: u64,
        /// The offset behind the last that there is.
        end: u64,
    },
    /// No topic to play a recording to.
    #[error("{path}: its messages were not captured from Kafka: say to which --topic they go")]
    NoTarget {
        /// Which recording.
        path: std::path::PathBuf,
    },
    /// A record cannot be written.
    #[error("kafka: {topic}: a record could not be written: {fault}")]
    Send {
        /// To which topic.
        topic: String,
        /// What the client said.
        fault: Box<ClientError>,
    },
    /// A file of captured records cannot be read or written.
    #[error(transparent)]
    Recording(#[from] super::recording::WriteError),
    /// Two names share an id.
    #[error(transparent)]
    Collision(#[from] IdCollision),
}
