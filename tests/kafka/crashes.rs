//! Whoever dies, and whenever: nothing is lost, nothing is there twice.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use larder::lake::Lake;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{
    frames, kitchen,
    proxy::Proxy,
    replay, rig, take_in,
    wait::{PATIENCE, came},
};

/// Commits as often as it can, so that whatever happens, happens in the midst of one.
pub const RESTLESS: &str =
    "[epoch]\nevents = 50\nmilliseconds = 5\n[commit]\nevents = 100\nmilliseconds = 20\n[kafka]\n";

/// What a number in the environment says, or else `default`.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

pub fn run(config: &Path) -> Child {
    let mut command = rig::larder(&["--quiet", "run", "--config", rig::text(config)]);
    command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// How much of the topic the lake covers.
pub fn covered(lake: &Path, topic: &str, partitions: i32) -> u64 {
    let Ok(lake) = Lake::open(lake) else { return 0 };
    (0..partitions).map(|partition| lake.covered(&format!("{topic}/{partition}")).unwrap().unwrap_or(0)).sum()
}

/// Repeat it with other moments: `LARDER_KILLS=100 LARDER_SEED=7 cargo test --test kafka killed`.
#[test]
fn a_run_that_is_killed_at_random_moments_ends_with_the_tables_of_one_that_was_not() {
    let broker = rig::Broker::shared();
    let (kitchen, recordings) = kitchen();
    let at = |name: &str| kitchen.path().join(name);
    broker.topic("killed", 3);
    replay(&recordings, &["--to-kafka", &broker.address, "--topic", "killed"]);
    let all = take_in(&broker.config(kitchen.path(), "undisturbed", &frames("killed")))["events"].as_u64().unwrap();
    let expected = rig::contents(&at("undisturbed"));

    let (kills, seed) = (number("LARDER_KILLS", 5), number("LARDER_SEED", 1));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut lakes, mut left) = (0, kills);
    while left > 0 {
        // one that has all is done with: the next is killed from its beginning on
        lakes += 1;
        let name = format!("killed-{lakes}");
        let config = broker.config(kitchen.path(), &name, &format!("{RESTLESS}{}", frames("killed")));
        let mut at_kills = Vec::new();
        while left > 0 && at_kills.last() != Some(&all) {
            let mut child = run(&config);
            // from before the lake is open to far into it
            std::thread::sleep(Duration::from_millis(random.random_range(100..2_500)));
            rig::kill(child.id(), "-9");
            assert!(!child.wait().unwrap().success(), "it ended before it was killed");
            at_kills.push(covered(&at(&name), "killed", 3));
            left -= 1;
        }
        println!("seed {seed}, lake {lakes}: covered of {all} after each kill: {at_kills:?}");
        assert!(at_kills.is_sorted(), "what was covered once is covered: {at_kills:?}");
        take_in(&config);
        assert_eq!(rig::contents(&at(&name)), expected);
    }
}

#[test]
fn a_broker_that_is_killed_and_comes_back_costs_nothing_but_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = rig::Broker::start(Some(folder.path()));
    let (kitchen, recordings) = kitchen();
    let at = |name: &str| kitchen.path().join(name);
    replay(&recordings, &["--lake", rig::text(&at("undisturbed"))]);
    let expected = rig::contents(&at("undisturbed"));
    broker.topic("kitchens", 3);
    let config = broker.config(kitchen.path(), "lake", &format!("{RESTLESS}{}", frames("kitchens")));
    let mut child = run(&config);
    let (first, rest) = recordings.split_at(1);
    replay(first, &["--to-kafka", &broker.address, "--topic", "kitchens"]);
    broker.kill();
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "it ended with the broker");
    broker.restart();
    replay(rest, &["--to-kafka", &broker.address, "--topic", "kitchens"]);
    // it is still the same process that takes in what came since
    let all = take_in(&broker.config(kitchen.path(), "count", &frames("kitchens")))["events"].as_u64().unwrap();
    assert!(came(2 * PATIENCE, || covered(&at("lake"), "kitchens", 3) >= all));
    rig::kill(child.id(), "-TERM");
    assert!(child.wait().unwrap().success(), "it did not end in good order");
    assert_eq!(covered(&at("lake"), "kitchens", 3), all);
    assert_eq!(rig::contents(&at("lake")), expected);
}

