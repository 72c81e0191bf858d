//! Reads recordings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder_records::wire::{self, Refused, WireError, foxglove, v1};
use larder_records::{
    ApplianceId, DeadLetter, DeadReason, Frame, Image, Modality, Names, Payload, Position, SensorId, Time,
};
use prost::Message;

use super::container::{ChannelDefinition, ChunkStatistics, Container, Raw, RawMessage};
use super::{PROTOBUF, Schema, key};
use crate::feeds::kafka::{self, Carries, MAX_RECORD_BYTES, SCHEMA_HEADER};
use crate::feeds::{Entry, Event, Feed, FeedError};

/// A recording, read from front to back as it stands on the disk; nothing but one chunk of it is held in memory.
///
/// Whatever the bytes are, reading goes on: a message that cannot be taken in is a dead letter of its own, a damaged
/// chunk is one for all that it held, and a file that breaks off ends with one. Positions rise strictly and depend on
/// the file alone: the byte at which a record begins, and in a chunk the byte at which it begins plus the message's
/// place in it.
///
/// Channels without Larder's metadata are understood by their topic: `/a/b/c` is sensor `c` of appliance `a/b`, and
/// what it measures follows from its messages.
pub struct Recording {
    path: PathBuf,
    source: Arc<str>,
    container: Container,
    /// What each channel means, once it was needed.
    channels: Vec<Option<Meaning>>,
}

/// A position, the channel of a message there, and what it says.
type Next<T> = (u64, Option<u16>, Result<T, Refused>);

/// A record of a recording, as it is sent to Kafka.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// When it was: its timestamp in Kafka.
    pub time: Time,
    /// The record. Topic, partition and offset are those that it had in Kafka, or nothing where it never was there.
    pub record: v1::KafkaRecord,
}

/// What the messages of a channel mean.
#[derive(Debug, Clone)]
enum Meaning {
    Reading {
        appliance: ApplianceId,
        sensor: SensorId,
        modality: Option<Modality>,
    },
    Compressed {
        appliance: ApplianceId,
        sensor: SensorId,
        modality: Option<Modality>,
    },
    Raw {
        appliance: ApplianceId,
        sensor: SensorId,
        modality: Option<Modality>,
    },
    Appliance,
    Product,
    Correction,
    Declared(ApplianceId),
    Truth(ApplianceId),
    /// Records of a Kafka topic.
    Captured(Carries),
    /// Nothing that Larder knows.
    Refused(Refused),
}

impl Recording {
    /// Opens a recording.
    ///
    /// # Errors
    /// [`FeedError::Io`] where the file cannot be read. A file that is no MCAP opens, and yields a dead letter.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FeedError> {
        let path = path.into();
        match Container::open(&path) {
            Ok(container) => {
                let source = path.to_string_lossy().into();
                Ok(Self { path, source, container, channels: Vec::new() })
            }
            Err(source) => Err(FeedError::Io { path, source }),
        }
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    pub fn length(&self) -> u64 {
        self.container.length()
    }

    /// Whether the recording was found to break off.
    pub(super) fn broke_off(&self) -> bool {
        self.container.broke_off()
    }

    /// The chunks so far.
    pub(super) fn chunks(&self) -> &ChunkStatistics {
        self.container.chunks()
    }

    /// A channel as the file states it.
    pub(super) fn channel(&self, id: u16) -> Option<&ChannelDefinition> {
        self.container.channel(id)
    }

    /// The next message or fault: its position, its channel where it is a message, and what it says.
    pub(super) fn next_message(&mut self, names: &mut Names) -> Result<Option<Next<Event>>, FeedError> {
        self.next_with(names, Self::decode)
    }

    /// The next record for Kafka, or why there is none: what was captured, byte for byte; of anything else what a producer
    /// would send.
    ///
    /// # Errors
    /// [`FeedError`] where nothing more can be read.
    pub fn next_outgoing(&mut self, names: &mut Names) -> Result<Option<Result<Outgoing, Refused>>, FeedError> {
        Ok(self.next_with(names, Self::outgoing)?.map(|(.., outcome)| outcome))
    }

