//! A GPU as a [`Machine`], through cudarc.

use std::{
    any::Any,
    cell::RefCell,
    collections::BTreeMap,
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use cudarc::{
    driver::{
        CudaContext, CudaEvent, CudaFunction, CudaGraph, CudaSlice, CudaStream, DevicePtr as _, PinnedHostSlice,
        result,
        sys::{CUdevice_attribute, CUgraphInstantiate_flags, CUstreamCaptureMode},
    },
    nvrtc::Ptx,
};

use super::{
    cache::{CubinStore, cubin},
    compile::{CompileError, Nvrtc, OPTIONS},
    driver::{Device, DriverError, probe},
    machine::{Argument, Launch, Machine, Memory},
    source::SOURCE,
    table::KERNELS,
};

/// Why a GPU cannot be used, or failed.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// There is none.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// There is no GPU of that number.
    #[error("there is no GPU {0}")]
    NoSuchDevice(usize),
    /// Its kernels cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The GPU or its driver failed.
    #[error("the GPU failed: {0}")]
    Failed(#[from] cudarc::driver::DriverError),
    /// The driver lacks what every driver of its version has.
    #[error("the NVIDIA driver does not work: {0}")]
    Panicked(String),
    /// More is recorded than there was.
    #[error("nothing was launched while recording")]
    NothingRecorded,
}

/// Staging buffers: while one is copied to the GPU the next is filled.
const STAGING: usize = 2;

/// A GPU with its kernels loaded, and one queue of work on it.
///
/// Work of one queue is done in order; copies to the GPU are made from pinned memory, so that they go on while the caller fills
/// the next buffer. [`Self::fork`] gives a second queue: while one computes the other copies.
#[derive(Debug)]
pub struct Gpu {
    device: Device,
    functions: Arc<BTreeMap<&'static str, CudaFunction>>,
    stream: Arc<CudaStream>,
    staging: RefCell<Staging>,
}

#[derive(Debug)]
struct Staging {
    up: [Slot; STAGING],
    next: usize,
    down: Option<PinnedHostSlice<u8>>,
}

/// A pinned buffer, and when it was last read.
#[derive(Debug)]
struct Slot {
    bytes: Option<PinnedHostSlice<u8>>,
    read: CudaEvent,
}

/// `CU_MEMHOSTALLOC_WRITECOMBINED`: fast to write and to copy from, slow to read.
const WRITE_COMBINED: u32 = 4;

/// A buffer of at least `len` bytes in place of the one that is there.
fn grown<'a>(
    context: &Arc<CudaContext>,
    bytes: &'a mut Option<PinnedHostSlice<u8>>,
    len: usize,
    flags: u32,
) -> Result<&'a mut [u8], GpuError> {
    if bytes.as_ref().is_none_or(|bytes| bytes.len() < len) {
        *bytes = None;
        // SAFETY: whatever the memory holds are bytes.
        *bytes = Some(unsafe { context.alloc_pinned_with_flags(len.next_power_of_two(), flags) }?);
    }
    match bytes {
        Some(bytes) => Ok(&mut bytes.as_mut_slice()?[..len]),
        None => Ok(&mut []),
    }
}

/// What a processor, and a block of threads on it, may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) threads_of_processor: i32,
    pub(super) threads_of_block: i32,
    pub(super) shared_of_block: i32,
}

/// What was opened, beside why compiled kernels could not be kept.
pub type Opened = (Gpu, Option<std::io::Error>);

impl Gpu {
    /// Opens the GPU of number `ordinal`, with kernels from `store` or compiled by the NVRTC in `nvrtc` (or where the system
    /// looks for libraries).
    ///
    /// # Errors
    /// [`GpuError`], which says what is missing. Never panics, whatever the state of the driver.
    pub fn open(ordinal: usize, nvrtc: Option<&Path>, store: &dyn CubinStore) -> Result<Opened, GpuError> {
        let driver = probe(None)?;
        let device = driver.devices.get(ordinal).cloned().ok_or(GpuError::NoSuchDevice(ordinal))?;
        // A driver does not load what a newer compiler made.
        let nvrtc = Nvrtc::load(nvrtc, driver.version.0)?;
        let (cubin, not_kept) = cubin(store, &nvrtc, SOURCE, device.chip, &OPTIONS)?;
        // cudarc looks functions of the driver up when they are first called, and panics where one is missing.
        let gpu = catch_unwind(AssertUnwindSafe(|| Self::load(device, cubin)))
            .unwrap_or_else(|panic| Err(GpuError::Panicked(panic_message(&*panic))))?;
        Ok((gpu, not_kept))
    }

    fn load(device: Device, cubin: Vec<u8>) -> Result<Self, GpuError> {
        let context = CudaContext::new(device.ordinal)?;
        // SAFETY: memory is used by the queue alone that reserved it, in order.
        unsafe { context.disable_event_tracking() };
        let module = context.load_module(Ptx::from_binary(cubin))?;
        let functions = KERNELS
            .iter()
            .map(|kernel| Ok((kernel.name, module.load_function(kernel.name)?)))
            .collect::<Result<_, GpuError>>()?;
        Self::with_stream(device, Arc::new(functions), &context)
    }

    fn with_stream(
        device: Device,
        functions: Arc<BTreeMap<&'static str, CudaFunction>>,
        context: &Arc<CudaContext>,
    ) -> Result<Self, GpuError> {
        let slot = || Ok::<_, GpuError>(Slot { bytes: None, read: context.new_event(None)? });
        let staging = RefCell::new(Staging { up: [slot()?, slot()?], next: 0, down: None });
        Ok(Self { device, functions, stream: context.new_stream()?, staging })
    }

