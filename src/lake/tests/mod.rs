/// Calls a function for every type of row that is a table's own.
macro_rules! for_each_plain_row {
    ($function:ident($($argument:expr),*)) => {
        $function::<Reading>($($argument),*);
        $function::<DeclaredMovement>($($argument),*);
        $function::<Product>($($argument),*);
        $function::<Appliance>($($argument),*);
        $function::<Correction>($($argument),*);
        $function::<DeadLetter>($($argument),*);
        $function::<Visit>($($argument),*);
        $function::<Movement>($($argument),*);
        $function::<Inventory>($($argument),*);
        $function::<InventoryInterval>($($argument),*);
        $function::<FoodState>($($argument),*);
        $function::<Behaviour>($($argument),*);
        $function::<ProductBehaviour>($($argument),*);
        $function::<PairBehaviour>($($argument),*);
        $function::<Market>($($argument),*);
        $function::<MarketPair>($($argument),*);
        $function::<ReviewItem>($($argument),*);
    };
}

mod crash;
mod dice;
mod epochs;
mod history;
mod keeping;
mod killed;
mod parts;
mod readers;

use std::collections::BTreeSet;

use larder_records::{views::*, *};
use tempfile::TempDir;

use self::dice::{Dice, Throw};
use super::*;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Distinct random rows in order.
fn set<R: Row + Throw>(dice: &mut Dice, rows: usize) -> Vec<R> {
    (0..rows).map(|_| dice.throw()).collect::<BTreeSet<R>>().into_iter().collect()
}

fn read_sorted<R: Row>(lake: &Lake) -> Vec<R> {
    let mut rows: Vec<R> = lake.read(&mut Names::default()).unwrap();
    rows.sort();
    rows
}

fn comes_back<R: Row + Throw + std::fmt::Debug>(lake: &Lake, dice: &mut Dice) {
    let rows: Vec<R> = set(dice, 40);
    if R::TABLE.feed {
        lake.apply(&dice.names, 1, rows.iter().map(|row| (row.clone(), 1)).collect()).unwrap();
    } else {
        lake.append(&dice.names, 1, &rows).unwrap();
    }
    let mut names = Names::default();
    let mut held: Vec<R> = lake.read(&mut names).unwrap();
    held.sort();
    assert_eq!(held, rows);
    // The texts come back too: written from them, the rows are the same.
    assert_eq!(R::write(&held, &names).unwrap(), R::write(&rows, &dice.names).unwrap());
}

/// Vision results, one a frame and fingerprint, in order.
fn results(dice: &mut Dice, many: usize) -> Vec<FrameResult> {
    let mut results: Vec<FrameResult> = set::<Result>(dice, many).into_iter().map(|result| result.0).collect();
    let mut seen = BTreeSet::new();
    results.retain(|result| seen.insert((result.key, result.fingerprint)));
    results
}

/// Lets [`set`] make vision results, which are rows of two tables.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Result(FrameResult);

impl Throw for Result {
    fn throw(dice: &mut Dice) -> Self {
        Self(dice.throw())
    }
}

impl Row for Result {
    const TABLE: TableSpec = FrameRow::TABLE;

    fn write(_: &[Self], _: &Names) -> std::result::Result<arrow::record_batch::RecordBatch, LakeError> {
        unreachable!("it is split first")
    }

    fn read(_: &arrow::record_batch::RecordBatch, _: &mut Names) -> std::result::Result<Vec<Self>, LakeError> {
        unreachable!("it is split first")
    }
}

#[test]
fn every_row_comes_back_as_it_was_also_after_reopening() {
    let dir = folder();
    let mut dice = Dice::new(1);
    let lake = Lake::open(dir.path()).unwrap();
    for_each_plain_row!(comes_back(&lake, &mut dice));
    let frames = results(&mut dice, 40);
    lake.append_frames(&dice.names, 1, &frames).unwrap();
    let visits: Vec<Visit> = read_sorted(&lake);
    let digest = lake.digest().unwrap();
    drop(lake);

    let lake = Lake::open(dir.path()).unwrap();
    assert_eq!(read_sorted::<Visit>(&lake), visits);
    let mut held = lake.read_frames(&mut Names::default()).unwrap();
    held.sort();
    assert_eq!(held, frames);
    assert_eq!(lake.digest().unwrap(), digest);
    assert_eq!((lake.last_epoch(), lake.epoch("visits"), lake.epoch("nothing")), (Some(1), Some(1), None));
    let info = lake.info().unwrap();
    assert_eq!(info.len(), 19);
    assert_eq!(info.iter().find(|table| table.table == "visits").unwrap().rows, visits.len() as u64);
}

