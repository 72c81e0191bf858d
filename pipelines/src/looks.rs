//! From frames to looks: what each picture that a visit left behind shows, product by product.

use std::{cmp::Reverse, sync::Arc};

use larder_operators::{
    ByKey, Level, Levels, Rows, Window, grouped, last_frames,
    occlusion::{Item, Look},
    or_default,
};
use larder_records::{
    Amendment, Appliance, ApplianceId, BoundingBox, Digest, FrameKey, FrameResult, Grid, Micros, Modality, MovementKey,
    PPM, Ppm, ProductId, SensorId, Time, views::MovementKind,
};
use serde::{Deserialize, Serialize};

use crate::corrected::{StandIn, Told, Verdict, amend};

/// Appliance, sensor, and the opening of the visit.
pub(crate) type LookKey = (ApplianceId, SensorId, Time);

/// What an object is, before any threshold: what people say, where they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Shown {
    /// Nothing known.
    Unknown,
    /// The best candidate; of equal scores the smallest product id.
    Candidate {
        product: ProductId,
        score: Ppm,
        /// The score of the next best; 0 where there is none.
        runner_up: Ppm,
    },
    /// People say: nothing, or nothing that counts.
    Nothing,
    /// People say: this product.
    Product(ProductId),
}

/// An object in a picture, with what decides its product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Its place in the frame's sightings; that of the whole, for a part; of no meaning for what was added by hand.
    pub(crate) index: u16,
    pub(crate) bounds: BoundingBox,
    pub(crate) depth_mm: Option<u16>,
    pub(crate) shown: Shown,
}

impl Seen {
    /// An object that people say is there.
    pub(crate) fn said_to_be(index: u16, bounds: BoundingBox, product: ProductId) -> Self {
        Self { index, bounds, depth_mm: None, shown: Shown::Product(product) }
    }

    /// The product that it may be, before any threshold.
    fn likely(&self) -> Option<ProductId> {
        match self.shown {
            Shown::Product(product) | Shown::Candidate { product, .. } => Some(product),
            Shown::Nothing | Shown::Unknown => None,
        }
    }

    /// Whether people say what it is.
    pub(crate) fn is_said(&self) -> bool {
        matches!(self.shown, Shown::Product(_) | Shown::Nothing)
    }

    /// The product that it is taken for and how sure that is: what people say, which is certain; else the best candidate,
    /// if its score reaches `min_score`.
    pub(crate) fn chosen(&self, min_score: Ppm) -> Option<(ProductId, Ppm)> {
        match self.shown {
            Shown::Product(product) => Some((product, PPM)),
            Shown::Candidate { product, score, .. } => (score >= min_score).then_some((product, score)),
            Shown::Nothing | Shown::Unknown => None,
        }
    }
}

/// A visible frame that is a look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Picture {
    pub(crate) opened: Time,
    pub(crate) objects: Arc<Objects>,
}

impl Picture {
    fn key(&self) -> LookKey {
        let frame = self.objects.frame;
        (frame.appliance, frame.sensor, self.opened)
    }
}

/// What a visible frame shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Objects {
    pub(crate) frame: FrameKey,
    width: u16,
    height: u16,
    pub(crate) seen: Box<[Seen]>,
}

/// What a frame shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Contents {
    /// A visible frame.
    Objects(Arc<Objects>),
    /// A depth frame.
    Depth(Arc<Grid>),
}

impl Contents {
    /// Whether [`Contents::of`] finds anything.
    fn is_in(result: &FrameResult) -> bool {
        match result.modality {
            Modality::Visible => true,
            Modality::Depth => result.grid.is_some(),
            _ => false,
        }
    }

