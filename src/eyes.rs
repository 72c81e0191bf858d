//! Vision for every appliance, by its own scene reference.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use larder_kernels::simd::{self, InstructionSet};
use larder_pipelines::vision::{
    ModelError, Models, References, Scene, SceneError, Scratch, Vision, VisionConfig, VisionError,
};
use larder_records::{ApplianceId, DeadReason, Digest, Frame, FrameResult, Image, ImageEncoding, Names, Position};
use rayon::prelude::*;

use crate::{
    catalogue::{Catalogue, CatalogueError, Reference},
    gpu,
};

/// Why vision cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EyesError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The parameters are not what they should be.
    #[error("{path}: {source}")]
    Config {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// A scene reference is damaged.
    #[error("{path}: {source}")]
    Scene {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: SceneError,
    },
    /// A reference picture cannot be used.
    #[error("{path}: {source}")]
    Reference {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: VisionError,
    },
    /// A network that the parameters name cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The catalogue cannot be used.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// Vision for every appliance.
///
/// Each appliance that a scene reference knows sees by that reference alone, so that a new appliance changes no other's
/// fingerprint; the rest see by none.
#[derive(Debug)]
pub struct Eyes {
    by_appliance: HashMap<ApplianceId, Vision>,
    others: Vision,
    name: Digest,
    asks_features: bool,
}

impl Eyes {
    /// Vision by `config`, the scene references in `scene`, and the products' `references`.
    pub fn new(config: &VisionConfig, scene: &Scene, references: &References) -> Self {
        let vision = |(appliance, scene)| (appliance, Vision::new(config.clone(), Some(scene), references.clone()));
        let by_appliance: HashMap<_, _> = scene.by_appliance().into_iter().map(vision).collect();
        let others = Vision::new(config.clone(), None, references.clone());
        let mut parts: Vec<_> = by_appliance.iter().map(|(id, vision)| (id.0.0, vision.fingerprint())).collect();
        parts.sort_unstable();
        let parts = parts.iter().map(|(id, vision)| [id.to_le_bytes().as_slice(), &vision.0.to_le_bytes()].concat());
        let parts: Vec<Vec<u8>> = [others.fingerprint().0.to_le_bytes().to_vec()].into_iter().chain(parts).collect();
        let name = Digest::of_parts(parts.iter().map(Vec::as_slice));
        Self { by_appliance, others, name, asks_features: config.features.is_some() }
    }

    fn of(&self, appliance: ApplianceId) -> &Vision {
        self.by_appliance.get(&appliance).unwrap_or(&self.others)
    }

    /// What all this together is called: the digest of every appliance's fingerprint.
    pub fn name(&self) -> Digest {
        self.name
    }

    /// What the results for the appliance's frames depend on beside the frame.
    pub fn fingerprint(&self, appliance: ApplianceId) -> Digest {
        self.of(appliance).fingerprint()
    }

    /// What is seen in `frame`.
    ///
    /// # Errors
    /// [`VisionError`] where the picture is damaged or too large.
    pub fn see(&self, frame: &Frame, scratch: &mut Scratch) -> Result<FrameResult, VisionError> {
        let vision = self.of(frame.appliance);
        if !self.asks_features {
            return vision.see(frame, scratch);
        }
        // Boxes to come are without number.
        gpu::with_finder(usize::MAX, |finder| {
            std::mem::swap(finder, scratch.finder_mut());
            let seen = vision.see(frame, scratch);
            std::mem::swap(finder, scratch.finder_mut());
            seen
        })
    }

    /// What vision runs on: `CPU (AVX-512, 2 threads)`, or where it asks for local features and there is a GPU that has not failed,
    /// `CPU (AVX-512, 2 threads), local features on GPU NAME`.
    pub fn backend(&self) -> String {
        let cpu = format!("CPU ({}, {} threads)", vectors(simd::used()), rayon::current_num_threads());
        match self.asks_features.then(gpu::name) {
            Some(Ok(name)) => format!("{cpu}, local features on GPU {name}"),
            _ => cpu,
        }
    }
}

/// What `eyes` see in the images, in order, on every core; or why nothing can be seen.
pub fn see_all(eyes: Option<&Eyes>, images: &[(Position, Frame)]) -> Vec<Result<FrameResult, (DeadReason, String)>> {
    let look = |scratch: &mut Scratch, frame: &Frame| match eyes {
        Some(eyes) => eyes.see(frame, scratch).map_err(|error| (error.reason(), error.to_string())),
        None => Err((DeadReason::UnknownSchema, "there is no vision to see pictures with".to_owned())),
    };
    images.par_iter().map_init(Scratch::default, |scratch, (_, frame)| look(scratch, frame)).collect()
}

/// The instruction set that loops over pixels are run on, in words.
pub fn vectors(set: InstructionSet) -> &'static str {
    match set {
        InstructionSet::Avx512 => "AVX-512",
        InstructionSet::Avx2 => "AVX2",
        InstructionSet::Portable => "no wide vectors that are used",
    }
}

