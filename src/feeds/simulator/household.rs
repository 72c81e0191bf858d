//! How a household lives with its fridge: it shops, eats, drinks coffee, tidies up and forgets.

use std::collections::BTreeMap;

use jiff::{civil::Date, tz::TimeZone};
use larder_records::Time;
use rand::Rng;

use super::{
    chance::pick,
    products::{GOODS, Use},
    scene::{Item, SLOTS, slot},
};

/// Openings of the empty fridge before anything is put in: the camera gets to know it.
pub(super) const EMPTY_VISITS: usize = 12;
/// The least time between two visits.
const PAUSE: i64 = 35 * Time::SECOND;
/// Temperature of the kitchen, in degrees Celsius.
pub(super) const KITCHEN: f32 = 21.0;
/// Temperature that the fridge is set to, in degrees Celsius.
pub(super) const COLD: f32 = 4.0;

/// What was done to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Put in.
    In,
    /// Taken out.
    Out,
    /// Put elsewhere.
    Moved,
}

impl Kind {
    /// Its name in the table of true movements.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Moved => "moved",
        }
    }
}

/// One hand in the fridge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    /// When, in microseconds since 1970.
    pub(super) at: i64,
    /// Which of [`GOODS`].
    pub(super) good: usize,
    /// What was done.
    pub(super) kind: Kind,
    /// What the load changed by, in milligrams.
    pub(super) milligrams: i64,
}

/// One opening of the door.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Visit {
    /// When the door was opened, in microseconds since 1970.
    pub(super) opened: i64,
    /// When it was closed, in microseconds since 1970.
    pub(super) closed: i64,
    /// What was done, in order.
    pub(super) changes: Vec<Change>,
    /// What is in the fridge afterwards.
    pub(super) contents: Vec<Item>,
}

/// What makes a household its own.
#[derive(Debug, Clone)]
struct Habits {
    /// How much it likes each of [`GOODS`].
    likes: Vec<u32>,
    /// Minutes of the day at which it has breakfast, lunch and dinner.
    meals: [i64; 3],
    /// Every how many days it shops.
    shops_every: u32,
    /// How many packages it likes to have.
    stock: usize,
    /// Cups of coffee with milk a day.
    coffees: u32,
    /// Times a day that somebody looks for a snack.
    snacks: u32,
    /// How likely it is to throw away what has gone off, on one day, in percent.
    tidy: u32,
}

impl Habits {
    fn random(rng: &mut impl Rng) -> Self {
        Self {
            // A third of the goods are never bought, some are staples.
            likes: GOODS.iter().map(|_| [0, 0, 1, 2, 3, 5][rng.random_range(0..6)]).collect(),
            meals: [rng.random_range(390..510_i64), rng.random_range(740..840_i64), rng.random_range(1110..1260_i64)],
            shops_every: rng.random_range(1..=2),
            stock: rng.random_range(12..=17),
            coffees: rng.random_range(1..=3),
            snacks: rng.random_range(2..=4),
            tidy: rng.random_range(25..75),
        }
    }
}

/// What somebody comes to the fridge for.
#[derive(Debug, Clone)]
enum Errand {
    /// Looks, and takes nothing.
    Look,
    /// Takes a few things for a meal.
    Meal,
    /// Takes one thing.
    Snack,
    /// Takes the milk, to bring it back.
    Coffee,
    /// Brings things from the shop.
    Unpack(Vec<usize>),
    /// Brings back what was taken.
    Return(Vec<Item>),
    /// Throws away what has gone off.
    Tidy,
}

/// The life of one household: draws on `rng` alone.
pub(super) struct Household<'a, R> {
    rng: &'a mut R,
    habits: Habits,
    zone: TimeZone,
    /// By time, and by number where two come at once.
    errands: BTreeMap<(i64, u32), Errand>,
    planned: u32,
    contents: Vec<Item>,
    visits: Vec<Visit>,
}

/// Every visit of `days` days from the midnight, in UTC, that starts `start`.
pub(super) fn live(rng: &mut impl Rng, start: Time, days: u32, zone: TimeZone) -> Vec<Visit> {
    let mut habits = Habits::random(rng);
    // Every household has milk for its coffee, of one kind or the other, and something to eat at once.
    let milk = rng.random_range(0..2);
    habits.likes[milk] = 6;
    let mut household =
        Household { rng, habits, zone, errands: BTreeMap::new(), planned: 0, contents: Vec::new(), visits: Vec::new() };
    household.live(start, days);
    household.visits
}

