//! Whole replays: recordings in, Delta tables out.

#![allow(clippy::unwrap_used)]

mod broken;
mod cold;
mod corrections;
mod force;
mod history;
mod lake;
mod law;
mod oracles;
#[path = "../python/mod.rs"]
mod python;
mod revise;
mod simulated;

use std::path::{Path, PathBuf};

use larder::{
    catalogue::Catalogue,
    engine::{Counts, Engine, Plan, replay},
    eyes::{Eyes, read_references, read_scenes, write_scene},
    feeds::{
        Event, Feed, Merge,
        recording::Recording,
        simulator::{Options, simulate},
    },
    lake::Lake,
};
use larder_pipelines::vision::{Scene, SceneLearner, VisionConfig};
use larder_records::{Digest, Names, Payload};

/// Replays `recordings` into the lake in `lake`.
fn run(recordings: &[PathBuf], lake: &Path, kitchen: Option<&Path>, workers: usize, plan: Plan) -> Counts {
    let mut names = Names::default();
    let eyes = eyes(kitchen, &mut names);
    let mut engine = Engine::open(Lake::open(lake).unwrap(), names, eyes, workers).unwrap();
    let feeds = recordings.iter().map(|path| Box::new(Recording::open(path).unwrap()) as Box<dyn Feed>);
    replay(&mut Merge::new(feeds.collect()), &mut engine, plan, |_| ()).unwrap()
}

/// Vision with what a kitchen has of scenes and products.
fn eyes(kitchen: Option<&Path>, names: &mut Names) -> Eyes {
    let config = VisionConfig::default();
    let scene = kitchen.map_or_else(Scene::default, |kitchen| read_scenes(&kitchen.join("scenes")).unwrap());
    let catalogue = kitchen.map(|kitchen| Catalogue::open(&kitchen.join("catalogue")).unwrap());
    let references = read_references(catalogue.as_ref(), &scene, &config, names).unwrap();
    Eyes::new(&config, &scene, &references)
}

/// The digest of each view of the lake in `lake`.
fn digests(lake: &Path) -> Vec<(String, u64, Digest)> {
    Lake::open(lake).unwrap().digest().unwrap()
}

/// A simulated kitchen with its scene references learnt from the first pictures of each camera.
fn kitchen(appliances: u32, days: u32) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    simulate(&Options { appliances, days, seed: 5, output: dir.path().to_owned() }, &|_| ()).unwrap();
    let mut recordings: Vec<PathBuf> =
        std::fs::read_dir(dir.path().join("feeds")).unwrap().map(|file| file.unwrap().path()).collect();
    recordings.sort();
    let config = VisionConfig::default();
    for path in &recordings {
        let mut recording = Recording::open(path).unwrap();
        let (mut names, mut learner, mut left) = (Names::default(), SceneLearner::default(), 18);
        while let Some((_, entry)) = recording.next_entry(&mut names).unwrap() {
            if let Ok(Event::Frame(frame)) = entry
                && matches!(frame.payload, Payload::Image(_))
            {
                learner.push(&frame, &[], &config).unwrap();
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        write_scene(&dir.path().join("scenes"), &learner.finish(&config)).unwrap();
    }
    (dir, recordings)
}
