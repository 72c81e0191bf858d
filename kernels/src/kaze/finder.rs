//! KAZE and A-KAZE where they are found fastest.

use crate::{
    ImageGrey8,
    features::{BinaryFeatures, FloatFeatures},
};

use super::{Akaze, AkazeScratch, Kaze, KazeScratch};

/// What found the features of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The processor.
    Cpu,
    /// The machine that a [`Finder`] was given.
    Machine,
}

/// Something that finds features as the CPU does, bit for bit. None where the picture is for the CPU; an error where nothing
/// more is to be had from it.
pub(super) trait Device {
    fn kaze(&mut self, kaze: &Kaze, picture: &ImageGrey8) -> Result<Option<FloatFeatures>, String>;
    fn akaze(&mut self, akaze: &Akaze, picture: &ImageGrey8) -> Result<Option<BinaryFeatures>, String>;
}

/// Finds features on the machine that it was given, or on the CPU where there is none, with all that is reused from picture to
/// picture. What is found is the same, bit for bit.
///
/// The CPU is asked, too, where a picture is too small to be worth the launches or too large for a machine's memory, where it
/// has more candidates than kernels go through (over 16,384), where conductivity is an exponential
/// ([`super::Diffusivity::PmG1`], [`super::Diffusivity::Weickert`]); and from the first failure of the machine on, for all
/// pictures.
#[derive(Default)]
pub struct Finder {
    kaze: KazeScratch,
    akaze: AkazeScratch,
    device: Option<Box<dyn Device>>,
    failure: Option<String>,
}

impl Finder {
    /// On `machine`. [`Self::default`] is on the CPU.
    #[cfg(feature = "cuda")]
    pub fn on(machine: impl crate::cuda::Machine + 'static) -> Self {
        Self { device: Some(Box::new(super::cuda::OnMachine::new(machine))), ..Self::default() }
    }

    /// The points of `picture` by KAZE and their descriptors, in `features`, as [`Kaze::detect_and_compute`] leaves them.
    pub fn kaze(&mut self, kaze: &Kaze, picture: &ImageGrey8, features: &mut FloatFeatures) -> Backend {
        if let Some(found) = self.on_device(|device| device.kaze(kaze, picture)) {
            *features = found;
            return Backend::Machine;
        }
        kaze.detect_and_compute(picture, &mut self.kaze, features);
        Backend::Cpu
    }

    /// The same by A-KAZE, as [`Akaze::detect_and_compute`] leaves them.
    pub fn akaze(&mut self, akaze: &Akaze, picture: &ImageGrey8, features: &mut BinaryFeatures) -> Backend {
        if let Some(found) = self.on_device(|device| device.akaze(akaze, picture)) {
            *features = found;
            return Backend::Machine;
        }
        akaze.detect_and_compute(picture, &mut self.akaze, features);
        Backend::Cpu
    }

    /// Why the machine is not asked any more, where it has failed.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// From now on the CPU is asked for all pictures, for that `reason`.
    pub fn leave_machine(&mut self, reason: &str) {
        if self.device.take().is_some() {
            self.failure = Some(reason.to_owned());
        }
    }

    fn on_device<F>(&mut self, find: impl FnOnce(&mut dyn Device) -> Result<Option<F>, String>) -> Option<F> {
        find(self.device.as_deref_mut()?).unwrap_or_else(|reason| {
            self.leave_machine(&reason);
            None
        })
    }
}

impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Finder")
            .field("has_machine", &self.device.is_some())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
