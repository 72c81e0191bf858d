//! The framing of an MCAP file, read once from front to back, whatever its bytes are.
//!
//! The `mcap` crate stops at the first fault. Here a damaged chunk costs that chunk, a cut file is read up to the cut,
//! and no stated length is believed before it has been held against the file and the limits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use larder_records::DeadReason;
use larder_records::wire::MAX_IMAGE_BYTES;
use mcap::records::{ChunkHeader, Record, op};

/// The largest message: the largest picture and what stands around it.
const MAX_MESSAGE: u64 = MAX_IMAGE_BYTES + (64 << 10);
/// The largest chunk, compressed or not.
const MAX_CHUNK: u64 = 2 * MAX_MESSAGE;
/// The largest schema or channel record.
const MAX_DEFINITION: u64 = 4 << 20;
/// Opcode and length.
const RECORD_HEADER: u64 = 9;
/// Channel, sequence, log time and publish time.
const MESSAGE_HEADER: usize = 22;
/// A footer record and the magic behind it.
const TAIL: u64 = RECORD_HEADER + 20 + mcap::MAGIC.len() as u64;

/// A schema as the file states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SchemaDefinition {
    pub(super) name: String,
    pub(super) encoding: String,
}

/// A channel as the file states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChannelDefinition {
    pub(super) topic: String,
    pub(super) encoding: String,
    pub(super) schema: Option<SchemaDefinition>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// One message; its bytes are in [`Container::bytes`].
#[derive(Debug, Clone)]
pub(super) struct RawMessage {
    pub(super) channel: u16,
    pub(super) sequence: u32,
    data: Range<usize>,
}

/// What stands at a position of the file.
#[derive(Debug)]
pub(super) enum Raw {
    Message(RawMessage),
    /// A channel is stated, anew or otherwise than before.
    Channel(u16),
    /// Something that cannot be read.
    Fault(DeadReason, String),
}

/// How chunks are compressed, and how well.
#[derive(Debug, Default, Clone)]
pub(super) struct ChunkStatistics {
    pub(super) count: u64,
    pub(super) compressed: u64,
    pub(super) uncompressed: u64,
    pub(super) compressions: BTreeMap<String, u64>,
}

enum Where {
    /// Between records of the file.
    File,
    /// In a chunk that began at this byte: the next record in the buffer, the messages so far, and whether the file
    /// breaks off in it.
    Chunk {
        began: u64,
        next: usize,
        messages: u64,
        cut: bool,
    },
    End,
}

/// Reads records off a file.
pub(super) struct Container {
    file: BufReader<File>,
    length: u64,
    /// The byte that is read next.
    at: u64,
    place: Where,
    /// The records of the current chunk, or the body of the current record.
    buffer: Vec<u8>,
    compressed: Vec<u8>,
    zstd: zstd::bulk::Decompressor<'static>,
    schemas: BTreeMap<u16, SchemaDefinition>,
    channels: Vec<Option<ChannelDefinition>>,
    /// Channels of the summary that have not been told of.
    untold: Vec<u16>,
    complete: bool,
    /// Where chunks begin, by the summary: a damaged length cannot lead past them.
    index: Vec<u64>,
    /// Positions rise: the lowest that is left.
    free: u64,
    chunks: ChunkStatistics,
    broke_off: bool,
}

