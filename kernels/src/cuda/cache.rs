//! Compiled kernels kept from one start to the next.

use std::io;

use super::compile::{Chip, CompileError, Nvrtc};

/// Where compiled kernels are kept; this crate knows nothing of files.
pub trait CubinStore {
    /// What was kept under `key`, if anything.
    fn load(&self, key: &str) -> Option<Vec<u8>>;

    /// Keeps `bytes` under `key`, so that whoever reads meanwhile finds all of them or none.
    ///
    /// # Errors
    /// Where they cannot be kept; they are then compiled anew the next time.
    fn keep(&self, key: &str, bytes: &[u8]) -> io::Result<()>;
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl CubinStore for NoStore {
    fn load(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn keep(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// What `source` compiles to, from the store or else from the compiler, which then fills the store; and why it could not be
/// filled.
///
/// An entry that is damaged is compiled anew.
///
/// # Errors
/// [`CompileError`] where it is not in the store and does not compile.
pub fn cubin(
    store: &dyn CubinStore,
    nvrtc: &Nvrtc,
    source: &str,
    chip: Chip,
    options: &[&str],
) -> Result<(Vec<u8>, Option<io::Error>), CompileError> {
    let key = key(nvrtc.version(), source, chip, options);
    if let Some(cubin) = store.load(&key).and_then(unseal) {
        return Ok((cubin, None));
    }
    let cubin = nvrtc.compile(source, chip, options)?;
    let not_kept = store.keep(&key, &seal(&cubin)).err();
    Ok((cubin, not_kept))
}

/// Hash of all that a result depends on, as a text of hexadecimal digits.
fn key(version: (i32, i32), source: &str, chip: Chip, options: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    let version = format!("{}.{}", version.0, version.1);
    let chip = chip.to_string();
    for part in [version.as_str(), chip.as_str(), source].iter().chain(options) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The bytes behind their hash.
fn seal(bytes: &[u8]) -> Vec<u8> {
    [blake3::hash(bytes).as_bytes(), bytes].concat()
}

/// What [`seal`] sealed, if nothing of it has changed.
fn unseal(sealed: Vec<u8>) -> Option<Vec<u8>> {
    let (hash, bytes) = sealed.split_at_checked(blake3::OUT_LEN)?;
    (blake3::hash(bytes) == *<&[u8; blake3::OUT_LEN]>::try_from(hash).ok()?).then(|| bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_entry_is_read_back_and_a_changed_one_is_not() {
        let sealed = seal(b"code");
        assert_eq!(unseal(sealed.clone()), Some(b"code".to_vec()));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(unseal(changed), None);
            assert_eq!(unseal(sealed[..at].to_vec()), None);
        }
    }

    #[test]
    fn whatever_a_result_depends_on_changes_the_key() {
        let chip = |minor| Chip { major: 8, minor };
        let keys = [
            key((13, 0), "source", chip(0), &["a", "b"]),
            key((13, 1), "source", chip(0), &["a", "b"]),
            key((13, 0), "sourcf", chip(0), &["a", "b"]),
            key((13, 0), "source", chip(9), &["a", "b"]),
            key((13, 0), "source", chip(0), &["ab", ""]),
            key((13, 0), "source", chip(0), &["b", "a"]),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|other| other == key), Some(index));
        }
    }
}
