//! Each operator against plain loops, over random histories with late, repeated and retracted rows, at every epoch.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use differential_dataflow::{ExchangeData, input::InputSession};
use larder_operators::{
    Levels, Rows, Window, grouped, last_frames, latest, levels, neighbours, newest_hours, pairs, visits, windows,
};
use larder_records::{ApplianceId, Digest, FrameKey, Modality, Reading, SensorId, Time, views::Visit};
use proptest::{collection::vec, prelude::*, sample::Index};
use timely::dataflow::ProbeHandle;

/// How long a worker without work sleeps: one that does not takes the cores from those that have some.
const PATIENCE: Duration = Duration::from_millis(20);

/// Batches of changes.
type History<R> = Vec<Vec<(R, isize)>>;

/// What a history does next.
#[derive(Clone, Debug)]
enum Step<R> {
    Come(R),
    ComeAgain(Index),
    Go(Index),
}

/// Rows that come, come again and go.
fn histories<R: Clone + Debug + 'static>(row: impl Strategy<Value = R> + 'static) -> impl Strategy<Value = History<R>> {
    let step = prop_oneof![
        6 => row.prop_map(Step::Come),
        1 => any::<Index>().prop_map(Step::ComeAgain),
        2 => any::<Index>().prop_map(Step::Go),
    ];
    vec(vec(step, 0..25), 1..6).prop_map(|batches| {
        let mut there: Vec<R> = Vec::new();
        let mut change = |step| match step {
            Step::Come(row) => {
                there.push(row);
                there.last().map(|row| (row.clone(), 1))
            }
            _ if there.is_empty() => None,
            Step::ComeAgain(of) => {
                let row = of.get(&there).clone();
                there.push(row.clone());
                Some((row, 1))
            }
            Step::Go(of) => Some((there.swap_remove(of.index(there.len())), -1)),
        };
        batches.into_iter().map(|steps| steps.into_iter().filter_map(&mut change).collect()).collect()
    })
}

/// The rows that there are after batch `epoch`.
fn rows_at<R: Ord + Clone>(history: &History<R>, epoch: usize) -> BTreeSet<R> {
    let mut counts: BTreeMap<&R, isize> = BTreeMap::new();
    for (row, diff) in history[..=epoch].iter().flatten() {
        *counts.entry(row).or_default() += diff;
    }
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(row, _)| row.clone()).collect()
}

/// What `dataflow` makes of a history: its rows after each batch. A row that stands more than once fails.
fn run<R, O>(
    workers: usize,
    history: &History<R>,
    dataflow: impl for<'a> Fn(Rows<'a, R>) -> Rows<'a, O> + Send + Sync + 'static,
) -> Vec<BTreeSet<O>>
where
    R: ExchangeData + Sync,
    O: ExchangeData,
{
    let changes = Arc::new(Mutex::new(Vec::new()));
    let (into, input) = (changes.clone(), history.clone());
    timely::execute(timely::Config::process(workers), move |worker| {
        let probe = ProbeHandle::new();
        let mut rows = InputSession::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let into = into.clone();
            dataflow(rows.to_collection(scope))
                .inspect(move |change| into.lock().unwrap().push(change.clone()))
                .probe_with(&probe);
        });
        for (epoch, batch) in (1..).zip(&input) {
            for (n, (row, diff)) in batch.iter().enumerate() {
                if n % worker.peers() == worker.index() {
                    rows.update(row.clone(), *diff);
                }
            }
            rows.advance_to(epoch);
            rows.flush();
            // so that some batches hold several epochs
            if epoch % 3 != 0 {
                worker.step_or_park_while(Some(PATIENCE), || probe.less_than(&epoch));
            }
        }
    })
    .unwrap()
    .join()
    .into_iter()
    .for_each(|worker| worker.unwrap());
    let changes = changes.lock().unwrap();
    let mut counts: BTreeMap<O, isize> = BTreeMap::new();
    (0..history.len() as u64)
        .map(|epoch| {
            for (row, _, diff) in changes.iter().filter(|change| change.1 == epoch) {
                *counts.entry(row.clone()).or_default() += diff;
            }
            counts.retain(|_, count| *count != 0);
            assert!(counts.values().all(|count| *count == 1), "a row stands more than once");
            counts.keys().cloned().collect()
        })
        .collect()
}

