//! What the views are computed from, and how it gets into the dataflow.

use differential_dataflow::{consolidation::consolidate, input::InputSession};
use larder_operators::Rows;
use larder_records::{
    Appliance, ApplianceId, DeclaredMovement, FrameKey, FrameResult, Micros, MovementKey, Product, ProductId, Reading,
    views::{Movement, ReviewItem, Visit},
};
use timely::dataflow::Scope;

use crate::corrected::{Counted, StandIn, Told, Verdict};

macro_rules! inputs {
    ($($(#[$doc:meta])* $input:ident: $row:ty, by $worker:expr;)*) => {
        /// What goes in. Each is a set of rows: a row counts once, however often it was delivered.
        pub struct Inputs<'scope> {
            $($(#[$doc])* pub $input: Rows<'scope, $row>,)*
        }

        /// The changes of the inputs in one epoch.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Batch {
            $($(#[$doc])* pub $input: Vec<($row, isize)>,)*
        }

        impl Batch {
            /// How many changes it holds.
            pub fn len(&self) -> usize {
                0 $(+ self.$input.len())*
            }

            /// Whether it holds none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Adds the changes of another of the same epoch.
            pub fn append(&mut self, mut other: Self) {
                $(self.$input.append(&mut other.$input);)*
            }

            /// Takes away the changes of another; what cancels out is dropped.
            pub fn subtract(&mut self, other: Self) {
                $(
                    self.$input.extend(other.$input.into_iter().map(|(row, times)| (row, -times)));
                    consolidate(&mut self.$input);
                )*
            }

            /// Deals the changes out to `workers`, those of one appliance to one of them.
            pub fn deal(self, workers: usize) -> Vec<Self> {
                if workers == 1 {
                    return vec![self];
                }
                let mut hands = vec![Self::default(); workers];
                $({
                    let by: fn(&$row) -> u64 = $worker;
                    for change in self.$input {
                        hands[(by(&change.0) % workers as u64) as usize].$input.push(change);
                    }
                })*
                hands
            }
        }

        /// One worker's end of the inputs.
        pub struct Sessions {
            $($input: InputSession<u64, $row, isize>,)*
        }

        impl Default for Sessions {
            fn default() -> Self {
                Self { $($input: InputSession::new(),)* }
            }
        }

        impl Sessions {
            /// The inputs of a dataflow in `scope`.
            pub fn inputs<'scope>(&mut self, scope: Scope<'scope, u64>) -> Inputs<'scope> {
                Inputs { $($input: self.$input.to_collection(scope),)* }
            }

            /// Sends the changes of `epoch`, and ends it.
            pub fn send(&mut self, epoch: u64, batch: Batch) {
                $(
                    for (row, diff) in batch.$input {
                        self.$input.update(row, diff);
                    }
                    self.$input.advance_to(epoch + 1);
                    self.$input.flush();
                )*
            }
        }
    };
}

inputs! {
    /// Readings of every modality.
    readings: Reading, by |row| row.appliance.0.0;
    /// Vision results, without embeddings.
    frames: FrameResult, by |row| row.key.appliance.0.0;
    /// What to add to the times of frames whose sensor's clock was off.
    skews: (FrameKey, Micros), by |row| row.0.appliance.0.0;
    /// Product records.
    products: Product, by |_| 0;
    /// What each product is taken for; a product without a row is itself.
    stand_ins: (ProductId, StandIn), by |_| 0;
    /// Appliances.
    appliances: Appliance, by |_| 0;
    /// Declared movements.
    declared: DeclaredMovement, by |row| row.appliance.0.0;
    /// What people say that pictures show.
    amendments: (FrameKey, Told), by |row| row.0.appliance.0.0;
    /// What people say of movements.
    verdicts: (MovementKey, Verdict), by |row| row.0.appliance.0.0;
    /// What people counted.
    counts: ((ApplianceId, ProductId), Counted), by |row| row.0.0.0.0;
    /// Visits that follow from readings which are not among [`Inputs::readings`]; -1 of those that only seem to without them.
    cold_visits: Visit, by |row| row.appliance.0.0;
    /// Movements of sensors, likewise.
    cold_movements: Movement, by |row| row.appliance.0.0;
    /// What is unsure, likewise.
    cold_reviews: ReviewItem, by |row| row.appliance.0.0;
}
