//! Whose sightings hold, where they come from elsewhere.

use std::collections::HashMap;

use larder_records::{ApplianceId, Digest, FrameKey};

use crate::lake::{Held, day_of};

/// The vision whose results hold, by appliance: on days of which the lake says so, that one; on all others, the first that
/// was met. Views would else depend on the order in which two visions' results of one picture come.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    days: Held,
    others: HashMap<ApplianceId, Digest>,
}

impl Accepted {
    /// Where nothing was seen but what the lake says of days.
    pub(super) fn of(days: Held) -> Self {
        Self { days, others: HashMap::new() }
    }

    /// The fingerprint that holds for a frame, of which `said` is to be taken in.
    pub(super) fn learn(&mut self, frame: FrameKey, said: Digest) -> Digest {
        let of_day = self.days.get(frame.appliance, day_of(frame.time));
        of_day.unwrap_or_else(|| *self.others.entry(frame.appliance).or_insert(said))
    }
}

#[cfg(test)]
mod tests {
    use larder_records::{SensorId, Time};

    use super::*;
    use crate::lake::VisionDay;

    #[test]
    fn the_first_vision_of_an_appliance_holds_but_on_days_that_are_another_s() {
        let appliance = ApplianceId::of("fridge-1");
        let frame = |appliance, day| FrameKey {
            appliance,
            sensor: SensorId::of("top"),
            time: Time(day * Time::DAY + 5),
            hash: Digest(7),
        };
        let revised = VisionDay { appliance, day: 3, fingerprint: Digest(2) };
        let mut accepted = Accepted::of(Held::of([revised]));
        assert_eq!(accepted.learn(frame(appliance, 3), Digest(9)), Digest(2));
        assert_eq!(accepted.learn(frame(appliance, 4), Digest(1)), Digest(1));
        assert_eq!(accepted.learn(frame(appliance, 4), Digest(2)), Digest(1));
        assert_eq!(accepted.learn(frame(ApplianceId::of("fridge-2"), 4), Digest(2)), Digest(2));
    }
}
