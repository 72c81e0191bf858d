//! KAZE and A-KAZE: local features in a nonlinear scale space, which blurs what is small and keeps the edges of what is large.
//!
//! P. F. Alcantarilla, A. Bartoli and A. J. Davison, *KAZE Features*, ECCV 2012; P. F. Alcantarilla, J. Nuevo and A. Bartoli, *Fast
//! Explicit Diffusion for Accelerated Features in Nonlinear Scale Spaces*, BMVC 2013. Parameters are named as there and in OpenCV.
//!
//! A result depends on the picture and the parameters alone: not on the instruction set, nor on the number of threads.

mod accelerated;
#[cfg(feature = "cuda")]
pub mod cuda;
mod diffusion;
mod extrema;
mod fed;
mod filter;
mod finder;
mod hessian;
mod mldb;
mod msurf;
mod orientation;
mod plain;
mod rows;

pub use accelerated::{Akaze, AkazeParams, AkazeScratch};
pub use diffusion::Diffusivity;
pub use finder::{Backend, Finder};
pub use plain::{Kaze, KazeParams, KazeScratch};

/// The blur of the first level (`soffset` in the authors' code).
const FIRST_SIGMA: f64 = 1.6;
/// The blur before slopes are taken (`sderivatives`).
const SLOPE_SIGMA: f64 = 1.0;
/// The part of slopes that is not counted as edges (`kcontrast_percentile`).
const CONTRAST_PERCENTILE: f64 = 0.7;
/// Slopes are taken over this multiple of the blur.
const REACH: f64 = 1.2;
/// Of points nearer to each other than this many times the blur, one is kept.
const APART: f64 = 2.25;
/// More octaves than pictures have.
const MAX_OCTAVES: usize = 8;
/// A finer scale says nothing.
const MAX_OCTAVE_LAYERS: usize = 16;

/// The blur of a level, as the standard deviation of a Gaussian in pixels of the picture (Alcantarilla 2012, equation 5).
fn sigma(octave: usize, layer: usize, layers: usize) -> f64 {
    FIRST_SIGMA * libm::exp2(octave as f64 + layer as f64 / layers as f64)
}

/// The time that diffusion takes to blur so (equation 6).
fn diffusion_time(sigma: f64) -> f64 {
    0.5 * sigma * sigma
}

/// Octaves and levels of an octave, no more than there are to be.
fn within_limits(octaves: usize, layers: usize) -> (usize, usize) {
    (octaves.clamp(1, MAX_OCTAVES), layers.clamp(1, MAX_OCTAVE_LAYERS))
}

/// Of points of a level that are nearer to each other, in pixels of the picture, one is kept.
fn apart(sigma: f64) -> f32 {
    (APART * sigma) as f32
}

/// What determinants of a level weigh: slopes are taken over more than the blur, and with a power of it (`preference`) more of the larger
/// blobs is found again from elsewhere.
fn weight(sigma: f64, preference: f64) -> f32 {
    (libm::pow(REACH, -4.0) * libm::pow(sigma, preference)) as f32
}

/// 2 to the power of `power`, from -1 to 1: the series of the exponential, in an order that a GPU takes too.
fn two_to(power: f32) -> f32 {
    let x = f64::from(power) * std::f64::consts::LN_2;
    (1..=14).rev().fold(1.0, |sum, i| 1.0 + sum * x / f64::from(i)) as f32
}

#[cfg(test)]
mod tests {
    #[test]
    fn powers_of_two_are_those_of_the_library() {
        for step in -100..=100 {
            let power = step as f32 / 100.0;
            let (ours, exact) = (super::two_to(power), libm::exp2(f64::from(power)) as f32);
            assert_eq!(ours, exact, "{power}");
        }
    }
}