fn appliance() -> ApplianceId {
    ApplianceId::of("fridge")
}

/// Instants near each other and far apart, on both sides of the bounds of groups.
fn time() -> impl Strategy<Value = Time> {
    let bound = prop_oneof![4 => Just(1_i64 << 50), 1 => Just(1 << 44), 1 => Just(1 << 38)];
    (bound, -60_i64..200).prop_map(|(bound, steps)| Time(bound + steps * 10 * Time::SECOND))
}

fn reading(modality: Modality, values: i64) -> impl Strategy<Value = Reading> {
    let row = (prop_oneof![Just("a"), Just("b")], time(), 0_u32..2, 0..values);
    row.prop_map(move |(sensor, time, sequence, value)| Reading {
        appliance: appliance(),
        sensor: SensorId::of(sensor),
        modality,
        time,
        sequence,
        value,
    })
}

fn visit() -> impl Strategy<Value = Visit> {
    let row = (prop_oneof![Just("a"), Just("b")], time(), proptest::option::weighted(0.9, 0_i64..300));
    row.prop_map(|(sensor, opened, seconds)| Visit {
        appliance: appliance(),
        sensor: SensorId::of(sensor),
        opened,
        closed: seconds.map(|s| opened.plus(s * Time::SECOND)),
    })
}

