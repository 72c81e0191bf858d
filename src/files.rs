//! Files that are there whole or not at all, and files read in place.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use memmap2::MmapOptions;

/// Writes a file whole beside `path` first, and moves it there: who reads finds what was before, or all of it. Folders are made.
///
/// # Errors
/// Those of the system and of `write`; what was before is still there then.
pub fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Each process writes a file of its own.
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = || {
        let mut file = BufWriter::new(File::create(&beside)?);
        write(&mut file)?;
        file.into_inner()?.sync_all()?;
        fs::rename(&beside, path)
    };
    written().inspect_err(|_| {
        // It is of no use to anybody; that it cannot be removed does no harm.
        fs::remove_file(&beside).ok();
    })
}

/// A file whose bytes are read in place, from a map.
///
/// A file that is cut under its map ends whoever reads beyond the new end (SIGBUS). Larder never cuts a file that it maps: it is replaced
/// by [`replace`], which leaves the mapped one as it was, or appended to. For a file that somebody else cuts, [`Self::is_whole`] is asked
/// before each reading; only a cut during one is not met.
#[derive(Debug)]
pub struct Mapped {
    file: File,
    length: u64,
    bytes: Bytes,
}

impl Mapped {
    /// Maps what is in a file now; what is appended later is not seen. Waits for who appends ([`Self::append`]).
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).append(true).open(path).or_else(|_| File::open(path))?;
        file.lock_shared()?;
        let length = file.metadata()?.len();
        file.unlock()?;
        let bytes = if length == 0 {
            Bytes::new()
        } else {
            // SAFETY: the map is read only, of a file that stays open. The file may be changed by others while it is mapped: no
            // reference to what must not change is made of its bytes, and their readers take any bytes for what they are (see above for
            // a file that is cut).
            let map = unsafe { MmapOptions::new().len(usize::try_from(length).unwrap_or(usize::MAX)).map(&file) }?;
            Bytes::from_owner(map)
        };
        Ok(Self { file, length, bytes })
    }

    /// The bytes, which stay mapped while any of them is held.
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Whether the file is still as long as what is mapped of it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_whole(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() >= self.length)
    }

    /// Appends to the file, unless somebody has changed its length since it was mapped; whether it did.
    ///
    /// # Errors
    /// Those of the system.
    pub fn append(&self, change: &[u8]) -> io::Result<bool> {
        self.file.lock()?;
        let write = || {
            let same = self.file.metadata()?.len() == self.length;
            if same {
                (&self.file).write_all(change)?;
                self.file.sync_all()?;
            }
            Ok(same)
        };
        let written = write();
        self.file.unlock()?;
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not/yet/file");
        replace(&path, |file| file.write_all(b"first")).unwrap();
        let failed = replace(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_map_shows_what_was_there_when_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(Mapped::open(&path).unwrap().bytes().is_empty());
        fs::write(&path, "before").unwrap();
        let mapped = Mapped::open(&path).unwrap();
        assert!(mapped.append(b" and after").unwrap());
        assert!(!mapped.append(b"again").unwrap(), "somebody has appended");
        assert_eq!((&mapped.bytes()[..], &fs::read(&path).unwrap()[..]), (&b"before"[..], &b"before and after"[..]));
        replace(&path, |file| file.write_all(b"another")).unwrap();
        assert_eq!(&mapped.bytes()[..], b"before");
        assert!(mapped.is_whole().unwrap(), "the mapped file is still there");
        let mapped = Mapped::open(&path).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
        assert!(!mapped.is_whole().unwrap());
    }
}
