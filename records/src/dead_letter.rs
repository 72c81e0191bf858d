//! Records that could not be taken in.

use std::fmt;
use std::sync::Arc;

/// Where a record stood in its feed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The file, or the topic and partition.
    pub source: Arc<str>,
    /// The byte in the file at which the record begins, or the offset in the partition. A message in a compressed chunk
    /// stands at the chunk's byte plus its place in the chunk. Rises strictly along a feed.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.source, self.offset)
    }
}

/// Why a record was refused: the coarse kinds that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The feed breaks off or its framing is damaged.
    Truncated,
    /// The message is not what its schema says.
    Malformed,
    /// The channel's schema or encoding is none that Larder knows.
    UnknownSchema,
    /// A value is not a number, or no sensor can measure it.
    BadValue,
    /// The event time lies outside 1970 to 2199.
    BadTime,
    /// The picture cannot be decoded.
    BadImage,
    /// The picture or message is larger than the limit.
    TooLarge,
    /// What is said to be seen was seen by another vision than the one that holds.
    OtherVision,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Truncated,
        Self::Malformed,
        Self::UnknownSchema,
        Self::BadValue,
        Self::BadTime,
        Self::BadImage,
        Self::TooLarge,
        Self::OtherVision,
    ];

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Its name in the table `dead_letters`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::UnknownSchema => "unknown_schema",
            Self::BadValue => "bad_value",
            Self::BadTime => "bad_time",
            Self::BadImage => "bad_image",
            Self::TooLarge => "too_large",
            Self::OtherVision => "other_vision",
        }
    }
}

/// A record that could not be taken in: where it stood, why, and in words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetter {
    /// Where it stood.
    pub position: Position,
    /// The kind of fault.
    pub reason: Reason,
    /// The fault in words.
    pub detail: String,
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.position, self.detail, self.reason.as_str())
    }
}
