//! The law by force: long histories, compared over and over with a run from nothing and with plain loops.

use std::time::{Duration, Instant};

use crate::{VIEWS, all_taken_in, history, of_view, oracle, run, run_every, taken_in};
use larder_pipelines::Intake;

/// Batches from one comparison to the next.
const EVERY: usize = 10;

/// Runs the history by `seed` of so many batches; how many comparisons were made, and how many rows came.
fn hold(seed: u64, batches: usize) -> (usize, usize) {
    let history = history::long_history(seed, batches);
    let rows = history.batches.iter().map(Vec::len).sum();
    let workers = 1 + (seed % 3) as usize;
    let mut intake = Intake::default();
    let taken = history.batches.iter().map(|batch| taken_in(&mut intake, batch.iter().map(|(row, _)| row.clone())));
    let incremental = run_every(EVERY, workers, taken.collect());
    for (number, content) in incremental.iter().enumerate() {
        let epoch = (number + 1) * EVERY - 1;
        let rows = history.rows_at(epoch);
        let expected = oracle::content(&rows);
        let fresh = run(1, all_taken_in([rows])).pop().unwrap();
        for view in VIEWS {
            let told = of_view(content, view);
            let at = format!("{view} at epoch {epoch} of the history by seed {seed}");
            assert_eq!(told, of_view(&fresh, view), "{at}, beside a run from nothing");
            assert_eq!(told, of_view(&expected, view), "{at}, beside plain loops");
        }
    }
    (incremental.len(), rows)
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
