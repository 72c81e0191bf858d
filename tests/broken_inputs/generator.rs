//! Makes a folder of recordings that are each broken in a way of their own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use larder_records::DeadReason;
use larder_records::wire::{foxglove, v1};
use prost::Message;
use prost_types::Timestamp;

/// A recording of the folder, and what must come of it.
pub(crate) struct Broken {
    /// The file.
    pub(crate) path: PathBuf,
    /// Entries that are events.
    pub(crate) events: usize,
    /// Entries that are dead letters, in order.
    pub(crate) faults: Vec<DeadReason>,
    /// Pictures among the events that no decoder can make out, or that are larger than any may be.
    pub(crate) bad_pictures: usize,
}

/// A second of 2024.
fn stamp(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_704_067_200 + seconds, nanos: 0 })
}

fn grams(timestamp: Option<Timestamp>, grams: f64) -> Vec<u8> {
    v1::Reading { timestamp, value: Some(v1::reading::Value::Grams(grams)) }.encode_to_vec()
}

fn good(count: i64) -> Vec<Vec<u8>> {
    (0..count).map(|i| grams(stamp(i), i as f64)).collect()
}

fn picture(format: &str, data: Vec<u8>) -> Vec<u8> {
    let format = format.to_owned();
    foxglove::CompressedImage { timestamp: stamp(0), frame_id: String::new(), data: data.into(), format }
        .encode_to_vec()
}

fn raw(width: u32, height: u32, step: u32, encoding: &str, data: Vec<u8>) -> Vec<u8> {
    let encoding = encoding.to_owned();
    let (timestamp, frame_id) = (stamp(0), String::new());
    foxglove::RawImage { timestamp, frame_id, width, height, encoding, step, data: data.into() }.encode_to_vec()
}

/// An MCAP file of one channel.
fn file(schema: &str, messages: &[Vec<u8>], options: mcap::WriteOptions) -> Vec<u8> {
    let mut out = options.compression_threads(0).create(Cursor::new(Vec::new())).unwrap();
    let id = out.add_schema(schema, "protobuf", &larder_records::wire::schema(schema)).unwrap();
    let sensor = if schema.starts_with("foxglove") { "camera" } else { "scale" };
    let channel_id = out.add_channel(id, &format!("/home/fridge/{sensor}"), "protobuf", &BTreeMap::new()).unwrap();
    for (sequence, data) in (0..).zip(messages) {
        let header = mcap::records::MessageHeader { channel_id, sequence, log_time: 0, publish_time: 0 };
        out.write_to_known_channel(&header, data).unwrap();
    }
    out.finish().unwrap();
    out.into_inner().into_inner()
}

