//! What came out: the maintained views.

use larder_records::{
    ApplianceId, Digest, FrameKey, HouseholdId, Name, ProductId, Reason, SensorId, SightingKey, Time, views::*,
};

use super::{Month, some};
use crate::lake::{
    cells::{Date, Score, Source},
    error::{CellError, ColumnError},
    row::table,
};

table! {
    Visit as "visits", partition ["month"], feed true;
    columns |row| {
        appliance: Name = row.appliance.0,
        sensor: Name = row.sensor.0,
        opened: Time = row.opened,
        closed: Option<Time> = row.closed,
    }
    derived {
        open_seconds: Option<i64> = row.closed.map(|closed| closed.since(row.opened).div_euclid(Time::SECOND)),
        month: Month = Month(row.opened),
    }
    read Visit { appliance: ApplianceId(appliance), sensor: SensorId(sensor), opened, closed }
}

/// A look of `appliance`, from its columns.
fn look(appliance: Name, sensor: Option<Name>, time: Option<Time>, hash: Option<Digest>) -> Option<FrameKey> {
    Some(FrameKey { appliance: ApplianceId(appliance), sensor: SensorId(sensor?), time: time?, hash: hash? })
}

table! {
    Movement as "movements", partition ["month"], feed true;
    columns |row| {
        appliance: Name = row.appliance.0,
        time: Time = row.time,
        group_id: Option<Name> = some(row.group),
        sku: Name = row.product.0,
        kind: MovementKind = row.kind,
        quantity: i64 = row.quantity,
        confidence: Score = Score(row.confidence),
        source: Source = match row.source {
            MovementSource::Sensors => Source::Sensors,
            MovementSource::Declared(_) => Source::Declared,
            MovementSource::Counted(_) => Source::Counted,
        },
        declared_id: Option<Name> = match row.source {
            MovementSource::Declared(id) => some(id),
            MovementSource::Sensors | MovementSource::Counted(_) => None,
        },
        correction_id: Option<Name> = match row.source {
            MovementSource::Counted(id) => some(id),
            MovementSource::Sensors | MovementSource::Declared(_) => None,
        },
        reason: Reason = row.reason,
        cents: i64 = row.cents,
        weight_delta_mg: Option<i64> = row.weight_delta_mg,
        before_sensor: Option<Name> = row.before.map(|look| look.sensor.0),
        before_time: Option<Time> = row.before.map(|look| look.time),
        before_hash: Option<Digest> = row.before.map(|look| look.hash),
        after_sensor: Option<Name> = row.after.map(|look| look.sensor.0),
        after_time: Option<Time> = row.after.map(|look| look.time),
        after_hash: Option<Digest> = row.after.map(|look| look.hash),
    }
    derived {
        delta: i64 = row.signed(),
        month: Month = Month(row.time),
    }
    read Movement {
        appliance: ApplianceId(appliance),
        time,
        group: group_id.unwrap_or_default(),
        product: ProductId(sku),
        kind,
        quantity,
        confidence: confidence.0,
        source: match source {
            Source::Sensors => MovementSource::Sensors,
            Source::Declared => MovementSource::Declared(declared_id.unwrap_or_default()),
            Source::Counted => MovementSource::Counted(correction_id.unwrap_or_default()),
        },
        reason,
        cents,
        weight_delta_mg,
        before: look(appliance, before_sensor, before_time, before_hash),
        after: look(appliance, after_sensor, after_time, after_hash),
    }
}

table! {
    Inventory as "inventory", partition [], feed true;
    columns |row| {
        appliance: Name = row.appliance.0,
        sku: Name = row.product.0,
        count: i64 = row.count,
        since: Time = row.since,
        confidence: Score = Score(row.confidence),
    }
    derived {}
    read Inventory {
        appliance: ApplianceId(appliance),
        product: ProductId(sku),
        count,
        since,
        confidence: confidence.0,
    }
}

table! {
    InventoryInterval as "inventory_history", partition ["month"], feed true;
    columns |row| {
        appliance: Name = row.appliance.0,
        sku: Name = row.product.0,
        valid_from: Time = row.from,
        valid_until: Option<Time> = row.until,
        count: i64 = row.count,
    }
    derived { month: Month = Month(row.from) }
    read InventoryInterval {
        appliance: ApplianceId(appliance),
        product: ProductId(sku),
        from: valid_from,
        until: valid_until,
        count,
    }
}

table! {
    FoodState as "food_state", partition [], feed true;
    columns |row| {
        appliance: Name = row.appliance.0,
        sku: Name = row.product.0,
        count: i64 = row.count,
        oldest_in: Time = row.oldest_in,
        age_hours: i64 = row.age_hours,
        expires: Option<Date> = row.expires.map(Date),
        minutes_out: i64 = row.minutes_out,
        advice: Advice = row.advice,
    }
    derived {}
    read FoodState {
        appliance: ApplianceId(appliance),
        product: ProductId(sku),
        count,
        oldest_in,
        age_hours,
        expires: expires.map(|day| day.0),
        minutes_out,
        advice,
    }
}

