//! How an index is saved: chunks one after another, so that what is new is appended.
//!
//! A chunk is 64 bytes of header and a payload, filled up with zeros to a multiple of 64. The header: `LARDERIX`; version and kind of the
//! chunk, `u16` each; a zero `u32`; the length of the payload, `u64`; CRC-32 of the filled payload, `u32`; zeros; in its last four bytes
//! CRC-32 of the rest of it. Little-endian. The first chunk is the vocabulary; then come segments of products, of which a later one
//! replaces what is in an earlier one, and lists of ids that are removed from all before. What is written at once, the whole or an
//! appendix, ends in an empty chunk: a file that was cut off is an error, unless it is cut to what it was before an appendix.

use std::io::{self, Write};

use rayon::prelude::*;

use super::IndexError;

const MAGIC: [u8; 8] = *b"LARDERIX";
/// The version that is written and read.
pub(super) const VERSION: u16 = 3;
const HEADER: usize = 64;
const FILL: usize = 64;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Vocabulary = 1,
    Segment = 2,
    Removed = 3,
    /// What was written at once ends: without it, it does not count.
    End = 4,
}

/// Writes a chunk.
pub(super) fn write(chunk: Chunk, payload: &[u8], sink: &mut impl Write) -> io::Result<()> {
    let fill = &[0; FILL][..payload.len().next_multiple_of(FILL) - payload.len()];
    let mut sum = crc32fast::Hasher::new();
    sum.update(payload);
    sum.update(fill);
    let mut header = Vec::with_capacity(HEADER);
    header.extend(MAGIC);
    header.extend(VERSION.to_le_bytes());
    header.extend((chunk as u16).to_le_bytes());
    header.extend([0; 4]);
    header.extend((payload.len() as u64).to_le_bytes());
    header.extend(sum.finalize().to_le_bytes());
    header.resize(HEADER - 4, 0);
    header.extend(crc32fast::hash(&header).to_le_bytes());
    sink.write_all(&header)?;
    sink.write_all(payload)?;
    sink.write_all(fill)
}

/// The chunk that begins at `at`, and where the next one does; the file is whole up to `whole`.
pub(super) fn read(bytes: &[u8], at: usize, whole: usize) -> Result<(Chunk, &[u8], usize), IndexError> {
    let cut = IndexError::Truncated { at: whole as u64 };
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else { return Err(cut) };
    let broken = |what| IndexError::Broken { at: at as u64, what };
    if header[..8] != MAGIC {
        return Err(broken("this is no product index"));
    }
    let version = u16::from_le_bytes([header[8], header[9]]);
    if version != VERSION {
        return Err(IndexError::Version(version));
    }
    let (sound, sum) = header.split_at(HEADER - 4);
    if crc32fast::hash(sound).to_le_bytes() != sum {
        return Err(broken("the checksum of a header is wrong"));
    }
    let chunk = match u16::from_le_bytes([header[10], header[11]]) {
        1 => Chunk::Vocabulary,
        2 => Chunk::Segment,
        3 => Chunk::Removed,
        4 => Chunk::End,
        _ => return Err(broken("a chunk is of no known kind")),
    };
    let length: [u8; 8] = std::array::from_fn(|i| header[16 + i]);
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    let filled = length.checked_next_multiple_of(FILL).unwrap_or(usize::MAX);
    let Some(payload) = rest.get(..filled) else { return Err(cut) };
    if checksum(payload).to_le_bytes() != header[24..28] {
        return Err(broken("the checksum of a chunk is wrong"));
    }
    Ok((chunk, &payload[..length], at + HEADER + filled))
}

/// A part that is summed by one thread.
const PART: usize = 1 << 22;

/// CRC-32, on all threads.
fn checksum(payload: &[u8]) -> u32 {
    let part = |bytes: &[u8]| {
        let mut sum = crc32fast::Hasher::new();
        sum.update(bytes);
        sum
    };
    let join = |mut first: crc32fast::Hasher, second: crc32fast::Hasher| {
        first.combine(&second);
        first
    };
    payload.par_chunks(PART).map(part).reduce(crc32fast::Hasher::new, join).finalize()
}
