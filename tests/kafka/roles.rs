//! Vision by itself: as many processes as one likes, which come and go.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use larder::{
    feeds::{Event, Feed as _, recording::Recording},
    lake::Lake,
};
use larder_records::{
    ApplianceId, DeadLetter, DeadReason, Frame, Image, ImageEncoding, Modality, Names, Payload, SensorId, Time,
    wire::encode_frame,
};
use prost::Message as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::{
    crashes::number,
    kitchen, kitchen_over, learn, replay, rig, take_in,
    wait::{came, wait},
};

/// The configuration of workers of a group, with further keys and properties.
fn lookout(broker: &rig::Broker, kitchen: &TempDir, group: &str, topics: [&str; 2], keys: [&str; 2]) -> PathBuf {
    let ([from, to], [head, properties]) = (topics, keys);
    let text = format!(
        "catalogue = \"catalogue\"\nscenes = \"scenes\"\n{head}[kafka]\ngroup = \"{group}\"\nsightings_topic = \"{to}\"\n\
         [kafka.properties]\n{properties}[kafka.topics]\n{from} = \"frames\"\n"
    );
    broker.config(kitchen.path(), group, &text)
}

/// Few records between one word to the group and the next; and who is dead is missed soon.
const HASTY: [&str; 2] = ["[epoch]\nevents = 24\n", "\"session.timeout.ms\" = 2000\n\"heartbeat.interval.ms\" = 700\n"];

/// A worker, which ends with its test.
pub struct Worker(Child);

impl Worker {
    /// One that is started so.
    pub fn of(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap())
    }

    fn kill(mut self) {
        rig::kill(self.0.id(), "-9");
        assert!(!self.0.wait().unwrap().success(), "it ended before it was killed");
    }

    /// Ends it in good order.
    pub fn end(mut self) {
        rig::kill(self.0.id(), "-TERM");
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // one that has ended needs no more
        let _ = (self.0.kill(), self.0.wait());
    }
}

pub fn look_out(config: &Path) -> Worker {
    Worker::of(rig::larder(&["--quiet", "vision", "--config", rig::text(config)]))
}

/// Counts of a table's rows.
pub fn rows(lake: &Path, table: &str) -> u64 {
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
    let keys = ["[epoch]\nevents = 64\n", "\"session.timeout.ms\" = 6000\n"];
    let lookout = lookout(broker, &kitchen, "lookouts", ["cameras", "seen"], keys);
    let run =
        "catalogue = \"catalogue\"\n[commit]\nmilliseconds = 200\n[kafka]\n[kafka.topics]\nseen = \"sightings\"\n";
    let run = broker.config(kitchen.path(), "lake", run);
    let (first, second) = (look_out(&lookout), look_out(&lookout));
    let mut analytics =
        rig::larder(&["--quiet", "run", "--config", rig::text(&run)]).stdout(Stdio::null()).spawn().unwrap();
    replay(&recordings, &["--to-kafka", &broker.address, "--topic", "cameras"]);
    wait("frame", || rows(&at("lake"), "frames") > frames / 10);
    first.kill();
    let killed_at = rows(&at("lake"), "frames");
    let third = look_out(&lookout);
    wait("end of the frames", || {
        rows(&at("lake"), "frames") == frames && rows(&at("lake"), "readings") == rows(&at("replayed"), "readings")
    });
    wait("dead letter", || rows(&at("lake"), "dead_letters") == 2);
    println!("{killed_at} of {frames} frames were in when a worker was killed");
    second.end();
    third.end();
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

/// Partitions that workers share.
const SHARED: i32 = 6;

/// All pictures and doors of recordings, and a few of the other readings.
fn mostly_pictures(recordings: &[PathBuf]) -> Vec<Vec<u8>> {
    let (mut names, mut values, mut others) = (Names::default(), Vec::new(), 0_u64);
    for path in recordings {
        let mut recording = Recording::open(path).unwrap();
        while let Some((_, event)) = recording.next_entry(&mut names).unwrap() {
            let Ok(Event::Frame(frame)) = event else { continue };
            let kept = frame.modality.is_image() || frame.modality == Modality::Door;
            others += u64::from(!kept);
            if kept || others.is_multiple_of(200) {
                values.push(encode_frame(&frame, &names).unwrap().encode_to_vec());
            }
        }
    }
    values
}

/// Workers that share the partitions of a topic, and what comes of it.
struct Crew<'a> {
    broker: &'a rig::Broker,
    kitchen: &'a TempDir,
    group: String,
    config: PathBuf,
    sent: u64,
}

