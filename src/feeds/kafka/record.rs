//! What one record says.

use std::{fmt, str::FromStr};

use larder_records::wire::{self, MAX_IMAGE_BYTES, Refused, WireError, v1};
use larder_records::{ApplianceId, DeadReason, Names, Time};
use prost::Message;
use v1::frame::Payload;

use crate::feeds::{Event, recording::Outgoing};

/// The header that names the message of a record, such as `larder.v1.Product`, whatever its topic carries.
pub const SCHEMA_HEADER: &str = "schema";

/// The largest record that is ever taken in, in bytes: the largest picture and what stands around it.
pub const MAX_RECORD_BYTES: usize = MAX_IMAGE_BYTES as usize + (64 << 10);

/// What the records of a topic are where no [`SCHEMA_HEADER`] says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Carries {
    /// `larder.v1.Frame`: readings and pictures.
    #[default]
    Frames,
    /// `larder.v1.Seen`: what vision saw in pictures.
    Sightings,
    /// `larder.v1.DeadLetter`: what could not be taken in elsewhere.
    DeadLetters,
    /// `larder.v1.DeclaredMovement`; the key is the appliance.
    Declared,
    /// `larder.v1.Product`.
    Products,
    /// `larder.v1.Appliance`.
    Appliances,
    /// `larder.v1.Correction`.
    Corrections,
    /// `larder.v1.Truth`, for evaluation alone; the key is the appliance.
    Truth,
}

impl Carries {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Frames,
        Self::Sightings,
        Self::DeadLetters,
        Self::Declared,
        Self::Products,
        Self::Appliances,
        Self::Corrections,
        Self::Truth,
    ];

    /// Its name in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Sightings => "sightings",
            Self::DeadLetters => "dead_letters",
            Self::Declared => "declared",
            Self::Products => "products",
            Self::Appliances => "appliances",
            Self::Corrections => "corrections",
            Self::Truth => "truth",
        }
    }

    /// The full protobuf name of its message.
    pub fn schema(self) -> &'static str {
        match self {
            Self::Frames => "larder.v1.Frame",
            Self::Sightings => "larder.v1.Seen",
            Self::DeadLetters => "larder.v1.DeadLetter",
            Self::Declared => "larder.v1.DeclaredMovement",
            Self::Products => "larder.v1.Product",
            Self::Appliances => "larder.v1.Appliance",
            Self::Corrections => "larder.v1.Correction",
            Self::Truth => "larder.v1.Truth",
        }
    }
}

impl fmt::Display for Carries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Carries {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is none of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// What one record holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// An event.
    Event(Event),
    /// A frame whose picture lies elsewhere.
    Named(v1::Frame, v1::ImageReference),
}

impl Decoded {
    /// The event, where pictures that lie elsewhere are not to be had.
    ///
    /// # Errors
    /// [`WireError::Refused`] for one that names its picture.
    pub fn whole(self, names: &mut Names) -> Result<Event, WireError> {
        match self {
            Self::Event(event) => Ok(event),
            Self::Named(mut frame, reference) => {
                frame.payload = Some(Payload::ImageReference(reference));
                wire::decode_frame(frame, names).map(Event::Frame)
            }
        }
    }
}

