//! Reading recordings: messages and bytes a second, beside the `mcap` crate's own iteration over the same file, which
//! decodes no message.
//!
//! `cargo bench --bench recording`

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use larder::feeds::recording::{Recording, RecordingWriter};
use larder::feeds::{Event, Feed};
use larder_records::{Image, ImageEncoding, Modality, Names, Time};

const START: i64 = 1_700_000_000;

/// A million readings of twenty sensors.
fn readings(path: &Path) -> u64 {
    let mut out = RecordingWriter::create(path).unwrap();
    let kinds = [Modality::Weight, Modality::Temperature, Modality::Power, Modality::Door];
    let channels: Vec<_> = (0..20)
        .map(|i| out.channel(&format!("home-{}/fridge", i / 4), kinds[i % 4].as_str(), kinds[i % 4]).unwrap())
        .collect();
    for i in 0..1_000_000_u32 {
        let channel = i as usize % channels.len();
        let value =
            if channel % 4 == 3 { i64::from(i / 20 % 2) } else { i64::from(i.wrapping_mul(2_654_435_761) >> 16) };
        let time = Time((START * 1000 + i64::from(i) * 50) * 1000);
        out.reading(channels[channel], time, i, value).unwrap();
    }
    out.finish().unwrap().messages
}

/// Five hundred pictures of 200 kB that do not compress.
fn pictures(path: &Path) -> u64 {
    let mut out = RecordingWriter::create(path).unwrap();
    let channel = out.channel("home/fridge", "camera", Modality::Visible).unwrap();
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for i in 0..500 {
        let data: Vec<u8> = (0..200_000).map(|_| noise()).collect();
        let image = Image { encoding: ImageEncoding::Jpeg, data: Bytes::from(data) };
        out.image(channel, Time((START + i64::from(i)) * Time::SECOND), i, &image).unwrap();
    }
    out.finish().unwrap().messages
}

fn read(path: &Path) -> u64 {
    let mut names = Names::default();
    let mut recording = Recording::open(path).unwrap();
    let mut frames = 0;
    while let Some((position, entry)) = recording.next_entry(&mut names).unwrap() {
        frames += u64::from(matches!(black_box(&entry), Ok(Event::Frame(_))));
        black_box(position);
    }
    frames
}

/// The peer: messages with their channels, decompressed and checked, not decoded; the file held in memory.
fn read_with_mcap(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    mcap::MessageStream::new(&bytes).unwrap().filter(|message| black_box(message).is_ok()).count() as u64
}

fn bench(c: &mut Criterion) {
    let folder = tempfile::TempDir::new().unwrap();
    for (name, write) in [("readings", readings as fn(&Path) -> u64), ("pictures", pictures)] {
        let path = folder.path().join(name);
        let messages = write(&path);
        assert_eq!((read(&path), read_with_mcap(&path)), (messages, messages));
        let mut group = c.benchmark_group(format!("recording/{name}"));
        group.sample_size(10).throughput(if name == "pictures" {
            Throughput::Bytes(path.metadata().unwrap().len())
        } else {
            Throughput::Elements(messages)
        });
        group.bench_function(BenchmarkId::from_parameter("larder, decoded"), |b| b.iter(|| read(&path)));
        group.bench_function(BenchmarkId::from_parameter("mcap, undecoded"), |b| b.iter(|| read_with_mcap(&path)));
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
