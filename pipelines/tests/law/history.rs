//! Random histories: rows that come late, twice, and go again.

use std::collections::HashMap;

use larder_records::*;
use proptest::{collection::vec, prelude::*, sample::Index};

/// A row of any input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    Reading(Reading),
    Frame(FrameResult),
    Product(Product),
    Appliance(Appliance),
    Declared(DeclaredMovement),
    Review(Review),
}

/// Batches of changes.
#[derive(Clone, Debug)]
pub struct History {
    pub batches: Vec<Vec<(Row, isize)>>,
}

impl History {
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

fn appliance() -> impl Strategy<Value = ApplianceId> {
    prop_oneof![4 => Just("fridge"), 1 => Just("pantry")].prop_map(ApplianceId::of)
}

fn product() -> impl Strategy<Value = ProductId> {
    prop_oneof![Just("milk"), Just("eggs"), Just("ham")].prop_map(ProductId::of)
}

/// Mostly within two hours of the bounds of groups, now and then days off.
fn time() -> impl Strategy<Value = Time> {
    let near = (0_i64..240).prop_map(|n| n * 30 * Time::SECOND);
    let day = prop_oneof![6 => Just(0_i64), 1 => Just(1), 1 => Just(9)];
    (near, day, prop_oneof![5 => Just(0_i64), 1 => 0_i64..3])
        .prop_map(|(near, day, micros)| Time((1 << 50) - Time::HOUR + day * Time::DAY + near + micros))
}

fn reading() -> impl Strategy<Value = Row> {
    let what = prop_oneof![
        4 => (Just(Modality::Door), prop_oneof![Just("left"), Just("right")], 0_i64..2),
        3 => (Just(Modality::Weight), prop_oneof![3 => Just("scale"), 1 => Just("scale 2")], (0_i64..4).prop_map(|n| n * 500)),
        1 => (Just(Modality::Temperature), Just("air"), 0_i64..9),
    ];
    (appliance(), what, time(), 0_u32..2).prop_map(|(appliance, (modality, sensor, value), time, sequence)| {
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

fn frame() -> impl Strategy<Value = Row> {
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
    ((appliance(), sensor, modality, time()), 0_u128..2, any::<u128>(), vec(sighting(), 0..4)).prop_map(
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

fn record() -> impl Strategy<Value = Row> {
    let name = |names: &'static [&'static str]| proptest::sample::select(names).prop_map(Name::of);
    let product = (product(), time(), name(&["dairy", ""]), name(&["farm", ""]), 0_i64..3, 0_u32..3).prop_map(
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
    let appliance = (appliance(), time(), home, thresholds).prop_map(|(id, as_of, home, thresholds)| {
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

fn declared() -> impl Strategy<Value = Row> {
    let reason = proptest::sample::select(&[Reason::Unspecified, Reason::Bought, Reason::Used, Reason::Wasted][..]);
    ((appliance(), product(), time()), 0_u64..12, -2_i64..4, 0_u64..3, reason, 0_i64..300).prop_map(
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

/// A row; reviews are of one of the frames.
#[derive(Clone, Debug)]
enum Step {
    Insert(Row),
    Review(Index, u16, Time, ReviewVerdict),
    Repeat(Index),
    Retract(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![Just(ReviewVerdict::Reject), product().prop_map(ReviewVerdict::Product)];
    prop_oneof![
        8 => reading().prop_map(Step::Insert),
        6 => frame().prop_map(Step::Insert),
        2 => record().prop_map(Step::Insert),
        3 => declared().prop_map(Step::Insert),
        1 => (any::<Index>(), 0_u16..3, time(), verdict).prop_map(|(f, i, t, v)| Step::Review(f, i, t, v)),
        1 => any::<Index>().prop_map(Step::Repeat),
        3 => any::<Index>().prop_map(Step::Retract),
    ]
}

/// Histories of up to six batches.
pub fn histories() -> impl Strategy<Value = History> {
    vec(vec(step(), 0..50), 1..6).prop_map(|batches| {
        let mut there: Vec<Row> = Vec::new();
        let mut frames: Vec<FrameKey> = Vec::new();
        let batches = batches.into_iter().map(|steps| {
            let mut batch = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(row) => {
                        if let Row::Frame(frame) = &row {
                            frames.push(frame.key);
                        }
                        there.push(row.clone());
                        batch.push((row, 1));
                    }
                    Step::Review(frame, index, time, verdict) if !frames.is_empty() => {
                        let sighting = SightingKey { frame: frames[frame.index(frames.len())], index };
                        let row = Row::Review(Review { sighting, time, verdict });
                        there.push(row.clone());
                        batch.push((row, 1));
                    }
                    Step::Repeat(of) if !there.is_empty() => {
                        let row = there[of.index(there.len())].clone();
                        there.push(row.clone());
                        batch.push((row, 1));
                    }
                    Step::Retract(of) if !there.is_empty() => {
                        batch.push((there.swap_remove(of.index(there.len())), -1))
                    }
                    _ => {}
                }
            }
            batch
        });
        History { batches: batches.collect() }
    })
}
