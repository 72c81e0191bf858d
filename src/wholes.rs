//! What reference pictures look like as a whole, kept beside the catalogue's index: networks are slow.
//!
//! `LARDERWH`, version and number of components (`u32` each, little-endian), then a row a picture: its number (`u64`), its components, and
//! CRC-32 of both. What is damaged is no more than a picture that must be looked at again.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::Path,
};

use larder_pipelines::recogniser::Whole;

use crate::files::replace;

const MAGIC: &[u8; 8] = b"LARDERWH";
/// Raised, too, where the built-in descriptor comes to say something else: it has no file to be told apart by.
const VERSION: u32 = 1;

/// What a file holds, by the numbers of the pictures; nothing where there is none.
///
/// # Errors
/// Those of the system.
pub(crate) fn read(path: &Path) -> io::Result<BTreeMap<u64, Whole>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        read => read?,
    };
    Ok(parse(&bytes).unwrap_or_default())
}

fn parse(bytes: &[u8]) -> Option<BTreeMap<u64, Whole>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (&version, rest) = rest.split_first_chunk()?;
    let (&components, rest) = rest.split_first_chunk()?;
    let components = u32::from_le_bytes(components) as usize;
    if u32::from_le_bytes(version) != VERSION {
        return None;
    }
    let row = |row: &[u8]| {
        let (kept, &sum) = row.split_last_chunk()?;
        let (&number, values) = kept.split_first_chunk()?;
        let sound = crc32fast::hash(kept) == u32::from_le_bytes(sum);
        let whole = || Whole::from_values(values.iter().map(|&value| value as i8).collect());
        sound.then(|| (u64::from_le_bytes(number), whole()))
    };
    Some(rest.chunks_exact(components + 12).filter_map(row).collect())
}

/// Writes all of them, of one length.
///
/// # Errors
/// Those of the system.
pub(crate) fn write(path: &Path, wholes: &BTreeMap<u64, Whole>) -> io::Result<()> {
    replace(path, |file| {
        let components = wholes.values().next().map_or(0, |whole| whole.values().len());
        file.write_all(MAGIC)?;
        file.write_all(&VERSION.to_le_bytes())?;
        file.write_all(&(components as u32).to_le_bytes())?;
        for (number, whole) in wholes.iter().filter(|(_, whole)| whole.values().len() == components) {
            let mut row = number.to_le_bytes().to_vec();
            row.extend(whole.values().iter().map(|&value| value as u8));
            let sum = crc32fast::hash(&row);
            row.extend(sum.to_le_bytes());
            file.write_all(&row)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_left_out_and_the_rest_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("looks");
        assert!(read(&path).unwrap().is_empty());
        let wholes: BTreeMap<u64, Whole> =
            (0..5).map(|number| (number, Whole::from_values(vec![number as i8, -3, 127]))).collect();
        write(&path, &wholes).unwrap();
        assert_eq!(read(&path).unwrap(), wholes);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            let read = parse(&broken).unwrap_or_default();
            assert!(read.len() < 5 && read.iter().all(|(number, whole)| wholes.get(number) == Some(whole)), "{at}");
            assert!(parse(&bytes[..at]).unwrap_or_default().len() < 5);
        }
    }
}