impl Container {
    /// Opens a file, and learns its channels from the summary where it has one: then they are known even where the
    /// chunk that states them is damaged.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut container = Self {
            file: BufReader::with_capacity(1 << 18, file),
            length,
            at: 0,
            place: Where::File,
            buffer: Vec::new(),
            compressed: Vec::new(),
            zstd: zstd::bulk::Decompressor::new()?,
            schemas: BTreeMap::new(),
            channels: Vec::new(),
            untold: Vec::new(),
            complete: false,
            index: Vec::new(),
            free: 0,
            chunks: ChunkStatistics::default(),
            broke_off: false,
        };
        container.read_summary()?;
        container.seek(0)?;
        Ok(container)
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The byte that is read next: how far the reading has come.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The chunks that were unpacked so far.
    pub(super) fn chunks(&self) -> &ChunkStatistics {
        &self.chunks
    }

    /// Whether the file was found to break off.
    pub(super) fn broke_off(&self) -> bool {
        self.broke_off
    }

    /// The bytes of the message that was yielded last.
    pub(super) fn bytes(&self, message: &RawMessage) -> &[u8] {
        &self.buffer[message.data.clone()]
    }

    /// A channel that the file has stated so far.
    pub(super) fn channel(&self, id: u16) -> Option<&ChannelDefinition> {
        self.channels.get(usize::from(id))?.as_ref()
    }

    /// The next thing and its position, or none at the end.
    ///
    /// A position is the byte at which the record begins; for a message in a chunk, the byte at which the chunk begins
    /// plus the message's place in it. Where that would not rise (more messages than compressed bytes) it is one more
    /// than the position before.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Raw)>> {
        if let Some(id) = self.untold.pop() {
            return Ok(Some((0, Raw::Channel(id))));
        }
        loop {
            let found = match self.place {
                Where::File => self.next_in_file()?,
                Where::Chunk { began, next, messages, cut } => self.next_in_chunk(began, next, messages, cut),
                Where::End => return Ok(None),
            };
            if let Some((position, raw)) = found {
                if matches!(raw, Raw::Channel(_)) {
                    return Ok(Some((position, raw)));
                }
                let position = position.max(self.free);
                self.free = position + 1;
                return Ok(Some((position, raw)));
            }
        }
    }

    /// Reads one record of the file; none where it holds nothing to tell.
    fn next_in_file(&mut self) -> io::Result<Option<(u64, Raw)>> {
        if self.at == 0 {
            let mut magic = [0; mcap::MAGIC.len()];
            if self.length < magic.len() as u64 || !self.read_exact(&mut magic)? || magic != *mcap::MAGIC {
                return Ok(self.end(0, "this is no MCAP file: its first eight bytes are others"));
            }
        }
        let began = self.at;
        let mut header = [0; RECORD_HEADER as usize];
        if self.length - began < RECORD_HEADER || !self.read_exact(&mut header)? {
            return Ok(self.end(began, "the recording breaks off: it has no end of data"));
        }
        let (opcode, length) = split_header(header);
        let next_chunk = self.index.partition_point(|start| *start <= began);
        let known = self.index.get(next_chunk).copied().filter(|start| *start <= self.length);
        if let Some(chunk) = known
            && (length > chunk.saturating_sub(self.at) || matches!(opcode, op::DATA_END | op::FOOTER))
        {
            self.seek(chunk)?;
            let detail = "the framing is damaged up to the next chunk";
            return Ok(Some((began, Raw::Fault(DeadReason::Truncated, detail.to_owned()))));
        }
        let left = self.length - self.at;
        match opcode {
            op::DATA_END | op::FOOTER => {
                if self.complete {
                    self.place = Where::End;
                    return Ok(None);
                }
                Ok(self.end(began, "the recording breaks off behind its data: it has no footer"))
            }
            op::CHUNK => self.read_chunk(began, length),
            _ if length > left => Ok(self.end(began, "the recording breaks off within a record")),
            op::MESSAGE if length > MAX_MESSAGE => {
                self.seek(self.at + length)?;
                Ok(Some((began, too_large("message", length))))
            }
            op::SCHEMA | op::CHANNEL if length > MAX_DEFINITION => {
                self.seek(self.at + length)?;
                Ok(Some((began, too_large("schema or channel", length))))
            }
            op::MESSAGE | op::SCHEMA | op::CHANNEL => {
                let mut body = std::mem::take(&mut self.buffer);
                let read = self.read_into(&mut body, length);
                self.buffer = body;
                read?;
                Ok(self.record(opcode, 0..self.buffer.len()).map(|raw| (began, raw)))
            }
            _ => {
                self.seek(self.at + length)?;
                Ok(None)
            }
        }
    }

    /// Reads and unpacks a chunk, as far as there is one.
    fn read_chunk(&mut self, began: u64, length: u64) -> io::Result<Option<(u64, Raw)>> {
        let left = self.length - self.at;
        let cut = length > left;
        if length.min(left) > MAX_CHUNK {
            if cut {
                return Ok(self.end(began, "the recording breaks off within a chunk beyond the limit"));
            }
            self.seek(self.at + length)?;
            return Ok(Some((began, too_large("chunk", length))));
        }
        let mut body = std::mem::take(&mut self.compressed);
        let read = self.read_into(&mut body, length.min(left));
        self.compressed = body;
        read?;
        match unpack(&self.compressed, cut, &mut self.zstd, &mut self.buffer) {
            Ok(header) => {
                self.chunks.count += 1;
                self.chunks.compressed += header.compressed_size.min(left);
                self.chunks.uncompressed += self.buffer.len() as u64;
                *self.chunks.compressions.entry(header.compression).or_default() += 1;
                self.place = Where::Chunk { began, next: 0, messages: 0, cut };
                Ok(None)
            }
            Err(_) if cut => Ok(self.end(began, "the recording breaks off within a chunk")),
            Err((reason, detail)) => Ok(Some((began, Raw::Fault(reason, detail)))),
        }
    }

    /// Reads one record of the chunk in the buffer; none where it holds nothing to tell.
    fn next_in_chunk(&mut self, began: u64, next: usize, messages: u64, cut: bool) -> Option<(u64, Raw)> {
        let rest = &self.buffer[next..];
        let whole = rest.first_chunk().map(|header| split_header(*header)).and_then(|(opcode, length)| {
            let start = next + RECORD_HEADER as usize;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            (end <= self.buffer.len()).then_some((opcode, start..end))
        });
        let Some((opcode, body)) = whole else {
            self.place = Where::File;
            if cut {
                return self.end(began + messages, "the recording breaks off within a chunk");
            }
            let detail = "a chunk ends within a record";
            return (!rest.is_empty())
                .then(|| (began + messages, Raw::Fault(DeadReason::Truncated, detail.to_owned())));
        };
        let count = messages + u64::from(opcode == op::MESSAGE);
        self.place = Where::Chunk { began, next: body.end, messages: count, cut };
        if body.len() as u64 > MAX_MESSAGE {
            return Some((began + messages, too_large("message", body.len() as u64)));
        }
        self.record(opcode, body).map(|raw| (began + messages, raw))
    }

    /// Takes in a record whose body is in the buffer.
    fn record(&mut self, opcode: u8, body: Range<usize>) -> Option<Raw> {
        let bytes = &self.buffer[body.clone()];
        if opcode == op::MESSAGE {
            let Some(header) = bytes.first_chunk::<MESSAGE_HEADER>() else {
                let detail = format!("a message record of {} bytes", bytes.len());
                return Some(Raw::Fault(DeadReason::Malformed, detail));
            };
            let channel = u16::from_le_bytes([header[0], header[1]]);
            let sequence = u32::from_le_bytes([header[2], header[3], header[4], header[5]]);
            return Some(Raw::Message(RawMessage { channel, sequence, data: body.start + MESSAGE_HEADER..body.end }));
        }
        if opcode != op::SCHEMA && opcode != op::CHANNEL {
            return None;
        }
        match mcap::parse_record(opcode, bytes).map(Record::into_owned) {
            Ok(record) => self.define(record).map(Raw::Channel),
            Err(error) => {
                Some(Raw::Fault(DeadReason::Malformed, format!("a schema or channel cannot be read: {error}")))
            }
        }
    }

    /// Remembers a schema or a channel; yields a channel that is new or changed.
    fn define(&mut self, record: Record<'_>) -> Option<u16> {
        match record {
            Record::Schema { header, .. } => {
                let definition = SchemaDefinition { name: header.name, encoding: header.encoding };
                self.schemas.insert(header.id, definition);
                None
            }
            Record::Channel(channel) => {
                let definition = ChannelDefinition {
                    topic: channel.topic,
                    encoding: channel.message_encoding,
                    schema: self.schemas.get(&channel.schema_id).cloned(),
                    metadata: channel.metadata,
                };
                let index = usize::from(channel.id);
                if self.channels.len() <= index {
                    self.channels.resize(index + 1, None);
                }
                let known = &mut self.channels[index];
                if known.as_ref() == Some(&definition) {
                    return None;
                }
                *known = Some(definition);
                Some(channel.id)
            }
            _ => None,
        }
    }

    /// Learns schemas, channels and where chunks begin from the summary, if the file is complete and has a sound one.
    fn read_summary(&mut self) -> io::Result<()> {
        if self.length < mcap::MAGIC.len() as u64 + TAIL {
            return Ok(());
        }
        self.seek(self.length - TAIL)?;
        let mut tail = [0; TAIL as usize];
        if !self.read_exact(&mut tail)? || !tail.ends_with(mcap::MAGIC) {
            return Ok(());
        }
        let footer = &tail[..TAIL as usize - mcap::MAGIC.len()];
        let (hashed, crc) = footer.split_at(footer.len() - 4);
        let Some(start) = hashed.get(RECORD_HEADER as usize..).and_then(|rest| rest.first_chunk()) else {
            return Ok(());
        };
        self.complete = hashed[0] == op::FOOTER;
        let (start, end) = (u64::from_le_bytes(*start), self.length - TAIL);
        if !self.complete || start == 0 || start >= end || end - start > MAX_CHUNK {
            return Ok(());
        }
        self.seek(start)?;
        let mut summary = Vec::new();
        self.read_into(&mut summary, end - start)?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&summary);
        hasher.update(hashed);
        if *crc != [0; 4] && *crc != hasher.finalize().to_le_bytes() {
            return Ok(());
        }
        let mut rest = summary.as_slice();
        while let Some((header, behind)) = rest.split_first_chunk() {
            let (opcode, length) = split_header(*header);
            let Some((body, behind)) = usize::try_from(length).ok().and_then(|length| behind.split_at_checked(length))
            else {
                break;
            };
            rest = behind;
            match opcode {
                op::SCHEMA | op::CHANNEL => {
                    if let Some(id) = mcap::parse_record(opcode, body).ok().and_then(|record| self.define(record)) {
                        self.untold.push(id);
                    }
                }
                // Two times stand before the offset.
                op::CHUNK_INDEX => self.index.extend(
                    body.get(16..).and_then(|rest| rest.first_chunk()).map(|offset| u64::from_le_bytes(*offset)),
                ),
                _ => {}
            }
        }
        self.index.sort_unstable();
        Ok(())
    }

    /// The end of what can be read, and why.
    fn end(&mut self, position: u64, detail: &str) -> Option<(u64, Raw)> {
        self.place = Where::End;
        self.broke_off = true;
        Some((position, Raw::Fault(DeadReason::Truncated, detail.to_owned())))
    }

    fn seek(&mut self, to: u64) -> io::Result<()> {
        // Both lie within a file, whose length fits.
        match (i64::try_from(to), i64::try_from(self.at)) {
            (Ok(to), Ok(at)) => self.file.seek_relative(to - at)?,
            _ => drop(self.file.seek(SeekFrom::Start(to))?),
        }
        self.at = to;
        Ok(())
    }

    /// Whether there were that many bytes: a file may be cut while it is read.
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<bool> {
        match self.file.read_exact(bytes) {
            Ok(()) => {
                self.at += bytes.len() as u64;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads up to `length` bytes: memory is taken as they come.
    fn read_into(&mut self, bytes: &mut Vec<u8>, length: u64) -> io::Result<()> {
        bytes.clear();
        (&mut self.file).take(length).read_to_end(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

fn split_header(header: [u8; RECORD_HEADER as usize]) -> (u8, u64) {
    let [opcode, length @ ..] = header;
    (opcode, u64::from_le_bytes(length))
}

fn too_large(what: &str, bytes: u64) -> Raw {
    Raw::Fault(DeadReason::TooLarge, format!("a {what} record of {bytes} bytes"))
}

/// Unpacks the records of a chunk into `out`; of a chunk that is cut, those bytes that can be.
fn unpack(
    body: &[u8],
    cut: bool,
    zstd: &mut zstd::bulk::Decompressor<'static>,
    out: &mut Vec<u8>,
) -> Result<ChunkHeader, (DeadReason, String)> {
    out.clear();
    let damaged = |detail: String| (DeadReason::Truncated, detail);
    let (header, data) = split_chunk(body, cut).ok_or_else(|| damaged("a chunk's header cannot be read".to_owned()))?;
    let size = header.uncompressed_size;
    if size > MAX_CHUNK {
        return Err((DeadReason::TooLarge, format!("a chunk of {size} bytes unpacked")));
    }
    let packed = |error: io::Error| damaged(format!("a chunk cannot be unpacked: {error}"));
    match header.compression.as_str() {
        "" => out.extend_from_slice(data),
        "zstd" if !cut => {
            // Not more than stated, and not more than the limit: see above.
            out.reserve(usize::try_from(size).unwrap_or_default());
            zstd.decompress_to_buffer(data, out).map_err(packed)?;
        }
        "zstd" => salvage(zstd::stream::read::Decoder::new(data).map_err(packed)?, out),
        "lz4" if !cut => {
            let decoder = lz4::Decoder::new(data).map_err(packed)?;
            decoder.take(size.saturating_add(1)).read_to_end(out).map_err(packed)?;
        }
        "lz4" => salvage(lz4::Decoder::new(data).map_err(packed)?, out),
        other => {
            let name: String = other.chars().take(32).collect();
            return Err((DeadReason::UnknownSchema, format!("a chunk of compression {name:?}")));
        }
    }
    if cut {
        return Ok(header);
    }
    if out.len() as u64 != size {
        return Err(damaged(format!("a chunk of {} bytes unpacked, where it says {size}", out.len())));
    }
    if header.uncompressed_crc != 0 && header.uncompressed_crc != crc32fast::hash(out) {
        return Err(damaged("a chunk fails its checksum".to_owned()));
    }
    Ok(header)
}

/// The header of a chunk, and its data as far as there are.
fn split_chunk(body: &[u8], cut: bool) -> Option<(ChunkHeader, &[u8])> {
    let fixed: &[u8; 32] = body.first_chunk()?;
    let word = |at: usize| <[u8; 8]>::try_from(&fixed[at..at + 8]).map(u64::from_le_bytes).ok();
    let half = |at: usize| <[u8; 4]>::try_from(&fixed[at..at + 4]).map(u32::from_le_bytes).ok();
    let name_end = 32 + usize::try_from(half(28)?).ok()?;
    let compression = std::str::from_utf8(body.get(32..name_end)?).ok()?.to_owned();
    let compressed_size = u64::from_le_bytes(*body.get(name_end..)?.first_chunk()?);
    let rest = &body[name_end + 8..];
    let data = match rest.get(..usize::try_from(compressed_size).ok()?) {
        Some(data) => data,
        None if cut => rest,
        None => return None,
    };
    let header = ChunkHeader {
        message_start_time: word(0)?,
        message_end_time: word(8)?,
        uncompressed_size: word(16)?,
        uncompressed_crc: half(24)?,
        compression,
        compressed_size,
    };
    Some((header, data))
}

/// Reads what can be read.
fn salvage(decoder: impl Read, out: &mut Vec<u8>) {
    // The error is the break itself, which is told behind the messages before it.
    let _ = decoder.take(MAX_CHUNK).read_to_end(out);
}
