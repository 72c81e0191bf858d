#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use larder_records::{
    Appliance, ApplianceId, BoundingBox, Change, Correction, DeadReason, DeclaredMovement, HouseholdId, Image,
    ImageEncoding, Modality, Name, Names, Payload, PixelFormat, Product, ProductId, Reason, SensorId, Time, Truth,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::feeds::{Entry, Event, Feed};

fn at(seconds: i64) -> Time {
    Time::from_seconds(1_600_000_000 + seconds).unwrap()
}

/// All entries of a recording.
fn read_all(path: &Path) -> Vec<Entry> {
    let mut names = Names::default();
    let mut recording = Recording::open(path).unwrap();
    std::iter::from_fn(|| recording.next_entry(&mut names).unwrap()).collect()
}

fn events(entries: Vec<Entry>) -> Vec<Event> {
    entries.into_iter().filter_map(|(_, entry)| entry.ok()).collect()
}

fn faults(entries: &[Entry]) -> Vec<DeadReason> {
    entries.iter().filter_map(|(_, entry)| Some(entry.as_ref().err()?.reason)).collect()
}

/// A recording of every kind of message, in several chunks, and the events that it must yield.
fn write_sample(path: &Path, readings: u32) -> Vec<Event> {
    let mut names = Names::default();
    let mut name = |text: &str| names.intern(text).unwrap();
    let appliance = Appliance {
        as_of: at(0),
        region: name("north"),
        model: name("KG39"),
        time_zone: name("Europe/Berlin"),
        min_score: 400_000,
        review_below: 900_000,
        min_households: 7,
        ..Appliance::new(ApplianceId(name("houseA/fridge")), HouseholdId(name("houseA")), name("fridge"))
    };
    let product = Product {
        id: ProductId(name("4000-1")),
        as_of: at(0),
        name: name("milk 1 l"),
        category: name("dairy/milk"),
        brand: name("Weide"),
        package_mg: 1_030_500,
        shelf_life_days: 9,
    };
    let declared = DeclaredMovement {
        appliance: appliance.id,
        time: at(3),
        id: name("17"),
        source: name("receipts"),
        product: product.id,
        quantity: -2,
        group: name("basket 4"),
        reason: Reason::Wasted,
        cents: -129,
    };
    let bounds = BoundingBox { left: 1, top: 2, right: 30, bottom: 40 };
    let truth = Truth {
        appliance: appliance.id,
        time: at(4),
        items: vec![(product.id, 2, Some(bounds)), (product.id, 1, None)],
    };
    let change = Change::Count { appliance: appliance.id, product: product.id, at: at(2), count: 3 };
    let (id, author, reason) = (name("count 1"), name("ada"), Name::default());
    let correction = Correction { time: at(5), id, author, reason, change };
    let jpeg = Image { encoding: ImageEncoding::Jpeg, data: Bytes::from_static(&[0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]) };
    let raw = Image {
        encoding: ImageEncoding::Raw { width: 3, height: 2, step: 8, pixel: PixelFormat::Grey16 },
        data: Bytes::from_static(&[7; 16]),
    };

    let mut out = RecordingWriter::create(path).unwrap();
    let mut expected = Vec::new();
    out.appliance(&appliance, &names).unwrap();
    out.product(&product, &names).unwrap();
    out.declared(&declared, &names).unwrap();
    out.truth(&truth, &names).unwrap();
    out.correction(&correction, &names).unwrap();
    expected.extend([
        Event::Appliance(appliance.clone()),
        Event::Product(product),
        Event::Declared(declared),
        Event::Truth(truth),
        Event::Correction(correction),
    ]);
    let mut frame = |sensor: &str, modality, time, sequence, payload: Payload| {
        let channel = out.channel("houseA/fridge", sensor, modality).unwrap();
        match &payload {
            Payload::Reading(value) => out.reading(channel, time, sequence, *value).unwrap(),
            Payload::Image(image) => out.image(channel, time, sequence, image).unwrap(),
        }
        let sensor = SensorId::of(sensor);
        expected.push(Event::Frame(larder_records::Frame {
            appliance: appliance.id,
            sensor,
            modality,
            time,
            sequence,
            payload,
        }));
    };
    frame("door", Modality::Door, at(5), 0, Payload::Reading(1));
    frame("camera", Modality::Visible, at(6), 0, Payload::Image(jpeg.clone()));
    frame("camera", Modality::Visible, at(6), 1, Payload::Image(raw.clone()));
    frame("depth", Modality::Depth, at(6), 0, Payload::Image(raw.clone()));
    frame("heat", Modality::Infrared, at(6), 0, Payload::Image(raw));
    frame("depth", Modality::Depth, at(7), 1, Payload::Image(jpeg));
    frame("cold", Modality::Temperature, at(7), 3, Payload::Reading(-18_250));
    frame("plug", Modality::Power, at(7), u32::MAX, Payload::Reading(75_125));
    for i in 0..readings {
        // Neither in order of time nor all different.
        let time = at(i64::from(i * 7 % 1000)).plus(i64::from(i % 3));
        let value = i64::from(i) * 12_345 % 2_000_000_001 - 1_000_000_000;
        frame("scale", Modality::Weight, time, i, Payload::Reading(value));
    }
    let summary = out.finish().unwrap();
    assert_eq!(summary.messages, expected.len() as u64);
    assert_eq!(summary.bytes, path.metadata().unwrap().len());
    expected
}

