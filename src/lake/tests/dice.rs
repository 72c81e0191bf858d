//! Rows thrown at random, from small pools so that they meet again.

use larder_records::{views::*, *};
use rand::{Rng as _, SeedableRng as _};

pub(super) struct Dice {
    rng: rand_chacha::ChaCha8Rng,
    pub(super) names: Names,
}

/// A row that can be thrown.
pub(super) trait Throw {
    fn throw(dice: &mut Dice) -> Self;
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: rand_chacha::ChaCha8Rng::seed_from_u64(seed), names: Names::default() }
    }

    pub(super) fn throw<T: Throw>(&mut self) -> T {
        T::throw(self)
    }

    pub(super) fn below(&mut self, end: i64) -> i64 {
        self.rng.random_range(0..end)
    }

    fn any<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.random_range(0..of.len())]
    }

    fn option<T>(&mut self, of: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.rng.random_bool(0.5).then(|| of(self))
    }

    fn list<T>(&mut self, of: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| of(self)).collect()
    }

    /// A name that is never none.
    fn key(&mut self) -> Name {
        let text = self.any(&["kitchen-1/fridge", "kitchen-2/fridge", "küche \"3\"", "O'Hara, 4", "%2F"]);
        self.names.intern(text).unwrap()
    }

    fn name(&mut self) -> Name {
        self.option(Self::key).unwrap_or_default()
    }

    fn time(&mut self) -> Time {
        // Some months, on both sides of a year's end.
        Time(1_764_000_000_000_000 + self.below(100) * Time::DAY / 2 + self.below(3))
    }

    fn ppm(&mut self) -> Ppm {
        self.any(&[0, 1, 123_456, 999_999, PPM, u32::MAX])
    }

    fn integer(&mut self) -> i64 {
        self.any(&[i64::MIN, -1, 0, 1, 2, 3, i64::MAX])
    }

    fn count(&mut self) -> i64 {
        self.below(4) + 1
    }

    fn digest(&mut self) -> Digest {
        self.any(&[Digest(0), Digest(1), Digest(u128::MAX), Digest::of(b"frame")])
    }

    fn pixel(&mut self) -> u16 {
        self.any(&[0, 1, 639, u16::MAX])
    }

    fn look(&mut self, appliance: ApplianceId) -> FrameKey {
        FrameKey { appliance, sensor: SensorId(self.key()), time: self.time(), hash: self.digest() }
    }
}

macro_rules! throw {
    ($($type:ident |$dice:ident| $value:expr),* $(,)?) => {$(
        impl Throw for $type {
            fn throw($dice: &mut Dice) -> Self {
                $value
            }
        }
    )*};
}

