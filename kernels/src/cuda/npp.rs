//! NVIDIA's image library, where it is installed: conversions of whole pictures, each beside a kernel of our own that does the
//! same without it ([`super::vision`]).
//!
//! NPP rounds as it likes, and differently from version to version, so nothing whose result is kept uses it unless it is asked
//! for. Its functions are looked up when the program runs, so that no CUDA toolkit is needed to build.

use std::{
    ffi::{c_int, c_uint, c_void},
    path::Path,
};

use super::{
    Array, Gpu, GpuError,
    library::{LibraryError, function, load},
    machine::Argument,
    vision::Pictures,
};

/// Why NPP cannot be used, or failed.
#[derive(Debug, thiserror::Error)]
pub enum NppError {
    /// It is not installed, or another version is.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// It failed.
    #[error("NPP failed in {function}: error {code}")]
    Failed {
        /// In which of its functions.
        function: &'static str,
        /// `NppStatus`.
        code: i32,
    },
    /// The GPU failed.
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Size {
    width: c_int,
    height: c_int,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Rect {
    x: c_int,
    y: c_int,
    width: c_int,
    height: c_int,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Point {
    x: c_int,
    y: c_int,
}

/// `NppStreamContext` of CUDA 13.
#[derive(Clone, Copy)]
#[repr(C)]
struct Context {
    stream: *mut c_void,
    device: c_int,
    processors: c_int,
    threads_of_processor: c_int,
    threads_of_block: c_int,
    shared_of_block: usize,
    major: c_int,
    minor: c_int,
    stream_flags: c_uint,
    reserved: c_int,
}

#[repr(C)]
struct Version {
    major: c_int,
    minor: c_int,
    build: c_int,
}

const LINEAR: c_int = 2;
const BORDER_REPLICATE: c_int = 2;
/// Eight neighbours.
const NORM_INF: c_int = 0;
/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: c_uint = 1;

type LibVersion = unsafe extern "C" fn() -> *const Version;
type Grey = unsafe extern "C" fn(*const u8, c_int, *mut u8, c_int, Size, Context) -> c_int;
type Resize = unsafe extern "C" fn(*const u8, c_int, Size, Rect, *mut u8, c_int, Size, Rect, c_int, Context) -> c_int;
type Gauss = unsafe extern "C" fn(
    *const f32,
    c_int,
    Size,
    Point,
    *mut f32,
    c_int,
    Size,
    c_int,
    *const f32,
    c_int,
    Context,
) -> c_int;
type LabelBytes = unsafe extern "C" fn(Size, *mut c_int) -> c_int;
type Labels = unsafe extern "C" fn(*mut u8, c_int, *mut u32, c_int, Size, c_int, *mut u8, Context) -> c_int;

/// NPP, loaded.
#[derive(Debug)]
pub struct Npp {
    version: (i32, i32, i32),
    grey: Grey,
    resize: Resize,
    gauss: Gauss,
    label_bytes: LabelBytes,
    labels: Labels,
}

impl Npp {
    /// Loads NPP 13 from `folder`, or else from where the system looks for libraries.
    ///
    /// # Errors
    /// [`NppError::Library`], which names what is not there.
    pub fn load(folder: Option<&Path>) -> Result<Self, NppError> {
        // The core first: the others need it by name.
        let (core, core_name) = load(folder, &["libnppc.so.13"])?;
        let (colour, colour_name) = load(folder, &["libnppicc.so.13"])?;
        let (geometry, geometry_name) = load(folder, &["libnppig.so.13"])?;
        let (filters, filters_name) = load(folder, &["libnppif.so.13"])?;
        // SAFETY: the types are those of NPP 13's headers, and the libraries are of that version.
        unsafe {
            let version: LibVersion = function(core, &core_name, "nppGetLibVersion")?;
            let version = version().as_ref().map_or((0, 0, 0), |v| (v.major, v.minor, v.build));
            Ok(Self {
                version,
                grey: function(colour, &colour_name, "nppiRGBToGray_8u_C3C1R_Ctx")?,
                resize: function(geometry, &geometry_name, "nppiResize_8u_C3R_Ctx")?,
                gauss: function(filters, &filters_name, "nppiFilterGaussAdvancedBorder_32f_C1R_Ctx")?,
                label_bytes: function(filters, &filters_name, "nppiLabelMarkersUFGetBufferSize_32u_C1R")?,
                labels: function(filters, &filters_name, "nppiLabelMarkersUF_8u32u_C1R_Ctx")?,
            })
        }
    }

    /// Major, minor, build.
    pub fn version(&self) -> (i32, i32, i32) {
        self.version
    }

    /// Bytes of scratch memory that [`Self::labels`] takes for pictures of that size.
    ///
    /// # Errors
    /// [`NppError::Failed`] where NPP does not take such a size.
    pub fn label_bytes(&self, width: usize, height: usize) -> Result<usize, NppError> {
        let mut bytes = 0;
        // SAFETY: it writes a number.
        let code = unsafe { (self.label_bytes)(size(width, height), &raw mut bytes) };
        check("nppiLabelMarkersUFGetBufferSize_32u_C1R", code)?;
        Ok(bytes.unsigned_abs() as usize)
    }

    /// As [`super::vision::grey`].
    ///
    /// # Errors
    /// [`NppError`] where NPP or the GPU fails.
    ///
    /// # Panics
    /// Where the pictures differ in size or number.
    pub fn grey(&self, gpu: &Gpu, from: &Pictures<Gpu, [u8; 3]>, to: &Pictures<Gpu, u8>) -> Result<(), NppError> {
        assert_eq!(from.extent(), to.extent(), "the pictures differ in size");
        let (context, [width, height, count]) = (context(gpu)?, from.extent());
        let (row, roi) = (width as c_int, size(width, height));
        each(count, "nppiRGBToGray_8u_C3C1R_Ctx", |picture| {
            let (from, to) = (start(&from.pixels, picture, count), start(&to.pixels, picture, count));
            // SAFETY: both pictures are on the GPU, of that size.
            unsafe { (self.grey)(from, 3 * row, to, row, roi, context) }
        })
    }

    /// As [`super::vision::resize`].
    ///
    /// # Errors
    /// [`NppError`] where NPP or the GPU fails.
    ///
    /// # Panics
    /// Where there are not as many pictures in both.
    pub fn resize(
        &self,
        gpu: &Gpu,
        from: &Pictures<Gpu, [u8; 3]>,
        to: &Pictures<Gpu, [u8; 3]>,
    ) -> Result<(), NppError> {
        assert_eq!(from.extent()[2], to.extent()[2], "not as many pictures");
        let (context, [width, height, count]) = (context(gpu)?, from.extent());
        let [to_width, to_height, _] = to.extent();
        each(count, "nppiResize_8u_C3R_Ctx", |picture| {
            let (from, to) = (start(&from.pixels, picture, count), start(&to.pixels, picture, count));
            let (row, to_row) = (3 * width as c_int, 3 * to_width as c_int);
            let (all, to_all) = (whole(width, height), whole(to_width, to_height));
            let (from_size, to_size) = (size(width, height), size(to_width, to_height));
            // SAFETY: both pictures are on the GPU, of those sizes.
            unsafe { (self.resize)(from, row, from_size, all, to, to_row, to_size, to_all, LINEAR, context) }
        })
    }

    /// As [`super::vision::smooth`], with the five weights across and down.
    ///
    /// # Errors
    /// [`NppError`] where NPP or the GPU fails.
    ///
    /// # Panics
    /// Where the pictures differ in size or number.
    pub fn smooth(
        &self,
        gpu: &Gpu,
        from: &Pictures<Gpu, f32>,
        weights: [f32; 5],
        to: &Pictures<Gpu, f32>,
    ) -> Result<(), NppError> {
        assert_eq!(from.extent(), to.extent(), "the pictures differ in size");
        let (context, [width, height, count]) = (context(gpu)?, from.extent());
        let weights = Array::<Gpu, f32>::from(gpu, &weights)?;
        let (row, roi) = (4 * width as c_int, size(width, height));
        each(count, "nppiFilterGaussAdvancedBorder_32f_C1R_Ctx", |picture| {
            let (from, to) = (start(&from.pixels, picture, count), start(&to.pixels, picture, count));
            let (kernel, origin) = (start::<f32, f32>(&weights, 0, 1), Point { x: 0, y: 0 });
            // SAFETY: both pictures are on the GPU, of that size; so are the weights, five of them.
            unsafe { (self.gauss)(from, row, roi, origin, to, row, roi, 5, kernel, BORDER_REPLICATE, context) }
        })
    }

    /// As [`super::vision::labels`], but that pixels of 0 get labels too: every connected set of equal pixels is one.
    ///
    /// # Errors
    /// [`NppError`] where NPP or the GPU fails.
    ///
    /// # Panics
    /// Where the pictures differ in size or number.
    pub fn labels(&self, gpu: &Gpu, masks: &Pictures<Gpu, u8>, to: &Pictures<Gpu, u32>) -> Result<(), NppError> {
        assert_eq!(masks.extent(), to.extent(), "the pictures differ in size");
        let (context, [width, height, count]) = (context(gpu)?, masks.extent());
        let scratch = Array::<Gpu, u8>::new(gpu, self.label_bytes(width, height)?)?;
        let (row, roi) = (width as c_int, size(width, height));
        each(count, "nppiLabelMarkersUF_8u32u_C1R_Ctx", |picture| {
            let (from, to) = (start(&masks.pixels, picture, count), start(&to.pixels, picture, count));
            let buffer = start::<u8, u8>(&scratch, 0, 1);
            // SAFETY: both pictures are on the GPU, of that size; the scratch memory is as long as NPP says.
            unsafe { (self.labels)(from, row, to, 4 * row, roi, NORM_INF, buffer, context) }
        })
    }
}

fn size(width: usize, height: usize) -> Size {
    Size { width: width as c_int, height: height as c_int }
}

fn whole(width: usize, height: usize) -> Rect {
    Rect { x: 0, y: 0, width: width as c_int, height: height as c_int }
}

/// Where the picture of that number begins, of `count` that fill an array.
fn start<T: super::Plain, P>(array: &Array<Gpu, T>, picture: usize, count: usize) -> *mut P {
    let each = array.len() / count.max(1) * size_of::<T>();
    match Argument::from(array) {
        Argument::Address(address) => (address as usize + picture * each) as *mut P,
        _ => std::ptr::null_mut(),
    }
}

/// What NPP must know of the queue and its GPU.
fn context(gpu: &Gpu) -> Result<Context, NppError> {
    let device = gpu.device();
    let limits = gpu.limits()?;
    Ok(Context {
        stream: gpu.stream(),
        device: device.ordinal as c_int,
        processors: device.processors as c_int,
        threads_of_processor: limits.threads_of_processor,
        threads_of_block: limits.threads_of_block,
        shared_of_block: limits.shared_of_block.unsigned_abs() as usize,
        major: device.chip.major as c_int,
        minor: device.chip.minor as c_int,
        stream_flags: NON_BLOCKING,
        reserved: 0,
    })
}

fn each(count: usize, name: &'static str, call: impl Fn(usize) -> c_int) -> Result<(), NppError> {
    (0..count).try_for_each(|picture| check(name, call(picture)))
}

/// Warnings are above 0.
fn check(function: &'static str, code: c_int) -> Result<(), NppError> {
    if code >= 0 { Ok(()) } else { Err(NppError::Failed { function, code }) }
}
