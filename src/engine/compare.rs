//! What would be otherwise by another vision, or is in another lake.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use larder_records::{
    Appliance, ApplianceId, BoundingBox, Digest, FrameKey, FrameResult, Modality, Names, PPM, Ppm, ProductId,
};

use super::{Engine, EngineError, History, ViewChanges, views::ViewDifference};
use crate::lake::{Held, KnownVision, Lake, LakeError, Part, day_of};

/// Why two things cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A lake cannot be read, or its views not be computed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// No vision of the lake is called so.
    #[error("no vision whose name or fingerprint begins with {word:?} saw anything in {lake}; there are: {}", .known.join(", "))]
    Unknown {
        /// What was asked for.
        word: String,
        /// In which lake.
        lake: PathBuf,
        /// The names, and fingerprints without one.
        known: Vec<String>,
    },
    /// Several are called so.
    #[error("{} visions begin with {word:?}: give more of the digest", .count)]
    Several {
        /// What was asked for.
        word: String,
        /// How many.
        count: usize,
    },
}

/// A lake as one vision sees it.
pub struct Side {
    views: ViewChanges,
    frames: Vec<FrameResult>,
    min_scores: HashMap<ApplianceId, Ppm>,
    /// Days of appliances in which the vision did not see all frames: the results that hold are taken for them.
    pub days_left: u64,
}

impl Side {
    /// The lake in `dir` as it stands; or, with a vision's name or fingerprint or the beginning of either, as it would be if
    /// that vision's remembered results held.
    ///
    /// # Errors
    /// [`CompareError`].
    pub fn of(dir: &Path, vision: Option<&str>, names: &mut Names, workers: usize) -> Result<Self, CompareError> {
        let lake = Lake::open(dir)?;
        let mut held = lake.held(names)?;
        let mut days_left = 0;
        if let Some(word) = vision {
            let fingerprints = fingerprints(&lake, dir, word, names)?;
            days_left = hold(&mut held, &lake.read_seen(names)?, &fingerprints);
        }
        let frames = lake.read_frames_of(&Part::default(), &held, names)?;
        let mut engine = Engine::start(lake, names.clone(), None, &workers.into(), Some(&held), History::Whole)?;
        engine.changes()?;
        let mut views = std::mem::take(&mut engine.changes);
        // what differs from the tables, and the tables, are all that there is
        views.add_held(&engine.lake, &mut engine.names, 1)?;
        views.consolidate();
        names.clone_from(&engine.names);
        let appliances: BTreeSet<ApplianceId> = frames.iter().map(|frame| frame.key.appliance).collect();
        let min_scores = appliances
            .into_iter()
            .map(|id| {
                let known = engine.intake.appliance_now(id);
                (id, known.map_or(Appliance::DEFAULT_MIN_SCORE, |appliance| appliance.min_score))
            })
            .collect();
        Ok(Self { views, frames, min_scores, days_left })
    }
}

/// The fingerprint of the one vision that `word` begins, by appliance.
fn fingerprints(
    lake: &Lake,
    dir: &Path,
    word: &str,
    names: &mut Names,
) -> Result<HashMap<ApplianceId, Digest>, CompareError> {
    let word = word.to_lowercase();
    let begins = |digest: Digest| digest.to_string().starts_with(&word);
    let known = lake.read::<KnownVision>(names)?;
    let seen = lake.read_seen(names)?;
    let mut meant: BTreeMap<Digest, HashMap<ApplianceId, Digest>> = BTreeMap::new();
    for vision in known.iter().filter(|known| begins(known.vision)) {
        meant.entry(vision.vision).or_default().insert(vision.appliance, vision.fingerprint);
    }
    if meant.is_empty() {
        for (frame, fingerprint) in seen.iter().filter(|(_, fingerprint)| begins(*fingerprint)) {
            meant.entry(*fingerprint).or_default().insert(frame.appliance, *fingerprint);
        }
    }
    match (meant.len(), meant.pop_first()) {
        (1, Some((_, fingerprints))) => Ok(fingerprints),
        (0, _) | (_, None) => {
            let named: BTreeSet<Digest> = known.iter().map(|known| known.fingerprint).collect();
            let mut all: BTreeSet<Digest> = known.iter().map(|known| known.vision).collect();
            all.extend(seen.into_iter().map(|(_, fingerprint)| fingerprint).filter(|print| !named.contains(print)));
            let known = all.iter().map(Digest::to_string).collect();
            Err(CompareError::Unknown { word, lake: dir.to_owned(), known })
        }
        (count, _) => Err(CompareError::Several { word, count }),
    }
}

/// Lets the results of these fingerprints hold on each day in which all frames that held were seen; on how many they were not.
fn hold(held: &mut Held, seen: &[(FrameKey, Digest)], fingerprints: &HashMap<ApplianceId, Digest>) -> u64 {
    let all: BTreeSet<(FrameKey, Digest)> = seen.iter().copied().collect();
    let mut days: BTreeMap<_, (Digest, bool)> = BTreeMap::new();
    for (frame, fingerprint) in seen.iter().filter(|(frame, fingerprint)| held.holds(*frame, *fingerprint)) {
        let new = fingerprints.get(&frame.appliance).filter(|new| *new != fingerprint);
        let Some(new) = new else { continue };
        let day = days.entry((frame.appliance, day_of(frame.time))).or_insert((*new, true));
        day.1 &= all.contains(&(*frame, *new));
    }
    let mut left = 0;
    for ((appliance, day), (new, whole)) in days {
        if whole {
            held.set(appliance, day, new);
        } else {
            left += 1;
        }
    }
    left
}

