//! Random histories: rows that come late, twice, and go again.

use std::collections::HashMap;

use larder_records::*;
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// A row of any input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    Reading(Reading),
    Frame(FrameResult),
    Product(Product),
    Appliance(Appliance),
    Declared(DeclaredMovement),
    Correction(Correction),
}

/// Batches of changes.
#[derive(Clone, Debug)]
pub struct History {
    pub batches: Vec<Vec<(Row, isize)>>,
}

impl History {
    /// The rows of each batch, where none goes again.
    pub fn rows_by_batch(&self) -> impl Iterator<Item = Vec<Row>> {
        self.batches.iter().map(|batch| batch.iter().map(|(row, _)| row.clone()).collect())
    }

    /// The rows that there are after batch `epoch`.
    pub fn rows_at(&self, epoch: usize) -> Vec<Row> {
        let mut counts: HashMap<&Row, isize> = HashMap::new();
        for (row, diff) in self.batches[..=epoch].iter().flatten() {
            *counts.entry(row).or_default() += diff;
        }
        let mut rows: Vec<Row> = counts.into_iter().filter(|(_, n)| *n > 0).map(|(row, _)| row.clone()).collect();
        rows.sort();
        rows
    }
}

/// Over what a history goes.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// The days on which most happens, from the first.
    days: i64,
    /// Ids that corrections share, less one.
    corrections: u64,
}

const SHORT: Extent = Extent { days: 1, corrections: 16 };
const LONG: Extent = Extent { days: 12, corrections: 400 };

fn appliance() -> impl Strategy<Value = ApplianceId> {
    prop_oneof![4 => Just("fridge"), 1 => Just("pantry")].prop_map(ApplianceId::of)
}

fn product() -> impl Strategy<Value = ProductId> {
    prop_oneof![Just("milk"), Just("eggs"), Just("ham")].prop_map(ProductId::of)
}

/// Mostly within two hours of the bounds of groups, now and then days off.
fn time(extent: Extent) -> impl Strategy<Value = Time> {
    let near = (0_i64..240).prop_map(|n| n * 30 * Time::SECOND);
    let usual = if extent.days == 1 { Just(0_i64).boxed() } else { (0..extent.days).boxed() };
    let day = prop_oneof![6 => usual, 1 => Just(1), 1 => Just(9)];
    (near, day, prop_oneof![5 => Just(0_i64), 1 => 0_i64..3])
        .prop_map(|(near, day, micros)| Time((1 << 50) - Time::HOUR + day * Time::DAY + near + micros))
}

fn reading(extent: Extent) -> impl Strategy<Value = Row> {
    let what = prop_oneof![
        4 => (Just(Modality::Door), prop_oneof![Just("left"), Just("right")], 0_i64..2),
        3 => (Just(Modality::Weight), prop_oneof![3 => Just("scale"), 1 => Just("scale 2")], (0_i64..4).prop_map(|n| n * 500)),
        1 => (Just(Modality::Temperature), Just("air"), 0_i64..9),
    ];
    (appliance(), what, time(extent), 0_u32..2).prop_map(|(appliance, (modality, sensor, value), time, sequence)| {
        Row::Reading(Reading { appliance, sensor: SensorId::of(sensor), modality, time, sequence, value })
    })
}

fn sighting() -> impl Strategy<Value = Sighting> {
    let candidates = vec((product(), (2_u32..10).prop_map(|n| n * 100_000)), 0..3);
    (candidates, 0_u16..5, 1_u16..4, proptest::option::of((1_u16..4).prop_map(|n| n * 100))).prop_map(
        |(candidates, column, width, depth_mm)| {
            let mut candidates: Vec<Candidate> =
                candidates.into_iter().map(|(product, score)| Candidate { product, score }).collect();
            candidates.sort_by_key(|c| (c.product, std::cmp::Reverse(c.score)));
            candidates.dedup_by_key(|c| c.product);
            candidates.sort_by_key(|c| (std::cmp::Reverse(c.score), c.product));
            Sighting {
                bounds: BoundingBox { left: column * 20, top: 10, right: column * 20 + width * 10, bottom: 40 },
                detection: PPM,
                candidates,
                classes: vec![],
                embedding: vec![],
                depth_mm,
                heat_ck: None,
            }
        },
    )
}

