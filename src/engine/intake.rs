//! What was taken in already: inputs are sets, however often and in whatever order their rows are delivered.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::Hash,
};

use larder_records::{
    Appliance, ApplianceId, DeadLetter, DeclaredMovement, FrameKey, Modality, Product, ProductId, Reading, SensorId,
    Time,
};

/// The inputs taken in so far, by identity.
#[derive(Debug, Default)]
pub struct Intake {
    readings: HashMap<(ApplianceId, SensorId, Modality), BTreeMap<i64, Vec<ReadingKey>>>,
    frames: HashSet<FrameKey>,
    declared: HashSet<DeclaredMovement>,
    dead_letters: HashSet<DeadLetter>,
    products: HashMap<ProductId, Product>,
    appliances: HashMap<ApplianceId, Appliance>,
}

/// What tells the readings of one sensor apart.
type ReadingKey = (Time, u32, i64);

/// What a record that replaces others did.
#[derive(Debug, PartialEq, Eq)]
pub enum Replaced<R> {
    /// It is older than, or the same as, what holds already.
    No,
    /// It holds from now on, in the place of the one given.
    Yes(Option<R>),
}

impl Intake {
    /// Whether `reading` is new. Costs 24 bytes a reading kept, and constant time where readings come nearly in order.
    pub fn reading(&mut self, reading: &Reading) -> bool {
        let key = (reading.time, reading.sequence, reading.value);
        let hour = reading.time.0.div_euclid(Time::HOUR);
        let hours = self.readings.entry((reading.appliance, reading.sensor, reading.modality)).or_default();
        let seen = hours.entry(hour).or_default();
        match seen.last() {
            Some(last) if *last >= key => match seen.binary_search(&key) {
                Ok(_) => false,
                Err(place) => {
                    seen.insert(place, key);
                    true
                }
            },
            _ => {
                seen.push(key);
                true
            }
        }
    }

    /// Whether the frame of `key` is new.
    pub fn frame(&mut self, key: FrameKey) -> bool {
        self.frames.insert(key)
    }

    /// Whether `movement` is new.
    pub fn declared(&mut self, movement: &DeclaredMovement) -> bool {
        self.declared.insert(movement.clone())
    }

    /// Whether `letter` is new.
    pub fn dead_letter(&mut self, letter: &DeadLetter) -> bool {
        self.dead_letters.insert(letter.clone())
    }

    /// Takes in a product record. Of two records of one time the greater holds, so that order does not matter.
    pub fn product(&mut self, product: &Product) -> Replaced<Product> {
        replace(&mut self.products, product.id, product, |p| p.as_of)
    }

    /// Takes in a product record that outranks every other.
    pub fn put_product(&mut self, product: &Product) -> Replaced<Product> {
        match self.products.insert(product.id, product.clone()) {
            Some(old) if old == *product => Replaced::No,
            old => Replaced::Yes(old),
        }
    }

    /// Takes in an appliance record, as [`Intake::product`] does.
    pub fn appliance(&mut self, appliance: &Appliance) -> Replaced<Appliance> {
        replace(&mut self.appliances, appliance.id, appliance, |a| a.as_of)
    }
}

fn replace<K: Hash + Eq, R: Ord + Clone>(
    held: &mut HashMap<K, R>,
    key: K,
    row: &R,
    as_of: impl Fn(&R) -> Time,
) -> Replaced<R> {
    match held.get_mut(&key) {
        None => {
            held.insert(key, row.clone());
            Replaced::Yes(None)
        }
        Some(holds) if (as_of(holds), &*holds) < (as_of(row), row) => {
            Replaced::Yes(Some(std::mem::replace(holds, row.clone())))
        }
        Some(_) => Replaced::No,
    }
}

#[cfg(test)]
mod tests {
    use larder_records::Name;
    use proptest::prelude::*;

    use super::*;

    fn reading(time: i64, value: i64) -> Reading {
        Reading {
            appliance: ApplianceId::of("a"),
            sensor: SensorId::of("door"),
            modality: Modality::Door,
            time: Time(time),
            sequence: 0,
            value,
        }
    }

    proptest! {
        #[test]
        fn each_reading_is_new_once_in_whatever_order(times in prop::collection::vec((0..20i64, 0..2i64), 0..200)) {
            let (mut intake, mut oracle) = (Intake::default(), HashSet::new());
            for (time, value) in times {
                let reading = reading(time * Time::HOUR / 4, value);
                prop_assert_eq!(intake.reading(&reading), oracle.insert(reading));
            }
        }

        #[test]
        fn the_latest_record_holds_in_whatever_order(
            records in prop::collection::vec((0..5i64, 0..5i64), 1..20),
        ) {
            let product = |(time, grams): (i64, i64)| Product {
                id: ProductId::of("milk"),
                as_of: Time(time),
                name: Name::of("Milk"),
                category: Name::default(),
                brand: Name::default(),
                package_mg: grams,
                shelf_life_days: 7,
            };
            let mut intake = Intake::default();
            let mut holds = None;
            for record in &records {
                match intake.product(&product(*record)) {
                    Replaced::No => {}
                    Replaced::Yes(old) => {
                        prop_assert_eq!(&old, &holds);
                        holds = Some(product(*record));
                    }
                }
            }
            prop_assert_eq!(holds, records.iter().max().map(|record| product(*record)));
        }
    }
}
