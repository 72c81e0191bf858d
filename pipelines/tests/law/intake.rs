//! What an intake hands on follows from the set of what it took in, not from the order.

use std::collections::BTreeMap;

use larder_pipelines::{Batch, Intake};
use larder_records::*;
use proptest::prelude::*;

/// What an intake has handed on in all: rows with how often they stand, those that cancel out left out.
fn standing<R: Ord + Clone>(changes: &[(R, isize)]) -> Vec<(R, isize)> {
    let mut sums = BTreeMap::new();
    for (row, diff) in changes {
        *sums.entry(row.clone()).or_insert(0) += diff;
    }
    sums.into_iter().filter(|(_, sum)| *sum != 0).collect()
}

/// Corrections of three products' movements, counts, records and fates, and undos of each other, under few ids.
fn corrections() -> impl Strategy<Value = Vec<Correction>> {
    let product = || proptest::sample::select(&["milk", "eggs", "ham"][..]).prop_map(ProductId::of);
    let id = || 0..6_u64;
    let movement = (product(), any::<bool>()).prop_map(|(product, confirmed)| {
        let kind = views::MovementKind::In;
        let movement = MovementKey { appliance: ApplianceId::of("a"), time: Time(1), product, kind };
        Change::Movement { movement, confirmed }
    });
    let count = (product(), 0..3_i64).prop_map(|(product, count)| {
        let appliance = ApplianceId::of("a");
        Change::Count { appliance, product, at: Time(1), count }
    });
    let fields = (product(), 0..3_i64).prop_map(|(product, grams)| {
        let fields = ProductFields { package_mg: Some(grams), ..ProductFields::default() };
        Change::Product { product, fields }
    });
    let change = prop_oneof![
        3 => movement,
        3 => count,
        1 => fields,
        3 => (product(), product()).prop_map(|(product, into)| Change::Merge { product, into }),
        1 => product().prop_map(|product| Change::Remove { product }),
        3 => id().prop_map(|id| Change::Undo { correction: Name(id) }),
        2 => id().prop_map(|id| Change::Restore { correction: Name(id) }),
    ];
    let correction = (id(), 0..5_i64, change).prop_map(|(id, time, change)| {
        let none = Name::default();
        Correction { time: Time(time), id: Name(id), author: none, reason: none, change }
    });
    prop::collection::vec(correction, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_handed_on_follows_from_the_set_of_corrections(corrections in corrections()) {
        let mut all = Batch::default();
        let mut intake = Intake::default();
        for until in 1..=corrections.len() {
            // what can never hold is refused, and changes nothing
            let _ = intake.correction(&corrections[until - 1]);
            let batch = intake.take_batch();
            all.verdicts.extend(batch.verdicts);
            all.counts.extend(batch.counts);
            all.stand_ins.extend(batch.stand_ins);
            all.products.extend(batch.products);

            let mut fresh = Intake::default();
            let mut sorted = corrections[..until].to_vec();
            sorted.sort();
            for correction in &sorted {
                let _ = fresh.correction(correction);
            }
            let fresh = fresh.take_batch();
            prop_assert_eq!(standing(&all.verdicts), standing(&fresh.verdicts), "verdicts after {}", until);
            prop_assert_eq!(standing(&all.counts), standing(&fresh.counts), "counts after {}", until);
            prop_assert_eq!(standing(&all.stand_ins), standing(&fresh.stand_ins), "stand-ins after {}", until);
            prop_assert_eq!(standing(&all.products), standing(&fresh.products), "products after {}", until);
        }
    }
}