/// A JPEG of 100 megapixels by its header, with nothing behind it.
fn huge_jpeg() -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xc0, 0x00, 0x11, 8];
    bytes.extend(10_000_u16.to_be_bytes());
    bytes.extend(10_000_u16.to_be_bytes());
    bytes.extend([3, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1, 0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
    bytes
}

/// A PNG of 100 megapixels by its header, with nothing behind it.
fn huge_png() -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(10_000_u32.to_be_bytes());
    header.extend(10_000_u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    bytes.extend(&header);
    bytes.extend(crc32fast::hash(&header).to_be_bytes());
    bytes
}

/// Writes the recordings into `folder`.
pub(crate) fn write(folder: &Path) -> Vec<Broken> {
    use DeadReason::{BadTime, BadValue, Malformed, TooLarge, Truncated, UnknownSchema};
    const READING: &str = "larder.v1.Reading";
    const COMPRESSED: &str = "foxglove.CompressedImage";
    const RAW: &str = "foxglove.RawImage";
    let plain = || mcap::WriteOptions::new().use_chunks(false);
    let chunked = || mcap::WriteOptions::new().chunk_size(Some(4096));
    let mut all = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, events: usize, faults: &[DeadReason], bad_pictures: usize| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        all.push(Broken { path, events, faults: faults.to_vec(), bad_pictures });
    };

    add("empty.mcap", Vec::new(), 0, &[Truncated], 0);
    add("text.mcap", b"This is a letter, not a recording.\n".to_vec(), 0, &[Truncated], 0);

    // Without chunks a message is its own bytes and 31 more: the cut falls within the last of the hundred.
    let whole = file(READING, &good(100), plain());
    let (first, last) = (grams(stamp(0), 0.0), grams(stamp(99), 99.0));
    let end = whole.windows(last.len()).position(|window| window == last).unwrap();
    add("cut.mcap", whole[..end + 3].to_vec(), 99, &[Truncated], 0);
    add("cut_behind_data.mcap", whole[..end + last.len()].to_vec(), 100, &[Truncated], 0);

    // The length of the record of the first message: what follows cannot be told apart any more.
    let mut length = whole.clone();
    let start = length.windows(first.len()).position(|window| window == first).unwrap();
    length[start - 22 - 8..start - 22].fill(0xff);
    add("absurd_record.mcap", length, 0, &[Truncated], 0);

    let chunks = file(READING, &good(1000), chunked());
    let summary = mcap::Summary::read(&chunks).unwrap().unwrap();
    let second = &summary.chunk_indexes[1];
    let begin = usize::try_from(second.chunk_start_offset).unwrap();
    let kept = 1000 - summary.stream_chunk(&chunks, second).unwrap().count();
    let mut checksum = chunks.clone();
    checksum[begin + 9 + 24] ^= 1;
    add("checksum.mcap", checksum, kept, &[Truncated], 0);
    let mut absurd = chunks.clone();
    absurd[begin + 9 + 16..begin + 9 + 24].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    add("absurd_chunk.mcap", absurd, kept, &[TooLarge], 0);

    add("unknown_schema.mcap", file("robots.v1.Arm", &[vec![], vec![1, 2]], chunked()), 0, &[UnknownSchema; 2], 0);

    let mut values = good(2);
    values.splice(1..1, [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -1e6 - 1.0].map(|g| grams(stamp(0), g)));
    values.insert(3, b"\x0a\xff".to_vec());
    add(
        "values.mcap",
        file(READING, &values, chunked()),
        2,
        &[BadValue, BadValue, Malformed, BadValue, BadValue, BadValue],
        0,
    );

    let moment = |seconds, nanos| grams(Some(Timestamp { seconds, nanos }), 1.0);
    let times = [
        moment(0, 0),
        moment(-1, 0),
        moment(i64::MIN, 0),
        moment(7_258_118_399, 999_999_999),
        moment(7_258_118_400, 0),
        moment(i64::MAX, 0),
        moment(5, -1),
        moment(5, 1_000_000_000),
        grams(None, 1.0),
    ];
    let faults = [BadTime, BadTime, BadTime, BadTime, Malformed, Malformed, Malformed];
    add("times.mcap", file(READING, &times, chunked()), 2, &faults, 0);

    // Each message twice, from the latest to the earliest: nothing is wrong with any of them.
    let reordered: Vec<Vec<u8>> = good(50).into_iter().rev().flat_map(|message| [message.clone(), message]).collect();
    add("duplicated_and_reordered.mcap", file(READING, &reordered, chunked()), 100, &[], 0);

    let broken = [b"\xff\xd8\xff\xe0 and then nothing of a picture".to_vec(), b"\x89PNG\r\n\x1a\n".to_vec()];
    let pictures = [picture("jpeg", broken[0].clone()), picture("png", broken[1].clone()), picture("tiff", vec![0; 9])];
    add("broken_pictures.mcap", file(COMPRESSED, &pictures, chunked()), 2, &[Malformed], 2);
    let pictures = [picture("jpeg", huge_jpeg()), picture("png", huge_png())];
    add("huge_pictures.mcap", file(COMPRESSED, &pictures, chunked()), 2, &[], 2);

    let sizes = [
        raw(2, 2, 4, "16UC1", vec![0; 8]),
        raw(u32::MAX, u32::MAX, u32::MAX, "rgb8", vec![0; 8]),
        raw(u32::MAX, 1, 0, "rgb8", vec![0; 8]),
        raw(10_000, 10_000, 30_000, "rgb8", vec![0; 8]),
        raw(4, 2, 4, "16UC1", vec![0; 8]),
        raw(2, 2, 4, "16UC1", vec![0; 7]),
        raw(0, 0, 0, "mono8", vec![]),
        raw(2, 2, 4, "32FC1", vec![0; 8]),
    ];
    let faults = [TooLarge, TooLarge, TooLarge, Malformed, Malformed, Malformed, Malformed];
    add("absurd_pictures.mcap", file(RAW, &sizes, chunked()), 1, &faults, 0);
    let large = [picture("jpeg", vec![0xff; (64 << 20) + 1]), picture("jpeg", broken[0].clone())];
    add("large_picture.mcap", file(COMPRESSED, &large, chunked()), 1, &[TooLarge], 1);
    all
}