#[test]
fn what_is_written_is_read_back() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sample.mcap");
    let expected = write_sample(&path, 100_000);
    let entries = read_all(&path);
    assert!(entries.windows(2).all(|pair| pair[0].0.offset < pair[1].0.offset), "positions rise strictly");
    assert!(entries.last().unwrap().0.offset < path.metadata().unwrap().len());
    assert_eq!(events(entries), expected);
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let [a, b] = ["a.mcap", "b.mcap"].map(|name| folder.path().join(name));
    write_sample(&a, 50_000);
    write_sample(&b, 50_000);
    assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap());
}

#[test]
fn an_interrupted_run_leaves_no_half_recording() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("half.mcap");
    let mut out = RecordingWriter::create(&path).unwrap();
    let channel = out.channel("a", "door", Modality::Door).unwrap();
    out.reading(channel, at(0), 0, 1).unwrap();
    drop(out);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_written_that_no_reader_takes_in() {
    let folder = TempDir::new().unwrap();
    let mut out = RecordingWriter::create(folder.path().join("x.mcap")).unwrap();
    let door = out.channel("a", "door", Modality::Door).unwrap();
    let camera = out.channel("a", "camera", Modality::Visible).unwrap();
    assert!(out.reading(door, at(0), 0, 2).is_err());
    assert!(out.reading(door, Time(-1), 0, 1).is_err());
    assert!(out.reading(door, Time::MAX, 0, 1).is_err());
    assert!(out.reading(camera, at(0), 0, 1).is_err());
    let empty = Image { encoding: ImageEncoding::Jpeg, data: Bytes::new() };
    assert!(out.image(camera, at(0), 0, &empty).is_err());
    assert!(out.image(door, at(0), 0, &Image { data: Bytes::from_static(b"x"), ..empty }).is_err());
    assert!(out.channel("", "door", Modality::Door).is_err());
    let unnamed = Appliance::new(ApplianceId::of("a"), HouseholdId::of("b"), larder_records::Name::of("c"));
    assert!(matches!(out.appliance(&unnamed, &Names::default()), Err(WriteError::Unnamed(_))));
}

/// An MCAP file of other producers: channels with these schemas and messages.
fn foreign(channels: &[(&str, &str, &str, Vec<Vec<u8>>)], options: mcap::WriteOptions) -> Vec<u8> {
    let mut out = options.create(Cursor::new(Vec::new())).unwrap();
    for (topic, schema, encoding, messages) in channels {
        let schema = if schema.is_empty() { 0 } else { out.add_schema(schema, encoding, b"").unwrap() };
        let channel_id = out.add_channel(schema, topic, encoding, &BTreeMap::new()).unwrap();
        for (sequence, data) in (0..).zip(messages) {
            let header = mcap::records::MessageHeader { channel_id, sequence, log_time: 5, publish_time: 5 };
            out.write_to_known_channel(&header, data).unwrap();
        }
    }
    out.finish().unwrap();
    out.into_inner().into_inner()
}

fn reading(modality: Modality, value: i64) -> Vec<u8> {
    use prost::Message as _;
    larder_records::wire::encode_reading(modality, at(0), value).unwrap().encode_to_vec()
}

