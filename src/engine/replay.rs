//! Replays feeds into an engine.

use std::{cmp::Reverse, collections::BinaryHeap};

use larder_records::{Micros, Time};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Counts, Engine, EngineError};
use crate::feeds::{Clock, Entry, Feed, Pace, event_time};

/// Delivers events out of order, as networks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shuffle {
    /// By how much event time an event may fall behind.
    pub span: Micros,
    /// Same seed, same order.
    pub seed: u64,
}

/// What [`replay`] is to do beside reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// New events an epoch.
    pub batch: usize,
    /// New events a commit; a whole number of epochs.
    pub commit_every: usize,
    /// How fast.
    pub pace: Pace,
    /// In which order.
    pub shuffle: Option<Shuffle>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { batch: 1_000, commit_every: 500_000, pace: Pace::Max, shuffle: None }
    }
}

/// What is told while a replay goes on.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What was taken in so far.
    pub counts: Counts,
    /// The newest event time so far.
    pub now: Time,
    /// Bytes of the feed read so far.
    pub bytes: u64,
}

/// Replays `feed` into `engine`, and commits.
///
/// # Errors
/// [`EngineError`] where a feed, a worker or the lake fails. Bad records are dead letters, not errors.
pub fn replay(
    feed: &mut dyn Feed,
    engine: &mut Engine,
    plan: Plan,
    mut tell: impl FnMut(Progress),
) -> Result<Counts, EngineError> {
    let mut order = Order::new(plan.shuffle);
    let mut clock = Clock::new(plan.pace);
    let mut since_commit = 0;
    loop {
        let entry = match feed.next_entry(engine.names())? {
            Some(entry) => match order.push(entry) {
                Some(due) => due,
                None => continue,
            },
            None => match order.drain() {
                Some(entry) => entry,
                None => break,
            },
        };
        if let Some(time) = event_time(&entry) {
            if clock.must_wait(time) {
                // nothing new comes before its time: let what is known show
                since_commit = 0;
                engine.commit()?;
            }
            clock.wait_for(time);
        }
        engine.take(entry);
        if engine.waiting() >= plan.batch {
            since_commit += engine.waiting();
            engine.close_epoch()?;
            tell(Progress { counts: engine.counts(), now: clock.now(), bytes: feed.bytes_read() });
            if since_commit >= plan.commit_every {
                since_commit = 0;
                engine.commit()?;
            }
        }
    }
    engine.commit()?;
    tell(Progress { counts: engine.counts(), now: clock.now(), bytes: feed.bytes_read() });
    Ok(engine.counts())
}

/// Holds events back at random, up to a span of event time.
struct Order {
    shuffle: Option<(Shuffle, ChaCha8Rng)>,
    held: BinaryHeap<Reverse<Held>>,
    count: u64,
}

struct Held {
    due: (Time, u64),
    entry: Entry,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl Eq for Held {}
impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

impl Order {
    fn new(shuffle: Option<Shuffle>) -> Self {
        let shuffle = shuffle.map(|shuffle| (shuffle, ChaCha8Rng::seed_from_u64(shuffle.seed)));
        Self { shuffle, held: BinaryHeap::new(), count: 0 }
    }

    /// Takes an entry and gives the one that is due, if one is.
    fn push(&mut self, entry: Entry) -> Option<Entry> {
        let Some((shuffle, random)) = &mut self.shuffle else { return Some(entry) };
        let Some(time) = event_time(&entry) else { return Some(entry) };
        let due = time.plus(random.random_range(0..=shuffle.span));
        self.count += 1;
        self.held.push(Reverse(Held { due: (due, self.count), entry }));
        // what is due by now comes one a push: the heap drains as fast as it fills once the span has passed
        if self.held.peek().is_some_and(|Reverse(held)| held.due.0 < time) { self.drain() } else { None }
    }

    fn drain(&mut self) -> Option<Entry> {
        self.held.pop().map(|Reverse(held)| held.entry)
    }
}
