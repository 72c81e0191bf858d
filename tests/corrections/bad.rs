//! Corrections that cannot hold, very many at once.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use larder::{engine::Engine, feeds::Event, lake::Lake};
use larder_records::{
    Appliance, ApplianceId, Correction, DeclaredMovement, HouseholdId, Name, Names, Position, Product, ProductId,
    Reason, Time,
};
use serde_json::Value;

use super::digests;

/// A lake of two products, one of which somebody bought.
fn lake(at: &Path) {
    let mut engine = Engine::open_blind(Lake::open(at).unwrap(), Names::default(), 1).unwrap();
    let mut name = |text: &str| engine.names().intern(text).unwrap();
    let [oat, rye, fridge, id] = ["oat", "rye", "fridge", "receipt"].map(&mut name);
    let product = |id| Product {
        id: ProductId(id),
        as_of: Time(0),
        name: Name::default(),
        category: Name::default(),
        brand: Name::default(),
        package_mg: 0,
        shelf_life_days: 0,
    };
    let home = Appliance::new(ApplianceId(fridge), HouseholdId(fridge), Name::default());
    let bought = DeclaredMovement {
        appliance: ApplianceId(fridge),
        time: Time(Time::DAY),
        id,
        source: Name::default(),
        product: ProductId(oat),
        quantity: 2,
        group: Name::default(),
        reason: Reason::Bought,
        cents: 0,
    };
    let position = || Position { source: "test".into(), offset: 0 };
    let events =
        [Event::Product(product(oat)), Event::Product(product(rye)), Event::Appliance(home), Event::Declared(bought)];
    for event in events {
        engine.take((position(), Ok(event)));
    }
    engine.commit().unwrap();
}

/// The most memory that a process has had so far, in MiB.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}

/// Makes the corrections in `file`; the answers, by line, and what was told beside them, and the most memory in MiB.
fn correct(lake: &Path, file: &Path, answers: &Path) -> (BTreeMap<u64, Option<String>>, Value, u64) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_larder"))
        .args(["--json", "correct", "--lake", lake.to_str().unwrap(), "file", file.to_str().unwrap()])
        .stdout(File::create(answers).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut most = 0;
    let status = loop {
        most = most.max(memory(process.id()));
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(1), "some were refused");
    let mut told: Value = serde_json::from_reader(BufReader::new(File::open(answers).unwrap())).unwrap();
    let Value::Array(corrections) = told["corrections"].take() else { panic!("no answers") };
    let answer = |answer: Value| (answer["line"].as_u64().unwrap(), answer["refused"].as_str().map(str::to_owned));
    (corrections.into_iter().map(answer).collect(), told, most)
}

#[test]
fn a_million_bad_corrections_get_an_answer_each_and_change_nothing_beside_the_good_one_among_them() {
    const BAD: u64 = 1_000_000;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    lake(&at("lake"));
    lake(&at("beside"));
    let before = digests(at("lake").to_str().unwrap());
    assert!(before.iter().any(|(_, rows, _)| *rows > 0));

    let good = r#"{"id": "good", "time": "2026-01-03T00:00:00Z", "change": {"count": {"appliance": "fridge",
        "product": "oat", "at": "2026-01-02T00:00:00Z", "count": 1}}}"#
        .replace('\n', " ");
    let mut file = BufWriter::new(File::create(at("corrections")).unwrap());
    for n in 0..BAD {
        let time = "\"time\": \"2026-01-02T00:00:00Z\"";
        let change = match n % 5 {
            0 => format!("\"remove\": {{\"product\": \"nothing-{n}\"}}"),
            1 => format!("\"merge\": {{\"product\": \"rye\", \"into\": \"nothing-{n}\"}}"),
            2 => format!("\"undo\": {{\"correction\": \"nothing-{n}\"}}"),
            3 => format!("\"count\": {{\"appliance\": \"nowhere-{n}\", \"product\": \"oat\", \"at\": \"x\"}}"),
            _ => "\"merge\": {\"product\": \"oat\", \"into\": \"oat\"}".to_owned(),
        };
        writeln!(file, "{{\"author\": \"author-{n}\", {time}, \"change\": {{{change}}}}}").unwrap();
        if n == BAD / 2 {
            writeln!(file, "{good}").unwrap();
        }
    }
    file.into_inner().unwrap().sync_all().unwrap();

    let (answers, told, memory) = correct(&at("lake"), &at("corrections"), &at("answers"));
    println!("{memory} MiB at most");
    assert_eq!(answers.len() as u64, BAD + 1);
    assert!(answers.keys().copied().eq(1..=BAD + 1), "every line has its answer");
    let made: Vec<u64> = answers.iter().filter(|(_, refused)| refused.is_none()).map(|(line, _)| *line).collect();
    assert_eq!(made, [BAD / 2 + 2], "{:?}", answers[&(BAD / 2 + 2)]);
    for (line, wanted) in [(1, "nothing-0"), (2, "nothing-1"), (3, ""), (4, "x"), (5, "")] {
        let why = answers[&line].as_ref().unwrap();
        assert!(!why.is_empty() && why.contains(wanted), "line {line}: {why}");
    }
    assert_eq!(told["committed"], true);
    // many times less than what the file and its answers hold
    let bytes = fs::metadata(at("corrections")).unwrap().len() + fs::metadata(at("answers")).unwrap().len();
    assert!(memory < 200, "{memory} MiB for {} MiB of corrections and answers", bytes >> 20);

    // the same as the good one alone
    fs::write(at("alone"), good).unwrap();
    let alone = Command::new(env!("CARGO_BIN_EXE_larder"))
        .args(["correct", "--lake", at("beside").to_str().unwrap(), "file", at("alone").to_str().unwrap()])
        .output()
        .unwrap();
    assert!(alone.status.success(), "{alone:?}");
    let after = digests(at("lake").to_str().unwrap());
    assert_ne!(after, before);
    assert_eq!(after, digests(at("beside").to_str().unwrap()));
    let kept = Lake::open(&at("lake")).unwrap().read::<Correction>(&mut Names::default()).unwrap();
    assert_eq!(kept.len(), 1);

    // the corrections before the file's end are known, and nothing is made twice
    let again = BufReader::new(File::open(at("corrections")).unwrap()).lines().skip(BAD as usize / 2).take(3);
    let again: Vec<String> = again.map(|line| line.unwrap()).collect();
    fs::write(at("again"), again.join("\n")).unwrap();
    let (answers, told, _) = correct(&at("lake"), &at("again"), &at("answers again"));
    assert!(answers.values().all(Option::is_some), "{answers:?}");
    assert_eq!((&told["committed"], digests(at("lake").to_str().unwrap())), (&Value::Bool(false), after));
}
