//! The scene reference: what the cameras see when nothing is there.

use std::collections::BTreeMap;

use larder_kernels::{
    ImageGrey8, ImageGrey16, ImageRgb8, Plane,
    components::{ComponentScratch, components},
    decode, morphology,
    resize::shrink,
};
use larder_records::{ApplianceId, BoundingBox, Digest, Frame, Modality, Name, PPM, Payload, Ppm, SensorId};

use super::{SceneError, VisionConfig, VisionError};

/// Buffers reused from frame to frame.
#[derive(Debug, Default)]
pub(super) struct SceneScratch {
    small: ImageRgb8,
    mask: ImageGrey8,
    other: ImageGrey8,
}

/// The empty view of one camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Of a visible camera, made smaller by [`COLOUR_FACTOR`].
    Colour(ImageRgb8),
    /// Of a depth or infrared camera; 0 where nothing is known.
    Grey(ImageGrey16),
}

/// The scene references of the cameras of a recording: an artifact under its content hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    views: BTreeMap<(ApplianceId, SensorId), View>,
}

const MAGIC: &[u8; 8] = b"larscn01";
const COLOUR_FACTOR: usize = 4;
const MAX_FRAMES: usize = 24;

impl Scene {
    /// The number of cameras known.
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether no camera is known.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// The view of the frame's camera; else, where only one camera of its kind is known, that one.
    pub(super) fn view(&self, frame: &Frame) -> Option<&View> {
        let fits = |view: &&View| (frame.modality == Modality::Visible) == matches!(view, View::Colour(_));
        self.views.get(&(frame.appliance, frame.sensor)).filter(fits).or_else(|| {
            let mut alike = self.views.values().filter(fits);
            alike.next().filter(|_| alike.next().is_none())
        })
    }

    /// The artifact. Equal scenes give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for ((appliance, sensor), view) in &self.views {
            out.extend_from_slice(&appliance.0.0.to_le_bytes());
            out.extend_from_slice(&sensor.0.0.to_le_bytes());
            let (kind, width, height) = match view {
                View::Colour(image) => (0_u8, image.width(), image.height()),
                View::Grey(image) => (1, image.width(), image.height()),
            };
            out.push(kind);
            out.extend_from_slice(&(width as u32).to_le_bytes());
            out.extend_from_slice(&(height as u32).to_le_bytes());
            match view {
                View::Colour(image) => out.extend_from_slice(image.pixels().as_flattened()),
                View::Grey(image) => out.extend(image.pixels().iter().flat_map(|pixel| pixel.to_le_bytes())),
            }
        }
        out
    }

    /// Reads what [`Scene::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`SceneError`] where the bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SceneError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(SceneError::Malformed("it begins otherwise"))?;
        let mut take = |count: usize| {
            let (head, tail) = rest.split_at_checked(count).ok_or(SceneError::Malformed("it is cut short"))?;
            rest = tail;
            Ok::<_, SceneError>((head, tail.is_empty()))
        };
        let mut views = BTreeMap::new();
        let mut done = bytes.len() == MAGIC.len();
        while !done {
            let (head, _) = take(25)?;
            let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
            let size = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| head[at + i])) as usize;
            let (width, height) = (size(17), size(21));
            let pixels = width.checked_mul(height).filter(|&n| n < 1 << 28).ok_or(SceneError::Malformed("its size"))?;
            let view = match head[16] {
                0 => {
                    let (data, end) = take(pixels * 3)?;
                    done = end;
                    Plane::from_pixels(width, height, data.as_chunks::<3>().0.to_vec()).map(View::Colour)
                }
                1 => {
                    let (data, end) = take(pixels * 2)?;
                    done = end;
                    let pixels = data.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)).collect();
                    Plane::from_pixels(width, height, pixels).map(View::Grey)
                }
                _ => None,
            };
            let view = view.ok_or(SceneError::Malformed("an unknown kind of view"))?;
            views.insert((ApplianceId(Name(number(0))), SensorId(Name(number(8)))), view);
        }
        Ok(Self { views })
    }

    /// The content hash.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }
}

/// Learns a [`Scene`] from frames. Keeps a bounded number of frames of each camera, spread evenly over all that it is
/// given.
#[derive(Debug, Default)]
pub struct SceneLearner {
    cameras: BTreeMap<(ApplianceId, SensorId), Camera>,
}

#[derive(Debug)]
struct Camera {
    visible: bool,
    /// Every how many frames one is kept; doubles when too many are.
    stride: usize,
    met: usize,
    colour: Vec<(ImageRgb8, Vec<BoundingBox>)>,
    grey: Vec<(ImageGrey16, Vec<BoundingBox>)>,
}

impl SceneLearner {
    /// Takes an image frame; `objects` are boxes known not to be background. Frames without a picture are passed over.
    ///
    /// # Errors
    /// [`VisionError`] where the picture cannot be decoded.
    pub fn push(&mut self, frame: &Frame, objects: &[BoundingBox], config: &VisionConfig) -> Result<(), VisionError> {
        let Payload::Image(image) = &frame.payload else { return Ok(()) };
        let visible = frame.modality == Modality::Visible;
        let camera = self.cameras.entry((frame.appliance, frame.sensor)).or_insert_with(|| Camera {
            visible,
            stride: 1,
            met: 0,
            colour: Vec::new(),
            grey: Vec::new(),
        });
        if visible != camera.visible {
            return Ok(());
        }
        let keep = camera.met.is_multiple_of(camera.stride);
        camera.met += 1;
        if !keep {
            return Ok(());
        }
        if visible {
            let (mut full, mut small) = (ImageRgb8::default(), ImageRgb8::default());
            decode::decode_rgb8(image, config.limits(), &mut full)?;
            shrink(&full, COLOUR_FACTOR, &mut small);
            camera.colour.push((small, objects.to_vec()));
        } else {
            let mut full = ImageGrey16::default();
            decode::decode_grey16(image, config.limits(), &mut full)?;
            camera.grey.push((full, objects.to_vec()));
        }
        if camera.colour.len().max(camera.grey.len()) > MAX_FRAMES {
            camera.stride *= 2;
            let mut index = 0;
            let mut even = || {
                index += 1;
                index % 2 == 1
            };
            camera.colour.retain(|_| even());
            camera.grey.retain(|_| even());
        }
        Ok(())
    }

