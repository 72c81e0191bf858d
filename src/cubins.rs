//! Compiled CUDA kernels in a folder, from one start to the next.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use larder_kernels::cuda::cache::CubinStore;

use crate::files::replace;

/// A folder that holds one file for each of what was compiled.
#[derive(Clone, Debug)]
pub struct CubinFolder {
    folder: PathBuf,
}

impl CubinFolder {
    /// That folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The user's: `larder/cubins` in `$XDG_CACHE_HOME`, or else in `~/.cache`; none where neither is known.
    pub fn of_user() -> Option<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
        Some(Self::new(cache.join("larder/cubins")))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl CubinStore for CubinFolder {
    fn load(&self, key: &str) -> Option<Vec<u8>> {
        // What cannot be read is compiled anew.
        fs::read(self.folder.join(key)).ok()
    }

    fn keep(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        replace(&self.folder.join(key), |file| file.write_all(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_loaded_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let store = CubinFolder::new(dir.path().join("not/yet"));
        assert_eq!(store.load("a"), None);
        store.keep("a", b"first").unwrap();
        store.keep("a", b"second").unwrap();
        assert_eq!(store.load("a").unwrap(), b"second");
        assert_eq!(fs::read_dir(store.path()).unwrap().count(), 1);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(CubinFolder::new(file).keep("a", b"").is_err());
    }
}
