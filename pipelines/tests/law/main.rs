//! The law: every view at every epoch is what its rows' set of inputs says, however those came.
#![allow(clippy::unwrap_used, clippy::type_complexity, for_loops_over_fallibles, missing_docs)]

mod corrected;
mod force;
mod history;
mod oracle;

use std::{
    collections::BTreeMap,
    hash::{Hash as _, Hasher as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use history::{History, Row};
use larder_pipelines::{Batch, Intake, Sessions, views};
use proptest::prelude::*;
use timely::dataflow::ProbeHandle;

/// The rows of all views, each with how often it stands.
pub type Content = BTreeMap<(&'static str, String), isize>;

/// How long a worker without work sleeps: one that does not takes the cores from those that have some.
const PATIENCE: Duration = Duration::from_millis(20);

/// What the views hold after each of the batches.
fn run(workers: usize, batches: Vec<Batch>) -> Vec<Content> {
    run_every(1, workers, batches)
}

/// What the views hold after every `every`th of the batches.
fn run_every(every: usize, workers: usize, batches: Vec<Batch>) -> Vec<Content> {
    let epochs = batches.len();
    let changes = Arc::new(Mutex::new(Vec::new()));
    let into = changes.clone();
    let input: Vec<Vec<Batch>> = batches.into_iter().map(|batch| batch.deal(workers)).collect();
    timely::execute(timely::Config::process(workers), move |worker| {
        let probe = ProbeHandle::new();
        let mut sessions = Sessions::default();
        worker.dataflow::<u64, _, _>(|scope| {
            let out = views(sessions.inputs(scope));
            macro_rules! collect {
                ($($view:ident),*) => {$({
                    let into = into.clone();
                    out.$view
                        .inspect(move |(row, epoch, diff)| {
                            into.lock().unwrap().push((stringify!($view), format!("{row:?}"), *epoch, *diff));
                        })
                        .probe_with(&probe);
                })*};
            }
            collect!(
                visits,
                movements,
                inventory,
                inventory_history,
                food_state,
                behaviour,
                behaviour_products,
                behaviour_pairs,
                market,
                market_pairs,
                review_queue
            );
        });
        for (epoch, hands) in (0..).zip(&input) {
            sessions.send(epoch, hands[worker.index()].clone());
            worker.step_or_park_while(Some(PATIENCE), || probe.less_than(&(epoch + 1)));
        }
    })
    .unwrap()
    .join()
    .into_iter()
    .for_each(|worker| worker.unwrap());
    let mut changes = std::mem::take(&mut *changes.lock().unwrap());
    changes.sort_by_key(|(_, _, epoch, _)| std::cmp::Reverse(*epoch));
    let mut content = Content::new();
    (every..=epochs)
        .step_by(every)
        .map(|end| {
            while let Some((view, row, _, diff)) = changes.pop_if(|(_, _, epoch, _)| *epoch < end as u64) {
                *content.entry((view, row)).or_default() += diff;
            }
            content.retain(|_, count| *count != 0);
            content.clone()
        })
        .collect()
}

/// Rows as the dataflow takes them, without an intake before it.
fn bare(rows: &[(Row, isize)]) -> Batch {
    let mut batch = Batch::default();
    for (row, diff) in rows.iter().cloned() {
        match row {
            Row::Reading(row) => batch.readings.push((row, diff)),
            Row::Frame(row) => batch.frames.push((row, diff)),
            Row::Product(row) => batch.products.push((row, diff)),
            Row::Appliance(row) => batch.appliances.push((row, diff)),
            Row::Declared(row) => batch.declared.push((row, diff)),
            Row::Correction(_) => panic!("corrections go through an intake"),
        }
    }
    batch
}

/// Rows as an intake hands them on.
fn taken_in(intake: &mut Intake, rows: impl IntoIterator<Item = Row>) -> Batch {
    for row in rows {
        match row {
            Row::Reading(row) => drop(intake.reading(&row)),
            // two visions may have seen one frame
            Row::Frame(row) => {
                intake.frame(row.key);
                intake.seen(row);
            }
            Row::Product(row) => drop(intake.product(&row)),
            Row::Appliance(row) => drop(intake.appliance(&row)),
            Row::Declared(row) => drop(intake.declared(&row)),
            // what can never hold is refused, and changes nothing
            Row::Correction(row) => drop(intake.correction(&row)),
        }
    }
    intake.take_batch()
}

fn all_taken_in(batches: impl IntoIterator<Item = Vec<Row>>) -> Vec<Batch> {
    let mut intake = Intake::default();
    batches.into_iter().map(|rows| taken_in(&mut intake, rows)).collect()
}

fn of_view(content: &Content, view: &str) -> Vec<(String, isize)> {
    content.iter().filter(|((of, _), _)| *of == view).map(|((_, row), count)| (row.clone(), *count)).collect()
}

const VIEWS: [&str; 11] = [
    "visits",
    "movements",
    "inventory",
    "inventory_history",
    "food_state",
    "behaviour",
    "behaviour_products",
    "behaviour_pairs",
    "market",
    "market_pairs",
    "review_queue",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_view_at_every_epoch_is_what_plain_loops_over_the_inputs_say(history in history::histories()) {
        let incremental = run(1, history.batches.iter().map(|batch| bare(batch)).collect());
        for (epoch, content) in incremental.iter().enumerate() {
            let expected = oracle::content(&history.rows_at(epoch));
            for view in VIEWS {
                prop_assert_eq!(of_view(content, view), of_view(&expected, view), "{} at epoch {}", view, epoch);
            }
        }
    }

    #[test]
    fn order_batches_and_workers_change_nothing(history in history::histories(), workers in 1_usize..=3, size in 1_usize..60) {
        let incremental = run(workers, history.batches.iter().map(|batch| bare(batch)).collect()).pop().unwrap();
        let mut rows: Vec<_> =
            history.rows_at(history.batches.len() - 1).into_iter().map(|row| (row, 1)).collect();
        let fresh = run(1, vec![bare(&rows)]).pop().unwrap();
        prop_assert_eq!(&incremental, &fresh);
        rows.reverse();
        let batches: Vec<Batch> = rows.chunks(size).map(bare).collect();
        if !batches.is_empty() {
            prop_assert_eq!(&run(workers, batches).pop().unwrap(), &fresh);
        }
    }

    #[test]
    fn corrections_repair_every_view_to_what_plain_loops_over_corrected_inputs_say(
        history in history::corrected_histories(),
    ) {
        let incremental = run(1, all_taken_in(history.rows_by_batch()));
        for (epoch, content) in incremental.iter().enumerate() {
            let expected = oracle::content(&history.rows_at(epoch));
            for view in VIEWS {
                prop_assert_eq!(of_view(content, view), of_view(&expected, view), "{} at epoch {}", view, epoch);
            }
        }
    }

    #[test]
    fn corrections_before_what_they_correct_give_the_same_as_after(
        history in history::corrected_histories(), workers in 1_usize..=3, size in 1_usize..60, seed in any::<u64>(),
    ) {
        let mut rows = history.rows_at(history.batches.len() - 1);
        let fresh = run(1, all_taken_in([rows.clone()])).pop().unwrap();
        // in an order that has nothing to do with what the rows say
        rows.sort_by_key(|row| {
            let mut hasher = std::hash::DefaultHasher::new();
            (seed, row).hash(&mut hasher);
            hasher.finish()
        });
        let batches: Vec<_> = rows.chunks(size).map(<[Row]>::to_vec).collect();
        if !batches.is_empty() {
            prop_assert_eq!(&run(workers, all_taken_in(batches)).pop().unwrap(), &fresh);
        }
    }
}

#[test]
fn histories_reach_every_view() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut met = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let history: History = history::histories().new_tree(&mut runner).unwrap().current();
        let content = oracle::content(&history.rows_at(history.batches.len() - 1));
        met.extend(content.into_keys().map(|(view, _)| view));
    }
    for view in VIEWS {
        assert!(met.contains(view), "no history leads to {view}");
    }
}

#[test]
fn corrections_of_every_kind_change_some_view() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let kind = |row: &Row| if let Row::Correction(made) = row { Some(made.change.kind()) } else { None };
    let mut runner = TestRunner::deterministic();
    let (mut met, mut told) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for _ in 0..300 {
        let history: History = history::corrected_histories().new_tree(&mut runner).unwrap().current();
        let rows = history.rows_at(history.batches.len() - 1);
        let content = oracle::content(&rows);
        let kinds: std::collections::BTreeSet<_> = rows.iter().filter_map(kind).collect();
        for of in kinds.difference(&told.clone()) {
            let without: Vec<Row> = rows.iter().filter(|row| kind(row) != Some(*of)).cloned().collect();
            if oracle::content(&without) != content {
                told.insert(*of);
            }
        }
        met.extend(kinds);
    }
    assert_eq!(met.len(), 15, "{met:?}");
    assert_eq!(told, met);
}
