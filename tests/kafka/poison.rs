//! Records that cannot be taken in, and topics that cannot be read.

use larder::lake::Lake;
use larder_records::{
    ApplianceId, DeadLetter, DeadReason, Frame, Modality, Names, Payload, SensorId, Time, wire::encode_frame,
};
use prost::Message as _;

use super::{frames, rig, take_in};

/// A reading of a scale.
pub fn reading(second: i64) -> Vec<u8> {
    let mut names = Names::default();
    let frame = Frame {
        appliance: ApplianceId(names.intern("fridge-1").unwrap()),
        sensor: SensorId(names.intern("scale").unwrap()),
        modality: Modality::Weight,
        time: Time(1_800_000_000_000_000 + second * Time::SECOND),
        sequence: 0,
        payload: Payload::Reading(1_000 * second),
    };
    encode_frame(&frame, &names).unwrap().encode_to_vec()
}

fn readings(lake: &std::path::Path) -> u64 {
    let info = Lake::open(lake).unwrap().info().unwrap();
    info.iter().find(|table| table.table == "readings").map_or(0, |table| table.rows)
}

#[test]
fn a_poison_record_is_a_dead_letter_with_its_place_and_stops_nothing() {
    let broker = rig::Broker::shared();
    broker.topic("poisoned", 2);
    broker.topic("dead", 1);
    let good: Vec<_> = (0..20).map(reading).collect();
    let large = vec![0; 2_000];
    let mut bad_time = good[0].clone();
    bad_time.truncate(bad_time.len() - 3);
    let mut values: Vec<Option<&[u8]>> = good.iter().map(|value| Some(value.as_slice())).collect();
    values.insert(3, Some(b"\xff\xfe garbage"));
    values.insert(7, None);
    values.insert(11, Some(&large));
    values.push(Some(&bad_time));
    broker.produce("poisoned", 1, &values);

    let dir = tempfile::tempdir().unwrap();
    let keys = format!("record_limit = 1000\ndead_letter_topic = \"dead\"\n{}", frames("poisoned"));
    let config = broker.config(dir.path(), "lake", &keys);
    let ran = take_in(&config);
    assert_eq!(
        (ran["events"].as_u64(), ran["readings"].as_u64(), ran["dead_letters"].as_u64()),
        (Some(24), Some(20), Some(4))
    );
    // and nothing is told twice
    assert_eq!(take_in(&config)["dead_letters"], 0);
    let anew = rig::json(&["run", "--config", rig::text(&config), "--until-end", "--from", "0"]);
    assert_eq!((anew["events"].as_u64(), anew["dead_letters"].as_u64()), (Some(24), Some(0)));

    let lake = dir.path().join("lake");
    assert_eq!(readings(&lake), 20);
    let mut letters: Vec<DeadLetter> = Lake::open(&lake).unwrap().read(&mut Names::default()).unwrap();
    letters.sort();
    let told: Vec<_> = letters.iter().map(|l| (&*l.position.source, l.position.offset, l.reason)).collect();
    let malformed = DeadReason::Malformed;
    let at = |offset, reason| ("poisoned/1", offset, reason);
    assert_eq!(told, [at(3, malformed), at(7, malformed), at(11, DeadReason::TooLarge), at(23, malformed)]);

    let sent = broker.values("dead", 4);
    let sent: Vec<serde_json::Value> = sent.iter().map(|value| serde_json::from_slice(value).unwrap()).collect();
    for (letter, sent) in letters.iter().zip(&sent) {
        assert_eq!((&sent["topic"], &sent["partition"]), (&"poisoned".into(), &1.into()));
        assert_eq!(
            (&sent["offset"], &sent["reason"]),
            (&letter.position.offset.into(), &letter.reason.as_str().into())
        );
        assert_eq!(sent["detail"], *letter.detail);
    }
    assert_eq!(sent.len(), 4);
}

#[test]
fn what_retention_deleted_before_it_was_read_is_told_and_is_never_skipped_in_silence() {
    let broker = rig::Broker::shared();
    broker.topic("brief", 1);
    let values: Vec<_> = (0..30).map(reading).collect();
    let send = |values: &[Vec<u8>]| {
        broker.produce("brief", 0, &values.iter().map(|value| Some(value.as_slice())).collect::<Vec<_>>());
    };
    send(&values[..10]);
    let dir = tempfile::tempdir().unwrap();
    let config = broker.config(dir.path(), "lake", &frames("brief"));
    let run = ["run", "--config", rig::text(&config), "--until-end"];
    rig::done(&run);
    send(&values[10..]);
    // what is deleted is in the lake already: no harm
    broker.delete_before("brief", 0, 8);
    broker.delete_before("brief", 0, 15);
    let told = rig::refused(&run);
    assert!(told.contains("brief/0: offset 10 is gone") && told.contains("before 15"), "{told}");
    assert_eq!(readings(&dir.path().join("lake")), 10);
    rig::done(&[&run[..], &["--from", "earliest"]].concat());
    assert_eq!(readings(&dir.path().join("lake")), 25);
}

#[test]
fn a_topic_that_is_not_there_or_was_made_anew_is_told() {
    let broker = rig::Broker::shared();
    let dir = tempfile::tempdir().unwrap();
    let config = broker.config(dir.path(), "lake", &frames("missing"));
    let run = ["run", "--config", rig::text(&config), "--until-end"];
    let told = rig::refused(&run);
    assert!(told.contains("there is no topic \"missing\""), "{told}");
    broker.topic("missing", 1);
    let value = reading(1);
    broker.produce("missing", 0, &[Some(&value), Some(&value)]);
    rig::done(&run);
    broker.delete_topic("missing");
    broker.topic("missing", 1);
    let told = rig::refused(&run);
    assert!(told.contains("covers all before offset 2, but the topic ends at 0"), "{told}");
}

#[test]
fn a_reading_starts_at_the_time_that_is_asked_for() {
    let broker = rig::Broker::shared();
    broker.topic("timed", 1);
    let values: Vec<_> = (0..10).map(reading).collect();
    let dir = tempfile::tempdir().unwrap();
    let config = broker.config(dir.path(), "lake", &frames("timed"));
    broker.produce_at("timed", &values, 1_767_225_600_000);
    let run = ["run", "--config", rig::text(&config), "--until-end", "--from"];
    rig::done(&[&run[..], &["2026-01-01T00:00:06.5Z"]].concat());
    // records are a second apart, from midnight on
    assert_eq!(readings(&dir.path().join("lake")), 3);
    rig::done(&[&run[..], &["8"]].concat());
    assert_eq!(readings(&dir.path().join("lake")), 3);
    rig::done(&[&run[..], &["5"]].concat());
    assert_eq!(readings(&dir.path().join("lake")), 5);
}
