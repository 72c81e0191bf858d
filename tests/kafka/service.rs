//! What a live run tells of itself, and how it ends.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
};

use larder::lake::Lake;

use super::{
    frames,
    poison::reading,
    rig,
    wait::{PATIENCE, came},
};

/// The status and body at a path.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: larder\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn a_run_tells_what_came_in_and_commits_it_when_it_is_told_to_end() {
    let broker = rig::Broker::shared();
    broker.topic("watched", 2);
    let values: Vec<_> = (0..50).map(reading).collect();
    let dir = tempfile::tempdir().unwrap();
    // nothing is committed before it ends
    let keys = format!(
        "[commit]\nmilliseconds = 3600000\n[metrics]\naddress = \"127.0.0.1:0\"\n[kafka]\n{}",
        frames("watched")
    );
    let config = broker.config(dir.path(), "lake", &keys);
    let mut child = rig::larder(&["run", "--config", rig::text(&config)]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let address = first.strip_prefix("metrics at http://").and_then(|rest| rest.strip_suffix("/metrics")).unwrap();
    assert_eq!(get(address, "/health").0, 200);
    assert!(came(PATIENCE, || get(address, "/ready").0 == 200));
    broker.produce("watched", 1, &values.iter().map(|value| Some(value.as_slice())).collect::<Vec<_>>());
    broker.produce("watched", 0, &[Some(b"?")]);
    let tells = |line: &str| get(address, "/metrics").1.lines().any(|found| found == line);
    assert!(came(PATIENCE, || tells("larder_events_total 51")), "{}", get(address, "/metrics").1);
    for line in [
        "larder_readings_total 50",
        "larder_dead_letters_total 1",
        "larder_kafka_lag{topic=\"watched\",partition=\"0\"} 0",
        "larder_kafka_lag{topic=\"watched\",partition=\"1\"} 0",
        "larder_commits_total 0",
    ] {
        assert!(came(PATIENCE, || tells(line)), "{line} is not in {}", get(address, "/metrics").1);
    }
    rig::kill(child.id(), "-TERM");
    assert!(child.wait().unwrap().success());
    let lake = Lake::open(&dir.path().join("lake")).unwrap();
    assert_eq!([0, 1].map(|partition| lake.covered(&format!("watched/{partition}")).unwrap()), [Some(1), Some(50)]);
}
