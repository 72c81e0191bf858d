//! Shared libraries that may or may not be there, loaded when the program runs.

use std::{
    error::Error as _,
    path::{Path, PathBuf},
};

use libloading::Library;

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// It is not there, or does not load.
    #[error("{name} does not load: {reason}")]
    Missing {
        /// Which library.
        name: String,
        /// What the system says.
        reason: String,
    },
    /// It is there, but lacks a function: too old, or too new.
    #[error("{name} lacks {function}")]
    Incomplete {
        /// Which library.
        name: String,
        /// Which function.
        function: String,
    },
}

/// Loads the first of `names` that loads, in `folder` or else where the system looks.
///
/// It stays to the end of the program, so that pointers to its functions stay good.
pub(super) fn load(folder: Option<&Path>, names: &[&str]) -> Result<(&'static Library, String), LibraryError> {
    let mut first_reason = None;
    for name in names {
        let path = folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name)).display().to_string();
        // SAFETY: only libraries of the CUDA toolkit and driver are loaded, whose initialisers do nothing that could go wrong.
        match unsafe { Library::new(&path) } {
            Ok(library) => return Ok((Box::leak(Box::new(library)), path)),
            Err(error) => {
                // What the system says is the error's source, and begins with what was asked for.
                let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                first_reason.get_or_insert(reason.trim_start_matches(&format!("{path}: ")).to_owned());
            }
        }
    }
    let name = names.first().copied().unwrap_or_default().to_owned();
    Err(LibraryError::Missing { name, reason: first_reason.unwrap_or_default() })
}

/// A function of a library, as a pointer of the type `F`.
///
/// # Safety
/// The function must be of that type.
pub(super) unsafe fn function<F: Copy>(
    library: &'static Library,
    name: &str,
    function: &str,
) -> Result<F, LibraryError> {
    // SAFETY: the caller's.
    match unsafe { library.get::<F>(function.as_bytes()) } {
        Ok(symbol) => Ok(*symbol),
        Err(_) => Err(LibraryError::Incomplete { name: name.to_owned(), function: function.to_owned() }),
    }
}
