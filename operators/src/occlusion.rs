//! An item hidden for a while is not gone.
//!
//! A *look* is the picture that a visit left behind. What one look does not show may be hidden behind something else, so
//! the count of each product is bridged from the two looks on either side, [`bridge`]; a count never depends on looks
//! further away. The rule, for product `p` at look 0, with `c(n)` the items of `p` that look `n` shows:
//!
//! 1. **A dip is filled.** For the pairs of looks (-1, 1), (-2, 1), (-1, 2): where both show more than `c(0)`, look 0 is
//!    given the items that the poorer of the two shows. So dips of one or two looks are filled, and no longer ones.
//!    A pair does not count where the scales say that the packages left and came back: every change between its looks is
//!    known, the package weight is known, and the changes before and after look 0 are, to a quarter, those packages.
//! 2. **At the end, the item is kept where the evidence is for it.** Where a pair (-1, 2) or (-2, 1) may still come, as its
//!    right look is not there yet, the items that its left look shows and look 0 does not are kept
//!    - where the scales testify, if and only if the load fell by less than half a package, what was newly seen taken off;
//!      they testify where all changes since that look and all package weights needed are known;
//!    - else each whose old box is covered to one half by a box that is new (in the left look no item of the same product
//!      has a box with intersection over union of one half) and nearer by at least [`NEARER_MM`], or, where the depth of
//!      either is not known, at least as large.
//!
//!    For the pair (-2, 1) the same must hold between looks -2 and -1.
//!
//! Of all pairs the one that gives look 0 the most items holds. A kept item has the box and score that its left look gave it.
//! Looks to come settle the matter for good.

use std::sync::Arc;

use larder_records::{BoundingBox, FrameKey, Grid, PPM, Ppm, ProductId, Time};
use serde::{Deserialize, Serialize};

use crate::weights::{Level, Levels};

/// Millimetres by which a box must be nearer to count as being in front.
pub const NEARER_MM: u16 = 20;

/// An item in a look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    /// What it is taken for; none where for nothing known.
    pub product: Option<ProductId>,
    /// Where.
    pub bounds: BoundingBox,
    /// How far away, where known.
    pub depth_mm: Option<u16>,
    /// How sure the product is.
    pub score: Ppm,
    /// Weight of a package of the product; 0 where unknown.
    pub package_mg: i64,
}

/// What a visit left behind, as one picture shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Look {
    /// When the visit began.
    pub opened: Time,
    /// The picture.
    pub frame: FrameKey,
    /// Its pixels a row.
    pub width: u16,
    /// Its rows.
    pub height: u16,
    /// What it shows; sorted.
    pub items: Vec<Item>,
    /// How far away things are, in millimetres, where a depth camera of the same view looked too.
    pub depth: Option<Arc<Grid>>,
    /// The scales after the visit.
    pub after: Level,
    /// The scales before the next visit, whether or not that has a picture.
    pub next_before: Level,
}

/// A look with what it hides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bridged {
    /// The look; hidden items are among its items. It is the very one that was bridged where it hides none.
    pub look: Arc<Look>,
    /// Change of the load since the look before, where known.
    pub weight_delta_mg: Option<i64>,
}

/// The look in the middle of up to five that follow each other, `[-2, -1, 0, 1, 2]`, with what it hides (see the module).
///
/// None where there is no middle.
///
/// ```
/// use std::sync::Arc;
///
/// use larder_operators::occlusion::{Item, Look, bridge};
/// use larder_records::{ApplianceId, BoundingBox, Digest, FrameKey, ProductId, SensorId, Time};
///
/// let milk = Item {
///     product: Some(ProductId::of("milk")), bounds: BoundingBox { left: 0, top: 0, right: 9, bottom: 9 },
///     depth_mm: None, score: 900_000, package_mg: 0,
/// };
/// let look = |at: i64, items: &[Item]| Arc::new(Look {
///     opened: Time(at), items: items.to_vec(), width: 100, height: 100, depth: None, after: vec![],
///     next_before: vec![],
///     frame: FrameKey {
///         appliance: ApplianceId::of("fridge"), sensor: SensorId::of("camera"), time: Time(at), hash: Digest(0),
///     },
/// });
/// let (before, hidden, after) = (look(1, &[milk.clone()]), look(2, &[]), look(3, &[milk.clone()]));
/// let bridged = bridge([None, Some(&before), Some(&hidden), Some(&after), None]).unwrap();
/// assert_eq!(bridged.look.items, [milk.clone()]);
/// // not seen again, and nothing that could hide it: it is out
/// assert_eq!(bridge([None, Some(&before), Some(&hidden), None, None]).unwrap().look.items, []);
/// ```
pub fn bridge(looks: [Option<&Arc<Look>>; 5]) -> Option<Bridged> {
    let window = Window(looks.map(|look| look.map(Arc::as_ref)));
    let middle = looks[2]?;
    let mut products: Vec<ProductId> = [-2, -1]
        .into_iter()
        .filter_map(|n| window.at(n))
        .flat_map(|look| look.items.iter().filter_map(|item| item.product))
        .collect();
    products.sort_unstable();
    products.dedup();
    let hidden: Vec<&Item> = products.into_iter().flat_map(|product| window.filled(product)).collect();
    let look = if hidden.is_empty() {
        middle.clone()
    } else {
        let mut items: Vec<Item> = hidden.into_iter().chain(&middle.items).cloned().collect();
        items.sort();
        Arc::new(Look { items, ..Look::clone(middle) })
    };
    Some(Bridged { weight_delta_mg: window.change(-1, 0), look })
}

