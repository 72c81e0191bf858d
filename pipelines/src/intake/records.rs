//! Records of which the latest holds, and what people say of their fields.

use std::{collections::HashMap, hash::Hash};

use larder_records::{Appliance, ApplianceFields, Name, Product, ProductFields, ProductId, Time};

use super::{Sayings, replace};

/// What a record that replaces others did.
#[derive(Debug, PartialEq, Eq)]
pub enum Replaced<R> {
    /// It is older than, or the same as, what holds already.
    No,
    /// It holds from now on, in the place of the one given.
    Yes(Option<R>),
}

/// Sets fields of a record.
pub(super) trait Fields<K, R> {
    /// The record that there is where only its fields were told; none where that is not enough.
    fn alone(key: K) -> Option<R>;
    fn set(&self, record: &mut R);
}

impl Fields<ProductId, Product> for ProductFields {
    fn alone(id: ProductId) -> Option<Product> {
        let none = Name::default();
        Some(Product {
            id,
            as_of: Time::MIN,
            name: none,
            category: none,
            brand: none,
            package_mg: 0,
            shelf_life_days: 0,
        })
    }

    fn set(&self, record: &mut Product) {
        self.set(record);
    }
}

impl<K> Fields<K, Appliance> for ApplianceFields {
    fn alone(_: K) -> Option<Appliance> {
        None
    }

    fn set(&self, record: &mut Appliance) {
        self.set(record);
    }
}

/// Records by key: as they came, what corrections say of them, and what was handed on.
#[derive(Debug)]
pub(super) struct Records<K, R, F> {
    came: HashMap<K, R>,
    said: HashMap<K, Sayings<F>>,
    handed: HashMap<K, R>,
}

impl<K, R, F> Default for Records<K, R, F> {
    fn default() -> Self {
        Self { came: HashMap::new(), said: HashMap::new(), handed: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash, R: Ord + Clone, F: Fields<K, R>> Records<K, R, F> {
    /// Takes in a record. The later holds; of one time the greater; one that `outranks` does in any case.
    pub(super) fn take(&mut self, key: K, row: &R, as_of: impl Fn(&R) -> Time, outranks: bool) -> Replaced<R> {
        match self.came.get_mut(&key) {
            None => {
                self.came.insert(key, row.clone());
                Replaced::Yes(None)
            }
            Some(holds) if holds != row && (outranks || (as_of(holds), &*holds) < (as_of(row), row)) => {
                Replaced::Yes(Some(std::mem::replace(holds, row.clone())))
            }
            Some(_) => Replaced::No,
        }
    }

    /// A correction says, or no longer says, this of a record.
    pub(super) fn say(&mut self, key: K, order: (Time, Name), fields: F, holds: bool) {
        let sayings = self.said.entry(key).or_default();
        if holds {
            sayings.insert(order, fields);
        } else {
            sayings.remove(&order);
        }
    }

    /// The record as it came.
    pub(super) fn get(&self, key: K) -> Option<&R> {
        self.came.get(&key)
    }

    /// The record with all that is said of it.
    pub(super) fn effective(&self, key: K) -> Option<R> {
        let said = self.said.get(&key).filter(|said| !said.is_empty());
        let mut record = match (self.came.get(&key), said) {
            (Some(record), _) => record.clone(),
            (None, Some(_)) => F::alone(key)?,
            (None, None) => return None,
        };
        for fields in said.into_iter().flat_map(Sayings::values) {
            fields.set(&mut record);
        }
        Some(record)
    }

    /// Hands on what changed of a record.
    pub(super) fn refresh(&mut self, key: K, into: &mut Vec<(R, isize)>) {
        let is = self.effective(key);
        let was = match &is {
            Some(record) => self.handed.insert(key, record.clone()),
            None => self.handed.remove(&key),
        };
        replace(was, is, into);
    }
}
