//! What the scales showed before and after a visit.

use larder_records::{ApplianceId, Micros, Modality, Reading, SensorId, Time};
use serde::{Deserialize, Serialize};

use crate::{Rows, Window, grouped};

/// The median load of each scale that had a reading, by sensor, in milligrams.
pub type Level = Vec<(SensorId, i64)>;

/// What the scales of an appliance showed around a visit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Levels {
    /// In the minute before the opening.
    pub before: Level,
    /// In the minute that begins two seconds after the closing, or as much of it as lies before the next opening.
    pub after: Level,
}

impl Levels {
    /// The change of the load from `from` to `to`; none where they know of different scales, or of none.
    pub fn change(from: &Level, to: &Level) -> Option<i64> {
        let same = !from.is_empty() && from.iter().map(|l| l.0).eq(to.iter().map(|l| l.0));
        same.then(|| {
            let changes = from.iter().zip(to).map(|(from, to)| to.1.saturating_sub(from.1));
            changes.fold(0, i64::saturating_add)
        })
    }
}

/// How long the scales are watched.
const WATCH: Micros = Time::MINUTE;
/// How long after a closing they still swing.
const SETTLE: Micros = 2 * Time::SECOND;

/// Which side of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Side {
    Before,
    After,
}

/// When the scales are watched, before and after a visit: from, inclusive, until, exclusive.
fn watched(window: &Window) -> [Option<(Side, Time, Time)>; 2] {
    let before = (Side::Before, window.opened.plus(-WATCH), window.opened);
    let after = window.closed.map(|closed| {
        let from = closed.plus(SETTLE);
        let until = from.plus(WATCH);
        (Side::After, from, window.next.map_or(until, |next| next.min(until)))
    });
    [Some(before), after]
}

/// What the scales showed around each window, where they showed anything; the key is the window's appliance and opening.
/// Of an even number of readings the lower of the middle two counts. Readings of other modalities are passed over.
///
/// Readings and windows meet by spans of nine minutes, so no group grows with the history.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::{Levels, Window, levels};
/// use larder_records::{ApplianceId, Modality, Reading, SensorId, Time};
///
/// let (appliance, sensor) = (ApplianceId::of("fridge"), SensorId::of("scale"));
/// timely::example(move |scope| {
///     let reading = |seconds: i64, value| Reading {
///         appliance, sensor, modality: Modality::Weight, time: Time(seconds * Time::SECOND), sequence: 0, value,
///     };
///     let readings = [reading(90, 7), reading(95, 9), reading(99, 8), reading(111, 50), reading(112, 3)];
///     let (opened, closed) = (Time(100 * Time::SECOND), Some(Time(110 * Time::SECOND)));
///     let windows = scope.new_collection_from([Window { appliance, opened, closed, next: None }]).1;
///     let found = levels(windows, scope.new_collection_from(readings).1);
///     let expected = Levels { before: vec![(sensor, 8)], after: vec![(sensor, 3)] };
///     found.assert_eq(scope.new_collection_from([((appliance, opened), expected)]).1);
/// });
/// ```
pub fn levels<'scope>(
    windows: Rows<'scope, Window>,
    readings: Rows<'scope, Reading>,
) -> Rows<'scope, ((ApplianceId, Time), Levels)> {
    // most windows touch one of these spans alone, and are held once
    let span = |time: Time| time.0 >> 29;
    let spans = windows.flat_map(move |window| {
        let touched = watched(&window).into_iter().flatten().filter(|(_, from, until)| from < until);
        let mut touched: Vec<i64> = touched.flat_map(|(_, from, until)| span(from)..=span(until.plus(-1))).collect();
        touched.dedup();
        let Window { appliance, opened, closed, next } = window;
        touched.into_iter().map(move |span| ((appliance, span), (opened, closed, next)))
    });
    let loads = readings.flat_map(move |r| {
        (r.modality == Modality::Weight)
            .then_some(((r.appliance, span(r.time)), (r.sensor, r.value, r.time, r.sequence)))
    });
    let loads = spans.join_core(
        loads.arrange_by_key_named("Arrange: Weights"),
        |&(appliance, _), &(opened, closed, next), &(sensor, value, time, sequence)| {
            let window = Window { appliance, opened, closed, next };
            let sides =
                watched(&window).into_iter().flatten().filter(move |(_, from, until)| (*from..*until).contains(&time));
            sides.map(move |(side, ..)| ((appliance, opened, side, sensor), (value, time, sequence)))
        },
    );
    let medians = grouped(loads, "Median", |_, loads, median| median.push(loads[(loads.len() - 1) / 2].0.0))
        .map(|((appliance, opened, side, sensor), load)| ((appliance, opened), (side, sensor, load)));
    grouped(medians, "Levels", |_, loads, levels| {
        let of = |wanted: Side| {
            let loads = loads.iter().map(|(load, _)| **load);
            loads.filter(|load| load.0 == wanted).map(|(_, sensor, load)| (sensor, load)).collect()
        };
        levels.push(Levels { before: of(Side::Before), after: of(Side::After) });
    })
}
