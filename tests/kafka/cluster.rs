//! Several processes share the dataflow.

use std::{
    io::Read as _,
    net::TcpListener,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{
    crashes::{RESTLESS, covered, number},
    frames, kitchen, replay, rig, take_in,
    wait::{PATIENCE, came},
};

/// Two processes of two threads each, at ports that nobody else has.
fn two_processes() -> String {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = listeners.map(|listener| format!("\"{}\"", listener.local_addr().unwrap()));
    format!("workers = 2\n[cluster]\nprocesses = [{}]\n", addresses.join(", "))
}

fn start(arguments: &[&str]) -> Child {
    rig::larder(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn analytics(config: &Path) -> Child {
    start(&["analytics", "--config", rig::text(config), "--process", "1"])
}

/// What a process says when it ends by itself, and that it failed.
fn failed(mut child: Child) -> String {
    assert!(came(PATIENCE, || child.try_wait().unwrap().is_some()), "it goes on without the other");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

/// Repeat it with other moments: `LARDER_KILLS=100 LARDER_SEED=7 cargo test --test kafka processes`.
#[test]
fn a_dataflow_of_two_processes_has_the_tables_of_one_whichever_of_them_is_killed() {
    let broker = rig::Broker::shared();
    let (kitchen, recordings) = kitchen();
    let at = |name: &str| kitchen.path().join(name);
    broker.topic("shared", 3);
    replay(&recordings, &["--to-kafka", &broker.address, "--topic", "shared"]);
    let all = take_in(&broker.config(kitchen.path(), "alone", &frames("shared")))["events"].as_u64().unwrap();
    let expected = rig::contents(&at("alone"));

    let (kills, seed) = (number("LARDER_KILLS", 4), number("LARDER_SEED", 1));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut lakes, mut kill) = (0, 0);
    while kill < kills {
        lakes += 1;
        let name = format!("shared-{lakes}");
        let keys = format!("{}{RESTLESS}{}", two_processes(), frames("shared"));
        let config = broker.config(kitchen.path(), &name, &keys);
        let mut so_far = 0;
        while kill < kills && so_far < all {
            let mut two = [start(&["--quiet", "run", "--config", rig::text(&config)]), analytics(&config)];
            let is_further = || covered(&at(&name), "shared", 3) != so_far;
            assert!(came(PATIENCE, is_further), "two processes take in nothing");
            std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
            two.rotate_left(kill as usize % 2);
            let [mut killed, other] = two;
            rig::kill(killed.id(), "-9");
            killed.wait().unwrap();
            let said = failed(other);
            assert!(said.starts_with("larder: another process of the dataflow is gone: "), "{said}");
            so_far = covered(&at(&name), "shared", 3);
            println!("seed {seed}, lake {lakes}: {so_far} of {all} covered");
            kill += 1;
        }
        let mut other = analytics(&config);
        take_in(&config);
        assert_eq!(rig::contents(&at(&name)), expected);
        // it waits for the next run
        assert!(other.try_wait().unwrap().is_none());
        rig::kill(other.id(), "-TERM");
        other.wait().unwrap();
    }
}

#[test]
fn a_process_that_no_cluster_has_is_refused() {
    let kitchen = tempfile::tempdir().unwrap();
    let config = kitchen.path().join("larder.toml");
    let text = format!("lake = \"lake\"\n{}[kafka]\nbrokers = \"127.0.0.1:1\"\n{}", two_processes(), frames("shared"));
    std::fs::write(&config, text).unwrap();
    for number in ["0", "2"] {
        let refused = rig::refused(&["analytics", "--config", rig::text(&config), "--process", number]);
        assert!(refused.contains(&format!("--process {number} is none of the other processes")), "{refused}");
    }
}
