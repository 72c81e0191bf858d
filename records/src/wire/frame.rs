//! Whole frames: the value of a Kafka record.

use super::{
    Refused, WireError, decode_compressed, decode_raw, decode_reading, decode_reading_bytes, encode_compressed,
    encode_raw, encode_reading, image_modality, reading::field, v1,
};
use crate::{ApplianceId, Frame, IdCollision, Modality, Names, Payload, SensorId, Time};

/// What [`decode_frame`] makes of an encoded message that is a sound reading, laid out as encoders lay it out; none of any
/// other. The message itself is not built: readings are most of what sensors send.
///
/// # Errors
/// A collision of names.
pub fn decode_plain_reading(bytes: &[u8], names: &mut Names) -> Result<Option<Frame>, IdCollision> {
    let Some((appliance, sensor, sequence, modality, time, value)) = plain_reading(bytes) else { return Ok(None) };
    Ok(Some(Frame {
        appliance: ApplianceId(names.intern(appliance)?),
        sensor: SensorId(names.intern(sensor)?),
        modality,
        time,
        sequence,
        payload: Payload::Reading(value),
    }))
}

/// The fields of a frame of a reading in the order of their numbers, each once: appliance, sensor, sequence, and what the
/// reading says.
fn plain_reading(mut bytes: &[u8]) -> Option<(&str, &str, u32, Modality, Time, i64)> {
    let appliance = text(&mut bytes, 0x0a)?;
    let sensor = text(&mut bytes, 0x12)?;
    let modality = i32::try_from(field(&mut bytes, 0x18)?).ok()?;
    let sequence = u32::try_from(field(&mut bytes, 0x20)?).ok()?;
    let (&[0x2a, length @ 0..0x80], reading) = bytes.split_first_chunk()? else { return None };
    if reading.len() != usize::from(length) {
        return None;
    }
    let (measured, time, value) = decode_reading_bytes(reading).ok()?;
    let stated = decode_modality(modality).ok()?;
    stated.is_none_or(|stated| stated == measured).then_some((appliance, sensor, sequence, measured, time, value))
}

/// Takes a field of 1 to 127 bytes of text off the front.
fn text<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a str> {
    let (&[first, length @ 1..0x80], rest) = bytes.split_first_chunk()? else { return None };
    let (text, rest) = rest.split_at_checked(usize::from(length))?;
    *bytes = rest;
    (first == tag).then(|| std::str::from_utf8(text).ok()).flatten()
}

/// The frame of a message that is complete in itself.
///
/// # Errors
/// `Malformed` without appliance, sensor or payload, for a modality that is not known, and where the payload is of
/// another; else as the payload's own check. A collision of names.
pub fn decode_frame(message: v1::Frame, names: &mut Names) -> Result<Frame, WireError> {
    use v1::frame::Payload as Wire;
    if message.appliance.is_empty() || message.sensor.is_empty() {
        return Err(Refused::malformed("a frame without appliance or sensor").into());
    }
    let stated = decode_modality(message.modality)?;
    let (modality, time, payload) = match message.payload {
        Some(Wire::Reading(reading)) => {
            let (modality, time, value) = decode_reading(&reading)?;
            (modality, time, Payload::Reading(value))
        }
        Some(Wire::CompressedImage(image)) => {
            let (time, image) = decode_compressed(image)?;
            (stated.unwrap_or(image_modality(&image)), time, Payload::Image(image))
        }
        Some(Wire::RawImage(image)) => {
            let (time, image) = decode_raw(image)?;
            (stated.unwrap_or(image_modality(&image)), time, Payload::Image(image))
        }
        Some(Wire::ImageReference(_)) => {
            return Err(Refused::malformed("a picture that lies elsewhere, and no folder to look for it in").into());
        }
        None => return Err(Refused::malformed("a frame without payload").into()),
    };
    let agrees = stated.is_none_or(|stated| stated == modality);
    if !agrees || modality.is_image() != matches!(payload, Payload::Image(_)) {
        return Err(Refused::malformed(format!("the payload is not of a {} sensor", stated.unwrap_or(modality))).into());
    }
    Ok(Frame {
        appliance: ApplianceId(names.intern(&message.appliance)?),
        sensor: SensorId(names.intern(&message.sensor)?),
        modality,
        time,
        sequence: message.sequence,
        payload,
    })
}

/// The message of a frame: the inverse of [`decode_frame`].
///
/// # Errors
/// `BadValue` for a value that no sensor of its modality can measure.
pub fn encode_frame(frame: &Frame, names: &Names) -> Result<v1::Frame, Refused> {
    use v1::frame::Payload as Wire;
    let (appliance, sensor) = (names.text(frame.appliance.0), names.text(frame.sensor.0));
    let payload = match &frame.payload {
        Payload::Reading(value) => Some(Wire::Reading(encode_reading(frame.modality, frame.time, *value)?)),
        Payload::Image(image) => {
            let frame_id = format!("{appliance}/{sensor}");
            encode_compressed(frame.time, &frame_id, image)
                .map(Wire::CompressedImage)
                .or_else(|| encode_raw(frame.time, &frame_id, image).map(Wire::RawImage))
        }
    };
    Ok(v1::Frame {
        appliance: appliance.to_owned(),
        sensor: sensor.to_owned(),
        modality: encode_modality(frame.modality).into(),
        sequence: frame.sequence,
        payload,
    })
}

pub(super) fn decode_modality(number: i32) -> Result<Option<Modality>, Refused> {
    let unspecified = i32::from(v1::Modality::Unspecified);
    let known = Modality::ALL.into_iter().find(|modality| i32::from(encode_modality(*modality)) == number);
    if known.is_some() || number == unspecified {
        Ok(known)
    } else {
        Err(Refused::malformed(format!("modality {number}")))
    }
}

pub(super) fn encode_modality(modality: Modality) -> v1::Modality {
    match modality {
        Modality::Visible => v1::Modality::Visible,
        Modality::Depth => v1::Modality::Depth,
        Modality::Infrared => v1::Modality::Infrared,
        Modality::Weight => v1::Modality::Weight,
        Modality::Door => v1::Modality::Door,
        Modality::Temperature => v1::Modality::Temperature,
        Modality::Power => v1::Modality::Power,
    }
}
