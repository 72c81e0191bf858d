//! Waiting for what other processes do.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long a process may take for what is done at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `there` is.
pub fn wait(what: &str, there: impl FnMut() -> bool) {
    assert!(came(Duration::from_secs(300), there), "in five minutes there was no {what}");
}

/// Waits until `there` is, or so long; whether it came to be.
pub fn came(patience: Duration, mut there: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !there() {
        if began.elapsed() > patience {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}
