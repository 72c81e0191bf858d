//! The options that make up a vision.

use std::path::{Path, PathBuf};

use clap::Args;
use larder::{
    catalogue::Catalogue,
    config::Config,
    engine::{Cluster, Engine, History, Opening},
    eyes::{Eyes, read_config, read_references, read_scenes},
    lake::Lake,
};
use larder_pipelines::vision::{Scene, VisionConfig};
use larder_records::Names;

/// What vision sees by.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct VisionOptions {
    /// The product database with its reference pictures
    #[arg(long)]
    pub(super) catalogue: Option<PathBuf>,
    /// The folder of scene references (see larder scene learn)
    #[arg(long)]
    pub(super) scenes: Option<PathBuf>,
    /// A TOML file with the parameters of vision
    #[arg(long)]
    pub(super) vision: Option<PathBuf>,
}

impl VisionOptions {
    /// Those of a configuration.
    pub(super) fn of(config: &Config) -> Self {
        Self { catalogue: config.catalogue(), scenes: config.scenes(), vision: config.vision() }
    }

    /// Whether none is given.
    pub(super) fn is_empty(&self) -> bool {
        self.catalogue.is_none() && self.scenes.is_none() && self.vision.is_none()
    }

    /// The catalogue, where one is given, and the vision.
    pub(super) fn open(&self, names: &mut Names) -> anyhow::Result<(Option<Catalogue>, Eyes)> {
        let config = self.vision.as_deref().map_or_else(|| Ok(VisionConfig::default()), read_config)?;
        let catalogue = self.catalogue.as_deref().map(Catalogue::open).transpose()?;
        let scene = self.scenes.as_deref().map_or(Ok(Scene::default()), read_scenes)?;
        let references = read_references(catalogue.as_ref(), &scene, &config, names)?;
        Ok((catalogue, Eyes::new(&config, &scene, &references)))
    }

    /// Opens the lake for taking in events, with the catalogue's products in it.
    pub(super) fn engine(&self, lake: &Path, workers: Cluster, history: History) -> anyhow::Result<Engine> {
        let mut names = Names::default();
        let (catalogue, eyes) = self.open(&mut names)?;
        let engine = Engine::open_with(Lake::open(lake)?, names, Opening { eyes: Some(eyes), workers, history })?;
        with_products(engine, catalogue.as_ref())
    }

    /// The same where pictures are looked at elsewhere.
    pub(super) fn blind_engine(&self, lake: &Path, workers: Cluster, history: History) -> anyhow::Result<Engine> {
        anyhow::ensure!(
            self.scenes.is_none() && self.vision.is_none(),
            "scenes and vision are of no use where a topic carries sightings: larder vision sees by them"
        );
        let catalogue = self.catalogue.as_deref().map(Catalogue::open).transpose()?;
        let opening = Opening { eyes: None, workers, history };
        let engine = Engine::open_with(Lake::open(lake)?, Names::default(), opening)?;
        with_products(engine, catalogue.as_ref())
    }
}

fn with_products(mut engine: Engine, catalogue: Option<&Catalogue>) -> anyhow::Result<Engine> {
    if let Some(catalogue) = catalogue {
        engine.take_catalogue(catalogue)?;
    }
    Ok(engine)
}

/// The digest of a vision, or its beginning.
pub(super) fn digest(text: &str) -> Result<String, String> {
    let text = text.to_lowercase();
    let hexadecimal = text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if hexadecimal && (6..=32).contains(&text.len()) {
        Ok(text)
    } else {
        Err("not the digest of a vision: 32 hexadecimal digits, or the first 6 or more".to_owned())
    }
}
