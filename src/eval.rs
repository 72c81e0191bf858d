//! Inventory against the truth that came with a recording.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use larder_records::{ApplianceId, Names, ProductId, Time, views::InventoryInterval};
use serde::Serialize;

use crate::feeds::{Event, Feed as _, FeedError, Truth, recording::Recording};

/// Packages found, against those truly there, summed over instants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Packages truly there.
    pub truth: u64,
    /// Packages that the inventory names.
    pub found: u64,
    /// Packages in both: at each instant the smaller of the two counts.
    pub right: u64,
}

impl Tally {
    /// How many of the packages found are truly there; 1 where none was found.
    pub fn precision(&self) -> f64 {
        ratio(self.right, self.found)
    }

    /// How many of the packages truly there were found; 1 where there was none.
    pub fn recall(&self) -> f64 {
        ratio(self.right, self.truth)
    }

    /// The harmonic mean of the two.
    pub fn f1(&self) -> f64 {
        ratio(2 * self.right, self.truth + self.found)
    }

    fn add(&mut self, truth: u64, found: u64) {
        self.truth += truth;
        self.found += found;
        self.right += truth.min(found);
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// How good an inventory is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// Instants at which the truth is known.
    pub instants: u64,
    /// Instants at which every count is right.
    pub exact: u64,
    /// Over all products.
    pub all: Tally,
    /// By SKU.
    pub products: BTreeMap<String, Tally>,
}

/// Every truth in `recordings`.
///
/// # Errors
/// [`FeedError`] naming the recording that cannot be read.
pub fn truths(recordings: &[PathBuf], names: &mut Names) -> Result<Vec<Truth>, FeedError> {
    let mut truths = Vec::new();
    for path in recordings {
        let mut recording = Recording::open(path)?;
        while let Some((_, entry)) = recording.next_entry(names)? {
            if let Ok(Event::Truth(truth)) = entry {
                truths.push(truth);
            }
        }
    }
    Ok(truths)
}

/// Compares `history`, the table `inventory_history`, with `truths`: at each instant of a truth, product by product.
///
/// Negative counts hold nothing. The first `skip` instants of each appliance are left out: those that a catalogue was
/// enrolled from.
pub fn evaluate(truths: &[Truth], history: &[InventoryInterval], names: &Names, skip: usize) -> Evaluation {
    let mut intervals: HashMap<ApplianceId, Vec<&InventoryInterval>> = HashMap::new();
    for interval in history {
        intervals.entry(interval.appliance).or_default().push(interval);
    }
    let mut truths: Vec<&Truth> = truths.iter().collect();
    truths.sort_by_key(|truth| (truth.appliance, truth.time));
    truths.dedup();
    let mut evaluation = Evaluation::default();
    let mut place: (Option<ApplianceId>, usize) = (None, 0);
    for truth in truths {
        place = if place.0 == Some(truth.appliance) { (place.0, place.1 + 1) } else { (Some(truth.appliance), 0) };
        if place.1 < skip {
            continue;
        }
        let mut counts: BTreeMap<ProductId, (u64, u64)> = BTreeMap::new();
        for (product, count, _) in &truth.items {
            counts.entry(*product).or_default().0 += u64::from(*count);
        }
        let here = intervals.get(&truth.appliance).map_or(&[][..], Vec::as_slice);
        for interval in here.iter().filter(|interval| holds_at(interval, truth.time)) {
            counts.entry(interval.product).or_default().1 += u64::try_from(interval.count).unwrap_or(0);
        }
        evaluation.instants += 1;
        evaluation.exact += u64::from(counts.values().all(|(truth, found)| truth == found));
        for (product, (truth, found)) in counts {
            evaluation.all.add(truth, found);
            evaluation.products.entry(names.text(product.0).to_owned()).or_default().add(truth, found);
        }
    }
    evaluation
}

fn holds_at(interval: &InventoryInterval, time: Time) -> bool {
    interval.from <= time && interval.until.is_none_or(|until| time < until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_right_up_to_the_smaller_count() {
        let mut names = Names::default();
        let milk = ProductId(names.intern("milk").unwrap());
        let eggs = ProductId(names.intern("eggs").unwrap());
        let fridge = ApplianceId::of("fridge");
        let truth = |time, items: &[(ProductId, u32)]| Truth {
            appliance: fridge,
            time: Time(time),
            items: items.iter().map(|(product, count)| (*product, *count, None)).collect(),
        };
        let held = |product, from, until: Option<i64>, count| InventoryInterval {
            appliance: fridge,
            product,
            from: Time(from),
            until: until.map(Time),
            count,
        };
        let truths = [truth(5, &[(milk, 1)]), truth(10, &[(milk, 2)]), truth(20, &[(milk, 1), (eggs, 1)])];
        let history = [held(milk, 8, Some(20), 3), held(milk, 20, None, 1)];
        let evaluation = evaluate(&truths, &history, &names, 1);
        assert_eq!((evaluation.instants, evaluation.exact), (2, 0));
        assert_eq!(evaluation.all, Tally { truth: 4, found: 4, right: 3 });
        assert_eq!(evaluation.products["eggs"], Tally { truth: 1, found: 0, right: 0 });
        assert_eq!((evaluation.all.precision(), evaluation.all.recall(), evaluation.all.f1()), (0.75, 0.75, 0.75));
    }
}
