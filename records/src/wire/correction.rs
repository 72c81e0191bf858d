//! Corrections.

use prost_types::Timestamp;

use super::{
    Refused, WireError, decode_time, encode_time,
    household::{bounds, present},
    seen::digest,
    v1::{self, correction as wire},
};
use crate::{
    Amendment, ApplianceFields, ApplianceId, BoundingBox, Change, Correction, DeadReason, FrameKey, HouseholdId,
    IdCollision, MovementKey, Name, Names, ProductFields, ProductId, SensorId, views::MovementKind,
};

/// The correction of a message.
///
/// # Errors
/// `Malformed` without id, time, change or a name that the change needs, and for a box or digest that is none; `BadTime`;
/// `BadValue` for what can never hold ([`Correction::check`]); a collision of names.
pub fn decode_correction(message: &v1::Correction, names: &mut Names) -> Result<Correction, WireError> {
    let correction = Correction {
        time: decode_time(message.timestamp.as_ref())?,
        id: names.intern(present("id", &message.id)?)?,
        author: names.intern(&message.author)?,
        reason: names.intern(&message.reason)?,
        change: change(message.change.as_ref(), names)?,
    };
    correction.check().map_err(|bad| Refused::new(DeadReason::BadValue, format!("a correction: {bad}")))?;
    Ok(correction)
}