#[test]
fn files_of_other_producers_are_understood_by_topic_and_schema() {
    use larder_records::wire::{encode_compressed, encode_raw};
    use prost::Message as _;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("foreign.mcap");
    let jpeg = Image { encoding: ImageEncoding::Jpeg, data: Bytes::from_static(b"abc") };
    let raw = Image {
        encoding: ImageEncoding::Raw { width: 1, height: 1, step: 2, pixel: PixelFormat::Grey16 },
        data: Bytes::from_static(b"ab"),
    };
    let compressed = encode_compressed(at(0), "", &jpeg).unwrap().encode_to_vec();
    let uncompressed = encode_raw(at(0), "", &raw).unwrap().encode_to_vec();
    let channels = [
        ("/kitchen/fridge/door", "larder.v1.Reading", "protobuf", vec![reading(Modality::Door, 1)]),
        ("kitchen/fridge/camera", "foxglove.CompressedImage", "protobuf", vec![compressed]),
        ("/lone", "foxglove.RawImage", "protobuf", vec![uncompressed]),
        ("/x/y", "larder.v1.Reading", "json", vec![b"{}".to_vec()]),
        ("/x/z", "sensor_msgs/Imu", "protobuf", vec![vec![], vec![]]),
        ("/x/none", "", "protobuf", vec![vec![]]),
        ("/", "larder.v1.Reading", "protobuf", vec![reading(Modality::Door, 1)]),
    ];
    for options in [
        mcap::WriteOptions::new(),
        mcap::WriteOptions::new().compression(Some(mcap::Compression::Lz4)),
        mcap::WriteOptions::new().compression(None),
        mcap::WriteOptions::new().use_chunks(false),
        mcap::WriteOptions::new().emit_summary_records(false).emit_summary_offsets(false).calculate_chunk_crcs(false),
    ] {
        std::fs::write(&path, foreign(&channels, options)).unwrap();
        let entries = read_all(&path);
        assert_eq!(faults(&entries), [DeadReason::UnknownSchema; 5], "{entries:?}");
        let frames: Vec<_> = events(entries)
            .into_iter()
            .map(|event| match event {
                Event::Frame(frame) => (frame.appliance, frame.sensor, frame.modality),
                other => panic!("{other:?}"),
            })
            .collect();
        let fridge = ApplianceId::of("kitchen/fridge");
        assert_eq!(
            frames,
            [
                (fridge, SensorId::of("door"), Modality::Door),
                (fridge, SensorId::of("camera"), Modality::Visible),
                (ApplianceId::of("lone"), SensorId::of("lone"), Modality::Depth),
            ]
        );
    }
}

#[test]
fn a_correction_that_can_never_hold_is_a_dead_letter_where_it_stands_and_the_rest_is_read() {
    use larder_records::wire::{encode_time, v1};
    use prost::Message as _;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("corrections.mcap");
    let told = |id: &str, change| {
        let (id, timestamp) = (id.to_owned(), Some(encode_time(at(0))));
        v1::Correction { timestamp, id, change, ..v1::Correction::default() }.encode_to_vec()
    };
    use v1::correction::{Change as Wire, Merge};
    let merge = |sku: &str, into: &str| Some(Wire::Merge(Merge { sku: sku.to_owned(), into: into.to_owned() }));
    let messages = vec![
        told("1", merge("milk", "milk")),
        told("2", merge("milk", "oat milk")),
        told("", merge("milk", "oat milk")),
        told("3", None),
        told("4", merge("milk", "")),
        vec![0xff, 0xff],
        told("5", Some(Wire::Undo("2".to_owned()))),
    ];
    let channels = [("/corrections", "larder.v1.Correction", "protobuf", messages)];
    std::fs::write(&path, foreign(&channels, mcap::WriteOptions::new())).unwrap();
    let entries = read_all(&path);
    let malformed = DeadReason::Malformed;
    assert_eq!(faults(&entries), [DeadReason::BadValue, malformed, malformed, malformed, malformed]);
    let letter = entries[0].1.as_ref().unwrap_err();
    assert_eq!((&letter.position, letter.detail.contains("merged into itself")), (&entries[0].0, true), "{letter}");
    assert!(entries.windows(2).all(|pair| pair[0].0.offset < pair[1].0.offset), "each stands somewhere else");
    let kinds: Vec<_> = events(entries)
        .into_iter()
        .map(|event| match event {
            Event::Correction(correction) => correction.change.kind(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["merge", "undo"]);
}

#[test]
fn a_cut_recording_is_read_up_to_the_cut_and_says_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.mcap");
    let expected = write_sample(&path, 30_000);
    let whole = std::fs::read(&path).unwrap();
    let mut most = 0;
    for cut in (0..whole.len()).step_by(whole.len() / 97).chain(whole.len() - 60..whole.len()) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let entries = read_all(&path);
        assert_eq!(faults(&entries), [DeadReason::Truncated], "cut at {cut}");
        assert!(entries.last().unwrap().1.is_err(), "the fault stands where the recording breaks off");
        let read = events(entries);
        assert_eq!(read, expected[..read.len()], "cut at {cut}");
        assert!(read.len() >= most, "a longer recording never yields less");
        most = read.len();
    }
    assert_eq!(most, expected.len(), "a cut in the summary loses no message");
}

