//! What came in, beside frames.

use larder_records::{
    Appliance, ApplianceId, Change, Correction, DeadLetter, DeadReason, DeclaredMovement, HouseholdId, Modality, Name,
    Position, Product, ProductId, Reading, Reason, SensorId, Time,
};

use super::{Month, some};
use crate::lake::{cells::Score, row::table};

table! {
    Reading as "readings", partition ["modality", "month"], feed false;
    columns |row| {
        appliance: Name = row.appliance.0,
        sensor: Name = row.sensor.0,
        time: Time = row.time,
        sequence: u32 = row.sequence,
        value: i64 = row.value,
        modality: Modality = row.modality,
    }
    derived { month: Month = Month(row.time) }
    read Reading { appliance: ApplianceId(appliance), sensor: SensorId(sensor), modality, time, sequence, value }
}

table! {
    DeclaredMovement as "declared", partition ["month"], feed false;
    columns |row| {
        appliance: Name = row.appliance.0,
        time: Time = row.time,
        id: Name = row.id,
        source: Option<Name> = some(row.source),
        sku: Name = row.product.0,
        quantity: i64 = row.quantity,
        group_id: Option<Name> = some(row.group),
        reason: Reason = row.reason,
        cents: i64 = row.cents,
    }
    derived { month: Month = Month(row.time) }
    read DeclaredMovement {
        appliance: ApplianceId(appliance),
        time,
        id,
        source: source.unwrap_or_default(),
        product: ProductId(sku),
        quantity,
        group: group_id.unwrap_or_default(),
        reason,
        cents,
    }
}

table! {
    Product as "products", partition [], feed true;
    columns |row| {
        sku: Name = row.id.0,
        as_of: Time = row.as_of,
        name: Option<Name> = some(row.name),
        category: Option<Name> = some(row.category),
        brand: Option<Name> = some(row.brand),
        package_mg: i64 = row.package_mg,
        shelf_life_days: u32 = row.shelf_life_days,
    }
    derived {}
    read Product {
        id: ProductId(sku),
        as_of,
        name: name.unwrap_or_default(),
        category: category.unwrap_or_default(),
        brand: brand.unwrap_or_default(),
        package_mg,
        shelf_life_days,
    }
}

table! {
    Appliance as "appliances", partition [], feed true;
    columns |row| {
        appliance: Name = row.id.0,
        as_of: Time = row.as_of,
        household: Name = row.household.0,
        region: Option<Name> = some(row.region),
        kind: Option<Name> = some(row.kind),
        model: Option<Name> = some(row.model),
        time_zone: Option<Name> = some(row.time_zone),
        min_score: Score = Score(row.min_score),
        review_below: Score = Score(row.review_below),
        min_households: u32 = row.min_households,
    }
    derived {}
    read Appliance {
        id: ApplianceId(appliance),
        as_of,
        household: HouseholdId(household),
        region: region.unwrap_or_default(),
        kind: kind.unwrap_or_default(),
        model: model.unwrap_or_default(),
        time_zone: time_zone.unwrap_or_default(),
        min_score: min_score.0,
        review_below: review_below.0,
        min_households,
    }
}

table! {
    Correction as "corrections", partition [], feed true;
    columns |row| {
        id: Name = row.id,
        time: Time = row.time,
        author: Option<Name> = some(row.author),
        reason: Option<Name> = some(row.reason),
        change: Change = row.change.clone(),
    }
    derived {
        kind: String = row.change.kind().to_owned(),
        appliance: Option<Name> = row.change.appliance().map(|appliance| appliance.0),
    }
    read Correction {
        id,
        time,
        author: author.unwrap_or_default(),
        reason: reason.unwrap_or_default(),
        change,
    }
}

table! {
    DeadLetter as "dead_letters", partition [], feed false;
    columns |row| {
        source: String = row.position.source.to_string(),
        offset: u64 = row.position.offset,
        reason: DeadReason = row.reason,
        detail: String = row.detail.clone(),
    }
    derived {}
    read DeadLetter { position: Position { source: source.into(), offset }, reason, detail }
}
