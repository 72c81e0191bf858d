//! What runs kernels: a GPU, or in tests the CPU. Everything above is written once for both.

use std::marker::PhantomData;

use super::table::Kernel;

/// Something that holds memory and runs kernels, one after another in the order in which they are given.
pub trait Machine {
    /// Why it could not.
    type Error: std::error::Error + Send + Sync + 'static;
    /// A piece of its memory.
    type Memory: Memory;
    /// Launches that were recorded to be run again.
    type Graph;

    /// Reserves `bytes` of memory, of unspecified content.
    ///
    /// # Errors
    /// Where there is not so much left.
    fn reserve(&self, bytes: usize) -> Result<Self::Memory, Self::Error>;

    /// Copies `bytes` into memory, from its byte `at` on. They are free to change when this returns.
    ///
    /// # Errors
    /// Where the machine fails.
    fn put(&self, into: &Self::Memory, at: usize, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Copies memory from its byte `at` on, when all that was launched before is done.
    ///
    /// # Errors
    /// Where the machine, or a kernel launched before, fails.
    fn get(&self, from: &Self::Memory, at: usize, into: &mut [u8]) -> Result<(), Self::Error>;

    /// Starts a kernel, which may still run when this returns.
    ///
    /// # Errors
    /// Where it cannot be started.
    fn run(&self, launch: &Launch) -> Result<(), Self::Error>;

    /// Records what `work` launches (and nothing else it does) in place of running it.
    ///
    /// # Errors
    /// What `work` returns, or where the machine fails.
    fn record(&self, work: &mut dyn FnMut() -> Result<(), Self::Error>) -> Result<Self::Graph, Self::Error>;

    /// Starts what was recorded, at the cost of one launch. The memory that it uses must still be there.
    ///
    /// # Errors
    /// Where the machine fails.
    fn replay(&self, graph: &Self::Graph) -> Result<(), Self::Error>;
}

/// A piece of a machine's memory, given back when dropped.
pub trait Memory: std::fmt::Debug {
    /// Where it is, for kernels.
    fn address(&self) -> u64;
    /// How long it is.
    fn bytes(&self) -> usize;
}

/// A value that a kernel is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument {
    /// Where an array begins; 0 for none.
    Address(u64),
    /// `int`.
    Int(i32),
    /// `unsigned`.
    Unsigned(u32),
    /// `float`.
    Float(f32),
}

impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}
impl From<u32> for Argument {
    fn from(value: u32) -> Self {
        Self::Unsigned(value)
    }
}
impl From<i32> for Argument {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}
impl From<bool> for Argument {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}
impl From<usize> for Argument {
    /// For lengths, which [`Array`] bounds.
    fn from(value: usize) -> Self {
        Self::Int(i32::try_from(value).unwrap_or(i32::MAX))
    }
}
impl<M: Machine, T> From<&Array<M, T>> for Argument {
    fn from(array: &Array<M, T>) -> Self {
        Self::Address(array.memory.address())
    }
}

/// One run of a kernel. Made only here, where arguments and arrays are known to fit.
#[derive(Clone, Debug)]
pub struct Launch {
    kernel: &'static Kernel,
    grid: [u32; 3],
    shared: usize,
    arguments: Vec<Argument>,
}

impl Launch {
    /// Which kernel, and with it the size of a block.
    pub fn kernel(&self) -> &'static Kernel {
        self.kernel
    }

    /// Blocks along each axis.
    pub fn grid(&self) -> [u32; 3] {
        self.grid
    }

    /// Bytes of shared memory beside what the kernel declares.
    pub fn shared(&self) -> usize {
        self.shared
    }

    /// What the kernel is given.
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }
}

/// Runs a kernel over `extent` items along each axis; over none, nothing happens.
pub(crate) fn launch<M: Machine>(
    machine: &M,
    kernel: &'static Kernel,
    extent: [usize; 3],
    arguments: &[Argument],
) -> Result<(), M::Error> {
    launch_sharing(machine, kernel, extent, 0, arguments)
}

