//! Pairs of a colour picture and a picture of distances, of scenes on a shelf or table.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use larder_records::{BoundingBox, Image, ImageEncoding, Modality, ProductId, Truth};

use super::{Import, ImportError, Importer, Staging, files_below, read};

/// A folder of scenes: `NAME_rgb.png`, `NAME_depth_mm.png` (16 bits, millimetres, 0 where there is no reading) and
/// perhaps `NAME_label.png` (16 bits, the number of the object that each pixel shows, 0 for none).
///
/// Scenes are taken in natural order of their paths, each one visit with both pictures in one instant: see [`Staging`].
/// Labels travel as the truth: an object is a package of the SKU `NAME/number`, since numbers count within their scene
/// alone, and its box holds all its pixels.
#[derive(Debug, Clone)]
pub struct Rgbd {
    /// What the pictures are of, and when.
    pub staging: Staging,
}

impl Default for Rgbd {
    /// The cameras `camera` and `depth` of the shelf `rgbd/shelf`.
    fn default() -> Self {
        Self { staging: Staging::of("rgbd", "shelf") }
    }
}

const COLOUR: &str = "_rgb.png";

impl Importer for Rgbd {
    fn read(&self, source: &Path, import: &mut Import<'_>) -> Result<(), ImportError> {
        let scene = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.strip_suffix(COLOUR)?.to_owned();
            Some((path, name))
        };
        let scenes: Vec<(PathBuf, String)> = files_below(source)?.into_iter().filter_map(scene).collect();
        if scenes.is_empty() {
            return Err(ImportError::nothing(source, format!("no *{COLOUR}")));
        }
        let stage = self.staging.open(import)?;
        let camera = import.channel(&self.staging.appliance, "camera", Modality::Visible)?;
        let depth = import.channel(&self.staging.appliance, "depth", Modality::Depth)?;
        import.progress().total(scenes.len() as u64);
        for (number, (path, name)) in (0..).zip(scenes) {
            import.progress().advance(1);
            let beside = |what: &str| path.with_file_name(format!("{name}_{what}.png"));
            let time = stage.open_door(number, import)?;
            for (channel, path) in [(camera, path.clone()), (depth, beside("depth_mm"))] {
                if !path.is_file() {
                    import.fault(&path, None, "the scene has no such picture");
                    continue;
                }
                let data = Bytes::from(read(&path)?);
                if ImageEncoding::of_file(&data) != Some(ImageEncoding::Png) {
                    import.fault(&path, None, "no PNG, whatever its name says");
                } else if let Err(refused) =
                    import.image(channel, time, number, &Image { encoding: ImageEncoding::Png, data })?
                {
                    import.fault(&path, None, refused.to_string());
                }
            }
            let labels = beside("label");
            if labels.is_file() {
                match objects(&read(&labels)?) {
                    Ok(boxes) => {
                        let mut items = Vec::with_capacity(boxes.len());
                        for (object, bounds) in boxes {
                            let product = ProductId(import.names.intern(&format!("{name}/{object}"))?);
                            items.push((product, 1, Some(bounds)));
                        }
                        import.truth(&Truth { appliance: stage.appliance, time, items })?;
                    }
                    Err(detail) => import.fault(&labels, None, detail),
                }
            }
            stage.close_door(number, import)?;
        }
        Ok(())
    }
}

/// The box of each object in a picture of labels.
fn objects(png: &[u8]) -> Result<BTreeMap<u16, BoundingBox>, String> {
    let picture = image::ImageReader::with_format(Cursor::new(png), image::ImageFormat::Png);
    let picture = picture.decode().map_err(|error| error.to_string())?;
    let image::DynamicImage::ImageLuma16(labels) = picture else {
        return Err("not 16 bits of grey".to_owned());
    };
    if u16::try_from(labels.width().max(labels.height())).is_err() {
        return Err("more than 65,535 pixels across".to_owned());
    }
    let mut boxes: BTreeMap<u16, BoundingBox> = BTreeMap::new();
    for (x, y, label) in labels.enumerate_pixels().filter(|(_, _, label)| label.0[0] != 0) {
        // Checked above.
        let (x, y) = (x as u16, y as u16);
        let new = BoundingBox { left: x, top: y, right: x + 1, bottom: y + 1 };
        let known = boxes.entry(label.0[0]).or_insert(new);
        *known = BoundingBox {
            left: known.left.min(x),
            top: known.top.min(y),
            right: known.right.max(x + 1),
            bottom: known.bottom.max(y + 1),
        };
    }
    Ok(boxes)
}
