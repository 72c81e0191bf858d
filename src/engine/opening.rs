//! Opening a lake: its inputs into the dataflow, as far as they are to be in memory.

use larder_pipelines::{Batch, Intake};
use larder_records::{DeadLetter, Names};

use super::{
    Cluster, Counts, Engine, EngineError, History, Uncommitted,
    cold::{Cold, Plan},
    loading::{Loaded, Loading},
    seen::Accepted,
    small::Small,
    workers::Workers,
};
use crate::{
    eyes::Eyes,
    lake::{Held, KnownVision, Lake},
};

/// How a lake is opened.
#[derive(Debug)]
pub struct Opening {
    /// What new pictures are seen by; none where they are refused.
    pub eyes: Option<Eyes>,
    /// Who runs the dataflow.
    pub workers: Cluster,
    /// How much of history is held in memory.
    pub history: History,
}

impl Engine {
    /// Opens `lake` and computes its views from the inputs that it holds, on `workers` threads.
    ///
    /// # Errors
    /// [`EngineError`] where the lake cannot be read, or was filled by another vision than `eyes`.
    pub fn open(lake: Lake, names: Names, eyes: Eyes, workers: usize) -> Result<Self, EngineError> {
        Self::open_with(lake, names, Opening { eyes: Some(eyes), workers: workers.into(), history: History::Whole })
    }

    /// Opens `lake` without vision: what was seen before is remembered, whichever vision saw it, and new pictures are refused.
    ///
    /// # Errors
    /// [`EngineError`] where the lake cannot be read.
    pub fn open_blind(lake: Lake, names: Names, workers: usize) -> Result<Self, EngineError> {
        Self::open_with(lake, names, Opening { eyes: None, workers: workers.into(), history: History::Whole })
    }

    /// Opens `lake` as `opening` says.
    ///
    /// # Errors
    /// [`EngineError`] where the lake cannot be read, or was filled by another vision.
    pub fn open_with(lake: Lake, names: Names, opening: Opening) -> Result<Self, EngineError> {
        let Opening { eyes, workers, history } = opening;
        let engine = Self::start(lake, names, eyes, &workers, None, history)?;
        if engine.cold.len() == 0 || engine.cold.is_borne_out_by(&engine.changes) {
            return Ok(engine);
        }
        tracing::warn!(
            "the tables are not what their inputs say, so all of history is held; larder rederive tells what differs"
        );
        let Self { lake, names, eyes, workers: old, .. } = engine;
        drop(old);
        Ok(Self { history, ..Self::start(lake, names, eyes, &workers, None, History::Whole)? })
    }

    /// Whether as much came in as was in memory at first, and more than a million readings and sightings: leaving more of history to
    /// the lake is then worth [opening it anew](Engine::cool).
    pub fn is_crowded(&self) -> bool {
        let (held, taken) = self.held;
        let came = self.counts.readings + self.counts.sightings - taken;
        self.history != History::Whole && came > held.max(1_000_000)
    }

    /// Commits, and opens the lake anew with as much of history in memory as was said at first.
    ///
    /// # Errors
    /// As [`Engine::commit`] and [`Engine::open_with`].
    pub fn cool(mut self) -> Result<Self, EngineError> {
        self.commit()?;
        let Self { lake, names, eyes, workers: old, history, catalogue, counts, .. } = self;
        let workers = old.cluster().clone();
        drop(old);
        let mut engine = Self::open_with(lake, names, Opening { eyes, workers, history })?;
        engine.counts = counts;
        engine.held.1 = counts.readings + counts.sightings;
        catalogue.into_iter().for_each(|product| engine.take_outranking(product));
        tracing::info!(cold = engine.cold.len(), "history is left to the lake");
        Ok(engine)
    }

    /// Opens `lake` with so much of its `history` in memory; where `held` says so, other results hold than the lake's own.
    pub(super) fn start(
        mut lake: Lake,
        mut names: Names,
        eyes: Option<Eyes>,
        workers: &Cluster,
        held: Option<&Held>,
        history: History,
    ) -> Result<Self, EngineError> {
        let mut workers = Workers::start(workers)?;
        let mut intake = Intake::default();
        let small = Small::read(&lake, &mut names)?;
        let batch = small.take(&mut intake);
        let mut plan = Plan::of(&lake, history, &small, &batch, eyes.as_ref(), &mut names)?;
        workers.send(batch)?;
        let days = lake.held(&mut names)?;
        let held = held.unwrap_or(&days);
        let loading = Loading::new(&lake, &mut names, eyes.as_ref(), held, Accepted::of(days.clone()));
        let Loaded { accepted, rows: in_memory, mut changes, subtracted } =
            loading.all(&mut plan, &small, &mut intake, &mut workers)?;
        let dead_letters = lake.read::<DeadLetter>(&mut names)?.into_iter().collect();
        let visions = lake.read::<KnownVision>(&mut names)?.into_iter().collect();

        let first_epoch = lake.last_epoch().map_or(0, |epoch| epoch + 1);
        let (mut cold, stand_ins, reviews) = Cold::begin(plan, &changes, &small.corrections, &lake, &mut names)?;
        if cold.len() > 0 {
            workers.send(stand_ins)?;
            changes.merge(workers.finish_epochs()?);
            workers.send(cold.reviews(reviews, &changes))?;
            changes.merge(workers.finish_epochs()?);
        }
        changes.subtract_beside(&lake, &mut names, &subtracted)?;
        // only now, so that no file is taken away that stands in for history
        lake.keep_in_background()?;
        Ok(Self {
            lake,
            names,
            eyes,
            intake,
            dead_letters,
            accepted,
            visions,
            workers,
            first_epoch,
            committed: None,
            images: Vec::new(),
            history,
            cold,
            held: (in_memory, 0),
            catalogue: Vec::new(),
            thawed_singly: 0,
            waiting_for_thaw: Vec::new(),
            thawed: Batch::default(),
            uncommitted: Uncommitted::default(),
            changes,
            counts: Counts::default(),
        })
    }
}
