//! Event time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A span of time, in microseconds.
pub type Micros = i64;

/// An event time: microseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Time(pub i64);

/// An event time that no appliance can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event time {seconds} s after 1970 lies outside the years 1970 to 2199")]
pub struct TimeOutOfRange {
    /// Seconds since 1970.
    pub seconds: i64,
}

impl Time {
    /// 1970-01-01.
    pub const MIN: Self = Self(0);
    /// 2200-01-01, exclusive: what lies behind it is a broken clock.
    pub const MAX: Self = Self(7_258_118_400 * 1_000_000);
    /// One second.
    pub const SECOND: Micros = 1_000_000;
    /// One minute.
    pub const MINUTE: Micros = 60 * Self::SECOND;
    /// One hour.
    pub const HOUR: Micros = 60 * Self::MINUTE;
    /// One day of 24 hours.
    pub const DAY: Micros = 24 * Self::HOUR;

    /// From seconds and nanoseconds since 1970, rounded down to the microsecond.
    ///
    /// # Errors
    /// [`TimeOutOfRange`] outside [`Time::MIN`]`..`[`Time::MAX`].
    pub fn new(seconds: i64, nanos: i32) -> Result<Self, TimeOutOfRange> {
        let error = TimeOutOfRange { seconds };
        let micros = seconds.checked_mul(Self::SECOND).ok_or(error)?;
        let micros = micros.checked_add(i64::from(nanos.div_euclid(1000))).ok_or(error)?;
        if (Self::MIN.0..Self::MAX.0).contains(&micros) { Ok(Self(micros)) } else { Err(error) }
    }

    /// From whole seconds since 1970.
    ///
    /// # Errors
    /// [`TimeOutOfRange`] outside [`Time::MIN`]`..`[`Time::MAX`].
    pub fn from_seconds(seconds: i64) -> Result<Self, TimeOutOfRange> {
        Self::new(seconds, 0)
    }

    /// Microseconds from `earlier` to `self`.
    pub fn since(self, earlier: Self) -> Micros {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` moved by `span`, kept between the smallest and the largest number.
    pub fn plus(self, span: Micros) -> Self {
        Self(self.0.saturating_add(span))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0.div_euclid(Self::SECOND), self.0.rem_euclid(Self::SECOND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_and_far_ahead_are_refused() {
        assert!(Time::from_seconds(-1).is_err());
        assert!(Time::from_seconds(7_258_118_400).is_err());
        assert!(Time::from_seconds(i64::MAX).is_err());
        assert!(Time::new(0, -1).is_err());
        assert_eq!(Time::new(1, 1_999).unwrap(), Time(1_000_001));
    }
}
