//! Shared libraries that may or may not be there, loaded when the program runs.

use std::path::{Path, PathBuf};

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
pub(super) fn load(folder: Option<&Path>, names: &[&str]) -> Result<(Library, String), LibraryError> {
    let mut reasons = Vec::new();
    for name in names {
        let path = folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        // SAFETY: only libraries of the CUDA toolkit and driver are loaded, whose initialisers do nothing that could go wrong.
        match unsafe { Library::new(&path) } {
            Ok(library) => return Ok((library, path.display().to_string())),
            Err(reason) => reasons.push(reason.to_string()),
        }
    }
    Err(LibraryError::Missing {
        name: names.first().copied().unwrap_or_default().to_owned(),
        reason: reasons.join("; "),
    })
}

/// A function of a library, as a pointer of the type `F`.
///
/// # Safety
/// The function must be of that type; and the pointer must not be used once the library is closed.
pub(super) unsafe fn function<F: Copy>(library: &Library, name: &str, function: &str) -> Result<F, LibraryError> {
    // SAFETY: the caller's.
    match unsafe { library.get::<F>(function.as_bytes()) } {
        Ok(symbol) => Ok(*symbol),
        Err(_) => Err(LibraryError::Incomplete { name: name.to_owned(), function: function.to_owned() }),
    }
}
