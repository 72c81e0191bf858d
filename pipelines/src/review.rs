//! What a person should look at.

use differential_dataflow::operators::ThresholdTotal;
use larder_operators::{ByKey, Rows};
use larder_records::{
    ApplianceId, Ppm, SightingKey,
    views::{ReviewItem, ReviewSubject},
};

use crate::{
    looks::{Picture, Shown},
    moved::Moved,
};

/// A best candidate that is not ahead of the next by this is close to it.
const CLOSE: Ppm = 50_000;

/// The unsure sightings of looks, and the unsure movements of sensors, as far as nobody has corrected them.
pub(crate) fn queue<'scope>(
    pictures: ByKey<'scope, ApplianceId, Picture>,
    moved: ByKey<'scope, ApplianceId, Moved>,
    thresholds: ByKey<'scope, ApplianceId, (Ppm, Ppm)>,
) -> Rows<'scope, ReviewItem> {
    let sightings = pictures.join_core(thresholds.clone(), |&appliance, picture, &(min_score, review_below)| {
        let frame = picture.objects.frame;
        let unsure = picture.objects.seen.iter().filter_map(|seen| {
            let Shown::Candidate { score, runner_up, .. } = seen.shown else { return None };
            let unsure = score < review_below || score < runner_up.saturating_add(CLOSE);
            unsure.then(|| ReviewItem {
                appliance,
                time: frame.time,
                subject: ReviewSubject::Sighting(SightingKey { frame, index: seen.index }),
                product: seen.chosen(min_score).map(|(product, _)| product),
                confidence: score,
            })
        });
        unsure.collect::<Vec<_>>()
    });
    let movements = moved.join_core(thresholds, |&appliance, m, &(_, review_below)| {
        (m.sensed && m.confidence < review_below).then_some(ReviewItem {
            appliance,
            time: m.time,
            subject: ReviewSubject::Movement(m.kind),
            product: Some(m.product),
            confidence: m.confidence,
        })
    });
    // two cameras may say the same
    sightings.concat(movements).distinct_total()
}
