//! Event times.

use prost_types::Timestamp;

use super::Refused;
use crate::{DeadReason, Time};

/// The event time of a message, rounded down to the microsecond.
///
/// # Errors
/// `Malformed` where there is none or its nanoseconds lie outside `0..1_000_000_000`; `BadTime` outside 1970 to 2199.
pub fn decode_time(timestamp: Option<&Timestamp>) -> Result<Time, Refused> {
    let timestamp = timestamp.ok_or_else(|| Refused::malformed("no timestamp"))?;
    time_of(timestamp.seconds, timestamp.nanos)
}

/// The time of a `Timestamp`'s two fields.
pub(super) fn time_of(seconds: i64, nanos: i32) -> Result<Time, Refused> {
    if !(0..1_000_000_000).contains(&nanos) {
        return Err(Refused::malformed(format!("a timestamp of {nanos} nanoseconds")));
    }
    Time::new(seconds, nanos).map_err(|error| Refused::new(DeadReason::BadTime, error.to_string()))
}

/// `time` as a protobuf timestamp.
pub fn encode_time(time: Time) -> Timestamp {
    let (seconds, micros) = (time.0.div_euclid(Time::SECOND), time.0.rem_euclid(Time::SECOND));
    // The remainder is below a million, so that a thousand times it fits.
    Timestamp { seconds, nanos: i32::try_from(micros * 1000).unwrap_or_default() }
}
