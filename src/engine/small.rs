//! What came in that is small, and changes all the rest: read whole, and taken in first, so that the rest comes as it should have been.

use larder_pipelines::{Batch, Intake};
use larder_records::{Appliance, Correction, DeclaredMovement, Names, Product};

use crate::lake::{Lake, LakeError};

/// All that a lake has of it.
#[derive(Debug)]
pub(super) struct Small {
    pub(super) corrections: Vec<Correction>,
    declared: Vec<DeclaredMovement>,
    products: Vec<Product>,
    appliances: Vec<Appliance>,
}

impl Small {
    pub(super) fn read(lake: &Lake, names: &mut Names) -> Result<Self, LakeError> {
        Ok(Self {
            corrections: lake.read(names)?,
            declared: lake.read(names)?,
            products: lake.read(names)?,
            appliances: lake.read(names)?,
        })
    }

    /// Takes all of it in; what follows from it.
    pub(super) fn take(&self, intake: &mut Intake) -> Batch {
        for correction in &self.corrections {
            // the lake holds none that can never hold
            let _ = intake.correction(correction);
        }
        for movement in &self.declared {
            intake.declared(movement);
        }
        for product in &self.products {
            intake.product(product);
        }
        for appliance in &self.appliances {
            intake.appliance(appliance);
        }
        intake.take_batch()
    }
}
