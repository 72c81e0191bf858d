//! Openings of doors.

use differential_dataflow::operators::ThresholdTotal;
use larder_records::{Modality, Reading, Time, views::Visit};
use serde::{Deserialize, Serialize};

use crate::{Rows, neighbours};

/// The state of a door from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct State {
    time: Time,
    sequence: u32,
    open: bool,
}

/// The visits that door readings tell of; readings of other modalities are passed over.
///
/// The readings of a sensor are ordered by time, sequence, and closed before open; any value but 0 is open. Before its
/// first reading a door is closed. A visit begins with a reading that finds the door open where the one before found it
/// closed, and ends with the next that finds it closed: what is repeated changes nothing. A row stands once, even where
/// two visits have the same ends.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::visits;
/// use larder_records::{ApplianceId, Modality, Reading, SensorId, Time, views::Visit};
///
/// let (appliance, sensor) = (ApplianceId::of("fridge"), SensorId::of("door"));
/// let reading = move |seconds: i64, value| Reading {
///     appliance, sensor, modality: Modality::Door, time: Time(seconds * Time::SECOND), sequence: 0, value,
/// };
/// timely::example(move |scope| {
///     let readings = [reading(9, 0), reading(10, 1), reading(12, 1), reading(40, 0), reading(50, 1)];
///     let found = visits(scope.new_collection_from(readings).1);
///     let visit = |opened: i64, closed: Option<i64>| Visit {
///         appliance, sensor, opened: Time(opened * Time::SECOND), closed: closed.map(|c| Time(c * Time::SECOND)),
///     };
///     let expected = scope.new_collection_from([visit(10, Some(40)), visit(50, None)]).1;
///     found.assert_eq(expected);
/// });
/// ```
pub fn visits(readings: Rows<'_, Reading>) -> Rows<'_, Visit> {
    let states = readings.flat_map(|r| {
        let state = State { time: r.time, sequence: r.sequence, open: r.value != 0 };
        (r.modality == Modality::Door).then_some(((r.appliance, r.sensor), state))
    });
    let edges = neighbours(states, |state| state.time, 1).flat_map(|(door, [before, state])| {
        let state = state?;
        let was_open = before.is_some_and(|before: State| before.open);
        (was_open != state.open).then_some((door, state))
    });
    neighbours(edges, |edge| edge.time, 0)
        .flat_map(|((appliance, sensor), [edge, next])| {
            let edge = edge?;
            edge.open.then_some(Visit { appliance, sensor, opened: edge.time, closed: next.map(|next| next.time) })
        })
        .distinct_total()
}
