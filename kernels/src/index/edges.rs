//! Where the edges of a print lie, and which way they go: what tells two prints of the same colours apart, in any light.

use super::colours::{Laid, SIDE, smooth, squared};

/// Directions of an edge that are told apart; one between two counts for both.
const DIRECTIONS: usize = 8;
/// Edges are as strong as those around them, but where all are weaker than this, in steps of brightness a square.
const WEAK: f32 = 2.0;
/// How often directions, how strong the edges around are, and how far two prints are apart are smoothed.
const POOLED: usize = 1;
const AROUND: usize = 8;
const COMPARED: usize = 4;
/// Squares by which the maps may be off.
const OFF: isize = 1;
/// The page that a print stands on is brighter than this in all colours.
const PAGE: f32 = 238.0;
/// Only where edges are farther apart than this do they tell two products apart, and so many squares must.
const TELLING: f32 = 0.02;
const FEWEST_TELLING: usize = SIDE * SIDE / 200;

type Edges = Vec<[f32; DIRECTIONS]>;

/// How much better the print of one product explains a picture than that of another, -1 to 1, by the edges of the places where they
/// differ. None where there is nothing to go by.
///
/// Edges are counted by their direction, as in histograms of oriented gradients (Dalal and Triggs 2005), in the colour in which they
/// are the strongest.
pub(super) fn preference(laid: &Laid) -> Option<f64> {
    let [seen, own, other] = [&laid.seen, &laid.own, &laid.other].map(|squares| edges(squares));
    let (differ, off_own, off_other) = (apart(&other, &own), apart(&seen, &own), apart(&seen, &other));
    let beside = beside(&laid.own);
    let (mut for_own, mut most, mut telling) = (0.0_f64, 0.0_f64, 0);
    for i in 0..SIDE * SIDE {
        if laid.known[i] && !beside[i] && differ[i] > TELLING {
            for_own += f64::from((off_other[i] - off_own[i]).clamp(-differ[i], differ[i]));
            most += f64::from(differ[i]);
            telling += 1;
        }
    }
    (telling >= FEWEST_TELLING).then(|| for_own / most)
}

/// By Sobel's slopes, next to those of the squares around.
fn edges(squares: &[[f32; 3]]) -> Edges {
    let near = |at: usize, off: usize| (at + off).saturating_sub(1).min(SIDE - 1);
    let edge = |i: usize| {
        let slopes = (0..3).map(|channel| {
            let at = |dx, dy| squares[near(i / SIDE, dy) * SIDE + near(i % SIDE, dx)][channel];
            let column = |dx| at(dx, 0) + 2.0 * at(dx, 1) + at(dx, 2);
            let row = |dy| at(0, dy) + 2.0 * at(1, dy) + at(2, dy);
            [(column(2) - column(0)) / 8.0, (row(2) - row(0)) / 8.0]
        });
        let steep = |[x, y]: &[f32; 2]| x * x + y * y;
        let slope = slopes.reduce(|a, b| if steep(&b) > steep(&a) { b } else { a }).unwrap_or_default();
        let strength = steep(&slope).sqrt();
        let turn = libm::atan2f(slope[1], slope[0]) / std::f32::consts::TAU * DIRECTIONS as f32;
        let turn = if turn < 0.0 { turn + DIRECTIONS as f32 } else { turn };
        let (first, share) = (turn as usize, turn - turn.floor());
        let mut directions = [0.0; DIRECTIONS];
        directions[first % DIRECTIONS] = strength * (1.0 - share);
        directions[(first + 1) % DIRECTIONS] = strength * share;
        directions
    };
    let pooled = smooth((0..SIDE * SIDE).map(edge).collect(), POOLED);
    let around = smooth(pooled.iter().map(|&edge| [squared(edge, [0.0; DIRECTIONS])]).collect(), AROUND);
    pooled.into_iter().zip(around).map(|(edge, [around])| edge.map(|edge| edge / (around.sqrt() + WEAK))).collect()
}

/// How far two prints are apart around each square, the one moved to where it fits best.
fn apart(moved: &Edges, other: &Edges) -> Vec<f32> {
    let mut least = vec![f32::MAX; SIDE * SIDE];
    let to = |at: usize, off: isize| at.saturating_add_signed(off).min(SIDE - 1);
    for (dx, dy) in (-OFF..=OFF).flat_map(|dy| (-OFF..=OFF).map(move |dx| (dx, dy))) {
        let place = |i: usize| to(i / SIDE, dy) * SIDE + to(i % SIDE, dx);
        let apart = (0..SIDE * SIDE).map(|i| [squared(moved[place(i)], other[i])]).collect();
        for (least, [apart]) in least.iter_mut().zip(smooth(apart, COMPARED)) {
            *least = least.min(apart);
        }
    }
    least
}

