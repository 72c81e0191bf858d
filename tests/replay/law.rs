//! The law: the same input gives the same tables, however it comes.

use larder::engine::{Plan, Shuffle};
use larder_records::Time;

use super::{digests, kitchen, run};

#[test]
fn order_batches_and_workers_do_not_show_in_any_table() {
    let (kitchen, recordings) = kitchen(2, 3);
    let at = |name: &str| kitchen.path().join(name);
    let whole = Plan { batch: 1_000, ..Plan::default() };
    let counts = run(&recordings, &at("lake"), Some(kitchen.path()), 1, whole);
    assert!(counts.frames > 0 && counts.sightings > 0 && counts.readings > 0, "{counts:?}");
    assert!(counts.duplicates > 0, "the simulated scale sends some readings twice");
    let expected = digests(&at("lake"));
    for view in ["visits", "movements", "inventory", "behaviour"] {
        let rows = expected.iter().find(|(name, ..)| name == view).unwrap().1;
        assert!(rows > 0, "{view} is empty: the comparison would say nothing");
    }

    let shuffled = Plan { shuffle: Some(Shuffle { span: Time::HOUR, seed: 3 }), ..whole };
    let small = Plan { batch: 25, commit_every: 20_000, ..whole };
    for (name, workers, plan) in [
        ("two workers", 2, whole),
        ("small batches and many commits", 1, small),
        ("shuffled by up to an hour, two workers", 2, shuffled),
    ] {
        run(&recordings, &at(name), Some(kitchen.path()), workers, plan);
        assert_eq!(digests(&at(name)), expected, "{name}");
    }

    // each recording in a replay of its own, into one lake
    for path in &recordings {
        run(std::slice::from_ref(path), &at("one by one"), Some(kitchen.path()), 1, whole);
    }
    assert_eq!(digests(&at("one by one")), expected, "one recording after another");

    let again = run(&recordings, &at("lake"), Some(kitchen.path()), 1, whole);
    assert_eq!((again.readings, again.frames, again.declared), (0, 0, 0), "nothing is taken in twice");
    assert_eq!(digests(&at("lake")), expected, "the same recordings again");
}

#[test]
fn epochs_of_one_event_give_the_same_tables_as_epochs_of_a_thousand() {
    let (kitchen, recordings) = kitchen(1, 2);
    let at = |name: &str| kitchen.path().join(name);
    run(&recordings, &at("thousand"), Some(kitchen.path()), 1, Plan { batch: 1_000, ..Plan::default() });
    let expected = digests(&at("thousand"));
    assert!(expected.iter().any(|(name, rows, _)| name == "movements" && *rows > 0), "nothing moved");
    run(&recordings, &at("one"), Some(kitchen.path()), 2, Plan { batch: 1, ..Plan::default() });
    assert_eq!(digests(&at("one")), expected);
}
