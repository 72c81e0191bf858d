//! What went in and came out of one appliance of one product, told in order.

use std::{
    collections::{BTreeMap, VecDeque},
    iter::repeat_n,
};

use larder_records::{
    ApplianceId, Micros, Name, PPM, Ppm, ProductId, Reason, Time,
    views::{Movement, MovementKind},
};
use serde::{Deserialize, Serialize};

use crate::{Rows, grouped, movements::MAX_QUANTITY};

/// What is back within this time was not used up.
pub const COMES_BACK: Micros = Time::DAY;

/// One line of the ledger of a product in an appliance. Packages are matched first in, first out; of one instant, what went
/// in comes before what came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Line {
    /// There were `count`, not 0, from one instant to another, or ever since.
    Held {
        /// From when, inclusive.
        from: Time,
        /// Until when, exclusive.
        until: Option<Time>,
        /// How many; negative where more is known to have come out than gone in.
        count: i64,
    },
    /// There are `count`, at least one, now.
    Now {
        /// How many.
        count: i64,
        /// Since when so many.
        since: Time,
        /// The least sure movement since there were last none, or somebody last counted.
        confidence: Ppm,
        /// When the oldest that is still there was first put in; what came back counts from its first putting in.
        oldest_in: Time,
        /// Whole minutes that packages were out and back in, if they went out after that; each pair of an out and an in
        /// counts once.
        minutes_out: i64,
    },
    /// Packages that went in and came out.
    Stay {
        /// When in.
        put_in: Time,
        /// When out.
        taken_out: Time,
        /// How many.
        quantity: i64,
    },
    /// Packages that came out for good: declared to be used or wasted, or not back within [`COMES_BACK`].
    Gone {
        /// When.
        time: Time,
        /// When they were first put in, where that is known.
        put_in: Option<Time>,
        /// How many.
        quantity: i64,
        /// Declared to be thrown away.
        wasted: bool,
    },
    /// A count said so much more, or less, than the movements until then.
    Adjusted {
        /// When somebody counted.
        time: Time,
        /// How many more; negative where fewer, never 0.
        more: i64,
        /// The correction that says so.
        id: Name,
    },
}

/// What somebody counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counted {
    /// When; movements of the same instant are before.
    pub at: Time,
    /// How many packages.
    pub count: i64,
    /// The correction that says so.
    pub id: Name,
}

/// A movement or a count as the ledger sees it; ordered as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Entry {
    time: Time,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum What {
    Moved(Moved),
    Counted { count: i64, id: Name },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Moved {
    out: bool,
    quantity: i64,
    reason: Reason,
    confidence: Ppm,
}

/// The ledger of every product in every appliance. Movements within an appliance are none of its concern.
///
/// A group is one product in one appliance, and is told anew when one of its movements changes. Where somebody counted, what
/// the count says beyond the movements until then moved at that instant.
///
/// ```
/// use differential_dataflow::input::Input;
/// use larder_operators::{ledger, ledger::{Counted, Line}, movements::declared};
/// use larder_records::{ApplianceId, DeclaredMovement, Name, ProductId, Reason, Time};
///
/// let (pantry, rice) = (ApplianceId::of("pantry"), ProductId::of("rice"));
/// let movement = |at, quantity| declared(&DeclaredMovement {
///     appliance: pantry, time: Time(at), id: Name(at as u64), source: Name::of("scan"),
///     product: rice, quantity, group: Name::default(), reason: Reason::Unspecified, cents: 0,
/// }).unwrap();
/// let movements = [movement(10, 1), movement(20, -1)];
/// timely::example(move |scope| {
///     let counts = scope.new_collection_from([((pantry, rice), Counted { at: Time(15), count: 1, id: Name(7) })]).1;
///     let lines = ledger(scope.new_collection_from(movements).1, counts).map(|(_, line)| line);
///     lines.assert_eq(scope.new_collection_from([
///         Line::Held { from: Time(10), until: Some(Time(20)), count: 1 },
///         Line::Stay { put_in: Time(10), taken_out: Time(20), quantity: 1 },
///         Line::Gone { time: Time(20), put_in: Some(Time(10)), quantity: 1, wasted: false },
///     ]).1);
/// });
/// ```
pub fn ledger<'scope>(
    movements: Rows<'scope, Movement>,
    counts: Rows<'scope, ((ApplianceId, ProductId), Counted)>,
) -> Rows<'scope, ((ApplianceId, ProductId), Line)> {
    let counts = counts.map(|(key, Counted { at, count, id })| {
        (key, Entry { time: at, what: What::Counted { count: count.clamp(0, MAX_QUANTITY), id } })
    });
    let entries = movements.flat_map(|m| {
        let moved = Moved {
            out: m.kind == MovementKind::Out,
            quantity: m.quantity,
            reason: m.reason,
            confidence: m.confidence,
        };
        let entry = Entry { time: m.time, what: What::Moved(moved) };
        (m.kind != MovementKind::Moved).then_some(((m.appliance, m.product), entry))
    });
    grouped(entries.concat(counts), "Ledger", |_, entries, lines| {
        // equal entries are different movements, as much as entries that differ in how sure they are
        let times = |count: isize| usize::try_from(count).unwrap_or(0);
        let entries: Vec<Entry> = entries.iter().flat_map(|(entry, count)| repeat_n(**entry, times(*count))).collect();
        tell(&entries, |line| lines.push(line));
    })
}

