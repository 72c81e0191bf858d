//! Whole frames: the value of a Kafka record.

use super::{
    Refused, WireError, decode_compressed, decode_raw, decode_reading, encode_compressed, encode_raw, encode_reading,
    image_modality, v1,
};
use crate::{ApplianceId, Frame, Modality, Names, Payload, SensorId};

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
