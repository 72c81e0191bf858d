//! Brute-force matching beside OpenCV's `BFMatcher`, in the same run.
//!
//! `LARDER_TEST_PYTHON=~/.cache/larder/venv/bin/python3 cargo bench -p larder-kernels --bench matching`
//!
//! A ratio is OpenCV's best time, on one thread, by ours, filling the trains included. Without OpenCV there are only our times. Every
//! instruction set that the machine has is measured; OpenCV uses the widest that it knows.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use larder_kernels::{
    matching::{HammingTrains, L2Trains},
    simd::{InstructionSet, limit, widest},
};
use noise::{binary, floats};
use opencv::opencv;
use rayon::ThreadPoolBuilder;

#[path = "../tests/noise/mod.rs"]
mod noise;
#[path = "../tests/opencv/mod.rs"]
mod opencv;

const COUNTS: [usize; 2] = [1000, 4000];

/// Runs `work` under criterion; the fastest run.
fn measure(
    c: &mut Criterion,
    id: BenchmarkId,
    pairs: usize,
    threads: usize,
    mut work: impl FnMut() + Send,
) -> Duration {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mut best = Duration::MAX;
    let mut group = c.benchmark_group("nearest2");
    group.sample_size(20).throughput(Throughput::Elements(pairs as u64));
    group.bench_function(id, |b| {
        b.iter_custom(|runs| {
            pool.install(|| {
                (0..runs)
                    .map(|_| {
                        let start = Instant::now();
                        work();
                        let spent = start.elapsed();
                        best = best.min(spent);
                        spent
                    })
                    .sum()
            })
        });
    });
    best
}

fn bench(c: &mut Criterion) {
    let theirs = opencv("time-nearest", std::iter::once(1).chain(COUNTS).map(|number| number.to_string()));
    let mut lines = Vec::new();
    let sets = InstructionSet::ALL.into_iter().filter(|&set| set <= widest());
    for ((place, count), set) in
        COUNTS.into_iter().enumerate().flat_map(|count| sets.clone().map(move |set| (count, set)))
    {
        limit(set);
        let mut alone = [None; 2];
        for threads in [1, 2] {
            let id = |kind: &str| BenchmarkId::new(kind, format!("{count}x{count}, {set:?}, {threads} threads"));
            let (queries, trains) = (binary(0, count), binary(count, count));
            let (mut held, mut out) = (HammingTrains::default(), Vec::new());
            let hamming = measure(c, id("hamming"), count * count, threads, || {
                held.fill(&trains);
                held.nearest2(&queries, threads, &mut out);
                black_box(&out);
            });
            let (queries, trains) = (floats(0, count), floats(count, count));
            let (mut held, mut out) = (L2Trains::default(), Vec::new());
            let l2 = measure(c, id("l2"), count * count, threads, || {
                held.fill(&trains);
                held.nearest2(&queries, threads, &mut out).unwrap();
                black_box(&out);
            });
            for ((kind, ours), alone) in [("hamming", hamming), ("l2", l2)].into_iter().zip(&mut alone) {
                let ours = ours.as_secs_f64();
                let mut line =
                    format!("{kind:8} {count} x {count}, {set:8?}, {threads} threads: {:8.3} ms", ours * 1e3);
                if let Some(theirs) = theirs.as_ref().and_then(|theirs| theirs[place][kind].as_f64()) {
                    line += &format!(", OpenCV {:8.3} ms: {:5.1} times", theirs * 1e3, theirs / ours);
                }
                if let Some(alone) = alone.replace(ours) {
                    line += &format!("; {:4.2} times one thread", alone / ours);
                }
                lines.push(line);
            }
        }
    }
    limit(widest());
    lines.iter().for_each(|line| println!("{line}"));
}

criterion_group!(benches, bench);
criterion_main!(benches);
