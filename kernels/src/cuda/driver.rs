//! The NVIDIA driver: whether there is one, how new it is, and which GPUs it has; found out without ever panicking.

use std::{
    ffi::{CStr, c_char, c_int, c_uint},
    path::Path,
};

use super::{
    compile::Chip,
    library::{LibraryError, function, load},
};

/// The oldest driver that is used, as the version of CUDA that it speaks: 12.8, with which chips of compute capability 10 came.
pub const OLDEST: (i32, i32) = (12, 8);

/// Why there is no GPU to use.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// There is no driver.
    #[error("no NVIDIA driver: {0}")]
    Missing(#[from] LibraryError),
    /// The driver is too old.
    #[error("the NVIDIA driver speaks CUDA {}.{}; {}.{} or newer is needed", .0.0, .0.1, OLDEST.0, OLDEST.1)]
    Old((i32, i32)),
    /// The driver does not work: not loaded by the system, or of another version than its library.
    #[error("the NVIDIA driver does not work: {function} failed with error {code}{}", hint(*code))]
    Broken {
        /// In which of its functions.
        function: &'static str,
        /// `CUresult`.
        code: i32,
    },
    /// There is a driver, but no GPU.
    #[error("the NVIDIA driver sees no GPU")]
    NoDevice,
}

/// What the commonest errors mean.
fn hint(code: i32) -> &'static str {
    match code {
        100 => " (there is no GPU)",
        802 => " (the GPU is not ready yet)",
        803 => " (the driver and its library are of different versions; restart after an update)",
        804 => " (this GPU does not work with a driver library newer than the driver)",
        999 => " (unknown; often the driver is not loaded, or its devices may not be opened)",
        _ => "",
    }
}

/// A GPU, as the driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number.
    pub ordinal: usize,
    /// What it is called.
    pub name: String,
    /// Its generation.
    pub chip: Chip,
    /// Bytes of memory.
    pub memory: u64,
    /// Multiprocessors.
    pub processors: u32,
}

/// A driver that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The version of CUDA that it speaks.
    pub version: (i32, i32),
    /// The GPUs that it has, at least one.
    pub devices: Vec<Device>,
}

type Init = unsafe extern "C" fn(c_uint) -> c_int;
type Number = unsafe extern "C" fn(*mut c_int) -> c_int;
type Get = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
type Memory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;

/// `CUdevice_attribute`.
const PROCESSORS: c_int = 16;
const MAJOR: c_int = 75;
const MINOR: c_int = 76;

/// Asks the driver in `folder`, or else where the system looks for libraries.
///
/// # Errors
/// [`DriverError`], which says why there is no GPU to use.
pub fn probe(folder: Option<&Path>) -> Result<Driver, DriverError> {
    let (library, name) = load(folder, &["libcuda.so.1", "libcuda.so", "nvcuda.dll"])?;
    // SAFETY: the types are those of cuda.h, which never change for a name.
    let (init, version, count, get, device_name, attribute, memory) = unsafe {
        let init: Init = function(library, &name, "cuInit")?;
        let version: Number = function(library, &name, "cuDriverGetVersion")?;
        let count: Number = function(library, &name, "cuDeviceGetCount")?;
        let get: Get = function(library, &name, "cuDeviceGet")?;
        let device_name: Name = function(library, &name, "cuDeviceGetName")?;
        let attribute: Attribute = function(library, &name, "cuDeviceGetAttribute")?;
        let memory: Memory = function(library, &name, "cuDeviceTotalMem_v2")?;
        (init, version, count, get, device_name, attribute, memory)
    };
    let mut number = 0;
    // The version is known even where nothing else works.
    // SAFETY: it writes a number.
    check("cuDriverGetVersion", unsafe { version(&raw mut number) })?;
    let speaks = (number / 1000, number % 1000 / 10);
    if speaks < OLDEST {
        return Err(DriverError::Old(speaks));
    }
    // SAFETY: it takes no flags.
    check("cuInit", unsafe { init(0) })?;
    // SAFETY: it writes a number.
    check("cuDeviceGetCount", unsafe { count(&raw mut number) })?;
    if number <= 0 {
        return Err(DriverError::NoDevice);
    }
    let describe = |ordinal: c_int| {
        let (mut device, mut bytes, mut text) = (0, 0, [0_u8; 256]);
        // SAFETY: it writes a number; there is a device of that number.
        check("cuDeviceGet", unsafe { get(&raw mut device, ordinal) })?;
        // SAFETY: it writes at most as many characters as it is told, the last of them 0.
        check("cuDeviceGetName", unsafe { device_name(text.as_mut_ptr().cast(), text.len() as c_int - 1, device) })?;
        // SAFETY: it writes a number.
        check("cuDeviceTotalMem_v2", unsafe { memory(&raw mut bytes, device) })?;
        let ask = |which| {
            let mut value = 0;
            // SAFETY: it writes a number.
            check("cuDeviceGetAttribute", unsafe { attribute(&raw mut value, which, device) })?;
            Ok::<_, DriverError>(value.unsigned_abs())
        };
        let name =
            CStr::from_bytes_until_nul(&text).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Device {
            ordinal: ordinal.unsigned_abs() as usize,
            name,
            chip: Chip { major: ask(MAJOR)?, minor: ask(MINOR)? },
            memory: bytes as u64,
            processors: ask(PROCESSORS)?,
        })
    };
    let devices = (0..number).map(describe).collect::<Result<_, DriverError>>()?;
    Ok(Driver { version: speaks, devices })
}

fn check(function: &'static str, code: c_int) -> Result<(), DriverError> {
    match code {
        0 => Ok(()),
        // What `cuInit` says where the driver works.
        100 if function == "cuInit" => Err(DriverError::NoDevice),
        code => Err(DriverError::Broken { function, code }),
    }
}
