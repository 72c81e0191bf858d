//! Pictures that lie in a bucket of a real S3 server.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use larder::{feeds::recording::Recording, lake::Lake};
use larder_records::{DeadLetter, DeadReason, Names, wire::v1};
use prost::Message as _;
use v1::frame::Payload;

use super::{
    frames, kitchen, learn,
    poison::reading,
    proxy::Proxy,
    python::python,
    rig::{self, Broker},
    roles::{Worker, rows},
    wait::wait,
};

/// An S3 server whose bucket `kitchens` holds what is in a folder.
struct Server {
    python: String,
    folder: PathBuf,
    /// Stands before it, so that it is not reached before all is there.
    proxy: Proxy,
    child: Child,
}

impl Server {
    /// None, which is said, where there is no moto.
    fn start(folder: &Path) -> Option<Self> {
        let python = python("boto3, moto.server")?;
        let proxy = Proxy::new();
        let child = Self::spawn(&python, folder, &proxy);
        Some(Self { python, folder: folder.to_owned(), proxy, child })
    }

    fn spawn(python: &str, folder: &Path, proxy: &Proxy) -> Child {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/s3_server.py");
        let mut command = Command::new(python);
        command.args([script, &port.to_string(), rig::text(folder)]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the S3 server did not start");
        proxy.forward(([127, 0, 0, 1], port).into());
        child
    }

    fn stop(&mut self) {
        self.proxy.cut();
        // it may have ended
        let _ = (self.child.kill(), self.child.wait());
    }

    fn start_again(&mut self) {
        self.child = Self::spawn(&self.python, &self.folder, &self.proxy);
        self.proxy.mend();
    }

    /// The command line, with what it needs to come here.
    fn larder(&self, arguments: &[&str]) -> Command {
        let mut command = rig::larder(arguments);
        command.env("AWS_ENDPOINT_URL", format!("http://{}", self.proxy.address)).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "larder").env("AWS_SECRET_ACCESS_KEY", "s3cret");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A frame of an appliance that names its picture.
fn naming(appliance: &str, second: i64, path: &str) -> Vec<u8> {
    let timestamp = Some(prost_types::Timestamp { seconds: 1_767_571_200 + second, nanos: 0 });
    let (path, format) = (path.to_owned(), "png".to_owned());
    let payload = Some(Payload::ImageReference(v1::ImageReference { timestamp, path, format }));
    let (appliance, sensor) = (appliance.to_owned(), "top".to_owned());
    v1::Frame { appliance, sensor, modality: 0, sequence: 0, payload }.encode_to_vec()
}

/// Frames of recordings, and the same with each picture put into `folder` and named in its place.
struct Frames {
    whole: Vec<Vec<u8>>,
    named: Vec<Vec<u8>>,
    pictures: usize,
    /// The bytes of the largest picture.
    largest: usize,
}

fn put_away(recordings: &[PathBuf], folder: &Path) -> Frames {
    let mut frames = Frames { whole: Vec::new(), named: Vec::new(), pictures: 0, largest: 0 };
    for recording in recordings {
        let (mut recording, mut names) = (Recording::open(recording).unwrap(), Names::default());
        while let Some(outgoing) = recording.next_outgoing(&mut names).unwrap() {
            let record = outgoing.unwrap().record;
            // what is no frame has a header that says so
            if !record.headers.is_empty() {
                continue;
            }
            let value = record.value.unwrap().to_vec();
            let mut frame = v1::Frame::decode(value.as_slice()).unwrap();
            frames.whole.push(value);
            frame.payload = frame.payload.map(|payload| match payload {
                Payload::CompressedImage(image) => {
                    let path = format!("day/{}", frames.pictures);
                    std::fs::create_dir_all(folder.join("day")).unwrap();
                    std::fs::write(folder.join(&path), &image.data).unwrap();
                    (frames.pictures, frames.largest) = (frames.pictures + 1, frames.largest.max(image.data.len()));
                    let (timestamp, format) = (image.timestamp, image.format);
                    Payload::ImageReference(v1::ImageReference { timestamp, path, format })
                }
                other => other,
            });
            frames.named.push(frame.encode_to_vec());
        }
    }
    frames
}

#[test]
fn pictures_in_a_bucket_give_the_tables_of_those_that_come_along_and_bad_ones_are_dead_letters() {
    let broker = Broker::shared();
    let (kitchen, recordings) = kitchen();
    let at = |name: &str| kitchen.path().join(name);
    learn(&kitchen, &recordings);
    let cameras = at("bucket/cameras");
    let Frames { whole, named, pictures, largest } = put_away(&recordings, &cameras);
    assert!(pictures > 50, "{pictures} pictures are too few");
    std::fs::write(cameras.join("large"), vec![7; largest + 1]).unwrap();
    std::fs::write(at("bucket/secret"), [7]).unwrap();
    let Some(server) = Server::start(&at("bucket")) else { return };

    // the same records, with their pictures in them
    for topic in ["bucketed", "whole"] {
        broker.topic(topic, 2);
    }
    broker.produce_in_turn("whole", 2, &[whole, vec![reading(7)]].concat());
    broker.produce_in_turn("bucketed", 2, &named);
    let ends = [0, 1].map(|partition| broker.end("bucketed", partition));
    let bad = ["missing", "large", "../secret", "day//0", "/secret", "secret\0", ""];
    for (path, second) in bad.iter().zip(0..) {
        broker.produce("bucketed", 1, &[Some(&naming("fridge-9", second, path))]);
    }
    broker.produce("bucketed", 1, &[Some(&reading(7))]);

    let head = "catalogue = \"catalogue\"\nscenes = \"scenes\"\n[kafka]\n";
    let whole = broker.config(kitchen.path(), "whole-lake", &format!("{head}{}", frames("whole")));
    rig::done(&["run", "--config", rig::text(&whole), "--until-end"]);
    let keys = format!("{head}pictures = \"s3://kitchens/cameras\"\npicture_limit = {largest}\n{}", frames("bucketed"));
    let config = broker.config(kitchen.path(), "lake", &keys);
    let ended = server.larder(&["--json", "run", "--config", rig::text(&config), "--until-end"]).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));