    /// The next message, as `decode` understands it, or fault.
    fn next_with<T>(
        &mut self,
        names: &mut Names,
        decode: fn(&mut Self, &RawMessage, &mut Names) -> Result<T, WireError>,
    ) -> Result<Option<Next<T>>, FeedError> {
        loop {
            let next = self.container.next();
            let next = next.map_err(|source| FeedError::Io { path: self.path.clone(), source })?;
            let Some((offset, raw)) = next else { return Ok(None) };
            match raw {
                Raw::Channel(id) => {
                    if let Some(known) = self.channels.get_mut(usize::from(id)) {
                        *known = None;
                    }
                }
                Raw::Message(message) => {
                    let outcome = match decode(self, &message, names) {
                        Ok(event) => Ok(event),
                        Err(WireError::Refused(refused)) => Err(refused),
                        Err(WireError::Collision(collision)) => return Err(collision.into()),
                    };
                    return Ok(Some((offset, Some(message.channel), outcome)));
                }
                Raw::Fault(reason, detail) => return Ok(Some((offset, None, Err(Refused { reason, detail })))),
            }
        }
    }

    /// What a message is in Kafka.
    fn outgoing(&mut self, message: &RawMessage, names: &mut Names) -> Result<Outgoing, WireError> {
        if let Meaning::Captured(_) = self.meaning(message, names)? {
            let record = v1::KafkaRecord::decode(self.container.bytes(message)).map_err(Refused::from)?;
            return Ok(Outgoing { time: Time(record.timestamp_ms.unwrap_or_default().saturating_mul(1000)), record });
        }
        let event = self.decode(message, names)?;
        Ok(kafka::outgoing(&event, names)?)
    }

    /// What the messages of a message's channel mean.
    fn meaning(&mut self, message: &RawMessage, names: &mut Names) -> Result<&Meaning, WireError> {
        let index = usize::from(message.channel);
        if self.channels.len() <= index {
            self.channels.resize(index + 1, None);
        }
        if self.channels[index].is_none() {
            let meaning = match self.container.channel(message.channel) {
                Some(definition) => meaning(definition, names)?,
                None => {
                    let detail = format!("a message of channel {index}, which is not stated");
                    return Err(Refused::new(DeadReason::UnknownSchema, detail).into());
                }
            };
            self.channels[index] = Some(meaning);
        }
        // it was put there above
        self.channels[index]
            .as_ref()
            .ok_or_else(|| Refused::new(DeadReason::UnknownSchema, "a channel of no meaning").into())
    }

    /// What a message says.
    fn decode(&mut self, message: &RawMessage, names: &mut Names) -> Result<Event, WireError> {
        let meaning = self.meaning(message, names)?.clone();
        let bytes = self.container.bytes(message);
        let sequence = message.sequence;
        match meaning {
            Meaning::Reading { appliance, sensor, modality } => {
                let (measured, time, value) = wire::decode_reading_bytes(bytes)?;
                if modality.is_some_and(|stated| stated != measured) {
                    let detail = format!("a {measured} reading on a channel of another modality");
                    return Err(Refused::new(DeadReason::Malformed, detail).into());
                }
                let payload = Payload::Reading(value);
                Ok(Event::Frame(Frame { appliance, sensor, modality: measured, time, sequence, payload }))
            }
            Meaning::Compressed { appliance, sensor, modality } => {
                let message = foxglove::CompressedImage::decode(bytes).map_err(Refused::from)?;
                let picture = wire::decode_compressed(message)?;
                Ok(frame(appliance, sensor, modality, sequence, picture))
            }
            Meaning::Raw { appliance, sensor, modality } => {
                let message = foxglove::RawImage::decode(bytes).map_err(Refused::from)?;
                let picture = wire::decode_raw(message)?;
                Ok(frame(appliance, sensor, modality, sequence, picture))
            }
            Meaning::Appliance => {
                let message = v1::Appliance::decode(bytes).map_err(Refused::from)?;
                Ok(Event::Appliance(wire::decode_appliance(&message, names)?))
            }
            Meaning::Product => {
                let message = v1::Product::decode(bytes).map_err(Refused::from)?;
                Ok(Event::Product(wire::decode_product(&message, names)?))
            }
            Meaning::Correction => {
                let message = v1::Correction::decode(bytes).map_err(Refused::from)?;
                Ok(Event::Correction(wire::decode_correction(&message, names)?))
            }
            Meaning::Declared(appliance) => {
                let message = v1::DeclaredMovement::decode(bytes).map_err(Refused::from)?;
                Ok(Event::Declared(wire::decode_declared(appliance, &message, names)?))
            }
            Meaning::Truth(appliance) => {
                let message = v1::Truth::decode(bytes).map_err(Refused::from)?;
                Ok(Event::Truth(wire::decode_truth(appliance, &message, names)?))
            }
            Meaning::Refused(refused) => Err(refused.into()),
            Meaning::Captured(carries) => {
                let record = v1::KafkaRecord::decode(bytes).map_err(Refused::from)?;
                let schema = record.headers.iter().find(|header| header.name == SCHEMA_HEADER);
                let schema = schema.and_then(|header| header.value.as_deref());
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                kafka::decode(carries, key, schema, value, MAX_RECORD_BYTES, names)?.whole(names)
            }
        }
    }
}

