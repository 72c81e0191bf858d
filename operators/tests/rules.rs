//! The rules of two looks and of five, as their documentation tells them, by other means than the code.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use larder_operators::{
    movements::between,
    occlusion::{Bridged, Item, Look, bridge},
};
use larder_records::{
    ApplianceId, BoundingBox, Digest, FrameKey, Grid, ProductId, SensorId, Time,
    views::MovementKind::{self, In, Moved, Out},
};
use proptest::{collection::vec, option, prelude::*};

/// Boxes of three sizes on a row of a picture of 100 by 50.
fn item() -> impl Strategy<Value = Item> {
    let product = prop_oneof![3 => Just(Some("milk")), 2 => Just(Some("eggs")), 1 => Just(None)];
    let depth = option::of(prop_oneof![Just(500_u16), Just(515), Just(700)]);
    (product, 0_u16..8, 1_u16..4, depth, 1_u32..10, 0_i64..3).prop_map(
        |(product, column, size, depth_mm, score, half)| {
            let left = column * 10;
            Item {
                product: product.map(ProductId::of),
                bounds: BoundingBox { left, top: 5, right: left + 8 * size, bottom: 45 },
                depth_mm,
                score: if product.is_some() { score * 100_000 } else { 0 },
                package_mg: if product.is_some() { half * 500 } else { 0 },
            }
        },
    )
}

fn look(at: i64) -> impl Strategy<Value = Look> {
    let grid = vec(prop_oneof![1 => Just(0_u16), 6 => (25_u16..35).prop_map(|n| n * 20)], 10);
    let scale = || option::weighted(0.8, (0_i64..5).prop_map(|n| n * 250));
    (vec(item(), 0..5), option::of(grid), scale(), scale()).prop_map(move |(mut items, cells, after, next)| {
        items.sort();
        let level = |load: Option<i64>| load.map(|load| (SensorId::of("scale"), load)).into_iter().collect();
        Look {
            opened: Time(at),
            frame: FrameKey {
                appliance: ApplianceId::of("fridge"),
                sensor: SensorId::of("camera"),
                time: Time(at),
                hash: Digest(0),
            },
            width: 100,
            height: 50,
            items,
            depth: cells.map(|cells| Grid { columns: 10, rows: 1, cells }.into()),
            after: level(after),
            next_before: level(next),
        }
    })
}

fn centre(b: BoundingBox) -> (f64, f64) {
    (f64::from(b.left + b.right) / 2.0, f64::from(b.top + b.bottom) / 2.0)
}

/// Which item of `old` is which of `new`: again and again the two that lie nearest.
fn partners(old: &[&Item], new: &[&Item]) -> BTreeMap<usize, usize> {
    let mut found = BTreeMap::new();
    while found.len() < old.len().min(new.len()) {
        let mut best: Option<(f64, usize, usize)> = None;
        for n in (0..old.len()).filter(|n| !found.contains_key(n)) {
            for m in (0..new.len()).filter(|m| !found.values().any(|taken| taken == m)) {
                let (a, b) = (centre(old[n].bounds), centre(new[m].bounds));
                let far = (a.0 - b.0).powi(2) + (a.1 - b.1).powi(2);
                if best.is_none_or(|(least, ..)| far < least) {
                    best = Some((far, n, m));
                }
            }
        }
        let (_, n, m) = best.unwrap();
        found.insert(n, m);
    }
    found
}

fn of<'a>(look: &'a Look, product: &str) -> Vec<&'a Item> {
    look.items.iter().filter(|item| item.product == Some(ProductId::of(product))).collect()
}

fn mixed(score: f64, agreement: Option<f64>) -> f64 {
    match agreement {
        None => score,
        Some(a) if a >= 0.5 => score + (1.0 - score) * (a - 0.5),
        Some(a) => score * (0.5 + a),
    }
}

/// The median reading of the cells whose centre is in the box: each is ten pixels wide and as high as the picture.
fn depth(look: &Look, b: BoundingBox) -> Option<f64> {
    let cells = &look.depth.as_ref()?.cells;
    let mut inside: Vec<u16> = (0..10)
        .filter(|n| (f64::from(b.left)..f64::from(b.right)).contains(&(f64::from(*n) * 10.0 + 5.0)))
        .map(|n| cells[n as usize])
        .filter(|mm| *mm > 0)
        .collect();
    inside.sort();
    if inside.is_empty() { None } else { Some(f64::from(inside[(inside.len() - 1) / 2])) }
}