/// Those of `items`, which are sorted, that are taken for `product`.
pub(crate) fn items_of(items: &[Item], product: ProductId) -> &[Item] {
    let from = items.partition_point(|item| item.product < Some(product));
    let many = items[from..].iter().take_while(|item| item.product == Some(product)).count();
    &items[from..from + many]
}

/// [`nearest`] of the boxes of items.
pub(crate) fn nearest_items(before: &[Item], after: &[Item]) -> Vec<(usize, usize)> {
    let boxes = |items: &[Item]| items.iter().map(|item| item.bounds).collect::<Vec<_>>();
    match (before.len(), after.len()) {
        (0, _) | (_, 0) => Vec::new(),
        (1, 1) => vec![(0, 0)],
        _ => nearest(&boxes(before), &boxes(after)),
    }
}

/// Up to five looks; `at(0)` is the one in question.
struct Window<'a>([Option<&'a Look>; 5]);

impl<'a> Window<'a> {
    fn at(&self, n: i8) -> Option<&'a Look> {
        self.0[usize::try_from(n + 2).ok()?]
    }

    fn items(&self, n: i8, product: ProductId) -> &'a [Item] {
        self.at(n).map_or(&[], |look| items_of(&look.items, product))
    }

    /// Change of the load from look `from` to look `to`.
    fn change(&self, from: i8, to: i8) -> Option<i64> {
        (from..to).try_fold(0_i64, |sum, n| {
            let change = Levels::change(&self.at(n)?.next_before, &self.at(n + 1)?.after)?;
            Some(sum.saturating_add(change))
        })
    }

    /// The items of `product` that look 0 hides: those of the pair of looks that gives most.
    fn filled(&self, product: ProductId) -> Vec<&'a Item> {
        let shown = self.items(0, product).len();
        let mut hidden: Vec<&Item> = Vec::new();
        if [-2, -1].into_iter().all(|left| self.items(left, product).len() <= shown) {
            return hidden; // nothing is missing
        }
        for (left, right) in [(-1, 1), (-2, 1), (-1, 2)] {
            let lasting = self.items(left, product).len().min(self.items(right, product).len());
            let count = lasting.saturating_sub(shown);
            if count > hidden.len() && !self.left_and_came_back(product, left, right, count) {
                hidden = self.unseen(left, 0, product).into_iter().take(count).collect();
            }
        }
        for (left, right) in [(-1, 2), (-2, 1)] {
            if self.at(right).is_some() {
                continue;
            }
            let mut kept = self.kept(left, 0, &self.unseen(left, 0, product));
            if left == -2 {
                let kept_before = self.kept(-2, -1, &self.unseen(-2, -1, product));
                kept.retain(|item| kept_before.contains(item));
            }
            if kept.len() > hidden.len() {
                hidden = kept;
            }
        }
        hidden
    }

    /// The items of `product` that look `from` shows and look `to` does not: those that no item there is nearest to.
    fn unseen(&self, from: i8, to: i8, product: ProductId) -> Vec<&'a Item> {
        let (before, after) = (self.items(from, product), self.items(to, product));
        if before.len() <= after.len() {
            return Vec::new(); // each has a partner
        }
        let matched = nearest_items(before, after);
        let seen = |n: usize| matched.iter().any(|(b, _)| *b == n);
        before.iter().enumerate().filter(|(n, _)| !seen(*n)).map(|(_, item)| item).collect()
    }

    fn left_and_came_back(&self, product: ProductId, left: i8, right: i8, count: usize) -> bool {
        let package = self.items(left, product).iter().map(|item| item.package_mg).max().unwrap_or(0);
        let packages = package.saturating_mul(count as i64);
        let (Some(out), Some(back)) = (self.change(left, 0), self.change(0, right)) else { return false };
        let close = |change: i64| change.saturating_sub(packages).saturating_abs() <= packages / 4;
        package > 0 && close(out.saturating_neg()) && close(back)
    }

    /// Of the items `unseen` since look `from`, those that look `to` is taken to hide.
    fn kept(&self, from: i8, to: i8, unseen: &[&'a Item]) -> Vec<&'a Item> {
        match self.scales_say_stayed(from, to, unseen) {
            Some(true) => unseen.to_vec(),
            Some(false) => Vec::new(),
            None => unseen.iter().filter(|item| self.covered(from, to, item)).copied().collect(),
        }
    }

    /// Whether, by the scales, nothing like the `unseen` left between two looks; none where they do not know.
    fn scales_say_stayed(&self, from: i8, to: i8, unseen: &[&Item]) -> Option<bool> {
        let package = unseen.first()?.package_mg;
        if package <= 0 {
            return None;
        }
        let mut residual = self.change(from, to)?;
        let (before, after) = (&self.at(from)?.items, &self.at(to)?.items);
        let mut n = 0;
        while n < after.len() {
            let product = after[n].product;
            let count = |items: &[Item]| items.iter().filter(|item| item.product == product).count();
            let (had, has) = (count(before), count(after));
            if product.is_some() && has > had {
                if after[n].package_mg <= 0 {
                    return None;
                }
                residual = residual.saturating_sub(after[n].package_mg.saturating_mul((has - had) as i64));
            }
            // items are sorted by product
            n += has.max(1);
        }
        Some(residual.saturating_mul(2) > -package)
    }

    fn covered(&self, from: i8, to: i8, item: &Item) -> bool {
        let (Some(before), Some(after)) = (self.at(from), self.at(to)) else { return false };
        let is_new = |other: &Item| {
            let same = |old: &&Item| old.product == other.product && old.bounds.iou(other.bounds) >= PPM / 2;
            before.items.iter().find(same).is_none()
        };
        let in_front = |other: &Item| match (other.depth_mm, item.depth_mm) {
            (Some(near), Some(far)) => near.saturating_add(NEARER_MM) <= far,
            _ => other.bounds.area() >= item.bounds.area(),
        };
        after.items.iter().any(|other| {
            item.bounds.overlap(other.bounds) * 2 >= item.bounds.area() && in_front(other) && is_new(other)
        })
    }
}

/// Pairs the boxes of two looks, the pair whose centres are nearest first; ties go to the earlier boxes.
///
/// ```
/// use larder_operators::occlusion::nearest;
/// use larder_records::BoundingBox;
///
/// let at = |left: u16| BoundingBox { left, top: 0, right: left + 2, bottom: 2 };
/// assert_eq!(nearest(&[at(0), at(10)], &[at(9)]), [(1, 0)]);
/// ```
pub fn nearest(before: &[BoundingBox], after: &[BoundingBox]) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(u64, usize, usize)> = Vec::with_capacity(before.len() * after.len());
    for (n, b) in before.iter().enumerate() {
        for (m, a) in after.iter().enumerate() {
            let (dx, dy) = shift(*b, *a);
            pairs.push((u64::from(dx).pow(2) + u64::from(dy).pow(2), n, m));
        }
    }
    pairs.sort_unstable();
    let (mut used_before, mut used_after) = (vec![false; before.len()], vec![false; after.len()]);
    let mut matched = Vec::new();
    for (_, n, m) in pairs {
        if !used_before[n] && !used_after[m] {
            (used_before[n], used_after[m]) = (true, true);
            matched.push((n, m));
        }
    }
    matched
}

/// How far apart two centres are, across and down, in half pixels.
pub(crate) fn shift(a: BoundingBox, b: BoundingBox) -> (u32, u32) {
    let twice = |low: u16, high: u16| u32::from(low) + u32::from(high);
    (twice(a.left, a.right).abs_diff(twice(b.left, b.right)), twice(a.top, a.bottom).abs_diff(twice(b.top, b.bottom)))
}
