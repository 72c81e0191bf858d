//! What simulated kitchens hold, as their pictures, scales and doors tell.

use larder::{
    engine::Plan,
    eval::evaluate,
    feeds::{Event, Feed as _, recording::Recording},
    lake::Lake,
};
use larder_records::{Names, views::InventoryInterval};

use super::{kitchen, run};

#[test]
fn the_inventory_of_every_simulated_kitchen_is_near_its_truth() {
    let (kitchen, recordings) = kitchen(3, 4);
    let lake = kitchen.path().join("lake");
    run(&recordings, &lake, Some(kitchen.path()), 1, Plan::default());
    let mut names = Names::default();
    let history = Lake::open(&lake).unwrap().read::<InventoryInterval>(&mut names).unwrap();
    for path in &recordings {
        let mut truths = Vec::new();
        let mut recording = Recording::open(path).unwrap();
        while let Some((_, entry)) = recording.next_entry(&mut names).unwrap() {
            if let Ok(Event::Truth(truth)) = entry {
                truths.push(truth);
            }
        }
        let all = evaluate(&truths, &history, &names, 0).all;
        assert!(all.truth > 100, "{}: hardly anything to find", path.display());
        assert!(all.f1() > 0.85, "{}: {all:?}, F1 {:.3}", path.display(), all.f1());
    }
}
