//! Pictures that lie elsewhere: a record names the file.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use larder_records::DeadReason;
use larder_records::wire::{Refused, foxglove::CompressedImage, v1};

/// The folder in which pictures lie that records only name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictures {
    /// Where. Nothing outside of it is read.
    pub folder: PathBuf,
    /// The largest picture that is read, in bytes.
    pub limit: u64,
}

impl Pictures {
    /// Puts the picture that `frame` names, if it names one, in the name's place.
    ///
    /// # Errors
    /// [`Refused`] where the path leads out of the folder, there is no such file, it cannot be read, or it is too large.
    pub(super) fn fetch(&self, frame: &mut v1::Frame) -> Result<(), Refused> {
        use v1::frame::Payload;
        let Some(Payload::ImageReference(reference)) = &frame.payload else { return Ok(()) };
        let v1::ImageReference { timestamp, path, format } = reference;
        let data = self.read(path)?.into();
        let (timestamp, format, frame_id) = (*timestamp, format.clone(), path.clone());
        frame.payload = Some(Payload::CompressedImage(CompressedImage { timestamp, frame_id, data, format }));
        Ok(())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Refused> {
        let refused = |reason, why: &str| {
            let start: String = path.chars().take(200).collect();
            Refused::new(reason, format!("the picture {start:?}: {why}"))
        };
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if path.is_empty() || !inside {
            return Err(refused(DeadReason::Malformed, "a path that is none below the folder of pictures"));
        }
        let unreadable = |error: io::Error| refused(DeadReason::BadImage, &error.to_string());
        // links may lead elsewhere
        let folder = fs::canonicalize(&self.folder).map_err(unreadable)?;
        let file = fs::canonicalize(folder.join(path)).map_err(unreadable)?;
        if !file.starts_with(&folder) {
            return Err(refused(DeadReason::Malformed, "it leads out of the folder of pictures"));
        }
        let mut data = Vec::new();
        let file = File::open(file).map_err(unreadable)?;
        file.take(self.limit.saturating_add(1)).read_to_end(&mut data).map_err(unreadable)?;
        if data.len() as u64 > self.limit {
            let why = format!("more than {} bytes", self.limit);
            return Err(refused(DeadReason::TooLarge, &why));
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_picture_is_read_where_it_is_named_and_nothing_outside_or_too_large() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pictures");
        fs::create_dir_all(folder.join("day")).unwrap();
        fs::write(folder.join("day/1.jpg"), [7; 10]).unwrap();
        fs::write(folder.join("large.jpg"), [7; 11]).unwrap();
        fs::write(dir.path().join("secret"), [1]).unwrap();
        symlink(dir.path().join("secret"), folder.join("link.jpg")).unwrap();
        symlink(folder.join("day/1.jpg"), folder.join("alias.jpg")).unwrap();
        let pictures = Pictures { folder, limit: 10 };
        let read = |path: &str| pictures.read(path).map_err(|refused| refused.reason);
        assert_eq!(read("day/1.jpg"), Ok(vec![7; 10]));
        assert_eq!(read("alias.jpg"), Ok(vec![7; 10]));
        assert_eq!(read("large.jpg"), Err(DeadReason::TooLarge));
        assert_eq!(read("none.jpg"), Err(DeadReason::BadImage));
        for path in ["", "../secret", "day/../../secret", "/etc/hostname", "link.jpg"] {
            assert_eq!(read(path), Err(DeadReason::Malformed), "{path}");
        }
    }
}
