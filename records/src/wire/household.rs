//! Appliances, products, declared movements and the truth.

use super::{Refused, WireError, decode_time, encode_time, reading::decode_value, v1};
use crate::{
    Appliance, ApplianceId, BoundingBox, DeadReason, DeclaredMovement, HouseholdId, Modality, Names, PPM, Product,
    ProductId, Reason, Truth,
};

/// The record of an appliance; thresholds that it does not state are the defaults.
///
/// # Errors
/// `Malformed` without id, household or time; `BadValue` for a threshold above one; `BadTime`; a collision of names.
pub fn decode_appliance(message: &v1::Appliance, names: &mut Names) -> Result<Appliance, WireError> {
    let known = Appliance::new(
        ApplianceId(names.intern(present("appliance id", &message.id)?)?),
        HouseholdId(names.intern(present("household", &message.household)?)?),
        names.intern(&message.kind)?,
    );
    Ok(Appliance {
        as_of: decode_time(message.timestamp.as_ref())?,
        region: names.intern(&message.region)?,
        model: names.intern(&message.model)?,
        time_zone: names.intern(&message.time_zone)?,
        min_score: share(message.min_score_ppm.unwrap_or(known.min_score))?,
        review_below: share(message.review_below_ppm.unwrap_or(known.review_below))?,
        min_households: message.min_households.unwrap_or(known.min_households),
        ..known
    })
}

/// The message of an appliance.
pub fn encode_appliance(appliance: &Appliance, names: &Names) -> v1::Appliance {
    v1::Appliance {
        timestamp: Some(encode_time(appliance.as_of)),
        id: names.text(appliance.id.0).to_owned(),
        household: names.text(appliance.household.0).to_owned(),
        region: names.text(appliance.region).to_owned(),
        kind: names.text(appliance.kind).to_owned(),
        model: names.text(appliance.model).to_owned(),
        time_zone: names.text(appliance.time_zone).to_owned(),
        min_score_ppm: Some(appliance.min_score),
        review_below_ppm: Some(appliance.review_below),
        min_households: Some(appliance.min_households),
    }
}

/// The record of a product.
///
/// # Errors
/// `Malformed` without SKU or time; `BadValue` for a weight that no package has; `BadTime`; a collision of names.
pub fn decode_product(message: &v1::Product, names: &mut Names) -> Result<Product, WireError> {
    let package_mg = decode_value(Modality::Weight, message.package_grams)?;
    if package_mg < 0 {
        return Err(Refused::new(DeadReason::BadValue, format!("a package of {package_mg} mg")).into());
    }
    Ok(Product {
        id: ProductId(names.intern(present("sku", &message.sku)?)?),
        as_of: decode_time(message.timestamp.as_ref())?,
        name: names.intern(&message.name)?,
        category: names.intern(&message.category)?,
        brand: names.intern(&message.brand)?,
        package_mg,
        shelf_life_days: message.shelf_life_days,
    })
}

/// The message of a product.
pub fn encode_product(product: &Product, names: &Names) -> v1::Product {
    v1::Product {
        timestamp: Some(encode_time(product.as_of)),
        sku: names.text(product.id.0).to_owned(),
        name: names.text(product.name).to_owned(),
        category: names.text(product.category).to_owned(),
        brand: names.text(product.brand).to_owned(),
        package_grams: product.package_mg as f64 / 1000.0,
        shelf_life_days: product.shelf_life_days,
    }
}

/// A movement declared for `appliance`.
///
/// # Errors
/// `Malformed` without id, SKU or time; `BadValue` for no packages at all; `BadTime`; a collision of names.
pub fn decode_declared(
    appliance: ApplianceId,
    message: &v1::DeclaredMovement,
    names: &mut Names,
) -> Result<DeclaredMovement, WireError> {
    use v1::declared_movement::Reason as Wire;
    let time = decode_time(message.timestamp.as_ref())?;
    if message.quantity == 0 {
        return Err(Refused::new(DeadReason::BadValue, "a movement of no packages").into());
    }
    Ok(DeclaredMovement {
        appliance,
        time,
        id: names.intern(present("id", &message.id)?)?,
        source: names.intern(&message.source)?,
        product: ProductId(names.intern(present("sku", &message.sku)?)?),
        quantity: i64::from(message.quantity),
        group: names.intern(&message.group)?,
        reason: match Wire::try_from(message.reason) {
            Ok(Wire::Bought) => Reason::Bought,
            Ok(Wire::Used) => Reason::Used,
            Ok(Wire::Wasted) => Reason::Wasted,
            // A reason of a newer producer is one that is not known here.
            Ok(Wire::Unspecified) | Err(_) => Reason::Unspecified,
        },
        cents: message.cents,
    })
}

