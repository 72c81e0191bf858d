//! Turns what people already have into recordings: one file for each kind of source.
//!
//! An importer reads files, never the network, and writes a recording through [`RecordingWriter`]: the same files give
//! the same bytes. A line or file that cannot be understood is counted and reported, and the import goes on. Event times
//! rise from message to message where the source is in order or can be sorted; each importer says which.

mod boxes;
mod doors;
mod local_time;
mod movements;
mod power;
mod rgbd;
mod snapshots;
mod staging;

pub use doors::Doors;
pub use movements::{Movements, Narrations, Receipts};
pub use power::Power;
pub use rgbd::Rgbd;
pub use snapshots::Snapshots;
pub use staging::Staging;

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use larder_records::wire::Refused;
use larder_records::{Appliance, DeclaredMovement, IdCollision, Image, Names, Product, Time, Truth};

use super::recording::{ChannelId, RecordingWriter, Summary, WriteError};

/// Reads one kind of source.
pub trait Importer {
    /// Reads what lies at `source` into `import`.
    ///
    /// # Errors
    /// [`ImportError`] where nothing can be read there or the recording cannot be written; what is wrong with single
    /// lines and files goes to [`Import::fault`].
    fn read(&self, source: &Path, import: &mut Import<'_>) -> Result<(), ImportError>;
}

/// Imports what lies at `source` as a recording at `target`, which appears only when it is complete.
///
/// # Errors
/// [`ImportError`] where nothing can be read, or the recording cannot be written.
pub fn import(
    importer: &dyn Importer,
    source: &Path,
    target: &Path,
    progress: &mut dyn Progress,
) -> Result<(Report, Summary), ImportError> {
    let out = RecordingWriter::create(target)?;
    let mut import = Import { out, names: Names::default(), report: Report::default(), progress };
    importer.read(source, &mut import)?;
    let summary = import.out.finish()?;
    Ok((import.report, summary))
}

/// Is told how far an import has come, in steps that the importer chooses: photos, lines, bytes.
pub trait Progress {
    /// How many steps there are; told at most once, and before any is done.
    fn total(&mut self, steps: u64);
    /// So many more are done.
    fn advance(&mut self, steps: u64);
}

/// Nobody looks on.
impl Progress for () {
    fn total(&mut self, _: u64) {}
    fn advance(&mut self, _: u64) {}
}

/// What an import wrote, and what it could not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Readings.
    pub readings: u64,
    /// Pictures.
    pub images: u64,
    /// Declared movements.
    pub declared: u64,
    /// Products.
    pub products: u64,
    /// Appliances.
    pub appliances: u64,
    /// Messages of the truth.
    pub truths: u64,
    /// Lines and files that could not be read.
    pub faults: u64,
    /// The first of them: at most [`Report::FAULTS_KEPT`].
    pub first_faults: Vec<Fault>,
}

impl Report {
    /// How many faults are kept in full.
    pub const FAULTS_KEPT: usize = 100;
}

/// A line or file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; none where it is the whole file.
    pub line: Option<u64>,
    /// What is wrong with it.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path.display(), self.detail),
            None => write!(f, "{}: {}", self.path.display(), self.detail),
        }
    }
}

/// Why an import failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file or folder cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing of that kind.
    #[error("{path}: {detail}")]
    Nothing {
        /// Where it was looked for.
        path: PathBuf,
        /// What was not found.
        detail: String,
    },
    /// The recording cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A reader would refuse what the importer made.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Two names share an id.
    #[error(transparent)]
    Collision(#[from] IdCollision),
}

impl ImportError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    fn nothing(path: &Path, detail: impl Into<String>) -> Self {
        Self::Nothing { path: path.to_owned(), detail: detail.into() }
    }
}

/// An import under way: where importers write to, with the count of it.
pub struct Import<'a> {
    out: RecordingWriter,
    /// The names of the records written.
    pub names: Names,
    report: Report,
    progress: &'a mut dyn Progress,
}