/// What a record of at most `limit` bytes holds: its key, its [`SCHEMA_HEADER`], and its value.
///
/// # Errors
/// [`WireError::Refused`] for what can be no event: a record without value, of a schema that is not known, without the
/// appliance in its key where one is needed, and as the message's own check.
pub fn decode(
    carries: Carries,
    key: Option<&[u8]>,
    schema: Option<&[u8]>,
    value: Option<&[u8]>,
    limit: usize,
    names: &mut Names,
) -> Result<Decoded, WireError> {
    let carries = match schema {
        None => carries,
        Some(named) => match Carries::ALL.into_iter().find(|kind| kind.schema().as_bytes() == named) {
            Some(kind) => kind,
            None => {
                let start: String = String::from_utf8_lossy(named).chars().take(64).collect();
                return Err(Refused::new(DeadReason::UnknownSchema, format!("a record of schema {start:?}")).into());
            }
        },
    };
    let value = value.ok_or_else(|| Refused::new(DeadReason::Malformed, "a record without a value"))?;
    if value.len() > limit {
        let detail = format!("a record of {} bytes, where {limit} are allowed", value.len());
        return Err(Refused::new(DeadReason::TooLarge, detail).into());
    }
    Ok(Decoded::Event(match carries {
        Carries::Frames => {
            if let Some(frame) = wire::decode_plain_reading(value, names)? {
                return Ok(Decoded::Event(Event::Frame(frame)));
            }
            let mut frame: v1::Frame = message(value)?;
            match frame.payload.take() {
                Some(Payload::ImageReference(reference)) => return Ok(Decoded::Named(frame, reference)),
                payload => frame.payload = payload,
            }
            Event::Frame(wire::decode_frame(frame, names)?)
        }
        Carries::Sightings => {
            let (result, vision) = wire::decode_seen(&message(value)?, names)?;
            Event::Seen(result, vision)
        }
        Carries::DeadLetters => Event::Refused(wire::decode_dead_letter(message(value)?)?),
        Carries::Products => Event::Product(wire::decode_product(&message::<v1::Product>(value)?, names)?),
        Carries::Appliances => Event::Appliance(wire::decode_appliance(&message::<v1::Appliance>(value)?, names)?),
        Carries::Corrections => Event::Correction(wire::decode_correction(&message(value)?, names)?),
        Carries::Declared => {
            let declared: v1::DeclaredMovement = message(value)?;
            Event::Declared(wire::decode_declared(appliance(key, names)?, &declared, names)?)
        }
        Carries::Truth => {
            let truth: v1::Truth = message(value)?;
            Event::Truth(wire::decode_truth(appliance(key, names)?, &truth, names)?)
        }
    }))
}

fn message<M: Message + Default>(value: &[u8]) -> Result<M, Refused> {
    M::decode(value).map_err(Refused::from)
}

fn appliance(key: Option<&[u8]>, names: &mut Names) -> Result<ApplianceId, WireError> {
    let text = key.and_then(|key| std::str::from_utf8(key).ok()).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Refused::new(DeadReason::Malformed, "a record whose key names no appliance"))?;
    Ok(ApplianceId(names.intern(text)?))
}

/// The record that a producer sends for an event: keyed by its appliance, with the event's time, and a header that names its
/// message where that is no frame.
///
/// # Errors
/// [`Refused`] for a value that no message can hold.
pub fn outgoing(event: &Event, names: &Names) -> Result<Outgoing, Refused> {
    let of = |appliance: ApplianceId| names.text(appliance.0);
    let (carries, key, time, value) = match event {
        Event::Frame(frame) => {
            let value = wire::encode_frame(frame, names)?.encode_to_vec();
            (Carries::Frames, of(frame.appliance), frame.time, value)
        }
        Event::Seen(result, vision) => {
            let value = wire::encode_seen(result, *vision, names).encode_to_vec();
            (Carries::Sightings, of(result.key.appliance), result.key.time, value)
        }
        Event::Refused(letter) => {
            // when it was met is nobody's event time
            let value = wire::encode_dead_letter(letter).encode_to_vec();
            (Carries::DeadLetters, &*letter.position.source, Time::default(), value)
        }
        Event::Declared(movement) => {
            let value = wire::encode_declared(movement, names)?.encode_to_vec();
            (Carries::Declared, of(movement.appliance), movement.time, value)
        }
        Event::Truth(truth) => {
            (Carries::Truth, of(truth.appliance), truth.time, wire::encode_truth(truth, names).encode_to_vec())
        }
        Event::Appliance(appliance) => {
            let value = wire::encode_appliance(appliance, names).encode_to_vec();
            (Carries::Appliances, of(appliance.id), appliance.as_of, value)
        }
        Event::Product(product) => {
            let value = wire::encode_product(product, names).encode_to_vec();
            (Carries::Products, names.text(product.id.0), product.as_of, value)
        }
        Event::Correction(correction) => {
            let value = wire::encode_correction(correction, names).encode_to_vec();
            (Carries::Corrections, names.text(correction.id), correction.time, value)
        }
    };
    let schema = (carries != Carries::Frames).then(|| v1::kafka_record::Header {
        name: SCHEMA_HEADER.to_owned(),
        value: Some(carries.schema().as_bytes().into()),
    });
    let record = v1::KafkaRecord {
        timestamp_ms: Some(time.0.div_euclid(1000)),
        key: Some(key.as_bytes().to_vec().into()),
        value: Some(value.into()),
        headers: schema.into_iter().collect(),
        ..v1::KafkaRecord::default()
    };
    Ok(Outgoing { time, record })
}

