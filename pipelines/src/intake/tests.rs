use std::collections::HashSet;

use larder_records::{Amendment, BoundingBox, Digest, HouseholdId, Modality, SensorId};
use proptest::prelude::*;

use super::*;

fn reading(time: i64, value: i64) -> Reading {
    Reading {
        appliance: ApplianceId::of("a"),
        sensor: SensorId::of("door"),
        modality: Modality::Door,
        time: Time(time),
        sequence: 0,
        value,
    }
}

fn milk(as_of: i64, package_mg: i64) -> Product {
    Product {
        id: ProductId::of("milk"),
        as_of: Time(as_of),
        name: Name::of("Milk"),
        category: Name::default(),
        brand: Name::default(),
        package_mg,
        shelf_life_days: 7,
    }
}

fn made(id: &str, time: i64, change: Change) -> Correction {
    Correction { time: Time(time), id: Name::of(id), author: Name::default(), reason: Name::default(), change }
}

fn merge(product: &str, into: &str) -> Change {
    Change::Merge { product: ProductId::of(product), into: ProductId::of(into) }
}

fn undo(id: &str) -> Change {
    Change::Undo { correction: Name::of(id) }
}

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
        let kind = larder_records::views::MovementKind::In;
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

proptest! {
    #[test]
    fn each_reading_is_new_once_in_whatever_order(times in prop::collection::vec((0..20i64, 0..2i64), 0..200)) {
        let (mut intake, mut oracle) = (Intake::default(), HashSet::new());
        for (time, value) in times {
            let reading = reading(time * Time::HOUR / 4, value);
            prop_assert_eq!(intake.reading(&reading), oracle.insert(reading));
        }
    }

    #[test]
    fn the_latest_record_holds_in_whatever_order(records in prop::collection::vec((0..5i64, 0..5i64), 1..20)) {
        let mut intake = Intake::default();
        let mut holds = None;
        for (as_of, grams) in &records {
            match intake.product(&milk(*as_of, *grams)) {
                Replaced::No => {}
                Replaced::Yes(old) => {
                    prop_assert_eq!(&old, &holds);
                    holds = Some(milk(*as_of, *grams));
                }
            }
        }
        let latest = records.iter().max().map(|(as_of, grams)| milk(*as_of, *grams));
        prop_assert_eq!(&holds, &latest);
        let rows: Vec<_> = latest.into_iter().map(|row| (row, 1)).collect();
        prop_assert_eq!(standing(&intake.take_batch().products), rows);
    }
}

#[test]
fn what_is_undone_holds_no_more_and_what_is_restored_does_again() {
    let mut intake = Intake::default();
    let frame =
        FrameKey { appliance: ApplianceId::of("a"), sensor: SensorId::of("camera"), time: Time(1), hash: Digest(7) };
    let bounds = BoundingBox { left: 0, top: 0, right: 9, bottom: 9 };
    let change = Change::Picture { frame, amendment: Amendment::Reject { bounds } };
    let mut handed = Vec::new();
    let mut take = |correction: &Correction| {
        intake.correction(correction).unwrap();
        handed.extend(intake.take_batch().amendments);
        standing(&handed).len()
    };
    assert_eq!(take(&made("undo", 5, undo("it"))), 0, "an undo may come first");
    assert_eq!(take(&made("it", 1, change)), 0);
    assert_eq!(take(&made("restore", 6, Change::Restore { correction: Name::of("it") })), 1);
    assert_eq!(take(&made("undo late", 4, undo("it"))), 1, "an earlier undo changes nothing");
    assert_eq!(take(&made("undo again", 7, undo("it"))), 0);
    assert_eq!(take(&made("undo the undo", 8, undo("undo again"))), 0, "an undo cannot be undone");
}