/// The message of a declared movement, without its appliance.
///
/// # Errors
/// `BadValue` where the quantity is 0 or does not fit 32 bits.
pub fn encode_declared(movement: &DeclaredMovement, names: &Names) -> Result<v1::DeclaredMovement, Refused> {
    use v1::declared_movement::Reason as Wire;
    let quantity = i32::try_from(movement.quantity).ok().filter(|quantity| *quantity != 0);
    let quantity = quantity
        .ok_or_else(|| Refused::new(DeadReason::BadValue, format!("a movement of {} packages", movement.quantity)))?;
    let reason = match movement.reason {
        Reason::Unspecified => Wire::Unspecified,
        Reason::Bought => Wire::Bought,
        Reason::Used => Wire::Used,
        Reason::Wasted => Wire::Wasted,
    };
    Ok(v1::DeclaredMovement {
        timestamp: Some(encode_time(movement.time)),
        id: names.text(movement.id).to_owned(),
        source: names.text(movement.source).to_owned(),
        sku: names.text(movement.product.0).to_owned(),
        quantity,
        group: names.text(movement.group).to_owned(),
        reason: reason.into(),
        cents: movement.cents,
    })
}

/// What `appliance` truly held.
///
/// # Errors
/// `Malformed` without time or an item's SKU, and for a box of other than four numbers of 16 bits in order; `BadTime`;
/// a collision of names.
pub fn decode_truth(appliance: ApplianceId, message: &v1::Truth, names: &mut Names) -> Result<Truth, WireError> {
    let time = decode_time(message.timestamp.as_ref())?;
    let mut items = Vec::with_capacity(message.items.len());
    for item in &message.items {
        let product = ProductId(names.intern(present("sku", &item.sku)?)?);
        items.push((product, item.count, bounds(&item.r#box)?));
    }
    Ok(Truth { appliance, time, items })
}

/// The message of a truth, without its appliance.
pub fn encode_truth(truth: &Truth, names: &Names) -> v1::Truth {
    let item = |&(product, count, bounds): &(ProductId, u32, Option<BoundingBox>)| v1::truth::Item {
        sku: names.text(product.0).to_owned(),
        count,
        r#box: bounds.map_or_else(Vec::new, |b| [b.left, b.top, b.right, b.bottom].map(u32::from).to_vec()),
    };
    v1::Truth { timestamp: Some(encode_time(truth.time)), items: truth.items.iter().map(item).collect() }
}

pub(super) fn present<'a>(what: &str, text: &'a str) -> Result<&'a str, Refused> {
    if text.is_empty() { Err(Refused::malformed(format!("no {what}"))) } else { Ok(text) }
}

fn share(ppm: u32) -> Result<u32, Refused> {
    if ppm <= PPM {
        Ok(ppm)
    } else {
        Err(Refused::new(DeadReason::BadValue, format!("a threshold of {ppm} parts per million")))
    }
}

pub(super) fn bounds(numbers: &[u32]) -> Result<Option<BoundingBox>, Refused> {
    let wrong = || Refused::malformed(format!("a box of {} numbers, or out of order or range", numbers.len()));
    let edge = |number: u32| u16::try_from(number).map_err(|_| wrong());
    match *numbers {
        [] => Ok(None),
        [left, top, right, bottom] if left <= right && top <= bottom => {
            Ok(Some(BoundingBox { left: edge(left)?, top: edge(top)?, right: edge(right)?, bottom: edge(bottom)? }))
        }
        _ => Err(wrong()),
    }
}
