//! Boxes and labels that people drew on photos.
//!
//! For a photo `P/N.jpg` the first of these that there is:
//!
//! - `P/N.bboxes.tsv` and `P/N.bboxes.labels.tsv`: a line for each box, left, top, right and bottom in pixels, and its
//!   label on the same line of the other file.
//! - VOC: `N.xml` in `P`, or in a folder beside it called `annotations`: `object` elements with `name` and `bndbox`.
//! - YOLO: `N.txt` in `P`, or in a folder beside it called `labels`: class number, then centre and size as shares of
//!   the photo's width and height; the classes' names, a line each, in a file `classes.txt` or `*.names`.
//! - COCO: a `.json` anywhere with `images`, `annotations` and `categories`; photos are told by their file name.
//!
//! Edges are rounded to pixels and kept within 0 to 65,535; otherwise the numbers are taken as they stand.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use larder_records::{BoundingBox, ProductId};
use quick_xml::events::Event;
use serde::Deserialize;

use super::{Import, ImportError, has_extension, read, stem};

/// A box and its label.
type Labelled = (String, BoundingBox);

/// What the truth says of one photo.
type Items = Vec<(ProductId, u32, Option<BoundingBox>)>;

/// Where the boxes of a folder of photos are.
pub(super) struct Boxes {
    /// Annotation files by folder and stem.
    files: BTreeMap<(PathBuf, String), PathBuf>,
    /// The names of YOLO's classes.
    classes: Vec<String>,
    /// COCO's boxes, by the photo's file name.
    coco: BTreeMap<String, Vec<Labelled>>,
}

#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct CocoAnnotation {
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
}

#[derive(Deserialize)]
struct CocoCategory {
    id: u64,
    name: String,
}

impl Boxes {
    /// Looks for boxes among `files`.
    pub(super) fn find(files: &[PathBuf], import: &mut Import<'_>) -> Self {
        let mut found = Self { files: BTreeMap::new(), classes: Vec::new(), coco: BTreeMap::new() };
        for path in files {
            if path.file_name() == Some(OsStr::new("classes.txt")) || has_extension(path, &["names"]) {
                match std::fs::read_to_string(path) {
                    Ok(text) => found.classes = text.lines().map(|line| line.trim().to_owned()).collect(),
                    Err(error) => import.fault(path, None, error.to_string()),
                }
            } else if has_extension(path, &["json"]) {
                match std::fs::read(path).map_err(|e| e.to_string()).and_then(|text| parse_coco(&text)) {
                    Ok(coco) => found.coco.extend(coco),
                    Err(detail) => import.fault(path, None, detail),
                }
            } else if has_extension(path, &["xml", "txt", "tsv"]) {
                let key = (path.parent().unwrap_or(Path::new("")).to_owned(), stem(path));
                found.files.entry(key).or_insert_with(|| path.clone());
            }
        }
        found
    }

    /// What the photo at `path` shows, where somebody wrote it down.
    pub(super) fn of(&self, path: &Path, data: &[u8], import: &mut Import<'_>) -> Result<Option<Items>, ImportError> {
        let name = stem(path);
        let folder = path.parent().unwrap_or(Path::new(""));
        let beside = folder.parent().unwrap_or(Path::new(""));
        let file = |folder: &Path, stem: &str| self.files.get(&(folder.to_owned(), stem.to_owned()));
        let of_photo = || {
            let places = ["annotations", "Annotations", "labels"].map(|place| beside.join(place));
            file(folder, &name).or_else(|| places.iter().find_map(|place| file(place, &name)))
        };
        let labelled = if let Some(boxes) = file(folder, &format!("{name}.bboxes")) {
            match file(folder, &format!("{name}.bboxes.labels")) {
                Some(labels) => parse_tsv((boxes, &read(boxes)?), (labels, &read(labels)?), import),
                None => {
                    import.fault(boxes, None, "boxes without a file of labels");
                    return Ok(None);
                }
            }
        } else if let Some(file) = of_photo() {
            let text = read(file)?;
            let parsed = if has_extension(file, &["xml"]) {
                parse_voc(&text)
            } else {
                Ok(self.parse_yolo(file, &text, data, import))
            };
            match parsed {
                Ok(labelled) => labelled,
                Err(detail) => {
                    import.fault(file, None, detail);
                    return Ok(None);
                }
            }
        } else if let Some(labelled) = path.file_name().and_then(OsStr::to_str).and_then(|name| self.coco.get(name)) {
            labelled.clone()
        } else {
            return Ok(None);
        };
        let mut items = Vec::with_capacity(labelled.len());
        for (label, bounds) in labelled {
            items.push((ProductId(import.names.intern(&label)?), 1, Some(bounds)));
        }
        Ok(Some(items))
    }

    fn parse_yolo(&self, path: &Path, text: &[u8], photo: &[u8], import: &mut Import<'_>) -> Vec<Labelled> {
        let size = image::ImageReader::new(Cursor::new(photo)).with_guessed_format().ok();
        let Some((width, height)) = size.and_then(|reader| reader.into_dimensions().ok()) else {
            import.fault(path, None, "the photo's size cannot be read, which its boxes are shares of");
            return Vec::new();
        };
        let (width, height) = (f64::from(width), f64::from(height));
        let mut labelled = Vec::new();
        for (number, line) in (1..).zip(String::from_utf8_lossy(text).lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let mut columns = line.split_whitespace();
            let class =
                columns.next().and_then(|class| class.parse().ok()).and_then(|class: usize| self.classes.get(class));
            let shares: Vec<f64> = columns.map_while(|column| column.parse().ok()).collect();
            let (Some(class), &[x, y, w, h, ..]) = (class, shares.as_slice()) else {
                import.fault(path, Some(number), "not the number of a known class and four shares");
                continue;
            };
            let edges = [(x - w / 2.0) * width, (y - h / 2.0) * height, (x + w / 2.0) * width, (y + h / 2.0) * height];
            match bounds(edges) {
                Some(bounds) if !class.is_empty() => labelled.push((class.clone(), bounds)),
                _ => import.fault(path, Some(number), "no box, or no label"),
            }
        }
        labelled
    }
}