impl Import<'_> {
    /// Notes a line or file that cannot be read.
    pub fn fault(&mut self, path: &Path, line: Option<u64>, detail: impl Into<String>) {
        self.report.faults += 1;
        if self.report.first_faults.len() < Report::FAULTS_KEPT {
            self.report.first_faults.push(Fault { path: path.to_owned(), line, detail: detail.into() });
        }
    }

    /// Where progress is told.
    pub fn progress(&mut self) -> &mut dyn Progress {
        self.progress
    }

    /// Opens a sensor's channel.
    ///
    /// # Errors
    /// As [`RecordingWriter::channel`], like those below as theirs.
    pub fn channel(
        &mut self,
        appliance: &str,
        sensor: &str,
        modality: larder_records::Modality,
    ) -> Result<ChannelId, WriteError> {
        self.out.channel(appliance, sensor, modality)
    }

    /// Writes a reading; says what is wrong with it where no reader would take it in.
    ///
    /// # Errors
    /// [`WriteError`] for all else.
    pub fn reading(
        &mut self,
        channel: ChannelId,
        time: Time,
        sequence: u32,
        value: i64,
    ) -> Result<Result<(), Refused>, WriteError> {
        counted(&mut self.report.readings, self.out.reading(channel, time, sequence, value))
    }

    /// Writes a picture; says what is wrong with it where no reader would take it in.
    ///
    /// # Errors
    /// [`WriteError`] for all else.
    pub fn image(
        &mut self,
        channel: ChannelId,
        time: Time,
        sequence: u32,
        image: &Image,
    ) -> Result<Result<(), Refused>, WriteError> {
        counted(&mut self.report.images, self.out.image(channel, time, sequence, image))
    }

    /// Writes a declared movement; says what is wrong with it where no reader would take it in.
    ///
    /// # Errors
    /// [`WriteError`] for all else.
    pub fn declared(&mut self, movement: &DeclaredMovement) -> Result<Result<(), Refused>, WriteError> {
        counted(&mut self.report.declared, self.out.declared(movement, &self.names))
    }

    /// Writes an appliance.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn appliance(&mut self, appliance: &Appliance) -> Result<(), WriteError> {
        self.report.appliances += 1;
        self.out.appliance(appliance, &self.names)
    }

    /// Writes a product.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn product(&mut self, product: &Product) -> Result<(), WriteError> {
        self.report.products += 1;
        self.out.product(product, &self.names)
    }

    /// Writes what was truly there.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn truth(&mut self, truth: &Truth) -> Result<(), WriteError> {
        self.report.truths += 1;
        self.out.truth(truth, &self.names)
    }
}

fn counted(count: &mut u64, written: Result<(), WriteError>) -> Result<Result<(), Refused>, WriteError> {
    match written {
        Ok(()) => {
            *count += 1;
            Ok(Ok(()))
        }
        Err(WriteError::Refused(refused)) => Ok(Err(refused)),
        Err(error) => Err(error),
    }
}

/// The kind of an appliance, from what people call it.
fn kind(slug: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| slug.contains(word));
    if has(&["freezer"]) {
        "freezer"
    } else if has(&["fridge", "refrigerator"]) {
        "fridge"
    } else if has(&["microwave", "magnetron"]) {
        "microwave"
    } else if has(&["cupboard", "cabinet"]) {
        "cupboard"
    } else {
        "other"
    }
}

/// `text` in lower case, with everything but letters and digits turned into single dashes.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// The order of names as people number them: runs of digits by their value, the rest by its characters.
fn natural_order(a: &Path, b: &Path) -> std::cmp::Ordering {
    fn parts(text: &str) -> impl Iterator<Item = (u128, &str)> {
        text.split_inclusive(|c: char| !c.is_ascii_digit()).map(|part| {
            let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
            (digits.parse().unwrap_or(0), &part[digits.len()..])
        })
    }
    let (left, right) = (a.to_string_lossy(), b.to_string_lossy());
    // Equal but for leading zeros: still a fixed order.
    parts(&left).cmp(parts(&right)).then_with(|| left.cmp(&right))
}

/// All files below `folder`, in natural order; `folder` itself where it is a file. Links are not followed.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, ImportError> {
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| ImportError::io(&folder, error))? {
            let entry = entry.map_err(|error| ImportError::io(&folder, error))?;
            let kind = entry.file_type().map_err(|error| ImportError::io(&entry.path(), error))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort_by(|a, b| natural_order(a, b));
    Ok(files)
}

/// The last part of a path without its extension, for people's eyes.
fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether the file's extension is one of those, in any case.
fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|found| extensions.iter().any(|e| found.eq_ignore_ascii_case(e)))
}

fn read(path: &Path) -> Result<Vec<u8>, ImportError> {
    std::fs::read(path).map_err(|error| ImportError::io(path, error))
}

#[cfg(test)]
mod tests;