/// What an object is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Where.
    pub bounds: BoundingBox,
    /// As what; none where as nothing known.
    pub product: Option<ProductId>,
    /// How sure.
    pub score: Ppm,
}

/// An object that the two sides see differently: one of them not at all, or as another product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectDifference {
    /// In which picture.
    pub frame: FrameKey,
    /// By the old.
    pub old: Option<Taken>,
    /// By the new.
    pub new: Option<Taken>,
}

/// What differs.
#[derive(Debug)]
pub struct Compared {
    /// Of each view.
    pub views: Vec<ViewDifference>,
    /// Objects in visible pictures, by frame.
    pub objects: Vec<ObjectDifference>,
    /// Objects of either side that are alike.
    pub alike: u64,
}

/// Compares two sides, whose names are all in `names`; of each view at most `most` rows of either side are told.
///
/// # Errors
/// [`LakeError`] where a row cannot be told.
pub fn compare(old: Side, new: Side, names: &Names, most: usize) -> Result<Compared, LakeError> {
    let (mut objects, mut alike) = (Vec::new(), 0);
    let visible = |side: &Side| -> BTreeMap<FrameKey, Vec<Taken>> {
        let visible = side.frames.iter().filter(|frame| frame.modality == Modality::Visible);
        visible.map(|frame| (frame.key, taken(frame, &side.min_scores))).collect()
    };
    let (mut before, after) = (visible(&old), visible(&new));
    for (frame, after) in after {
        alike += differing(frame, before.remove(&frame).unwrap_or_default(), after, &mut objects);
    }
    for (frame, before) in before {
        alike += differing(frame, before, Vec::new(), &mut objects);
    }
    objects.sort_by_key(|object| object.frame);
    let mut changes = new.views;
    changes.subtract(old.views);
    Ok(Compared { views: changes.differences(names, most)?, objects, alike })
}

fn taken(frame: &FrameResult, min_scores: &HashMap<ApplianceId, Ppm>) -> Vec<Taken> {
    let min_score = min_scores.get(&frame.key.appliance).copied().unwrap_or(Appliance::DEFAULT_MIN_SCORE);
    let taken = |sighting: &larder_records::Sighting| {
        let best = sighting.taken_for(min_score);
        Taken {
            bounds: sighting.bounds,
            product: best.map(|best| best.product),
            score: best.map_or(0, |best| best.score),
        }
    };
    frame.sightings.iter().map(taken).collect()
}

/// Pairs the objects of one picture by their boxes, those that share most of their union first; how many pairs are alike.
fn differing(frame: FrameKey, old: Vec<Taken>, new: Vec<Taken>, into: &mut Vec<ObjectDifference>) -> u64 {
    let mut pairs: Vec<(Ppm, usize, usize)> = Vec::new();
    for (i, before) in old.iter().enumerate() {
        let shared = new.iter().enumerate().map(|(j, after)| (before.bounds.iou(after.bounds), i, j));
        pairs.extend(shared.filter(|(shared, ..)| *shared >= PPM / 2));
    }
    pairs.sort_by_key(|&(shared, i, j)| (std::cmp::Reverse(shared), i, j));
    let (mut old, mut new): (Vec<_>, Vec<_>) =
        (old.into_iter().map(Some).collect(), new.into_iter().map(Some).collect());
    let mut alike = 0;
    for (_, i, j) in pairs {
        if old[i].is_none() || new[j].is_none() {
            continue;
        }
        let pair = ObjectDifference { frame, old: old[i].take(), new: new[j].take() };
        if pair.old.map(|object| object.product) == pair.new.map(|object| object.product) {
            alike += 1;
        } else {
            into.push(pair);
        }
    }
    into.extend(old.into_iter().flatten().map(|object| ObjectDifference { frame, old: Some(object), new: None }));
    into.extend(new.into_iter().flatten().map(|object| ObjectDifference { frame, old: None, new: Some(object) }));
    alike
}

#[cfg(test)]
mod tests {
    use larder_records::SensorId;

    use super::*;

    #[test]
    fn objects_are_paired_by_what_they_share_and_differ_by_what_they_are_taken_for() {
        let object = |left, product: &str| Taken {
            bounds: BoundingBox { left, top: 0, right: left + 10, bottom: 10 },
            product: (!product.is_empty()).then(|| ProductId::of(product)),
            score: PPM,
        };
        let frame = FrameKey {
            appliance: ApplianceId::of("a"),
            sensor: SensorId::of("s"),
            time: larder_records::Time(0),
            hash: Digest(0),
        };
        let (milk, near, eggs) = (object(0, "milk"), object(2, "milk"), object(1, "eggs"));
        let ham = object(50, "ham");
        let mut told = Vec::new();
        // the box that lies nearest is the pair, and what is left over stands alone
        let alike = differing(frame, vec![milk, ham], vec![near, eggs, ham], &mut told);
        assert_eq!(alike, 1);
        let of = |old, new| ObjectDifference { frame, old, new };
        assert_eq!(told, [of(Some(milk), Some(eggs)), of(None, Some(near))]);
        told.clear();
        assert_eq!(differing(frame, vec![object(0, "")], vec![object(0, "")], &mut told), 1);
        assert_eq!(differing(frame, vec![milk], vec![], &mut told), 0);
        assert_eq!(told, [of(Some(milk), None)]);
    }
}
