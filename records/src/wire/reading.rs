//! Readings: floating point outside, integers in the modality's unit inside.

use prost::Message as _;

use super::{Refused, decode_time, encode_time, time::time_of, v1};
use crate::{DeadReason, Modality, Time};

/// The values that a sensor of that modality can measure, in its unit, both ends included; none for pictures.
fn plausible(modality: Modality) -> Option<(i64, i64)> {
    match modality {
        Modality::Door => Some((0, 1)),
        // A tonne either way: a scale that was emptied before it was set to zero reads below nothing.
        Modality::Weight => Some((-1_000_000_000, 1_000_000_000)),
        Modality::Temperature => Some((-273_150, 2_000_000)),
        // A megawatt either way.
        Modality::Power => Some((-1_000_000_000, 1_000_000_000)),
        Modality::Visible | Modality::Depth | Modality::Infrared => None,
    }
}

/// Refuses a value that no sensor of that modality can measure.
///
/// # Errors
/// `BadValue` outside a door's 0 and 1, a tonne, -273.15 to 2000 degrees, a megawatt; `Malformed` for a modality of
/// pictures.
pub fn check_value(modality: Modality, value: i64) -> Result<i64, Refused> {
    let (low, high) =
        plausible(modality).ok_or_else(|| Refused::malformed(format!("a {modality} sensor sends pictures")))?;
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(Refused::new(DeadReason::BadValue, format!("no {modality} sensor measures {value}")))
    }
}

/// A value of that modality, in grams, degrees Celsius or watts, in the modality's unit, rounded to the nearest.
///
/// # Errors
/// `BadValue` where it is not finite or no sensor can measure it; `Malformed` for a modality of pictures.
pub fn decode_value(modality: Modality, value: f64) -> Result<i64, Refused> {
    let scaled = (value * 1000.0).round();
    // Beyond 2^53 thousandths nothing is plausible, and the cast below is exact up to there. NaN fails the comparison.
    if scaled.abs() <= 9_007_199_254_740_992.0 {
        check_value(modality, scaled as i64)
    } else {
        Err(Refused::new(DeadReason::BadValue, format!("a {modality} of {value}")))
    }
}

/// What a reading measures, when, and the value in the modality's unit.
///
/// # Errors
/// `Malformed` without value or time; `BadValue` where it is not finite or no sensor can measure it; `BadTime`.
pub fn decode_reading(message: &v1::Reading) -> Result<(Modality, Time, i64), Refused> {
    use v1::reading::Value;
    let time = decode_time(message.timestamp.as_ref())?;
    let (modality, value) = match message.value {
        Some(Value::DoorOpen(open)) => (Modality::Door, i64::from(open)),
        Some(Value::Grams(grams)) => (Modality::Weight, decode_value(Modality::Weight, grams)?),
        Some(Value::Celsius(degrees)) => (Modality::Temperature, decode_value(Modality::Temperature, degrees)?),
        Some(Value::Watts(watts)) => (Modality::Power, decode_value(Modality::Power, watts)?),
        None => return Err(Refused::malformed("a reading without a value")),
    };
    Ok((modality, time, value))
}

/// [`decode_reading`] of an encoded message.
///
/// Readings are most of what sensors send: those that are laid out as encoders lay them out are read without building
/// the message. The result is the same.
///
/// # Errors
/// As [`decode_reading`]; `Malformed` where the bytes are no such message.
pub fn decode_reading_bytes(bytes: &[u8]) -> Result<(Modality, Time, i64), Refused> {
    if let Some((seconds, nanos, modality, value)) = laid_out(bytes) {
        let time = time_of(seconds, nanos)?;
        let value = match modality {
            Modality::Door => i64::from(value != 0.0),
            _ => decode_value(modality, value)?,
        };
        return Ok((modality, time, value));
    }
    decode_reading(&v1::Reading::decode(bytes)?)
}

/// The fields of a reading in the order of their numbers, each once: seconds, nanoseconds, what is measured and the
/// value, 0 or 1 for a door. None for any other layout.
fn laid_out(bytes: &[u8]) -> Option<(i64, i32, Modality, f64)> {
    // Field 1, a message; it holds field 1, a varint, and then perhaps field 2, a varint; zeros are left out.
    let (&[0x0a, length @ 0..0x80], rest) = bytes.split_first_chunk()? else { return None };
    let (mut timestamp, value) = rest.split_at_checked(usize::from(length))?;
    let seconds = field(&mut timestamp, 0x08)?;
    let nanos = field(&mut timestamp, 0x10)?;
    if !timestamp.is_empty() {
        return None;
    }
    let (modality, value) = match *value {
        [0x10, open @ (0 | 1)] => (Modality::Door, f64::from(open)),
        [tag @ (0x19 | 0x21 | 0x29), ref number @ ..] => {
            let modality = match tag {
                0x19 => Modality::Weight,
                0x21 => Modality::Temperature,
                _ => Modality::Power,
            };
            (modality, f64::from_le_bytes(<[u8; 8]>::try_from(number).ok()?))
        }
        _ => return None,
    };
    // Negative numbers take ten bytes, which `field` leaves to the general way.
    Some((i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?, modality, value))
}

/// Takes a varint field of at most five bytes off the front; 0 where the next field is another.
pub(super) fn field(bytes: &mut &[u8], tag: u8) -> Option<u64> {
    let Some((first, mut rest)) = bytes.split_first() else { return Some(0) };
    if *first != tag {
        return Some(0);
    }
    let mut number = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            *bytes = rest;
            return Some(number);
        }
    }
    None
}

/// The message of a reading: the inverse of [`decode_reading`].
///
/// # Errors
/// As [`check_value`].
pub fn encode_reading(modality: Modality, time: Time, value: i64) -> Result<v1::Reading, Refused> {
    use v1::reading::Value;
    check_value(modality, value)?;
    let units = value as f64 / 1000.0;
    let value = match modality {
        Modality::Door => Value::DoorOpen(value == 1),
        Modality::Weight => Value::Grams(units),
        Modality::Temperature => Value::Celsius(units),
        _ => Value::Watts(units),
    };
    Ok(v1::Reading { timestamp: Some(encode_time(time)), value: Some(value) })
}