fn frame() -> impl Strategy<Value = FrameKey> {
    let row = (prop_oneof![Just("c"), Just("d")], time(), 0_u128..2);
    row.prop_map(|(sensor, time, hash)| FrameKey {
        appliance: appliance(),
        sensor: SensorId::of(sensor),
        time,
        hash: Digest(hash),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
enum Row {
    Visit(Visit),
    Frame(FrameKey),
    Weight(Reading),
}

impl Row {
    fn visit(self) -> Option<Visit> {
        if let Self::Visit(visit) = self { Some(visit) } else { None }
    }

    fn frame(self) -> Option<FrameKey> {
        if let Self::Frame(frame) = self { Some(frame) } else { None }
    }

    fn weight(self) -> Option<Reading> {
        if let Self::Weight(weight) = self { Some(weight) } else { None }
    }
}

fn windows_of(visits: &BTreeSet<Visit>) -> BTreeSet<Window> {
    let openings: BTreeSet<Time> = visits.iter().map(|visit| visit.opened).collect();
    let of = |opened: Time| {
        let closings = || visits.iter().filter(|visit| visit.opened == opened).map(|visit| visit.closed);
        let closed = if closings().any(|closed| closed.is_none()) { None } else { closings().flatten().max() };
        let next = openings.iter().copied().find(|next| *next > opened);
        Window { appliance: appliance(), opened, closed, next }
    };
    openings.iter().map(|opened| of(*opened)).collect()
}

/// An instant, and what tells rows of one instant apart.
type Timed = (Time, u8);

/// Each row with the rows next to it, itself at `place`.
fn around<const N: usize>(rows: &BTreeSet<(u8, Timed)>, place: usize) -> BTreeSet<(u8, [Option<Timed>; N])> {
    let mut found = BTreeSet::new();
    for key in 0..2 {
        let rows: Vec<_> = rows.iter().filter(|row| row.0 == key).map(|row| row.1).collect();
        for n in 0..rows.len() {
            found.insert((key, std::array::from_fn(|at| rows.get((n + at).checked_sub(place)?).copied())));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn neighbours_are_the_rows_next_to_each_other(
        history in histories((0_u8..2, (time(), 0_u8..2))), workers in 1_usize..=2,
    ) {
        let next = run(workers, &history, |rows| neighbours(rows, |(time, _)| *time, 0));
        let previous = run(workers, &history, |rows| neighbours(rows, |(time, _)| *time, 1));
        let six = run(workers, &history, |rows| neighbours(rows, |(time, _)| *time, 3));
        for (epoch, ((next, previous), six)) in next.into_iter().zip(previous).zip(six).enumerate() {
            prop_assert_eq!(next, around::<2>(&rows_at(&history, epoch), 0));
            prop_assert_eq!(previous, around::<2>(&rows_at(&history, epoch), 1));
            prop_assert_eq!(six, around::<6>(&rows_at(&history, epoch), 3));
        }
    }

    #[test]
    fn what_a_group_says_is_what_its_rows_say_at_every_epoch(
        history in histories((0_u8..3, 0_i64..9)), workers in 1_usize..=2,
    ) {
        // a list, so that one row more or less changes all of it
        let found = run(workers, &history, |rows| {
            grouped(rows, "Test", |_, rows, said| {
                said.push((true, rows.iter().map(|(row, times)| (**row, *times)).collect::<Vec<_>>()));
                said.extend(rows.iter().map(|(row, times)| (false, vec![(**row, *times)])));
            })
        });
        for (epoch, found) in found.into_iter().enumerate() {
            let mut counts: BTreeMap<u8, BTreeMap<i64, isize>> = BTreeMap::new();
            for ((key, row), diff) in history[..=epoch].iter().flatten() {
                *counts.entry(*key).or_default().entry(*row).or_default() += diff;
            }
            let mut expected = BTreeSet::new();
            for (key, rows) in counts {
                let rows: Vec<_> = rows.into_iter().filter(|(_, times)| *times != 0).collect();
                expected.extend(rows.iter().map(|row| (key, (false, vec![*row]))));
                if !rows.is_empty() {
                    expected.insert((key, (true, rows)));
                }
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn visits_go_from_each_opening_to_the_next_closing(
        history in histories(reading(Modality::Door, 2)), workers in 1_usize..=2,
    ) {
        let found = run(workers, &history, visits);
        for (epoch, found) in found.into_iter().enumerate() {
            let mut expected = BTreeSet::new();
            for sensor in ["a", "b"].map(SensorId::of) {
                let mut open = None;
                // sorted by time, sequence, value within a sensor
                for r in rows_at(&history, epoch).into_iter().filter(|r| r.sensor == sensor) {
                    if r.value != 0 {
                        open = open.or(Some(r.time));
                    } else if let Some(opened) = open.take() {
                        expected.insert(Visit { appliance: appliance(), sensor, opened, closed: Some(r.time) });
                    }
                }
                expected.extend(open.map(|opened| Visit { appliance: appliance(), sensor, opened, closed: None }));
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn windows_end_with_the_next_visit_of_any_door(history in histories(visit()), workers in 1_usize..=2) {
        let found = run(workers, &history, windows);
        for (epoch, found) in found.into_iter().enumerate() {
            prop_assert_eq!(found, windows_of(&rows_at(&history, epoch)));
        }
    }

    #[test]
    fn a_look_is_the_last_frame_of_its_window(
        history in histories(prop_oneof![visit().prop_map(Row::Visit), frame().prop_map(Row::Frame)]),
        workers in 1_usize..=2,
    ) {
        let found = run(workers, &history, |rows| {
            last_frames(windows(rows.clone().flat_map(Row::visit)), rows.flat_map(Row::frame).map(|frame| (frame, frame.time)))
        });
        for (epoch, found) in found.into_iter().enumerate() {
            let rows = rows_at(&history, epoch);
            let mut expected = BTreeSet::new();
            for window in windows_of(&rows.iter().filter_map(|row| row.visit()).collect()) {
                for sensor in ["c", "d"].map(SensorId::of) {
                    let inside = |f: &FrameKey| f.sensor == sensor && window.opened <= f.time && f.time < window.end();
                    let last = rows.iter().filter_map(|row| row.frame()).filter(inside).max_by_key(|f| (f.time, f.hash));
                    expected.extend(last.map(|frame| (frame, window.opened)));
                }
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn levels_are_the_medians_around_each_visit(
        history in histories(prop_oneof![
            1 => visit().prop_map(Row::Visit),
            3 => reading(Modality::Weight, 50).prop_map(Row::Weight),
        ]),
        workers in 1_usize..=2,
    ) {
        let found = run(workers, &history, |rows| {
            levels(windows(rows.clone().flat_map(Row::visit)), rows.flat_map(Row::weight))
        });
        for (epoch, found) in found.into_iter().enumerate() {
            let rows = rows_at(&history, epoch);
            let median = |from: Time, until: Time| {
                let mut loads: BTreeMap<SensorId, Vec<i64>> = BTreeMap::new();
                for r in rows.iter().filter_map(|row| row.weight()).filter(|r| from <= r.time && r.time < until) {
                    loads.entry(r.sensor).or_default().push(r.value);
                }
                loads.values_mut().for_each(|loads| loads.sort());
                loads.into_iter().map(|(sensor, loads)| (sensor, loads[(loads.len() - 1) / 2])).collect()
            };
            let mut expected = BTreeSet::new();
            for window in windows_of(&rows.iter().filter_map(|row| row.visit()).collect()) {
                let before = median(window.opened.plus(-Time::MINUTE), window.opened);
                let after = window.closed.map_or(vec![], |closed| {
                    let end = closed.plus(62 * Time::SECOND);
                    median(closed.plus(2 * Time::SECOND), window.next.map_or(end, |next| next.min(end)))
                });
                let levels = Levels { before, after };
                if levels != Levels::default() {
                    expected.insert(((appliance(), window.opened), levels));
                }
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_latest_row_and_the_newest_hour_are_the_greatest(
        history in histories((0_u8..3, time())), workers in 1_usize..=2,
    ) {
        let newest = run(workers, &history, latest);
        let hours = run(workers, &history, |rows| {
            newest_hours(rows.map(|(n, time)| (ApplianceId::of(if n == 0 { "a" } else { "b" }), time)))
        });
        for (epoch, (newest, hours)) in newest.into_iter().zip(hours).enumerate() {
            let rows = rows_at(&history, epoch);
            let greatest: BTreeMap<u8, Time> = rows.iter().copied().collect();
            prop_assert_eq!(newest, greatest.into_iter().collect::<BTreeSet<_>>());
            let of = |a: bool| rows.iter().filter(|row| (row.0 == 0) == a).map(|row| row.1).max();
            let hour = |time: Time| Time(time.0 - time.0 % Time::HOUR);
            let expected: BTreeSet<_> = [("a", of(true)), ("b", of(false))]
                .into_iter()
                .filter_map(|(name, time)| Some((ApplianceId::of(name), hour(time?))))
                .collect();
            prop_assert_eq!(hours, expected);
        }
    }

    #[test]
    fn pairs_are_the_different_members_of_a_group(
        history in histories((0_u8..3, (0_u8..9, 0_u8..5))), workers in 1_usize..=2,
    ) {
        let found = run(workers, &history, pairs);
        for (epoch, found) in found.into_iter().enumerate() {
            let rows = rows_at(&history, epoch);
            let mut expected = BTreeSet::new();
            for (group, (_, a)) in &rows {
                for (_, (_, b)) in rows.iter().filter(|(of, (_, b))| of == group && a < b) {
                    let first = rows.iter().filter(|row| row.0 == *group).map(|row| row.1.0).min().unwrap();
                    expected.insert((*group, (first, *a, *b)));
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
