//! Days and weeks of an appliance's own time zone.

use std::{collections::HashMap, sync::LazyLock};

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};
use larder_records::{Name, Time, views::Day};

/// Every zone of the bundled IANA database by its interned name; zone names are interned like any other text.
static ZONES: LazyLock<HashMap<Name, TimeZone>> = LazyLock::new(|| {
    let database = TimeZoneDatabase::bundled();
    let zone = |name: &str| database.get(name).ok().map(|zone| (Name::of(name), zone));
    database.available().filter_map(|name| zone(name.as_str())).collect()
});

/// The local day of `time` in `zone`; in UTC where no zone has that name.
///
/// ```
/// use larder_operators::calendar::day;
/// use larder_records::{Name, Time};
///
/// let late = Time(23 * Time::HOUR);
/// assert_eq!(day(late, Name::default()), 0);
/// assert_eq!(day(late, Name::of("Europe/Berlin")), 1);
/// ```
pub fn day(time: Time, zone: Name) -> Day {
    let offset = match (ZONES.get(&zone), Timestamp::from_microsecond(time.0)) {
        (Some(zone), Ok(instant)) => i64::from(zone.to_offset(instant).seconds()),
        _ => 0,
    };
    let day = time.plus(offset * Time::SECOND).0.div_euclid(Time::DAY);
    Day::try_from(day).unwrap_or(if day < 0 { Day::MIN } else { Day::MAX })
}

/// The Monday of the week of `day`.
///
/// ```
/// use larder_operators::calendar::monday;
///
/// assert_eq!(monday(0), -3); // 1970-01-01 was a Thursday
/// assert_eq!(monday(4), 4);
/// assert_eq!(monday(10), 4);
/// ```
pub fn monday(day: Day) -> Day {
    day.saturating_sub((i64::from(day) + 3).rem_euclid(7) as Day)
}