/// The squares of the page that a print stands on, which reaches the border of its picture: not those of the white of the print.
fn beside(squares: &[[f32; 3]]) -> Vec<bool> {
    let is_page = |i: usize| squares[i].iter().all(|&light| light > PAGE);
    let mut beside = vec![false; SIDE * SIDE];
    let mut ahead: Vec<usize> =
        (0..SIDE).flat_map(|at| [at, (SIDE - 1) * SIDE + at, at * SIDE, at * SIDE + SIDE - 1]).collect();
    while let Some(i) = ahead.pop() {
        if beside[i] || !is_page(i) {
            continue;
        }
        beside[i] = true;
        let (x, y) = (i % SIDE, i / SIDE);
        ahead.extend((x > 0).then(|| i - 1));
        ahead.extend((x + 1 < SIDE).then(|| i + 1));
        ahead.extend((y > 0).then(|| i - SIDE));
        ahead.extend((y + 1 < SIDE).then(|| i + SIDE));
    }
    beside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageRgb8, homography::Homography, index::Colours};

    const SIZE: [f64; 2] = [120.0, 180.0];

    /// A carton of two colours in a grey shop: bars that lie or stand, by `standing`, below a mark that all have.
    fn picture(standing: bool, back: &Homography, light: [u16; 3]) -> ImageRgb8 {
        let pixel = |i: usize| {
            let shown: [u8; 3] = match back.apply([(i % 320) as f64, (i / 320) as f64]) {
                Some([x, y]) if (0.0..120.0).contains(&x) && (0.0..180.0).contains(&y) => {
                    let mark = (x - 60.0).abs() < 25.0 && (y - 30.0).abs() < 15.0;
                    let bar = y > 60.0 && (if standing { x } else { y }) % 30.0 < 15.0;
                    if mark || bar { [30, 60, 140] } else { [225, 220, 210] }
                }
                _ => [90, 90, 90],
            };
            std::array::from_fn(|channel| (u16::from(shown[channel]) * light[channel] / 100) as u8)
        };
        ImageRgb8::from_pixels(320, 320, (0..320 * 320).map(pixel).collect()).unwrap()
    }

    fn print(standing: bool) -> Colours {
        let whole = picture(standing, &Homography::IDENTITY, [100; 3]);
        let pixels = (0..180).flat_map(|y| whole.row(y)[..120].to_vec()).collect();
        Colours::of(&ImageRgb8::from_pixels(120, 180, pixels).unwrap())
    }

    fn told(seen: &ImageRgb8, map: &Homography, own: &Colours, other: &Colours) -> Option<f64> {
        preference(&Laid::new(seen, map, (own, SIZE), (other, SIZE), &Homography::IDENTITY)?)
    }

    #[test]
    fn prints_of_the_same_colours_are_told_by_their_edges_in_any_light() {
        let prints = [print(false), print(true)];
        let map = Homography::from_similarity(1.3, 0.2, [60.0, 90.0], [170.0, 150.0]).unwrap();
        // A pixel or two off, as maps are.
        let off = Homography::from_similarity(1.0, 0.0, [0.0, 0.0], [1.0, 1.0]).unwrap().after(&map);
        let back = map.inverse().unwrap();
        for (shown, light) in [(0, [100, 100, 100]), (1, [100, 85, 60]), (0, [50, 55, 60]), (1, [30, 30, 30])] {
            let seen = picture(shown == 1, &back, light);
            let preferred = told(&seen, &off, &prints[shown], &prints[1 - shown]).unwrap();
            let other = told(&seen, &off, &prints[1 - shown], &prints[shown]).unwrap();
            assert!(preferred > 0.5 && other < -0.5, "{shown} {light:?}: {preferred} {other}");
        }
    }

    #[test]
    fn the_same_and_unseen_edges_prefer_none() {
        let seen = picture(true, &Homography::IDENTITY, [100; 3]);
        let (own, other) = (print(true), print(false));
        assert_eq!(told(&seen, &Homography::IDENTITY, &own, &own), None);
        let beyond = Homography::from_similarity(1.0, 0.0, [0.0, 0.0], [900.0, 0.0]).unwrap();
        assert_eq!(told(&seen, &beyond, &own, &other), None);
        assert_eq!(told(&seen, &Homography::IDENTITY, &own, &Colours::UNKNOWN), None);
    }

    #[test]
    fn white_inside_a_print_is_no_page() {
        let mut squares = vec![[255.0; 3]; SIDE * SIDE];
        for y in 20..70 {
            for x in 30..60 {
                let white = (30..60).contains(&y) && (40..50).contains(&x);
                squares[y * SIDE + x] = if white { [255.0; 3] } else { [40.0, 80.0, 90.0] };
            }
        }
        let beside = beside(&squares);
        assert!(beside[0] && beside[SIDE * SIDE - 1] && !beside[25 * SIDE + 35] && !beside[45 * SIDE + 45]);
        assert_eq!(beside.iter().filter(|&&beside| beside).count(), SIDE * SIDE - 50 * 30);
    }
}