impl<R: Rng> Household<'_, R> {
    fn live(&mut self, start: Time, days: u32) {
        for visit in 0..EMPTY_VISITS as i64 {
            let jitter = self.rng.random_range(0..Time::MINUTE);
            self.plan(start.0 + Time::MINUTE * (10 + 7 * visit) + jitter, Errand::Look);
        }
        let first = start.0 + 2 * Time::HOUR;
        for day in 0..days {
            self.plan_day(start, day, first);
        }
        // An evening in the west reaches into the next day of UTC: what lies there is left out.
        let end = start.0 + i64::from(days) * Time::DAY - 5 * Time::MINUTE;
        while let Some(((time, _), errand)) = self.errands.pop_first() {
            if time < end {
                self.run(time, errand);
            }
        }
    }

    fn plan(&mut self, time: i64, errand: Errand) {
        self.errands.insert((time, self.planned), errand);
        self.planned += 1;
    }

    fn plan_day(&mut self, start: Time, day: u32, first: i64) {
        let at = |household: &mut Self, minute: i64, spread: i64| {
            let minute = minute + household.rng.random_range(-spread..=spread);
            let seconds = household.rng.random_range(0..60);
            household.local(start, day, minute) + seconds * Time::SECOND
        };
        let mut plans = Vec::new();
        if day == 0 {
            let basket = self.fill(Vec::new(), self.habits.stock - 2);
            let time = at(self, self.habits.meals[0] - 60, 10).max(first + 10 * Time::MINUTE);
            plans.push((time, Errand::Unpack(basket)));
        } else if day.is_multiple_of(self.habits.shops_every) {
            let time = at(self, 1050, 60);
            plans.push((time, Errand::Unpack(Vec::new())));
        }
        for meal in self.habits.meals {
            let weekend_lunch = meal < 900 && meal > 600 && day % 7 < 5;
            if !weekend_lunch || self.rng.random_range(0..100) < 40 {
                let time = at(self, meal, 20);
                plans.push((time, Errand::Meal));
            }
        }
        for _ in 0..self.habits.coffees {
            let time = at(self, 780, 320);
            plans.push((time, Errand::Coffee));
        }
        for _ in 0..self.habits.snacks {
            let time = at(self, 960, 380);
            plans.push((time, Errand::Snack));
        }
        if self.rng.random_range(0..100) < 50 {
            let time = at(self, 1000, 400);
            plans.push((time, Errand::Look));
        }
        if self.rng.random_range(0..100) < self.habits.tidy {
            let time = at(self, 1180, 60);
            plans.push((time, Errand::Tidy));
        }
        for (time, errand) in plans {
            if time > first {
                self.plan(time, errand);
            }
        }
    }

    /// The instant of a minute of a day on the household's clock, in microseconds since 1970.
    fn local(&self, start: Time, day: u32, minute: i64) -> i64 {
        let utc = start.0 + i64::from(day) * Time::DAY;
        let midnight = jiff::Timestamp::from_microsecond(utc)
            .map_or(Date::ZERO, |timestamp| timestamp.to_zoned(TimeZone::UTC).date())
            .to_zoned(self.zone.clone())
            .map_or(utc, |zoned| zoned.timestamp().as_microsecond());
        midnight + minute * Time::MINUTE
    }

    fn run(&mut self, time: i64, errand: Errand) {
        let free = self.visits.last().map_or(time, |last| last.closed + PAUSE);
        let opened = time.max(free);
        let mut visit = Open { time: opened + Time::SECOND * 2, changes: Vec::new() };
        match errand {
            Errand::Look => {}
            Errand::Meal => {
                let helpings = self.rng.random_range(2..=4);
                self.eat(&mut visit, helpings);
            }
            Errand::Snack => self.eat(&mut visit, 1),
            Errand::Coffee => {
                let milk = self.contents.iter().position(|item| item.kind().category == "dairy/milk");
                if let Some(milk) = milk {
                    self.use_item(&mut visit, milk);
                }
            }
            Errand::Unpack(basket) => self.unpack(&mut visit, basket),
            Errand::Return(items) => {
                for item in items {
                    self.put(&mut visit, item);
                }
            }
            Errand::Tidy => {
                while let Some(off) = self.contents.iter().position(|item| has_gone_off(item, visit.time)) {
                    self.take(&mut visit, off);
                }
            }
        }
        if !visit.changes.is_empty() && self.rng.random_range(0..100) < 12 {
            self.shift(&mut visit);
        }
        let linger = self.rng.random_range(2..9) * Time::SECOND + self.rng.random_range(0..Time::SECOND);
        let closed = visit.time + linger;
        self.visits.push(Visit { opened, closed, changes: visit.changes, contents: self.contents.clone() });
    }

    /// Takes the makings of a meal; what is not used up comes back.
    fn eat(&mut self, visit: &mut Open, things: usize) {
        for _ in 0..things {
            let weights: Vec<u32> = self.contents.iter().map(|item| self.habits.likes[item.good] + 1).collect();
            if let Some(item) = pick(self.rng, &weights) {
                self.use_item(visit, item);
            }
        }
    }

    /// Takes a package; brings it back with a helping less, unless that was the last.
    fn use_item(&mut self, visit: &mut Open, at: usize) {
        let mut item = self.take(visit, at);
        let good = item.kind();
        let Use::Helpings(helpings) = good.usage else { return };
        let (full, empty) = (i64::from(good.grams) * 1000, i64::from(good.empty_grams) * 1000);
        let helping = (full - empty) / i64::from(helpings) * self.rng.random_range(85..115) / 100;
        item.milligrams -= helping;
        // What is hardly worth keeping is finished.
        if item.milligrams - empty < helping / 2 {
            return;
        }
        let away = self.rng.random_range(90..600) * Time::SECOND;
        item.warmth += (KITCHEN - item.warmth) * (away as f32 / (45.0 * Time::MINUTE as f32)).min(1.0);
        let back = visit.time + away;
        // Things taken in one go come back in one go.
        let together = self.errands.range_mut((back - 5 * Time::MINUTE, 0)..(back + 10 * Time::MINUTE, 0));
        for (_, errand) in together {
            if let Errand::Return(items) = errand {
                items.push(item);
                return;
            }
        }
        self.plan(back, Errand::Return(vec![item]));
    }

    fn unpack(&mut self, visit: &mut Open, mut basket: Vec<usize>) {
        if basket.is_empty() {
            let missing = self.habits.stock.saturating_sub(self.contents.len()).max(2);
            let milk = self.contents.iter().any(|item| item.kind().category == "dairy/milk");
            if !milk && let Some(milk) = (0..2).max_by_key(|milk| self.habits.likes[*milk]) {
                basket.push(milk);
            }
            basket = self.fill(basket, missing);
        }
        // Two hands' worth for each opening of the door.
        let rest = basket.split_off(basket.len().min(self.rng.random_range(4..=7)));
        let warmth = self.rng.random_range(12.0..KITCHEN);
        for good in basket {
            let milligrams = i64::from(GOODS[good].grams) * 1000 + self.rng.random_range(-2000..2000);
            let bought = visit.time;
            let item = Item { good, slot: 0, off: (0.0, 0.0), turn: 0.0, milligrams, bought, since: bought, warmth };
            self.put(visit, item);
        }
        if !rest.is_empty() {
            let later = visit.time + self.rng.random_range(50..150) * Time::SECOND;
            self.plan(later, Errand::Unpack(rest));
        }
    }

    /// Fills a basket up to `packages`, with what is liked and not there in plenty.
    fn fill(&mut self, mut basket: Vec<usize>, packages: usize) -> Vec<usize> {
        while basket.len() < packages {
            let weight = |good: usize| {
                let there = self.contents.iter().map(|item| item.good).chain(basket.iter().copied());
                let there = there.filter(|other| *other == good).count() as u32;
                let plenty = if GOODS[good].usage == Use::Whole { 3 } else { 2 };
                if there < plenty { self.habits.likes[good] * 12 / (1 + 3 * there) } else { 0 }
            };
            let weights: Vec<u32> = (0..GOODS.len()).map(weight).collect();
            let Some(good) = pick(self.rng, &weights) else { break };
            basket.push(good);
        }
        basket
    }

    /// Moves a package that is in the way.
    fn shift(&mut self, visit: &mut Open) {
        let weights: Vec<u32> = self.contents.iter().map(|_| 1).collect();
        let Some(at) = pick(self.rng, &weights) else { return };
        let good = self.contents[at].good;
        let Some(free) = self.free_slot(good) else { return };
        self.place(visit.time, at, free);
        visit.hand(self.rng, good, Kind::Moved, 0);
    }

    /// Puts a package in; one that finds no room is eaten.
    fn put(&mut self, visit: &mut Open, item: Item) {
        let Some(free) = self.free_slot(item.good) else { return };
        visit.hand(self.rng, item.good, Kind::In, item.milligrams);
        self.contents.push(Item { since: visit.time, ..item });
        self.place(visit.time, self.contents.len() - 1, free);
    }

    /// Stands a package in a slot, as precisely as people do.
    fn place(&mut self, time: i64, at: usize, slot: usize) {
        let turn = self.rng.random_range(-0.22..0.22);
        let off = (self.rng.random_range(-10.0..10.0), self.rng.random_range(-10.0..14.0));
        let item = &mut self.contents[at];
        (item.slot, item.turn, item.off) = (slot, turn, off);
        (item.warmth, item.since) = (warmth_at(item, time), time);
    }

    fn take(&mut self, visit: &mut Open, at: usize) -> Item {
        let item = self.contents.remove(at);
        visit.hand(self.rng, item.good, Kind::Out, -item.milligrams);
        Item { warmth: warmth_at(&item, visit.time), ..item }
    }

    /// A slot that is free and high enough; places at the front are liked better.
    fn free_slot(&mut self, good: usize) -> Option<usize> {
        let height = GOODS[good].shape.height();
        let weights: Vec<u32> = (0..SLOTS)
            .map(|number| {
                let place = slot(number);
                let taken = self.contents.iter().any(|item| item.slot == number);
                match (taken || place.headroom < height + 4.0, place.back) {
                    (true, _) => 0,
                    (false, true) => 1,
                    (false, false) => 8,
                }
            })
            .collect();
        pick(self.rng, &weights)
    }
}