    let (expected, mut inputs) = rig::contents(&at("whole-lake"));
    assert!(expected.iter().any(|(view, rows, _)| view == "inventory" && *rows > 5), "{expected:?}");
    inputs.push(("dead_letters".to_owned(), bad.len() as u64));
    assert_eq!(rig::contents(&at("lake")), (expected, inputs));

    let lake = Lake::open(&at("lake")).unwrap();
    let mut letters: Vec<DeadLetter> = lake.read(&mut Names::default()).unwrap();
    letters.sort();
    let told: Vec<_> = letters.iter().map(|l| (&*l.position.source, l.position.offset - ends[1], l.reason)).collect();
    let reasons = [DeadReason::BadImage, DeadReason::TooLarge].into_iter().chain([DeadReason::Malformed; 5]);
    let expected: Vec<_> = (0..).zip(reasons).map(|(at, reason)| ("bucketed/1", at, reason)).collect();
    assert_eq!(told, expected, "{letters:?}");
    assert_eq!(letters[0].detail, "the picture \"missing\": there is no such object");

    // vision by itself sees the same
    broker.topic("bucketed-seen", 1);
    let keys = format!(
        "{head}group = \"bucketed\"\nsightings_topic = \"bucketed-seen\"\npictures = \"s3://kitchens/cameras\"\n\
         picture_limit = {largest}\n{}",
        frames("bucketed")
    );
    let vision = broker.config(kitchen.path(), "vision", &keys);
    let keys = "catalogue = \"catalogue\"\n[kafka]\n[kafka.topics]\nbucketed-seen = \"sightings\"\n";
    let analytics = broker.config(kitchen.path(), "lake-of-seen", keys);
    let workers = [("vision", &vision), ("run", &analytics)]
        .map(|(role, config)| Worker::of(server.larder(&["--quiet", role, "--config", rig::text(config)])));
    let (seen, all) = (at("lake-of-seen"), rig::contents(&at("lake")));
    let is_there = |(table, count): &(String, u64)| rows(&seen, table) == *count;
    wait("end of what vision saw of a bucket", || all.1.iter().all(is_there));
    workers.into_iter().for_each(Worker::end);
    assert_eq!(rig::contents(&seen), all);
}

