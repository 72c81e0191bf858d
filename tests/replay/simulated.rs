//! What simulated kitchens hold, as their pictures, scales and doors tell.

use std::slice;

use larder::{
    engine::Plan,
    eval::{evaluate, truths},
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
        let truths = truths(slice::from_ref(path), &mut names).unwrap();
        let all = evaluate(&truths, &history, &names, 0).all;
        assert!(all.truth > 100, "{}: hardly anything to find", path.display());
        assert!(all.f1() > 0.85, "{}: {all:?}, F1 {:.3}", path.display(), all.f1());
    }
}
