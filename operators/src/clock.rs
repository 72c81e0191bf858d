//! "Now", by the data alone.

use differential_dataflow::operators::ThresholdTotal;
use larder_records::{ApplianceId, Time};

use crate::Rows;

/// The newest hour of each appliance in which anything happened: the instant it began.
///
/// Hours are counted, not instants: a sensor that sends every second costs one row an hour here.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::newest_hours;
/// use larder_records::{ApplianceId, Time};
///
/// timely::example(|scope| {
///     let fridge = ApplianceId::of("fridge");
///     let events = scope.new_collection_from([(fridge, Time(5)), (fridge, Time(Time::HOUR + 7)), (fridge, Time(6))]).1;
///     let expected = scope.new_collection_from([(fridge, Time(Time::HOUR))]).1;
///     newest_hours(events).assert_eq(expected);
/// });
/// ```
pub fn newest_hours(events: Rows<'_, (ApplianceId, Time)>) -> Rows<'_, (ApplianceId, Time)> {
    /// Hours in a span that is settled by itself: about a month.
    const SPAN: i64 = 720;
    let hours = events.map(|(appliance, time)| (appliance, time.0.div_euclid(Time::HOUR))).distinct_total();
    let newest_of_spans = crate::latest(hours.map(|(appliance, hour)| ((appliance, hour.div_euclid(SPAN)), hour)));
    crate::latest(newest_of_spans.map(|((appliance, _), hour)| (appliance, hour)))
        .map(|(appliance, hour)| (appliance, Time(hour * Time::HOUR)))
}
