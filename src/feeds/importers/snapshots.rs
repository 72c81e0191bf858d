//! Photos of an opened fridge, a file each, with what is in them where somebody wrote it down.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use larder_records::{Image, ImageEncoding, Modality, Truth};

use super::boxes::Boxes;
use super::{Import, ImportError, Importer, Staging, files_below, has_extension, read};

/// A folder of photos (JPEG or PNG), taken in natural order of their paths: `2.jpg` before `11.jpg`.
///
/// Photos carry no reliable time, so each is given one, and a visit of its own: see [`Staging`]. A photo's own header
/// has no say.
///
/// Boxes and labels beside the photos (TSV, VOC, YOLO, COCO) travel as the truth, at the photo's time, with the label
/// as SKU and one package a box; vision never sees them. See `boxes.rs` for where they are looked for. A photo
/// without any has no truth.
#[derive(Debug, Clone)]
pub struct Snapshots {
    /// What the photos are of, and when.
    pub staging: Staging,
    /// The camera.
    pub sensor: String,
}

impl Default for Snapshots {
    /// The camera `camera` of the fridge `snapshots/fridge`.
    fn default() -> Self {
        Self { staging: Staging::of("snapshots", "fridge"), sensor: "camera".to_owned() }
    }
}

impl Importer for Snapshots {
    fn read(&self, source: &Path, import: &mut Import<'_>) -> Result<(), ImportError> {
        let files = files_below(source)?;
        let photos: Vec<&PathBuf> = files.iter().filter(|path| has_extension(path, &["jpg", "jpeg", "png"])).collect();
        if photos.is_empty() {
            return Err(ImportError::nothing(source, "no *.jpg, *.jpeg or *.png"));
        }
        let boxes = Boxes::find(&files, import);
        let stage = self.staging.open(import)?;
        let camera = import.channel(&self.staging.appliance, &self.sensor, Modality::Visible)?;
        import.progress().total(photos.len() as u64);
        for (number, path) in (0..).zip(photos) {
            import.progress().advance(1);
            let data = read(path)?;
            let Some(encoding) = ImageEncoding::of_file(&data) else {
                import.fault(path, None, "neither JPEG nor PNG, whatever its name says");
                continue;
            };
            let image = Image { encoding, data: Bytes::from(data) };
            let time = stage.open_door(number, import)?;
            if let Err(refused) = import.image(camera, time, number, &image)? {
                import.fault(path, None, refused.to_string());
            } else if let Some(items) = boxes.of(path, &image.data, import)? {
                import.truth(&Truth { appliance: stage.appliance, time, items })?;
            }
            stage.close_door(number, import)?;
        }
        Ok(())
    }
}
