//! The tables of the views.

use larder_records::{
    ApplianceId, FrameKey, HouseholdId, ProductId, Reason, SensorId, SightingKey, Time,
    views::{
        Advice, Behaviour, FoodState, Inventory, InventoryInterval, Market, MarketLevel, MarketPair, Movement,
        MovementKind, MovementSource, PairBehaviour, ProductBehaviour, ReviewItem, ReviewSubject, Visit,
    },
};

use super::Row;
use crate::lake::{
    LakeError,
    columns::{Column, Kind, Reader, Writer},
};

/// The words that an enumeration is written as.
macro_rules! words {
    ($put:ident, $get:ident, $type:ty: $($word:literal = $value:path),* $(,)?) => {
        pub(super) fn $put(value: $type, cells: &mut Writer<'_>) {
            cells.text(Some(match value { $($value => $word,)* }));
        }

        pub(super) fn $get(cells: &mut Reader<'_>) -> Result<$type, LakeError> {
            match cells.text()? {
                $($word => Ok($value),)*
                _ => Err(cells.bad_word()),
            }
        }
    };
}

words!(put_kind, get_kind, MovementKind:
    "in" = MovementKind::In, "out" = MovementKind::Out, "moved" = MovementKind::Moved);
words!(put_advice, get_advice, Advice:
    "keep" = Advice::Keep, "eat_soon" = Advice::EatSoon, "check" = Advice::Check, "discard" = Advice::Discard);
words!(put_level, get_level, MarketLevel:
    "product" = MarketLevel::Product, "brand" = MarketLevel::Brand, "category" = MarketLevel::Category);
words!(put_reason, get_reason, Reason:
    "unspecified" = Reason::Unspecified, "bought" = Reason::Bought, "used" = Reason::Used, "wasted" = Reason::Wasted);

impl Row for Visit {
    const TABLE: &'static str = "visits";
    const COLUMNS: &'static [Column] =
        &[("appliance", Kind::Text), ("sensor", Kind::Text), ("opened", Kind::Time), ("closed", Kind::Time)];
    const BY_MONTH: bool = true;

    fn when(&self) -> Time {
        self.opened
    }

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.appliance.0);
        cells.name(self.sensor.0);
        cells.time(self.opened);
        cells.time(self.closed);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            appliance: ApplianceId(cells.name()?),
            sensor: SensorId(cells.name()?),
            opened: cells.time()?,
            closed: cells.optional_time(),
        })
    }
}

/// The three columns of a frame of the row's own appliance.
fn put_frame(key: Option<FrameKey>, cells: &mut Writer<'_>) {
    cells.name(key.map_or_else(Default::default, |key| key.sensor.0));
    cells.time(key.map(|key| key.time));
    cells.digest(key.map(|key| key.hash));
}

fn get_frame(appliance: ApplianceId, cells: &mut Reader<'_>) -> Result<Option<FrameKey>, LakeError> {
    let (sensor, time, hash) = (SensorId(cells.name()?), cells.optional_time(), cells.optional_digest()?);
    Ok(time.zip(hash).map(|(time, hash)| FrameKey { appliance, sensor, time, hash }))
}

impl Row for Movement {
    const TABLE: &'static str = "movements";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("time", Kind::Time),
        ("go", Kind::Text),
        ("sku", Kind::Text),
        ("kind", Kind::Text),
        ("quantity", Kind::Long),
        ("delta", Kind::Long),
        ("confidence_ppm", Kind::Int),
        ("source", Kind::Text),
        ("declared_id", Kind::Text),
        ("reason", Kind::Text),
        ("cents", Kind::Long),
        ("weight_delta_mg", Kind::Long),
        ("before_sensor", Kind::Text),
        ("before_time", Kind::Time),
        ("before_hash", Kind::Text),
        ("after_sensor", Kind::Text),
        ("after_time", Kind::Time),
        ("after_hash", Kind::Text),
    ];
    const BY_MONTH: bool = true;

    fn when(&self) -> Time {
        self.time
    }

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.appliance.0);
        cells.time(self.time);
        cells.name(self.group);
        cells.name(self.product.0);
        put_kind(self.kind, cells);
        cells.long(self.quantity);
        cells.long(self.signed());
        cells.small(self.confidence);
        let (source, id) = match self.source {
            MovementSource::Sensors => ("sensors", Default::default()),
            MovementSource::Declared(id) => ("declared", id),
        };
        cells.text(Some(source));
        cells.name(id);
        put_reason(self.reason, cells);
        cells.long(self.cents);
        cells.long(self.weight_delta_mg);
        put_frame(self.before, cells);
        put_frame(self.after, cells);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        let appliance = ApplianceId(cells.name()?);
        let time = cells.time()?;
        let group = cells.name()?;
        let product = ProductId(cells.name()?);
        let kind = get_kind(cells)?;
        let quantity = cells.long()?;
        let _signed = cells.long()?;
        let confidence = cells.small()?;
        let source = cells.text()?;
        let id = cells.name()?;
        Ok(Self {
            appliance,
            time,
            group,
            product,
            kind,
            quantity,
            confidence,
            source: if source == "declared" { MovementSource::Declared(id) } else { MovementSource::Sensors },
            reason: get_reason(cells)?,
            cents: cells.long()?,
            weight_delta_mg: cells.optional_long(),
            before: get_frame(appliance, cells)?,
            after: get_frame(appliance, cells)?,
        })
    }
}