    /// What vision found; none where the frame says nothing of objects or depth.
    pub(crate) fn of(result: FrameResult) -> Option<Self> {
        match result.modality {
            Modality::Visible => {
                let seen = result.sightings.into_iter().zip(0..).map(|(sighting, index)| {
                    let mut candidates = sighting.candidates;
                    candidates.sort_by_key(|candidate| (Reverse(candidate.score), candidate.product));
                    let runner_up = candidates.get(1).map_or(0, |candidate| candidate.score);
                    let best = candidates.first().copied();
                    let shown = best.map_or(Shown::Unknown, |best| Shown::Candidate {
                        product: best.product,
                        score: best.score,
                        runner_up,
                    });
                    Seen { index, bounds: sighting.bounds, depth_mm: sighting.depth_mm, shown }
                });
                let (frame, width, height) = (result.key, result.width, result.height);
                Some(Self::Objects(Arc::new(Objects { frame, width, height, seen: seen.collect() })))
            }
            Modality::Depth => result.grid.map(|grid| Self::Depth(Arc::new(grid))),
            _ => None,
        }
    }
}

/// What is known of one frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Evidence {
    /// It is the look of the visit that opened then.
    Look(Time),
    /// A vision result; of several, that of the greatest fingerprint holds.
    Result(Digest, Contents),
    /// What people say, in order.
    Told(Arc<Told>),
}

/// The visible frames that are looks, as corrected; and the depth that each visit left behind, by sensor. `times` are those
/// that [`on_time`] tells.
pub(crate) fn pictures<'scope>(
    windows: Rows<'scope, Window>,
    frames: Rows<'scope, FrameResult>,
    times: Rows<'scope, (FrameKey, Time, bool)>,
    amendments: Rows<'scope, (FrameKey, Told)>,
) -> (Rows<'scope, Picture>, Rows<'scope, ((ApplianceId, Time), (SensorId, Arc<Grid>))>) {
    let frames = frames.flat_map(|frame| {
        let (key, fingerprint) = (frame.key, frame.fingerprint);
        Some((key, Evidence::Result(fingerprint, Contents::of(frame)?)))
    });
    let looks = last_frames(windows, times.flat_map(|(frame, at, shows)| shows.then_some((frame, at))));
    let shown = looks
        .map(|(frame, opened)| (frame, Evidence::Look(opened)))
        .concat(frames)
        .concat(amendments.map(|(frame, told)| (frame, Evidence::Told(Arc::new(told)))));
    let shown = grouped(shown, "Pictures", |_, evidence, shown| {
        let (mut look, mut result) = (None, None);
        let mut told: Vec<&Amendment> = Vec::new();
        for (evidence, _) in evidence {
            // sorted: a look before all results, those before all that was told, the latest last
            match evidence {
                Evidence::Look(opened) => look = Some(*opened),
                Evidence::Result(_, contents) => result = Some(contents),
                Evidence::Told(said) => told.push(&said.amendment),
            }
        }
        let (Some(look), Some(result)) = (look, result) else { return };
        let mut result = result.clone();
        if let (Contents::Objects(objects), false) = (&mut result, told.is_empty()) {
            let mut seen = objects.seen.to_vec();
            amend(&mut seen, told);
            *objects = Arc::new(Objects { seen: seen.into(), ..**objects });
        }
        shown.push((look, result));
    });
    let pictures = shown.clone().flat_map(|(_, (opened, contents))| match contents {
        Contents::Objects(objects) => Some(Picture { opened, objects }),
        Contents::Depth(_) => None,
    });
    let depths = shown.flat_map(|(frame, (opened, contents))| match contents {
        Contents::Depth(grid) => Some(((frame.appliance, opened), (frame.sensor, grid))),
        Contents::Objects(_) => None,
    });
    (pictures, depths)
}

/// When each frame was taken in truth, and whether it says anything of objects or depth.
pub(crate) fn on_time<'scope>(
    frames: Rows<'scope, FrameResult>,
    skews: Rows<'scope, (FrameKey, Micros)>,
) -> Rows<'scope, (FrameKey, Time, bool)> {
    let frames = frames.map(|frame| (frame.key, Contents::is_in(&frame)));
    let moved = frames
        .clone()
        .join_map(skews, |frame, shows, skew| (*frame, *shows, *skew))
        .flat_map(|(frame, shows, skew)| [((frame, frame.time, shows), -1), ((frame, frame.time.plus(skew), shows), 1)])
        .explode(|(row, times): ((FrameKey, Time, bool), isize)| [(row, times)]);
    frames.map(|(frame, shows)| (frame, frame.time, shows)).concat(moved)
}

