//! Local times, as people's files state them.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use larder_records::Time;

/// The zone of that IANA name.
pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|error| error.to_string())
}

/// The event time of a local time. In the hour that clocks show twice, the first of both, unless that lies before
/// `earliest` and the second does not; in the hour that they skip, as if they had not yet been put forward.
pub(super) fn event_time(local: DateTime, zone: &TimeZone, earliest: Time) -> Option<Time> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let time = |timestamp: jiff::Timestamp| {
        let time = Time(timestamp.as_microsecond());
        (Time::MIN..Time::MAX).contains(&time).then_some(time)
    };
    if !matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. }) {
        return ambiguous.compatible().ok().and_then(time);
    }
    let first = zone.to_ambiguous_timestamp(local).earlier().ok().and_then(time)?;
    match ambiguous.later().ok().and_then(time) {
        Some(second) if first < earliest && second >= earliest => Some(second),
        _ => Some(first),
    }
}

/// A date and a time of day from their numbers: `12/31/1999 23:59:59` split at `separators`, in the order that `fields`
/// gives the places of year, month, day, hour, minute and second.
pub(super) fn civil(text: &str, separators: &[char], fields: [usize; 6]) -> Option<DateTime> {
    let numbers: Vec<i16> = text.split(separators).map_while(|number| number.parse().ok()).collect();
    if numbers.len() != 6 {
        return None;
    }
    let [year, month, day, hour, minute, second] = fields.map(|field| numbers[field]);
    let small = |number: i16| i8::try_from(number).ok();
    DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, 0).ok()
}
