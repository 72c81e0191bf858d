//! The last step of a commit: one JSON file, written whole, synced, and put in place only where none is.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use delta_kernel::{
    Engine, FileMeta, FilteredEngineData, KernelError, KernelResult, KernelResultIterator,
    committer::{CommitMetadata, CommitResponse, Committer, PublishMetadata},
    engine::to_json_bytes,
};
use serde_json::{Value, json};

/// A file of the change data feed: what rows a commit took away and added, in one partition.
#[derive(Debug, Clone)]
pub(super) struct ChangeFile {
    /// Relative to the table.
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) month: Option<String>,
}

/// Commits to a folder of the local file system, with change files.
///
/// The kernel refuses a commit that both adds and removes files on a table with a change data feed, since it writes no `cdc`
/// actions itself. The transaction is therefore staged as one that changes no data, and the actions are marked as
/// changing data here, beside the `cdc` actions that say how.
#[derive(Debug, Default)]
pub(super) struct SyncedCommitter {
    pub(super) changes: Vec<ChangeFile>,
}

impl SyncedCommitter {
    fn lines(&self, actions: KernelResultIterator<'_, FilteredEngineData>) -> KernelResult<Vec<u8>> {
        let mut text = Vec::new();
        for line in to_json_bytes(actions)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let mut action: Value = serde_json::from_slice(line).map_err(KernelError::generic_err)?;
            for kind in ["add", "remove"] {
                if let Some(Value::Object(file)) = action.get_mut(kind) {
                    file.insert("dataChange".to_owned(), Value::Bool(true));
                }
            }
            serde_json::to_writer(&mut text, &action).map_err(KernelError::generic_err)?;
            text.push(b'\n');
        }
        for ChangeFile { path, bytes, month } in &self.changes {
            let partition = month.as_ref().map_or_else(|| json!({}), |month| json!({ "month": month }));
            let action =
                json!({"cdc": {"path": path, "partitionValues": partition, "size": bytes, "dataChange": false}});
            serde_json::to_writer(&mut text, &action).map_err(KernelError::generic_err)?;
            text.push(b'\n');
        }
        Ok(text)
    }
}

impl Committer for SyncedCommitter {
    fn commit(
        &self,
        _: &dyn Engine,
        actions: KernelResultIterator<'_, FilteredEngineData>,
        commit: CommitMetadata,
    ) -> KernelResult<CommitResponse> {
        let text = self.lines(actions)?;
        let url = commit.published_commit_path()?;
        let path = url.to_file_path().map_err(|()| KernelError::generic(format!("{url} is no file")))?;
        match put_if_absent(&path, &text) {
            Ok(()) => Ok(CommitResponse::Committed {
                file_meta: FileMeta::new(url, commit.in_commit_timestamp(), text.len() as u64),
            }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(CommitResponse::Conflict { version: commit.version() })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn is_catalog_committer(&self) -> bool {
        false
    }

    fn publish(&self, _: &dyn Engine, _: PublishMetadata) -> KernelResult<()> {
        Ok(())
    }
}

/// Writes `path` whole and synced, or fails with [`io::ErrorKind::AlreadyExists`]; a hard link is atomic and never replaces.
fn put_if_absent(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("json.{}.new", std::process::id()));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    linked?;
    sync_parent(path)
}

/// Makes the entry of `path` in its folder last.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