fn frame(extent: Extent) -> impl Strategy<Value = Row> {
    let sensor = prop_oneof![5 => Just("camera"), 2 => Just("camera 2")];
    let grid = (1_u16..4, 1_u16..3, vec((0_u16..5).prop_map(|n| n * 100), 6)).prop_map(|(columns, rows, mut cells)| {
        cells.truncate(usize::from(columns * rows));
        Grid { columns, rows, cells }
    });
    let modality = prop_oneof![
        7 => Just((Modality::Visible, None)),
        2 => grid.prop_map(|grid| (Modality::Depth, Some(grid))),
        1 => Just((Modality::Infrared, None)),
    ];
    // a fingerprint of its own for each, so that no two results of one frame and fingerprint differ
    ((appliance(), sensor, modality, time(extent)), 0_u128..2, any::<u128>(), vec(sighting(), 0..4)).prop_map(
        |((appliance, sensor, (modality, grid), time), hash, fingerprint, sightings)| {
            Row::Frame(FrameResult {
                key: FrameKey { appliance, sensor: SensorId::of(sensor), time, hash: Digest(hash) },
                modality,
                fingerprint: Digest(fingerprint),
                width: 120,
                height: 50,
                sightings,
                grid,
            })
        },
    )
}

fn record(extent: Extent) -> impl Strategy<Value = Row> {
    let name = |names: &'static [&'static str]| proptest::sample::select(names).prop_map(Name::of);
    let product = (product(), time(extent), name(&["dairy", ""]), name(&["farm", ""]), 0_i64..3, 0_u32..3).prop_map(
        |(id, as_of, category, brand, half_kilos, shelf_life_days)| {
            Row::Product(Product {
                id,
                as_of,
                name: Name::of("name"),
                category,
                brand,
                package_mg: half_kilos * 500,
                shelf_life_days,
            })
        },
    );
    let thresholds = ((3_u32..8).prop_map(|n| n * 100_000), (5_u32..10).prop_map(|n| n * 100_000), 0_u32..3);
    let home = (name(&["a", "b"]), name(&["north"]), name(&["", "Asia/Kolkata", "America/New_York", "nowhere"]));
    let appliance = (appliance(), time(extent), home, thresholds).prop_map(|(id, as_of, home, thresholds)| {
        Row::Appliance(Appliance {
            as_of,
            region: home.1,
            time_zone: home.2,
            min_score: thresholds.0,
            review_below: thresholds.1,
            min_households: thresholds.2,
            ..Appliance::new(id, HouseholdId(home.0), Name::of("fridge"))
        })
    });
    prop_oneof![product, appliance]
}

fn declared(extent: Extent) -> impl Strategy<Value = Row> {
    let reason = proptest::sample::select(&[Reason::Unspecified, Reason::Bought, Reason::Used, Reason::Wasted][..]);
    ((appliance(), product(), time(extent)), 0_u64..12, -2_i64..4, 0_u64..3, reason, 0_i64..300).prop_map(
        |((appliance, product, time), id, quantity, group, reason, cents)| {
            Row::Declared(DeclaredMovement {
                appliance,
                time,
                id: Name(id),
                source: Name::default(),
                product,
                quantity,
                group: Name(group),
                reason,
                cents,
            })
        },
    )
}

/// What is corrected; the rows that it speaks of are chosen from those that there are.
#[derive(Clone, Debug)]
enum Wrong {
    Picture(Index, Index, Vec<(BoundingBox, ProductId)>, u8),
    Movement(Index, ProductId, bool, bool),
    Count(Index, ProductId, i64),
    Product(ProductId, ProductFields),
    Merge(ProductId, ProductId),
    Remove(ProductId),
    Appliance(ApplianceId, ApplianceFields),
    Calibration(Index, Time, Time, i64, i64),
    Undo(u64),
    Restore(u64),
}