/// Pictures by appliance.
pub(crate) fn by_appliance(pictures: Rows<'_, Picture>) -> ByKey<'_, ApplianceId, Picture> {
    let pictures = pictures.map(|picture| (picture.objects.frame.appliance, picture));
    pictures.arrange_by_key_named("Arrange: Pictures")
}

/// `min_score` and `review_below` of every appliance that has pictures.
pub(crate) fn thresholds<'scope>(
    pictures: Rows<'scope, Picture>,
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> ByKey<'scope, ApplianceId, (Ppm, Ppm)> {
    or_default(
        pictures.map(|picture| picture.objects.frame.appliance),
        appliances.map(|(id, appliance)| (id, (appliance.min_score, appliance.review_below))),
        (Appliance::DEFAULT_MIN_SCORE, Appliance::DEFAULT_REVIEW_BELOW),
    )
    .arrange_by_key_named("Arrange: Thresholds")
}

/// What makes a look. There are several a sighting, so what is large or rare lies elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Part {
    MinScore(Ppm),
    /// A product that stands for itself, and its package weight.
    Itself(ProductId, i64),
    /// One that does not.
    Taken(Arc<(ProductId, StandIn)>),
    After(Arc<Level>),
    NextBefore(Arc<Level>),
    Depth(SensorId, Arc<Grid>),
    Verdict(ProductId, MovementKind, Verdict),
    Picture(Arc<Objects>),
}

impl Part {
    fn taken(product: ProductId, stand_in: StandIn) -> Self {
        match stand_in.into {
            Some(into) if into == product => Self::Itself(product, stand_in.package_mg),
            _ => Self::Taken(Arc::new((product, stand_in))),
        }
    }
}

/// What people say of movements of one visit, in order.
pub(crate) type Verdicts = Arc<[(ProductId, MovementKind, Verdict)]>;

/// A look, and what people say of the movements of its visit, where they do.
pub(crate) type Judged = (Arc<Look>, Option<Verdicts>);

/// What looks are made of beside the pictures.
pub(crate) struct Around<'scope> {
    pub(crate) depths: Rows<'scope, ((ApplianceId, Time), (SensorId, Arc<Grid>))>,
    pub(crate) windows: Rows<'scope, Window>,
    pub(crate) levels: Rows<'scope, ((ApplianceId, Time), Levels)>,
    pub(crate) taken_for: Rows<'scope, (ProductId, StandIn)>,
    pub(crate) verdicts: Rows<'scope, (MovementKey, Verdict)>,
}

