//! A broker that talks over TLS, and only to whom it knows.

use std::{path::Path, process::Stdio, thread, time::Duration};

use super::{
    frames, kitchen,
    poison::reading,
    replay,
    rig::{self, Broker},
    roles::{look_out, rows},
    roundtrip::captured,
    take_in,
    wait::wait,
};

/// An authority that signed nothing here.
const STRANGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/stranger.pem");

/// Properties that let `larder` in, by a mechanism and with a line that tells the password.
fn user(ca: &Path, mechanism: &str, password: &str) -> String {
    format!(
        "[kafka.properties]\n\"security.protocol\" = \"SASL_SSL\"\n\"ssl.ca.location\" = \"{}\"\n\"sasl.mechanism\" = \"{mechanism}\"\n\
         \"sasl.username\" = \"larder\"\n{password}\n",
        ca.display()
    )
}

/// Those of [`user`] with SCRAM and a file that holds the password.
fn scram(broker: &Broker, dir: &Path) -> String {
    std::fs::write(dir.join("password"), "s3cret\n").unwrap();
    user(&broker.tls().ca, "SCRAM-SHA-512", "\"sasl.password_file\" = \"password\"")
}

#[test]
fn a_kitchen_over_tls_gives_the_tables_of_its_recordings_whoever_sends_reads_and_records() {
    let broker = Broker::secure();
    let tls = broker.tls();
    let (kitchen, recordings) = kitchen();
    let at = |name: &str| kitchen.path().join(name);
    replay(&recordings, &["--lake", rig::text(&at("replayed"))]);
    let (expected, _) = rig::contents(&at("replayed"));
    for (topic, partitions) in [("guarded", 3), ("guarded-dead", 1), ("guarded-changes", 1)] {
        broker.topic(topic, partitions);
    }
    let config = |lake: &str, keys: &str, properties: &str| {
        Broker::config_at(&tls.sasl_ssl, kitchen.path(), lake, &format!("{keys}{}{properties}", frames("guarded")))
    };
    let keys = "[changes]\ntopic = \"guarded-changes\"\n[kafka]\ndead_letter_topic = \"guarded-dead\"\n";
    let live = config("live", keys, &scram(broker, kitchen.path()));
    replay(&recordings, &["--to-kafka", &tls.sasl_ssl, "--topic", "guarded", "--config", rig::text(&live)]);
    broker.produce("guarded", 0, &[Some(b"\xff\xfe garbage")]);

    let ran = take_in(&live);
    assert_eq!((rig::contents(&at("live")).0, ran["dead_letters"].as_u64()), (expected.clone(), Some(1)), "{ran}");
    assert_eq!(broker.values("guarded-dead", 1).len(), 1);
    let changes = broker.committed("guarded-changes", 1);
    assert!(changes.len() as u64 > ran["commits"].as_u64().unwrap(), "{ran}");

    // another mechanism, and the password from the environment
    let plain = config("plain", "", &user(&tls.ca, "PLAIN", "\"sasl.password\" = \"${LARDER_TEST_PASSWORD}\""));
    let mut command = rig::larder(&["run", "--config", rig::text(&plain), "--until-end"]);
    let ended = command.env("LARDER_TEST_PASSWORD", "s3cret").output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(rig::contents(&at("plain")).0, expected);

    // by the configuration, and without a user where the broker asks for none
    let ca = format!("ssl.ca.location={}", rig::text(&tls.ca));
    let unnamed = ["--brokers", &tls.ssl, "--property", "security.protocol=SSL", "--property", &ca];
    let records = [&["--config", rig::text(&live)][..], &unnamed[..]].map(|reach| {
        let file = at("captured.mcap");
        rig::done(&[&["record", "--topic", "guarded", "-o", rig::text(&file), "--until-end"], reach].concat());
        captured(&file)
    });
    assert_eq!(records[0].len() as u64, ran["events"].as_u64().unwrap());
    assert!(records[0] == records[1], "what was recorded is not the same");
}

#[test]
fn vision_workers_read_and_send_over_tls() {
    let broker = Broker::secure();
    let dir = tempfile::tempdir().unwrap();
    broker.topic("guarded-cameras", 1);
    broker.topic("guarded-seen", 1);
    let values: Vec<_> = (0..20).map(reading).collect();
    broker.produce_in_turn("guarded-cameras", 1, &values);
    let rest = format!(
        "group = \"guarded\"\nsightings_topic = \"guarded-seen\"\n{}{}",
        frames("guarded-cameras"),
        scram(broker, dir.path())
    );
    let worker = look_out(&Broker::config_at(&broker.tls().sasl_ssl, dir.path(), "vision", &rest));
    wait("record of sightings", || broker.end("guarded-seen", 0) == 20);
    worker.end();
}

