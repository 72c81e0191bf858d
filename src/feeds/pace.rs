//! How fast recordings are played.

use std::time::{Duration, Instant};

use larder_records::Time;

/// How fast event time passes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Pace {
    /// As fast as the machine can.
    #[default]
    Max,
    /// So many times as fast as it was recorded.
    Times(f64),
}

/// Event time against the wall's.
#[derive(Debug)]
pub struct Clock {
    pace: Pace,
    start: Option<(Time, Instant)>,
    now: Time,
}

impl Clock {
    /// A clock at this pace, which starts with the first time that it is asked about.
    pub fn new(pace: Pace) -> Self {
        Self { pace, start: None, now: Time::MIN }
    }

    /// The newest event time that it was asked about.
    pub fn now(&self) -> Time {
        self.now
    }

    /// How long until `time`, at this pace.
    fn left(&mut self, time: Time) -> Duration {
        self.now = self.now.max(time);
        let Pace::Times(times) = self.pace else { return Duration::ZERO };
        let (first, started) = *self.start.get_or_insert((time, Instant::now()));
        let passed = time.since(first).max(0) as f64 / Time::SECOND as f64 / times;
        Duration::try_from_secs_f64(passed).unwrap_or(Duration::MAX).saturating_sub(started.elapsed())
    }

    /// Whether `time` is far enough ahead to show what is known before it comes.
    pub fn must_wait(&mut self, time: Time) -> bool {
        self.left(time) > Duration::from_millis(100)
    }

    /// Sleeps until `time`.
    pub fn wait_for(&mut self, time: Time) {
        let left = self.left(time);
        if !left.is_zero() {
            std::thread::sleep(left);
        }
    }
}