/// Reads the parameters of vision from a TOML file; what it leaves out keeps its default.
///
/// # Errors
/// [`EyesError`] naming the file, and the line that is wrong.
pub fn read_config(path: &Path) -> Result<VisionConfig, EyesError> {
    let text = fs::read_to_string(path).map_err(|source| EyesError::Io { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|source| EyesError::Config { path: path.to_owned(), source: Box::new(source) })
}

/// Reads every scene reference (`*.scene`) in `dir`, by file name, as one; an absent folder has none.
///
/// # Errors
/// [`EyesError`] naming the file that cannot be read.
pub fn read_scenes(dir: &Path) -> Result<Scene, EyesError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| EyesError::Io { path, source }
    };
    if !dir.exists() {
        return Ok(Scene::default());
    }
    let mut paths = Vec::new();
    for file in fs::read_dir(dir).map_err(at(dir))? {
        let path = file.map_err(at(dir))?.path();
        if path.extension().is_some_and(|kind| kind == "scene") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut scenes = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).map_err(at(&path))?;
        scenes.push(Scene::from_bytes(&bytes).map_err(|source| EyesError::Scene { path, source })?);
    }
    Ok(Scene::together(scenes))
}

/// Keeps `scene` in `dir` under its content hash; returns the path.
///
/// # Errors
/// [`EyesError::Io`].
pub fn write_scene(dir: &Path, scene: &Scene) -> Result<PathBuf, EyesError> {
    let path = dir.join(format!("{}.scene", scene.digest()));
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(&path, scene.to_bytes()))
        .map_err(|source| EyesError::Io { path: path.clone(), source })?;
    Ok(path)
}

/// Loads the networks that `config` names and describes every reference picture of `catalogue` by them, those that show a
/// view of `scene` by the light of that view. No catalogue, no products.
///
/// # Errors
/// [`EyesError`] naming the picture or network that cannot be read.
pub fn read_references(
    catalogue: Option<&Catalogue>,
    scene: &Scene,
    config: &VisionConfig,
    names: &mut Names,
) -> Result<References, EyesError> {
    let models = Models::load(config, |file| fs::read(file))?;
    let mut references = References::with_models(models);
    let Some(catalogue) = catalogue else { return Ok(references) };
    let pixels = if config.features.is_some() { usize::MAX } else { 0 };
    gpu::with_finder(pixels, |finder| {
        for entry in catalogue.products() {
            let product = entry.product(names).map_err(CatalogueError::from)?.id;
            for Reference { picture: path, bounds } in catalogue.references(&entry.sku)? {
                let data = fs::read(&path).map_err(|source| EyesError::Io { path: path.clone(), source })?;
                references
                    .add(product, &picture(data), bounds, Some(scene), config, finder)
                    .map_err(|source| EyesError::Reference { path, source })?;
            }
        }
        Ok(references)
    })
}

/// The bytes of a picture file; what begins as no picture is left to the JPEG decoder to refuse.
pub fn picture(data: Vec<u8>) -> Image {
    let encoding = ImageEncoding::of_file(&data).unwrap_or(ImageEncoding::Jpeg);
    Image { encoding, data: data.into() }
}
