//! Random histories of changes, against a plain multiset.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What the change feed of a table says that its versions after `after` did.
fn feed<R: Row>(lake: &Lake, after: Option<u64>) -> BTreeMap<R, isize> {
    let mut changes: BTreeMap<R, isize> = BTreeMap::new();
    for change in lake.history::<R>(&mut Names::default()).unwrap() {
        if after.is_none_or(|after| change.version > after) {
            *changes.entry(change.row).or_default() += if change.inserted { 1 } else { -1 };
        }
    }
    changes.retain(|_, times| *times != 0);
    changes
}

fn expanded<R: Row>(held: &BTreeMap<R, isize>) -> Vec<R> {
    held.iter().flat_map(|(row, times)| (0..*times).map(|_| row.clone())).collect()
}

/// Steps a table through random changes; `steps` is how many rows come and up to how many go in each.
fn follows<R: Row + Throw + std::fmt::Debug>(seed: u64, steps: &[(usize, usize)]) {
    let dir = folder();
    let mut dice = Dice::new(seed);
    let mut lake = Lake::open(dir.path()).unwrap();
    let mut held: BTreeMap<R, isize> = BTreeMap::new();
    for (epoch, (come, go)) in steps.iter().enumerate() {
        let mut net: BTreeMap<R, isize> = BTreeMap::new();
        for _ in 0..*come {
            *net.entry(dice.throw()).or_default() += 1;
        }
        for _ in 0..*go {
            let place = dice.below(held.len().max(1) as i64) as usize;
            let Some((row, times)) = held.iter().nth(place) else { continue };
            if times + net.get(row).copied().unwrap_or_default() > 0 {
                *net.entry(row.clone()).or_default() -= 1;
            }
        }
        net.retain(|_, times| *times != 0);
        // Changes come unconsolidated and in any order.
        let changes = net.iter().rev().flat_map(|(row, times)| [(row.clone(), times + 1), (row.clone(), -1)]).collect();
        let version = lake.tables.get(R::TABLE.name).map(|table| table.version());
        lake.apply(&dice.names, epoch as u64, changes).unwrap();

        for (row, times) in &net {
            *held.entry(row.clone()).or_default() += times;
        }
        held.retain(|_, times| *times != 0);
        assert_eq!(read_sorted::<R>(&lake), expanded(&held), "epoch {epoch}");
        if !net.is_empty() {
            assert_eq!(feed::<R>(&lake, version), net, "the change feed of epoch {epoch}");
        }
        if epoch % 5 == 4 {
            drop(lake);
            lake = Lake::open(dir.path()).unwrap();
            assert_eq!(read_sorted::<R>(&lake), expanded(&held), "reopened after epoch {epoch}");
        }
    }
    assert_eq!(feed::<R>(&lake, None), held, "the whole change feed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_partitioned_table_and_its_feed_follow_any_history(
        seed: u64,
        steps in prop::collection::vec((0_usize..12, 0_usize..8), 1..24),
    ) {
        follows::<Visit>(seed, &steps);
    }

    #[test]
    fn a_table_in_one_piece_and_its_feed_follow_any_history(
        seed: u64,
        steps in prop::collection::vec((0_usize..12, 0_usize..8), 1..24),
    ) {
        follows::<Inventory>(seed, &steps);
    }

    #[test]
    fn a_table_with_nulls_and_its_feed_follow_any_history(
        seed: u64,
        steps in prop::collection::vec((0_usize..6, 0_usize..6), 1..12),
    ) {
        follows::<Market>(seed, &steps);
        follows::<Movement>(seed, &steps);
    }
}

#[test]
fn many_small_commits_become_few_files() {
    let dir = folder();
    let mut dice = Dice::new(11);
    let lake = Lake::open(dir.path()).unwrap();
    let rows: Vec<Inventory> = set(&mut dice, 100);
    for (epoch, row) in rows.iter().enumerate() {
        lake.apply(&dice.names, epoch as u64, vec![(*row, 1)]).unwrap();
    }
    assert_eq!(read_sorted::<Inventory>(&lake), rows);
    let info = lake.info().unwrap();
    assert!(info[0].files < 30, "{info:?}");
    assert!(dir.path().join("inventory/_delta_log/_last_checkpoint").exists());
}

#[test]
fn only_files_that_hold_a_withdrawn_row_are_rewritten() {
    let dir = folder();
    let mut names = Names::default();
    let lake = Lake::open(dir.path()).unwrap();
    let mut visit = |appliance: &str, day: i64| Visit {
        appliance: ApplianceId(names.intern(appliance).unwrap()),
        sensor: SensorId(names.intern("door").unwrap()),
        opened: Time(day * Time::DAY),
        closed: None,
    };
    // Two files of one month, and one of another.
    let (a, b, c) = (visit("a", 0), visit("b", 0), visit("a", 40));
    for (epoch, row) in [a, b, c].into_iter().enumerate() {
        lake.apply(&names, epoch as u64, vec![(row, 1)]).unwrap();
    }
    let paths = |lake: &Lake| -> BTreeSet<PathBuf> {
        lake.tables
            .get("visits")
            .unwrap()
            .live(lake.engine())
            .unwrap()
            .files
            .into_iter()
            .map(|file| file.path)
            .collect()
    };
    let before = paths(&lake);
    lake.apply(&names, 9, vec![(a, -1), (Visit { closed: Some(Time(Time::HOUR)), ..a }, 1)]).unwrap();
    assert_eq!(before.intersection(&paths(&lake)).count(), 2);
}