/// The same, with `shared` bytes of shared memory beside what the kernel declares.
pub(crate) fn launch_sharing<M: Machine>(
    machine: &M,
    kernel: &'static Kernel,
    extent: [usize; 3],
    shared: usize,
    arguments: &[Argument],
) -> Result<(), M::Error> {
    if extent.contains(&0) {
        return Ok(());
    }
    machine.run(&Launch { kernel, grid: kernel.grid(extent), shared, arguments: arguments.to_vec() })
}

/// Values that are their bytes: without padding, and of which every pattern of bits is one.
///
/// # Safety
/// That must be so.
pub unsafe trait Plain: Copy + Default + 'static {}
// SAFETY: numbers are.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}
// SAFETY: an array has no padding between its items.
unsafe impl Plain for [u8; 3] {}
// SAFETY: as above.
unsafe impl Plain for [u16; 4] {}
// SAFETY: as above.
unsafe impl Plain for [u64; 2] {}
// SAFETY: as above.
unsafe impl Plain for [u64; 8] {}

fn bytes_of<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: the values have no padding, and their bytes are borrowed as long as they are.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

fn bytes_of_mut<T: Plain>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: as in `bytes_of`; and whatever is written is a value.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// Values in a machine's memory.
#[derive(Debug)]
pub struct Array<M: Machine, T> {
    memory: M::Memory,
    len: usize,
    values: PhantomData<T>,
}

impl<M: Machine, T: Plain> Array<M, T> {
    /// Room for `len` values, which are unspecified.
    ///
    /// # Errors
    /// Where there is not so much memory.
    ///
    /// # Panics
    /// Where there are more than kernels count.
    pub fn new(machine: &M, len: usize) -> Result<Self, M::Error> {
        assert!(i32::try_from(len).is_ok(), "an array of {len} values");
        Ok(Self { memory: machine.reserve(len * size_of::<T>())?, len, values: PhantomData })
    }

    /// The given values.
    ///
    /// # Errors
    /// Where there is not so much memory, or the machine fails.
    pub fn from(machine: &M, values: &[T]) -> Result<Self, M::Error> {
        let array = Self::new(machine, values.len())?;
        array.put(machine, 0, values)?;
        Ok(array)
    }

    /// Where kernels find the values from the place `at` on.
    ///
    /// # Panics
    /// Where there are not so many.
    pub(crate) fn at(&self, at: usize) -> Argument {
        assert!(at <= self.len, "values beyond the array");
        Argument::Address(self.memory.address() + (at * size_of::<T>()) as u64)
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes room for at least `len` values, which are unspecified if it had less.
    ///
    /// # Errors
    /// Where there is not so much memory.
    pub fn grow(&mut self, machine: &M, len: usize) -> Result<(), M::Error> {
        if self.len < len {
            *self = Self::new(machine, len)?;
        }
        Ok(())
    }

    /// Writes values from the place `at` on.
    ///
    /// # Errors
    /// Where the machine fails.
    ///
    /// # Panics
    /// Where they do not fit.
    pub fn put(&self, machine: &M, at: usize, values: &[T]) -> Result<(), M::Error> {
        assert!(at <= self.len && values.len() <= self.len - at, "values beyond the array");
        machine.put(&self.memory, at * size_of::<T>(), bytes_of(values))
    }

    /// Reads values from the place `at` on.
    ///
    /// # Errors
    /// Where the machine, or a kernel launched before, fails.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn get(&self, machine: &M, at: usize, into: &mut [T]) -> Result<(), M::Error> {
        assert!(at <= self.len && into.len() <= self.len - at, "values beyond the array");
        machine.get(&self.memory, at * size_of::<T>(), bytes_of_mut(into))
    }

    /// Reads the first `len` values.
    ///
    /// # Errors
    /// As [`Self::get`].
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn first(&self, machine: &M, len: usize) -> Result<Vec<T>, M::Error> {
        let mut values = vec![T::default(); len];
        self.get(machine, 0, &mut values)?;
        Ok(values)
    }
}