table! {
    Behaviour as "behaviour", partition ["month"], feed true;
    columns |row| {
        household: Name = row.household.0,
        week: Date = Date(row.week),
        openings: i64 = row.openings,
        open_seconds: i64 = row.open_seconds,
        put_in: i64 = row.put_in,
        taken_out: i64 = row.taken_out,
    }
    derived { month: Month = Month::of_day(row.week) }
    read Behaviour {
        household: HouseholdId(household),
        week: week.0,
        openings,
        open_seconds,
        put_in,
        taken_out,
    }
}

table! {
    ProductBehaviour as "behaviour_products", partition [], feed true;
    columns |row| {
        household: Name = row.household.0,
        sku: Name = row.product.0,
        put_in: i64 = row.put_in,
        taken_out: i64 = row.taken_out,
        stays: i64 = row.stays,
        stay_seconds: i64 = row.stay_seconds,
        restocks: i64 = row.restocks,
        restock_seconds: i64 = row.restock_seconds,
    }
    derived {}
    read ProductBehaviour {
        household: HouseholdId(household),
        product: ProductId(sku),
        put_in,
        taken_out,
        stays,
        stay_seconds,
        restocks,
        restock_seconds,
    }
}

table! {
    PairBehaviour as "behaviour_pairs", partition [], feed true;
    columns |row| {
        household: Name = row.household.0,
        first_sku: Name = row.first.0,
        second_sku: Name = row.second.0,
        together: i64 = row.together,
    }
    derived {}
    read PairBehaviour {
        household: HouseholdId(household),
        first: ProductId(first_sku),
        second: ProductId(second_sku),
        together,
    }
}

table! {
    Market as "market", partition ["month"], feed true;
    columns |row| {
        region: Option<Name> = some(row.region),
        week: Date = Date(row.week),
        level: MarketLevel = row.level,
        key: Name = row.key,
        put_in: i64 = row.put_in,
        used_up: i64 = row.used_up,
        wasted: i64 = row.wasted,
        cents: i64 = row.cents,
        households: i64 = row.households,
    }
    derived { month: Month = Month::of_day(row.week) }
    read Market {
        region: region.unwrap_or_default(),
        week: week.0,
        level,
        key,
        put_in,
        used_up,
        wasted,
        cents,
        households,
    }
}

table! {
    MarketPair as "market_pairs", partition ["month"], feed true;
    columns |row| {
        region: Option<Name> = some(row.region),
        week: Date = Date(row.week),
        first_sku: Name = row.first.0,
        second_sku: Name = row.second.0,
        together: i64 = row.together,
        households: i64 = row.households,
    }
    derived { month: Month = Month::of_day(row.week) }
    read MarketPair {
        region: region.unwrap_or_default(),
        week: week.0,
        first: ProductId(first_sku),
        second: ProductId(second_sku),
        together,
        households,
    }
}

/// What a reviewer is asked about, from its columns.
fn subject(
    appliance: Name,
    kind: Option<MovementKind>,
    sensor: Option<Name>,
    time: Option<Time>,
    hash: Option<Digest>,
    index: Option<u16>,
) -> Result<ReviewSubject, ColumnError> {
    let sighting = || Some(SightingKey { frame: look(appliance, sensor, time, hash)?, index: index? });
    kind.map(ReviewSubject::Movement)
        .or_else(|| sighting().map(ReviewSubject::Sighting))
        .ok_or_else(|| ("movement_kind", CellError::Value("null, and there is no sighting either".to_owned())))
}

table! {
    ReviewItem as "review_queue", partition [], feed true;
    columns |row| {
        appliance: Name = row.appliance.0,
        time: Time = row.time,
        movement_kind: Option<MovementKind> = match row.subject {
            ReviewSubject::Movement(kind) => Some(kind),
            ReviewSubject::Sighting(_) => None,
        },
        sensor: Option<Name> = sighting(row).map(|key| key.frame.sensor.0),
        frame_time: Option<Time> = sighting(row).map(|key| key.frame.time),
        frame_hash: Option<Digest> = sighting(row).map(|key| key.frame.hash),
        sighting_index: Option<u16> = sighting(row).map(|key| key.index),
        sku: Option<Name> = row.product.map(|product| product.0),
        confidence: Score = Score(row.confidence),
    }
    derived {}
    read ReviewItem {
        appliance: ApplianceId(appliance),
        time,
        subject: subject(appliance, movement_kind, sensor, frame_time, frame_hash, sighting_index)?,
        product: sku.map(ProductId),
        confidence: confidence.0,
    }
}

fn sighting(row: &ReviewItem) -> Option<SightingKey> {
    match row.subject {
        ReviewSubject::Sighting(key) => Some(key),
        ReviewSubject::Movement(_) => None,
    }
}
