//! From frames to looks: what each picture that a visit left behind shows, product by product.

use std::{cmp::Reverse, sync::Arc};

use differential_dataflow::operators::ThresholdTotal;
use larder_operators::{
    Level, Levels, Rows, Window, last_frames, neighbours,
    occlusion::{Bridged, Item, Look, bridge},
    or_default,
};
use larder_records::{
    Amendment, Appliance, ApplianceId, BoundingBox, Candidate, Digest, FrameKey, FrameResult, Grid, Micros, Modality,
    Name, PPM, Ppm, ProductId, SensorId, Time,
};
use serde::{Deserialize, Serialize};

use crate::corrected::{StandIn, Told, amend};

/// Appliance, sensor, and the opening of the visit.
pub(crate) type LookKey = (ApplianceId, SensorId, Time);

/// What people say that an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Shown {
    /// Nothing, or nothing that counts.
    Nothing,
    /// A product.
    Product(ProductId),
}

/// An object in a picture, with what decides its product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Its place in the frame's sightings; that of the whole, for a part; of no meaning for what was added by hand.
    pub(crate) index: u16,
    pub(crate) bounds: BoundingBox,
    pub(crate) depth_mm: Option<u16>,
    /// The best candidate; of equal scores the smallest product id.
    pub(crate) best: Option<Candidate>,
    /// The score of the next best; 0 where there is none.
    pub(crate) runner_up: Ppm,
    /// What people say, where they do.
    pub(crate) said: Option<Shown>,
}

impl Seen {
    /// An object that people say is there.
    pub(crate) fn said_to_be(index: u16, bounds: BoundingBox, product: ProductId) -> Self {
        Self { index, bounds, depth_mm: None, best: None, runner_up: 0, said: Some(Shown::Product(product)) }
    }

    /// The product that it may be, before any threshold.
    fn likely(&self) -> Option<ProductId> {
        match self.said {
            Some(Shown::Product(product)) => Some(product),
            Some(Shown::Nothing) => None,
            None => self.best.map(|best| best.product),
        }
    }

    /// The product that it is taken for and how sure that is: what people say, which is certain; else the best candidate,
    /// if its score reaches `min_score`.
    pub(crate) fn chosen(&self, min_score: Ppm) -> Option<(ProductId, Ppm)> {
        match self.said {
            Some(Shown::Product(product)) => Some((product, PPM)),
            Some(Shown::Nothing) => None,
            None => self.best.filter(|best| best.score >= min_score).map(|best| (best.product, best.score)),
        }
    }
}

/// A visible frame that is a look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Picture {
    pub(crate) frame: FrameKey,
    pub(crate) opened: Time,
    pub(crate) objects: Arc<Objects>,
}