impl Feed for Recording {
    fn next_entry(&mut self, names: &mut Names) -> Result<Option<Entry>, FeedError> {
        let Some((offset, _, outcome)) = self.next_message(names)? else { return Ok(None) };
        let position = Position { source: self.source.clone(), offset };
        let entry =
            outcome.map_err(|Refused { reason, detail }| DeadLetter { position: position.clone(), reason, detail });
        Ok(Some((position, entry)))
    }

    fn bytes_read(&self) -> u64 {
        self.container.at()
    }
}

fn frame(
    appliance: ApplianceId,
    sensor: SensorId,
    modality: Option<Modality>,
    sequence: u32,
    (time, image): (Time, Image),
) -> Event {
    let modality = modality.unwrap_or_else(|| wire::image_modality(&image));
    Event::Frame(Frame { appliance, sensor, modality, time, sequence, payload: Payload::Image(image) })
}

/// What the messages of a channel mean, from its schema, its metadata and, where that says nothing, its topic.
fn meaning(definition: &ChannelDefinition, names: &mut Names) -> Result<Meaning, WireError> {
    let unknown = |detail: String| Ok(Meaning::Refused(Refused::new(DeadReason::UnknownSchema, detail)));
    let start = |text: &str| text.chars().take(64).collect::<String>();
    let Some(schema) = &definition.schema else {
        return unknown(format!("channel {:?} has no schema", start(&definition.topic)));
    };
    if definition.encoding != PROTOBUF || schema.encoding != PROTOBUF {
        return unknown(format!("messages are encoded as {:?}, not protobuf", start(&definition.encoding)));
    }
    let Some(schema) = Schema::from_name(&schema.name) else {
        return unknown(format!("messages of schema {:?}", start(&schema.name)));
    };
    match schema {
        Schema::Product => return Ok(Meaning::Product),
        Schema::Appliance => return Ok(Meaning::Appliance),
        Schema::Correction => return Ok(Meaning::Correction),
        _ => {}
    }
    if schema == Schema::KafkaRecord {
        let carries = definition.metadata.get(key::CARRIES).and_then(|kind| kind.parse().ok());
        return Ok(Meaning::Captured(carries.unwrap_or_default()));
    }
    let topic = definition.topic.trim_matches('/');
    let (above, last) = topic.rsplit_once('/').unwrap_or((topic, topic));
    let stated = |key| definition.metadata.get(key).map(String::as_str).filter(|text: &&str| !text.is_empty());
    let appliance = stated(key::APPLIANCE).unwrap_or(above);
    if appliance.is_empty() {
        return unknown("a channel whose appliance neither metadata nor topic names".to_owned());
    }
    let appliance = ApplianceId(names.intern(appliance)?);
    match schema {
        Schema::Declared => return Ok(Meaning::Declared(appliance)),
        Schema::Truth => return Ok(Meaning::Truth(appliance)),
        _ => {}
    }
    let sensor = SensorId(names.intern(stated(key::SENSOR).unwrap_or(last))?);
    let modality = match stated(key::MODALITY) {
        None => None,
        Some(name) => match Modality::from_name(name) {
            Some(modality) if modality.is_image() != (schema == Schema::Reading) => Some(modality),
            _ => return unknown(format!("{} messages of a sensor of {:?}", schema.name(), start(name))),
        },
    };
    Ok(match schema {
        Schema::Reading => Meaning::Reading { appliance, sensor, modality },
        Schema::CompressedImage => Meaning::Compressed { appliance, sensor, modality },
        _ => Meaning::Raw { appliance, sensor, modality },
    })
}