impl Row for Inventory {
    const TABLE: &'static str = "inventory";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("sku", Kind::Text),
        ("count", Kind::Long),
        ("since", Kind::Time),
        ("confidence_ppm", Kind::Int),
    ];

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.appliance.0);
        cells.name(self.product.0);
        cells.long(self.count);
        cells.time(self.since);
        cells.small(self.confidence);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            appliance: ApplianceId(cells.name()?),
            product: ProductId(cells.name()?),
            count: cells.long()?,
            since: cells.time()?,
            confidence: cells.small()?,
        })
    }
}

impl Row for InventoryInterval {
    const TABLE: &'static str = "inventory_history";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("sku", Kind::Text),
        ("from", Kind::Time),
        ("until", Kind::Time),
        ("count", Kind::Long),
    ];
    const BY_MONTH: bool = true;

    fn when(&self) -> Time {
        self.from
    }

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.appliance.0);
        cells.name(self.product.0);
        cells.time(self.from);
        cells.time(self.until);
        cells.long(self.count);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            appliance: ApplianceId(cells.name()?),
            product: ProductId(cells.name()?),
            from: cells.time()?,
            until: cells.optional_time(),
            count: cells.long()?,
        })
    }
}

impl Row for FoodState {
    const TABLE: &'static str = "food_state";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("sku", Kind::Text),
        ("count", Kind::Long),
        ("oldest_in", Kind::Time),
        ("age_hours", Kind::Long),
        ("expires", Kind::Date),
        ("minutes_out", Kind::Long),
        ("advice", Kind::Text),
    ];

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.appliance.0);
        cells.name(self.product.0);
        cells.long(self.count);
        cells.time(self.oldest_in);
        cells.long(self.age_hours);
        cells.date(self.expires);
        cells.long(self.minutes_out);
        put_advice(self.advice, cells);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            appliance: ApplianceId(cells.name()?),
            product: ProductId(cells.name()?),
            count: cells.long()?,
            oldest_in: cells.time()?,
            age_hours: cells.long()?,
            expires: cells.optional_date(),
            minutes_out: cells.long()?,
            advice: get_advice(cells)?,
        })
    }
}

impl Row for Behaviour {
    const TABLE: &'static str = "behaviour";
    const COLUMNS: &'static [Column] = &[
        ("household", Kind::Text),
        ("week", Kind::Date),
        ("openings", Kind::Long),
        ("open_seconds", Kind::Long),
        ("put_in", Kind::Long),
        ("taken_out", Kind::Long),
    ];

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.household.0);
        cells.date(self.week);
        cells.long(self.openings);
        cells.long(self.open_seconds);
        cells.long(self.put_in);
        cells.long(self.taken_out);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            household: HouseholdId(cells.name()?),
            week: cells.date()?,
            openings: cells.long()?,
            open_seconds: cells.long()?,
            put_in: cells.long()?,
            taken_out: cells.long()?,
        })
    }
}

impl Row for ProductBehaviour {
    const TABLE: &'static str = "behaviour_products";
    const COLUMNS: &'static [Column] = &[
        ("household", Kind::Text),
        ("sku", Kind::Text),
        ("put_in", Kind::Long),
        ("taken_out", Kind::Long),
        ("stays", Kind::Long),
        ("stay_seconds", Kind::Long),
        ("restocks", Kind::Long),
        ("restock_seconds", Kind::Long),
    ];

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.household.0);
        cells.name(self.product.0);
        for value in [self.put_in, self.taken_out, self.stays, self.stay_seconds, self.restocks, self.restock_seconds] {
            cells.long(value);
        }
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            household: HouseholdId(cells.name()?),
            product: ProductId(cells.name()?),
            put_in: cells.long()?,
            taken_out: cells.long()?,
            stays: cells.long()?,
            stay_seconds: cells.long()?,
            restocks: cells.long()?,
            restock_seconds: cells.long()?,
        })
    }
}