    /// The scene of all that was given.
    pub fn finish(self) -> Scene {
        let views = self.cameras.into_iter().filter_map(|(key, camera)| {
            let view = if camera.visible { median_colour(&camera.colour) } else { median_grey(&camera.grey) };
            Some((key, view?))
        });
        Scene { views: views.collect() }
    }
}

fn inside(objects: &[BoundingBox], x: usize, y: usize) -> bool {
    objects.iter().any(|b| {
        (usize::from(b.left)..usize::from(b.right)).contains(&x)
            && (usize::from(b.top)..usize::from(b.bottom)).contains(&y)
    })
}

fn median_colour(frames: &[(ImageRgb8, Vec<BoundingBox>)]) -> Option<View> {
    let (first, _) = frames.first()?;
    let mut out = first.clone();
    let width = first.width();
    let mut values: Vec<u8> = Vec::new();
    for (index, pixel) in out.pixels_mut().iter_mut().enumerate() {
        let (x, y) = (index % width, index / width);
        for (channel, value) in pixel.iter_mut().enumerate() {
            values.clear();
            for (image, objects) in frames.iter().filter(|(image, _)| image.bounds() == first.bounds()) {
                if !inside(objects, x * COLOUR_FACTOR, y * COLOUR_FACTOR) {
                    values.push(image.pixels()[index][channel]);
                }
            }
            if !values.is_empty() {
                let middle = (values.len() - 1) / 2;
                *value = *values.select_nth_unstable(middle).1;
            }
        }
    }
    Some(View::Colour(out))
}

fn median_grey(frames: &[(ImageGrey16, Vec<BoundingBox>)]) -> Option<View> {
    let (first, _) = frames.first()?;
    let mut out = first.clone();
    let width = first.width();
    let mut values: Vec<u16> = Vec::new();
    for (index, pixel) in out.pixels_mut().iter_mut().enumerate() {
        values.clear();
        for (image, objects) in frames.iter().filter(|(image, _)| image.bounds() == first.bounds()) {
            if !inside(objects, index % width, index / width) {
                values.push(image.pixels()[index]);
            }
        }
        *pixel = larder_kernels::median::median_of_readings(&mut values);
    }
    Some(View::Grey(out))
}

impl View {
    /// Boxes of a colour picture that differ from the view.
    pub(super) fn changed_colour(
        &self,
        picture: &ImageRgb8,
        config: &VisionConfig,
        scratch: &mut SceneScratch,
        labels: &mut ComponentScratch,
    ) -> Vec<(BoundingBox, Ppm)> {
        let Self::Colour(empty) = self else { return Vec::new() };
        shrink(picture, COLOUR_FACTOR, &mut scratch.small);
        if scratch.small.bounds() != empty.bounds() {
            return Vec::new();
        }
        scratch.mask.reshape(empty.width(), empty.height());
        for ((to, now), then) in scratch.mask.pixels_mut().iter_mut().zip(scratch.small.pixels()).zip(empty.pixels()) {
            let differs = now.iter().zip(then).any(|(&a, &b)| a.abs_diff(b) > config.colour_change);
            *to = u8::from(differs);
        }
        boxes(scratch, config, labels, COLOUR_FACTOR as u16)
    }

    /// Boxes of a 16-bit picture that differ from the view.
    pub(super) fn changed_grey(
        &self,
        picture: &ImageGrey16,
        config: &VisionConfig,
        scratch: &mut SceneScratch,
        labels: &mut ComponentScratch,
    ) -> Vec<(BoundingBox, Ppm)> {
        let Self::Grey(empty) = self else { return Vec::new() };
        if picture.bounds() != empty.bounds() {
            return Vec::new();
        }
        scratch.mask.reshape(empty.width(), empty.height());
        for ((to, &now), &then) in scratch.mask.pixels_mut().iter_mut().zip(picture.pixels()).zip(empty.pixels()) {
            *to = u8::from(now != 0 && then != 0 && now.abs_diff(then) > config.grey_change);
        }
        boxes(scratch, config, labels, 1)
    }
}

fn boxes(
    scratch: &mut SceneScratch,
    config: &VisionConfig,
    labels: &mut ComponentScratch,
    factor: u16,
) -> Vec<(BoundingBox, Ppm)> {
    morphology::open(&mut scratch.mask, 1, &mut scratch.other);
    morphology::close(&mut scratch.mask, 1, &mut scratch.other);
    let least = scratch.mask.pixels().len() as u64 * u64::from(config.min_area) / u64::from(PPM);
    components(&scratch.mask, labels)
        .into_iter()
        .filter(|component| u64::from(component.area) >= least)
        .map(|component| {
            let b = component.bounds;
            let filled = u64::from(component.area) * u64::from(PPM) / b.area().max(1);
            let scaled = BoundingBox {
                left: b.left.saturating_mul(factor),
                top: b.top.saturating_mul(factor),
                right: b.right.saturating_mul(factor),
                bottom: b.bottom.saturating_mul(factor),
            };
            (scaled, filled as Ppm)
        })
        .collect()
}
