//! The pixels behind a row, and what two visions make of them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use larder_kernels::{
    ImageRgb8,
    decode::{self, DecodeLimits},
};
use larder_records::{ApplianceId, BoundingBox, Digest, FrameKey, Names, Payload, SensorId, Time};

use crate::{
    drawing,
    engine::ObjectDifference,
    feeds::{Event, Feed as _, recording::Recording},
};

use super::{EvidenceError, Explanation};

/// Pixels around an object that its crop shows too.
const MARGIN: u16 = 4;

impl Explanation {
    /// Finds the pictures in `recordings` and writes each object of them as a PNG into `dir`; how many were written.
    ///
    /// # Errors
    /// [`EvidenceError`] where a recording cannot be read or a crop not written. A picture that cannot be decoded has no crops.
    pub fn write_crops(&mut self, recordings: &[PathBuf], dir: &Path) -> Result<usize, EvidenceError> {
        let looks = self.movements.iter().flat_map(|movement| &movement.looks);
        let wanted: BTreeSet<FrameKey> = looks.map(|look| look.key).collect();
        make_folder(dir)?;
        let mut written = BTreeSet::new();
        each_picture(recordings, &wanted, |key, picture| {
            let looks = self.movements.iter_mut().flat_map(|movement| &mut movement.looks);
            for object in looks.filter(|look| look.key == key).flat_map(|look| &mut look.objects) {
                let [left, top, right, bottom] = object.bounds;
                let path = dir.join(format!("{}-{left}-{top}-{right}-{bottom}.png", &key.hash.to_string()[..8]));
                if written.insert(path.clone()) {
                    write_png(&path, &crop(picture, BoundingBox { left, top, right, bottom }))?;
                }
                object.crop = Some(path);
            }
            Ok(())
        })?;
        Ok(written.len())
    }
}

/// Red: what the old sees. Green: what the new does.
const OLD_AND_NEW: [drawing::Colour; 2] = [[230, 40, 40], [40, 210, 60]];

/// Finds the pictures in `recordings` and writes each of the objects as a PNG into `dir`: its box by the old in red, by the new
/// in green. Where each was written; none where its picture is in no recording, or cannot be decoded.
///
/// # Errors
/// [`EvidenceError`] where a recording cannot be read or a picture not written.
pub fn write_differences(
    objects: &[ObjectDifference],
    recordings: &[PathBuf],
    dir: &Path,
) -> Result<Vec<Option<PathBuf>>, EvidenceError> {
    make_folder(dir)?;
    let mut paths = vec![None; objects.len()];
    let wanted: BTreeSet<FrameKey> = objects.iter().map(|object| object.frame).collect();
    each_picture(recordings, &wanted, |key, picture| {
        for (object, path) in objects.iter().zip(&mut paths).filter(|(object, _)| object.frame == key) {
            let sides = [object.old, object.new].map(|side| side.map(|taken| taken.bounds));
            let Some(whole) = sides.into_iter().flatten().reduce(BoundingBox::around) else { continue };
            let mut drawn = picture.clone();
            for (bounds, colour) in sides.into_iter().zip(OLD_AND_NEW) {
                if let Some(bounds) = bounds {
                    drawing::draw_box(&mut drawn, bounds, colour);
                }
            }
            let BoundingBox { left, top, right, bottom } = whole;
            let hash = key.hash.to_string();
            let to = dir.join(format!("{}-{left}-{top}-{right}-{bottom}.png", &hash[..8]));
            write_png(&to, &crop(&drawn, whole))?;
            *path = Some(to);
        }
        Ok(())
    })?;
    Ok(paths)
}

fn make_folder(dir: &Path) -> Result<(), EvidenceError> {
    std::fs::create_dir_all(dir).map_err(|source| EvidenceError::Io { path: dir.to_owned(), source })
}

fn write_png(path: &Path, picture: &ImageRgb8) -> Result<(), EvidenceError> {
    let png = drawing::png(picture).map_err(|source| EvidenceError::Png { path: path.to_owned(), source })?;
    std::fs::write(path, png).map_err(|source| EvidenceError::Io { path: path.to_owned(), source })
}

/// Hands on each wanted frame's picture that is in the recordings and can be decoded.
fn each_picture(
    recordings: &[PathBuf],
    wanted: &BTreeSet<FrameKey>,
    mut each: impl FnMut(FrameKey, &ImageRgb8) -> Result<(), EvidenceError>,
) -> Result<(), EvidenceError> {
    let (mut names, mut picture) = (Names::default(), ImageRgb8::default());
    for path in recordings {
        let mut recording = Recording::open(path)?;
        while let Some((_, entry)) = recording.next_entry(&mut names)? {
            let Ok(Event::Frame(frame)) = entry else { continue };
            let Payload::Image(image) = &frame.payload else { continue };
            let (appliance, sensor, time) = (frame.appliance, frame.sensor, frame.time);
            if wanted.range(first(appliance, sensor, time)..).next().is_none_or(|key| key.time != time) {
                continue;
            }
            let key = FrameKey { appliance, sensor, time, hash: Digest::of(&image.data) };
            if wanted.contains(&key) && decode::decode_rgb8(image, DecodeLimits::default(), &mut picture).is_ok() {
                each(key, &picture)?;
            }
        }
    }
    Ok(())
}

/// The least key of a frame of that instant.
fn first(appliance: ApplianceId, sensor: SensorId, time: Time) -> FrameKey {
    FrameKey { appliance, sensor, time, hash: Digest(0) }
}

fn crop(picture: &ImageRgb8, bounds: BoundingBox) -> ImageRgb8 {
    let bounds = picture.clip(BoundingBox {
        left: bounds.left.saturating_sub(MARGIN),
        top: bounds.top.saturating_sub(MARGIN),
        right: bounds.right.saturating_add(MARGIN),
        bottom: bounds.bottom.saturating_add(MARGIN),
    });
    let pixels: Vec<[u8; 3]> = picture.rows_in(bounds).flatten().copied().collect();
    let width = usize::from(bounds.right.saturating_sub(bounds.left));
    let height = usize::from(bounds.bottom.saturating_sub(bounds.top));
    ImageRgb8::from_pixels(width, height, pixels).unwrap_or_default()
}
