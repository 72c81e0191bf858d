//! History that is not held in memory, and lies in the lake alone.
//!
//! Of an appliance that is *cold before* an instant, the readings and frames from before are not taken in when a lake is
//! opened. What views say of them stands in for them: visits, movements of sensors and review items are taken from the lake's own
//! tables, and become inputs of the dataflow behind the operators that look at frames ([`Inputs::cold_visits`] and so on).
//! All that is computed from movements is computed as ever.
//!
//! Operators look a little around a row: a movement rests on six looks, a look on its visit and the next. So an appliance is held from
//! [`LOOKS`] looks before an instant called its *guard* on. What comes at or behind the guard is judged by looks that are
//! there. What comes before it, or is said of the appliance, *thaws* it first: its history is read from the lake, and what stood in for
//! it is taken back, in the same epoch. So is every appliance in whose cold frames a product was seen that is now taken for
//! another, or weighs another weight. The views are therefore at every epoch what they would be with all of history in memory;
//! opening checks that, and holds everything where it is not so.
//!
//! [`Inputs::cold_visits`]: larder_pipelines::Inputs::cold_visits

use std::collections::{BTreeMap, BTreeSet, HashMap};

use differential_dataflow::consolidation::consolidate;
use larder_operators::Window;
use larder_pipelines::Batch;
use larder_records::{
    Appliance, ApplianceId, Change, Correction, DeadLetter, Frame, FrameKey, FrameResult, Micros, Names, Payload,
    Product, ProductId, SensorId, Time,
    views::{Movement, MovementSource, ReviewItem, Visit},
};

use super::{behind::Behind, small::Small, views::ViewChanges};
use crate::{
    eyes::Eyes,
    feeds::Event,
    lake::{Lake, LakeError, Part, Whose},
};

/// How much of a lake's history is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum History {
    /// All of it.
    #[default]
    Whole,
    /// Of each appliance what lies so far behind its newest reading or frame, and what is needed besides.
    Recent(Micros),
}

/// Looks of each camera that are held before the guard. A movement rests on three looks before its own, and what comes behind the
/// guard changes movements of the last two before it; the first look held may lack the beginning of its visit.
const LOOKS: usize = 8;
/// How long before a guard without looks history is held: longer than scales are watched around a visit.
const MARGIN: Micros = Time::HOUR;

/// What is to be left cold when a lake is opened.
#[derive(Default)]
pub(super) struct Plan {
    /// The least of `since`; none where everything is held.
    from: Option<Time>,
    /// From when on the appliances are held that are to be cold before.
    since: HashMap<ApplianceId, Time>,
    /// Every appliance that ever sent something.
    known: BTreeSet<ApplianceId>,
    visits: HashMap<ApplianceId, Vec<Visit>>,
    /// The appliances that can be cold, and their cameras.
    kept: HashMap<ApplianceId, (Guard, BTreeSet<SensorId>)>,
    /// None where the tables show one epoch.
    behind: Option<Behind>,
}

/// Up to where history is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Guard {
    /// What comes before this instant changes what is cold.
    at: Time,
    /// What views say of the time before this instant changes only with what comes before `at`.
    settled: Time,
}

impl Plan {
    /// What can be left cold in `lake`, whose `small` inputs are these and make that `batch`, where so much of `history` is wanted. What other eyes saw is
    /// not, so that it is found out when the lake is opened.
    pub(super) fn of(
        lake: &Lake,
        history: History,
        small: &Small,
        batch: &Batch,
        eyes: Option<&Eyes>,
        names: &mut Names,
    ) -> Result<Self, LakeError> {
        let History::Recent(span) = history else { return Ok(Self::default()) };
        let mut behind = None;
        if !lake.shows_one_epoch() {
            behind = Behind::of(lake, small, batch, names)?;
            if behind.is_none() {
                // there are no views that can stand in for anything
                return Ok(Self::default());
            }
        }
        let newest = lake.newest(names)?;
        // what is shifted in time is not told by the time that the lake has of it
        let shifted: BTreeSet<ApplianceId> = small
            .corrections
            .iter()
            .filter(|correction| matches!(correction.change, Change::Calibration { .. }))
            .filter_map(|correction| correction.change.appliance())
            .collect();
        let mut others = HashMap::new();
        if let Some(eyes) = eyes {
            others = lake.fingerprints(names)?;
            others.retain(|appliance, seen| seen.iter().any(|seen| *seen != eyes.fingerprint(*appliance)));
        }
        let since: HashMap<ApplianceId, Time> = newest
            .iter()
            .filter(|(appliance, _)| !shifted.contains(appliance) && !others.contains_key(appliance))
            .map(|(appliance, newest)| (*appliance, Time(newest.0.saturating_sub(span))))
            .collect();
        let mut visits: HashMap<ApplianceId, Vec<Visit>> = HashMap::new();
        for visit in behind.as_ref().map_or(lake, |behind| &behind.lake).read::<Visit>(names)? {
            visits.entry(visit.appliance).or_default().push(visit);
        }
        let from = since.values().min().copied();
        Ok(Self { from, since, known: newest.into_keys().collect(), visits, kept: HashMap::new(), behind })
    }

