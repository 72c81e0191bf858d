//! Pictures that lie elsewhere: a record names the file or the object.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use larder_records::{
    DeadLetter, DeadReason, Frame, IdCollision, Names, Position,
    wire::{self, Refused, WireError, foxglove::CompressedImage, v1},
};
use url::Url;
use v1::frame::Payload;

use super::{
    KafkaError,
    store::{Errand, Store},
};

/// Where pictures lie that records only name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictures {
    /// Where. Nothing outside of it is read.
    pub place: Place,
    /// The largest picture that is read, in bytes.
    pub limit: u64,
}

/// What holds pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A prefix of a bucket: `s3://bucket/prefix`.
    Bucket(Url),
}

/// Where pictures lie, opened.
pub(super) struct Album {
    shelf: Shelf,
    limit: u64,
    ahead: usize,
}

enum Shelf {
    Folder(PathBuf),
    Store(Store),
}

/// The most pictures that are asked for at once.
const MOST: u64 = 16;

impl Album {
    /// Opens the place of `pictures` for who may hold so many bytes, where it is to be reached within `patience`.
    ///
    /// # Errors
    /// [`KafkaError::Pictures`].
    pub(super) fn open(pictures: &Pictures, memory: u64, patience: Duration) -> Result<Self, KafkaError> {
        let Pictures { place, limit } = pictures;
        let shelf = match place {
            Place::Folder(folder) => Shelf::Folder(folder.clone()),
            Place::Bucket(url) => Shelf::Store(Store::open(url, *limit, patience)?),
        };
        // each may be as large as any may be
        let ahead = (memory / limit.max(&1)).clamp(1, MOST) as usize;
        Ok(Self { shelf, limit: *limit, ahead })
    }

    /// How many pictures may be on their way at once.
    pub(super) fn ahead(&self) -> usize {
        self.ahead
    }

    /// Begins to read the picture of that name.
    fn read(&self, path: &str) -> Reading {
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if path.is_empty() || !inside {
            let why = "a path that is none below the place of pictures";
            return Reading::Done(Err(refused(path, DeadReason::Malformed, why)));
        }
        match &self.shelf {
            Shelf::Folder(folder) => Reading::Done(read(folder, path, self.limit)),
            Shelf::Store(store) => store.read(path).map_or_else(|refused| Reading::Done(Err(refused)), Reading::Under),
        }
    }
}

enum Reading {
    Done(Result<Bytes, Refused>),
    Under(Errand),
}

/// A frame whose picture is on its way.
pub(super) struct Named {
    position: Position,
    frame: v1::Frame,
    reference: v1::ImageReference,
    reading: Reading,
}

impl Named {
    /// Sends for the picture that `reference` of `frame` names.
    pub(super) fn new(album: &Album, position: Position, frame: v1::Frame, reference: v1::ImageReference) -> Self {
        let reading = album.read(&reference.path);
        Self { position, frame, reference, reading }
    }

    /// Whether it came, or will not.
    pub(super) fn is_there(&self) -> bool {
        match &self.reading {
            Reading::Done(_) => true,
            Reading::Under(errand) => errand.is_done(),
        }
    }

    /// The frame with its picture, and how many bytes that has.
    ///
    /// # Errors
    /// [`IdCollision`].
    pub(super) fn end(self, names: &mut Names) -> Result<(Position, Result<Frame, DeadLetter>, u64), IdCollision> {
        let Self { position, mut frame, reference: v1::ImageReference { timestamp, path, format }, reading } = self;
        let read = match reading {
            Reading::Done(read) => read,
            Reading::Under(errand) => errand.end(&path),
        };
        let bytes = read.as_ref().map_or(0, Bytes::len) as u64;
        let decoded = read.map_err(WireError::from).and_then(|data| {
            let picture = CompressedImage { timestamp, frame_id: path, data, format };
            frame.payload = Some(Payload::CompressedImage(picture));
            wire::decode_frame(frame, names)
        });
        match decoded {
            Ok(frame) => Ok((position, Ok(frame), bytes)),
            Err(WireError::Refused(Refused { reason, detail })) => {
                Ok((position.clone(), Err(DeadLetter { position, reason, detail }), bytes))
            }
            Err(WireError::Collision(collision)) => Err(collision),
        }
    }
}

/// A picture that cannot be had.
pub(super) fn refused(path: &str, reason: DeadReason, why: &str) -> Refused {
    let start: String = path.chars().take(200).collect();
    Refused::new(reason, format!("the picture {start:?}: {why}"))
}

/// A picture that is larger than it may be.
pub(super) fn too_large(path: &str, limit: u64) -> Refused {
    refused(path, DeadReason::TooLarge, &format!("more than {limit} bytes"))
}

/// Reads a file of a folder.
fn read(folder: &Path, path: &str, limit: u64) -> Result<Bytes, Refused> {
    let unreadable = |error: io::Error| refused(path, DeadReason::BadImage, &error.to_string());
    // links may lead elsewhere
    let folder = fs::canonicalize(folder).map_err(unreadable)?;
    let file = fs::canonicalize(folder.join(path)).map_err(unreadable)?;
    if !file.starts_with(&folder) {
        return Err(refused(path, DeadReason::Malformed, "it leads out of the folder of pictures"));
    }
    let mut data = Vec::new();
    let file = File::open(file).map_err(unreadable)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut data).map_err(unreadable)?;
    if data.len() as u64 > limit {
        return Err(too_large(path, limit));
    }
    Ok(data.into())
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
        let pictures = Pictures { place: Place::Folder(folder), limit: 10 };
        let album = Album::open(&pictures, 100, Duration::ZERO).unwrap();
        let read = |path: &str| match album.read(path) {
            Reading::Done(read) => read.map_err(|refused| refused.reason),
            Reading::Under(_) => panic!("a file is read at once"),
        };
        assert_eq!(read("day/1.jpg"), Ok(Bytes::from(vec![7; 10])));
        assert_eq!(read("alias.jpg"), Ok(Bytes::from(vec![7; 10])));
        assert_eq!(read("large.jpg"), Err(DeadReason::TooLarge));
        assert_eq!(read("none.jpg"), Err(DeadReason::BadImage));
        for path in ["", "../secret", "day/../../secret", "/etc/hostname", "link.jpg"] {
            assert_eq!(read(path), Err(DeadReason::Malformed), "{path}");
        }
    }
}
