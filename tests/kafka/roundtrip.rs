//! What comes through Kafka, is recorded from it and played back to it, is the same.

use larder::feeds::recording::Recording;
use larder_records::{Names, wire::v1};

use super::{frames, kitchen, python::python, replay, rig, take_in};

/// The records of a captured topic, without where they stood.
fn captured(path: &std::path::Path) -> Vec<v1::KafkaRecord> {
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
    // read anew, it changes nothing
    let anew = rig::json(&["run", "--config", rig::text(&config), "--until-end", "--from", "earliest"]);
    assert_eq!(anew["events"], ran["events"]);
    assert_eq!(rig::contents(&at("live")), expected);

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
fn frames_from_a_python_producer_are_taken_in() {
    let Some(python) = python("confluent_kafka, google.protobuf, grpc_tools") else { return };
    let broker = rig::Broker::shared();
    broker.topic("python", 2);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/produce.py");
    let sent = std::process::Command::new(python).args([example, &broker.address, "python"]).output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let dir = tempfile::tempdir().unwrap();
    let ran = take_in(&broker.config(dir.path(), "lake", &frames("python")));
    let (views, inputs) = rig::contents(&dir.path().join("lake"));
    assert_eq!((ran["events"].as_u64(), ran["dead_letters"].as_u64()), (Some(6), Some(0)), "{ran}");
    assert_eq!(inputs, [("readings".to_owned(), 4), ("declared".to_owned(), 1), ("products".to_owned(), 1)]);
    let rows = |view: &str| views.iter().find(|(name, ..)| name == view).unwrap().1;
    assert_eq!((rows("visits"), rows("inventory")), (1, 1));
}
