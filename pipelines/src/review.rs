//! What a person should look at.

use differential_dataflow::operators::ThresholdTotal;
use larder_operators::{Rows, or_default};
use larder_records::{
    Appliance, ApplianceId, Ppm, SightingKey,
    views::{Movement, MovementSource, ReviewItem, ReviewSubject},
};

use crate::looks::Picture;

/// A best candidate that is not ahead of the next by this is close to it.
const CLOSE: Ppm = 50_000;

/// The unsure sightings of looks, and the unsure movements of sensors, as far as nobody has corrected them.
pub(crate) fn queue<'scope>(
    pictures: Rows<'scope, Picture>,
    movements: Rows<'scope, Movement>,
    appliances: Rows<'scope, (ApplianceId, Appliance)>,
) -> Rows<'scope, ReviewItem> {
    let thresholds = or_default(
        pictures.clone().map(|picture| picture.frame.appliance),
        appliances.map(|(id, appliance)| (id, (appliance.min_score, appliance.review_below))),
        (Appliance::DEFAULT_MIN_SCORE, Appliance::DEFAULT_REVIEW_BELOW),
    )
    .arrange_by_key_named("Arrange: Thresholds");
    let sightings = pictures
        .flat_map(|picture| {
            let frame = picture.frame;
            let open = picture.objects.seen.iter().filter(|seen| seen.said.is_none() && seen.best.is_some());
            open.map(|seen| (frame.appliance, (frame, seen.clone()))).collect::<Vec<_>>()
        })
        .join_core(thresholds.clone(), |&appliance, (frame, seen), &(min_score, review_below)| {
            let best = seen.best?;
            let unsure = best.score < review_below || best.score < seen.runner_up.saturating_add(CLOSE);
            unsure.then(|| ReviewItem {
                appliance,
                time: frame.time,
                subject: ReviewSubject::Sighting(SightingKey { frame: *frame, index: seen.index }),
                product: seen.chosen(min_score).map(|(product, _)| product),
                confidence: best.score,
            })
        });
    let movements = movements
        .flat_map(|m| {
            let sensed = m.source == MovementSource::Sensors;
            sensed.then_some((m.appliance, (m.time, m.kind, m.product, m.confidence)))
        })
        .join_core(thresholds, |&appliance, &(time, kind, product, confidence), &(_, review_below)| {
            (confidence < review_below).then_some(ReviewItem {
                appliance,
                time,
                subject: ReviewSubject::Movement(kind),
                product: Some(product),
                confidence,
            })
        });
    // two cameras may say the same
    sightings.concat(movements).distinct_total()
}