#[cfg(test)]
mod tests {
    use larder_records::{Frame, Modality, Payload, SensorId};

    use super::*;

    fn reading(names: &mut Names) -> Event {
        Event::Frame(Frame {
            appliance: ApplianceId(names.intern("fridge-1").unwrap()),
            sensor: SensorId(names.intern("scale").unwrap()),
            modality: Modality::Weight,
            time: Time(1_800_000_000_000_000),
            sequence: 7,
            payload: Payload::Reading(12_500),
        })
    }

    #[test]
    fn an_event_comes_back_from_its_record_and_is_keyed_by_what_it_is_of() {
        let mut names = Names::default();
        let product = Event::Product(larder_records::Product {
            id: larder_records::ProductId(names.intern("milk-1l").unwrap()),
            as_of: Time(1_800_000_000_000_000),
            name: names.intern("Milk").unwrap(),
            category: names.intern("dairy/milk").unwrap(),
            brand: names.intern("").unwrap(),
            package_mg: 1_030_000,
            shelf_life_days: 7,
        });
        let correction = Event::Correction(larder_records::Correction {
            time: Time(1_800_000_000_000_000),
            id: names.intern("17").unwrap(),
            author: names.intern("ada").unwrap(),
            reason: names.intern("").unwrap(),
            change: larder_records::Change::Remove {
                product: larder_records::ProductId(names.intern("milk-1l").unwrap()),
            },
        });
        for (event, key) in [(reading(&mut names), "fridge-1"), (product, "milk-1l"), (correction, "17")] {
            let Outgoing { time, record } = outgoing(&event, &names).unwrap();
            assert_eq!(time, Time(1_800_000_000_000_000));
            assert_eq!((record.timestamp_ms, record.key.as_deref()), (Some(1_800_000_000_000), Some(key.as_bytes())));
            // the header outranks what the topic carries
            let schema = record.headers.first().and_then(|header| header.value.as_deref());
            let value = record.value.as_deref();
            let back = decode(Carries::Frames, Some(key.as_bytes()), schema, value, 9999, &mut names);
            assert_eq!(back.unwrap(), Decoded::Event(event));
        }
    }

    #[test]
    fn what_can_be_no_event_is_refused_with_its_reason() {
        let mut names = Names::default();
        let value = outgoing(&reading(&mut names), &names).unwrap().record.value;
        let reason = |carries, key, schema, value, limit| match decode(
            carries,
            key,
            schema,
            value,
            limit,
            &mut Names::default(),
        ) {
            Err(WireError::Refused(refused)) => refused.reason,
            other => panic!("{other:?}"),
        };
        let value = value.as_deref();
        assert_eq!(reason(Carries::Frames, None, None, None, 9999), DeadReason::Malformed);
        assert_eq!(reason(Carries::Frames, None, None, Some(b"\xff\xff"), 9999), DeadReason::Malformed);
        assert_eq!(reason(Carries::Frames, None, None, value, 10), DeadReason::TooLarge);
        assert_eq!(reason(Carries::Frames, None, Some(b"avro"), value, 9999), DeadReason::UnknownSchema);
        assert_eq!(reason(Carries::Declared, None, None, Some(b""), 9999), DeadReason::Malformed);
        assert_eq!(reason(Carries::Declared, Some(b"\xff"), None, Some(b""), 9999), DeadReason::Malformed);
    }
}