fn change(message: Option<&wire::Change>, names: &mut Names) -> Result<Change, WireError> {
    use wire::Change as Wire;
    let picture = |frame: FrameKey, amendment| Ok(Change::Picture { frame, amendment });
    match message.ok_or_else(|| Refused::malformed("a correction of nothing"))? {
        Wire::Relabel(m) => {
            let amendment = Amendment::Relabel { bounds: place(m.r#box.as_ref())?, product: product(&m.sku, names)? };
            picture(frame(m.frame.as_ref(), names)?, amendment)
        }
        Wire::Reject(m) => {
            picture(frame(m.frame.as_ref(), names)?, Amendment::Reject { bounds: place(m.r#box.as_ref())? })
        }
        Wire::Split(m) => {
            let mut parts = Vec::with_capacity(m.parts.len());
            for part in &m.parts {
                parts.push((place(part.r#box.as_ref())?, product(&part.sku, names)?));
            }
            picture(frame(m.frame.as_ref(), names)?, Amendment::Split { bounds: place(m.r#box.as_ref())?, parts })
        }
        Wire::Join(m) => {
            let bounds = m.boxes.iter().map(|bounds| place(Some(bounds))).collect::<Result<_, _>>()?;
            picture(frame(m.frame.as_ref(), names)?, Amendment::Join { bounds, product: product(&m.sku, names)? })
        }
        Wire::Add(m) => {
            let amendment = Amendment::Add { bounds: place(m.r#box.as_ref())?, product: product(&m.sku, names)? };
            picture(frame(m.frame.as_ref(), names)?, amendment)
        }
        Wire::Confirm(m) => Ok(Change::Movement { movement: movement(m, names)?, confirmed: true }),
        Wire::Refuse(m) => Ok(Change::Movement { movement: movement(m, names)?, confirmed: false }),
        Wire::Count(m) => Ok(Change::Count {
            appliance: appliance(&m.appliance, names)?,
            product: product(&m.sku, names)?,
            at: decode_time(m.timestamp.as_ref())?,
            count: m.count,
        }),
        Wire::Product(m) => Ok(Change::Product {
            product: product(&m.sku, names)?,
            fields: ProductFields {
                name: some(&m.name, names)?,
                category: some(&m.category, names)?,
                brand: some(&m.brand, names)?,
                package_mg: m.package_mg,
                shelf_life_days: m.shelf_life_days,
            },
        }),
        Wire::Merge(m) => Ok(Change::Merge { product: product(&m.sku, names)?, into: product(&m.into, names)? }),
        Wire::Remove(sku) => Ok(Change::Remove { product: product(sku, names)? }),
        Wire::Appliance(m) => Ok(Change::Appliance {
            appliance: appliance(&m.id, names)?,
            fields: ApplianceFields {
                household: some(&m.household, names)?.map(HouseholdId),
                region: some(&m.region, names)?,
                time_zone: some(&m.time_zone, names)?,
                min_score: m.min_score_ppm,
                review_below: m.review_below_ppm,
                min_households: m.min_households,
            },
        }),
        Wire::Calibrate(m) => Ok(Change::Calibration {
            appliance: appliance(&m.appliance, names)?,
            sensor: SensorId(names.intern(present("sensor", &m.sensor)?)?),
            from: decode_time(m.from.as_ref())?,
            until: decode_time(m.until.as_ref())?,
            offset: m.offset,
            skew: m.skew_micros,
        }),
        Wire::Undo(id) => Ok(Change::Undo { correction: names.intern(present("correction", id)?)? }),
        Wire::Restore(id) => Ok(Change::Restore { correction: names.intern(present("correction", id)?)? }),
    }
}

fn product(sku: &str, names: &mut Names) -> Result<ProductId, WireError> {
    Ok(ProductId(names.intern(present("sku", sku)?)?))
}

fn appliance(id: &str, names: &mut Names) -> Result<ApplianceId, WireError> {
    Ok(ApplianceId(names.intern(present("appliance", id)?)?))
}

fn some(text: &Option<String>, names: &mut Names) -> Result<Option<Name>, IdCollision> {
    text.as_deref().map(|text| names.intern(text)).transpose()
}

fn place(message: Option<&wire::Box>) -> Result<BoundingBox, Refused> {
    let edges = message.map_or(&[][..], |message| &message.edges);
    bounds(edges)?.ok_or_else(|| Refused::malformed("no box"))
}

fn frame(message: Option<&wire::Frame>, names: &mut Names) -> Result<FrameKey, WireError> {
    let message = message.ok_or_else(|| Refused::malformed("no frame"))?;
    Ok(FrameKey {
        appliance: appliance(&message.appliance, names)?,
        sensor: SensorId(names.intern(present("sensor", &message.sensor)?)?),
        time: decode_time(message.timestamp.as_ref())?,
        hash: digest("frame", &message.hash)?,
    })
}

fn movement(message: &wire::Movement, names: &mut Names) -> Result<MovementKey, WireError> {
    let kind = match wire::Kind::try_from(message.kind) {
        Ok(wire::Kind::In) => MovementKind::In,
        Ok(wire::Kind::Out) => MovementKind::Out,
        Ok(wire::Kind::Moved) => MovementKind::Moved,
        Ok(wire::Kind::Unspecified) | Err(_) => return Err(Refused::malformed("a movement of no known kind").into()),
    };
    Ok(MovementKey {
        appliance: appliance(&message.appliance, names)?,
        time: decode_time(message.timestamp.as_ref())?,
        product: product(&message.sku, names)?,
        kind,
    })
}

/// The message of a correction: the inverse of [`decode_correction`].
pub fn encode_correction(correction: &Correction, names: &Names) -> v1::Correction {
    let Correction { time, id, author, reason, change } = correction;
    let text = |name: Name| names.text(name).to_owned();
    v1::Correction {
        timestamp: Some(encode_time(*time)),
        id: text(*id),
        author: text(*author),
        reason: text(*reason),
        change: Some(encode_change(change, text)),
    }
}

fn encode_change(change: &Change, text: impl Fn(Name) -> String) -> wire::Change {
    use wire::Change as Wire;
    let some = |name: Option<Name>| name.map(&text);
    let time = |time| -> Option<Timestamp> { Some(encode_time(time)) };
    let place = |b: &BoundingBox| wire::Box { edges: [b.left, b.top, b.right, b.bottom].map(u32::from).to_vec() };
    match change {
        Change::Picture { frame, amendment } => {
            let frame = Some(wire::Frame {
                appliance: text(frame.appliance.0),
                sensor: text(frame.sensor.0),
                timestamp: time(frame.time),
                hash: frame.hash.to_string(),
            });
            match amendment {
                Amendment::Relabel { bounds, product } => {
                    Wire::Relabel(wire::Relabel { frame, r#box: Some(place(bounds)), sku: text(product.0) })
                }
                Amendment::Reject { bounds } => Wire::Reject(wire::Reject { frame, r#box: Some(place(bounds)) }),
                Amendment::Split { bounds, parts } => {
                    let part = |(bounds, product): &(BoundingBox, ProductId)| wire::Part {
                        r#box: Some(place(bounds)),
                        sku: text(product.0),
                    };
                    let parts = parts.iter().map(part).collect();
                    Wire::Split(wire::Split { frame, r#box: Some(place(bounds)), parts })
                }
                Amendment::Join { bounds, product } => {
                    Wire::Join(wire::Join { frame, boxes: bounds.iter().map(place).collect(), sku: text(product.0) })
                }
                Amendment::Add { bounds, product } => {
                    Wire::Add(wire::Add { frame, r#box: Some(place(bounds)), sku: text(product.0) })
                }
            }
        }
        Change::Movement { movement, confirmed } => {
            let kind = match movement.kind {
                MovementKind::In => wire::Kind::In,
                MovementKind::Out => wire::Kind::Out,
                MovementKind::Moved => wire::Kind::Moved,
            };
            let message = wire::Movement {
                appliance: text(movement.appliance.0),
                timestamp: time(movement.time),
                sku: text(movement.product.0),
                kind: kind.into(),
            };
            if *confirmed { Wire::Confirm(message) } else { Wire::Refuse(message) }
        }
        Change::Count { appliance, product, at, count } => Wire::Count(wire::Count {
            appliance: text(appliance.0),
            sku: text(product.0),
            timestamp: time(*at),
            count: *count,
        }),
        Change::Product { product, fields } => Wire::Product(wire::ProductFields {
            sku: text(product.0),
            name: some(fields.name),
            category: some(fields.category),
            brand: some(fields.brand),
            package_mg: fields.package_mg,
            shelf_life_days: fields.shelf_life_days,
        }),
        Change::Merge { product, into } => Wire::Merge(wire::Merge { sku: text(product.0), into: text(into.0) }),
        Change::Remove { product } => Wire::Remove(text(product.0)),
        Change::Appliance { appliance, fields } => Wire::Appliance(wire::ApplianceFields {
            id: text(appliance.0),
            household: some(fields.household.map(|household| household.0)),
            region: some(fields.region),
            time_zone: some(fields.time_zone),
            min_score_ppm: fields.min_score,
            review_below_ppm: fields.review_below,
            min_households: fields.min_households,
        }),
        Change::Calibration { appliance, sensor, from, until, offset, skew } => Wire::Calibrate(wire::Calibration {
            appliance: text(appliance.0),
            sensor: text(sensor.0),
            from: time(*from),
            until: time(*until),
            offset: *offset,
            skew_micros: *skew,
        }),
        Change::Undo { correction } => Wire::Undo(text(*correction)),
        Change::Restore { correction } => Wire::Restore(text(*correction)),
    }
}
