//! Readings without pause, and SIGKILL at random: what grows?

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use larder::{lake::Lake, service::resident_memory};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{
    Broker, PARTITIONS,
    chart::{Series, chart},
    config,
    disk::on_disk,
    fill, out,
};

/// Where metrics are asked for.
const METRICS: &str = "127.0.0.1:19464";
/// Days of history in memory: the readings tell ten seconds in some ten milliseconds.
const MORE: &str = "[history]\ndays = 1\n[metrics]\naddress = \"127.0.0.1:19464\"\n";
const NAMES: [&str; 6] = [
    "resident memory, MiB",
    "records that wait in Kafka",
    "open files",
    "log, KiB",
    "data files and logs of the lake",
    "lake on the disk, MiB",
];

/// Sends `rate` readings a second for so many minutes, kills whoever takes them in, and samples it.
pub fn soak(broker: &Broker, folder: &Path, minutes: u64, rate: u64, seed: u64) {
    println!("soak: {minutes} minutes of {rate} readings a second, seed {seed}");
    let bounded = [("retention.bytes", "1000000000"), ("segment.bytes", "100000000")];
    let mut readings = fill::Readings::new(fill::Sender::new(&broker.address, "soak", PARTITIONS, &bounded));
    let config = config(broker, folder, "soak", "frames", MORE);
    let log = File::create(folder.join("log")).unwrap();
    // one program for all of it, whatever is built meanwhile
    let program = folder.join("larder");
    fs::copy(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
    let start = || -> Child {
        let mut command = Command::new(&program);
        command.args(["--quiet", "--json", "run", "--config"]).arg(&config).env("LARDER_LOG", "larder=info");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone().unwrap()).spawn().unwrap()
    };
    let (sent, stop, flushed) = (AtomicU64::new(0), AtomicBool::new(false), AtomicBool::new(false));
    let began = Instant::now();
    let mut samples: Vec<(f64, [f64; 6])> = Vec::new();
    let mut kills = 0;
    std::thread::scope(|scope| {
        let (sent, stop, flushed) = (&sent, &stop, &flushed);
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
                let now = due.saturating_sub(sent.load(Ordering::Relaxed));
                readings.send(now);
                sent.fetch_add(now, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
            readings.done();
            flushed.store(true, Ordering::Relaxed);
        });
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut child = start();
        let mut quiet = 0;
        let mut next = Duration::from_secs(random.random_range(30..180));
        loop {
            std::thread::sleep(Duration::from_secs(2));
            if began.elapsed() > Duration::from_secs(minutes * 60) {
                stop.store(true, Ordering::Relaxed);
            } else if began.elapsed() > next {
                child.kill().unwrap();
                child.wait().unwrap();
                child = start();
                kills += 1;
                next = began.elapsed() + Duration::from_secs(random.random_range(30..180));
            }
            if let Some(ended) = child.try_wait().unwrap() {
                stop.store(true, Ordering::Relaxed);
                panic!("it ended by itself: {ended}\n{}", fs::read_to_string(folder.join("log")).unwrap());
            }
            let lag = lag();
            let disk = on_disk(&folder.join("soak"));
            let open = fs::read_dir(format!("/proc/{}/fd", child.id())).map_or(0, Iterator::count);
            let memory = resident_memory(child.id()).unwrap_or_default();
            let told = log.metadata().unwrap().len();
            let waits = lag.or(samples.last().map(|(_, last)| last[1])).unwrap_or_default();
            let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
            let sample =
                [mib(memory), waits, open as f64, told as f64 / 1024.0, (disk.data + disk.log) as f64, mib(disk.bytes)];
            samples.push((began.elapsed().as_secs_f64(), sample));
            if samples.len().is_multiple_of(30) {
                write(&samples);
            }
            quiet = if flushed.load(Ordering::Relaxed) && lag == Some(0.0) { quiet + 1 } else { 0 };
            if quiet == 3 {
                // what was read last is committed within two seconds, or when it ends in good order
                let ended = Command::new("kill").arg(child.id().to_string()).status().unwrap();
                assert!(ended.success() && child.wait().unwrap().success());
                break;
            }
        }
    });
    write(&samples);
    let sent = sent.into_inner();
    let tables = Lake::open(&folder.join("soak")).unwrap().info().unwrap();
    let held = tables.iter().find(|table| table.table == "readings").unwrap().rows;
    println!("{sent} readings sent, {held} in the lake, {kills} kills, {:.0} s", began.elapsed().as_secs_f64());
    assert_eq!(sent, held, "nothing is lost, and nothing is there twice");
    for (n, name) in NAMES.iter().enumerate() {
        let most = |part: &[(f64, [f64; 6])]| part.iter().map(|(_, sample)| sample[n]).fold(0.0, f64::max);
        let (first, second) = samples.split_at(samples.len() / 2);
        println!("{name:<34} at most {:>10.0} in the first half, {:>10.0} in the second", most(first), most(second));
    }
}

/// The records that wait, as the metrics have them; none where nobody answers.
fn lag() -> Option<f64> {
    let mut stream = TcpStream::connect(METRICS).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let lines = answer.lines().filter(|line| line.starts_with("larder_kafka_lag{"));
    let values: Vec<f64> = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

fn write(samples: &[(f64, [f64; 6])]) {
    let mut csv = "seconds,memory_mib,lag,open_files,log_kib,files,disk_mib\n".to_owned();
    for (seconds, sample) in samples {
        let cells: Vec<String> = sample.iter().map(|value| format!("{value:.0}")).collect();
        csv += &format!("{seconds:.0},{}\n", cells.join(","));
    }
    fs::write(out().join("soak.csv"), csv).unwrap();
    let series = |n: usize| Series {
        name: NAMES[n],
        points: samples.iter().map(|(seconds, sample)| (*seconds, sample[n])).collect(),
    };
    let drawn: Vec<Series> = (0..NAMES.len()).map(series).collect();
    fs::write(out().join("soak.svg"), chart("seconds", &drawn)).unwrap();
}
