//! The lake as readers of other makers see it.

use std::process::Command;

use parquet::arrow::ArrowWriter;

use super::*;
use crate::python::python;

/// `larder-query`, where it was built into the same folder.
fn query_program() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.parent()?.parent()?.join("larder-query");
    if !beside.exists() {
        eprintln!("larder-query is not compared: it is not built");
    }
    beside.exists().then_some(beside)
}

/// Fills the table of `R` in several commits, with rows that go again, and writes what it should hold to `expected`.
fn fill<R: Row + Throw>(lake: &Lake, dice: &mut Dice, expected: &Path) {
    let mut rows: Vec<R> = set(dice, 60);
    for (epoch, part) in rows.chunks(20).enumerate() {
        lake.append(&dice.names, epoch as u64, part).unwrap();
    }
    if R::TABLE.feed {
        let gone: Vec<R> = rows.iter().step_by(7).cloned().collect();
        rows.retain(|row| !gone.contains(row));
        lake.apply(&dice.names, 9, gone.into_iter().map(|row| (row, -1)).collect()).unwrap();
    }
    expect::<R>(&rows, &dice.names, expected);
}

fn expect<R: Row>(rows: &[R], names: &Names, expected: &Path) {
    let batch = R::write(rows, names).unwrap();
    let file = fs::File::create(expected.join(format!("{}.parquet", R::TABLE.name))).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn other_readers_see_the_same_rows() {
    let Some(python) = python("deltalake, duckdb, duckdb_extensions, polars, pyarrow") else { return };
    let (dir, expected) = (folder(), folder());
    let mut dice = Dice::new(31);
    let lake = Lake::open(dir.path()).unwrap();
    for_each_plain_row!(fill(&lake, &mut dice, expected.path()));
    let frames = results(&mut dice, 40);
    lake.append_frames(&dice.names, 1, &frames).unwrap();
    let (rows, sightings): (Vec<_>, Vec<_>) = frames.iter().map(frames::split).unzip();
    expect(&rows, &dice.names, expected.path());
    expect(&sightings.concat(), &dice.names, expected.path());

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/lake_readers.py");
    let mut command = Command::new(python);
    command.arg(script).arg(dir.path()).arg(expected.path()).args(query_program());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().count() >= 3 * 19, "{said}");
}
