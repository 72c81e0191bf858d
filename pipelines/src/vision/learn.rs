//! Learning a scene reference from frames.

use std::collections::BTreeMap;

use larder_kernels::{
    ImageGrey8, ImageGrey16, ImageRgb8, Plane, align::Affine, change::fill_unknown, decode, describe, median,
    propose::Proposal,
};
use larder_records::{ApplianceId, BoundingBox, Frame, Image, Modality, Payload, SensorId};

use super::{
    Scene, VisionConfig, VisionError,
    detect::DetectScratch,
    scene::{ColourView, View, Working},
};

/// Frames kept of a camera.
const MAX_FRAMES: usize = 24;
/// Pixels, at working size, that an object's box is widened by: its shadow and a careless box.
const MARGIN: f32 = 1.0;
/// Pixels, at working size, around an object in which change is still its doing.
const SHADOW_MARGIN: f32 = 3.0;
/// Pictures of a camera that does not move correlate at least so much, in whatever light.
const MIN_FIXED_CORRELATION: f32 = 0.25;
/// Aligning pictures of a camera that does not move gains at most so much correlation: what noise gives.
const MAX_FIXED_GAIN: f32 = 0.01;

/// Learns a [`Scene`] from frames: each pixel is the median of what was seen there. Keeps a bounded number of frames of
/// each camera, spread evenly over all that it is given.
#[derive(Debug, Default)]
pub struct SceneLearner {
    cameras: BTreeMap<(ApplianceId, SensorId), Camera>,
}

#[derive(Debug)]
struct Camera {
    /// Every how many frames one is kept; doubles when too many are.
    stride: usize,
    met: usize,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Colour(Vec<ColourFrame>),
    Grey(Vec<(ImageGrey16, Vec<BoundingBox>)>),
}

#[derive(Debug)]
struct ColourFrame {
    picture: Image,
    working: Working,
    objects: Vec<BoundingBox>,
}

impl Kept {
    fn len(&self) -> usize {
        match self {
            Self::Colour(frames) => frames.len(),
            Self::Grey(frames) => frames.len(),
        }
    }

    fn drop_every_other(&mut self) {
        let mut index = 0;
        let mut even = || {
            index += 1;
            index % 2 == 1
        };
        match self {
            Self::Colour(frames) => frames.retain(|_| even()),
            Self::Grey(frames) => frames.retain(|_| even()),
        }
    }
}

impl SceneLearner {
    /// Takes an image frame; `objects` are boxes known not to be background. Readings are passed over.
    ///
    /// # Errors
    /// [`VisionError`] where the picture cannot be decoded.
    pub fn push(&mut self, frame: &Frame, objects: &[BoundingBox], config: &VisionConfig) -> Result<(), VisionError> {
        let Payload::Image(image) = &frame.payload else { return Ok(()) };
        let visible = frame.modality == Modality::Visible;
        let camera = self.cameras.entry((frame.appliance, frame.sensor)).or_insert_with(|| Camera {
            stride: 1,
            met: 0,
            kept: if visible { Kept::Colour(Vec::new()) } else { Kept::Grey(Vec::new()) },
        });
        let wanted = camera.met.is_multiple_of(camera.stride);
        camera.met += 1;
        if !wanted {
            return Ok(());
        }
        match &mut camera.kept {
            Kept::Colour(frames) if visible => {
                let (mut full, mut working) = (ImageRgb8::default(), Working::default());
                decode::decode_rgb8(image, config.limits(), &mut full)?;
                working.fill(&full);
                frames.push(ColourFrame { picture: image.clone(), working, objects: objects.to_vec() });
            }
            Kept::Grey(frames) if !visible => {
                let mut full = ImageGrey16::default();
                decode::decode_grey16(image, config.limits(), &mut full)?;
                frames.push((full, objects.to_vec()));
            }
            _ => {}
        }
        if camera.kept.len() > MAX_FRAMES {
            camera.stride *= 2;
            camera.kept.drop_every_other();
        }
        Ok(())
    }

