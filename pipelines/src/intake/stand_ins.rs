//! Products that are others in truth, or none.

use std::collections::{BTreeSet, HashMap};

use larder_records::{Name, Product, ProductFields, ProductId, Time};

use super::{Sayings, records::Records, replace};
use crate::{Batch, corrected::StandIn};

/// Which product each is, through however many merges. Of a circle of merges each product is the one with the least id.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    /// What corrections say of a product: that it is another, or none.
    said: HashMap<ProductId, Sayings<Option<ProductId>>>,
    /// The products that are said to be this one.
    merged: HashMap<ProductId, BTreeSet<ProductId>>,
    handed: HashMap<ProductId, StandIn>,
}

impl StandIns {
    /// What is said last of a product; none where nothing is.
    fn fate(&self, product: ProductId) -> Option<Option<ProductId>> {
        self.said.get(&product)?.last_key_value().map(|(_, into)| *into)
    }

    /// The product that it is in truth; none where it is none.
    pub(super) fn resolve(&self, product: ProductId) -> Option<ProductId> {
        let mut path = vec![product];
        loop {
            let last = path[path.len() - 1];
            match self.fate(last) {
                None => return Some(last),
                Some(None) => return None,
                Some(Some(next)) => match path.iter().position(|met| *met == next) {
                    Some(circle) => return path[circle..].iter().min().copied(),
                    None => path.push(next),
                },
            }
        }
    }

    /// The product and all that are it in truth, by whatever path.
    pub(super) fn behind(&self, product: ProductId) -> BTreeSet<ProductId> {
        let mut found = BTreeSet::from([product]);
        let mut open = vec![product];
        while let Some(next) = open.pop() {
            open.extend(self.merged.get(&next).into_iter().flatten().filter(|one| found.insert(**one)));
        }
        found
    }

    /// A correction says, or no longer says, what a product is.
    pub(super) fn say(&mut self, product: ProductId, order: (Time, Name), into: Option<ProductId>, holds: bool) {
        let was = self.fate(product);
        let sayings = self.said.entry(product).or_default();
        if holds {
            sayings.insert(order, into);
        } else {
            sayings.remove(&order);
        }
        if let Some(Some(into)) = was {
            self.merged.entry(into).or_default().remove(&product);
        }
        if let Some(Some(into)) = self.fate(product) {
            self.merged.entry(into).or_default().insert(product);
        }
    }

    /// Hands on what changed of what these products are taken for.
    pub(super) fn refresh(
        &mut self,
        products: BTreeSet<ProductId>,
        records: &Records<ProductId, Product, ProductFields>,
        batch: &mut Batch,
    ) {
        for product in products {
            let is = self.fate(product).map(|_| {
                let into = self.resolve(product);
                let package_mg = into.and_then(|into| records.effective(into)).map_or(0, |record| record.package_mg);
                StandIn { into, package_mg }
            });
            let was = match is {
                Some(is) => self.handed.insert(product, is),
                None => self.handed.remove(&product),
            };
            let row = |stand_in| (product, stand_in);
            replace(was.map(row), is.map(row), &mut batch.stand_ins);
        }
    }
}
