//! Real logs against DuckDB's recomputation from the raw files.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use larder::{
    engine::Plan,
    feeds::importers::{Doors, Importer, Movements, import},
};

use super::{python::python, run};

/// The folder of public data beside the project, and the Python that has DuckDB; none, with a message, where either is missing.
fn setting(data: &str) -> Option<(PathBuf, String)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(data);
    if !data.is_dir() {
        eprintln!("skipped: {} is absent", data.display());
        return None;
    }
    let python = python("deltalake, duckdb, duckdb_extensions")?;
    Some((data, python))
}

/// Imports `data`, replays it, and lets `tests/python/views_oracle.py` recompute the views of `what`.
fn check(what: &str, importer: &dyn Importer, (data, python): (PathBuf, String)) {
    let dir = tempfile::tempdir().unwrap();
    let (recording, lake) = (dir.path().join("recording.mcap"), dir.path().join("lake"));
    import(importer, &data, &recording, &mut ()).unwrap();
    run(&[recording], &lake, None, 2, Plan::default());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/views_oracle.py");
    let output = Command::new(python).arg(script).arg(what).arg(&data).arg(&lake).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprintln!("{out}");
    assert!(output.status.success(), "{out}{err}");
}

#[test]
fn visits_of_real_door_logs_equal_duckdbs() {
    if let Some(setting) = setting("smart_home/houses") {
        check("doors", &Doors::default(), setting);
    }
}

#[test]
fn market_of_real_receipts_equals_duckdbs() {
    if let Some(setting) = setting("complete_journey") {
        check("receipts", &Movements::default(), setting);
    }
}

#[test]
fn behaviour_of_real_narrations_equals_duckdbs() {
    if let Some(setting) = setting("epic_kitchens_55") {
        check("narrations", &Movements::default(), setting);
    }
}
