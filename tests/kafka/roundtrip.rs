//! What comes through Kafka, is recorded from it and played back to it, is the same.

use std::process::Command;

use larder::feeds::recording::Recording;
use larder_records::{
    Names,
    wire::{foxglove, v1},
};
use prost::Message as _;

use super::{frames, kitchen, poison::reading, python::python, replay, rig, take_in};

/// The records of a captured topic, without where they stood.
pub fn captured(path: &std::path::Path) -> Vec<v1::KafkaRecord> {
    let (mut recording, mut names, mut records) = (Recording::open(path).unwrap(), Names::default(), Vec::new());
    while let Some(outgoing) = recording.next_outgoing(&mut names).unwrap() {
        let record = outgoing.unwrap().record;
        records.push(v1::KafkaRecord { topic: String::new(), ..record });
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

#[test]
fn a_kitchen_through_kafka_gives_the_tables_of_its_recordings_and_so_does_its_capture() {
    let broker = rig::Broker::shared();
    let (kitchen, recordings) = kitchen();
    let at = |name: &str| kitchen.path().join(name);
    replay(&recordings, &["--lake", rig::text(&at("replayed"))]);
    let expected = rig::contents(&at("replayed"));
    assert!(expected.0.iter().any(|(view, rows, _)| view == "visits" && *rows > 0), "{expected:?}");

    broker.topic("kitchens", 3);
    replay(&recordings, &["--to-kafka", &broker.address, "--topic", "kitchens"]);
    let config = broker.config(kitchen.path(), "live", &frames("kitchens"));
    let ran = take_in(&config);
    assert_eq!(rig::contents(&at("live")), expected, "{ran}");
    // what is covered is not read again
    let again = take_in(&config);
    assert_eq!((again["events"].as_u64(), again["commits"].as_u64()), (Some(0), Some(1)), "{again}");
    // read anew, it changes nothing, nor where all but a day of history lies in the lake; and there is nothing to complain of
    let cold = format!("[history]\ndays = 1\n[kafka]\n{}", frames("kitchens"));
    for config in [config, broker.config(kitchen.path(), "live", &cold)] {
        let mut anew =
            rig::larder(&["--json", "run", "--config", rig::text(&config), "--until-end", "--from", "earliest"]);
        let anew = anew.output().unwrap();
        assert_eq!(String::from_utf8(anew.stderr).unwrap(), "");
        let anew: serde_json::Value = serde_json::from_slice(&anew.stdout).unwrap();
        assert_eq!(anew["events"], ran["events"]);
        assert_eq!(rig::contents(&at("live")), expected);
    }

    let (first, second) = (at("first.mcap"), at("second.mcap"));
    let record = |topic: &str, path: &std::path::Path| {
        let brokers = broker.address.as_str();
        rig::done(&["record", "--brokers", brokers, "--topic", topic, "-o", rig::text(path), "--until-end"]);
    };
    record("kitchens", &first);
    replay(std::slice::from_ref(&first), &["--lake", rig::text(&at("from-capture"))]);
    assert_eq!(rig::contents(&at("from-capture")), expected);

    broker.topic("again", 3);
    replay(std::slice::from_ref(&first), &["--to-kafka", &broker.address, "--topic", "again"]);
    record("again", &second);
    let (first, second) = (captured(&first), captured(&second));
    assert_eq!(first.len() as u64, ran["events"].as_u64().unwrap());
    assert!(first.iter().all(|record| record.timestamp_ms.is_some() && record.key.is_some()));
    assert!(first == second, "a record was not played back as it was");
    take_in(&broker.config(kitchen.path(), "played", &frames("again")));
    assert_eq!(rig::contents(&at("played")), expected);
}

#[test]
fn a_picture_that_a_record_only_names_is_the_same_as_one_that_comes_along() {
    use v1::frame::Payload;
    let broker = rig::Broker::shared();
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("pictures");
    std::fs::create_dir_all(pictures.join("top")).unwrap();
    let timestamp = Some(prost_types::Timestamp { seconds: 1_767_571_200, nanos: 0 });
    let mut data = std::io::Cursor::new(Vec::new());
    let pixels = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 3, y as u8 * 4, 9]));
    pixels.write_to(&mut data, image::ImageFormat::Png).unwrap();
    std::fs::write(pictures.join("top/1.png"), data.get_ref()).unwrap();
    let frame = |payload| {
        let (appliance, sensor) = ("fridge-1".to_owned(), "top".to_owned());
        v1::Frame { appliance, sensor, modality: 0, sequence: 0, payload: Some(payload) }.encode_to_vec()
    };
    let named = |path: &str| {
        let (path, format) = (path.to_owned(), "png".to_owned());
        frame(Payload::ImageReference(v1::ImageReference { timestamp, path, format }))
    };
    let (frame_id, format) = (String::new(), "png".to_owned());
    let data = data.into_inner().into();
    let whole = frame(Payload::CompressedImage(foxglove::CompressedImage { timestamp, frame_id, data, format }));
    broker.topic("named", 1);
    broker.produce("named", 0, &[Some(&named("top/1.png")), Some(&named("top/2.png")), Some(&whole)]);
    let config = |lake, keys: &str| broker.config(dir.path(), lake, &format!("{keys}{}", frames("named")));
    let ran = take_in(&config("lake", "pictures = \"pictures\"\n"));
    let counts = ["frames", "duplicates", "dead_letters"].map(|count| ran[count].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1], "{ran}");
    // without a folder, names are no pictures
    let ran = take_in(&config("blind", ""));
    assert_eq!(["frames", "dead_letters"].map(|count| ran[count].as_u64().unwrap()), [1, 2], "{ran}");
}