    /// From when on there is something that is wanted at first; none where everything is.
    pub(super) fn from(&self) -> Option<Time> {
        self.from
    }

    /// Whether something is wanted at first.
    pub(super) fn wants(&self, appliance: ApplianceId, time: Time) -> bool {
        self.since.get(&appliance).or(self.from.as_ref()).is_none_or(|since| *since <= time)
    }

    /// Settles which appliances can be cold, now that the keys of their recent `frames` are known.
    pub(super) fn settle(
        &mut self,
        frames: &[FrameKey],
        lake: &Lake,
        small: &Small,
        names: &Names,
    ) -> Result<(), LakeError> {
        let mut cameras: HashMap<ApplianceId, BTreeMap<SensorId, Vec<Time>>> = HashMap::new();
        for frame in frames.iter().filter(|frame| self.since.contains_key(&frame.appliance)) {
            cameras.entry(frame.appliance).or_default().entry(frame.sensor).or_default().push(frame.time);
        }
        let none = BTreeMap::new();
        for (&appliance, &since) in &self.since {
            let visits = self.visits.remove(&appliance).unwrap_or_default();
            let cameras = cameras.get(&appliance).unwrap_or(&none);
            if let Some(guard) = Guard::of(since, visits, cameras) {
                self.kept.insert(appliance, (guard, cameras.keys().copied().collect()));
            }
        }
        let Some(behind) = &self.behind else { return Ok(()) };
        let mut products = Products::default();
        if changed_products(&behind.batch).next().is_some() {
            let guards = self.kept.iter().map(|(appliance, (guard, _))| (*appliance, guard.at));
            products = seen_products(guards, lake, &small.corrections, names)?;
        }
        let touched = touched_by(&behind.batch, &products);
        self.kept.retain(|appliance, (guard, _)| !behind.touches(*appliance, guard.at) && !touched.contains(appliance));
        Ok(())
    }

    /// The appliances that must be held whole after all.
    pub(super) fn others(&self) -> BTreeSet<ApplianceId> {
        if self.from.is_none() {
            return BTreeSet::new();
        }
        self.known.iter().filter(|appliance| !self.kept.contains_key(appliance)).copied().collect()
    }
}

impl Guard {
    /// The first instant from which on all that comes can be judged by what was seen from `since` on: the beginning of a visit,
    /// before which all doors were closed and every camera left [`LOOKS`] looks.
    fn of(since: Time, mut visits: Vec<Visit>, cameras: &BTreeMap<SensorId, Vec<Time>>) -> Option<Self> {
        if visits.is_empty() && cameras.is_empty() {
            return Some(Self { at: since.plus(MARGIN), settled: since });
        }
        visits.sort_unstable_by_key(|visit| visit.opened);
        let windows = windows(&visits, since);
        let mut looks: Vec<Vec<usize>> = Vec::with_capacity(cameras.len());
        for times in cameras.values() {
            let seen = times.iter().filter_map(|time| {
                let after = windows.partition_point(|window| window.opened <= *time);
                let visit = after.checked_sub(1)?;
                (*time < windows[visit].end()).then_some(visit)
            });
            let seen: BTreeSet<usize> = seen.collect();
            looks.push(seen.into_iter().filter(|visit| *visit > 0).collect());
        }
        (3..windows.len()).find_map(|n| {
            let at = windows[n].opened;
            let open = visits.iter().any(|visit| visit.opened < at && visit.closed.is_none_or(|closed| closed >= at));
            if open {
                return None;
            }
            let mut settled = windows[n - 1].opened;
            for looks in &looks {
                let before = &looks[..looks.partition_point(|look| *look < n)];
                if before.len() < LOOKS {
                    return None;
                }
                settled = settled.min(windows[before[before.len() - 3]].opened);
            }
            Some(Self { at, settled })
        })
    }
}

