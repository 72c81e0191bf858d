//! The scene reference: what the cameras see when nothing is there.

use std::collections::BTreeMap;

use larder_kernels::{
    ImageGrey8, ImageGrey16, ImageRgb8, Plane,
    align::{Pyramid, Template},
    opponent::OpponentImage,
    resize::shrink,
};
use larder_records::{ApplianceId, Digest, Frame, Modality, Name, SensorId};

use super::SceneError;

/// Longer side, in pixels, that colour pictures are compared at.
const WORKING_SIDE: usize = 333;

/// By what whole factor a colour picture is made smaller before it is compared with a scene.
pub(super) fn working_factor(picture: &ImageRgb8) -> usize {
    let side = picture.width().max(picture.height());
    ((side + WORKING_SIDE / 2) / WORKING_SIDE).max(1)
}

/// A colour picture at the size that it is compared at, and what aligning it needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Working {
    pub(super) factor: usize,
    pub(super) small: ImageRgb8,
    pub(super) colours: OpponentImage,
    pub(super) pyramid: Pyramid,
}

impl Working {
    pub(super) fn fill(&mut self, picture: &ImageRgb8) {
        self.factor = working_factor(picture);
        shrink(picture, self.factor, &mut self.small);
        self.prepare();
    }

    /// Brings colours and pyramid up to date with `small`.
    pub(super) fn prepare(&mut self) {
        self.colours.fill(&self.small);
        self.pyramid.fill(&self.colours.luma);
    }
}

/// The empty view of a visible camera, at working size.
#[derive(Clone, Debug)]
pub(super) struct ColourView {
    pub(super) empty: ImageRgb8,
    pub(super) template: Template,
    /// How much each place differs from the empty view without an object: what is measured beyond this is change.
    pub(super) unrest: ImageGrey8,
    /// Descriptors of what changes there without being an object: shadows, reflections.
    pub(super) negatives: Vec<Vec<i8>>,
    /// Whether the camera never moves: its pictures then need no alignment, however full they are.
    pub(super) fixed: bool,
}

impl ColourView {
    /// A view that is at rest everywhere.
    pub(super) fn new(empty: ImageRgb8) -> Self {
        let unrest = ImageGrey8::new(empty.width(), empty.height());
        let mut working = Working { factor: 1, small: empty, ..Working::default() };
        working.prepare();
        Self {
            template: Template::new(&working.pyramid),
            empty: working.small,
            unrest,
            negatives: Vec::new(),
            fixed: false,
        }
    }
}

/// The empty view of one camera.
#[derive(Clone, Debug)]
pub(super) enum View {
    /// Of a visible camera.
    Colour(Box<ColourView>),
    /// Of a depth or infrared camera; 0 where nothing is known.
    Grey(ImageGrey16),
}

/// The scene references of the cameras of a recording: an artifact under its content hash.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    pub(super) views: BTreeMap<(ApplianceId, SensorId), View>,
}

const MAGIC: &[u8; 8] = b"larscn02";

impl Scene {
    /// The number of cameras known.
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether no camera is known.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// The cameras of all of `scenes`; of two views of one camera the later holds.
    pub fn together(scenes: impl IntoIterator<Item = Self>) -> Self {
        Self { views: scenes.into_iter().flat_map(|scene| scene.views).collect() }
    }

    /// A scene for each appliance, with its cameras alone.
    pub fn by_appliance(&self) -> BTreeMap<ApplianceId, Self> {
        let mut scenes: BTreeMap<ApplianceId, Self> = BTreeMap::new();
        for ((appliance, sensor), view) in &self.views {
            scenes.entry(*appliance).or_default().views.insert((*appliance, *sensor), view.clone());
        }
        scenes
    }

    /// The view of the frame's camera; else, where only one camera of its kind is known, that one.
    pub(super) fn view(&self, frame: &Frame) -> Option<&View> {
        let fits = |view: &&View| (frame.modality == Modality::Visible) == matches!(view, View::Colour(_));
        self.views.get(&(frame.appliance, frame.sensor)).filter(fits).or_else(|| {
            let mut alike = self.views.values().filter(fits);
            alike.next().filter(|_| alike.next().is_none())
        })
    }

