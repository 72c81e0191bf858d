//! From Kafka into committed views: rates, and CPU seconds a million records, of `larder run` beside a consumer that only counts,
//! on one machine with the broker.
//!
//! `cargo bench --bench kafka -- [READINGS] [PICTURES]` (by default 2,000,000 and 5,000); with `LARDER_PEERS_PYTHON` naming a Python
//! that has `pathway`, Pathway counts the same readings by appliance, and so does Kafka Streams where `tests/kafka/broker streams` has
//! fetched it. `cargo bench --bench kafka -- backlog [READINGS]` lets 10,000,000
//! readings wait, takes them in, and samples the memory of the process: `backlog.csv` and `backlog.svg` in the folder that
//! `LARDER_BENCH_OUT` names. `cargo bench --bench kafka -- soak [MINUTES] [READINGS A SECOND] [SEED]` (60, 100,000 and 1) sends without
//! pause, kills at random, and samples into `soak.csv` and `soak.svg` there.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../chart/mod.rs"]
mod chart;
#[path = "../disk/mod.rs"]
mod disk;
mod fill;
mod measure;
mod soak;

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use larder::service::resident_memory;
use measure::{Cost, cost_and_answer, cost_of_child, here};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

/// Partitions of each topic.
const PARTITIONS: i32 = 6;

/// A broker that ends with this process.
struct Broker {
    address: String,
    keeper: Child,
}

impl Broker {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/broker");
        let mut keeper = Command::new(script).arg("run").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { address: address.trim().to_owned(), keeper }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().unwrap();
    }
}