#[test]
fn whom_brokers_do_not_let_in_ends_with_one_line_that_names_the_broker_and_the_key() {
    let broker = Broker::secure();
    let tls = broker.tls();
    let dir = tempfile::tempdir().unwrap();
    broker.topic("closed", 1);
    let (wrong, right) = ("\"sasl.password\" = \"wrong\"", "\"sasl.password\" = \"s3cret\"");
    let told = |address: &str, command: &[&str], patience: u32, properties: &str, key: &str| {
        let keys = format!("group = \"closed\"\nsightings_topic = \"seen\"\npatience_seconds = {patience}\n");
        let rest = format!("{keys}{}{properties}", frames("closed"));
        let config = Broker::config_at(address, dir.path(), "lake", &rest);
        let told = rig::refused(&[command, &["--config", rig::text(&config)]].concat());
        let named = told.starts_with(&format!("larder: kafka: {address}: ")) && told.contains(key);
        assert!(named && told.lines().count() == 1, "{command:?}: {told}");
    };
    let wrong = user(&tls.ca, "SCRAM-SHA-512", wrong);
    let (kitchen, recordings) = kitchen();
    let file = kitchen.path().join("none.mcap");
    let record = ["record", "--until-end", "-o", rig::text(&file)];
    let send = ["replay", rig::text(&recordings[0]), "--topic", "closed", "--to-kafka", &tls.sasl_ssl];
    for command in [&["run"][..], &["vision"], &record, &send] {
        told(&tls.sasl_ssl, command, 3600, &wrong, "sasl.password");
    }
    let unknown = user(Path::new(STRANGER), "SCRAM-SHA-512", right);
    told(&tls.sasl_ssl, &["run"], 3600, &unknown, "ssl.ca.location");
    told(&tls.sasl_ssl, &["run"], 3600, &user(&tls.ca, "SCRAM-SHA-256", right), "sasl.mechanism");
    // who speaks otherwise looks like one whose broker goes away
    for address in [&tls.sasl_ssl, &tls.ssl] {
        told(address, &["run"], 0, "", "security.protocol");
    }
    let (ca, ssl) = (tls.ca.display(), "[kafka.properties]\n\"security.protocol\" = \"SSL\"\n");
    told(&tls.sasl_ssl, &["run"], 0, &format!("{ssl}\"ssl.ca.location\" = \"{ca}\"\n"), "security.protocol");
    let missing = format!("{ssl}\"ssl.ca.location\" = \"none.pem\"\n");
    let config = Broker::config_at(&tls.ssl, dir.path(), "lake", &format!("{}{missing}", frames("closed")));
    let told = rig::refused(&["run", "--config", rig::text(&config)]);
    assert!(told.contains("ssl.ca.location") && told.lines().count() == 1, "{told}");
}

#[test]
fn a_broker_with_tls_that_is_gone_for_a_while_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start_secure(Some(&dir.path().join("broker")));
    broker.topic("away", 1);
    let values: Vec<_> = (0..20).map(reading).collect();
    broker.produce_in_turn("away", 1, &values[..10]);
    let keys = format!(
        "[commit]\nmilliseconds = 100\n[kafka]\npatience_seconds = 300\n{}{}",
        frames("away"),
        scram(&broker, dir.path())
    );
    let config = Broker::config_at(&broker.tls().sasl_ssl, dir.path(), "lake", &keys);
    broker.kill();
    let mut run = rig::larder(&["--quiet", "run", "--config", rig::text(&config)]);
    let run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_secs(7));
    broker.restart();
    let lake = dir.path().join("lake");
    wait("reading after the broker came", || rows(&lake, "readings") == 10);
    broker.kill();
    thread::sleep(Duration::from_secs(3));
    broker.restart();
    broker.produce_in_turn("away", 1, &values[10..]);
    wait("reading after the broker came back", || rows(&lake, "readings") == 20);
    rig::kill(run.id(), "-TERM");
    let ended = run.wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success() && told.contains("; trying on"), "{told}");
}