/// A box from its edges: left, top, right, bottom. None where they are no numbers or out of order.
fn bounds(edges: [f64; 4]) -> Option<BoundingBox> {
    if !edges.iter().all(|edge| edge.is_finite()) {
        return None;
    }
    // The cast keeps what is out of range at the range's end.
    let [left, top, right, bottom] = edges.map(|edge| edge.round() as u16);
    (left < right && top < bottom).then_some(BoundingBox { left, top, right, bottom })
}

fn parse_tsv(boxes: (&Path, &[u8]), labels: (&Path, &[u8]), import: &mut Import<'_>) -> Vec<Labelled> {
    let text = |(_, bytes): (&Path, &[u8])| String::from_utf8_lossy(bytes).into_owned();
    let (box_text, label_text) = (text(boxes), text(labels));
    let box_lines: Vec<&str> = box_text.lines().filter(|line| !line.trim().is_empty()).collect();
    let label_lines: Vec<&str> = label_text.lines().filter(|line| !line.trim().is_empty()).collect();
    if box_lines.len() != label_lines.len() {
        let detail = format!("{} labels for {} boxes", label_lines.len(), box_lines.len());
        import.fault(labels.0, None, detail);
    }
    let mut labelled = Vec::new();
    for (number, (line, label)) in (1..).zip(box_lines.iter().zip(&label_lines)) {
        let edges: Vec<f64> = line.split_whitespace().map_while(|edge| edge.parse().ok()).collect();
        match <[f64; 4]>::try_from(edges).ok().and_then(bounds) {
            Some(bounds) => labelled.push((label.trim().to_owned(), bounds)),
            None => import.fault(boxes.0, Some(number), "not the four edges of a box"),
        }
    }
    labelled
}

fn parse_voc(text: &[u8]) -> Result<Vec<Labelled>, String> {
    let mut reader = quick_xml::Reader::from_reader(text);
    let (mut path, mut labelled) = (Vec::new(), Vec::new());
    let (mut label, mut edges) = (String::new(), [f64::NAN; 4]);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) => {
                path.push(String::from_utf8_lossy(element.name().as_ref()).into_owned());
                if path.len() == 2 {
                    (label, edges) = (String::new(), [f64::NAN; 4]);
                }
            }
            Event::Text(text) => {
                let text = text.decode().map_err(|error| error.to_string())?;
                let names: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
                match names.as_slice() {
                    ["object", "name"] => label.push_str(text.trim()),
                    ["object", "bndbox", edge] => {
                        let place = ["xmin", "ymin", "xmax", "ymax"].iter().position(|known| known == edge);
                        if let Some(place) = place {
                            edges[place] = text.trim().parse().map_err(|_| format!("{edge} is {text:?}"))?;
                        }
                    }
                    _ => {}
                }
            }
            Event::GeneralRef(entity) => {
                let resolved = entity.decode().map_err(|error| error.to_string())?;
                if path.iter().skip(1).eq(["object", "name"].iter()) {
                    label.push_str(quick_xml::escape::resolve_predefined_entity(&resolved).unwrap_or_default());
                }
            }
            Event::End(_) => {
                if path.len() == 2 && path[1] == "object" {
                    let bounds = bounds(edges).filter(|_| !label.is_empty());
                    labelled.push((std::mem::take(&mut label), bounds.ok_or("an object without name or box")?));
                }
                path.pop();
            }
            Event::Eof if path.is_empty() => return Ok(labelled),
            Event::Eof => return Err("the file breaks off".to_owned()),
            _ => {}
        }
    }
}

fn parse_coco(text: &[u8]) -> Result<BTreeMap<String, Vec<Labelled>>, String> {
    let coco: Coco = serde_json::from_slice(text).map_err(|error| format!("no COCO annotations: {error}"))?;
    let categories: BTreeMap<u64, String> = coco.categories.into_iter().map(|c| (c.id, c.name)).collect();
    let name = |image: &CocoImage| image.file_name.rsplit('/').next().unwrap_or_default().to_owned();
    let photos: BTreeMap<u64, String> = coco.images.iter().map(|image| (image.id, name(image))).collect();
    let mut labelled: BTreeMap<String, Vec<Labelled>> = photos.values().map(|name| (name.clone(), vec![])).collect();
    for annotation in coco.annotations {
        let [left, top, width, height] = annotation.bbox;
        let photo = photos.get(&annotation.image_id).and_then(|name| labelled.get_mut(name));
        let label = categories.get(&annotation.category_id).filter(|label| !label.is_empty());
        let bounds = bounds([left, top, left + width, top + height]);
        match (photo, label, bounds) {
            (Some(photo), Some(label), Some(bounds)) => photo.push((label.clone(), bounds)),
            _ => return Err(format!("an annotation of photo {} without photo, label or box", annotation.image_id)),
        }
    }
    Ok(labelled)
}