impl<'a> Crew<'a> {
    fn new(broker: &'a rig::Broker, kitchen: &'a TempDir, group: &str) -> Self {
        let (shared, seen) = (format!("shared-{group}"), format!("seen-{group}"));
        broker.topic(&shared, SHARED);
        broker.topic(&seen, 3);
        let config = lookout(broker, kitchen, group, [&shared, &seen], HASTY);
        Self { broker, kitchen, group: group.to_owned(), config, sent: 0 }
    }

    /// Sends records to the partitions in turn.
    fn send(&mut self, values: &[Vec<u8>]) {
        self.broker.produce_in_turn(&format!("shared-{}", self.group), SHARED, values);
        self.sent += values.len() as u64;
    }

    fn state(&self) -> String {
        self.broker.group_state(&self.group)
    }

    fn covered(&self) -> u64 {
        self.broker.group_covered(&self.group, &format!("shared-{}", self.group), SHARED)
    }

    /// One worker sees what is left. What the lake holds then.
    fn finish(&self) -> rig::Contents {
        let last = look_out(&self.config);
        wait("group that was told of all records", || self.covered() == self.sent);
        last.end();
        let group = &self.group;
        let run = format!("catalogue = \"catalogue\"\n[kafka]\n[kafka.topics]\nseen-{group} = \"sightings\"\n");
        let lake = format!("lake-{group}");
        let ran = take_in(&self.broker.config(self.kitchen.path(), &lake, &run));
        println!("{group}: of {} records came {}", self.sent, ran["events"]);
        rig::contents(&self.kitchen.path().join(lake))
    }
}

/// Repeat it with other moments: `LARDER_KILLS=100 LARDER_SEED=7 cargo test --test kafka rebalance`.
#[test]
fn workers_that_are_killed_in_the_midst_of_a_rebalance_lose_no_frame_and_add_none() {
    let broker = rig::Broker::shared();
    let (kitchen, recordings) = kitchen_over(2);
    learn(&kitchen, &recordings);
    let values = mostly_pictures(&recordings);
    let mut crew = Crew::new(broker, &kitchen, "undisturbed");
    crew.send(&values);
    let expected = crew.finish();
    let frames = rows(&kitchen.path().join("lake-undisturbed"), "frames");
    assert!(frames > 100, "{frames} frames are too few to be killed among");
    assert!(expected.0.iter().any(|(view, rows, _)| view == "inventory" && *rows > 5), "{expected:?}");

    let (kills, seed) = (number("LARDER_KILLS", 4), number("LARDER_SEED", 1));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut groups, mut killed) = (0, 0);
    while killed < kills {
        groups += 1;
        let mut crew = Crew::new(broker, &kitchen, &format!("group-{groups}"));
        let mut workers = vec![look_out(&crew.config), look_out(&crew.config)];
        let mut told = Vec::new();
        for values in values.chunks(values.len().div_ceil(4)) {
            if killed == kills {
                crew.send(values);
                continue;
            }
            wait("group at rest", || crew.state() == "Stable");
            workers.push(look_out(&crew.config));
            // one that was over between two looks is missed
            came(Duration::from_secs(5), || crew.state().ends_with("Rebalance"));
            crew.send(values);
            std::thread::sleep(Duration::from_millis(random.random_range(0..400)));
            let newest = workers.len() - 1;
            let which = if killed % 3 == 2 { newest } else { random.random_range(0..newest) };
            let state = crew.state();
            let before = crew.covered();
            workers.remove(which).kill();
            killed += 1;
            told.push((if which == newest { "new" } else { "old" }, state, before, crew.sent));
        }
        println!("seed {seed}: who was killed, what the group was at, what was covered, and sent: {told:?}");
        workers.into_iter().for_each(Worker::end);
        assert_eq!(crew.finish(), expected, "seed {seed}, {}", crew.group);
    }
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
        let child = look_out(config);
        wait("end of the topic", || broker.end("one", 0) == frames);
        child.end();
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
