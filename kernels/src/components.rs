//! Connected components of a mask.

use larder_records::BoundingBox;

use crate::ImageGrey8;

/// A connected set of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// The smallest box around it.
    pub bounds: BoundingBox,
    /// Its pixels.
    pub area: u32,
}

/// Reused buffers of [`components`].
#[derive(Clone, Debug, Default)]
pub struct ComponentScratch {
    labels: Vec<u32>,
    parents: Vec<u32>,
}

impl ComponentScratch {
    fn root(&mut self, mut label: u32) -> u32 {
        while self.parents[label as usize] != label {
            // Path halving (Tarjan and van Leeuwen 1984) keeps the trees flat.
            let above = self.parents[label as usize];
            self.parents[label as usize] = self.parents[above as usize];
            label = above;
        }
        label
    }

    fn join(&mut self, a: u32, b: u32) -> u32 {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.parents[high as usize] = low;
        low
    }
}

/// The 8-connected components of the pixels of `mask` that are not 0, in the order of their first pixels.
///
/// Two passes with union-find over provisional labels (Rosenfeld and Pfaltz 1966).
pub fn components(mask: &ImageGrey8, scratch: &mut ComponentScratch) -> Vec<Component> {
    let (width, height) = (mask.width(), mask.height());
    scratch.labels.clear();
    scratch.labels.resize(width * height, 0);
    scratch.parents.clear();
    scratch.parents.push(0);
    for y in 0..height {
        for x in 0..width {
            if mask.row(y)[x] == 0 {
                continue;
            }
            let at = y * width + x;
            let mut label = 0;
            let mut see = |neighbour: u32, scratch: &mut ComponentScratch| {
                if neighbour != 0 {
                    label = if label == 0 { neighbour } else { scratch.join(label, neighbour) };
                }
            };
            if x > 0 {
                see(scratch.labels[at - 1], scratch);
            }
            if y > 0 {
                for up in at - width - usize::from(x > 0)..=at - width + usize::from(x + 1 < width) {
                    see(scratch.labels[up], scratch);
                }
            }
            if label == 0 {
                label = u32::try_from(scratch.parents.len()).unwrap_or(u32::MAX);
                scratch.parents.push(label);
            }
            scratch.labels[at] = label;
        }
    }
    // Roots are the smallest labels of their components, so a component's first pixel comes with its root.
    let mut found: Vec<Component> = Vec::new();
    let mut place = vec![usize::MAX; scratch.parents.len()];
    for y in 0..height {
        for x in 0..width {
            let label = scratch.labels[y * width + x];
            if label == 0 {
                continue;
            }
            let root = scratch.root(label) as usize;
            let (x, y) = (x as u16, y as u16);
            if place[root] == usize::MAX {
                place[root] = found.len();
                found.push(Component { bounds: BoundingBox { left: x, top: y, right: x + 1, bottom: y + 1 }, area: 0 });
            }
            let component = &mut found[place[root]];
            component.area += 1;
            let bounds = &mut component.bounds;
            bounds.left = bounds.left.min(x);
            bounds.right = bounds.right.max(x + 1);
            bounds.bottom = y + 1;
        }
    }
    found
}
