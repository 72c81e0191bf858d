//! The ledger of epochs.

use std::time::Duration;

use super::{keeping::read_at, *};

fn shown(lake: &Lake) -> Vec<Shown> {
    read_sorted(lake)
}

#[test]
fn the_ledger_names_versions_that_show_one_epoch_whatever_came_since() {
    let dir = folder();
    let mut dice = Dice::new(51);
    let lake = Lake::open(dir.path()).unwrap();
    let (visits, stock): (Vec<Visit>, Vec<Inventory>) = (set(&mut dice, 40), set(&mut dice, 40));
    let mut expected = Vec::new();
    for epoch in 0..40 {
        let n = epoch as usize;
        lake.apply(&dice.names, epoch, vec![(visits[n], 1)]).unwrap();
        // the other table changes at some epochs only
        if epoch % 3 == 0 {
            lake.apply(&dice.names, epoch, vec![(stock[n], 1)]).unwrap();
        }
        assert!(lake.show(epoch).unwrap());
        assert!(!lake.show(epoch + 1).unwrap(), "nothing changed since");
        expected.push((visits[..=n].to_vec(), (0..=n).step_by(3).map(|n| stock[n]).collect::<Vec<_>>()));
    }
    let told = shown(&Lake::open(dir.path()).unwrap());
    assert_eq!(told.iter().map(|row| row.epoch).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
    for (row, (mut visits, mut stock)) in told.iter().zip(expected) {
        let version = |name: &str| row.tables.iter().find(|of| of.table == name).unwrap().version;
        visits.sort();
        stock.sort();
        assert_eq!(read_at::<Visit>(&lake, version("visits")), visits, "epoch {}", row.epoch);
        assert_eq!(read_at::<Inventory>(&lake, version("inventory")), stock, "epoch {}", row.epoch);
    }
}

#[test]
fn what_a_crash_left_unsaid_is_said_by_the_next_to_write() {
    let dir = folder();
    let mut dice = Dice::new(52);
    let lake = Lake::open(dir.path()).unwrap();
    let row: Visit = dice.throw();
    lake.apply(&dice.names, 4, vec![(row, 1)]).unwrap();
    drop(lake);
    let lake = Lake::open(dir.path()).unwrap();
    assert_eq!((shown(&lake), lake.last_epoch()), (Vec::new(), Some(4)));
    assert!(lake.show(5).unwrap());
    let told = shown(&lake);
    assert_eq!((told.len(), told[0].epoch, told[0].tables[0].table.as_str()), (1, 5, "visits"));
}

#[test]
fn epochs_that_no_reader_can_follow_are_forgotten_and_the_newest_never_is() {
    let dir = folder();
    let mut dice = Dice::new(53);
    let lake = Lake::open(dir.path()).unwrap();
    for epoch in 0..10 {
        let row = dice.throw::<Visit>();
        lake.apply(&dice.names, epoch + 100, vec![(row, 1)]).unwrap();
        lake.show(epoch + 100).unwrap();
    }
    std::thread::sleep(Duration::from_millis(30));
    lake.vacuum(Some(Duration::from_hours(1)), false).unwrap();
    assert_eq!(shown(&lake).len(), 10);
    lake.vacuum(Some(Duration::ZERO), true).unwrap();
    assert_eq!(shown(&lake).len(), 10, "a dry run forgets nothing");
    lake.vacuum(Some(Duration::ZERO), false).unwrap();
    let told = shown(&lake);
    assert_eq!(told.iter().map(|row| row.epoch).collect::<Vec<_>>(), [109]);
    let version = told[0].tables.iter().find(|of| of.table == "visits").unwrap().version;
    assert_eq!(read_at::<Visit>(&lake, version).len(), 10);
    // the ledger goes on
    let row = dice.throw::<Visit>();
    lake.apply(&dice.names, 201, vec![(row, 1)]).unwrap();
    assert!(lake.show(201).unwrap());
    assert_eq!(shown(&lake).last().unwrap().epoch, 201);
}
