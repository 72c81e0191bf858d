//! Runs the CUDA kernels of `larder-kernels` on the CPU, for tests.
//!
//! The kernels are compiled as C++ beside a header that declares what CUDA gives them (`shim/simt.h`), into a program of
//! its own: a thread of a block is a fiber, and a barrier is where it gives up its turn. So nothing runs at the same time, and
//! a run can be repeated exactly; the order in which threads and blocks get their turn is chosen by the caller, and what
//! depends on it shows as a difference. Memory is filled with noise before it is used. The same program compiled under
//! AddressSanitizer finds what is read or written outside what was reserved, in global and in shared memory.
//!
//! What it cannot find: a race that shows only while blocks run at the same time, and an atomic that is missing (two threads
//! never come between each other's reading and writing but at an atomic).

use std::{
    io::{self, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// In which order the threads of a block, and the blocks of a grid, get their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By their numbers.
    Forward,
    /// The last first.
    Reverse,
    /// Shuffled anew after every barrier, and a turn may end at an atomic; the same seed gives the same order.
    Random(u64),
}

/// What runs the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// Fast.
    Plain,
    /// Compiled with AddressSanitizer.
    Sanitized,
}

/// A value that is passed to a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// An address that [`Host::reserve`] gave, or one inside what it reserved.
    Pointer(u64),
    /// `int`.
    Int(i32),
    /// `unsigned`.
    Unsigned(u32),
    /// `float`.
    Float(f32),
}

/// One run of a kernel.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// Which kernel.
    pub kernel: &'a str,
    /// Blocks along each axis.
    pub grid: [u32; 3],
    /// Threads of a block along each axis.
    pub block: [u32; 3],
    /// Bytes of shared memory beside what the kernel declares.
    pub shared: u32,
    /// In which order.
    pub order: Order,
    /// The kernel's arguments.
    pub arguments: &'a [Value],
}

/// Why a kernel did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The program that runs the kernels ended: under AddressSanitizer, with its report.
    #[error("the kernels' program ended: {0}")]
    Ended(String),
    /// The launch or the kernel is wrong.
    #[error("{kernel}: {reason}")]
    Refused {
        /// Which kernel.
        kernel: String,
        /// Why.
        reason: String,
    },
    /// The program could not be started or spoken to.
    #[error("the kernels' program: {0}")]
    Io(#[from] io::Error),
}

/// A folder with an NVIDIA driver that is not one, by what is wrong with it: `old`, `mismatched`, `without_device`, `empty`,
/// `incomplete`; or nothing, `working`.
pub fn fake_driver(kind: &str) -> PathBuf {
    Path::new(env!("LARDER_FAKE_DRIVERS")).join(kind)
}

