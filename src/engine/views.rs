//! The list of views, and what is done with each of them alike.

use std::collections::BTreeSet;

use differential_dataflow::AsCollection as _;
use larder_pipelines::Views;
use larder_records::{Names, views::*};
use timely::dataflow::operators::Exchange as _;

use super::commits::Commits;
use crate::lake::{Lake, LakeError, Row, in_words};

/// The rows of a view that only one of two sides has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ViewDifference {
    /// Which view.
    pub view: &'static str,
    /// How many rows only the old has.
    pub only_old: u64,
    /// How many rows only the new has.
    pub only_new: u64,
    /// Some of the old, the first by their columns.
    pub old: Vec<RowInWords>,
    /// Some of the new.
    pub new: Vec<RowInWords>,
}

/// The columns of a row, in order, as text; columns that hold nothing are left out.
pub type RowInWords = Vec<(String, String)>;

/// Tells up to `most` rows of either side.
fn difference<R: Row>(
    view: &'static str,
    changes: Vec<Update<R>>,
    names: &Names,
    most: usize,
) -> Result<ViewDifference, LakeError> {
    let told = |sign: isize| -> Result<(u64, Vec<RowInWords>), LakeError> {
        let mut rows: Vec<(&R, isize)> =
            changes.iter().map(|(row, _, n)| (row, *n * sign)).filter(|(_, n)| *n > 0).collect();
        rows.sort();
        let count = rows.iter().map(|(_, n)| n.unsigned_abs() as u64).sum();
        let first: Vec<R> = rows.into_iter().take(most).map(|(row, _)| row.clone()).collect();
        Ok((count, in_words(&first, names)?))
    };
    let ((only_old, old), (only_new, new)) = (told(-1)?, told(1)?);
    Ok(ViewDifference { view, only_old, only_new, old, new })
}

/// A row with its difference at an epoch.
pub(super) type Update<R> = (R, u64, isize);

/// Sums up what happened to each row; what cancels out is dropped.
fn consolidate<R: Row>(changes: &mut Vec<Update<R>>) {
    for (_, epoch, _) in &mut *changes {
        *epoch = 0;
    }
    differential_dataflow::consolidation::consolidate_updates(changes);
}

/// Subtracts `rows`; what cancels out is dropped.
fn subtract<R: Row>(changes: &mut Vec<Update<R>>, rows: Vec<R>) {
    changes.extend(rows.into_iter().map(|row| (row, 0, -1)));
    consolidate(changes);
    changes.shrink_to_fit();
}

