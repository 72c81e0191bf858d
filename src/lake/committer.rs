//! Commits that are on the disk when they are done, and that tell the change feed what changed.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::Path,
};

use delta_kernel::{
    Engine, FileMeta, FilteredEngineData, KernelError, KernelResult, KernelResultIterator,
    committer::{CommitMetadata, CommitResponse, Committer, PublishMetadata},
    engine::to_json_bytes,
};
use serde_json::Value;

/// Writes a commit beside the log, syncs it, and links it into the log under its version, which fails where that version is
/// taken. A crash leaves at most a file whose name no reader takes for a commit.
pub(super) struct DurableCommitter {
    /// Actions beside the kernel's: `cdc`, `metaData`.
    pub(super) more: Vec<Value>,
    /// Whether the commit replaces files and, in doing so, changes rows.
    ///
    /// The kernel refuses such a commit on a table with a change feed, because it cannot write one; so it is staged as one that
    /// changes no row, and said to change rows here, where `cdc` actions tell which.
    pub(super) replaces: bool,
}

impl DurableCommitter {
    fn actions(&self, actions: KernelResultIterator<'_, FilteredEngineData>) -> KernelResult<Vec<u8>> {
        let mut lines = to_json_bytes(actions)?;
        if self.replaces {
            let staged = std::mem::take(&mut lines);
            for action in serde_json::Deserializer::from_slice(&staged).into_iter::<Value>() {
                let mut action = action.map_err(invalid)?;
                for kind in ["add", "remove"] {
                    if let Some(flag) = action.get_mut(kind).and_then(|file| file.get_mut("dataChange")) {
                        *flag = Value::Bool(true);
                    }
                }
                write_line(&mut lines, &action)?;
            }
        }
        for action in &self.more {
            write_line(&mut lines, action)?;
        }
        Ok(lines)
    }
}

fn write_line(lines: &mut Vec<u8>, action: &Value) -> KernelResult<()> {
    serde_json::to_writer(&mut *lines, action).map_err(invalid)?;
    lines.push(b'\n');
    Ok(())
}

impl Committer for DurableCommitter {
    fn commit(
        &self,
        _: &dyn Engine,
        actions: KernelResultIterator<'_, FilteredEngineData>,
        metadata: CommitMetadata,
    ) -> KernelResult<CommitResponse> {
        let bytes = self.actions(actions)?;
        let url = metadata.published_commit_path()?;
        let path = url.to_file_path().map_err(|()| KernelError::generic("a lake lies in a local folder"))?;
        let log = path.parent().unwrap_or(&path);
        fs::create_dir_all(log)?;
        // The process id keeps two writers from sharing the file.
        let waiting = log.join(format!(".{:020}.{}{WAITING}", metadata.version(), std::process::id()));
        let mut file = File::create(&waiting)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        let linked = fs::hard_link(&waiting, &path);
        fs::remove_file(&waiting)?;
        match linked {
            Ok(()) => sync_dir(log)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Ok(CommitResponse::Conflict { version: metadata.version() });
            }
            Err(error) => return Err(error.into()),
        }
        let file_meta = FileMeta::new(url, metadata.in_commit_timestamp(), bytes.len() as u64);
        Ok(CommitResponse::Committed { file_meta })
    }

    fn is_catalog_committer(&self) -> bool {
        false
    }

    fn publish(&self, _: &dyn Engine, _: PublishMetadata) -> KernelResult<()> {
        Ok(())
    }
}

/// How the name of a commit ends that is not in the log yet.
const WAITING: &str = ".tmp";

/// Whether `path` is a commit that never came to be.
pub(super) fn is_waiting(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(WAITING))
}

/// Makes the names in a folder outlive a loss of power.
pub(super) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

fn invalid(error: serde_json::Error) -> KernelError {
    KernelError::generic(format!("a commit that is no JSON: {error}"))
}
