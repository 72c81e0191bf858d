//! The kernels on a GPU, by CUDA: the same results as the Rust path.
//!
//! The sources are in `kernels/cuda/`, compiled when they are first needed ([`compile`]) and kept ([`cache`]). What launches
//! them is written against a [`Machine`], which is a GPU, or in tests the CPU, in any order of threads.

pub mod backend;
pub mod cache;
pub mod compile;
pub mod driver;
mod gpu;
mod library;
pub(crate) mod machine;
pub mod matching;
pub mod npp;
mod source;
pub mod table;
pub mod vision;

pub(crate) use gpu::panic_message;
pub use gpu::{Gpu, GpuError, GpuMemory, Opened};
pub use library::LibraryError;
pub use machine::{Argument, Array, Launch, Machine, Memory, Plain};
pub use source::SOURCE;