#[test]
fn a_cut_in_a_chunk_keeps_the_messages_before_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.mcap");
    for compression in [None, Some(mcap::Compression::Zstd), Some(mcap::Compression::Lz4)] {
        let messages = (0..200_000).map(|i| reading(Modality::Weight, i64::from(i))).collect();
        let options = mcap::WriteOptions::new().compression(compression).chunk_size(None);
        let whole = foreign(&[("/a/scale", "larder.v1.Reading", "protobuf", messages)], options);
        std::fs::write(&path, &whole[..whole.len() / 4]).unwrap();
        let entries = read_all(&path);
        assert_eq!(faults(&entries), [DeadReason::Truncated]);
        assert!(entries.len() > 10_000, "{compression:?}: {}", entries.len());
    }
}

#[test]
fn a_damaged_chunk_costs_that_chunk_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("damaged.mcap");
    let expected = write_sample(&path, 100_000);
    let whole = std::fs::read(&path).unwrap();
    let index = mcap::Summary::read(&whole).unwrap().unwrap().chunk_indexes;
    assert!(index.len() >= 3);
    for chunk in [&index[0], &index[1]] {
        // In its data; in its stated length; in the stated size.
        for byte in [chunk.chunk_length / 2, 3, 9 + 8 + 8 + 1] {
            let mut bytes = whole.clone();
            bytes[usize::try_from(chunk.chunk_start_offset + byte).unwrap()] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            let entries = read_all(&path);
            let faulty: Vec<_> = entries.iter().filter_map(|(_, entry)| entry.as_ref().err()).collect();
            assert_eq!(faulty.len(), 1, "{faulty:?}");
            assert_eq!(faulty[0].position.offset, chunk.chunk_start_offset);
            assert_eq!(faulty[0].reason, DeadReason::Truncated);
            let read = events(entries);
            let lost = expected.len() - read.len();
            let first = if chunk.chunk_start_offset == index[0].chunk_start_offset {
                0
            } else {
                read.iter().zip(&expected).take_while(|(a, b)| a == b).count()
            };
            assert!(lost > 1000 && lost < expected.len() / 2);
            assert_eq!(read[first..], expected[first + lost..], "all others are read");
        }
    }
}

#[test]
fn a_message_that_is_wrong_is_told_and_the_next_is_read() {
    use larder_records::wire::v1;
    use prost::Message as _;
    let good = || v1::Reading {
        timestamp: Some(larder_records::wire::encode_time(at(0))),
        value: Some(v1::reading::Value::Grams(1.5)),
    };
    let with = |change: fn(&mut v1::Reading)| {
        let mut message = good();
        change(&mut message);
        message.encode_to_vec()
    };
    let messages = vec![
        with(|_| {}),
        with(|m| m.value = Some(v1::reading::Value::Grams(f64::NAN))),
        with(|m| m.value = Some(v1::reading::Value::Watts(f64::INFINITY))),
        with(|m| m.value = Some(v1::reading::Value::Grams(1e300))),
        with(|m| m.value = Some(v1::reading::Value::Grams(1_000_001.0))),
        with(|m| m.value = Some(v1::reading::Value::Celsius(-273.2))),
        with(|m| m.value = Some(v1::reading::Value::Watts(-1_000_001.0))),
        with(|m| m.value = None),
        with(|m| m.timestamp = None),
        with(|m| m.timestamp.as_mut().unwrap().seconds = -1),
        with(|m| m.timestamp.as_mut().unwrap().seconds = 253_402_300_800),
        with(|m| m.timestamp.as_mut().unwrap().seconds = i64::MIN),
        with(|m| m.timestamp.as_mut().unwrap().nanos = 1_000_000_000),
        with(|m| m.timestamp.as_mut().unwrap().nanos = -1),
        b"\xff\xff\xff".to_vec(),
        with(|_| {}),
    ];
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("wrong.mcap");
    let bytes = foreign(&[("/a/scale", "larder.v1.Reading", "protobuf", messages)], mcap::WriteOptions::new());
    std::fs::write(&path, bytes).unwrap();
    let entries = read_all(&path);
    use DeadReason::{BadTime, BadValue, Malformed};
    assert_eq!(
        faults(&entries),
        [
            BadValue, BadValue, BadValue, BadValue, BadValue, BadValue, Malformed, Malformed, BadTime, BadTime,
            BadTime, Malformed, Malformed, Malformed
        ]
    );
    assert!(entries.first().unwrap().1.is_ok() && entries.last().unwrap().1.is_ok());
}

