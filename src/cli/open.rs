//! What several commands open alike.

use std::path::Path;

use larder::{
    catalogue::Catalogue,
    engine::Engine,
    eyes::{Eyes, read_references, read_scenes},
    lake::Lake,
};
use larder_pipelines::vision::{Scene, VisionConfig};
use larder_records::Names;

/// What vision goes by; what is left out is none, or the default.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sight<'a> {
    /// The product database with its reference pictures.
    pub(super) catalogue: Option<&'a Path>,
    /// The folder of scene references.
    pub(super) scenes: Option<&'a Path>,
    /// A TOML file with the parameters.
    pub(super) vision: Option<&'a Path>,
}

/// Opens the lake for taking in events, with the catalogue's products in it.
pub(super) fn engine(lake: &Path, sight: Sight<'_>, workers: usize) -> anyhow::Result<Engine> {
    let mut names = Names::default();
    let config = sight.vision.map_or_else(|| Ok(VisionConfig::default()), larder::eyes::read_config)?;
    let catalogue = sight.catalogue.map(Catalogue::open).transpose()?;
    let scene = sight.scenes.map_or_else(|| Ok(Scene::default()), read_scenes)?;
    let references = read_references(catalogue.as_ref(), &scene, &config, &mut names)?;
    let eyes = Eyes::new(&config, &scene, &references);
    let mut engine = Engine::open(Lake::open(lake)?, names, eyes, workers)?;
    if let Some(catalogue) = &catalogue {
        engine.take_catalogue(catalogue)?;
    }
    Ok(engine)
}
