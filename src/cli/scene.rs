//! `larder scene`: the scene reference of fixed cameras.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Subcommand;
use larder::{
    eyes::write_scene,
    feeds::{Event, Feed as _, Truth, recording::Recording},
};
use larder_pipelines::vision::{Scene as Reference, SceneLearner, VisionConfig};
use larder_records::{ApplianceId, BoundingBox, Frame, Names, Payload, Time};
use serde::Serialize;

use super::output::Output;

/// Learn what fixed cameras see when nothing is there
#[derive(Debug, Subcommand)]
pub(super) enum Scene {
    /// Learn the scene reference from the first images of a recording; the reference is kept under its content hash
    Learn {
        /// An MCAP file
        recording: PathBuf,
        /// Where to keep the reference: FOLDER/HASH.scene
        #[arg(short, long, value_name = "FOLDER", default_value = "scenes")]
        output: PathBuf,
        /// How many images of each camera to learn from
        #[arg(long, default_value_t = 12, value_name = "N")]
        first: usize,
        /// The images show objects; leave out the boxes that a person has drawn around them (the recording's truth)
        #[arg(long)]
        labelled: bool,
    },
}

#[derive(Debug, Serialize)]
struct Learnt {
    path: PathBuf,
    cameras: usize,
    images: usize,
}

impl Scene {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let Self::Learn { recording, output: dir, first, labelled } = self;
        let shots = first_shots(&recording, first, &mut Names::default())?;
        let scene = learn(&shots, labelled)?;
        let path = write_scene(&dir, &scene)?;
        let learnt = Learnt { path, cameras: scene.len(), images: shots.len() };
        output.result(&learnt, |learnt| {
            format!("{}: {} cameras, from {} images", learnt.path.display(), learnt.cameras, learnt.images)
        })
    }
}

/// An image frame and what a person says is in it.
pub(super) struct Shot {
    pub(super) frame: Frame,
    pub(super) truth: Option<Truth>,
}

/// The first `first` images of each camera in a recording, with the truth of the same instant where there is one.
pub(super) fn first_shots(path: &Path, first: usize, names: &mut Names) -> anyhow::Result<Vec<Shot>> {
    let mut recording = Recording::open(path)?;
    let mut counts: HashMap<_, usize> = HashMap::new();
    let mut shots: Vec<Shot> = Vec::new();
    let mut truths: HashMap<(ApplianceId, Time), Truth> = HashMap::new();
    while let Some((_, entry)) = recording.next_entry(names)? {
        match entry {
            Ok(Event::Frame(frame)) if matches!(frame.payload, Payload::Image(_)) => {
                let count = counts.entry((frame.appliance, frame.sensor)).or_insert(0);
                *count += 1;
                if *count <= first {
                    shots.push(Shot { frame, truth: None });
                } else if *count > 2 * first {
                    // a camera that has shown nothing while another shows so many is not waited for
                    break;
                }
            }
            Ok(Event::Truth(truth)) => {
                truths.insert((truth.appliance, truth.time), truth);
            }
            _ => {}
        }
    }
    for shot in &mut shots {
        shot.truth = truths.get(&(shot.frame.appliance, shot.frame.time)).cloned();
    }
    anyhow::ensure!(!shots.is_empty(), "{}: no images", path.display());
    Ok(shots)
}

/// The scene reference from `shots`; with `labelled`, without the boxes of their truth.
pub(super) fn learn(shots: &[Shot], labelled: bool) -> anyhow::Result<Reference> {
    let config = VisionConfig::default();
    let mut learner = SceneLearner::default();
    for Shot { frame, truth } in shots {
        let objects: Vec<BoundingBox> = match truth {
            Some(truth) if labelled => truth.items.iter().filter_map(|(_, _, bounds)| *bounds).collect(),
            _ => Vec::new(),
        };
        learner.push(frame, &objects, &config).context("learning the scene")?;
    }
    Ok(learner.finish(&config))
}