fn expected(old: Option<&Look>, new: &Look, change: Option<i64>) -> Vec<(ProductId, MovementKind, i64, f64)> {
    let mut found: Vec<(&str, MovementKind, Vec<&Item>)> = Vec::new();
    for product in ["milk", "eggs"] {
        let (were, are) = (old.map_or(vec![], |old| of(old, product)), of(new, product));
        let same = partners(&were, &are);
        let came = (0..are.len()).filter(|m| !same.values().any(|taken| taken == m)).map(|m| are[m]);
        let went = (0..were.len()).filter(|n| !same.contains_key(n)).map(|n| were[n]);
        let moved = same.iter().filter(|(n, m)| {
            let (a, b) = (centre(were[**n].bounds), centre(are[**m].bounds));
            (a.0 - b.0).abs() > 12.5 || (a.1 - b.1).abs() > 6.25
        });
        found.push((product, In, came.collect()));
        found.push((product, Out, went.collect()));
        found.push((product, Moved, moved.map(|(_, m)| are[*m]).collect()));
    }
    found.retain(|(.., items)| !items.is_empty());

    let weight = |items: &[&Item]| items.iter().map(|item| item.package_mg).max().unwrap() as f64 * items.len() as f64;
    let weighed: Vec<f64> = found
        .iter()
        .filter(|(_, kind, _)| *kind != Moved)
        .map(|(_, kind, items)| if *kind == In { weight(items) } else { -weight(items) })
        .collect();
    let known = old.is_some() && !weighed.is_empty() && weighed.iter().all(|mg| *mg != 0.0);
    let scales = change.filter(|_| known).map(|change| {
        let moved: f64 = weighed.iter().map(|mg| mg.abs()).sum();
        (1.0 - (change as f64 - weighed.iter().sum::<f64>()).abs() / moved).max(0.0)
    });
    let rows = found.into_iter().map(|(product, kind, items)| {
        let score = items.iter().map(|item| item.score).min().unwrap() as f64 / 1e6;
        let mut says = Vec::new();
        for item in items.iter().filter(|_| kind != Moved) {
            let (Some(then), Some(now)) = (old.and_then(|old| depth(old, item.bounds)), depth(new, item.bounds)) else {
                continue;
            };
            let as_it_should = if kind == In { then - now } else { now - then };
            if as_it_should > -20.0 {
                says.push(if as_it_should >= 20.0 { 1.0 } else { 0.0 });
            }
        }
        let deep = if says.is_empty() { None } else { Some(says.iter().sum::<f64>() / says.len() as f64) };
        (ProductId::of(product), kind, items.len() as i64, mixed(mixed(score, scales), deep))
    });
    rows.collect()
}

/// Look `n` of the five, from -2 to 2.
fn at(looks: &[Option<Look>; 5], n: i32) -> Option<&Look> {
    looks[(n + 2) as usize].as_ref()
}

/// How the load changed from one look to another, where that is known.
fn change(looks: &[Option<Look>; 5], from: i32, to: i32) -> Option<i64> {
    let load = |level: &[(SensorId, i64)]| level.first().map(|(_, load)| *load);
    let step = |n: i32| Some(load(&at(looks, n + 1)?.after)? - load(&at(looks, n)?.next_before)?);
    (from..to).map(step).sum()
}

/// How many of `product` look 0 holds, shown or hidden.
fn held(looks: &[Option<Look>; 5], product: &str) -> usize {
    let at = |n: i32| at(looks, n);
    let count = |n: i32| at(n).map_or(0, |look| of(look, product).len());
    let shown = count(0);
    let mut most = 0;
    for (left, right) in [(-1, 1), (-2, 1), (-1, 2)] {
        let (Some(before), Some(_)) = (at(left), at(right)) else { continue };
        let dip = count(left).min(count(right)).saturating_sub(shown);
        let package = of(before, product).iter().map(|item| item.package_mg).max().unwrap_or(0) as f64;
        let away = (change(looks, left, 0), change(looks, 0, right));
        let left_and_came = package > 0.0
            && matches!(away, (Some(out), Some(back)) if [-out, back].iter().all(|mg| {
                let packages = package * dip as f64;
                (*mg as f64 - packages).abs() <= (packages / 4.0).floor()
            }));
        if !left_and_came {
            most = most.max(dip);
        }
    }
    for (left, right) in [(-1, 2), (-2, 1)] {
        if at(right).is_some() || at(left).is_none() {
            continue;
        }
        let mut kept = hides(looks, left, 0, product);
        if left == -2 {
            let before = hides(looks, -2, -1, product);
            kept.retain(|n| {
                before.iter().any(|m| of(at(-2).unwrap(), product)[*m] == of(at(-2).unwrap(), product)[*n])
            });
        }
        most = most.max(kept.len());
    }
    shown + most
}

