//! The law by force: long histories, compared over and over with a run from nothing and with plain loops.

use std::time::{Duration, Instant};

use crate::{
    VIEWS, all_taken_in,
    history::{self, History, Row},
    of_view, oracle, run, run_every,
};

/// Batches from one comparison to the next.
const EVERY: usize = 10;

/// Runs the history by `seed` of so many batches; how many comparisons were made, and how many rows came.
fn hold(seed: u64, batches: usize) -> (usize, usize) {
    let history = history::long_history(seed, batches);
    let rows = history.batches.iter().map(Vec::len).sum();
    let workers = 1 + (seed % 3) as usize;
    let incremental = run_every(EVERY, workers, all_taken_in(history.rows_by_batch()));
    for (number, content) in incremental.iter().enumerate() {
        let epoch = (number + 1) * EVERY - 1;
        let rows = history.rows_at(epoch);
        let expected = oracle::content(&rows);
        let fresh = run(1, all_taken_in([rows])).pop().unwrap();
        if *content != fresh {
            let few = smallest(history.batches[..=epoch].to_vec(), workers);
            println!("on {workers} workers it takes no more than");
            few.iter().for_each(|batch| println!("  a batch of {batch:#?}"));
        }
        for view in VIEWS {
            let told = of_view(content, view);
            let at = format!("{view} at epoch {epoch} of the history by seed {seed}");
            assert_eq!(told, of_view(&fresh, view), "{at}, beside a run from nothing");
            assert_eq!(told, of_view(&expected, view), "{at}, beside plain loops");
        }
    }
    (incremental.len(), rows)
}

/// Leaves out of `batches` what is not needed for them to end elsewhere than a run from nothing does.
fn smallest(mut batches: Vec<Vec<(Row, isize)>>, workers: usize) -> Vec<Vec<(Row, isize)>> {
    let differs = |batches: &[Vec<(Row, isize)>]| {
        let history = History { batches: batches.to_vec() };
        let fresh = run(1, all_taken_in([history.rows_at(batches.len() - 1)])).pop();
        run_every(batches.len(), workers, all_taken_in(history.rows_by_batch())).pop() != fresh
    };
    let mut size = batches.iter().map(Vec::len).sum::<usize>().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < batches.iter().map(Vec::len).sum() {
            let mut place = 0..;
            let without: Vec<Vec<_>> = batches
                .iter()
                .map(|batch| {
                    let kept = batch.iter().zip(&mut place).filter(|(_, place)| !(at..at + size).contains(place));
                    kept.map(|(row, _)| row.clone()).collect()
                })
                .filter(|batch: &Vec<_>| !batch.is_empty())
                .collect();
            if !without.is_empty() && differs(&without) { batches = without } else { at += size }
        }
        size /= 2;
    }
    batches
}

#[test]
fn thousands_of_steps_leave_every_view_as_a_run_from_nothing_and_plain_loops_have_it() {
    let first = std::env::var("LARDER_LAW_SEED").map_or(1, |seed| seed.parse().unwrap());
    for seed in first..first + 8 {
        let (comparisons, rows) = hold(seed, 250);
        println!("seed {seed}: 250 batches, {rows} rows, {comparisons} comparisons");
    }
}

#[test]
#[ignore = "goes on for LARDER_LAW_MINUTES, 60 if not said"]
fn histories_hold_for_an_hour() {
    let minutes = std::env::var("LARDER_LAW_MINUTES").map_or(60, |minutes| minutes.parse().unwrap());
    let first = std::env::var("LARDER_LAW_SEED").map_or(1_000, |seed| seed.parse().unwrap());
    let began = Instant::now();
    let (mut all_comparisons, mut all_rows) = (0, 0);
    for seed in first.. {
        if began.elapsed() >= Duration::from_secs(60 * minutes) {
            println!("seeds {first} to {}: {all_rows} rows, {all_comparisons} comparisons", seed - 1);
            return;
        }
        let (comparisons, rows) = hold(seed, 400);
        (all_comparisons, all_rows) = (all_comparisons + comparisons, all_rows + rows);
        println!("seed {seed}: {rows} rows, {comparisons} comparisons, {} s", began.elapsed().as_secs());
    }
}