/// A visit while the door is open.
struct Open {
    /// Now.
    time: i64,
    changes: Vec<Change>,
}

impl Open {
    fn hand(&mut self, rng: &mut impl Rng, good: usize, kind: Kind, milligrams: i64) {
        self.time += rng.random_range(1500..4000) * 1000;
        self.changes.push(Change { at: self.time, good, kind, milligrams });
    }
}

fn has_gone_off(item: &Item, now: i64) -> bool {
    now - item.bought > i64::from(item.kind().shelf_life_days) * Time::DAY
}

/// How warm a package is, in degrees Celsius: it cools to the fridge's temperature, the heavier the slower.
pub(super) fn warmth_at(item: &Item, now: i64) -> f32 {
    let minutes = (now - item.since).max(0) as f32 / Time::MINUTE as f32;
    let slow = 20.0 + item.milligrams as f32 / 12_000.0;
    COLD + (item.warmth - COLD) * (-minutes / slow).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::simulator::chance::{Purpose, stream};

    fn lived(seed: u64) -> Vec<Visit> {
        live(&mut stream(seed, 0, Purpose::Household), Time(1_767_571_200_000_000), 10, TimeZone::UTC)
    }

    #[test]
    fn what_went_in_and_did_not_come_out_is_there() {
        for seed in 0..20 {
            let mut counts = vec![0_i64; GOODS.len()];
            let mut load = 0;
            for visit in lived(seed) {
                for change in &visit.changes {
                    load += change.milligrams;
                    counts[change.good] += match change.kind {
                        Kind::In => 1,
                        Kind::Out => -1,
                        Kind::Moved => 0,
                    };
                }
                let mut there = vec![0; GOODS.len()];
                visit.contents.iter().for_each(|item| there[item.good] += 1);
                assert_eq!(counts, there);
                assert_eq!(load, visit.contents.iter().map(|item| item.milligrams).sum::<i64>());
            }
        }
    }

    #[test]
    fn no_two_packages_share_a_place_and_no_two_visits_a_time() {
        for seed in 0..20 {
            let mut before = 0;
            for visit in lived(seed) {
                assert!(before + PAUSE <= visit.opened && visit.opened < visit.closed);
                assert!(visit.changes.iter().all(|change| (visit.opened..visit.closed).contains(&change.at)));
                before = visit.closed;
                let mut slots: Vec<_> = visit.contents.iter().map(|item| item.slot).collect();
                slots.sort_unstable();
                slots.dedup();
                assert_eq!(slots.len(), visit.contents.len());
            }
        }
    }

    #[test]
    fn the_fridge_is_empty_at_first_and_then_used_about_a_dozen_times_a_day() {
        for seed in 0..20 {
            let visits = lived(seed);
            assert!(visits[..EMPTY_VISITS].iter().all(|visit| visit.contents.is_empty()));
            assert!(visits[EMPTY_VISITS - 1].closed < visits[0].opened + 3 * Time::HOUR);
            let a_day = visits.len() / 10;
            assert!((7..25).contains(&a_day), "{a_day} visits a day");
            assert!(visits[EMPTY_VISITS + 5..].iter().any(|visit| visit.contents.len() > 5));
        }
    }
}