/// What a visible frame shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Objects {
    width: u16,
    height: u16,
    pub(crate) seen: Vec<Seen>,
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
                    Seen {
                        index,
                        bounds: sighting.bounds,
                        depth_mm: sighting.depth_mm,
                        best: candidates.first().copied(),
                        runner_up: candidates.get(1).map_or(0, |candidate| candidate.score),
                        said: None,
                    }
                });
                let (width, height) = (result.width, result.height);
                Some(Self::Objects(Arc::new(Objects { width, height, seen: seen.collect() })))
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
    Told(Time, Name, Amendment),
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
        .concat(amendments.map(|(frame, Told { time, id, amendment })| (frame, Evidence::Told(time, id, amendment))))
        .reduce_named("Pictures", |_, evidence, shown| {
            let (mut look, mut result) = (None, None);
            let mut told: Vec<&Amendment> = Vec::new();
            for (evidence, _) in evidence.iter().filter(|(_, count)| *count > 0) {
                // sorted: a look before all results, those before all that was told, the latest last
                match evidence {
                    Evidence::Look(opened) => look = Some(*opened),
                    Evidence::Result(_, contents) => result = Some(contents),
                    Evidence::Told(_, _, amendment) => told.push(amendment),
                }
            }
            let (Some(look), Some(result)) = (look, result) else { return };
            let mut result = result.clone();
            if let (Contents::Objects(objects), false) = (&mut result, told.is_empty()) {
                amend(&mut Arc::make_mut(objects).seen, told);
            }
            shown.push(((look, result), 1));
        });
    let pictures = shown.clone().flat_map(|(frame, (opened, contents))| match contents {
        Contents::Objects(objects) => Some(Picture { frame, opened, objects }),
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

/// What makes a look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Part {
    MinScore(Ppm),
    Taken(ProductId, StandIn),
    After(Level),
    NextBefore(Level),
    Depth(SensorId, Arc<Grid>),
    Picture(Picture),
}

/// The looks of all pictures: products chosen by the appliance's threshold and taken for what they are, package weights, scales
/// and depth looked up. Of several depth cameras that of the least id holds: they are taken to have the view of the visible cameras.
pub(crate) fn looks<'scope>(
    pictures: Rows<'scope, Picture>,
    depths: Rows<'scope, ((ApplianceId, Time), (SensorId, Arc<Grid>))>,
    windows: Rows<'scope, Window>,
    levels: Rows<'scope, ((ApplianceId, Time), Levels)>,
    taken_for: Rows<'scope, (ProductId, StandIn)>,
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> Rows<'scope, (LookKey, Arc<Look>)> {
    let key = |picture: &Picture| (picture.frame.appliance, picture.frame.sensor, picture.opened);

    let senders = pictures.clone().map(|picture| picture.frame.appliance);
    let min_scores = appliances.map(|(id, appliance)| (id, appliance.min_score));
    let min_scores = pictures
        .clone()
        .map(move |picture| (picture.frame.appliance, key(&picture)))
        .join_map(or_default(senders, min_scores, Appliance::DEFAULT_MIN_SCORE), |_, key, min_score| {
            (*key, Part::MinScore(*min_score))
        });

    let taken = pictures
        .clone()
        .flat_map(move |picture| {
            let key = key(&picture);
            let likely = move |seen: &Seen| Some((seen.likely()?, key));
            picture.objects.seen.iter().filter_map(likely).collect::<Vec<_>>()
        })
        .distinct_total()
        .join_map(taken_for, |product, key, stand_in| (*key, Part::Taken(*product, *stand_in)));

    let next = windows.flat_map(|window| Some(((window.appliance, window.next?), window.opened)));
    let after = levels.clone().map(|(visit, levels)| (visit, Part::After(levels.after)));
    let next_before = next.join_map(levels, |&(appliance, _), opened, levels| {
        ((appliance, *opened), Part::NextBefore(levels.before.clone()))
    });
    let depths = depths.map(|(visit, (sensor, grid))| (visit, Part::Depth(sensor, grid)));
    let others = pictures
        .clone()
        .map(|picture| ((picture.frame.appliance, picture.opened), picture.frame.sensor))
        .join_map(after.concatenate([next_before, depths]), |&(appliance, opened), &sensor, part| {
            ((appliance, sensor, opened), part.clone())
        });

    pictures
        .map(move |picture| (key(&picture), Part::Picture(picture)))
        .concatenate([min_scores, taken, others])
        .reduce_named("Looks", |_, parts, look| {
            let mut min_score = None;
            let mut taken = Vec::new();
            let (mut after, mut next_before) = (Level::new(), Level::new());
            let mut depth = None;
            for (part, _) in parts {
                match part {
                    Part::MinScore(score) => min_score = Some(*score),
                    Part::Taken(product, stand_in) => taken.push((*product, *stand_in)),
                    Part::After(level) => after.clone_from(level),
                    Part::NextBefore(level) => next_before.clone_from(level),
                    Part::Depth(_, grid) => depth = depth.or(Some(grid)),
                    Part::Picture(picture) => {
                        let Some(min_score) = min_score else { return };
                        let items = items(picture, min_score, &taken, depth.map(Arc::as_ref));
                        let depth = depth.cloned();
                        let (after, next_before) = (std::mem::take(&mut after), std::mem::take(&mut next_before));
                        let (frame, opened) = (picture.frame, picture.opened);
                        let Objects { width, height, .. } = *picture.objects;
                        let shown = Look { opened, frame, width, height, items, depth, after, next_before };
                        look.push((Arc::new(shown), 1));
                    }
                }
            }
        })
}

/// What a picture shows; what people reject is left out. `taken` is sorted by product.
fn items(picture: &Picture, min_score: Ppm, taken: &[(ProductId, StandIn)], depth: Option<&Grid>) -> Vec<Item> {
    let Objects { width, height, seen } = &*picture.objects;
    let depth_at = |bounds| depth.and_then(|grid| grid.at(bounds, *width, *height));
    let shown = seen.iter().filter(|seen| seen.said != Some(Shown::Nothing));
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
    items
}

/// Each look with what it hides, by the two looks on either side of it.
pub(crate) fn bridged(looks: Rows<'_, (LookKey, Arc<Look>)>) -> Rows<'_, (LookKey, Bridged)> {
    let openings = looks.clone().map(|((appliance, sensor, opened), _)| ((appliance, sensor), opened));
    let steps = neighbours(openings, |opened| *opened)
        .flat_map(|((appliance, sensor), link)| Some(((appliance, sensor, link.before?), link.after?)));
    let back = steps.clone().map(|((appliance, sensor, before), after)| ((appliance, sensor, after), before));
    let double_steps =
        steps.clone().join_map(back, |&(appliance, sensor, _), &after, &before| ((appliance, sensor, before), after));

    // by source: the look that sees it, and at which distance
    fn seen_from(steps: Rows<'_, (LookKey, Time)>, distance: i8) -> Rows<'_, (LookKey, (Time, i8))> {
        steps.flat_map(move |((appliance, sensor, before), after)| {
            [((appliance, sensor, before), (after, -distance)), ((appliance, sensor, after), (before, distance))]
        })
    }
    let itself = looks.clone().map(|(key, _)| (key, (key.2, 0)));
    let roles = itself.concatenate([seen_from(steps, 1), seen_from(double_steps, 2)]);
    looks
        .join_map(roles, |&(appliance, sensor, _), look, &(target, distance)| {
            ((appliance, sensor, target), (distance, look.clone()))
        })
        .reduce_named("Bridged", |_, window, out| {
            let at = |n: i8| window.iter().find(|((distance, _), _)| *distance == n).map(|((_, look), _)| look);
            if let Some(bridged) = bridge([-2, -1, 0, 1, 2].map(at)) {
                out.push((bridged, 1));
            }
        })
}
