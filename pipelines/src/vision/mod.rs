//! Vision: from one image frame to what is seen in it.
//!
//! A result is a pure function of the frame's bytes and of the [`Vision::fingerprint`]. Nothing is learnt on the way:
//! the scene reference is made beforehand by a [`SceneLearner`], the pictures of products by [`References::add`].

mod apart;
mod config;
mod detect;
mod error;
mod features;
mod learn;
mod matching;
mod models;
mod references;
mod scene;
mod stages;

use larder_kernels::{ImageGrey16, ImageRgb8, decode, kaze::Finder, median, propose::Proposal};
use larder_records::{
    BoundingBox, Candidate, Digest, Frame, FrameKey, FrameResult, Image, Modality, PPM, Payload, Sighting,
};

use features::PrintScratch;
use matching::{Matcher, Seen};

pub use config::VisionConfig;
pub use error::{SceneError, VisionError};
pub use features::FeatureConfig;
pub use learn::SceneLearner;
pub use models::{DetectorConfig, DetectorKind, EmbeddingConfig, ModelError, Models};
pub use references::References;
pub use scene::Scene;
pub use stages::{Stage, StageTimer};

/// Changes with every change of code that changes results.
pub const KERNEL_VERSION: u32 = 3;

/// Columns of the grid of a depth or infrared frame.
pub const GRID_COLUMNS: u16 = 20;
/// Rows of the grid of a depth or infrared frame.
pub const GRID_ROWS: u16 = 15;

/// Buffers reused from frame to frame. One for each thread; holds nothing that changes a result.
#[derive(Default)]
pub struct Scratch {
    colour: ImageRgb8,
    grey: ImageGrey16,
    values: Vec<u16>,
    detect: detect::DetectScratch,
    prints: PrintScratch,
}

impl Scratch {
    /// What finds local features, at first the CPU: a GPU's may be put in its place, and finds the same.
    pub fn finder_mut(&mut self) -> &mut Finder {
        &mut self.prints.finder
    }
}

/// Vision with all that its results depend on. Share one between threads.
#[derive(Clone, Debug)]
pub struct Vision {
    config: VisionConfig,
    scene: Option<Scene>,
    references: References,
    matcher: Matcher,
    fingerprint: Digest,
}

impl Vision {
    /// Vision by `config`, with the scene reference of the cameras where there is one, and the products to find.
    pub fn new(config: VisionConfig, scene: Option<Scene>, references: References) -> Self {
        let scene_digest = scene.as_ref().map_or_else(Digest::default, Scene::digest);
        let fingerprint = Digest::of_parts([
            b"larder vision".as_slice(),
            &KERNEL_VERSION.to_le_bytes(),
            config.canonical().as_bytes(),
            &scene_digest.0.to_le_bytes(),
            &references.digest().0.to_le_bytes(),
        ]);
        let views = scene.iter().flat_map(Scene::colour_views);
        let matcher = Matcher::new(&references, views.flat_map(|view| &view.negatives), config.chance);
        Self { config, scene, references, matcher, fingerprint }
    }

    /// The digest of everything but the frame that results depend on.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// The scene reference, where there is one.
    pub fn scene(&self) -> Option<&Scene> {
        self.scene.as_ref()
    }

    /// The products that are looked for.
    pub fn references(&self) -> &References {
        &self.references
    }

    /// What is seen in `frame`.
    ///
    /// # Errors
    /// [`VisionError`] where the picture is damaged or too large, or the frame carries none.
    pub fn see(&self, frame: &Frame, scratch: &mut Scratch) -> Result<FrameResult, VisionError> {
        self.see_timed(frame, scratch, &mut ())
    }

    /// [`Vision::see`], telling `timer` as each stage begins.
    ///
    /// # Errors
    /// Those of [`Vision::see`].
    pub fn see_timed(
        &self,
        frame: &Frame,
        scratch: &mut Scratch,
        timer: &mut impl StageTimer,
    ) -> Result<FrameResult, VisionError> {
        let Payload::Image(image) = &frame.payload else { return Err(VisionError::NoPicture(frame.modality)) };
        timer.begin(Stage::Decode);
        let key = FrameKey {
            appliance: frame.appliance,
            sensor: frame.sensor,
            time: frame.time,
            hash: Digest::of(&image.data),
        };
        let mut result = FrameResult {
            key,
            modality: frame.modality,
            fingerprint: self.fingerprint,
            width: 0,
            height: 0,
            sightings: Vec::new(),
            grid: None,
        };
        match frame.modality {
            Modality::Visible => self.see_visible(frame, image, scratch, timer, &mut result)?,
            Modality::Depth | Modality::Infrared => self.see_grey(frame, image, scratch, timer, &mut result)?,
            other => return Err(VisionError::NoPicture(other)),
        }
        result.sightings.sort_by_key(|seen| (seen.bounds.top, seen.bounds.left, seen.bounds.bottom, seen.bounds.right));
        timer.end();
        Ok(result)
    }

