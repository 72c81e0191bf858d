//! The Python that has the programs of other makers, which tests compare with.

use std::process::Command;

/// A Python that can import all of `modules`: that which `LARDER_TEST_PYTHON` names, where it must have them, or the system's;
/// none, which is said, where that lacks them.
pub fn python(modules: &str) -> Option<String> {
    let named = std::env::var("LARDER_TEST_PYTHON").ok();
    let must = named.is_some();
    let python = named.unwrap_or_else(|| "python3".to_owned());
    let import = format!("import {modules}");
    let has = Command::new(&python).args(["-c", &import]).output().is_ok_and(|output| output.status.success());
    assert!(has || !must, "{python} lacks one of {modules}");
    if !has {
        eprintln!("skipped: {python} lacks one of {modules}; tests/run installs them");
    }
    has.then_some(python)
}