macro_rules! changes {
    ($($view:ident: $row:ty),* $(,)?) => {
        /// The changes of every view.
        #[derive(Debug, Default)]
        pub struct ViewChanges {
            $(pub(super) $view: Vec<Update<$row>>,)*
        }

        impl ViewChanges {
            /// Collects on this worker every change of `views` that it makes; where they are `gathered`, the first of all workers
            /// collects those of all.
            pub(super) fn collect(
                views: Views<'_>,
                gathered: bool,
                probe: &timely::dataflow::ProbeHandle<u64>,
            ) -> std::rc::Rc<std::cell::RefCell<Self>> {
                let changes = std::rc::Rc::new(std::cell::RefCell::new(Self::default()));
                $({
                    let into = changes.clone();
                    let view = views.$view.consolidate();
                    let view = if gathered { view.inner.exchange(|_| 0).as_collection() } else { view };
                    view.inspect_batch(move |_, batch| into.borrow_mut().$view.extend_from_slice(batch))
                        .probe_with(probe);
                })*
                changes
            }

            /// Takes out the changes up to `epoch`, inclusive.
            pub(super) fn take_until(&mut self, epoch: u64) -> Self {
                Self {
                    $($view: self.$view.extract_if(.., |(_, time, _)| *time <= epoch).collect(),)*
                }
            }

            /// Adds the changes of `other`.
            pub(super) fn merge(&mut self, other: Self) {
                $(self.$view.extend(other.$view);)*
            }

            /// Sums up what happened to each row; what cancels out is dropped.
            pub(super) fn consolidate(&mut self) {
                $(consolidate(&mut self.$view);)*
            }

            /// How many rows of each view come, and how many go.
            pub fn by_view(&self) -> Vec<(&'static str, u64, u64)> {
                let sum = |rows: &mut dyn Iterator<Item = isize>| rows.map(|n| n.unsigned_abs() as u64).sum();
                vec![$((
                    stringify!($view),
                    sum(&mut self.$view.iter().map(|(.., n)| (*n).max(0))),
                    sum(&mut self.$view.iter().map(|(.., n)| (*n).min(0))),
                )),*]
            }

            /// How many changes there are, before those that cancel out are dropped.
            pub fn len(&self) -> usize {
                0 $(+ self.$view.len())*
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Subtracts what the tables of `lake` hold of a month already, where they are parted by months; what cancels out is dropped.
            ///
            /// # Errors
            /// [`LakeError`] where a table cannot be read.
            pub(super) fn subtract_month(
                &mut self,
                lake: &Lake,
                names: &mut Names,
                month: &str,
            ) -> Result<(), LakeError> {
                // one view after another, so that the rows of a single one are there twice
                $(subtract(&mut self.$view, lake.read_month(month, names)?);)*
                Ok(())
            }

            /// Subtracts what the tables of `lake` hold beside `months` that were subtracted; what cancels out is dropped.
            ///
            /// # Errors
            /// [`LakeError`] where a table cannot be read.
            pub(super) fn subtract_beside(
                &mut self,
                lake: &Lake,
                names: &mut Names,
                months: &BTreeSet<String>,
            ) -> Result<(), LakeError> {
                $(subtract(&mut self.$view, lake.read_beside(months, names)?);)*
                Ok(())
            }

            /// Adds what the tables of `lake` hold so many times.
            ///
            /// # Errors
            /// [`LakeError`] where a table cannot be read.
            pub(super) fn add_held(
                &mut self,
                lake: &Lake,
                names: &mut Names,
                times: isize,
            ) -> Result<(), LakeError> {
                $(for row in lake.read::<$row>(names)? {
                    self.$view.push((row, 0, times));
                })*
                Ok(())
            }

            /// Takes away the changes of `other`, and drops what cancels out.
            pub(super) fn subtract(&mut self, other: Self) {
                $(self.$view.extend(other.$view.into_iter().map(|(row, epoch, n)| (row, epoch, -n)));)*
                self.consolidate();
            }

            /// What the changes are, view by view; at most `most` rows of either sign are told.
            ///
            /// # Errors
            /// [`LakeError`] where a row cannot be told.
            pub(super) fn differences(
                self,
                names: &Names,
                most: usize,
            ) -> Result<Vec<ViewDifference>, LakeError> {
                Ok(vec![$(difference(stringify!($view), self.$view, names, most)?),*])
            }

            /// Writes the changes to the tables of `lake`, as of `epoch`: one commit a table, all at once.
            ///
            /// # Errors
            /// [`LakeError`] where a commit fails; some tables are then ahead of others.
            pub(super) fn commit(self, lake: &Lake, names: &Names, epoch: u64) -> Result<(), LakeError> {
                let mut commits = Commits::default();
                $(
                    let mut rows: Vec<($row, isize)> =
                        self.$view.into_iter().map(|(row, _, diff)| (row, diff)).collect();
                    differential_dataflow::consolidation::consolidate(&mut rows);
                    commits.add(rows.len(), move || lake.apply(names, epoch, rows))?;
                )*
                commits.at_once()
            }
        }
    };
}

changes! {
    visits: Visit,
    movements: Movement,
    inventory: Inventory,
    inventory_history: InventoryInterval,
    food_state: FoodState,
    behaviour: Behaviour,
    behaviour_products: ProductBehaviour,
    behaviour_pairs: PairBehaviour,
    market: Market,
    market_pairs: MarketPair,
    review_queue: ReviewItem,
}