#[test]
fn merged_products_are_what_they_end_up_as_and_circles_the_one_of_the_least_id() {
    let mut intake = Intake::default();
    let mut handed = Vec::new();
    let mut into = |intake: &mut Intake, correction: Correction, product: &str| {
        intake.correction(&correction).unwrap();
        handed.extend(intake.take_batch().stand_ins);
        let rows = standing(&handed);
        let row = rows.iter().find(|((id, _), _)| *id == ProductId::of(product));
        row.map(|((_, stand_in), count)| {
            assert_eq!(*count, 1);
            (stand_in.into, stand_in.package_mg)
        })
    };
    let id = |text: &str| Some(ProductId::of(text));
    intake.product(&milk(0, 1_000));
    assert_eq!(into(&mut intake, made("1", 1, merge("a", "b")), "a"), Some((id("b"), 0)));
    assert_eq!(into(&mut intake, made("2", 2, merge("b", "milk")), "a"), Some((id("milk"), 1_000)));
    intake.product(&milk(1, 2_000));
    assert_eq!(into(&mut intake, made("x", 3, merge("q", "r")), "a"), Some((id("milk"), 2_000)));
    let least = ["a", "b", "milk"].into_iter().map(ProductId::of).min();
    assert_eq!(into(&mut intake, made("3", 3, merge("milk", "a")), "b").unwrap().0, least);
    assert_eq!(into(&mut intake, made("4", 4, undo("2")), "a"), Some((id("b"), 0)));
    let gone = Change::Remove { product: ProductId::of("b") };
    assert_eq!(into(&mut intake, made("5", 5, gone), "a"), Some((None, 0)));
    assert_eq!(into(&mut intake, made("6", 6, undo("1")), "a"), None);
}

#[test]
fn a_merge_that_becomes_the_undo_of_what_it_moved_leaves_nothing_behind() {
    let mut intake = Intake::default();
    let (appliance, product) = (ApplianceId::of("a"), ProductId::of("milk"));
    let kind = larder_records::views::MovementKind::In;
    let movement = MovementKey { appliance, time: Time(1), product, kind };
    intake.correction(&made("verdict", 1, Change::Movement { movement, confirmed: false })).unwrap();
    intake.correction(&made("it", 2, merge("milk", "eggs"))).unwrap();
    let batch = intake.take_batch();
    let of_eggs = MovementKey { product: ProductId::of("eggs"), ..movement };
    assert_eq!(standing(&batch.verdicts), [((of_eggs, Verdict::Refused), 1)]);
    intake.correction(&made("it", 3, undo("verdict"))).unwrap();
    let then = intake.take_batch();
    assert_eq!(standing(&[batch.verdicts, then.verdicts].concat()), []);
    assert_eq!(standing(&[batch.stand_ins, then.stand_ins].concat()), []);
}

#[test]
fn what_cannot_hold_or_speaks_of_nothing_is_refused_with_its_reason() {
    let mut intake = Intake::default();
    intake.product(&milk(0, 0));
    intake.product(&Product { id: ProductId::of("eggs"), ..milk(0, 0) });
    let home = HouseholdId::of("home");
    intake.appliance(&Appliance::new(ApplianceId::of("a"), home, Name::of("fridge")));
    intake.correction(&made("merged", 1, merge("milk", "eggs"))).unwrap();
    let count = |appliance: &str, product: &str, count| Change::Count {
        appliance: ApplianceId::of(appliance),
        product: ProductId::of(product),
        at: Time(1),
        count,
    };
    let unknown = |product: &str| Refusal::UnknownProduct(ProductId::of(product));
    let gone = Refusal::Gone(ProductId::of("milk"));
    let cases = [
        (merge("milk", "milk"), Refusal::Bad(BadCorrection::MergedIntoItself)),
        (merge("milk", "ham"), unknown("ham")),
        (merge("eggs", "milk"), Refusal::Circle(ProductId::of("milk"))),
        (count("a", "eggs", -1), Refusal::Bad(BadCorrection::NegativeCount)),
        (count("a", "ham", 1), unknown("ham")),
        (count("a", "milk", 1), gone),
        (count("b", "eggs", 1), Refusal::UnknownAppliance),
        (undo("nothing"), Refusal::UnknownCorrection),
        (Change::Restore { correction: Name::of("merged") }, Refusal::Already("in force")),
    ];
    for (change, refusal) in cases {
        assert_eq!(intake.refusal(&made("new", 2, change.clone())), Some(refusal), "{change:?}");
    }
    assert_eq!(intake.refusal(&made("merged", 2, undo("merged"))), Some(Refusal::Bad(BadCorrection::OfItself)));
    assert_eq!(intake.refusal(&made("merged", 2, merge("eggs", "milk"))), Some(Refusal::IdTaken));
    intake.correction(&made("undo", 2, undo("merged"))).unwrap();
    assert_eq!(intake.refusal(&made("new", 3, undo("merged"))), Some(Refusal::Already("undone")));
    assert_eq!(intake.refusal(&made("new", 3, undo("undo"))), Some(Refusal::OfAnUndo));
    assert_eq!(intake.refusal(&made("new", 3, count("a", "milk", 1))), None);
}
