//! Taking away what no version within the retention needs.
//!
//! A version is within the retention where it was the newest at some time in it. It needs the files that it consists of, and
//! those of its change feed. The log goes back to a checkpoint from which all such versions can be read.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{
    epochs::forget_epochs,
    error::{LakeError, io},
    live::Live,
    log::{self, LOG, Log, modified},
    properties::Retention,
    staging::wait_for_commits_under_way,
    table::{Engine, Table, newest},
    tables::Tables,
};

/// What a vacuum took away from a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Removed {
    /// The table.
    pub table: String,
    /// Data files and files of the change feed.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Commits and checkpoints.
    pub log_files: u64,
    /// The oldest version that can be read still.
    pub oldest_version: u64,
}

/// A file that the log may not need.
struct Candidate {
    path: PathBuf,
    bytes: u64,
}

/// Takes away what the versions of the table `name` within `retain`, or else within its own retention, do not need; with
/// `dry`, only tells what that is. None where there is no such table.
///
/// Nothing is removed that a commit under way has written.
pub(super) fn vacuum(
    tables: &Tables,
    name: &str,
    retain: Option<Duration>,
    dry: bool,
) -> Result<Option<Removed>, LakeError> {
    let Some(slot) = tables.slot(name) else { return Ok(None) };
    let Some(table) = slot.get() else { return Ok(None) };
    let retention = retain.map_or_else(|| Retention::of(&table.snapshot), Retention::all);
    let now = SystemTime::now();
    let cutoff = |retention| now.checked_sub(retention).unwrap_or(SystemTime::UNIX_EPOCH);
    if !dry {
        forget_epochs(slot, &tables.engine, cutoff(retention.files))?;
    }
    let (files, oldest) = unneeded(&table, &tables.engine, cutoff(retention.files))?;
    let (log_files, kept_from) = expired_log(&table.root, cutoff(retention.log))?;
    let mut removed = Removed {
        table: name.to_owned(),
        files: files.len() as u64,
        bytes: files.iter().map(|file| file.bytes).sum(),
        log_files: log_files.len() as u64,
        oldest_version: oldest.max(kept_from),
    };
    if !dry {
        for path in files.iter().map(|file| &file.path).chain(&log_files) {
            remove(path)?;
        }
        if !log_files.is_empty()
            && let Some(table) = slot.lock().table.as_mut()
        {
            table.reopen(&tables.engine)?;
        }
    }
    removed.oldest_version = removed.oldest_version.min(table.version());
    Ok(Some(removed))
}

/// The files of a table that no version needs which was the newest at `cutoff` or later; and the oldest such version.
fn unneeded(table: &Table, engine: &Engine, cutoff: SystemTime) -> Result<(Vec<Candidate>, u64), LakeError> {
    // In this order: what is there, is old, and is named by no commit once those under way are done, never will be.
    let mut candidates = Vec::new();
    older_files(&table.root, &table.root, cutoff, &mut candidates)?;
    wait_for_commits_under_way(&table.root)?;
    let snapshot = newest(table.place(), engine)?;
    let live = Live::of(&snapshot, &table.root, &table.spec, engine).map_err(|error| table.place().delta(error))?;
    let mut needed: HashSet<PathBuf> = live.files.into_iter().map(|file| file.path).collect();
    let log = Log::of(&table.root)?;
    let oldest = log.version_before(cutoff);
    for (version, committed) in log.commits.iter().rev() {
        if *committed < cutoff {
            break;
        }
        for action in log::actions(&table.root, *version)? {
            let named = ["remove", "cdc"].iter().filter_map(|kind| log::named(&action, kind));
            needed.extend(named.map(|path| table.root.join(path)));
        }
    }
    candidates.retain(|file| !needed.contains(&file.path));
    let first = log.commits.keys().next().copied().unwrap_or_default();
    Ok((candidates, oldest.unwrap_or(first)))
}

/// The files in `dir` and below that were written before `cutoff`, those of the log and hidden ones left out.
fn older_files(root: &Path, dir: &Path, cutoff: SystemTime, into: &mut Vec<Candidate>) -> Result<(), LakeError> {
    for entry in fs::read_dir(dir).map_err(io(dir))? {
        let entry = entry.map_err(io(dir))?;
        let (path, name) = (entry.path(), entry.file_name());
        if name.to_string_lossy().starts_with('.') || (dir == root && name == LOG) {
            continue;
        }
        let Some(written) = modified(&path)? else { continue };
        if entry.file_type().map_err(io(&path))?.is_dir() {
            older_files(root, &path, cutoff, into)?;
        } else if written < cutoff {
            let bytes = entry.metadata().map(|file| file.len()).unwrap_or_default();
            into.push(Candidate { path, bytes });
        }
    }
    Ok(())
}

/// The files of the log that no version needs which was the newest at `cutoff` or later; and the version that the log goes
/// back to then.
fn expired_log(root: &Path, cutoff: SystemTime) -> Result<(Vec<PathBuf>, u64), LakeError> {
    let before = Log::of(root)?;
    wait_for_commits_under_way(root)?;
    let mut expired = Vec::new();
    for path in &before.waiting {
        if modified(path)?.is_some_and(|written| written < cutoff) {
            expired.push(path.clone());
        }
    }
    let first = before.commits.keys().next().copied().unwrap_or_default();
    let Some(oldest) = before.version_before(cutoff) else { return Ok((expired, first)) };
    // Who began to read after the cutoff has seen this checkpoint, and looks at nothing behind it.
    let old = before.checkpoints.range(..=oldest).rev().find(|(_, written)| **written < cutoff);
    let Some((checkpoint, _)) = old else { return Ok((expired, first)) };
    let behind = before.numbered.into_iter().filter(|(version, _)| version < checkpoint);
    expired.extend(behind.map(|(_, path)| path));
    Ok((expired, *checkpoint))
}

/// Removes a file; one that somebody else removed is as good.
fn remove(path: &Path) -> Result<(), LakeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(path)(error)),
        _ => Ok(()),
    }
}