/// The program that runs kernels, and the memory that it holds.
#[derive(Debug)]
pub struct Host {
    child: Child,
    to: BufWriter<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Host {
    /// Starts the program.
    ///
    /// # Errors
    /// [`HostError::Io`] where it does not start.
    pub fn start(build: Build) -> Result<Self, HostError> {
        let program = match build {
            Build::Plain => env!("LARDER_CUDA_HOST_PLAIN"),
            Build::Sanitized => env!("LARDER_CUDA_HOST_SANITIZED"),
        };
        let mut child = Command::new(program)
            // What is not given back when the program ends is no fault of a kernel.
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        let to = BufWriter::new(child.stdin.take().ok_or_else(closed)?);
        let from = BufReader::new(child.stdout.take().ok_or_else(closed)?);
        Ok(Self { child, to, from })
    }

    /// The names of all kernels, each with a letter for each of its parameters: `p`ointer, `i`nt, `u`nsigned, `f`loat.
    ///
    /// # Errors
    /// [`HostError::Ended`] where the program ended.
    pub fn kernels(&mut self) -> Result<Vec<(String, String)>, HostError> {
        self.ask(|to| to.write_all(b"K"))?;
        let text = self.text()?;
        Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
    }

    /// Reserves memory, filled with noise; its address.
    ///
    /// # Errors
    /// [`HostError::Ended`] where the program ended.
    pub fn reserve(&mut self, bytes: usize) -> Result<u64, HostError> {
        self.ask(|to| {
            to.write_all(b"A")?;
            to.write_all(&(bytes as u64).to_le_bytes())
        })?;
        let mut address = [0; 8];
        self.take(&mut address)?;
        Ok(u64::from_le_bytes(address))
    }

    /// Gives back what [`Self::reserve`] reserved.
    ///
    /// # Errors
    /// [`HostError::Ended`] where the program ended.
    pub fn free(&mut self, address: u64) -> Result<(), HostError> {
        self.ask(|to| {
            to.write_all(b"F")?;
            to.write_all(&address.to_le_bytes())
        })
    }

    /// Copies `bytes` to an address.
    ///
    /// # Errors
    /// [`HostError::Ended`] where the program ended.
    pub fn put(&mut self, address: u64, bytes: &[u8]) -> Result<(), HostError> {
        self.ask(|to| {
            to.write_all(b"P")?;
            to.write_all(&address.to_le_bytes())?;
            to.write_all(&(bytes.len() as u64).to_le_bytes())?;
            to.write_all(bytes)
        })
    }

    /// Copies what is at an address.
    ///
    /// # Errors
    /// [`HostError::Ended`] where the program ended.
    pub fn get(&mut self, address: u64, into: &mut [u8]) -> Result<(), HostError> {
        self.ask(|to| {
            to.write_all(b"G")?;
            to.write_all(&address.to_le_bytes())?;
            to.write_all(&(into.len() as u64).to_le_bytes())
        })?;
        self.take(into)
    }

    /// Runs a kernel to its end.
    ///
    /// # Errors
    /// [`HostError::Refused`] where there is no such kernel, it takes other arguments, or its threads wait for each other for
    /// ever; [`HostError::Ended`] where it crashed.
    pub fn launch(&mut self, launch: &Launch) -> Result<(), HostError> {
        self.ask(|to| {
            to.write_all(b"L")?;
            write_text(to, launch.kernel)?;
            for side in launch.grid.iter().chain(&launch.block).chain([&launch.shared]) {
                to.write_all(&side.to_le_bytes())?;
            }
            let (order, seed) = match launch.order {
                Order::Forward => (0, 0),
                Order::Reverse => (1, 0),
                Order::Random(seed) => (2, seed),
            };
            to.write_all(&[order])?;
            to.write_all(&u64::to_le_bytes(seed))?;
            let (letters, values): (String, Vec<u64>) = launch.arguments.iter().map(|value| encode(*value)).unzip();
            write_text(to, &letters)?;
            values.iter().try_for_each(|value| to.write_all(&value.to_le_bytes()))
        })?;
        let reason = self.text()?;
        if reason.is_empty() {
            return Ok(());
        }
        Err(HostError::Refused { kernel: launch.kernel.to_owned(), reason })
    }

    fn ask(&mut self, write: impl FnOnce(&mut BufWriter<ChildStdin>) -> io::Result<()>) -> Result<(), HostError> {
        let written = write(&mut self.to).and_then(|()| self.to.flush());
        written.map_err(|error| self.ended(&error))
    }

    fn take(&mut self, into: &mut [u8]) -> Result<(), HostError> {
        self.from.read_exact(into).map_err(|error| self.ended(&error))
    }

    fn text(&mut self) -> Result<String, HostError> {
        let mut length = [0; 4];
        self.take(&mut length)?;
        let mut text = vec![0; u32::from_le_bytes(length) as usize];
        self.take(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// What the program said before it ended.
    fn ended(&mut self, error: &io::Error) -> HostError {
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            // Where even this cannot be read, the error stands alone.
            stderr.read_to_string(&mut said).ok();
        }
        HostError::Ended(format!("{error}\n{said}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended before; then there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn write_text(to: &mut impl io::Write, text: &str) -> io::Result<()> {
    to.write_all(&(text.len() as u32).to_le_bytes())?;
    to.write_all(text.as_bytes())
}

fn encode(value: Value) -> (char, u64) {
    match value {
        Value::Pointer(address) => ('p', address),
        Value::Int(value) => ('i', u64::from(value.cast_unsigned())),
        Value::Unsigned(value) => ('u', u64::from(value)),
        Value::Float(value) => ('f', u64::from(value.to_bits())),
    }
}
