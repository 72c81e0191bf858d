//! Readings a second into `visits` and into every view, and movements a second into `market`; beside plain loops over the
//! same rows, and beside what raw differential takes to count them.
//!
//! `cargo bench -p larder-pipelines --bench dataflow`
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    hint::black_box,
    time::Duration,
};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use differential_dataflow::{ExchangeData, input::InputSession, operators::CountTotal};
use larder_operators::{Rows, visits};
use larder_pipelines::{Inputs, Sessions, views};
use larder_records::{
    Appliance, ApplianceId, DeclaredMovement, HouseholdId, Modality, Name, ProductId, Reading, Reason, SensorId, Time,
};
use timely::dataflow::ProbeHandle;

/// Rows an epoch.
const BATCH: usize = 10_000;

/// One appliance's hours: temperature, weight and power every second, the door opened every twenty minutes.
fn telemetry(hours: i64) -> Vec<Reading> {
    let appliance = ApplianceId::of("fridge");
    let sensors = [(Modality::Temperature, "air"), (Modality::Weight, "scale"), (Modality::Power, "plug")];
    let sensors = sensors.map(|(modality, name)| (modality, SensorId::of(name)));
    let reading = |(modality, sensor), second: i64, value| Reading {
        appliance,
        sensor,
        modality,
        time: Time(1_700_000_000_000_000 + second * Time::SECOND),
        sequence: second as u32,
        value,
    };
    let door = (Modality::Door, SensorId::of("door"));
    (0..hours * 3600)
        .flat_map(|second| {
            let door = match second % 1200 {
                0 => Some(reading(door, second, 1)),
                30 => Some(reading(door, second, 0)),
                _ => None,
            };
            sensors.map(|sensor| reading(sensor, second, second * 7 % 1000)).into_iter().chain(door)
        })
        .collect()
}

fn purchases(count: usize) -> Vec<DeclaredMovement> {
    (0..count as u64)
        .map(|n| DeclaredMovement {
            appliance: ApplianceId(Name(n / 5 % 100)),
            time: Time(1_700_000_000_000_000 + n as i64 / 5 * 20 * Time::MINUTE),
            id: Name(n + 1),
            source: Name::default(),
            product: ProductId(Name(n.wrapping_mul(2_654_435_761) % 1000 + 1)),
            quantity: 1 + n as i64 % 2,
            group: Name(n / 5 + 1),
            reason: Reason::Bought,
            cents: 199,
        })
        .collect()
}

fn homes() -> Vec<Appliance> {
    let home = |n| Appliance::new(ApplianceId(Name(n)), HouseholdId(Name(n)), Name::of("pantry"));
    (0..100).map(home).collect()
}

/// Feeds rows batch by batch through a dataflow on one worker, to the end; the homes are there from the beginning.
fn feed<R: ExchangeData + Send + Sync>(
    rows: Vec<R>,
    build: impl FnOnce(Rows<'_, Appliance>, Rows<'_, R>, &ProbeHandle<u64>) + Send + Sync + 'static,
) {
    timely::execute_directly(move |worker| {
        let probe = ProbeHandle::new();
        let (mut input, mut appliances) = (InputSession::new(), InputSession::new());
        worker.dataflow::<u64, _, _>(|scope| {
            let (rows, homes) = (input.to_collection(scope), appliances.to_collection(scope));
            build(homes, rows, &probe);
        });
        homes().into_iter().for_each(|home| appliances.insert(home));
        appliances.close();
        let mut rows = rows.into_iter().peekable();
        for epoch in 1.. {
            if rows.peek().is_none() {
                break;
            }
            rows.by_ref().take(BATCH).for_each(|row| input.insert(row));
            input.advance_to(epoch);
            input.flush();
            worker.step_while(|| probe.less_than(&epoch));
        }
    });
}

fn telemetry_into_views(c: &mut Criterion) {
    let rows = telemetry(24);
    let mut group = c.benchmark_group("readings");
    group.sample_size(10).measurement_time(Duration::from_secs(8)).throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("plain loop into visits", |b| {
        b.iter_batched(
            || rows.clone(),
            |mut rows| {
                rows.retain(|r| r.modality == Modality::Door);
                rows.sort_unstable();
                rows.dedup();
                let (mut open, mut found) = (None, Vec::new());
                for r in rows {
                    match (open, r.value != 0) {
                        (None, true) => open = Some(r.time),
                        (Some(opened), false) => {
                            found.push((opened, r.time));
                            open = None;
                        }
                        _ => {}
                    }
                }
                black_box(found)
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("raw differential, count_total of all", |b| {
        let run = |rows| feed(rows, |_, rows, probe| drop(rows.count_total().probe_with(probe)));
        b.iter_batched(|| rows.clone(), run, BatchSize::LargeInput);
    });
    group.bench_function("visits", |b| {
        let run = |rows| feed(rows, |_, rows, probe| drop(visits(rows).probe_with(probe)));
        b.iter_batched(|| rows.clone(), run, BatchSize::LargeInput);
    });
    group.bench_function("every view", |b| {
        let run = |rows| {
            feed(rows, |appliances, readings, probe| {
                // ends with this scope: nothing comes by it
                let mut nothing = Sessions::default();
                let scope = readings.scope();
                let out = views(Inputs { appliances, readings, ..nothing.inputs(scope) });
                out.visits.probe_with(probe);
                out.food_state.probe_with(probe);
                out.movements.probe_with(probe);
            });
        };
        b.iter_batched(|| rows.clone(), run, BatchSize::LargeInput);
    });
    group.finish();
}

fn movements_into_market(c: &mut Criterion) {
    let rows = purchases(100_000);
    let mut group = c.benchmark_group("movements");
    group.sample_size(10).measurement_time(Duration::from_secs(8)).throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("plain loop into market", |b| {
        b.iter(|| {
            type Cell = ([i64; 2], BTreeSet<ApplianceId>);
            let mut cells: BTreeMap<(i64, ProductId), Cell> = BTreeMap::new();
            for row in &rows {
                let week = (row.time.0.div_euclid(Time::DAY) + 3).div_euclid(7);
                let cell = cells.entry((week, row.product)).or_default();
                cell.0[0] += row.quantity;
                cell.0[1] += row.cents;
                cell.1.insert(row.appliance);
            }
            cells.retain(|_, cell| cell.1.len() >= 5);
            black_box(cells)
        });
    });
    group.bench_function("raw differential, count_total by week and product", |b| {
        let run = |rows| {
            feed(rows, |_, rows: Rows<'_, DeclaredMovement>, probe| {
                let week = |time: Time| (time.0.div_euclid(Time::DAY) + 3).div_euclid(7);
                rows.explode(move |m| [((week(m.time), m.product), m.quantity as isize)])
                    .count_total()
                    .probe_with(probe);
            });
        };
        b.iter_batched(|| rows.clone(), run, BatchSize::LargeInput);
    });
    group.bench_function("market", |b| {
        let run = |rows| {
            feed(rows, |appliances, declared: Rows<'_, DeclaredMovement>, probe| {
                // ends with this scope: nothing comes by it
                let mut nothing = Sessions::default();
                let scope = declared.scope();
                let out = views(Inputs { appliances, declared, ..nothing.inputs(scope) });
                out.market.probe_with(probe);
            });
        };
        b.iter_batched(|| rows.clone(), run, BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, telemetry_into_views, movements_into_market);
criterion_main!(benches);