/// The windows of an appliance from `since` on, of visits in order.
fn windows(visits: &[Visit], since: Time) -> Vec<Window> {
    let recent = &visits[visits.partition_point(|visit| visit.opened < since)..];
    let mut windows: Vec<Window> = recent
        .chunk_by(|a, b| a.opened == b.opened)
        .map(|at_once| Window {
            appliance: at_once[0].appliance,
            opened: at_once[0].opened,
            closed: at_once.iter().map(|visit| visit.closed).reduce(|a, b| Some(a?.max(b?))).flatten(),
            next: None,
        })
        .collect();
    for n in 1..windows.len() {
        windows[n - 1].next = Some(windows[n].opened);
    }
    windows
}

/// Review items, with how many times each is there.
type Reviews = Vec<(ReviewItem, isize)>;

/// Rows of the views that can stand in for what is cold, with how many times each is there.
#[derive(Debug, Default)]
struct Rows {
    visits: Vec<(Visit, isize)>,
    movements: Vec<(Movement, isize)>,
    reviews: Reviews,
}

impl Rows {
    /// Those that `lake` has of `part` of the time that `wanted` says.
    fn held(
        lake: &Lake,
        part: &Part<'_>,
        names: &mut Names,
        wanted: impl Fn(ApplianceId, Time) -> bool,
    ) -> Result<Self, LakeError> {
        fn once<R>(rows: Vec<R>, is_wanted: impl Fn(&R) -> bool) -> Vec<(R, isize)> {
            rows.into_iter().filter(is_wanted).map(|row| (row, 1)).collect()
        }
        Ok(Self {
            visits: once(lake.read_part(part, names)?, |row: &Visit| wanted(row.appliance, row.opened)),
            movements: once(lake.read_part(part, names)?, |row: &Movement| {
                row.source == MovementSource::Sensors && wanted(row.appliance, row.time)
            }),
            reviews: once(lake.read_part(part, names)?, |row: &ReviewItem| wanted(row.appliance, row.time)),
        })
    }

    /// Takes `others` away from these.
    fn take_away<'a>(&mut self, others: impl IntoIterator<Item = &'a Self>) {
        fn negated<R: Clone>(rows: &[(R, isize)]) -> impl Iterator<Item = (R, isize)> {
            rows.iter().map(|(row, times)| (row.clone(), -times))
        }
        for others in others {
            self.visits.extend(negated(&others.visits));
            self.movements.extend(negated(&others.movements));
            self.reviews.extend(negated(&others.reviews));
        }
        consolidate(&mut self.visits);
        consolidate(&mut self.movements);
        consolidate(&mut self.reviews);
    }
}

/// What is cold.
#[derive(Debug, Default)]
pub(super) struct Cold {
    appliances: HashMap<ApplianceId, Kept>,
    /// In whose frames before the guard each product may be seen.
    products: Products,
    /// Whether tables were behind what came in when it began.
    tables_are_behind: bool,
}

/// By product, in whose frames it may be seen.
type Products = HashMap<ProductId, BTreeSet<ApplianceId>>;

/// A cold appliance.
#[derive(Debug)]
struct Kept {
    since: Time,
    guard: Guard,
    /// The cameras that left looks before the guard: what another sees may follow on what is cold.
    cameras: BTreeSet<SensorId>,
    /// What the dataflow itself says of the time before it is settled.
    said: Rows,
}

/// What of an appliance was cold.
#[derive(Debug)]
pub(super) struct Thawed {
    /// Everything before.
    pub(super) until: Time,
    guard: Guard,
    said: Rows,
}

impl Cold {
    /// How many appliances are cold.
    pub(super) fn len(&self) -> usize {
        self.appliances.len()
    }

    /// Follows `plan` in `lake`, whose `corrections` are these. `changes` are those of the views of what is held. What is to stand in
    /// for visits and movements is returned, and the review items that the lake has of settled times, for [`Cold::reviews`].
    pub(super) fn begin(
        plan: Plan,
        changes: &ViewChanges,
        corrections: &[Correction],
        lake: &Lake,
        names: &mut Names,
    ) -> Result<(Self, Batch, Reviews), LakeError> {
        let Plan { since, kept, behind, .. } = plan;
        let mut cold = Self { tables_are_behind: behind.is_some(), ..Self::default() };
        let Some(until) = kept.values().map(|(guard, _)| guard.settled).max() else {
            return Ok((cold, Batch::default(), Vec::new()));
        };
        for (appliance, (guard, cameras)) in kept {
            let since = since.get(&appliance).copied().unwrap_or(guard.settled);
            cold.appliances.insert(appliance, Kept { since, guard, cameras, said: Rows::default() });
        }
        for (visit, _, times) in &changes.visits {
            if let Some(said) = cold.said(visit.appliance, visit.opened) {
                said.visits.push((*visit, *times));
            }
        }
        for (movement, _, times) in &changes.movements {
            if movement.source == MovementSource::Sensors
                && let Some(said) = cold.said(movement.appliance, movement.time)
            {
                said.movements.push((movement.clone(), *times));
            }
        }
        let part = Part { until: Some(until), ..Part::default() };
        let shown = behind.as_ref().map_or(lake, |behind| &behind.lake);
        let mut held = Rows::held(shown, &part, names, |appliance, time| cold.is_settled(appliance, time))?;
        held.take_away(cold.appliances.values().map(|kept| &kept.said));
        let batch = Batch { cold_visits: held.visits, cold_movements: held.movements, ..Batch::default() };

        // what is said of frames that are held, but not what they follow on, rests on what is cold as well
        let guards = cold.appliances.iter().map(|(appliance, kept)| (*appliance, kept.guard.at));
        cold.products = seen_products(guards, lake, corrections, names)?;
        Ok((cold, batch, held.reviews))
    }

