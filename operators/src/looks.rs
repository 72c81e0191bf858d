//! The picture that shows what a visit left behind.

use differential_dataflow::operators::ThresholdTotal;
use larder_records::{Digest, FrameKey, Time};
use serde::{Deserialize, Serialize};

use crate::{Rows, Window, neighbours};

/// A frame, or the end of a window; at one instant the end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Mark {
    /// Of the window that opened then.
    End(Time),
    /// The picture's hash, and its time by the sensor's own clock.
    Frame(Digest, Time),
}

/// For each window and each sensor of its appliance, the last frame with a time in `[opened, end)`; of frames of one
/// instant, the one with the greatest hash. A frame's time stands beside its key, for the sensor's clock may have been off. Where there is none, no row: what such a visit changed shows at the next.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::{Window, last_frames};
/// use larder_records::{ApplianceId, Digest, FrameKey, SensorId, Time};
///
/// let appliance = ApplianceId::of("fridge");
/// let frame = move |time| FrameKey { appliance, sensor: SensorId::of("camera"), time: Time(time), hash: Digest(1) };
/// timely::example(move |scope| {
///     let window = |opened, next| Window { appliance, opened: Time(opened), closed: Some(Time(opened)), next };
///     let windows = scope.new_collection_from([window(10, Some(Time(20))), window(20, Some(Time(30)))]).1;
///     let frames = [frame(9), frame(10), frame(19), frame(30)].map(|frame| (frame, frame.time));
///     let frames = scope.new_collection_from(frames).1;
///     let expected = scope.new_collection_from([(frame(19), Time(10))]).1;
///     last_frames(windows, frames).assert_eq(expected);
/// });
/// ```
pub fn last_frames<'scope>(
    windows: Rows<'scope, Window>,
    frames: Rows<'scope, (FrameKey, Time)>,
) -> Rows<'scope, (FrameKey, Time)> {
    let sensors = frames.clone().map(|(frame, _)| (frame.appliance, frame.sensor)).distinct_total();
    let ends = windows
        .map(|window| (window.appliance, (window.end(), window.opened)))
        .join_map(sensors, |&appliance, &(end, opened), &sensor| ((appliance, sensor), (end, Mark::End(opened))));
    let frames =
        frames.map(|(frame, time)| ((frame.appliance, frame.sensor), (time, Mark::Frame(frame.hash, frame.time))));
    neighbours(frames.concat(ends), |(time, _)| *time, 0).flat_map(|((appliance, sensor), [mark, next])| {
        let ((at, Mark::Frame(hash, time)), (_, Mark::End(opened))) = (mark?, next?) else { return None };
        (opened <= at).then_some((FrameKey { appliance, sensor, time, hash }, opened))
    })
}
