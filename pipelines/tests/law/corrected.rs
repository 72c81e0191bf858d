//! What corrections make of the inputs, by plain loops over all of them.

use std::collections::{BTreeMap, BTreeSet};

use larder_records::*;

/// The changes that hold, in the order in which they are told.
pub fn standing(corrections: &[Correction]) -> Vec<Correction> {
    let possible: Vec<&Correction> = corrections.iter().filter(|made| made.check().is_ok()).collect();
    let ids: BTreeSet<Name> = possible.iter().map(|made| made.id).collect();
    let last_of = |id: Name| possible.iter().copied().filter(|made| made.id == id).max().unwrap();
    let last: Vec<&Correction> = ids.into_iter().map(last_of).collect();
    let about = |made: &Correction| match made.change {
        Change::Undo { correction } => Some((correction, true)),
        Change::Restore { correction } => Some((correction, false)),
        _ => None,
    };
    let undone = |id: Name| {
        let mut speaking: Vec<_> = last
            .iter()
            .filter_map(|made| about(made).filter(|(of, _)| *of == id).map(|(_, undone)| (made.time, made.id, undone)))
            .collect();
        speaking.sort();
        speaking.last().is_some_and(|(.., undone)| *undone)
    };
    let mut hold: Vec<Correction> =
        last.iter().filter(|made| about(made).is_none() && !undone(made.id)).map(|made| (*made).clone()).collect();
    hold.sort_by_key(|made| (made.time, made.id));
    hold
}

/// What each product is in truth.
pub struct Truth(BTreeMap<ProductId, Option<ProductId>>);

impl Truth {
    pub fn of(standing: &[Correction]) -> Self {
        let mut fates = BTreeMap::new();
        for made in standing {
            match made.change {
                Change::Merge { product, into } => drop(fates.insert(product, Some(into))),
                Change::Remove { product } => drop(fates.insert(product, None)),
                _ => {}
            }
        }
        Self(fates)
    }

    pub fn product(&self, product: ProductId) -> Option<ProductId> {
        // after as many steps as there are fates one is at the end, or going round
        let mut at = product;
        for _ in 0..=self.0.len() {
            match self.0.get(&at) {
                None => return Some(at),
                Some(into) => at = (*into)?,
            }
        }
        let mut round = BTreeSet::from([at]);
        loop {
            at = self.0[&at].unwrap();
            if !round.insert(at) {
                return round.first().copied();
            }
        }
    }
}

/// A reading, and a frame's time, as they should have been.
pub struct Sensors(Vec<(ApplianceId, SensorId, Time, Time, i64, i64)>);

impl Sensors {
    pub fn of(standing: &[Correction]) -> Self {
        let spans = standing.iter().filter_map(|made| match made.change {
            Change::Calibration { appliance, sensor, from, until, offset, skew } => {
                Some((appliance, sensor, from, until, offset, skew))
            }
            _ => None,
        });
        Self(spans.collect())
    }

    fn off(&self, appliance: ApplianceId, sensor: SensorId, time: Time) -> (i64, i64) {
        let mut off = (0, 0);
        for &(of, its, from, until, offset, skew) in &self.0 {
            if (of, its) == (appliance, sensor) && (from..until).contains(&time) {
                off = (off.0 + offset, off.1 + skew);
            }
        }
        off
    }

    pub fn reading(&self, raw: Reading) -> Reading {
        let (offset, skew) = self.off(raw.appliance, raw.sensor, raw.time);
        Reading { value: raw.value + offset, time: Time(raw.time.0 + skew), ..raw }
    }

    pub fn time(&self, frame: FrameKey) -> Time {
        Time(frame.time.0 + self.off(frame.appliance, frame.sensor, frame.time).1)
    }
}

/// An object of a picture: where, how far, what vision takes it for (its place, best and second score), and what people say.
#[derive(Clone, Debug)]
pub struct Object {
    pub bounds: BoundingBox,
    pub depth_mm: Option<u16>,
    pub index: usize,
    pub candidates: Vec<Candidate>,
    pub said: Option<Option<ProductId>>,
}

/// What a picture shows in the end.
pub fn objects(frame: &FrameResult, standing: &[Correction]) -> Vec<Object> {
    let mut objects: Vec<Object> = frame
        .sightings
        .iter()
        .enumerate()
        .map(|(index, seen)| Object {
            bounds: seen.bounds,
            depth_mm: seen.depth_mm,
            index,
            candidates: seen.candidates.clone(),
            said: None,
        })
        .collect();
    let new = |bounds: BoundingBox, product| Object {
        bounds,
        depth_mm: None,
        index: usize::MAX,
        candidates: vec![],
        said: Some(Some(product)),
    };
    fn meant(objects: &[Object], bounds: BoundingBox) -> Option<usize> {
        let mut best = None;
        for (n, object) in objects.iter().enumerate() {
            let shared = object.bounds.iou(bounds);
            if shared >= 500_000 && best.is_none_or(|(_, most)| shared > most) {
                best = Some((n, shared));
            }
        }
        best.map(|(n, _)| n)
    }
    for made in standing {
        let Change::Picture { frame: of, amendment } = &made.change else { continue };
        if *of != frame.key {
            continue;
        }
        match amendment {
            Amendment::Relabel { bounds, product } => {
                if let Some(n) = meant(&objects, *bounds) {
                    objects[n].said = Some(Some(*product));
                }
            }
            Amendment::Reject { bounds } => {
                if let Some(n) = meant(&objects, *bounds) {
                    objects[n].said = Some(None);
                }
            }
            Amendment::Split { bounds, parts } => {
                if let Some(n) = meant(&objects, *bounds) {
                    objects.remove(n);
                    objects.extend(parts.iter().map(|(bounds, product)| new(*bounds, *product)));
                }
            }
            Amendment::Join { bounds, product } => {
                let mut joined: Vec<BoundingBox> = Vec::new();
                for bounds in bounds {
                    if let Some(n) = meant(&objects, *bounds) {
                        joined.push(objects.remove(n).bounds);
                    }
                }
                if !joined.is_empty() {
                    let whole = BoundingBox {
                        left: joined.iter().map(|b| b.left).min().unwrap(),
                        top: joined.iter().map(|b| b.top).min().unwrap(),
                        right: joined.iter().map(|b| b.right).max().unwrap(),
                        bottom: joined.iter().map(|b| b.bottom).max().unwrap(),
                    };
                    objects.push(new(whole, *product));
                }
            }
            Amendment::Add { bounds, product } => objects.push(new(*bounds, *product)),
        }
    }
    objects
}