/// Whether the section of a table in the documentation names each of its columns.
fn is_told<R: Row>() {
    let text = include_str!("../../../docs/lake.md");
    let heading = format!("\n### `{}`", R::TABLE.name);
    let (_, section) = text.split_once(&heading).unwrap_or_else(|| panic!("{heading} is missing"));
    let section = section.split("\n#").next().unwrap();
    for column in R::TABLE.columns {
        assert!(section.contains(&format!("`{}`", column.name)), "{heading} says nothing of {}", column.name);
    }
}

#[test]
fn the_documentation_tells_every_column() {
    for_each_plain_row!(is_told());
    is_told::<frames::FrameRow>();
    is_told::<frames::SightingRow>();
    is_told::<Shown>();
}

#[test]
fn the_digest_depends_on_the_rows_alone() {
    let (one, other) = (folder(), folder());
    let mut dice = Dice::new(2);
    let rows: Vec<Movement> = set(&mut dice, 60);
    let whole = Lake::open(one.path()).unwrap();
    whole.apply(&dice.names, 1, rows.iter().map(|row| (row.clone(), 1)).collect()).unwrap();
    let pieces = Lake::open(other.path()).unwrap();
    for (epoch, part) in rows.rchunks(7).enumerate() {
        pieces.apply(&dice.names, epoch as u64, part.iter().map(|row| (row.clone(), 1)).collect()).unwrap();
    }
    assert_eq!(whole.digest().unwrap(), pieces.digest().unwrap());
    pieces.apply(&dice.names, 99, vec![(rows[0].clone(), -1)]).unwrap();
    assert_ne!(whole.digest().unwrap(), pieces.digest().unwrap());
}

#[test]
fn a_folder_that_holds_something_else_is_no_lake() {
    let dir = folder();
    std::fs::write(dir.path().join("notes.txt"), "milk").unwrap();
    let error = Lake::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("notes.txt") && error.contains(dir.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_table_with_other_columns_is_refused() {
    let dir = folder();
    Lake::open(dir.path()).unwrap().apply::<Visit>(&Names::default(), 1, Vec::new()).unwrap();
    std::fs::rename(dir.path().join("visits"), dir.path().join("market")).unwrap();
    let error = Lake::open(dir.path()).err().unwrap();
    assert!(matches!(error, LakeError::OtherSchema { table: "market", .. }), "{error}");
}

#[test]
fn an_epoch_is_taken_once() {
    let dir = folder();
    let mut dice = Dice::new(3);
    let lake = Lake::open(dir.path()).unwrap();
    let rows: Vec<Reading> = set(&mut dice, 5);
    lake.append(&dice.names, 7, &rows).unwrap();
    let again = lake.append(&dice.names, 7, &rows);
    assert!(matches!(again, Err(LakeError::StaleEpoch { epoch: 7, held: 7, .. })), "{again:?}");
    assert_eq!(read_sorted::<Reading>(&lake), rows);
}

#[test]
fn a_row_that_is_not_there_cannot_be_withdrawn() {
    let dir = folder();
    let mut dice = Dice::new(4);
    let lake = Lake::open(dir.path()).unwrap();
    let rows: Vec<Visit> = set(&mut dice, 10);
    lake.apply(&dice.names, 1, rows[1..].iter().map(|row| (*row, 1)).collect()).unwrap();
    let refused = lake.apply(&dice.names, 2, vec![(rows[0], -1), (rows[1], -1)]);
    assert!(matches!(refused, Err(LakeError::Missing { table: "visits", rows: 1, .. })), "{refused:?}");
    assert_eq!(read_sorted::<Visit>(&lake), rows[1..]);
}

#[test]
fn a_name_without_a_text_is_refused() {
    let dir = folder();
    let lake = Lake::open(dir.path()).unwrap();
    let row = Dice::new(5).throw::<Visit>();
    let error = lake.append(&Names::default(), 1, &[row]).unwrap_err().to_string();
    assert!(error.contains("visits") && error.contains("appliance"), "{error}");
}
