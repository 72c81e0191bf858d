//! What lies in a table's log: commits, checkpoints, and what never came to be.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use url::Url;

use super::{
    committer::is_waiting,
    error::{LakeError, io},
};

/// The folder of a table's log.
pub(super) const LOG: &str = "_delta_log";

/// The files of a log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// When each version was committed: as its file says, but later than the version before.
    pub(super) commits: BTreeMap<u64, SystemTime>,
    /// When each checkpoint was written.
    pub(super) checkpoints: BTreeMap<u64, SystemTime>,
    /// All files of a version, with that version.
    pub(super) numbered: Vec<(u64, PathBuf)>,
    /// Commits that are not in the log yet, or never came to be.
    pub(super) waiting: Vec<PathBuf>,
}

impl Log {
    /// The log of the table in `root`; an empty one where there is none.
    pub(super) fn of(root: &Path) -> Result<Self, LakeError> {
        let dir = root.join(LOG);
        let mut log = Self::default();
        if !dir.is_dir() {
            return Ok(log);
        }
        for file in fs::read_dir(&dir).map_err(io(&dir))? {
            let path = file.map_err(io(&dir))?.path();
            if is_waiting(&path) {
                log.waiting.push(path);
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((version, rest)) = name.split_once('.') else { continue };
            let Some(version) = version.parse().ok().filter(|_| version.len() == 20) else { continue };
            if let Some(written) = modified(&path)? {
                match rest {
                    "json" => drop(log.commits.insert(version, written)),
                    "checkpoint.parquet" => drop(log.checkpoints.insert(version, written)),
                    _ => {}
                }
                log.numbered.push((version, path));
            }
        }
        let mut before = SystemTime::UNIX_EPOCH;
        for time in log.commits.values_mut() {
            // as readers who travel in time have it
            *time = (*time).max(before + Duration::from_millis(1));
            before = *time;
        }
        Ok(log)
    }

    /// The newest version that was committed before `time`.
    pub(super) fn version_before(&self, time: SystemTime) -> Option<u64> {
        self.commits.iter().rev().find(|(_, committed)| **committed < time).map(|(version, _)| *version)
    }
}

/// When a file was written; none where it is no more.
pub(super) fn modified(path: &Path) -> Result<Option<SystemTime>, LakeError> {
    match fs::metadata(path).and_then(|file| file.modified()) {
        Ok(time) => Ok(Some(time)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(path)(error)),
    }
}

/// The file of a version's commit.
pub(super) fn commit(root: &Path, version: u64) -> PathBuf {
    root.join(LOG).join(format!("{version:020}.json"))
}

/// The actions of a version's commit.
pub(super) fn actions(root: &Path, version: u64) -> Result<Vec<Value>, LakeError> {
    let path = commit(root, version);
    let text = fs::read_to_string(&path).map_err(io(&path))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).map_err(|error| io(&path)(std::io::Error::other(error)))).collect()
}

/// The file, in the table's folder, of which `action` says that it is `kind` (`add`, `remove`, `cdc`); none where it says
/// nothing such.
pub(super) fn named(action: &Value, kind: &str) -> Option<PathBuf> {
    relative(action.get(kind)?.get("path")?.as_str()?)
}

/// A path as the log writes it, in which some characters are escaped; none where it leads out of the table's folder.
pub(super) fn relative(path: &str) -> Option<PathBuf> {
    let url = Url::parse("file:///").ok()?.join(path).ok()?;
    Some(url.to_file_path().ok()?.strip_prefix("/").ok()?.to_owned())
}

/// Whether an action adds or removes rows.
pub(super) fn changes_rows(action: &Value) -> bool {
    ["add", "remove"].iter().any(|kind| action.get(kind).is_some_and(|file| file["dataChange"] != false))
}