fn main() {
    let numbers: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |at: usize, default: u64| numbers.get(at).map_or(default, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start();
    if numbers.first().is_some_and(|word| word == "backlog") {
        return backlog(&broker, folder.path(), number(1, 10_000_000));
    }
    if numbers.first().is_some_and(|word| word == "soak") {
        return soak::soak(&broker, folder.path(), number(1, 60), number(2, 100_000), number(3, 1));
    }
    load(&broker, folder.path(), number(0, 2_000_000), number(1, 5_000));
}

/// A configuration that reads one topic into a lake of its own.
fn config(broker: &Broker, folder: &Path, topic: &str, carries: &str, more: &str) -> PathBuf {
    let path = folder.join(format!("{topic}.toml"));
    let brokers = &broker.address;
    let text = format!(
        "lake = \"{topic}\"\n[kafka]\nbrokers = \"{brokers}\"\n[kafka.topics]\n{topic} = \"{carries}\"\n{more}"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn larder(config: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(["--quiet", "--json", "run", "--until-end", "--config"]).arg(config).args(more).stdout(Stdio::null());
    command
}

/// Reads a whole topic and does nothing with it.
fn count(broker: &Broker, topic: &str) -> (u64, Cost) {
    let began = here();
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", &broker.address).set("group.id", "bench").set("enable.partition.eof", "true");
    settings.set("enable.auto.commit", "false").set("queued.max.messages.kbytes", "131072");
    // as ours: by default it waits a second whenever 100,000 records wait for it
    settings.set("queued.min.messages", "1000000").set("fetch.queue.backoff.ms", "20");
    let consumer: BaseConsumer = settings.create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    let (mut records, mut ended, mut bytes) = (0, 0, 0);
    while ended < PARTITIONS {
        match consumer.poll(Duration::from_secs(60)).unwrap() {
            Ok(record) => {
                records += 1;
                bytes += record.payload_len();
            }
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => panic!("{error}"),
        }
    }
    std::hint::black_box(bytes);
    drop(consumer);
    (records, here().since(&began))
}

/// The quicker of two counts: the first waits for what the broker still does with all that it was sent.
fn limit(broker: &Broker, topic: &str) -> (u64, Cost) {
    let (first, second) = (count(broker, topic), count(broker, topic));
    if first.1.wall < second.1.wall { first } else { second }
}

fn line(what: &str, records: u64, cost: Cost, beside: Option<Cost>) {
    let rate = |cost: Cost| records as f64 / cost.wall;
    let share = beside.map_or_else(String::new, |beside| format!("{:>5.0} %", 100.0 * rate(cost) / rate(beside)));
    let million = cost.cpu * 1e6 / records as f64;
    println!("{what:<58} {:>10.0}/s {million:>8.1} CPU s a million {share}", rate(cost));
}

fn load(broker: &Broker, folder: &Path, readings: u64, pictures: u64) {
    println!("records of {PARTITIONS} partitions; {} cores, the broker beside it", num_cores());
    fill::readings(&broker.address, "readings", PARTITIONS, readings);
    let (counted, bare) = limit(broker, "readings");
    assert_eq!(counted, readings);
    line("readings, only counted", readings, bare, None);
    let quick = config(broker, folder, "readings", "frames", "");
    line("readings into all views and the lake", readings, cost_of_child(larder(&quick, &[])), Some(bare));
    line("the same again, all known", readings, cost_of_child(larder(&quick, &["--from", "earliest"])), Some(bare));
    pathway(broker, readings, bare);
    streams(broker, folder, readings, bare);

    fill::seen(&broker.address, "seen", PARTITIONS, pictures * 20);
    let (counted, bare) = limit(broker, "seen");
    line("sightings of 20 objects and doors, only counted", counted, bare, None);
    let sightings = config(broker, folder, "seen", "sightings", "");
    line("the same into all views and the lake", counted, cost_of_child(larder(&sightings, &[])), Some(bare));

    fill::pictures(&broker.address, "pictures", PARTITIONS, pictures);
    let (counted, bare) = limit(broker, "pictures");
    line("pictures of 100 KiB, only counted", counted, bare, None);
    let large = config(broker, folder, "pictures", "frames", "");
    let seen = cost_of_child(larder(&large, &[]));
    line("the same, looked at for the first time", counted, seen, Some(bare));
    let again = cost_of_child(larder(&large, &["--from", "earliest"]));
    line("the same, remembered", counted, again, Some(bare));
}

fn num_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Has Pathway count the readings by appliance.
fn pathway(broker: &Broker, readings: u64, bare: Cost) {
    let Ok(python) = std::env::var("LARDER_PEERS_PYTHON") else {
        return println!("Pathway: skipped; set LARDER_PEERS_PYTHON to a Python that has it");
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/kafka/pathway_count.py");
    let mut command = Command::new(python);
    command.args([script, &broker.address, "readings"]);
    peer("Pathway, readings counted by appliance", &mut command, readings, bare);
}

/// Has Kafka Streams count them.
fn streams(broker: &Broker, folder: &Path, readings: u64, bare: Cost) {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache"))).unwrap();
    let lib = cache.join("larder/kafka/streams/lib");
    let (jars, classes) = (format!("{}/*", lib.display()), folder.join("classes"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/kafka/StreamsCount.java");
    let mut javac = Command::new("javac");
    javac.args(["-cp", &jars, "-d"]).arg(&classes).arg(source);
    let Some(Ok(compiled)) = lib.is_dir().then(|| javac.status()) else {
        return println!("Kafka Streams: skipped; tests/kafka/broker streams fetches it, and a JDK");
    };
    assert!(compiled.success());
    let mut command = Command::new("java");
    command.arg("-cp").arg(format!("{}:{jars}", classes.display()));
    command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error");
    command.args(["StreamsCount", &broker.address, "readings", &readings.to_string()]).arg(folder.join("streams"));
    let told = peer("Kafka Streams, readings counted by appliance", &mut command, readings, bare);
    if let Some([wall, cpu]) = told.as_deref() {
        line("the same, from its first record on", readings, Cost { wall: *wall, cpu: *cpu }, Some(bare));
    }
}

/// Has another count the readings by appliance; what it tells besides their number and that of the appliances. One that comes to
/// another count than was sent gets no rate.
fn peer(what: &str, command: &mut Command, readings: u64, bare: Cost) -> Option<Vec<f64>> {
    let (cost, answer) = cost_and_answer(command);
    let mut words = answer.split_whitespace();
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
    let (counted, appliances) = (number(), number());
    if (counted, appliances) != (Some(readings), Some(fill::appliances(readings))) {
        println!("{what}: WRONG, of {readings} readings of {} appliances: {answer}", fill::appliances(readings));
        return None;
    }
    line(what, readings, cost, Some(bare));
    words.map(|word| word.parse().ok()).collect()
}

/// Where samples go.
fn out() -> PathBuf {
    std::env::var_os("LARDER_BENCH_OUT").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Takes in a backlog and watches the memory.
fn backlog(broker: &Broker, folder: &Path, readings: u64) {
    fill::readings(&broker.address, "readings", PARTITIONS, readings);
    let config = config(broker, folder, "readings", "frames", "");
    let began = Instant::now();
    let before = measure::children();
    let mut child = larder(&config, &[]).spawn().unwrap();
    let mut samples = Vec::new();
    let status = loop {
        if let Some(bytes) = resident_memory(child.id()) {
            samples.push((began.elapsed().as_secs_f64(), bytes as f64 / 1_048_576.0));
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(status.success());
    let cost = Cost { wall: began.elapsed().as_secs_f64(), cpu: measure::children() - before };
    line("a backlog of readings", readings, cost, None);
    let out = out();
    measure::plot(&out, &samples);
    let peak = samples.iter().map(|(_, mib)| *mib).fold(0.0, f64::max);
    println!("{peak:.0} MiB at most; {}", out.join("backlog.svg").display());
}