/// The looks of all pictures: products chosen by the appliance's threshold and taken for what they are, package weights, scales
/// and depth looked up. Of several depth cameras that of the least id holds: they are taken to have the view of the visible cameras.
pub(crate) fn looks<'scope>(
    pictures: Rows<'scope, Picture>,
    by_appliance: ByKey<'scope, ApplianceId, Picture>,
    thresholds: ByKey<'scope, ApplianceId, (Ppm, Ppm)>,
    around: Around<'scope>,
) -> Rows<'scope, (LookKey, Judged)> {
    let Around { depths, windows, levels, taken_for, verdicts } = around;
    let min_scores = by_appliance
        .join_core(thresholds, |_, picture, &(min_score, _)| Some((picture.key(), Part::MinScore(min_score))));

    // a product that a picture shows twice comes twice: only whether it comes matters
    let taken = pictures
        .clone()
        .flat_map(|picture| {
            let key = picture.key();
            picture.objects.seen.iter().filter_map(|seen| Some((seen.likely()?, key))).collect::<Vec<_>>()
        })
        .join_map(taken_for, |product, key, stand_in| (*key, Part::taken(*product, *stand_in)));

    let next = windows.flat_map(|window| Some(((window.appliance, window.next?), window.opened)));
    let after = levels.clone().map(|(visit, levels)| (visit, Part::After(Arc::new(levels.after))));
    let next_before = next.join_map(levels, |&(appliance, _), opened, levels| {
        ((appliance, *opened), Part::NextBefore(Arc::new(levels.before.clone())))
    });
    let depths = depths.map(|(visit, (sensor, grid))| (visit, Part::Depth(sensor, grid)));
    let verdicts = verdicts.map(|(of, verdict)| ((of.appliance, of.time), Part::Verdict(of.product, of.kind, verdict)));
    let others = pictures
        .clone()
        .map(|picture| ((picture.objects.frame.appliance, picture.opened), picture.objects.frame.sensor))
        .join_map(after.concatenate([next_before, depths, verdicts]), |&(appliance, opened), &sensor, part| {
            ((appliance, sensor, opened), part.clone())
        });

    let parts = pictures
        .map(|picture| (picture.key(), Part::Picture(picture.objects)))
        .concatenate([min_scores, taken, others]);
    grouped(parts, "Looks", |&(.., opened), parts, looks| {
        let mut min_score = None;
        let mut taken = Vec::new();
        let (mut after, mut next_before) = (Level::new(), Level::new());
        let mut depth: Option<&Arc<Grid>> = None;
        let mut verdicts = Vec::new();
        for (part, _) in parts {
            match part {
                Part::MinScore(score) => min_score = Some(*score),
                Part::Itself(product, package_mg) => {
                    taken.push((*product, StandIn { into: Some(*product), package_mg: *package_mg }));
                }
                Part::Taken(stand_in) => taken.push(**stand_in),
                Part::After(level) => after.clone_from(level),
                Part::NextBefore(level) => next_before.clone_from(level),
                Part::Depth(_, grid) => depth = depth.or(Some(grid)),
                Part::Verdict(product, kind, verdict) => verdicts.push((*product, *kind, *verdict)),
                Part::Picture(objects) => {
                    let Some(min_score) = min_score else { return };
                    taken.sort_unstable();
                    let items = items(objects, min_score, &taken, depth.map(Arc::as_ref));
                    let depth = depth.cloned();
                    let (after, next_before) = (std::mem::take(&mut after), std::mem::take(&mut next_before));
                    let Objects { frame, width, height, .. } = **objects;
                    let look = Look { opened, frame, width, height, items, depth, after, next_before };
                    let verdicts = (!verdicts.is_empty()).then(|| Arc::from(&*verdicts));
                    looks.push((Arc::new(look), verdicts));
                }
            }
        }
    })
}

/// What a picture shows; what people reject is left out. `taken` is sorted by product.
fn items(objects: &Objects, min_score: Ppm, taken: &[(ProductId, StandIn)], depth: Option<&Grid>) -> Vec<Item> {
    let Objects { width, height, seen, .. } = objects;
    let depth_at = |bounds| depth.and_then(|grid| grid.at(bounds, *width, *height));
    let shown = seen.iter().filter(|seen| seen.shown != Shown::Nothing);
    let mut items: Vec<Item> = shown
        .map(|seen| {
            let chosen = seen.chosen(min_score).and_then(|(product, score)| {
                let itself = StandIn { into: Some(product), package_mg: 0 };
                let known = taken.binary_search_by_key(&product, |taken| taken.0).ok();
                let stand_in = known.map_or(itself, |n| taken[n].1);
                Some((stand_in.into?, score, stand_in.package_mg))
            });
            Item {
                product: chosen.map(|(product, ..)| product),
                bounds: seen.bounds,
                depth_mm: seen.depth_mm.or_else(|| depth_at(seen.bounds)),
                score: chosen.map_or(0, |(_, score, _)| score),
                package_mg: chosen.map_or(0, |(.., package_mg)| package_mg.max(0)),
            }
        })
        .collect();
    items.sort();
    items.shrink_to_fit();
    items
}
