//! What vision asks of a frame, on a machine: a batch of frames goes up once, and only results come down.

use larder_records::{BoundingBox, Ppm};

use crate::{
    ImageGrey8, ImageRgb8,
    components::Component,
    features::{BinaryDescriptor, BinaryFeatures},
    kaze::{Akaze, cuda::DeviceAkaze},
    letterbox::{InputFormat, Zoom},
    matching::{Match, MatchParams},
};

use super::{
    Array, Machine,
    matching::{Descriptors, MatchMemory, matches},
    vision::{self, ComponentMemory, Pictures},
};

/// What is looked for in frames.
#[derive(Clone, Debug)]
pub struct FrameParams {
    /// Pixels a row, and rows.
    pub size: (usize, usize),
    /// Frames at a time.
    pub count: usize,
    /// The input of a network, if there is one.
    pub input: Option<InputFormat>,
    /// How far a pixel of the empty scene may be to explain one of the picture ([`crate::change::colour_change`]).
    pub reach: usize,
    /// The change from which a pixel counts.
    pub threshold: u8,
    /// What finds local features, if they are wanted.
    pub features: Option<Akaze>,
    /// Which pairs of a feature and a reference are held to be of one point.
    pub matching: MatchParams,
}

/// What was seen in a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The connected parts that differ from the empty scene, where there is one.
    pub changed: Vec<Component>,
    /// Local features; none where a frame has more than a machine goes through.
    pub features: Option<BinaryFeatures>,
    /// Features (the queries) and the references (the trains) that are held to be of one point, if there are any.
    pub matches: Vec<Match<u32>>,
    /// The input of a network, three planes.
    pub input: Vec<f32>,
}

/// The empty scene on a machine.
struct Scene<M: Machine> {
    empty: Pictures<M, [u8; 3]>,
    known: Pictures<M, u8>,
}

/// What features are matched with, on a machine.
struct References<M: Machine> {
    descriptors: Descriptors<M, BinaryDescriptor>,
    memory: MatchMemory<M>,
}

/// Looks at frames of one size on a machine.
///
/// [`Self::begin`] does not wait: with two of them on two queues of a GPU ([`super::Gpu::fork`]), one batch is copied while the
/// other is worked on.
pub struct FrameBackend<M: Machine> {
    machine: M,
    params: FrameParams,
    frames: Pictures<M, [u8; 3]>,
    scene: Option<Scene<M>>,
    references: Option<References<M>>,
    change: Pictures<M, u8>,
    components: ComponentMemory<M>,
    input: Array<M, f32>,
    features: Option<DeviceAkaze<M>>,
    begun: usize,
}

impl<M: Machine> FrameBackend<M> {
    /// Reserves what frames of that size take.
    ///
    /// # Errors
    /// Where there is not so much memory, or the machine fails.
    ///
    /// # Panics
    /// Where there is nothing to look at, or features are asked of frames with a side below 3 pixels.
    pub fn new(machine: M, params: FrameParams) -> Result<Self, M::Error> {
        let ((width, height), count) = (params.size, params.count);
        assert!(width > 0 && height > 0 && count > 0, "{count} frames of {width} by {height}");
        let frames = Pictures::new(&machine, width, height, count)?;
        let planes = params.input.map_or(0, |format| 3 * format.width * format.height * count);
        let find = |akaze: &Akaze| DeviceAkaze::new(&machine, akaze, width, height, count);
        Ok(Self {
            change: Pictures::new(&machine, width, height, count)?,
            components: ComponentMemory::new(&machine, frames.extent())?,
            input: Array::new(&machine, planes)?,
            features: params.features.as_ref().map(find).transpose()?,
            frames,
            scene: None,
            references: None,
            begun: 0,
            machine,
            params,
        })
    }

