//! The law: every view at every epoch is what its rows' set of inputs says, however those came.
#![allow(clippy::unwrap_used, clippy::type_complexity, for_loops_over_fallibles, missing_docs)]

mod history;
mod oracle;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use differential_dataflow::input::InputSession;
use history::{History, Row};
use larder_pipelines::{Inputs, views};
use proptest::prelude::*;
use timely::dataflow::ProbeHandle;

/// The rows of all views, each with how often it stands.
pub type Content = BTreeMap<(&'static str, String), isize>;

/// What the views hold after each of the batches.
fn run(workers: usize, batches: &[Vec<(Row, isize)>]) -> Vec<Content> {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let (into, input) = (changes.clone(), batches.to_vec());
    timely::execute(timely::Config::process(workers), move |worker| {
        let probe = ProbeHandle::new();
        let mut readings = InputSession::new();
        let mut frames = InputSession::new();
        let mut products = InputSession::new();
        let mut appliances = InputSession::new();
        let mut declared = InputSession::new();
        let mut reviews = InputSession::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let out = views(Inputs {
                readings: readings.to_collection(scope),
                frames: frames.to_collection(scope),
                products: products.to_collection(scope),
                appliances: appliances.to_collection(scope),
                declared: declared.to_collection(scope),
                reviews: reviews.to_collection(scope),
            });
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
        for (epoch, batch) in input.iter().enumerate() {
            for (n, (row, diff)) in batch.iter().enumerate() {
                if n % worker.peers() != worker.index() {
                    continue;
                }
                match row.clone() {
                    Row::Reading(row) => readings.update(row, *diff),
                    Row::Frame(row) => frames.update(row, *diff),
                    Row::Product(row) => products.update(row, *diff),
                    Row::Appliance(row) => appliances.update(row, *diff),
                    Row::Declared(row) => declared.update(row, *diff),
                    Row::Review(row) => reviews.update(row, *diff),
                }
            }
            let next = epoch as u64 + 1;
            macro_rules! advance {
                ($($input:ident),*) => {$($input.advance_to(next); $input.flush();)*};
            }
            advance!(readings, frames, products, appliances, declared, reviews);
            worker.step_while(|| probe.less_than(&next));
        }
    })
    .unwrap()
    .join()
    .into_iter()
    .for_each(|worker| worker.unwrap());
    let changes = changes.lock().unwrap();
    let mut content = Content::new();
    (0..batches.len() as u64)
        .map(|epoch| {
            for (view, row, _, diff) in changes.iter().filter(|change| change.2 == epoch) {
                *content.entry((*view, row.clone())).or_default() += diff;
            }
            content.retain(|_, count| *count != 0);
            content.clone()
        })
        .collect()
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
        let incremental = run(1, &history.batches);
        for (epoch, content) in incremental.iter().enumerate() {
            let expected = oracle::content(&history.rows_at(epoch));
            for view in VIEWS {
                prop_assert_eq!(of_view(content, view), of_view(&expected, view), "{} at epoch {}", view, epoch);
            }
        }
    }

    #[test]
    fn order_batches_and_workers_change_nothing(history in history::histories(), workers in 1_usize..=3, size in 1_usize..60) {
        let incremental = run(workers, &history.batches).pop().unwrap();
        let mut rows = history.rows_at(history.batches.len() - 1);
        let fresh = run(1, &[rows.iter().map(|row| (row.clone(), 1)).collect()]).pop().unwrap();
        prop_assert_eq!(&incremental, &fresh);
        rows.reverse();
        let batches: Vec<Vec<_>> =
            rows.chunks(size).map(|rows| rows.iter().map(|row| (row.clone(), 1)).collect()).collect();
        if !batches.is_empty() {
            prop_assert_eq!(&run(workers, &batches).pop().unwrap(), &fresh);
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