    /// Another queue of work on the same GPU. What one reserved must not be used by the other.
    ///
    /// # Errors
    /// Where the driver fails.
    pub fn fork(&self) -> Result<Self, GpuError> {
        Self::with_stream(self.device.clone(), self.functions.clone(), self.stream.context())
    }

    /// What a processor and a block of it may hold.
    pub(super) fn limits(&self) -> Result<Limits, GpuError> {
        let attribute = |which| Ok::<_, GpuError>(self.stream.context().attribute(which)?);
        Ok(Limits {
            threads_of_processor: attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR)?,
            threads_of_block: attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?,
            shared_of_block: attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK)?,
        })
    }

    /// The queue, for libraries that put work into it.
    pub(super) fn stream(&self) -> *mut c_void {
        self.stream.cu_stream().cast()
    }

    /// Which GPU it is.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // A copy may still read a staging buffer. That it failed is of no use to anybody any more.
        self.stream.synchronize().ok();
    }
}

/// What was said where it panicked.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

/// Memory of a GPU.
#[derive(Debug)]
pub struct GpuMemory {
    address: u64,
    bytes: usize,
    // Gives the memory back when dropped.
    _slice: CudaSlice<u8>,
}

impl Memory for GpuMemory {
    fn address(&self) -> u64 {
        self.address
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Where a part of memory is.
///
/// # Panics
/// Where it is not inside.
fn part(memory: &GpuMemory, at: usize, len: usize) -> u64 {
    assert!(at <= memory.bytes && len <= memory.bytes - at, "bytes beyond the memory");
    memory.address + at as u64
}

impl Machine for Gpu {
    type Error = GpuError;
    type Memory = GpuMemory;
    type Graph = CudaGraph;

    fn reserve(&self, bytes: usize) -> Result<GpuMemory, GpuError> {
        // SAFETY: whatever the memory holds are bytes. The driver reserves none of length 0.
        let slice = unsafe { self.stream.alloc::<u8>(bytes.max(1)) }?;
        let (address, _) = slice.device_ptr(&self.stream);
        Ok(GpuMemory { address, bytes, _slice: slice })
    }

    fn put(&self, into: &GpuMemory, at: usize, bytes: &[u8]) -> Result<(), GpuError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let address = part(into, at, bytes.len());
        let staging = &mut *self.staging.borrow_mut();
        let slot = &mut staging.up[staging.next];
        staging.next = (staging.next + 1) % STAGING;
        slot.read.synchronize()?;
        let staged = grown(self.stream.context(), &mut slot.bytes, bytes.len(), WRITE_COMBINED)?;
        staged.copy_from_slice(bytes);
        self.stream.context().bind_to_thread()?;
        // SAFETY: the memory is there and long enough; the buffer is not written before `read` has passed.
        unsafe { result::memcpy_htod_async(address, staged, self.stream.cu_stream()) }?;
        slot.read.record(&self.stream)?;
        Ok(())
    }

    fn get(&self, from: &GpuMemory, at: usize, into: &mut [u8]) -> Result<(), GpuError> {
        let address = part(from, at, into.len());
        let staging = &mut *self.staging.borrow_mut();
        if !into.is_empty() {
            let staged = grown(self.stream.context(), &mut staging.down, into.len(), 0)?;
            self.stream.context().bind_to_thread()?;
            // SAFETY: the memory is there and long enough; the buffer is not touched until the copy is done.
            unsafe { result::memcpy_dtoh_async(staged, address, self.stream.cu_stream()) }?;
            self.stream.synchronize()?;
            into.copy_from_slice(staged);
        }
        Ok(())
    }

    fn run(&self, launch: &Launch) -> Result<(), GpuError> {
        let kernel = launch.kernel();
        let Some(function) = self.functions.get(kernel.name) else {
            return Err(GpuError::Panicked(format!("it has no kernel {}", kernel.name)));
        };
        // The driver reads as many bytes behind each pointer as the parameter has: all values begin at their first byte.
        let mut values: Vec<u64> = launch
            .arguments()
            .iter()
            .map(|argument| match *argument {
                Argument::Address(address) => address,
                Argument::Int(value) => u64::from(value.cast_unsigned()),
                Argument::Unsigned(value) => u64::from(value),
                Argument::Float(value) => u64::from(value.to_bits()),
            })
            .collect();
        let mut pointers: Vec<*mut c_void> = values.iter_mut().map(|value| (&raw mut *value).cast()).collect();
        let size = |[x, y, z]: [u32; 3]| (x, y, z);
        let (grid, block, shared) = (size(launch.grid()), size(kernel.block), launch.shared() as u32);
        self.stream.context().bind_to_thread()?;
        // SAFETY: the kernel is loaded; a launch is made only with the arguments that its kernel takes, of arrays as long as it
        // reads and writes (which the host shim checks in tests); the driver copies the values before it returns.
        unsafe {
            result::launch_kernel(function.cu_function(), grid, block, shared, self.stream.cu_stream(), &mut pointers)
        }?;
        Ok(())
    }

    fn record(&self, work: &mut dyn FnMut() -> Result<(), GpuError>) -> Result<CudaGraph, GpuError> {
        self.stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
        let done = work();
        // Ended in any case: a stream that records runs nothing.
        let graph = self.stream.end_capture(CUgraphInstantiate_flags(0));
        done?;
        graph?.ok_or(GpuError::NothingRecorded)
    }

    fn replay(&self, graph: &CudaGraph) -> Result<(), GpuError> {
        Ok(graph.launch()?)
    }
}