impl Row for PairBehaviour {
    const TABLE: &'static str = "behaviour_pairs";
    const COLUMNS: &'static [Column] =
        &[("household", Kind::Text), ("first_sku", Kind::Text), ("second_sku", Kind::Text), ("together", Kind::Long)];

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.household.0);
        cells.name(self.first.0);
        cells.name(self.second.0);
        cells.long(self.together);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            household: HouseholdId(cells.name()?),
            first: ProductId(cells.name()?),
            second: ProductId(cells.name()?),
            together: cells.long()?,
        })
    }
}

impl Row for Market {
    const TABLE: &'static str = "market";
    const COLUMNS: &'static [Column] = &[
        ("region", Kind::Text),
        ("week", Kind::Date),
        ("level", Kind::Text),
        ("key", Kind::Text),
        ("put_in", Kind::Long),
        ("used_up", Kind::Long),
        ("wasted", Kind::Long),
        ("cents", Kind::Long),
        ("households", Kind::Long),
    ];

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.region);
        cells.date(self.week);
        put_level(self.level, cells);
        cells.name(self.key);
        for value in [self.put_in, self.used_up, self.wasted, self.cents, self.households] {
            cells.long(value);
        }
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            region: cells.name()?,
            week: cells.date()?,
            level: get_level(cells)?,
            key: cells.name()?,
            put_in: cells.long()?,
            used_up: cells.long()?,
            wasted: cells.long()?,
            cents: cells.long()?,
            households: cells.long()?,
        })
    }
}

impl Row for MarketPair {
    const TABLE: &'static str = "market_pairs";
    const COLUMNS: &'static [Column] = &[
        ("region", Kind::Text),
        ("week", Kind::Date),
        ("first_sku", Kind::Text),
        ("second_sku", Kind::Text),
        ("together", Kind::Long),
        ("households", Kind::Long),
    ];

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.region);
        cells.date(self.week);
        cells.name(self.first.0);
        cells.name(self.second.0);
        cells.long(self.together);
        cells.long(self.households);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        Ok(Self {
            region: cells.name()?,
            week: cells.date()?,
            first: ProductId(cells.name()?),
            second: ProductId(cells.name()?),
            together: cells.long()?,
            households: cells.long()?,
        })
    }
}

impl Row for ReviewItem {
    const TABLE: &'static str = "review_queue";
    const COLUMNS: &'static [Column] = &[
        ("appliance", Kind::Text),
        ("time", Kind::Time),
        ("subject", Kind::Text),
        ("frame_sensor", Kind::Text),
        ("frame_time", Kind::Time),
        ("frame_hash", Kind::Text),
        ("sighting", Kind::Int),
        ("movement_kind", Kind::Text),
        ("sku", Kind::Text),
        ("confidence_ppm", Kind::Int),
    ];

    fn put(&self, cells: &mut Writer<'_>) {
        cells.name(self.appliance.0);
        cells.time(self.time);
        match self.subject {
            ReviewSubject::Sighting(key) => {
                cells.text(Some("sighting"));
                put_frame(Some(key.frame), cells);
                cells.int(i32::from(key.index));
                cells.text(None);
            }
            ReviewSubject::Movement(kind) => {
                cells.text(Some("movement"));
                put_frame(None, cells);
                cells.int(None);
                put_kind(kind, cells);
            }
        }
        cells.name(self.product.map_or_else(Default::default, |product| product.0));
        cells.small(self.confidence);
    }

    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError> {
        let appliance = ApplianceId(cells.name()?);
        let time = cells.time()?;
        let subject = cells.text()?;
        let frame = get_frame(appliance, cells)?;
        let index = cells.optional_int();
        let subject = if subject == "movement" {
            ReviewSubject::Movement(get_kind(cells)?)
        } else {
            cells.optional_text();
            let index = index.and_then(|index| u16::try_from(index).ok());
            let (frame, index) = frame.zip(index).ok_or_else(|| cells.bad_word())?;
            ReviewSubject::Sighting(SightingKey { frame, index })
        };
        let product = cells.name()?;
        Ok(Self {
            appliance,
            time,
            subject,
            product: (product != Default::default()).then_some(ProductId(product)),
            confidence: cells.small()?,
        })
    }
}
