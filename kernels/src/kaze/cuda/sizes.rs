//! Pictures of whatever size, one at a time, on one machine.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    ImageGrey8,
    cuda::{Machine, panic_message},
    features::{BinaryFeatures, FloatFeatures},
    kaze::{Akaze, AkazeParams, Diffusivity, Kaze, KazeParams, finder::Device},
};

use super::{CAPACITY, DeviceAkaze, DeviceKaze, Lengths, Plan, Room};

/// Pixels below which the CPU is asked: it takes less than a millisecond for them, and some 140 launches are no faster.
pub(super) const LEAST_PIXELS: usize = 1 << 12;
/// Pixels above which it is asked, too: a room for as many takes some 3 GB.
pub(super) const MOST_PIXELS: usize = 1 << 24;
/// Sizes that are remembered. In a shared room a size holds its picture, some kilobytes, and what was recorded.
pub(super) const KEPT: usize = 64;

/// What the two have in common.
pub(super) trait OnDevice<M: Machine>: Sized {
    type Of;
    type Params: Copy + PartialEq;
    type Features;

    fn params(of: &Self::Of) -> Self::Params;
    fn diffusivity(of: &Self::Of) -> Diffusivity;
    fn plan(of: &Self::Of, width: usize, height: usize) -> Plan;
    fn in_room(machine: &M, of: &Self::Of, extent: [usize; 3], room: Arc<Room<M>>) -> Result<Self, M::Error>;
    fn room(&self) -> &Arc<Room<M>>;
    fn record(&mut self, machine: &M) -> Result<(), M::Error>;
    fn find(&mut self, machine: &M, picture: &ImageGrey8) -> Result<Option<Self::Features>, M::Error>;
}

macro_rules! on_device {
    ($name:ident, $of:ident, $params:ident, $plan:ident, $features:ident) => {
        impl<M: Machine> OnDevice<M> for $name<M> {
            type Of = $of;
            type Params = $params;
            type Features = $features;

            fn params(of: &$of) -> $params {
                *of.params()
            }
            fn diffusivity(of: &$of) -> Diffusivity {
                of.params().diffusivity
            }
            fn plan(of: &$of, width: usize, height: usize) -> Plan {
                Plan::$plan(of, width, height)
            }
            fn in_room(machine: &M, of: &$of, extent: [usize; 3], room: Arc<Room<M>>) -> Result<Self, M::Error> {
                Self::in_room(machine, of, extent, room)
            }
            fn room(&self) -> &Arc<Room<M>> {
                &self.ready.batch.room
            }
            fn record(&mut self, machine: &M) -> Result<(), M::Error> {
                self.ready.record(machine)
            }
            fn find(&mut self, machine: &M, picture: &ImageGrey8) -> Result<Option<$features>, M::Error> {
                Ok(self.detect_and_compute(machine, &[picture])?.and_then(|mut all| all.pop()))
            }
        }
    };
}

on_device!(DeviceKaze, Kaze, KazeParams, of_kaze, FloatFeatures);
on_device!(DeviceAkaze, Akaze, AkazeParams, of_akaze, BinaryFeatures);

/// Parameters, width and height.
type Key<P> = (P, usize, usize);

/// What was made for pictures of the sizes that were seen last.
///
/// Boxes are of any size, and most sizes come once. So all sizes share one room, which is as large as the largest took; what is
/// launched for a size is recorded when it comes again, for recording costs more than launching once; and of more than
/// [`KEPT`] sizes the one that was not seen for longest is forgotten.
struct Sizes<M: Machine, D: OnDevice<M>> {
    /// The one seen last at the end.
    kept: Vec<(Key<D::Params>, D)>,
    room: Option<Arc<Room<M>>>,
}

impl<M: Machine, D: OnDevice<M>> Sizes<M, D> {
    fn new() -> Self {
        Self { kept: Vec::new(), room: None }
    }

    /// What the CPU finds in the picture, or none: it is for the CPU.
    fn find(&mut self, machine: &M, of: &D::Of, picture: &ImageGrey8) -> Result<Option<D::Features>, M::Error> {
        let (width, height) = (picture.width(), picture.height());
        let is_exact = matches!(D::diffusivity(of), Diffusivity::PmG2 | Diffusivity::Charbonnier);
        if !is_exact || width < 3 || height < 3 || !(LEAST_PIXELS..=MOST_PIXELS).contains(&(width * height)) {
            return Ok(None);
        }
        let key = (D::params(of), width, height);
        let mut device = match self.kept.iter().position(|(kept, _)| *kept == key) {
            Some(place) => {
                let (_, mut device) = self.kept.remove(place);
                device.record(machine)?;
                device
            }
            None => {
                let room = self.room(machine, of, [width, height, 1])?;
                D::in_room(machine, of, [width, height, 1], room)?
            }
        };
        let found = device.find(machine, picture)?;
        if self.room.as_ref().is_none_or(|room| !Arc::ptr_eq(room, device.room())) {
            // It had more candidates than there was room for: the others go on in the new room.
            self.kept.clear();
            self.room = Some(device.room().clone());
        }
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        self.kept.push((key, device));
        Ok(found)
    }

    /// The room that all share; a larger one where this size does not fit.
    fn room(&mut self, machine: &M, of: &D::Of, extent: [usize; 3]) -> Result<Arc<Room<M>>, M::Error> {
        let plan = D::plan(of, extent[0], extent[1]);
        let mut lengths = Lengths::of(&plan, extent, CAPACITY);
        if let Some(room) = &self.room {
            lengths = lengths.with(room.lengths);
            if lengths == room.lengths {
                return Ok(room.clone());
            }
        }
        // The memory is given back before more is reserved.
        self.kept.clear();
        self.room = None;
        let room = Arc::new(Room::new(machine, &plan, lengths)?);
        self.room = Some(room.clone());
        Ok(room)
    }
}

/// KAZE and A-KAZE on a machine.
pub(in crate::kaze) struct OnMachine<M: Machine> {
    kaze: Sizes<M, DeviceKaze<M>>,
    akaze: Sizes<M, DeviceAkaze<M>>,
    machine: M,
}

impl<M: Machine> OnMachine<M> {
    pub(in crate::kaze) fn new(machine: M) -> Self {
        Self { kaze: Sizes::new(), akaze: Sizes::new(), machine }
    }
}

/// Why the machine failed, in words. The bindings of a driver panic where it lacks a function that they first call here.
fn told<T, E: std::error::Error>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(panic) => Err(panic_message(&*panic)),
    }
}

impl<M: Machine> Device for OnMachine<M> {
    fn kaze(&mut self, kaze: &Kaze, picture: &ImageGrey8) -> Result<Option<FloatFeatures>, String> {
        told(|| self.kaze.find(&self.machine, kaze, picture))
    }

    fn akaze(&mut self, akaze: &Akaze, picture: &ImageGrey8) -> Result<Option<BinaryFeatures>, String> {
        told(|| self.akaze.find(&self.machine, akaze, picture))
    }
}
