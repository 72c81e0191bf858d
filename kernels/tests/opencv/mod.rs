//! OpenCV, run by `tests/python/opencv_features.py`, and what both are given.

use std::{ffi::OsStr, path::Path, process::Command};

use serde_json::Value;

#[path = "../../../tests/python/mod.rs"]
mod python;

/// What the script answers to a command; none, which is said, where Python lacks OpenCV.
pub fn opencv<S: AsRef<OsStr>>(command: &str, arguments: impl IntoIterator<Item = S>) -> Option<Value> {
    let python = python::python("cv2, numpy")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/opencv_features.py");
    let output = Command::new(python).arg(script).arg(command).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
