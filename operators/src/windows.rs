//! The span of time in which pictures and weights tell what a visit changed.

use larder_records::{ApplianceId, Micros, Time, views::Visit};
use serde::{Deserialize, Serialize};

use crate::{Rows, grouped, neighbours};

/// How long after a closing a picture still belongs to the visit.
pub const LINGER: Micros = 2 * Time::MINUTE;

/// The visits of an appliance that began at one instant, and when the next began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Whose doors.
    pub appliance: ApplianceId,
    /// When the visits began.
    pub opened: Time,
    /// When the last of them ended; none while one stands open.
    pub closed: Option<Time>,
    /// When the next visit of the appliance began, through whatever door.
    pub next: Option<Time>,
}

impl Window {
    /// When pictures cease to belong to the visit, exclusive: [`LINGER`] after the closing, or with the next visit. A visit
    /// that has no end takes all that follow.
    pub fn end(&self) -> Time {
        let lingering = self.closed.map_or(Time(i64::MAX), |closed| closed.plus(LINGER));
        self.next.map_or(lingering, |next| next.min(lingering))
    }
}

/// The windows of the visits, whatever door they went through: one for each instant at which doors of the appliance opened.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::{Window, windows};
/// use larder_records::{ApplianceId, SensorId, Time, views::Visit};
///
/// let appliance = ApplianceId::of("fridge");
/// timely::example(move |scope| {
///     let visit = |door, opened, closed| Visit { appliance, sensor: SensorId::of(door), opened, closed };
///     let visits = scope.new_collection_from([
///         visit("left", Time(10), Some(Time(20))),
///         visit("right", Time(10), Some(Time(30))),
///         visit("left", Time(40), None),
///     ]).1;
///     let expected = scope.new_collection_from([
///         Window { appliance, opened: Time(10), closed: Some(Time(30)), next: Some(Time(40)) },
///         Window { appliance, opened: Time(40), closed: None, next: None },
///     ]).1;
///     windows(visits).assert_eq(expected);
/// });
/// ```
pub fn windows(visits: Rows<'_, Visit>) -> Rows<'_, Window> {
    let closings = visits.map(|visit| ((visit.appliance, visit.opened), visit.closed));
    let openings = grouped(closings, "Openings", |_, closings, opening| {
        // none, a door that stands open, sorts first
        let (Some((first, _)), Some((last, _))) = (closings.first(), closings.last()) else { return };
        opening.push(first.and(**last));
    })
    .map(|((appliance, opened), closed)| (appliance, (opened, closed)));
    neighbours(openings, |(opened, _)| *opened, 0).flat_map(|(appliance, [opening, next])| {
        let (opened, closed) = opening?;
        Some(Window { appliance, opened, closed, next: next.map(|(next, _)| next) })
    })
}