#[test]
fn a_connection_that_is_slowed_and_cut_costs_nothing_but_time() {
    let proxy = Proxy::new();
    let broker = rig::Broker::behind(&proxy);
    let (kitchen, recordings) = kitchen();
    let at = |name: &str| kitchen.path().join(name);
    replay(&recordings, &["--lake", rig::text(&at("undisturbed"))]);
    let expected = rig::contents(&at("undisturbed"));
    broker.topic("kitchens", 3);
    replay(&recordings, &["--to-kafka", &broker.address, "--topic", "kitchens"]);
    let all: u64 = (0..3).map(|partition| broker.end("kitchens", partition)).sum();
    let config = broker.config(kitchen.path(), "lake", &format!("{RESTLESS}memory_mib = 1\n{}", frames("kitchens")));
    let seed = number("LARDER_SEED", 1);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    proxy.slow(true);
    let mut child = run(&config);
    let mut at_cuts = Vec::new();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(random.random_range(500..3_000)));
        proxy.cut();
        std::thread::sleep(Duration::from_millis(random.random_range(50..1_500)));
        at_cuts.push(covered(&at("lake"), "kitchens", 3));
        proxy.mend();
    }
    proxy.slow(false);
    println!("seed {seed}: covered of {all} at each cut: {at_cuts:?}");
    let is_all_in = || {
        assert!(child.try_wait().unwrap().is_none(), "it ended with the connection");
        covered(&at("lake"), "kitchens", 3) >= all
    };
    assert!(came(2 * PATIENCE, is_all_in));
    rig::kill(child.id(), "-TERM");
    assert!(child.wait().unwrap().success(), "it did not end in good order");
    assert_eq!(rig::contents(&at("lake")), expected);
}

/// A file system of so many KiB; none where this process may not make one.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path, kib: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={kib}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "larder-test"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }

    fn resize(&self, kib: u64) {
        let size = format!("remount,size={kib}k");
        assert!(Command::new("mount").args(["-o", &size]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_ends_a_run_with_one_line_and_the_lake_is_whole_when_there_is_room_again() {
    let broker = rig::Broker::shared();
    let (kitchen, recordings) = kitchen();
    let at = |name: &str| kitchen.path().join(name);
    broker.topic("much", 3);
    replay(&recordings, &["--to-kafka", &broker.address, "--topic", "much"]);
    take_in(&broker.config(kitchen.path(), "undisturbed", &frames("much")));
    let expected = rig::contents(&at("undisturbed"));
    let small = at("disk");
    let Some(disk) = SmallDisk::mount(&small, 1_024) else {
        return println!("skipped: no file system can be mounted here");
    };
    let config = broker.config(kitchen.path(), "disk/lake", &format!("{RESTLESS}{}", frames("much")));
    // what is on the disk is the lake alone
    let (on_disk, config) = (config, at("full.toml"));
    std::fs::copy(&on_disk, &config).unwrap();
    std::fs::remove_file(&on_disk).unwrap();
    let mut each_time = Vec::new();
    for kib in [1_024, 1_536, 2_048] {
        disk.resize(kib);
        let told = rig::refused(&["--quiet", "run", "--config", rig::text(&config), "--until-end"]);
        assert!(told.lines().count() == 1 && told.contains("No space left") && told.contains("disk/lake"), "{told}");
        // what was covered before is there, and every table can be read
        rig::contents(&at("disk/lake"));
        each_time.push(covered(&at("disk/lake"), "much", 3));
    }
    println!("covered each time the disk was full: {each_time:?}");
    assert!(each_time.is_sorted() && each_time[2] > 0, "{each_time:?}");
    disk.resize(1 << 20);
    take_in(&config);
    assert_eq!(rig::contents(&at("disk/lake")), expected);
}