fn wrong(extent: Extent) -> impl Strategy<Value = Wrong> {
    let name =
        |names: &'static [&'static str]| proptest::option::of(proptest::sample::select(names).prop_map(Name::of));
    let boxes = (0_u16..5, 1_u16..4).prop_map(|(column, width)| BoundingBox {
        left: column * 20,
        top: 10,
        right: column * 20 + width * 10,
        bottom: 40,
    });
    let product_fields = (name(&["dairy", "meat"]), name(&["farm", "mill"]), proptest::option::of(0_i64..3)).prop_map(
        |(category, brand, half_kilos)| ProductFields {
            category,
            brand,
            package_mg: half_kilos.map(|n| n * 500),
            ..ProductFields::default()
        },
    );
    let appliance_fields = (
        name(&["a", "c"]),
        name(&["north", "south"]),
        proptest::option::of((3_u32..8).prop_map(|n| n * 100_000)),
        proptest::option::of(0_u32..3),
    )
        .prop_map(|(household, region, min_score, min_households)| ApplianceFields {
            household: household.map(HouseholdId),
            region,
            min_score,
            min_households,
            ..ApplianceFields::default()
        });
    prop_oneof![
        5 => (any::<Index>(), any::<Index>(), vec((boxes, product()), 3), 0_u8..7)
            .prop_map(|(frame, sighting, parts, kind)| Wrong::Picture(frame, sighting, parts, kind)),
        3 => (any::<Index>(), product(), any::<bool>(), any::<bool>()).prop_map(|(t, p, i, c)| Wrong::Movement(t, p, i, c)),
        3 => (any::<Index>(), product(), 0_i64..4).prop_map(|(t, p, n)| Wrong::Count(t, p, n)),
        2 => (product(), product_fields).prop_map(|(p, fields)| Wrong::Product(p, fields)),
        3 => (product(), product()).prop_map(|(p, into)| Wrong::Merge(p, into)),
        1 => product().prop_map(Wrong::Remove),
        2 => (appliance(), appliance_fields).prop_map(|(a, fields)| Wrong::Appliance(a, fields)),
        2 => (any::<Index>(), time(extent), time(extent), -1_i64..2, -3_i64..4).prop_map(|(s, f, u, o, k)| Wrong::Calibration(s, f, u, o, k)),
        4 => (1..extent.corrections).prop_map(Wrong::Undo),
        2 => (1..extent.corrections).prop_map(Wrong::Restore),
    ]
}

/// A correction of what is there; none where there is nothing of the kind.
fn correction(wrong: Wrong, there: &[Row]) -> Option<Change> {
    let frames: Vec<&FrameResult> =
        there.iter().filter_map(|row| if let Row::Frame(frame) = row { Some(frame) } else { None }).collect();
    let moments: Vec<(ApplianceId, Time)> = there
        .iter()
        .filter_map(|row| match row {
            Row::Reading(r) if r.modality == Modality::Door => Some((r.appliance, r.time)),
            Row::Declared(d) => Some((d.appliance, d.time)),
            _ => None,
        })
        .collect();
    let sensors: Vec<(ApplianceId, SensorId)> = there
        .iter()
        .filter_map(|row| match row {
            Row::Reading(r) => Some((r.appliance, r.sensor)),
            Row::Frame(f) => Some((f.key.appliance, f.key.sensor)),
            _ => None,
        })
        .collect();
    let moment = |at: Index| (!moments.is_empty()).then(|| moments[at.index(moments.len())]);
    Some(match wrong {
        Wrong::Picture(frame, sighting, parts, kind) => {
            let frame = *frames.get(frame.index(frames.len().max(1)))?;
            let seen = frame.sightings.get(sighting.index(frame.sightings.len().max(1)));
            let bounds = seen.map_or(parts[0].0, |seen| seen.bounds);
            let product = parts[0].1;
            let amendment = match kind {
                0 | 1 => Amendment::Relabel { bounds, product },
                2 => Amendment::Relabel { bounds: parts[1].0, product },
                3 => Amendment::Reject { bounds },
                4 => Amendment::Split { bounds, parts: parts[1..].to_vec() },
                5 => Amendment::Join { bounds: vec![bounds, parts[1].0, parts[2].0], product },
                _ => Amendment::Add { bounds: parts[1].0, product },
            };
            Change::Picture { frame: frame.key, amendment }
        }
        Wrong::Movement(at, product, goes_in, confirmed) => {
            let (appliance, time) = moment(at)?;
            let kind = if goes_in { views::MovementKind::In } else { views::MovementKind::Out };
            Change::Movement { movement: MovementKey { appliance, time, product, kind }, confirmed }
        }
        Wrong::Count(at, product, count) => {
            let (appliance, at) = moment(at)?;
            Change::Count { appliance, product, at, count }
        }
        Wrong::Product(product, fields) => Change::Product { product, fields },
        Wrong::Merge(product, into) => Change::Merge { product, into },
        Wrong::Remove(product) => Change::Remove { product },
        Wrong::Appliance(appliance, fields) => Change::Appliance { appliance, fields },
        Wrong::Calibration(sensor, from, until, offset, skew) => {
            let (appliance, sensor) = *sensors.get(sensor.index(sensors.len().max(1)))?;
            let (from, until) = (from.min(until), from.max(until));
            Change::Calibration { appliance, sensor, from, until, offset: offset * 500, skew: skew * 10 * Time::MINUTE }
        }
        Wrong::Undo(id) => Change::Undo { correction: Name(id) },
        Wrong::Restore(id) => Change::Restore { correction: Name(id) },
    })
}

