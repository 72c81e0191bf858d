//! Whatever driver a machine has, the program finds the same features, says on what, and never panics.
#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

use larder_cuda_host::fake_driver;

/// A picture that is worth opening a GPU for.
fn picture(path: &Path) {
    let pixel = |x: u32, y: u32| {
        let shade = ((x / 37 * 53) ^ (y / 41 * 29)) as u8;
        image::Rgb([shade, shade / 2, 255 - shade])
    };
    image::RgbImage::from_fn(2500, 2100, pixel).save(path).unwrap();
}

/// What `larder features` says of the picture, and what it logs, with the driver in `driver`.
fn features(dir: &Path, driver: Option<&Path>, refused: &str) -> (serde_json::Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(["features", "--json", "-v", "--kind", "akaze", "--max", "50", "-o"]);
    command.arg(dir.join("drawn.png")).arg(dir.join("picture.png"));
    command.env("XDG_CACHE_HOME", dir).env("LARDER_CPU", refused).env_remove("LARDER_LOG");
    if let Some(driver) = driver {
        command.env("LD_LIBRARY_PATH", driver);
    }
    let output = command.output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    (serde_json::from_slice(&output.stdout).unwrap(), log)
}

#[test]
fn features_are_the_same_whatever_the_driver_and_the_log_tells_why_no_gpu_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("picture.png"));
    let (expected, log) = features(dir, Some(&fake_driver("working")), "1");
    assert!(!log.contains("local features"), "who refuses a GPU need not be told: {log}");
    assert_eq!(expected["found_on"], "CPU");
    assert_eq!(expected["pictures"][0]["points"].as_array().unwrap().len(), 50);
    for kind in ["old", "mismatched", "without_device", "empty", "incomplete"] {
        let (found, log) = features(dir, Some(&fake_driver(kind)), "0");
        assert_eq!(found, expected, "{kind}");
        let reasons = log.lines().filter(|line| line.contains("local features are found on the CPU")).count();
        assert_eq!(reasons, 1, "{kind}: {log}");
    }
    // Here all is there but what a driver does; and whatever this machine has.
    for driver in [Some(fake_driver("working")), None] {
        let (found, log) = features(dir, driver.as_deref(), "");
        assert_eq!(found["pictures"], expected["pictures"]);
        assert!(log.contains("local features are found on"), "{log}");
    }
}