    fn see_visible(
        &self,
        frame: &Frame,
        image: &Image,
        scratch: &mut Scratch,
        timer: &mut impl StageTimer,
        result: &mut FrameResult,
    ) -> Result<(), VisionError> {
        decode::decode_rgb8(image, self.config.limits(), &mut scratch.colour)?;
        let picture = &scratch.colour;
        (result.width, result.height) = (picture.bounds().right, picture.bounds().bottom);
        timer.begin(Stage::Normalise);
        let view = match self.scene.as_ref().and_then(|scene| scene.view(frame)) {
            Some(scene::View::Colour(view)) => Some(&**view),
            _ => None,
        };
        scratch.detect.lay_under(picture, view.as_slice(), &self.config);
        timer.begin(Stage::Detect);
        let changed = scratch.detect.changed(&self.config);
        let models = self.references.models();
        let most = picture.bounds().area() * u64::from(self.config.max_area) / u64::from(PPM);
        let mut found = models.detect(picture, &self.config)?;
        // A network also sees the fridge that everything is in.
        found.retain(|found| found.bounds.area() <= most);
        timer.begin(Stage::Describe);
        let around = scratch.detect.surroundings();
        let mut seen: Vec<Seen> = Vec::with_capacity(changed.len() + found.len());
        for Proposal { bounds, filled, mass } in changed {
            let embedding = models.describe(picture, bounds, around)?;
            let sighting = Sighting { detection: filled, embedding, ..empty_sighting(bounds) };
            seen.push(Seen { sighting, filled, mass });
        }
        for found in &found {
            let embedding = models.describe(picture, found.bounds, around)?;
            let sighting = Sighting { detection: found.score, embedding, ..empty_sighting(found.bounds) };
            seen.push(Seen { sighting, filled: PPM, mass: scratch.detect.mass(found.bounds) });
        }
        timer.begin(Stage::Match);
        let negatives = view.map_or(&[][..], |view| &view.negatives);
        for Seen { sighting, filled, .. } in &mut seen {
            sighting.candidates = self.matcher.candidates(&sighting.embedding, *filled, &self.references, negatives);
        }
        result.sightings = matching::select(seen);
        timer.begin(Stage::Verify);
        if let Some(how) = &self.config.features {
            for Sighting { bounds, candidates, .. } in &mut result.sightings {
                if how.asks(candidates) {
                    let prints = |candidate: &Candidate| self.references.prints(candidate.product);
                    scratch.prints.weigh(&scratch.colour, *bounds, how, candidates, prints);
                }
            }
        }
        for sighting in &mut result.sightings {
            let same = found.iter().filter(|found| found.bounds.iou(sighting.bounds) >= PPM / 2);
            for found in same {
                if sighting.classes.iter().all(|class| class.0 != found.class) {
                    sighting.classes.push((found.class, found.score));
                }
            }
        }
        Ok(())
    }

    fn see_grey(
        &self,
        frame: &Frame,
        image: &Image,
        scratch: &mut Scratch,
        timer: &mut impl StageTimer,
        result: &mut FrameResult,
    ) -> Result<(), VisionError> {
        decode::decode_grey16(image, self.config.limits(), &mut scratch.grey)?;
        let picture = &scratch.grey;
        (result.width, result.height) = (picture.bounds().right, picture.bounds().bottom);
        timer.begin(Stage::Describe);
        result.grid = Some(median::median_grid(picture, GRID_COLUMNS, GRID_ROWS, &mut scratch.values));
        let Some(scene::View::Grey(empty)) = self.scene.as_ref().and_then(|scene| scene.view(frame)) else {
            return Ok(());
        };
        timer.begin(Stage::Detect);
        let changed = detect::changed_grey(picture, empty, &self.config, &mut scratch.detect);
        timer.begin(Stage::Describe);
        for Proposal { bounds, filled, .. } in changed {
            let median = median::median_in_box(picture, bounds, &mut scratch.values);
            result.sightings.push(Sighting {
                detection: filled,
                depth_mm: median.filter(|_| frame.modality == Modality::Depth),
                heat_ck: median.filter(|_| frame.modality == Modality::Infrared),
                ..empty_sighting(bounds)
            });
        }
        Ok(())
    }
}

/// A sighting of which nothing is known but where it is.
fn empty_sighting(bounds: BoundingBox) -> Sighting {
    Sighting {
        bounds,
        detection: 0,
        candidates: Vec::new(),
        classes: Vec::new(),
        embedding: Vec::new(),
        depth_mm: None,
        heat_ck: None,
    }
}