    /// What is to stand in for review items, of which the lake `held` these, when that for movements is in `changes`.
    pub(super) fn reviews(&mut self, mut held: Reviews, changes: &ViewChanges) -> Batch {
        for (item, _, times) in &changes.review_queue {
            if let Some(said) = self.said(item.appliance, item.time) {
                said.reviews.push((*item, *times));
            }
        }
        for kept in self.appliances.values_mut() {
            consolidate(&mut kept.said.reviews);
            held.extend(kept.said.reviews.iter().map(|(row, times)| (*row, -times)));
        }
        consolidate(&mut held);
        Batch { cold_reviews: held, ..Batch::default() }
    }

    fn is_settled(&self, appliance: ApplianceId, time: Time) -> bool {
        self.appliances.get(&appliance).is_some_and(|kept| time < kept.guard.settled)
    }

    /// Where to note down what the dataflow says of a settled time.
    fn said(&mut self, appliance: ApplianceId, time: Time) -> Option<&mut Rows> {
        let kept = self.appliances.get_mut(&appliance)?;
        (time < kept.guard.settled).then_some(&mut kept.said)
    }

    /// Whether an appliance is cold.
    pub(super) fn contains(&self, appliance: ApplianceId) -> bool {
        self.appliances.contains_key(&appliance)
    }

    /// The appliances that are cold.
    pub(super) fn appliances(&self) -> impl Iterator<Item = ApplianceId> {
        self.appliances.keys().copied()
    }

    /// The appliance whose cold history `entry` changes or follows on.
    pub(super) fn touched(&self, entry: &Result<Event, DeadLetter>) -> Option<ApplianceId> {
        let before_guard = |appliance: ApplianceId, time: Time, camera: Option<SensorId>| {
            let Kept { guard, cameras, .. } = self.appliances.get(&appliance)?;
            let is_new = camera.is_some_and(|camera| !cameras.contains(&camera));
            (time < guard.at || is_new).then_some(appliance)
        };
        match entry {
            Ok(Event::Frame(Frame { appliance, time, sensor, payload, .. })) => {
                before_guard(*appliance, *time, matches!(payload, Payload::Image(_)).then_some(*sensor))
            }
            Ok(Event::Seen(FrameResult { key, .. }, _)) => before_guard(key.appliance, key.time, Some(key.sensor)),
            Ok(Event::Correction(correction)) => {
                correction.change.appliance().filter(|appliance| self.contains(*appliance))
            }
            _ => None,
        }
    }

    /// The appliances whose cold history `batch` changes.
    pub(super) fn touched_by(&self, batch: &Batch) -> BTreeSet<ApplianceId> {
        if self.appliances.is_empty() {
            return BTreeSet::new();
        }
        let mut touched = touched_by(batch, &self.products);
        touched.retain(|appliance| self.contains(*appliance));
        touched
    }

    /// Whether what stands in can be right, as `changes` are what tables lack when it began.
    pub(super) fn is_borne_out_by(&self, changes: &ViewChanges) -> bool {
        if !self.tables_are_behind {
            return changes.is_empty();
        }
        // nothing came that touches settled times
        let visits = changes.visits.iter().map(|(row, ..)| (row.appliance, row.opened));
        let movements = changes.movements.iter().map(|(row, ..)| row);
        let movements =
            movements.filter(|row| row.source == MovementSource::Sensors).map(|row| (row.appliance, row.time));
        let reviews = changes.review_queue.iter().map(|(row, ..)| (row.appliance, row.time));
        !visits.chain(movements).chain(reviews).any(|(appliance, time)| self.is_settled(appliance, time))
    }