#[test]
fn records_that_kcat_sends_are_taken_in() {
    let Ok(version) = Command::new("kcat").arg("-V").output() else {
        return println!("skipped: kcat is not installed; tests/kafka/broker install installs it");
    };
    println!("{}", String::from_utf8_lossy(&version.stdout).trim());
    let broker = rig::Broker::shared();
    broker.topic("kcat", 2);
    let dir = tempfile::tempdir().unwrap();
    let send = |name: &str, value: &[u8], more: &[&str]| {
        let file = dir.path().join(name);
        std::fs::write(&file, value).unwrap();
        // a file is a record
        let command = ["-b", &broker.address, "-t", "kcat", "-P", "-k", "fridge-1", "-z", "lz4"];
        assert!(Command::new("kcat").args(command).args(more).arg(file).status().unwrap().success());
    };
    for second in 0..5 {
        send(&format!("{second}"), &reading(second), &[]);
    }
    let declared = v1::DeclaredMovement {
        timestamp: Some(prost_types::Timestamp { seconds: 1_767_571_200, nanos: 0 }),
        id: "till-1/7".to_owned(),
        sku: "milk-1l".to_owned(),
        quantity: 2,
        ..v1::DeclaredMovement::default()
    };
    send("declared", &declared.encode_to_vec(), &["-H", "schema=larder.v1.DeclaredMovement"]);
    let ran = take_in(&broker.config(dir.path(), "lake", &frames("kcat")));
    let counts = ["readings", "declared", "dead_letters"].map(|count| ran[count].as_u64().unwrap());
    assert_eq!(counts, [5, 1, 0], "{ran}");
}

#[test]
fn frames_from_a_python_producer_are_taken_in() {
    let Some(python) = python("confluent_kafka, google.protobuf, grpc_tools") else { return };
    let broker = rig::Broker::shared();
    broker.topic("python", 2);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/produce.py");
    let sent = Command::new(python).args([example, &broker.address, "python"]).output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let dir = tempfile::tempdir().unwrap();
    let ran = take_in(&broker.config(dir.path(), "lake", &frames("python")));
    let (views, inputs) = rig::contents(&dir.path().join("lake"));
    assert_eq!((ran["events"].as_u64(), ran["dead_letters"].as_u64()), (Some(6), Some(0)), "{ran}");
    assert_eq!(inputs, [("readings".to_owned(), 4), ("declared".to_owned(), 1), ("products".to_owned(), 1)]);
    let rows = |view: &str| views.iter().find(|(name, ..)| name == view).unwrap().1;
    assert_eq!((rows("visits"), rows("inventory")), (1, 1));
}
