//! Telling files of a commit under way from those that a crash left.
//!
//! Neither is named by the log. Whoever writes files holds a lock until the commit that names them is in the log; the system
//! lets go of it when the process ends, however it ends.

use std::{fs::File, path::Path};

use super::error::{LakeError, io};

/// What is locked in a table's folder. Readers of Delta pass over names that begin so.
const LOCK: &str = ".staging";

/// As long as it lives, files may lie in the table's folder that no commit names yet.
#[derive(Debug)]
pub(super) struct Staging {
    _held: File,
}

impl Staging {
    /// Begins to write files of the table in `root`. Any number of commits may be under way at once.
    pub(super) fn begin(root: &Path) -> Result<Self, LakeError> {
        let file = open(root)?;
        file.lock_shared().map_err(io(&root.join(LOCK)))?;
        Ok(Self { _held: file })
    }
}

/// Waits until every commit to the table in `root` is done, or dead, that is under way now.
///
/// A file that was there before, and is named by no commit after, never will be.
pub(super) fn wait_for_commits_under_way(root: &Path) -> Result<(), LakeError> {
    let file = open(root)?;
    file.lock().map_err(io(&root.join(LOCK)))
}

fn open(root: &Path) -> Result<File, LakeError> {
    let path = root.join(LOCK);
    File::options().create(true).truncate(false).write(true).open(&path).map_err(io(&path))
}