/// A row that comes, again or for the first time, or goes.
#[derive(Clone, Debug)]
enum Step {
    Insert(Row),
    Correct(u64, i64, Wrong),
    Repeat(Index),
    Retract(Index),
}

fn step(extent: Extent, corrected: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => reading(extent).prop_map(Step::Insert),
        6 => frame(extent).prop_map(Step::Insert),
        2 => record(extent).prop_map(Step::Insert),
        3 => declared(extent).prop_map(Step::Insert),
        corrected => (1..extent.corrections, 0_i64..6, wrong(extent))
            .prop_map(|(id, time, wrong)| Step::Correct(id, time, wrong)),
        1 => any::<Index>().prop_map(Step::Repeat),
        3 => any::<Index>().prop_map(Step::Retract),
    ]
}

/// Histories of up to six batches in which rows come and go.
pub fn histories() -> impl Strategy<Value = History> {
    of_steps(0, true)
}

/// Histories of up to six batches of events and corrections: nothing goes.
pub fn corrected_histories() -> impl Strategy<Value = History> {
    of_steps(6, false)
}

/// The history by `seed` of `batches` batches of events and corrections, of 1 to 1,000 rows, most of them of few.
pub fn long_history(seed: u64, batches: usize) -> History {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let size = prop_oneof![300 => 1_usize..4, 180 => 4_usize..30, 12 => 30_usize..200, 1 => 200_usize..=1_000];
    let step = step(LONG, 6);
    let mut there = Vec::new();
    let batches = (0..batches).map(|_| {
        let size = size.new_tree(&mut runner).unwrap().current();
        let steps = (0..size).map(|_| step.new_tree(&mut runner).unwrap().current());
        told(steps, false, &mut there)
    });
    History { batches: batches.collect() }
}

fn of_steps(corrected: u32, retracts: bool) -> impl Strategy<Value = History> {
    vec(vec(step(SHORT, corrected), 0..50), 1..6).prop_map(move |batches| {
        let mut there = Vec::new();
        History { batches: batches.into_iter().map(|steps| told(steps, retracts, &mut there)).collect() }
    })
}

/// The changes that `steps` come to where `there` is what came before.
fn told(steps: impl IntoIterator<Item = Step>, retracts: bool, there: &mut Vec<Row>) -> Vec<(Row, isize)> {
    let mut batch = Vec::new();
    for step in steps {
        let row = match step {
            Step::Insert(row) => row,
            Step::Correct(id, time, wrong) => {
                let Some(change) = correction(wrong, there) else { continue };
                let (time, none) = (Time(time), Name::default());
                Row::Correction(Correction { time, id: Name(id), author: none, reason: none, change })
            }
            Step::Repeat(of) if !there.is_empty() => there[of.index(there.len())].clone(),
            Step::Retract(of) if retracts && !there.is_empty() => {
                batch.push((there.swap_remove(of.index(there.len())), -1));
                continue;
            }
            _ => continue,
        };
        there.push(row.clone());
        batch.push((row, 1));
    }
    batch
}
