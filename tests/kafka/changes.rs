//! What changed in the views, as others read it from Kafka.

use std::{collections::BTreeMap, path::Path, time::Duration};

use larder::lake::{Lake, Row, in_words};
use larder_records::{Names, views::*};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::{
    crashes::{RESTLESS, number, run},
    frames, kitchen, learn, replay, rig, take_in,
};

/// A row: its columns, numbers as they are whatever digits they are written with.
type Columns = BTreeMap<String, String>;

fn cell(text: &str) -> String {
    text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| number.to_string())
}

/// How often each row of a view is there.
fn held<R: Row>(lake: &Lake, into: &mut BTreeMap<(String, Columns), i64>) {
    let mut names = Names::default();
    let rows: Vec<R> = lake.read(&mut names).unwrap();
    for row in in_words(&rows, &names).unwrap() {
        let row = row.into_iter().map(|(column, text)| (column, cell(&text))).collect();
        *into.entry((R::TABLE.name.to_owned(), row)).or_default() += 1;
    }
}

fn tables(lake: &Path) -> BTreeMap<(String, Columns), i64> {
    let (lake, mut all) = (Lake::open(lake).unwrap(), BTreeMap::new());
    held::<Visit>(&lake, &mut all);
    held::<Movement>(&lake, &mut all);
    held::<Inventory>(&lake, &mut all);
    held::<InventoryInterval>(&lake, &mut all);
    held::<FoodState>(&lake, &mut all);
    held::<Behaviour>(&lake, &mut all);
    held::<ProductBehaviour>(&lake, &mut all);
    held::<PairBehaviour>(&lake, &mut all);
    held::<Market>(&lake, &mut all);
    held::<MarketPair>(&lake, &mut all);
    held::<ReviewItem>(&lake, &mut all);
    all
}

#[test]
fn changes_add_up_to_the_tables_and_no_epoch_is_lost_or_sent_twice_whenever_it_is_killed() {
    let broker = rig::Broker::shared();
    let (kitchen, recordings) = kitchen();
    let lake = kitchen.path().join("lake");
    ["changed", "changes", "actions"].into_iter().for_each(|topic| broker.topic(topic, 3));
    replay(&recordings, &["--to-kafka", &broker.address, "--topic", "changed"]);
    learn(&kitchen, &recordings);
    let head = format!(
        "catalogue = \"catalogue\"\nscenes = \"scenes\"\n[changes]\ntopic = \"changes\"\nactions_topic = \"actions\"\n{RESTLESS}"
    );
    let config = broker.config(kitchen.path(), "lake", &format!("{head}{}", frames("changed")));
    let (kills, seed) = (number("LARDER_KILLS", 5), number("LARDER_SEED", 1));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..kills {
        let mut child = run(&config);
        std::thread::sleep(Duration::from_millis(random.random_range(300..3_000)));
        rig::kill(child.id(), "-9");
        assert!(!child.wait().unwrap().success(), "it ended before it was killed");
    }
    take_in(&config);

    let sent = broker.committed("changes", 3);
    let (ends, changes): (Vec<_>, Vec<_>) = sent.into_iter().partition(|(key, _)| key == "#epoch");
    let ends: Vec<(u64, u64)> =
        ends.iter().map(|(_, end)| (end["epoch"].as_u64().unwrap(), end["changes"].as_u64().unwrap())).collect();
    assert!(ends.len() > 5 && ends.is_sorted_by(|a, b| a.0 < b.0), "{ends:?}");
    let mut of_epoch: BTreeMap<u64, u64> = BTreeMap::new();
    let mut rows: BTreeMap<(String, Columns), i64> = BTreeMap::new();
    for (key, change) in &changes {
        *of_epoch.entry(change["epoch"].as_u64().unwrap()).or_default() += 1;
        let row: Columns = change["row"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(column, value)| (column.clone(), cell(value.as_str().unwrap_or(&value.to_string()))))
            .collect();
        assert_eq!(
            *key,
            ["appliance", "household", "region"].iter().find_map(|owner| row.get(*owner)).cloned().unwrap_or_default()
        );
        let view = change["view"].as_str().unwrap().to_owned();
        *rows.entry((view, row)).or_default() += if change["change"] == "insert" { 1 } else { -1 };
    }
    rows.retain(|_, times| *times != 0);
    assert_eq!(of_epoch.into_iter().collect::<Vec<_>>(), ends, "an epoch's end tells how many changes it has");
    let expected = tables(&lake);
    assert!(expected.len() > 100, "{} rows are too few to tell", expected.len());
    assert!(rows == expected, "the changes do not add up to the tables");
    println!("seed {seed}: {} epochs with {} changes add up to {} rows", ends.len(), changes.len(), expected.len());

    // what is to be done now is what was told last
    let mut told: BTreeMap<(String, String), Value> = BTreeMap::new();
    for (_, action) in broker.committed("actions", 3) {
        let food = |column: &str| action[column].as_str().unwrap().to_owned();
        let was = told.insert((food("appliance"), food("sku")), action["advice"].clone());
        let was = was.filter(|was| *was != "gone").unwrap_or_else(|| "keep".into());
        assert_eq!(was, action["was"], "{action}");
    }
    told.retain(|_, advice| *advice != "keep" && *advice != "gone");
    let mut names = Names::default();
    let foods: Vec<FoodState> = Lake::open(&lake).unwrap().read(&mut names).unwrap();
    let due = in_words(&foods, &names).unwrap().into_iter().map(|row| row.into_iter().collect::<Columns>());
    let due: BTreeMap<(String, String), Value> = due
        .filter(|row| row["advice"] != "keep")
        .map(|row| ((row["appliance"].clone(), row["sku"].clone()), row["advice"].clone().into()))
        .collect();
    assert_eq!(told, due);
}
