//! Whatever the state of the NVIDIA driver, it is said in one line, and nothing panics.
#![allow(clippy::unwrap_used)]

use larder_cuda_host::fake_driver;
use larder_kernels::cuda::{
    Gpu,
    cache::NoStore,
    compile::Chip,
    driver::{Device, DriverError, probe},
};

fn error(kind: &str) -> DriverError {
    let error = probe(Some(&fake_driver(kind))).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    error
}

#[test]
fn what_is_wrong_with_a_driver_is_told_apart() {
    assert!(matches!(error("no_such_folder"), DriverError::Missing(_)));
    assert!(matches!(error("old"), DriverError::Old((12, 2))));
    assert!(matches!(error("mismatched"), DriverError::Broken { function: "cuInit", code: 803 }));
    assert!(matches!(error("without_device"), DriverError::NoDevice));
    assert!(matches!(error("empty"), DriverError::NoDevice));
    assert!(matches!(error("incomplete"), DriverError::Missing(_)));
    assert!(error("incomplete").to_string().contains("lacks cuDeviceGetName"));
}

#[test]
fn a_working_driver_tells_its_devices() {
    let driver = probe(Some(&fake_driver("working"))).unwrap();
    assert_eq!(driver.version, (13, 0));
    let device =
        |ordinal, name: &str, chip| Device { ordinal, name: name.to_owned(), chip, memory: 24 << 30, processors: 128 };
    let chips = [Chip { major: 8, minor: 9 }, Chip { major: 9, minor: 0 }];
    assert_eq!(driver.devices, [device(0, "First", chips[0]), device(1, "Second", chips[1])]);
}

#[test]
fn a_gpu_opens_or_says_why_not() {
    match Gpu::open(0, None, &NoStore) {
        Ok((gpu, _)) => assert!(!gpu.device().name.is_empty()),
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
}
