//! From the text of kernels to what a chip runs, by NVRTC, the compiler that comes with CUDA; it needs no GPU.
//!
//! NVRTC is loaded when it is first needed. Its few functions are called here and not through cudarc, which looks for the
//! library by itself in places of its own choice, and panics where it lacks a function.

use std::{
    ffi::{CString, c_char, c_int},
    fmt,
    path::Path,
    ptr,
};

use super::library::{LibraryError, function, load};

/// A generation of GPUs: compute capability, such as 8.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chip {
    /// Before the point.
    pub major: u32,
    /// After it.
    pub minor: u32,
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "sm_{}{}", self.major, self.minor)
    }
}

/// Why kernels were not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// NVRTC cannot be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The source or an option has a byte of 0.
    #[error("the source or an option has a byte of 0")]
    Nul,
    /// The compiler refused the source.
    #[error("NVRTC cannot compile for {chip}: {log}")]
    Source {
        /// For which chip.
        chip: Chip,
        /// What the compiler says.
        log: String,
    },
    /// The compiler failed.
    #[error("NVRTC failed in {function}: error {code}")]
    Failed {
        /// In which of its functions.
        function: &'static str,
        /// `nvrtcResult`.
        code: i32,
    },
}

/// Options that every kernel is compiled with: the same bits as Rust computes.
pub const OPTIONS: [&str; 6] = [
    "--std=c++17",
    // No `a * b + c` in one step, which rounds once where Rust rounds twice.
    "--fmad=false",
    // These are the defaults, and results depend on them.
    "--prec-div=true",
    "--prec-sqrt=true",
    "--ftz=false",
    "--dopt=on",
];

type Program = *mut std::ffi::c_void;
type Status = c_int;
type Version = unsafe extern "C" fn(*mut c_int, *mut c_int) -> Status;
type Create = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> Status;
type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> Status;
type Size = unsafe extern "C" fn(Program, *mut usize) -> Status;
type Text = unsafe extern "C" fn(Program, *mut c_char) -> Status;
type Destroy = unsafe extern "C" fn(*mut Program) -> Status;

/// NVRTC, loaded.
#[derive(Debug)]
pub struct Nvrtc {
    version: (i32, i32),
    create: Create,
    compile: Compile,
    log_size: Size,
    log: Text,
    cubin_size: Size,
    cubin: Text,
    destroy: Destroy,
    path: String,
}

impl Nvrtc {
    /// Loads NVRTC 13 or 12, at most `newest`, from `folder`, or else from where the system looks for libraries.
    ///
    /// # Errors
    /// [`CompileError::Library`] where it is not there.
    pub fn load(folder: Option<&Path>, newest: i32) -> Result<Self, CompileError> {
        // Each with what it loads itself by name, and would not find in a folder of our choice.
        let versions =
            [(13, "libnvrtc.so.13", "libnvrtc-builtins.so.13.0"), (12, "libnvrtc.so.12", "libnvrtc-builtins.so.12.8")];
        let usable = || versions.iter().filter(|(major, ..)| *major <= newest);
        for (_, _, builtins) in usable() {
            // Where they are missing, compiling says so.
            load(folder, &[builtins]).ok();
        }
        let names: Vec<&str> = usable().map(|(_, name, _)| *name).collect();
        let (library, path) = load(folder, &names)?;
        // SAFETY: the types are those of nvrtc.h, the same in CUDA 12 and 13.
        let (version, mut nvrtc) = unsafe {
            let version: Version = function(library, &path, "nvrtcVersion")?;
            (
                version,
                Self {
                    version: (0, 0),
                    create: function(library, &path, "nvrtcCreateProgram")?,
                    compile: function(library, &path, "nvrtcCompileProgram")?,
                    log_size: function(library, &path, "nvrtcGetProgramLogSize")?,
                    log: function(library, &path, "nvrtcGetProgramLog")?,
                    cubin_size: function(library, &path, "nvrtcGetCUBINSize")?,
                    cubin: function(library, &path, "nvrtcGetCUBIN")?,
                    destroy: function(library, &path, "nvrtcDestroyProgram")?,
                    path,
                },
            )
        };
        // SAFETY: it writes two numbers.
        check("nvrtcVersion", unsafe { version(&raw mut nvrtc.version.0, &raw mut nvrtc.version.1) })?;
        Ok(nvrtc)
    }

    /// Major and minor version.
    pub fn version(&self) -> (i32, i32) {
        self.version
    }

    /// Where it was loaded from.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Compiles `source` for `chip`: the bytes of a cubin.
    ///
    /// # Errors
    /// [`CompileError::Source`] where the compiler refuses it, with its words.
    pub fn compile(&self, source: &str, chip: Chip, options: &[&str]) -> Result<Vec<u8>, CompileError> {
        Ok(self.compile_with_log(source, chip, options)?.0)
    }

    /// The same, and what the compiler says: with `--ptxas-options=-v`, what each kernel needs.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn compile_with_log(
        &self,
        source: &str,
        chip: Chip,
        options: &[&str],
    ) -> Result<(Vec<u8>, String), CompileError> {
        let text = |text: &str| CString::new(text).map_err(|_| CompileError::Nul);
        let source = text(source)?;
        let options: Vec<CString> = options
            .iter()
            .map(|option| text(option))
            .chain([text(&format!("--gpu-architecture={chip}"))])
            .collect::<Result<_, _>>()?;
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let mut program = OpenProgram { nvrtc: self, program: ptr::null_mut() };
        // SAFETY: the source ends with a 0 and lives until the program is destroyed; there are no headers.
        let created = unsafe {
            (self.create)(&raw mut program.program, source.as_ptr(), c"larder.cu".as_ptr(), 0, ptr::null(), ptr::null())
        };
        check("nvrtcCreateProgram", created)?;
        // SAFETY: the program was created; the options are texts that end with a 0, as many as is said.
        let compiled = unsafe { (self.compile)(program.program, options.len() as c_int, options.as_ptr()) };
        let log = program.read("nvrtcGetProgramLog", self.log_size, self.log)?;
        let log = String::from_utf8_lossy(&log).trim_end_matches('\0').to_owned();
        if compiled != 0 {
            return Err(CompileError::Source { chip, log });
        }
        Ok((program.read("nvrtcGetCUBIN", self.cubin_size, self.cubin)?, log))
    }
}

/// Destroyed when dropped.
struct OpenProgram<'a> {
    nvrtc: &'a Nvrtc,
    program: Program,
}

impl OpenProgram<'_> {
    fn read(&self, name: &'static str, size: Size, read: Text) -> Result<Vec<u8>, CompileError> {
        let mut length = 0;
        // SAFETY: the program was created; a number is written.
        check(name, unsafe { size(self.program, &raw mut length) })?;
        let mut bytes = vec![0_u8; length];
        // SAFETY: as many bytes are written as was said.
        check(name, unsafe { read(self.program, bytes.as_mut_ptr().cast()) })?;
        Ok(bytes)
    }
}

impl Drop for OpenProgram<'_> {
    fn drop(&mut self) {
        if !self.program.is_null() {
            // SAFETY: it was created, and is not used any more. That it cannot be destroyed would only cost memory.
            unsafe { (self.nvrtc.destroy)(&raw mut self.program) };
        }
    }
}

fn check(function: &'static str, code: Status) -> Result<(), CompileError> {
    if code == 0 { Ok(()) } else { Err(CompileError::Failed { function, code }) }
}
