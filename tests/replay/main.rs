//! Whole replays: recordings in, Delta tables out.

#![allow(clippy::unwrap_used)]

mod broken;
mod law;
mod oracles;

use std::path::{Path, PathBuf};

use larder::{
    catalogue::Catalogue,
    engine::{Counts, Engine, Plan, replay},
    eyes::{Eyes, read_references, read_scenes},
    feeds::{Feed, Merge, recording::Recording},
    lake::Lake,
};
use larder_pipelines::vision::{Scene, VisionConfig};
use larder_records::{Digest, Names};

/// Replays `recordings` into the lake in `lake`.
fn run(recordings: &[PathBuf], lake: &Path, kitchen: Option<&Path>, workers: usize, plan: Plan) -> Counts {
    let mut names = Names::default();
    let config = VisionConfig::default();
    let scene = kitchen.map_or_else(Scene::default, |kitchen| read_scenes(&kitchen.join("scenes")).unwrap());
    let catalogue = kitchen.map(|kitchen| Catalogue::open(&kitchen.join("catalogue")).unwrap());
    let references = read_references(catalogue.as_ref(), &scene, &config, &mut names).unwrap();
    let eyes = Eyes::new(&config, &scene, &references);
    let mut engine = Engine::open(Lake::open(lake).unwrap(), names, eyes, workers).unwrap();
    let feeds = recordings.iter().map(|path| Box::new(Recording::open(path).unwrap()) as Box<dyn Feed>);
    replay(&mut Merge::new(feeds.collect()), &mut engine, plan, |_| ()).unwrap()
}

/// The digest of each view of the lake in `lake`.
fn digests(lake: &Path) -> Vec<(String, u64, Digest)> {
    Lake::open(lake).unwrap().digest().unwrap()
}
