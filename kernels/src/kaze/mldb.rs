//! M-LDB: the binary descriptor of A-KAZE (Yang and Cheng 2012; Alcantarilla 2013, section 3.3).

use crate::{Plane, features::BinaryDescriptor, simd::vectorised};

use super::msurf::Frame;

/// Samples from the middle of the square to its edge, and along its side with the middle.
const REACH: usize = 10;
const SIDE: usize = 2 * REACH + 1;
/// The square is cut into cells three times: their number along a side, and their samples along a side.
const GRIDS: [(usize, usize); 3] = [(2, 10), (3, 7), (4, 5)];
/// Brightness and slopes.
const CHANNELS: usize = 3;
/// Bits that are compared; each pair of cells of a grid, in each channel.
#[cfg(any(test, feature = "cuda"))]
const BITS: usize = 486;

/// For each bit the channel and the two cells that it compares: `channel << 16 | first << 8 | second`, cells counted over all
/// grids.
#[cfg(feature = "cuda")]
pub(super) fn pairs() -> Vec<u32> {
    let mut pairs = Vec::with_capacity(BITS);
    let mut before = 0;
    for (cells, _) in GRIDS {
        let cells = (cells * cells) as u32;
        for channel in 0..CHANNELS as u32 {
            for first in 0..cells {
                pairs
                    .extend((first + 1..cells).map(|second| channel << 16 | (before + first) << 8 | (before + second)));
            }
        }
        before += cells;
    }
    pairs
}

/// Lanes for the samples of a row.
const LANES: usize = 24;

/// Describes a place by which of any two cells around it is brighter and steeper along either axis of the frame.
pub(super) fn describe(light: &Plane<f32>, dx: &Plane<f32>, dy: &Plane<f32>, frame: Frame) -> BinaryDescriptor {
    let mut bits = Bits::default();
    let mut rows = [[[0.0; LANES]; CHANNELS]; SIDE];
    sample(light, dx, dy, frame, &mut rows);
    for (cells, side) in GRIDS {
        let mut means = [[0.0_f32; 16]; CHANNELS];
        for cell_row in 0..cells {
            let columns = sum_rows(&rows[cell_row * side..(cell_row + 1) * side]);
            for cell in 0..cells {
                let [light, dx, dy] = columns
                    .map(|column| column[cell * side..(cell + 1) * side].iter().fold(0.0, |sum, value| sum + value));
                let values = [light, dy * frame.cosine - dx * frame.sine, dx * frame.cosine + dy * frame.sine];
                for (means, value) in means.iter_mut().zip(values) {
                    means[cell_row * cells + cell] = value;
                }
            }
        }
        for means in &means {
            for first in 0..cells * cells {
                let less = means.map(|value| means[first] > value);
                let mask = less.iter().rev().fold(0_u64, |mask, &less| mask << 1 | u64::from(less));
                bits.push(mask >> (first + 1), cells * cells - first - 1);
            }
        }
    }
    bits.words
}

vectorised! {
    fn sum_rows(rows: &[[[f32; LANES]; CHANNELS]]) -> [[f32; LANES]; CHANNELS] {
        let mut sums = [[0.0_f32; LANES]; CHANNELS];
        for row in rows {
            for (sums, row) in sums.iter_mut().zip(row) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
        }
        sums
    }
}

vectorised! {
    /// The pixels nearest to each place of the square, by row along the frame's first axis; beyond its borders a picture goes
    /// on as at them.
    fn sample(
        light: &Plane<f32>, dx: &Plane<f32>, dy: &Plane<f32>, frame: Frame, out: &mut [[[f32; LANES]; CHANNELS]; SIDE],
    ) {
        let Frame { x, y, step, cosine, sine } = frame;
        let width = light.width();
        let (right, bottom) = ((width - 1) as f32, (light.height() - 1) as f32);
        let (light, dx, dy) = (light.pixels(), dx.pixels(), dy.pixels());
        for (k, out) in out.iter_mut().enumerate() {
            let forward = (k as f32 - REACH as f32) * step;
            let mut at = [0_u32; LANES];
            for (l, at) in at.iter_mut().enumerate() {
                let sideways = (l as f32 - REACH as f32) * step;
                let sample_x = (x + (forward * cosine - sideways * sine) + 0.5).max(0.0).min(right);
                let sample_y = (y + (forward * sine + sideways * cosine) + 0.5).max(0.0).min(bottom);
                *at = (sample_y as i32 * width as i32 + sample_x as i32) as u32;
            }
            for l in 0..SIDE {
                let at = at[l] as usize;
                out[0][l] = light[at];
                out[1][l] = dx[at];
                out[2][l] = dy[at];
            }
        }
    }
}

/// Bits, the first the lowest.
#[derive(Default)]
struct Bits {
    words: BinaryDescriptor,
    count: usize,
}

impl Bits {
    /// Appends the lowest `count` of `bits`, fewer than 64.
    fn push(&mut self, bits: u64, count: usize) {
        let bits = bits & ((1 << count) - 1);
        let (word, at) = (self.count / 64, self.count % 64);
        self.words[word] |= bits << at;
        if at + count > 64 {
            self.words[word + 1] |= bits >> (64 - at);
        }
        self.count += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_cells_has_its_bit() {
        let pairs: usize = GRIDS.iter().map(|(cells, _)| (cells * cells) * (cells * cells - 1) / 2).sum();
        assert_eq!(pairs * CHANNELS, BITS);
        // Along the frame's axes, each cell is brighter than all before it.
        let plane = |f: fn(usize, usize) -> f32| {
            Plane::from_pixels(64, 64, (0..64 * 64).map(|i| f(i % 64, i / 64)).collect()).unwrap()
        };
        let (light, flat) = (plane(|x, y| (64 * x + y) as f32), plane(|_, _| 0.0));
        let frame = Frame { x: 32.0, y: 32.0, step: 1.0, cosine: 1.0, sine: 0.0 };
        let ones =
            |light: &Plane<f32>| describe(light, &flat, &flat, frame).iter().map(|word| word.count_ones()).sum::<u32>();
        assert_eq!(ones(&light), 0);
        let dark = plane(|x, y| -((64 * x + y) as f32));
        assert_eq!(ones(&dark) as usize, pairs);
    }
}