#[test]
fn records_beyond_the_limits_are_passed_over() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("large.mcap");
    let large = vec![0; (64 << 20) + (64 << 10) + 1];
    let messages = vec![reading(Modality::Weight, 1), large, reading(Modality::Weight, 2)];
    for options in [mcap::WriteOptions::new().use_chunks(false), mcap::WriteOptions::new()] {
        let bytes = foreign(&[("/a/scale", "larder.v1.Reading", "protobuf", messages.clone())], options);
        std::fs::write(&path, bytes).unwrap();
        let entries = read_all(&path);
        assert_eq!(faults(&entries), [DeadReason::TooLarge]);
        assert_eq!(entries.len(), 3);
    }
}

#[test]
fn files_that_are_no_recording_yield_one_fault() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("no.mcap");
    for bytes in [&b""[..], b"\x89MCAP0\r\n", b"a text that is longer than any header of such a file would be"] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(faults(&read_all(&path)), [DeadReason::Truncated]);
    }
    assert!(Recording::open(folder.path().join("missing.mcap")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is changed, added and cut: no panic, an end, and no more entries than there are bytes.
    #[test]
    fn any_bytes_are_read_to_an_end(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        chunked in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("any.mcap");
        let messages = (0..50).map(|i| reading(Modality::Weight, i)).collect();
        let options = mcap::WriteOptions::new().use_chunks(chunked).chunk_size(Some(500)).compression_threads(0);
        let mut bytes = foreign(&[("/a/scale", "larder.v1.Reading", "protobuf", messages)], options);
        for (place, value) in &changes {
            let length = bytes.len();
            bytes[place.index(length)] ^= value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&path, &bytes).unwrap();
        let entries = read_all(&path);
        prop_assert!(entries.len() <= bytes.len() + 1);
        prop_assert!(entries.windows(2).all(|pair| pair[0].0.offset < pair[1].0.offset));
    }
}

#[test]
fn the_official_python_reader_sees_the_same() {
    let Some(python) = crate::python::python("mcap, mcap_protobuf") else { return };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sample.mcap");
    let expected = write_sample(&path, 20_000);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_recording.py");
    let output = std::process::Command::new(python).args([&script, &path]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["profile"], "larder");
    assert_eq!(seen["count"], expected.len());
    assert_eq!(seen["doors"], serde_json::json!([true]));
    let weights = expected.iter().filter_map(|event| match event {
        Event::Frame(frame) if frame.modality == Modality::Weight => Some(&frame.payload),
        _ => None,
    });
    let total: i64 = weights.map(|payload| if let Payload::Reading(value) = payload { *value } else { 0 }).sum();
    assert_eq!(seen["grams"], total);
    assert_eq!(seen["picture_bytes"], 7 + 16 + 16 + 16 + 7);
    assert_eq!(seen["skus"], serde_json::json!([["4000-1", 1030.5]]));
    assert_eq!(seen["seen"]["/houseA/fridge/scale larder.v1.Reading"], 20_000);
    assert_eq!(seen["seen"]["/houseA/fridge/declared larder.v1.DeclaredMovement"], 1);
    let metadata = serde_json::json!({"appliance": "houseA/fridge", "sensor": "scale", "modality": "weight"});
    assert_eq!(seen["metadata"]["/houseA/fridge/scale"], metadata);
}

#[test]
fn info_tells_what_is_in_a_recording() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sample.mcap");
    let expected = write_sample(&path, 50_000);
    let whole = info(&path).unwrap();
    assert_eq!((whole.messages, whole.truncated), (expected.len() as u64, false));
    assert!(whole.dead_letters.is_empty() && whole.first_dead_letters.is_empty());
    assert_eq!(whole.channels.iter().map(|channel| channel.messages).sum::<u64>(), whole.messages);
    let scale = whole.channels.iter().find(|channel| channel.topic == "/houseA/fridge/scale").unwrap();
    assert_eq!((scale.appliance.as_deref(), scale.sensor.as_deref()), (Some("houseA/fridge"), Some("scale")));
    assert_eq!(scale.span.as_ref().unwrap().0, "2020-09-13T12:26:40Z");
    assert_eq!(whole.compressions, BTreeMap::from([("zstd".to_owned(), whole.chunks)]));
    let text = whole.to_string();
    assert!(text.contains("/houseA/fridge/scale") && text.contains("larder.v1.Truth") && !text.contains("TRUNCATED"));
    serde_json::to_string(&whole).unwrap();

    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let half = info(&path).unwrap();
    assert!(half.truncated && half.messages < whole.messages);
    assert_eq!(half.dead_letters, BTreeMap::from([("truncated", 1)]));
    assert!(half.to_string().contains("TRUNCATED"));
}