#[test]
fn a_bucket_that_is_gone_for_a_while_holds_back_what_lies_there_and_makes_no_dead_letters() {
    let broker = Broker::shared();
    let dir = tempfile::tempdir().unwrap();
    let bucket = dir.path().join("bucket");
    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(64, 48).write_to(&mut picture, image::ImageFormat::Png).unwrap();
    for name in 0..30 {
        std::fs::create_dir_all(&bucket).unwrap();
        std::fs::write(bucket.join(format!("{name}.png")), picture.get_ref()).unwrap();
    }
    let Some(mut server) = Server::start(&bucket) else { return };
    broker.topic("awaited", 2);
    let name = |at: i64| naming("fridge-1", at, &format!("{at}.png"));
    let send = |partition, values: &[Vec<u8>]| {
        broker.produce("awaited", partition, &values.iter().map(|value| Some(value.as_slice())).collect::<Vec<_>>());
    };
    let keys = format!(
        "[commit]\nmilliseconds = 100\n[kafka]\npictures = \"s3://kitchens\"\npicture_limit = 1000000\n{}",
        frames("awaited")
    );
    let config = broker.config(dir.path(), "lake", &keys);
    let lake = dir.path().join("lake");
    let mut run = server.larder(&["--quiet", "run", "--config", rig::text(&config)]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    send(0, &(0..5).map(name).collect::<Vec<_>>());
    wait("picture of a bucket that is there", || rows(&lake, "frames") == 5);

    server.stop();
    send(0, &(5..30).map(name).collect::<Vec<_>>());
    send(0, &[reading(1)]);
    send(1, &(2..12).map(reading).collect::<Vec<_>>());
    // the other partition goes on; what stands behind a picture waits for it
    wait("reading while the bucket is gone", || rows(&lake, "readings") == 10);
    thread::sleep(Duration::from_secs(3));
    let held = Lake::open(&lake).unwrap();
    assert_eq!([0, 1].map(|at| held.covered(&format!("awaited/{at}")).unwrap()), [Some(5), Some(10)]);

    server.start_again();
    wait("picture after the bucket is back", || rows(&lake, "frames") == 30 && rows(&lake, "readings") == 11);
    rig::kill(run.id(), "-TERM");
    let mut told = String::new();
    run.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(run.wait().unwrap().success(), "{told}");
    assert!(told.contains("the pictures at s3://kitchens: ") && told.lines().count() == 1, "{told}");
    assert_eq!(rows(&lake, "dead_letters"), 0);
}

#[test]
fn a_run_until_the_end_waits_for_the_last_picture() {
    let broker = Broker::shared();
    let dir = tempfile::tempdir().unwrap();
    let bucket = dir.path().join("bucket");
    std::fs::create_dir(&bucket).unwrap();
    // one and a half seconds' worth
    std::fs::write(bucket.join("1.png"), vec![7; 300_000]).unwrap();
    let Some(server) = Server::start(&bucket) else { return };
    server.proxy.slow(true);
    broker.topic("slow", 1);
    broker.produce("slow", 0, &[Some(&naming("fridge-1", 0, "1.png"))]);
    let config = broker.config(dir.path(), "lake", &format!("pictures = \"s3://kitchens\"\n{}", frames("slow")));
    let ended = server.larder(&["--json", "run", "--config", rig::text(&config), "--until-end"]).output().unwrap();
    let ran: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    // it came, and is no picture
    assert_eq!(["events", "dead_letters"].map(|count| ran[count].as_u64().unwrap()), [1, 1], "{ran}");
}

#[test]
fn a_bucket_that_is_not_there_or_lets_nobody_in_ends_a_start_with_one_line_and_no_dead_letters() {
    let broker = Broker::shared();
    let dir = tempfile::tempdir().unwrap();
    let bucket = dir.path().join("bucket");
    // a reader whom this server does not know is told what is not there
    std::fs::create_dir_all(bucket.join("cameras")).unwrap();
    std::fs::write(bucket.join("cameras/.larder"), "").unwrap();
    let Some(mut server) = Server::start(&bucket) else { return };
    broker.topic("unreachable", 1);
    broker.produce("unreachable", 0, &[Some(&naming("fridge-1", 0, "1.png"))]);
    let run = |server: &Server, url: &str, variable: (&str, &str)| {
        let keys = format!("patience_seconds = 0\npictures = \"{url}\"\n{}", frames("unreachable"));
        let config = broker.config(dir.path(), "lake", &keys);
        let mut run = server.larder(&["run", "--config", rig::text(&config), "--until-end"]);
        let ended = run.env(variable.0, variable.1).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{told}");
        let named = told.starts_with(&format!("larder: kafka: the pictures at {url}: "));
        assert!(named && told.contains("look at kafka.pictures") && told.lines().count() == 1, "{told}");
    };
    run(&server, "s3://none/cameras", ("AWS_REGION", "us-east-1"));
    // a reader whom nobody knows
    run(&server, "s3://kitchens/cameras", ("AWS_SKIP_SIGNATURE", "true"));
    server.stop();
    run(&server, "s3://kitchens/cameras", ("AWS_REGION", "us-east-1"));
    assert_eq!(rows(&dir.path().join("lake"), "dead_letters"), 0);
}
