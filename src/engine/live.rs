//! Feeds without end into an engine.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use larder_records::DeadLetter;

use super::{Counts, Engine, EngineError};
use crate::{
    feeds::{FeedError, LiveFeed},
    lake::Lake,
};

/// When epochs close and commits are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Entries an epoch, at most.
    pub epoch_events: usize,
    /// Bytes of records an epoch, about at most: so many are held until vision has seen them.
    pub epoch_bytes: u64,
    /// How long the first entry of an epoch waits for others.
    pub epoch_wait: Duration,
    /// Entries a commit, at most, up to the end of an epoch.
    pub commit_events: usize,
    /// How long the first entry of a commit waits for it.
    pub commit_wait: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            epoch_events: 20_000,
            epoch_bytes: 64 << 20,
            epoch_wait: Duration::from_millis(50),
            commit_events: 200_000,
            commit_wait: Duration::from_secs(2),
        }
    }
}

/// Who is told what a live run does.
pub trait Watcher<F> {
    /// Learns of the dead letters of a commit before it is made.
    ///
    /// # Errors
    /// [`FeedError`] where they cannot be passed on: the commit is not made then.
    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), FeedError> {
        let _ = letters;
        Ok(())
    }

    /// Learns that nothing comes, some times a second while that is so.
    fn idle(&mut self, feed: &F, counts: Counts) {
        let _ = (feed, counts);
    }

    /// Learns that an epoch was closed, and how long after its first entry.
    fn epoch(&mut self, feed: &F, counts: Counts, after: Duration) {
        let _ = (feed, counts, after);
    }

    /// Learns of a commit as soon as it is made.
    ///
    /// # Errors
    /// [`EngineError`] where it cannot be passed on: the run ends then.
    fn committed(&mut self, lake: &Lake) -> Result<(), EngineError> {
        let _ = lake;
        Ok(())
    }

    /// Learns that all so far is on the disk, and how long the commit took.
    fn commit(&mut self, feed: &F, counts: Counts, took: Duration) {
        let _ = (feed, counts, took);
    }

    /// Learns with each commit how many updates the arrangements of the dataflow hold, by name.
    fn arranged(&mut self, updates: BTreeMap<String, u64>) {
        let _ = updates;
    }
}

/// How long a poll waits at most before it is asked whether to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// Entries between two looks at the clock.
const LOOK_EVERY: usize = 64;

/// What came since an epoch or a commit was made, and since when.
#[derive(Default)]
struct Since {
    first: Option<Instant>,
    events: usize,
}

impl Since {
    fn add(&mut self, now: Instant) {
        self.first.get_or_insert(now);
        self.events += 1;
    }

    fn is_due(&self, events: usize, wait: Duration, now: Instant) -> bool {
        self.events >= events || self.first.is_some_and(|first| now.duration_since(first) >= wait)
    }
}

/// Takes the entries of `feed` into `engine` and commits them with their positions, until `stop` is true; or, with
/// `until_ended`, until all is in that was there at the beginning. What was taken in is committed then too.
///
/// # Errors
/// [`EngineError`] where the feed, a worker or the lake fails, or `watcher` does. Bad records are dead letters, not errors.
pub fn run_live<F: LiveFeed>(
    feed: &mut F,
    mut engine: Engine,
    rhythm: Rhythm,
    until_ended: bool,
    stop: &AtomicBool,
    watcher: &mut impl Watcher<F>,
) -> Result<Counts, EngineError> {
    let (mut epoch, mut commit) = (Since::default(), Since::default());
    let mut now = Instant::now();
    let mut epoch_began_at = feed.bytes_read();
    let mut glance = 0;
    while !stop.load(Ordering::Relaxed) {
        let wait = if epoch.events > 0 { rhythm.epoch_wait.min(GLANCE) } else { GLANCE };
        let entry = feed.poll(engine.names(), wait)?;
        glance += 1;
        if entry.is_none() || epoch.events == 0 || glance >= LOOK_EVERY {
            (now, glance) = (Instant::now(), 0);
        }
        let quiet = entry.is_none();
        if let Some(entry) = entry {
            engine.take(entry);
            epoch.add(now);
            commit.add(now);
        }
        let full = feed.bytes_read() - epoch_began_at >= rhythm.epoch_bytes;
        if full || epoch.is_due(rhythm.epoch_events, rhythm.epoch_wait, now) {
            engine.close_epoch()?;
            let first = std::mem::take(&mut epoch).first;
            epoch_began_at = feed.bytes_read();
            watcher.epoch(feed, engine.counts(), first.map_or(Duration::ZERO, |first| first.elapsed()));
            now = Instant::now();
            if commit.is_due(rhythm.commit_events, rhythm.commit_wait, now) {
                save(feed, &mut engine, watcher)?;
                commit = Since::default();
                if engine.is_crowded() {
                    engine = engine.cool()?;
                }
                now = Instant::now();
            }
        } else if commit.events > 0 && epoch.events == 0 && commit.is_due(usize::MAX, rhythm.commit_wait, now) {
            save(feed, &mut engine, watcher)?;
            commit = Since::default();
        }
        if quiet {
            watcher.idle(feed, engine.counts());
            if until_ended && feed.ended() {
                break;
            }
        }
    }
    save(feed, &mut engine, watcher)?;
    Ok(engine.counts())
}

/// Commits all that was taken in, with its positions.
fn save<F: LiveFeed>(feed: &mut F, engine: &mut Engine, watcher: &mut impl Watcher<F>) -> Result<(), EngineError> {
    let began = Instant::now();
    // vision tells the last dead letters
    engine.close_epoch()?;
    watcher.dead_letters(engine.new_dead_letters())?;
    engine.commit_covering(&feed.uncommitted())?;
    feed.committed();
    watcher.committed(engine.lake())?;
    watcher.commit(feed, engine.counts(), began.elapsed());
    watcher.arranged(engine.arranged());
    Ok(())
}