/// The items of `product` in look `from`, by place, that look `to` does not show but is taken to hide.
fn hides(looks: &[Option<Look>; 5], from: i32, to: i32, product: &str) -> Vec<usize> {
    let (Some(before), Some(after)) = (at(looks, from), at(looks, to)) else { return vec![] };
    let were = of(before, product);
    let same = partners(&were, &of(after, product));
    let unseen: Vec<usize> = (0..were.len()).filter(|n| !same.contains_key(n)).collect();
    let Some(&first) = unseen.first() else { return vec![] };
    let mut rest = change(looks, from, to);
    for other in ["milk", "eggs"] {
        let (had, has) = (of(before, other).len(), of(after, other));
        if has.len() > had {
            let package = has[0].package_mg;
            rest = rest.filter(|_| package > 0).map(|rest| rest - package * (has.len() - had) as i64);
        }
    }
    let package = were[first].package_mg;
    match rest.filter(|_| package > 0) {
        Some(rest) => {
            if rest as f64 > -package as f64 / 2.0 {
                unseen
            } else {
                vec![]
            }
        }
        None => unseen.into_iter().filter(|n| is_covered(before, after, were[*n])).collect(),
    }
}

fn is_covered(before: &Look, after: &Look, item: &Item) -> bool {
    after.items.iter().any(|other| {
        let new =
            !before.items.iter().any(|old| old.product == other.product && old.bounds.iou(other.bounds) >= 500_000);
        let nearer = match (other.depth_mm, item.depth_mm) {
            (Some(near), Some(far)) => i32::from(far) - i32::from(near) >= 20,
            _ => other.bounds.area() >= item.bounds.area(),
        };
        new && nearer && 2 * item.bounds.overlap(other.bounds) >= item.bounds.area()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn what_moved_between_two_looks_is_what_has_no_partner_and_as_sure_as_its_evidence(
        old in option::weighted(0.9, look(1)), new in look(2), change in option::of((-6_i64..7).prop_map(|n| n * 250)),
    ) {
        let bridged = |look: Look| Bridged { look: look.into(), weight_delta_mg: change };
        let found = between(old.clone().map(bridged).as_ref(), &bridged(new.clone()));
        let mut expected = expected(old.as_ref(), &new, change);
        expected.sort_by_key(|(product, kind, ..)| (*product, *kind));
        prop_assert_eq!(found.len(), expected.len());
        for (movement, (product, kind, quantity, sure)) in found.iter().zip(expected) {
            prop_assert_eq!((movement.product, movement.kind, movement.quantity), (product, kind, quantity));
            let off = (f64::from(movement.confidence) - sure * 1e6).abs();
            prop_assert!(off < 3.0, "{} and not {sure}", movement.confidence);
        }
    }

    #[test]
    fn a_look_holds_what_it_shows_and_what_the_looks_around_it_say_it_hides(
        looks in (look(-2), look(-1), look(0), look(1), look(2)), there in (0_usize..3, 0_usize..3),
    ) {
        let mut five = [Some(looks.0), Some(looks.1), Some(looks.2), Some(looks.3), Some(looks.4)];
        five[..there.0].fill(None);
        five[5 - there.1..].fill(None);
        let shared = five.clone().map(|look| look.map(std::sync::Arc::new));
        let bridged = bridge(shared.each_ref().map(Option::as_ref)).unwrap();
        for product in ["milk", "eggs"] {
            prop_assert_eq!(of(&bridged.look, product).len(), held(&five, product), "{}", product);
        }
    }
}
