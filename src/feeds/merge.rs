//! Several feeds as one, by event time.

use std::{cmp::Reverse, collections::BinaryHeap};

use larder_records::{Names, Time};

use super::{Entry, Feed, FeedError, event_time};

/// Reads several feeds as one: always from the feed whose next entry is the earliest. Each feed keeps its own order.
pub struct Merge {
    feeds: Vec<Box<dyn Feed>>,
    heads: Vec<Option<Entry>>,
    /// The feeds that have an entry at hand, by its time; entries without one come at once.
    order: BinaryHeap<Reverse<(Option<Time>, usize)>>,
    started: bool,
}

impl Merge {
    /// Reads `feeds` as one; of two entries of one time that of the earlier feed in the list comes first.
    pub fn new(feeds: Vec<Box<dyn Feed>>) -> Self {
        let heads = feeds.iter().map(|_| None).collect();
        Self { feeds, heads, order: BinaryHeap::new(), started: false }
    }

    fn advance(&mut self, feed: usize, names: &mut Names) -> Result<(), FeedError> {
        if let Some(entry) = self.feeds[feed].next_entry(names)? {
            self.order.push(Reverse((event_time(&entry), feed)));
            self.heads[feed] = Some(entry);
        }
        Ok(())
    }
}

impl Feed for Merge {
    fn next_entry(&mut self, names: &mut Names) -> Result<Option<Entry>, FeedError> {
        if let [only] = self.feeds.as_mut_slice() {
            return only.next_entry(names);
        }
        if !self.started {
            self.started = true;
            for feed in 0..self.feeds.len() {
                self.advance(feed, names)?;
            }
        }
        let Some(Reverse((_, feed))) = self.order.pop() else { return Ok(None) };
        let entry = self.heads[feed].take();
        self.advance(feed, names)?;
        Ok(entry)
    }

    fn bytes_read(&self) -> u64 {
        self.feeds.iter().map(|feed| feed.bytes_read()).sum()
    }
}

#[cfg(test)]
mod tests {
    use larder_records::{ApplianceId, Frame, Modality, Payload, Position, SensorId};

    use super::*;
    use crate::feeds::Event;

    struct List(std::vec::IntoIter<(i64, i64)>);

    impl Feed for List {
        fn next_entry(&mut self, _: &mut Names) -> Result<Option<Entry>, FeedError> {
            Ok(self.0.next().map(|(time, value)| {
                let frame = Frame {
                    appliance: ApplianceId::of("a"),
                    sensor: SensorId::of("s"),
                    modality: Modality::Weight,
                    time: Time(time),
                    sequence: 0,
                    payload: Payload::Reading(value),
                };
                (Position { source: "list".into(), offset: 0 }, Ok(Event::Frame(frame)))
            }))
        }

        fn bytes_read(&self) -> u64 {
            0
        }
    }

    #[test]
    fn merged_feeds_come_by_event_time_and_each_keeps_its_own_order() {
        let list = |rows: Vec<(i64, i64)>| -> Box<dyn Feed> { Box::new(List(rows.into_iter())) };
        let mut merged = Merge::new(vec![
            list(vec![(1, 10), (5, 11), (3, 12), (6, 13)]),
            list(vec![]),
            list(vec![(2, 20), (4, 21)]),
        ]);
        let mut names = Names::default();
        let mut values = Vec::new();
        while let Some((_, entry)) = merged.next_entry(&mut names).unwrap() {
            let Ok(Event::Frame(Frame { payload: Payload::Reading(value), .. })) = entry else { panic!("{entry:?}") };
            values.push(value);
        }
        assert_eq!(values, [10, 20, 21, 11, 12, 13]);
    }
}
