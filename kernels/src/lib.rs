//! Pixels in, features out: decoding, detection and description on the CPU.
//!
//! Every kernel is a function of slices of pixels; none knows of appliances, dataflow or files. Results are the same on
//! every run and machine: sums are integers, and floating point is used only in a fixed order and without functions that
//! machines round differently (networks excepted).
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod align;
mod buffer;
pub mod change;
pub mod cnn_boxes;
pub mod components;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod decode;
pub mod describe;
pub mod features;
pub mod grey;
pub mod homography;
mod image;
pub mod index;
pub mod kaze;
pub mod letterbox;
pub mod lighting;
pub mod matching;
pub mod median;
pub mod morphology;
pub mod nms;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod opponent;
pub mod propose;
pub mod resize;
pub mod simd;
mod whole;

pub use image::{ImageGrey8, ImageGrey16, ImageRgb8, Plane};
