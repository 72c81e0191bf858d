//! Recordings: feeds on disk, as MCAP files that any MCAP tool reads.
//!
//! Each sensor is a channel: topic `/{appliance}/{sensor}`, metadata `appliance`, `sensor` and `modality`. Pictures are
//! `foxglove.CompressedImage` or `foxglove.RawImage`, readings `larder.v1.Reading`. What is known beside the sensors
//! travels on `/{appliance}/appliance`, `/{appliance}/declared`, `/{appliance}/truth`, `/catalogue` and `/corrections`. Schemas are
//! embedded, log time and publish time are event time, and messages stand in the order in which they arrived.
//!
//! Captured Kafka topics are recordings too: a channel a partition, topic `/kafka/{topic}/{partition}`, whose messages are
//! whole records (`larder.v1.KafkaRecord`) and whose times are those that Kafka gave them.

mod container;
mod info;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use info::{ChannelInfo, Info, info};
pub use reader::{Outgoing, Recording};
pub use writer::{ChannelId, RecordingWriter, Summary, WriteError};

/// The MCAP profile of a recording.
const PROFILE: &str = "larder";

/// The message encoding and the schema encoding of every channel that Larder reads or writes.
const PROTOBUF: &str = "protobuf";

/// The keys of a channel's metadata.
mod key {
    pub(super) const APPLIANCE: &str = "appliance";
    pub(super) const SENSOR: &str = "sensor";
    pub(super) const MODALITY: &str = "modality";
    /// What the records of a captured topic are.
    pub(super) const CARRIES: &str = "carries";
}

/// The messages that a channel of a recording can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Schema {
    Reading,
    CompressedImage,
    RawImage,
    Appliance,
    Product,
    Declared,
    Truth,
    KafkaRecord,
    Correction,
}

impl Schema {
    const ALL: [Self; 9] = [
        Self::Reading,
        Self::CompressedImage,
        Self::RawImage,
        Self::Appliance,
        Self::Product,
        Self::Declared,
        Self::Truth,
        Self::KafkaRecord,
        Self::Correction,
    ];

    /// The message's full protobuf name.
    fn name(self) -> &'static str {
        match self {
            Self::Reading => "larder.v1.Reading",
            Self::CompressedImage => "foxglove.CompressedImage",
            Self::RawImage => "foxglove.RawImage",
            Self::Appliance => "larder.v1.Appliance",
            Self::Product => "larder.v1.Product",
            Self::Declared => "larder.v1.DeclaredMovement",
            Self::Truth => "larder.v1.Truth",
            Self::KafkaRecord => "larder.v1.KafkaRecord",
            Self::Correction => "larder.v1.Correction",
        }
    }

    /// The schema of that name.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schema| schema.name() == name)
    }
}
