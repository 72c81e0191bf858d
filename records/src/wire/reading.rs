//! Readings: floating point outside, integers in the modality's unit inside.

use super::{Refused, decode_time, encode_time, v1};
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

/// `value` in thousandths, rounded to the nearest.
pub(super) fn thousandths(modality: Modality, value: f64) -> Result<i64, Refused> {
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
        Some(Value::Grams(grams)) => (Modality::Weight, thousandths(Modality::Weight, grams)?),
        Some(Value::Celsius(degrees)) => (Modality::Temperature, thousandths(Modality::Temperature, degrees)?),
        Some(Value::Watts(watts)) => (Modality::Power, thousandths(Modality::Power, watts)?),
        None => return Err(Refused::malformed("a reading without a value")),
    };
    Ok((modality, time, value))
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
