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

/// Pixels of one row that follow each other.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: u16,
    end: u16,
    row: u16,
    /// A run of the same component met before, or itself.
    parent: u32,
}

/// Reused buffers of [`components`].
#[derive(Clone, Debug, Default)]
pub struct ComponentScratch {
    runs: Vec<Run>,
    places: Vec<u32>,
}

impl ComponentScratch {
    fn root(&mut self, mut run: u32) -> u32 {
        while self.runs[run as usize].parent != run {
            // Path halving (Tarjan and van Leeuwen 1984) keeps the trees flat.
            let above = self.runs[run as usize].parent;
            self.runs[run as usize].parent = self.runs[above as usize].parent;
            run = above;
        }
        run
    }

    /// The run met first becomes the root of both.
    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.runs[a.max(b) as usize].parent = a.min(b);
    }
}

/// How many pixels at the start of a row are set, or are not.
fn run_of<const SET: bool>(row: &[u8]) -> usize {
    let differs = |&pixel: &u8| (pixel != 0) != SET;
    let chunks = row.as_chunks::<16>().0;
    // Sixteen at once, as most runs of nothing are long.
    let alike = chunks.iter().take_while(|chunk| !chunk.iter().fold(false, |any, pixel| any | differs(pixel))).count();
    let rest = &row[alike * 16..];
    alike * 16 + rest.iter().position(differs).unwrap_or(rest.len())
}

/// The 8-connected components of the pixels of `mask` that are not 0, in the order of their first pixels.
///
/// Runs of pixels are joined to those that they touch in the row above by union-find (Rosenfeld and Pfaltz 1966).
///
/// # Panics
/// Where a side is longer than 65535 pixels.
pub fn components(mask: &ImageGrey8, scratch: &mut ComponentScratch) -> Vec<Component> {
    assert!(mask.width().max(mask.height()) <= usize::from(u16::MAX), "a side is too long");
    scratch.runs.clear();
    let mut above = 0..0;
    for y in 0..mask.height() {
        let first = scratch.runs.len();
        let row = mask.row(y);
        let mut x = 0;
        loop {
            let start = x + run_of::<false>(&row[x..]);
            if start == row.len() {
                break;
            }
            let end = start + run_of::<true>(&row[start..]);
            let parent = scratch.runs.len() as u32;
            scratch.runs.push(Run { start: start as u16, end: end as u16, row: y as u16, parent });
            x = end;
        }
        let mut upper = above.start;
        for lower in first..scratch.runs.len() {
            let Run { start, end, .. } = scratch.runs[lower];
            while upper < above.end && scratch.runs[upper].end < start {
                upper += 1;
            }
            // The last run that touches this one may touch the next one too.
            let mut touching = upper;
            while touching < above.end && scratch.runs[touching].start <= end {
                scratch.join(touching as u32, lower as u32);
                touching += 1;
            }
        }
        above = first..scratch.runs.len();
    }
    let mut found: Vec<Component> = Vec::new();
    scratch.places.clear();
    scratch.places.resize(scratch.runs.len(), 0);
    for index in 0..scratch.runs.len() {
        let Run { start, end, row, .. } = scratch.runs[index];
        let root = scratch.root(index as u32) as usize;
        if root == index {
            scratch.places[root] = found.len() as u32;
            found.push(Component {
                bounds: BoundingBox { left: start, top: row, right: end, bottom: row + 1 },
                area: 0,
            });
        }
        let component = &mut found[scratch.places[root] as usize];
        component.area += u32::from(end - start);
        let bounds = &mut component.bounds;
        bounds.left = bounds.left.min(start);
        bounds.right = bounds.right.max(end);
        bounds.bottom = row + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Flood fill, pixel by pixel.
    fn flooded(mask: &ImageGrey8) -> Vec<Component> {
        let (width, height) = (mask.width(), mask.height());
        let mut seen = vec![false; width * height];
        let mut found = Vec::new();
        for first in 0..width * height {
            if mask.pixels()[first] == 0 || seen[first] {
                continue;
            }
            seen[first] = true;
            let mut todo = vec![first];
            let (mut xs, mut ys) = (Vec::new(), Vec::new());
            while let Some(at) = todo.pop() {
                let (x, y) = (at % width, at / width);
                xs.push(x as u16);
                ys.push(y as u16);
                for ny in y.saturating_sub(1)..(y + 2).min(height) {
                    for nx in x.saturating_sub(1)..(x + 2).min(width) {
                        let next = ny * width + nx;
                        if mask.pixels()[next] != 0 && !seen[next] {
                            seen[next] = true;
                            todo.push(next);
                        }
                    }
                }
            }
            let edge = |values: &[u16]| (*values.iter().min().unwrap(), values.iter().max().unwrap() + 1);
            let ((left, right), (top, bottom)) = (edge(&xs), edge(&ys));
            found.push(Component { bounds: BoundingBox { left, top, right, bottom }, area: xs.len() as u32 });
        }
        found
    }

    proptest! {
        #[test]
        fn components_are_those_of_a_flood_fill(width in 0_usize..14, bits in prop::collection::vec(0_u8..2, 0..160)) {
            let height = bits.len() / width.max(1);
            let mask = ImageGrey8::from_pixels(width, height, bits[..width * height].to_vec()).unwrap();
            prop_assert_eq!(components(&mask, &mut ComponentScratch::default()), flooded(&mask));
        }
    }
}