    /// Those of `appliances` that are cold are so no longer.
    pub(super) fn forget(&mut self, appliances: &BTreeSet<ApplianceId>) -> HashMap<ApplianceId, Thawed> {
        let thawed = appliances.iter().filter_map(|appliance| {
            let Kept { since, guard, said, .. } = self.appliances.remove(appliance)?;
            Some((*appliance, Thawed { until: since, guard, said }))
        });
        thawed.collect()
    }
}

/// In whose frames before the `guards` of these appliances each product may be seen: as vision has it, or as `corrections` do.
fn seen_products(
    guards: impl Iterator<Item = (ApplianceId, Time)>,
    lake: &Lake,
    corrections: &[Correction],
    names: &Names,
) -> Result<Products, LakeError> {
    let (appliances, guards): (BTreeSet<ApplianceId>, Vec<Time>) = guards.unzip();
    let mut products = lake.seen_products(&appliances, guards.into_iter().max(), names)?;
    // whatever people said that pictures show
    for correction in corrections {
        if let Change::Picture { frame, amendment } = &correction.change {
            for product in amendment.products() {
                products.entry(product).or_default().insert(frame.appliance);
            }
        }
    }
    Ok(products)
}

/// The appliances whose history `batch` changes, beside that of what they sent; `products` tells who ever saw a product.
fn touched_by(batch: &Batch, products: &Products) -> BTreeSet<ApplianceId> {
    let pictures = batch.amendments.iter().map(|((frame, _), _)| frame.appliance);
    let skews = batch.skews.iter().map(|((frame, _), _)| frame.appliance);
    let verdicts = batch.verdicts.iter().map(|((movement, _), _)| movement.appliance);
    let mut touched: BTreeSet<ApplianceId> =
        pictures.chain(skews).chain(verdicts).chain(other_thresholds(&batch.appliances)).collect();
    touched.extend(changed_products(batch).filter_map(|product| products.get(&product)).flatten());
    touched
}

/// The products that `batch` lets be taken for others, or weigh another weight.
fn changed_products(batch: &Batch) -> impl Iterator<Item = ProductId> {
    let others = batch.stand_ins.iter().map(|((product, _), _)| *product);
    others.chain(other_weights(&batch.products))
}

/// Takes back what stood in for `thawed`.
pub(super) fn take_back(
    thawed: HashMap<ApplianceId, Thawed>,
    lake: &Lake,
    names: &mut Names,
) -> Result<Batch, LakeError> {
    let appliances: BTreeSet<ApplianceId> = thawed.keys().copied().collect();
    let until = thawed.values().map(|thawed| thawed.guard.settled).max();
    let part = Part { appliances: Whose::Of(&appliances), from: None, until };
    let is_settled =
        |appliance, time| thawed.get(&appliance).is_some_and(|thawed: &Thawed| time < thawed.guard.settled);
    let mut rows = Rows::held(lake, &part, names, is_settled)?;
    rows.take_away(thawed.values().map(|thawed| &thawed.said));
    fn back<R>(rows: Vec<(R, isize)>) -> Vec<(R, isize)> {
        rows.into_iter().map(|(row, times)| (row, -times)).collect()
    }
    Ok(Batch {
        cold_visits: back(rows.visits),
        cold_movements: back(rows.movements),
        cold_reviews: back(rows.reviews),
        ..Batch::default()
    })
}

/// What two states of each thing are, the one that goes and the one that comes, where `what` differs in them; `without` is what holds
/// where there is no row.
fn differing<R, K: Ord + Copy, W: Eq>(
    rows: &[(R, isize)],
    key: impl Fn(&R) -> K,
    what: impl Fn(&R) -> W,
    without: impl Fn() -> W,
) -> Vec<K> {
    let mut states: BTreeMap<K, (Option<W>, Option<W>)> = BTreeMap::new();
    for (row, times) in rows {
        let (was, is) = states.entry(key(row)).or_default();
        *(if *times < 0 { was } else { is }) = Some(what(row));
    }
    let differ = |(was, is): (Option<W>, Option<W>)| was.unwrap_or_else(&without) != is.unwrap_or_else(&without);
    states.into_iter().filter_map(|(key, states)| differ(states).then_some(key)).collect()
}

/// The appliances whose thresholds change.
fn other_thresholds(rows: &[(Appliance, isize)]) -> Vec<ApplianceId> {
    let defaults = || (Appliance::DEFAULT_MIN_SCORE, Appliance::DEFAULT_REVIEW_BELOW);
    differing(rows, |row| row.id, |row| (row.min_score, row.review_below), defaults)
}

/// The products whose packages weigh another weight.
fn other_weights(rows: &[(Product, isize)]) -> Vec<ProductId> {
    differing(rows, |row| row.id, |row| row.package_mg, || 0)
}
