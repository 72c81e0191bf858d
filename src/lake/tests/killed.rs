//! A writer that is killed at any moment.

use std::{
    env,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{
    keeping::{data_files, read_at},
    *,
};

/// Where the writer that is to be killed writes.
const FOLDER: &str = "LARDER_TEST_KILLED_LAKE";
/// So long a version can be read, in the lake that is written.
const RETENTION: Duration = Duration::from_millis(300);

/// What the views hold at an epoch: some rows change from each to the next.
fn visits(epoch: u64, names: &mut Names) -> Vec<Visit> {
    let visit = |n: u64, names: &mut Names| Visit {
        appliance: ApplianceId(names.intern(&format!("fridge-{n}")).unwrap()),
        sensor: SensorId(names.intern("door").unwrap()),
        opened: Time(((epoch + n) / 4) as i64 * 9 * Time::DAY),
        closed: None,
    };
    let mut rows: Vec<_> = (0..12).map(|n| visit(n, names)).collect();
    rows.sort();
    rows
}

fn stock(epoch: u64, names: &mut Names) -> Vec<Inventory> {
    let row = |n: u64, names: &mut Names| Inventory {
        appliance: ApplianceId(names.intern(&format!("fridge-{n}")).unwrap()),
        product: ProductId(names.intern("oat").unwrap()),
        count: ((epoch + n) / 6) as i64 + 1,
        since: Time(0),
        confidence: 7,
    };
    let mut rows: Vec<_> = (0..12).map(|n| row(n, names)).collect();
    rows.sort();
    rows
}

/// The changes that lead a table on from what it holds.
fn from<R: Row>(lake: &Lake, rows: Vec<R>) -> Vec<(R, isize)> {
    let held = read_sorted::<R>(lake).into_iter().map(|row| (row, -1));
    held.chain(rows.into_iter().map(|row| (row, 1))).collect()
}

#[test]
#[ignore = "another test starts it, and kills it"]
fn writes_until_it_is_killed() {
    let Some(dir) = env::var_os(FOLDER) else { return };
    let mut lake = Lake::open(Path::new(&dir)).unwrap();
    lake.keep_in_background().unwrap();
    let mut names = Names::default();
    let first = lake.last_epoch().map_or(0, |epoch| epoch + 1);
    for epoch in first.. {
        let (visits, stock) = (visits(epoch, &mut names), stock(epoch, &mut names));
        lake.apply(&names, epoch, from(&lake, visits)).unwrap();
        lake.apply(&names, epoch, from(&lake, stock)).unwrap();
        lake.show(epoch).unwrap();
        if epoch == first {
            lake.retain(RETENTION).unwrap();
        }
        if epoch % 5 == 0 {
            lake.vacuum(None, false).unwrap();
        }
    }
}

/// The newest version that the log of a table has.
fn newest_version(dir: &Path, table: &str) -> u64 {
    let Ok(log) = crate::lake::log::Log::of(&dir.join(table)) else { return 0 };
    log.commits.keys().next_back().copied().unwrap_or_default()
}

#[test]
fn a_lake_whose_writer_is_killed_at_any_moment_is_whole_and_goes_on() {
    let dir = folder();
    let mut last = None;
    for (round, wait) in [3_u64, 11, 7, 23, 16, 5, 19, 2].into_iter().enumerate() {
        let mut writer = Command::new(env::current_exe().unwrap())
            .args(["lake::tests::killed::writes_until_it_is_killed", "--exact", "--ignored"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let begun = newest_version(dir.path(), "inventory");
        while newest_version(dir.path(), "inventory") < begun + 10 + wait {
            assert!(writer.try_wait().unwrap().is_none(), "the writer failed in round {round}");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(wait));
        writer.kill().unwrap();
        writer.wait().unwrap();

        let lake = Lake::open(dir.path()).unwrap();
        let mut names = Names::default();
        let epochs = ["visits", "inventory", "epochs"].map(|table| lake.epoch(table).unwrap());
        assert!(epochs[0] >= epochs[1] && epochs[1] >= epochs[2] && epochs[2] + 1 >= epochs[0], "{epochs:?}");
        assert_eq!(read_sorted::<Visit>(&lake), visits(epochs[0], &mut names));
        assert_eq!(read_sorted::<Inventory>(&lake), stock(epochs[1], &mut names));
        let told = read_sorted::<Shown>(&lake).pop().unwrap();
        assert_eq!(told.epoch, epochs[2]);
        let version = |name: &str| told.tables.iter().find(|of| of.table == name).unwrap().version;
        assert_eq!(read_at::<Visit>(&lake, version("visits")), visits(told.epoch, &mut names));
        assert_eq!(read_at::<Inventory>(&lake, version("inventory")), stock(told.epoch, &mut names));
        assert!(last < Some(told.epoch), "it goes on");
        last = Some(told.epoch);
    }
    // what the killed left is gone once it is older than the retention
    thread::sleep(RETENTION);
    let lake = Lake::open(dir.path()).unwrap();
    lake.vacuum(None, false).unwrap();
    for table in ["visits", "inventory"] {
        let live = lake.tables.get(table).unwrap().live(lake.engine()).unwrap();
        let live: BTreeSet<_> = live.files.into_iter().map(|file| file.path).collect();
        assert_eq!(data_files(&dir.path().join(table)), live, "{table}");
    }
}