    /// The scene of all that was given.
    pub fn finish(self, config: &VisionConfig) -> Scene {
        let views = self.cameras.into_iter().filter_map(|(key, camera)| {
            let view = match camera.kept {
                Kept::Colour(frames) => median_colour(&frames, config),
                Kept::Grey(frames) => median_grey(&frames),
            };
            Some((key, view?))
        });
        Scene { views: views.collect() }
    }
}

/// Whether the point lies in a box widened by `margin`.
fn inside(objects: &[BoundingBox], x: f32, y: f32, margin: f32) -> bool {
    objects.iter().any(|b| {
        x >= f32::from(b.left) - margin
            && x < f32::from(b.right) + margin
            && y >= f32::from(b.top) - margin
            && y < f32::from(b.bottom) + margin
    })
}

/// Aligns every frame to the first, then once more to the median of the first round, and takes the median of the pixels
/// outside objects. Pixels that were never seen empty are filled in from their surroundings.
fn median_colour(frames: &[ColourFrame], config: &VisionConfig) -> Option<View> {
    let first = &frames.first()?.working;
    let mut view = ColourView::new(first.small.clone());
    let fixed = is_fixed(frames, &view);
    for _ in 0..2 {
        let placed: Vec<(&Working, &[BoundingBox], Affine)> = frames
            .iter()
            .filter_map(|frame| {
                let map = if fixed {
                    Affine::IDENTITY
                } else {
                    let found = view.template.align(&frame.working.pyramid)?;
                    (found.correlation >= config.min_correlation()).then_some(found.map)?
                };
                Some((&frame.working, frame.objects.as_slice(), map))
            })
            .collect();
        let mut empty = first.small.clone();
        let mut known = ImageGrey8::new(empty.width(), empty.height());
        let mut values: [Vec<u8>; 3] = Default::default();
        for y in 0..empty.height() {
            for x in 0..empty.width() {
                values.iter_mut().for_each(Vec::clear);
                for (working, objects, map) in &placed {
                    let (px, py) = map.apply(x as f32, y as f32);
                    let (px, py) = (px.round(), py.round());
                    let (width, height) = (working.small.width() as f32, working.small.height() as f32);
                    let factor = working.factor as f32;
                    let middle = |at: f32| (at + 0.5) * factor;
                    if px < 0.0 || py < 0.0 || px >= width || py >= height {
                        continue;
                    }
                    if inside(objects, middle(px), middle(py), MARGIN * factor) {
                        continue;
                    }
                    let pixel = working.small.row(py as usize)[px as usize];
                    values.iter_mut().zip(pixel).for_each(|(values, value)| values.push(value));
                }
                if values[0].is_empty() {
                    continue;
                }
                known.row_mut(y)[x] = 1;
                let middle = values[0].len() / 2;
                empty.row_mut(y)[x] = std::array::from_fn(|c| *values[c].select_nth_unstable(middle).1);
            }
        }
        fill_unknown(&mut empty, &mut known);
        view = ColourView::new(empty);
    }
    view.fixed = fixed;
    view.unrest = unrest(frames, &view, config);
    view.negatives = negatives(frames, &view, config);
    Some(View::Colour(Box::new(view)))
}

/// Whether the camera took all of the frames from one place: none of them fits the first better for being moved. How well
/// they fit says little, for the light may come from another side.
fn is_fixed(frames: &[ColourFrame], first: &ColourView) -> bool {
    frames.len() > 1
        && frames[1..].iter().all(|frame| {
            let size = |picture: &ImageRgb8| (picture.width(), picture.height());
            let rests = first.template.correlation_at_rest(&frame.working.pyramid).unwrap_or(0.0);
            let moved = || first.template.align(&frame.working.pyramid).map_or(0.0, |found| found.correlation);
            size(&frame.working.small) == size(&first.empty)
                && rests >= MIN_FIXED_CORRELATION
                && rests >= moved() - MAX_FIXED_GAIN
        })
}

