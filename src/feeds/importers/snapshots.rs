//! Photos of an opened fridge, a file each, with what is in them where somebody wrote it down.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use larder_records::{Appliance, ApplianceId, HouseholdId, Image, ImageEncoding, Micros, Modality, Time, Truth};

use super::boxes::Boxes;
use super::{Import, ImportError, Importer, files_below, has_extension, read};

/// A folder of photos (JPEG or PNG), taken in natural order of their paths: `2.jpg` before `11.jpg`.
///
/// Photos carry no reliable time, so they are given one: the first at [`start`](Self::start), each next one
/// [`interval`](Self::interval) later, whatever a photo's own header says. Each shows an opened appliance, so the
/// sensor `door` opens a second before it and closes a second after: each photo is one visit.
///
/// Boxes and labels beside the photos (TSV, VOC, YOLO, COCO) travel as the truth, at the photo's time, with the label
/// as SKU and one package a box; vision never sees them. See `boxes.rs` for where they are looked for. A photo
/// without any has no truth.
#[derive(Debug, Clone)]
pub struct Snapshots {
    /// The appliance that they show.
    pub appliance: String,
    /// Whose it is.
    pub household: String,
    /// The market region that the household counts in.
    pub region: String,
    /// The kind of appliance.
    pub kind: String,
    /// The camera.
    pub sensor: String,
    /// When the first was taken.
    pub start: Time,
    /// How much later each next one was, in microseconds; at least three seconds.
    pub interval: Micros,
}

impl Default for Snapshots {
    /// The camera `camera` of the fridge `snapshots/fridge`, an hour apart from 2020-01-01T00:00:00Z on.
    fn default() -> Self {
        Self {
            appliance: "snapshots/fridge".to_owned(),
            household: "snapshots".to_owned(),
            region: String::new(),
            kind: "fridge".to_owned(),
            sensor: "camera".to_owned(),
            start: Time(1_577_836_800 * Time::SECOND),
            interval: Time::HOUR,
        }
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
        let names = &mut import.names;
        let id = ApplianceId(names.intern(&self.appliance)?);
        let household = HouseholdId(names.intern(&self.household)?);
        let known = Appliance::new(id, household, names.intern(&self.kind)?);
        let appliance = Appliance { region: names.intern(&self.region)?, ..known };
        import.appliance(self.start.plus(-Time::SECOND), &appliance)?;
        let camera = import.channel(&self.appliance, &self.sensor, Modality::Visible)?;
        let door = import.channel(&self.appliance, "door", Modality::Door)?;
        import.progress().total(photos.len() as u64);
        let interval = self.interval.max(3 * Time::SECOND);
        for (number, path) in (0..).zip(photos) {
            import.progress().advance(1);
            let time = self.start.plus(interval.saturating_mul(i64::from(number)));
            let data = read(path)?;
            let Some(encoding) = encoding(&data) else {
                import.fault(path, None, "neither JPEG nor PNG, whatever its name says");
                continue;
            };
            let _ = import.reading(door, time.plus(-Time::SECOND), 2 * number, 1)?;
            let image = Image { encoding, data: Bytes::from(data) };
            if let Err(refused) = import.image(camera, time, number, &image)? {
                import.fault(path, None, refused.to_string());
            } else if let Some(items) = boxes.of(path, &image.data, import)? {
                import.truth(&Truth { appliance: id, time, items })?;
            }
            let _ = import.reading(door, time.plus(Time::SECOND), 2 * number + 1, 0)?;
        }
        Ok(())
    }
}

/// What kind of picture the bytes begin as.
pub(super) fn encoding(data: &[u8]) -> Option<ImageEncoding> {
    match data {
        [0xff, 0xd8, 0xff, ..] => Some(ImageEncoding::Jpeg),
        [0x89, b'P', b'N', b'G', ..] => Some(ImageEncoding::Png),
        _ => None,
    }
}
