//! Vision by itself: as many processes as one likes, which come and go.

use std::{
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use larder::lake::Lake;
use larder_records::{
    ApplianceId, DeadLetter, DeadReason, Frame, Image, ImageEncoding, Modality, Names, Payload, SensorId, Time,
    wire::encode_frame,
};
use prost::Message as _;

use super::{kitchen, learn, replay, rig};

fn look_out(config: &Path) -> Child {
    let mut command = rig::larder(&["--quiet", "vision", "--config", rig::text(config)]);
    command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// Counts of a table's rows.
fn rows(lake: &Path, table: &str) -> u64 {
    let Ok(Ok(info)) = Lake::open(lake).map(|lake| lake.info()) else { return 0 };
    info.iter().find(|info| info.table == table).map_or(0, |info| info.rows)
}

/// A picture that is none, of an appliance of its own.
fn no_picture() -> Vec<u8> {
    let mut names = Names::default();
    let frame = Frame {
        appliance: ApplianceId(names.intern("fridge-1").unwrap()),
        sensor: SensorId(names.intern("top").unwrap()),
        modality: Modality::Visible,
        time: Time(1_767_571_200_000_000),
        sequence: 0,
        payload: Payload::Image(Image { encoding: ImageEncoding::Jpeg, data: b"\xff\xd8 no more".to_vec().into() }),
    };
    encode_frame(&frame, &names).unwrap().encode_to_vec()
}

/// Waits until `there` is.
fn wait(what: &str, there: impl Fn() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(300), "in five minutes there was no {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn vision_workers_that_are_killed_and_added_change_no_table() {
    let broker = rig::Broker::shared();
    let (kitchen, recordings) = kitchen();
    let at = |name: &str| kitchen.path().join(name);
    learn(&kitchen, &recordings);
    let (lake, catalogue, scenes) = (at("replayed"), at("catalogue"), at("scenes"));
    let [lake, catalogue, scenes] = [&lake, &catalogue, &scenes].map(|path| rig::text(path));
    replay(&recordings, &["--lake", lake, "--catalogue", catalogue, "--scenes", scenes]);
    let expected = rig::contents(&at("replayed"));
    assert!(expected.0.iter().any(|(view, rows, _)| view == "inventory" && *rows > 5), "{expected:?}");
    let frames = rows(&at("replayed"), "frames");
    assert!(frames > 50, "{frames} frames are too few to be killed among");

    broker.topic("cameras", 4);
    broker.topic("seen", 3);
    // what nobody can read comes first
    broker.produce("cameras", 2, &[Some(b"\xff\xff garbage"), Some(&no_picture())]);
    let lookout = "catalogue = \"catalogue\"\nscenes = \"scenes\"\n[epoch]\nevents = 64\n[kafka]\ngroup = \"lookouts\"\nsightings_topic = \"seen\"\n\
                   [kafka.properties]\n\"session.timeout.ms\" = 6000\n[kafka.topics]\ncameras = \"frames\"\n";
    let lookout = broker.config(kitchen.path(), "lookout", lookout);
    let run =
        "catalogue = \"catalogue\"\n[commit]\nmilliseconds = 200\n[kafka]\n[kafka.topics]\nseen = \"sightings\"\n";
    let run = broker.config(kitchen.path(), "lake", run);
    let (mut first, mut second) = (look_out(&lookout), look_out(&lookout));
    let mut analytics =
        rig::larder(&["--quiet", "run", "--config", rig::text(&run)]).stdout(Stdio::null()).spawn().unwrap();
    replay(&recordings, &["--to-kafka", &broker.address, "--topic", "cameras"]);
    wait("frame", || rows(&at("lake"), "frames") > frames / 10);
    rig::kill(first.id(), "-9");
    first.wait().unwrap();
    let killed_at = rows(&at("lake"), "frames");
    let mut third = look_out(&lookout);
    wait("end of the frames", || {
        rows(&at("lake"), "frames") == frames && rows(&at("lake"), "readings") == rows(&at("replayed"), "readings")
    });
    wait("dead letter", || rows(&at("lake"), "dead_letters") == 2);
    println!("{killed_at} of {frames} frames were in when a worker was killed");
    for child in [&mut second, &mut third] {
        rig::kill(child.id(), "-TERM");
        assert!(child.wait().unwrap().success());
    }
    rig::kill(analytics.id(), "-TERM");
    assert!(analytics.wait().unwrap().success());
    // all that the workers sent, twice or not, and the same again from the start
    let ran = rig::json(&["run", "--config", rig::text(&run), "--until-end", "--from", "earliest"]);
    println!("the topic anew: {ran}");

    let mut letters: Vec<DeadLetter> = Lake::open(&at("lake")).unwrap().read(&mut Names::default()).unwrap();
    letters.sort();
    let told: Vec<_> = letters.iter().map(|l| (&*l.position.source, l.position.offset, l.reason)).collect();
    assert_eq!(told, [("cameras/2", 0, DeadReason::Malformed), ("cameras/2", 1, DeadReason::BadImage)]);
    let (views, mut inputs) = rig::contents(&at("lake"));
    inputs.retain(|(table, _)| table != "dead_letters");
    assert_eq!((views, inputs), expected);
}

#[test]
fn what_another_vision_saw_is_a_dead_letter_and_is_not_mixed_in() {
    let broker = rig::Broker::shared();
    let (kitchen, recordings) = kitchen();
    let at = |name: &str| kitchen.path().join(name);
    broker.topic("raw", 1);
    broker.topic("one", 1);
    replay(&recordings[..1], &["--to-kafka", &broker.address, "--topic", "raw"]);
    let lookout = |name: &str, head: &str| {
        let keys =
            format!("{head}[kafka]\ngroup = \"{name}\"\nsightings_topic = \"one\"\n[kafka.topics]\nraw = \"frames\"\n");
        broker.config(kitchen.path(), name, &keys)
    };
    let run = broker.config(kitchen.path(), "lake", "[kafka.topics]\none = \"sightings\"\n");
    let take_in = || rig::json(&["run", "--config", rig::text(&run), "--until-end"]);
    let number = |ran: &serde_json::Value, what: &str| ran[what].as_u64().unwrap();
    let look = |config: &Path, frames: u64| {
        let mut child = look_out(config);
        wait("end of the topic", || broker.end("one", 0) == frames);
        rig::kill(child.id(), "-TERM");
        assert!(child.wait().unwrap().success());
    };
    let all = broker.end("raw", 0);
    look(&lookout("plain", ""), all);
    let first = take_in();
    assert!(number(&first, "frames") > 0 && number(&first, "dead_letters") == 0, "{first}");
    let before = rig::contents(&at("lake"));
    // with a catalogue, vision is another
    look(&lookout("other", "catalogue = \"catalogue\"\n"), 2 * all);
    let second = take_in();
    let (frames, letters) = (number(&second, "frames"), number(&second, "dead_letters"));
    assert_eq!((frames, letters), (0, number(&first, "frames")), "{second}");
    let letters: Vec<DeadLetter> = Lake::open(&at("lake")).unwrap().read(&mut Names::default()).unwrap();
    assert!(letters.iter().all(|letter| letter.reason == DeadReason::OtherVision));
    assert_eq!(rig::contents(&at("lake")).0, before.0);
}