/// How much each place of the view changes without an object: the most over frames whose objects are known (outside
/// them), the median over others. Without end where at most half of the frames look.
fn unrest(frames: &[ColourFrame], view: &ColourView, config: &VisionConfig) -> ImageGrey8 {
    let mut scratch = DetectScratch::default();
    let mut maps: Vec<ImageGrey8> = Vec::new();
    let mut views = Plane::<u16>::new(view.empty.width(), view.empty.height());
    let labelled = frames.iter().any(|frame| !frame.objects.is_empty());
    for frame in frames {
        scratch.lay_under_small(&frame.working, &[view], config);
        let Some(there) = scratch.map() else { continue };
        let working = &frame.working;
        let mut map = ImageGrey8::new(view.empty.width(), view.empty.height());
        for y in 0..map.height() {
            for (x, (to, views)) in map.row_mut(y).iter_mut().zip(views.row_mut(y)).enumerate() {
                let (px, py) = there.apply(x as f32, y as f32);
                let (px, py) = (px.round(), py.round());
                let (width, height) = (working.small.width() as f32, working.small.height() as f32);
                let factor = working.factor as f32;
                let middle = |at: f32| (at + 0.5) * factor;
                let seen = px >= 0.0 && py >= 0.0 && px < width && py < height;
                *views += u16::from(seen);
                if seen && !inside(&frame.objects, middle(px), middle(py), SHADOW_MARGIN * factor) {
                    *to = scratch.change().row(py as usize)[px as usize];
                }
            }
        }
        maps.push(map);
    }
    let mut out = ImageGrey8::new(view.empty.width(), view.empty.height());
    let mut values = Vec::new();
    for (index, to) in out.pixels_mut().iter_mut().enumerate() {
        values.clear();
        values.extend(maps.iter().map(|map| map.pixels()[index]));
        values.sort_unstable();
        if usize::from(views.pixels()[index]) * 2 <= maps.len() {
            *to = u8::MAX;
            continue;
        }
        *to = if labelled { values.last() } else { values.get(values.len() / 2) }.copied().unwrap_or(0);
    }
    out
}

/// Descriptors of what the detector finds outside the known objects of frames that have some.
fn negatives(frames: &[ColourFrame], view: &ColourView, config: &VisionConfig) -> Vec<Vec<i8>> {
    let (mut scratch, mut full) = (DetectScratch::default(), ImageRgb8::default());
    let mut found = Vec::new();
    for frame in frames.iter().filter(|frame| !frame.objects.is_empty()) {
        // It was decoded before.
        if decode::decode_rgb8(&frame.picture, config.limits(), &mut full).is_err() {
            continue;
        }
        scratch.lay_under(&full, &[view], config);
        for Proposal { bounds, .. } in scratch.changed(config) {
            let shared: u64 = frame.objects.iter().map(|object| object.overlap(bounds)).sum();
            if shared * 10 < bounds.area() {
                found.push(describe::describe(&full, bounds, scratch.surroundings()));
            }
        }
    }
    found
}

fn median_grey(frames: &[(ImageGrey16, Vec<BoundingBox>)]) -> Option<View> {
    let (first, _) = frames.first()?;
    let alike: Vec<_> = frames.iter().filter(|(image, _)| image.bounds() == first.bounds()).collect();
    let mut empty = first.clone();
    let width = first.width();
    let mut values: Vec<u16> = Vec::new();
    for (index, pixel) in empty.pixels_mut().iter_mut().enumerate() {
        values.clear();
        for (image, objects) in &alike {
            if !inside(objects, (index % width) as f32, (index / width) as f32, 0.0) {
                values.push(image.pixels()[index]);
            }
        }
        *pixel = median::median_of_readings(&mut values);
    }
    Some(View::Grey(empty))
}