    /// The views of every visible camera.
    pub(super) fn colour_views(&self) -> Vec<&ColourView> {
        self.views
            .values()
            .filter_map(|view| if let View::Colour(view) = view { Some(&**view) } else { None })
            .collect()
    }

    /// The artifact: `larscn02`, then for each camera the ids of its appliance and sensor (u64), its kind (u8: 0 colour,
    /// 1 16-bit grey), width and height (u32), pixels (3 or 2 bytes each) and, for colour, whether it is fixed (u8), the unrest of
    /// each pixel (1 byte) and the number of descriptors of
    /// what is no object (u32), each with its length (u32) before it; all little-endian. Equal scenes give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for ((appliance, sensor), view) in &self.views {
            out.extend_from_slice(&appliance.0.0.to_le_bytes());
            out.extend_from_slice(&sensor.0.0.to_le_bytes());
            let (kind, width, height) = match view {
                View::Colour(view) => (0_u8, view.empty.width(), view.empty.height()),
                View::Grey(image) => (1, image.width(), image.height()),
            };
            out.push(kind);
            for count in [width, height] {
                out.extend_from_slice(&(count as u32).to_le_bytes());
            }
            match view {
                View::Colour(view) => {
                    out.extend_from_slice(view.empty.pixels().as_flattened());
                    out.push(u8::from(view.fixed));
                    out.extend_from_slice(view.unrest.pixels());
                    out.extend_from_slice(&(view.negatives.len() as u32).to_le_bytes());
                    for negative in &view.negatives {
                        out.extend_from_slice(&(negative.len() as u32).to_le_bytes());
                        out.extend(negative.iter().map(|component| component.cast_unsigned()));
                    }
                }
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
        let mut reader = Reader(bytes.strip_prefix(MAGIC).ok_or(SceneError::Malformed("it begins otherwise"))?);
        let mut views = BTreeMap::new();
        while !reader.0.is_empty() {
            let key = (ApplianceId(Name(reader.u64()?)), SensorId(Name(reader.u64()?)));
            let kind = reader.take(1)?[0];
            let (width, height) = (reader.u32()?, reader.u32()?);
            let pixels = width.checked_mul(height).ok_or(SceneError::Malformed("its size"))?;
            let view = match kind {
                0 => {
                    let data = reader.take(pixels.saturating_mul(3))?.as_chunks::<3>().0.to_vec();
                    let mut view = Plane::from_pixels(width, height, data).map(ColourView::new);
                    let fixed = reader.take(1)?[0] != 0;
                    view.iter_mut().for_each(|view| view.fixed = fixed);
                    let unrest = reader.take(pixels)?;
                    view.iter_mut().for_each(|view| view.unrest.pixels_mut().copy_from_slice(unrest));
                    for _ in 0..reader.u32()? {
                        let length = reader.u32()?;
                        let negative = reader.take(length)?.iter().map(|byte| byte.cast_signed()).collect();
                        view.iter_mut().for_each(|view| view.negatives.push(Vec::clone(&negative)));
                    }
                    view.map(|view| View::Colour(Box::new(view)))
                }
                1 => {
                    let data = reader.take(pixels.saturating_mul(2))?.as_chunks::<2>().0;
                    let pixels = data.iter().map(|&pair| u16::from_le_bytes(pair)).collect();
                    Plane::from_pixels(width, height, pixels).map(View::Grey)
                }
                _ => None,
            };
            views.insert(key, view.ok_or(SceneError::Malformed("an unknown kind of view"))?);
        }
        Ok(Self { views })
    }

    /// The content hash.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }
}

/// The bytes not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], SceneError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(SceneError::Malformed("it is cut short"))?;
        self.0 = tail;
        Ok(head)
    }

    fn u32(&mut self) -> Result<usize, SceneError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(std::array::from_fn(|i| bytes[i])) as usize)
    }

    fn u64(&mut self) -> Result<u64, SceneError> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(std::array::from_fn(|i| bytes[i])))
    }
}