fn tell(entries: &[Entry], mut line: impl FnMut(Line)) {
    let mut level = (0_i64, Time::MIN);
    let mut confidence = Ppm::MAX;
    let mut stays = VecDeque::new();
    let mut shelf = Shelf::default();
    for same_time in entries.chunk_by(|a, b| a.time == b.time) {
        let time = same_time[0].time;
        let mut count = level.0;
        for entry in same_time {
            let moved = match entry.what {
                What::Moved(moved) => moved,
                What::Counted { count: there, id } => {
                    confidence = PPM;
                    let more = there.saturating_sub(count);
                    if more == 0 {
                        continue;
                    }
                    line(Line::Adjusted { time, more, id });
                    let quantity = more.saturating_abs();
                    Moved { out: more < 0, quantity, reason: Reason::Unspecified, confidence: PPM }
                }
            };
            confidence = confidence.min(moved.confidence);
            if moved.out {
                count = count.saturating_sub(moved.quantity);
                for (put_in, quantity) in take(&mut stays, moved.quantity) {
                    line(Line::Stay { put_in, taken_out: time, quantity });
                }
                shelf.take_out(time, moved, &mut line);
            } else {
                count = count.saturating_add(moved.quantity);
                stays.push_back((time, moved.quantity));
                shelf.put_in(time, moved.quantity, &mut line);
            }
        }
        if count != level.0 {
            if level.0 != 0 {
                line(Line::Held { from: level.1, until: Some(time), count: level.0 });
            }
            level = (count, time);
        }
        if count <= 0 {
            confidence = Ppm::MAX;
        }
    }
    let (count, since) = level;
    if count != 0 {
        line(Line::Held { from: since, until: None, count });
    }
    if count > 0 {
        // the shelf holds at least `count`: what came out without having gone in was never on it
        let oldest_in = shelf.packages.first_key_value().map_or(since, |(put_in, _)| *put_in);
        let minutes_out = shelf.absences.iter().filter(|(out, _)| *out >= oldest_in).map(|(_, minutes)| minutes).sum();
        line(Line::Now { count, since, confidence, oldest_in, minutes_out });
    }
    shelf.close(&mut line);
}

/// Takes `quantity` from the front of a queue, or as much as there is.
fn take<T: Copy>(queue: &mut VecDeque<(T, i64)>, mut quantity: i64) -> Vec<(T, i64)> {
    let mut taken = Vec::new();
    while let Some(front) = queue.front_mut().filter(|_| quantity > 0) {
        let some = front.1.min(quantity);
        taken.push((front.0, some));
        quantity -= some;
        front.1 -= some;
        if front.1 == 0 {
            queue.pop_front();
        }
    }
    taken
}

/// What is in, and what came out and may come back.
#[derive(Default)]
struct Shelf {
    /// Packages by when they were first put in.
    packages: BTreeMap<Time, i64>,
    /// Packages by when they came out and were first put in.
    away: VecDeque<((Time, Option<Time>), i64)>,
    /// When packages that came back had come out, and for how many whole minutes.
    absences: Vec<(Time, i64)>,
}

impl Shelf {
    fn put_in(&mut self, time: Time, quantity: i64, line: &mut impl FnMut(Line)) {
        while let Some(((out, put_in), quantity)) =
            self.away.pop_front_if(|((out, _), _)| time.since(*out) > COMES_BACK)
        {
            line(Line::Gone { time: out, put_in, quantity, wasted: false });
        }
        let mut new = quantity;
        for ((out, put_in), quantity) in take(&mut self.away, quantity) {
            self.absences.push((out, time.since(out) / Time::MINUTE));
            *self.packages.entry(put_in.unwrap_or(time)).or_default() += quantity;
            new -= quantity;
        }
        if new > 0 {
            *self.packages.entry(time).or_default() += new;
        }
    }

    fn take_out(&mut self, time: Time, moved: Moved, line: &mut impl FnMut(Line)) {
        let mut left = moved.quantity;
        while left > 0 {
            let (put_in, some) = match self.packages.first_entry() {
                Some(mut oldest) => {
                    let some = left.min(*oldest.get());
                    *oldest.get_mut() -= some;
                    let put_in = *oldest.key();
                    if *oldest.get() == 0 {
                        oldest.remove();
                    }
                    (Some(put_in), some)
                }
                None => (None, left),
            };
            left -= some;
            match moved.reason {
                Reason::Used | Reason::Wasted => {
                    let wasted = moved.reason == Reason::Wasted;
                    line(Line::Gone { time, put_in, quantity: some, wasted });
                }
                Reason::Unspecified | Reason::Bought => self.away.push_back(((time, put_in), some)),
            }
        }
    }

    fn close(self, line: &mut impl FnMut(Line)) {
        for ((time, put_in), quantity) in self.away {
            line(Line::Gone { time, put_in, quantity, wasted: false });
        }
    }
}