    /// From now on frames are compared with `empty` where it is `known`.
    ///
    /// # Errors
    /// Where there is not so much memory, or the machine fails.
    ///
    /// # Panics
    /// Where they are of another size than the frames.
    pub fn set_scene(&mut self, empty: &ImageRgb8, known: &ImageGrey8) -> Result<(), M::Error> {
        assert_eq!((empty.width(), empty.height()), self.params.size, "the scene is of another size");
        let (empty, known) = (Pictures::from(&self.machine, &[empty])?, Pictures::from(&self.machine, &[known])?);
        self.scene = Some(Scene { empty, known });
        Ok(())
    }

    /// From now on features are matched with these; the frames' own descriptors need not come down for that.
    ///
    /// # Errors
    /// Where there is not so much memory, or the machine fails.
    pub fn set_references(&mut self, references: &[BinaryDescriptor]) -> Result<(), M::Error> {
        let descriptors = Descriptors::binary(&self.machine, references)?;
        let memory = MatchMemory::new(&self.machine, 0)?;
        self.references = Some(References { descriptors, memory });
        Ok(())
    }

    /// Of the boxes that a network sees in one frame, those that remain ([`crate::nms::non_maximum_suppression`]).
    ///
    /// # Errors
    /// Where the machine fails.
    pub fn suppress(&self, boxes: &[(BoundingBox, Ppm)], max_iou: Ppm) -> Result<Vec<usize>, M::Error> {
        vision::non_maximum_suppression(&self.machine, boxes, max_iou)
    }

    /// Copies frames to the machine and starts to look at them; does not wait. How the network's input was zoomed, if there is
    /// one.
    ///
    /// # Errors
    /// Where the machine fails.
    ///
    /// # Panics
    /// Where there are more frames than were said, or one is of another size.
    pub fn begin(&mut self, frames: &[&ImageRgb8]) -> Result<Option<Zoom>, M::Error> {
        assert!(frames.len() <= self.params.count, "{} frames at a time", frames.len());
        let machine = &self.machine;
        for (index, frame) in frames.iter().enumerate() {
            self.frames.put(machine, index, frame)?;
        }
        self.begun = frames.len();
        let (width, height) = self.params.size;
        let side = |side: usize| u16::try_from(side).unwrap_or(u16::MAX);
        let all = BoundingBox { left: 0, top: 0, right: side(width), bottom: side(height) };
        let letterbox = |format| vision::letterbox(machine, &self.frames, all, format, &self.input);
        let zoom = self.params.input.map(letterbox).transpose()?;
        if let Some(features) = &self.features {
            vision::grey(machine, &self.frames, features.pictures())?;
            features.begin(machine)?;
        }
        if let Some(Scene { empty, known }) = &self.scene {
            vision::colour_change(machine, &self.frames, empty, known, self.params.reach, &self.change)?;
            self.components.begin(machine, &self.change, self.params.threshold)?;
        }
        Ok(zoom)
    }

    /// Waits for what was begun: what was seen in each frame.
    ///
    /// # Errors
    /// Where the machine fails.
    pub fn finish(&mut self) -> Result<Vec<Seen>, M::Error> {
        let machine = &self.machine;
        let mut seen = vec![Seen::default(); self.begun];
        if self.scene.is_some() {
            let changed = self.components.finish(machine, &self.change, self.params.threshold)?;
            seen.iter_mut().zip(changed).for_each(|(seen, changed)| seen.changed = changed);
        }
        if let Some(features) = &mut self.features
            && let Some(found) = features.finish(machine)?
        {
            for (index, (seen, found)) in seen.iter_mut().zip(found).enumerate() {
                if let Some(References { descriptors, memory }) = &mut self.references {
                    let queries = features.descriptors(index, found.keypoints.len());
                    seen.matches = matches(machine, queries, descriptors.held(), self.params.matching, memory)?;
                }
                seen.features = Some(found);
            }
        }
        let planes = self.input.len() / self.params.count;
        for (index, seen) in seen.iter_mut().enumerate() {
            seen.input.resize(planes, 0.0);
            self.input.get(machine, index * planes, &mut seen.input)?;
        }
        Ok(seen)
    }
}
