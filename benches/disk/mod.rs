//! What a lake takes on the disk.

use std::{fs, path::Path};

/// Files, and the bytes of all.
#[derive(Clone, Copy, Default)]
pub struct Disk {
    pub data: u64,
    pub log: u64,
    pub bytes: u64,
}

/// What lies in `dir` and below.
pub fn on_disk(dir: &Path) -> Disk {
    let mut disk = Disk::default();
    let is_log = dir.ends_with("_delta_log");
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        // the keeper may take it away meanwhile
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            let below = on_disk(&entry.path());
            disk.data += below.data;
            disk.log += below.log;
            disk.bytes += below.bytes;
        } else {
            disk.data += u64::from(!is_log);
            disk.log += u64::from(is_log);
            disk.bytes += metadata.len();
        }
    }
    disk
}