throw! {
    Reading |d| Reading {
        appliance: ApplianceId(d.key()),
        sensor: SensorId(d.key()),
        modality: d.any(&[Modality::Weight, Modality::Door]),
        time: d.time(),
        sequence: d.any(&[0, 1, u32::MAX]),
        value: d.integer(),
    },
    DeclaredMovement |d| DeclaredMovement {
        appliance: ApplianceId(d.key()),
        time: d.time(),
        id: d.key(),
        source: d.name(),
        product: ProductId(d.key()),
        quantity: d.integer(),
        group: d.name(),
        reason: d.any(&[Reason::Unspecified, Reason::Bought, Reason::Used, Reason::Wasted]),
        cents: d.integer(),
    },
    Product |d| Product {
        id: ProductId(d.key()),
        as_of: d.time(),
        name: d.name(),
        category: d.name(),
        brand: d.name(),
        package_mg: d.integer(),
        shelf_life_days: d.any(&[0, 7, u32::MAX]),
    },
    Appliance |d| Appliance {
        id: ApplianceId(d.key()),
        as_of: d.time(),
        household: HouseholdId(d.key()),
        region: d.name(),
        kind: d.name(),
        model: d.name(),
        time_zone: d.name(),
        min_score: d.ppm(),
        review_below: d.ppm(),
        min_households: d.any(&[0, 5, u32::MAX]),
    },
    BoundingBox |d| BoundingBox { left: d.pixel(), top: d.pixel(), right: d.pixel(), bottom: d.pixel() },
    MovementKey |d| MovementKey {
        appliance: ApplianceId(d.key()),
        time: d.time(),
        product: ProductId(d.key()),
        kind: d.any(&[MovementKind::In, MovementKind::Out, MovementKind::Moved]),
    },
    Amendment |d| {
        let (bounds, product) = (d.throw(), ProductId(d.key()));
        match d.below(5) {
            0 => Amendment::Relabel { bounds, product },
            1 => Amendment::Reject { bounds },
            2 => Amendment::Split { bounds, parts: d.list(|d| (d.throw(), ProductId(d.key()))) },
            3 => Amendment::Join { bounds: d.list(Dice::throw), product },
            _ => Amendment::Add { bounds, product },
        }
    },
    Change |d| {
        let (appliance, product, correction) = (ApplianceId(d.key()), ProductId(d.key()), d.key());
        match d.below(9) {
            0 => Change::Picture { frame: d.look(appliance), amendment: d.throw() },
            1 => Change::Movement { movement: d.throw(), confirmed: d.any(&[true, false]) },
            2 => Change::Count { appliance, product, at: d.time(), count: d.integer() },
            3 => Change::Product {
                product,
                fields: ProductFields {
                    name: d.option(Dice::name),
                    category: d.option(Dice::name),
                    brand: d.option(Dice::name),
                    package_mg: d.option(Dice::integer),
                    shelf_life_days: d.option(|d| d.any(&[0, u32::MAX])),
                },
            },
            4 => Change::Merge { product, into: ProductId(d.key()) },
            5 => Change::Remove { product },
            6 => Change::Appliance {
                appliance,
                fields: ApplianceFields {
                    household: d.option(|d| HouseholdId(d.key())),
                    region: d.option(Dice::name),
                    time_zone: d.option(Dice::name),
                    min_score: d.option(|d| d.any(&[0, 1, 123_456, PPM])),
                    review_below: d.option(|d| d.any(&[0, 999_999, PPM])),
                    min_households: d.option(|d| d.any(&[0, 5, u32::MAX])),
                },
            },
            7 => Change::Calibration {
                appliance,
                sensor: SensorId(d.key()),
                from: d.time(),
                until: d.time(),
                offset: d.integer(),
                skew: d.any(&[0, 1, -1, 1_500_000, 36_500 * Time::DAY]),
            },
            _ => d.any(&[Change::Undo { correction }, Change::Restore { correction }].each_ref()).clone(),
        }
    },
    Correction |d| Correction {
        time: d.time(),
        id: d.key(),
        author: d.name(),
        reason: d.name(),
        change: d.throw(),
    },
    DeadLetter |d| DeadLetter {
        position: Position { source: d.any(&["", "a.mcap", "b\n\u{1f95b}"]).into(), offset: d.any(&[0, 1, i64::MAX as u64]) },
        reason: d.any(&[
            DeadReason::Truncated,
            DeadReason::Malformed,
            DeadReason::UnknownSchema,
            DeadReason::BadValue,
            DeadReason::BadTime,
            DeadReason::BadImage,
            DeadReason::TooLarge,
            DeadReason::OtherVision,
        ]),
        detail: d.any(&["", "no \"value\""]).to_owned(),
    },
    FrameResult |d| FrameResult {
        key: { let appliance = ApplianceId(d.key()); d.look(appliance) },
        modality: d.any(&Modality::ALL),
        fingerprint: d.digest(),
        width: d.pixel(),
        height: d.pixel(),
        sightings: d.list(|d| d.throw()),
        grid: d.option(|d| Grid { columns: d.pixel(), rows: d.pixel(), cells: d.list(Dice::pixel) }),
    },
    Sighting |d| Sighting {
        bounds: BoundingBox { left: d.pixel(), top: d.pixel(), right: d.pixel(), bottom: d.pixel() },
        detection: d.ppm(),
        candidates: d.list(|d| Candidate { product: ProductId(d.key()), score: d.ppm() }),
        classes: d.list(|d| (d.key(), d.ppm())),
        embedding: d.list(|d| d.any(&[i8::MIN, 0, 127])),
        depth_mm: d.option(Dice::pixel),
        heat_ck: d.option(Dice::pixel),
    },
    Visit |d| Visit {
        appliance: ApplianceId(d.key()),
        sensor: SensorId(d.key()),
        opened: d.time(),
        closed: d.option(Dice::time),
    },
    MovementKind |d| d.any(&[MovementKind::In, MovementKind::Out, MovementKind::Moved]),
    Movement |d| {
        let appliance = ApplianceId(d.key());
        Movement {
            appliance,
            time: d.time(),
            group: d.name(),
            product: ProductId(d.key()),
            kind: d.throw(),
            quantity: d.count(),
            confidence: d.ppm(),
            source: d.option(|d| MovementSource::Declared(d.name())).unwrap_or(MovementSource::Sensors),
            reason: d.any(&[Reason::Unspecified, Reason::Bought, Reason::Used, Reason::Wasted]),
            cents: d.integer(),
            weight_delta_mg: d.option(Dice::integer),
            before: d.option(|d| d.look(appliance)),
            after: d.option(|d| d.look(appliance)),
        }
    },
    Inventory |d| Inventory {
        appliance: ApplianceId(d.key()),
        product: ProductId(d.key()),
        count: d.count(),
        since: d.time(),
        confidence: d.ppm(),
    },
    InventoryInterval |d| InventoryInterval {
        appliance: ApplianceId(d.key()),
        product: ProductId(d.key()),
        from: d.time(),
        until: d.option(Dice::time),
        count: d.integer(),
    },
    FoodState |d| FoodState {
        appliance: ApplianceId(d.key()),
        product: ProductId(d.key()),
        count: d.count(),
        oldest_in: d.time(),
        age_hours: d.integer(),
        expires: d.option(|d| d.any(&[0, 20_000, -1])),
        minutes_out: d.integer(),
        advice: d.any(&[Advice::Keep, Advice::EatSoon, Advice::Check, Advice::Discard]),
    },
    Behaviour |d| Behaviour {
        household: HouseholdId(d.key()),
        week: d.any(&[20_000, 20_007, 20_070]),
        openings: d.count(),
        open_seconds: d.integer(),
        put_in: d.count(),
        taken_out: d.count(),
    },
    ProductBehaviour |d| ProductBehaviour {
        household: HouseholdId(d.key()),
        product: ProductId(d.key()),
        put_in: d.count(),
        taken_out: d.count(),
        stays: d.count(),
        stay_seconds: d.integer(),
        restocks: d.count(),
        restock_seconds: d.integer(),
    },
    PairBehaviour |d| PairBehaviour {
        household: HouseholdId(d.key()),
        first: ProductId(d.key()),
        second: ProductId(d.key()),
        together: d.count(),
    },
    Market |d| Market {
        region: d.name(),
        week: d.any(&[20_000, 20_007, 20_070]),
        level: d.any(&[MarketLevel::Product, MarketLevel::Brand, MarketLevel::Category]),
        key: d.key(),
        put_in: d.count(),
        used_up: d.count(),
        wasted: d.count(),
        cents: d.integer(),
        households: d.count(),
    },
    MarketPair |d| MarketPair {
        region: d.name(),
        week: d.any(&[20_000, 20_007, 20_070]),
        first: ProductId(d.key()),
        second: ProductId(d.key()),
        together: d.count(),
        households: d.count(),
    },
    ReviewItem |d| {
        let appliance = ApplianceId(d.key());
        ReviewItem {
            appliance,
            time: d.time(),
            subject: d
                .option(|d| ReviewSubject::Sighting(SightingKey { frame: d.look(appliance), index: d.pixel() }))
                .unwrap_or_else(|| ReviewSubject::Movement(d.throw())),
            product: d.option(|d| ProductId(d.key())),
            confidence: d.ppm(),
        }
    },
}
