//! Words: cells of the space of descriptors, and signatures within a cell.
//!
//! A tree of two levels (Nister and Stewenius 2006) of k-means (for bits: of majorities), and 64 bits a descriptor that say where in
//! its cell it lies (Hamming embedding, Jegou, Douze and Schmid 2008). All sums are whole numbers: the same words from the same
//! descriptors on every machine.

use rayon::prelude::*;

use crate::homography::Random;

use super::{
    IndexError,
    codes::{BYTES, Code, Kind, distances},
};

/// How to learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Training {
    /// Branches of the tree at both levels: it has the square of that in words. At most 256; none for the number at which about 24
    /// of the descriptors fall on a word.
    pub branches: Option<u16>,
    /// Rounds of k-means at most.
    pub rounds: u32,
    /// Another seed, other words.
    pub seed: u64,
}

impl Default for Training {
    fn default() -> Self {
        Self { branches: None, rounds: 12, seed: 1 }
    }
}

/// The words that an index is kept by.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    pub(super) kind: Kind,
    branches: usize,
    /// The middles of the branches, and of the words, those of a branch together.
    tops: Vec<Code>,
    leaves: Vec<Code>,
    /// Of floats: for each word the median of each turned component. Of bits: which are in a signature, once for all.
    thresholds: Vec<i16>,
}

/// Most branches at a level.
const MOST_BRANCHES: usize = 256;
/// Branches looked into for the nearest word.
const LOOKED_INTO: usize = 8;
/// Bits of a signature.
pub(super) const SIGNATURE_BITS: usize = 64;
/// Bits that an M-LDB descriptor uses.
const MLDB_BITS: usize = 486;
/// What turns floats before they become bits: signs of a random diagonal.
const TURN_SEED: u64 = 0x6c61_7264_6572;

impl Vocabulary {
    /// Learnt from descriptors, the more kinds of pictures the better. An error where there are none.
    pub fn train(kind: Kind, codes: &[Code], training: &Training) -> Result<Self, IndexError> {
        if codes.is_empty() {
            return Err(IndexError::NothingToLearnFrom);
        }
        let per_word = (codes.len() / 24).isqrt();
        let branches = training.branches.map_or(per_word, usize::from).clamp(1, MOST_BRANCHES);
        let all: Vec<u32> = (0..codes.len() as u32).collect();
        let (tops, members) = Clusters { kind, codes, training }.find(&all, branches, 0);
        let below: Vec<_> = members
            .par_iter()
            .enumerate()
            .map(|(branch, members)| {
                let mut found = Clusters { kind, codes, training }.find(members, branches, branch as u64 + 1);
                // A branch of fewer descriptors than it may have words has its middle for the others.
                found.0.resize(branches, tops[branch]);
                found.1.resize(branches, Vec::new());
                found
            })
            .collect();
        let leaves: Vec<Code> = below.iter().flat_map(|(leaves, _)| leaves).copied().collect();
        let thresholds = match kind {
            Kind::Float => below.iter().flat_map(|(leaves, members)| medians(codes, leaves, members)).collect(),
            Kind::Binary => telling_bits(codes),
        };
        Ok(Self { kind, branches, tops, leaves, thresholds })
    }

    /// What its descriptors are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The number of words.
    pub fn words(&self) -> usize {
        self.leaves.len()
    }

    #[cfg(test)]
    pub(super) fn leaves(&self) -> &[Code] {
        &self.leaves
    }

    /// The `most` words nearest to a descriptor, nearest first; the first does not depend on `most`.
    pub(super) fn nearest(&self, code: &Code, most: usize, scratch: &mut Vec<u32>, words: &mut Vec<u32>) {
        distances(self.kind, code, &self.tops, scratch);
        let mut branches: Vec<(u32, u32)> =
            scratch.iter().zip(0..).map(|(&distance, branch)| (distance, branch)).collect();
        branches.sort_unstable();
        let mut near: Vec<(u32, u32)> = Vec::with_capacity(LOOKED_INTO * self.branches);
        for &(_, branch) in branches.iter().take(LOOKED_INTO) {
            let first = branch as usize * self.branches;
            distances(self.kind, code, &self.leaves[first..first + self.branches], scratch);
            near.extend(scratch.iter().zip(first as u32..).map(|(&distance, word)| (distance, word)));
        }
        let most = most.min(near.len());
        if most > 0 && most < near.len() {
            near.select_nth_unstable(most - 1);
        }
        near.truncate(most);
        near.sort_unstable();
        words.clear();
        words.extend(near.iter().map(|&(_, word)| word));
    }

    /// Where in the cell of `word` a descriptor lies; `turned` is what [`Self::turn`] makes of it.
    pub(super) fn signature(&self, turned: &Turned, word: u32) -> u64 {
        match turned {
            Turned::Float(values) => {
                let thresholds = &self.thresholds[word as usize * SIGNATURE_BITS..][..SIGNATURE_BITS];
                let bits = values.iter().zip(thresholds).zip(0..);
                bits.fold(0, |bits, ((value, threshold), bit)| bits | u64::from(value > threshold) << bit)
            }
            Turned::Binary(bits) => *bits,
        }
    }

    /// What all signatures of a descriptor are made of.
    pub(super) fn turn(&self, code: &Code) -> Turned {
        match self.kind {
            Kind::Float => Turned::Float(turned(code)),
            Kind::Binary => Turned::Binary(
                self.thresholds
                    .iter()
                    .zip(0..)
                    .fold(0, |bits, (&from, to)| bits | u64::from(bit(code, from as usize)) << to),
            ),
        }
    }

    /// As it is saved.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let kind = match self.kind {
            Kind::Float => 0_u32,
            Kind::Binary => 1,
        };
        let mut bytes = Vec::new();
        bytes.extend(kind.to_le_bytes());
        bytes.extend((self.branches as u32).to_le_bytes());
        bytes.extend(self.tops.iter().chain(&self.leaves).flatten());
        bytes.extend(self.thresholds.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// From what was saved; none where that is not a vocabulary.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first_chunk()?;
        let (&branches, rest) = rest.split_first_chunk()?;
        let kind = match u32::from_le_bytes(kind) {
            0 => Kind::Float,
            1 => Kind::Binary,
            _ => return None,
        };
        let branches = u32::from_le_bytes(branches) as usize;
        if branches == 0 || branches > MOST_BRANCHES {
            return None;
        }
        let words = branches * branches;
        let (middles, thresholds) = rest.split_at_checked((branches + words) * BYTES)?;
        let middles = middles.as_chunks().0;
        let count = match kind {
            Kind::Float => words * SIGNATURE_BITS,
            Kind::Binary => SIGNATURE_BITS,
        };
        if thresholds.len() != count * 2 {
            return None;
        }
        let thresholds: Vec<i16> = thresholds.as_chunks().0.iter().map(|&value| i16::from_le_bytes(value)).collect();
        if kind == Kind::Binary && thresholds.iter().any(|&bit| !(0..BYTES as i16 * 8).contains(&bit)) {
            return None;
        }
        Some(Self {
            kind,
            branches,
            tops: middles[..branches].to_vec(),
            leaves: middles[branches..].to_vec(),
            thresholds,
        })
    }
}

/// A descriptor made ready for signatures.
pub(super) enum Turned {
    Float([i16; SIGNATURE_BITS]),
    Binary(u64),
}

fn bit(code: &Code, bit: usize) -> bool {
    code[bit / 8] >> (bit % 8) & 1 == 1
}

/// A descriptor turned at random: signs, then the Hadamard transform, which is a rotation but for its length.
fn turned(code: &Code) -> [i16; SIGNATURE_BITS] {
    let signs = Random::new(TURN_SEED).next();
    let mut values: [i16; BYTES] = std::array::from_fn(|i| {
        let value = i16::from(code[i] as i8);
        if signs >> i & 1 == 1 { -value } else { value }
    });
    // Sums of 64 numbers of at most 128 in size do not overflow.
    let mut half = 1;
    while half < BYTES {
        for block in values.chunks_exact_mut(half * 2) {
            let (low, high) = block.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                (*low, *high) = (*low + *high, *low - *high);
            }
        }
        half *= 2;
    }
    values
}

/// The median of each turned component over the descriptors of each word, and the word's middle where it has few.
fn medians(codes: &[Code], leaves: &[Code], members: &[Vec<u32>]) -> Vec<i16> {
    let mut thresholds = Vec::with_capacity(leaves.len() * SIGNATURE_BITS);
    for (leaf, members) in leaves.iter().zip(members) {
        if members.len() < 8 {
            thresholds.extend(turned(leaf));
            continue;
        }
        let all: Vec<[i16; SIGNATURE_BITS]> = members.iter().map(|&i| turned(&codes[i as usize])).collect();
        let mut column = Vec::with_capacity(all.len());
        for component in 0..SIGNATURE_BITS {
            column.clear();
            column.extend(all.iter().map(|values| values[component]));
            let middle = column.len() / 2;
            thresholds.push(*column.select_nth_unstable(middle).1);
        }
    }
    thresholds
}

/// The 64 bits that tell most: each set in nearly half of the descriptors, and no two of them set together too often (Rublee 2011,
/// section 4.3).
fn telling_bits(codes: &[Code]) -> Vec<i16> {
    let step = codes.len().div_ceil(4096).max(1);
    let sample: Vec<&Code> = codes.iter().step_by(step).collect();
    // A column of each bit, over the sample.
    let columns: Vec<Vec<u64>> = (0..MLDB_BITS)
        .map(|at| {
            let word = |chunk: &[&Code]| {
                chunk.iter().zip(0..).fold(0_u64, |word, (code, shift)| word | u64::from(bit(code, at)) << shift)
            };
            sample.chunks(64).map(word).collect()
        })
        .collect();
    let ones = |column: &[u64]| column.iter().map(|word| word.count_ones() as usize).sum::<usize>();
    let mut order: Vec<usize> = (0..MLDB_BITS).collect();
    order.sort_by_key(|&at| (2 * ones(&columns[at])).abs_diff(sample.len()));
    let mut chosen: Vec<usize> = Vec::new();
    // In eighths: how far from half the share may be in which two bits agree.
    for limit in 1..=8 {
        for &at in &order {
            if chosen.len() == SIGNATURE_BITS {
                break;
            }
            let alike = |other: &usize| {
                let differ: usize =
                    columns[at].iter().zip(&columns[*other]).map(|(a, b)| (a ^ b).count_ones() as usize).sum();
                (2 * differ).abs_diff(sample.len()) * 8 > limit * sample.len()
            };
            if !chosen.contains(&at) && !chosen.iter().any(alike) {
                chosen.push(at);
            }
        }
    }
    chosen.iter().map(|&at| at as i16).collect()
}

/// K-means, or k-majorities.
struct Clusters<'a> {
    kind: Kind,
    codes: &'a [Code],
    training: &'a Training,
}

impl Clusters<'_> {
    /// At most `count` middles of the descriptors `members`, and which are nearest to each.
    fn find(&self, members: &[u32], count: usize, stream: u64) -> (Vec<Code>, Vec<Vec<u32>>) {
        let mut middles = self.begin(members, count, stream);
        let mut groups = self.assign(members, &middles);
        for _ in 0..self.training.rounds {
            let moved: Vec<Code> =
                middles.iter().zip(&groups).map(|(middle, group)| self.middle(group).unwrap_or(*middle)).collect();
            if moved == middles {
                break;
            }
            middles = moved;
            groups = self.assign(members, &middles);
        }
        (middles, groups)
    }

    /// Members that are far from each other: each next one the farthest of a few drawn at random.
    fn begin(&self, members: &[u32], count: usize, stream: u64) -> Vec<Code> {
        let mut random = Random::new(self.training.seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut middles: Vec<Code> = Vec::with_capacity(count);
        let mut scratch = Vec::new();
        while middles.len() < count.min(members.len()) {
            let drawn = (0..3).map(|_| self.codes[members[random.below(members.len())] as usize]);
            let farthest = drawn.max_by_key(|code| {
                distances(self.kind, code, &middles, &mut scratch);
                scratch.iter().min().copied()
            });
            middles.extend(farthest);
        }
        middles
    }

    fn assign(&self, members: &[u32], middles: &[Code]) -> Vec<Vec<u32>> {
        let nearest: Vec<usize> = members
            .par_iter()
            .map_init(Vec::new, |scratch, &member| {
                distances(self.kind, &self.codes[member as usize], middles, scratch);
                // Of equal ones the first.
                (0..scratch.len()).min_by_key(|&i| scratch[i]).unwrap_or(0)
            })
            .collect();
        let mut groups = vec![Vec::new(); middles.len()];
        nearest.iter().zip(members).for_each(|(&group, &member)| groups[group].push(member));
        groups
    }

    /// The mean, or what most have; none of nothing.
    fn middle(&self, group: &[u32]) -> Option<Code> {
        if group.is_empty() {
            return None;
        }
        let count = group.len() as i64;
        let members = || group.iter().map(|&i| &self.codes[i as usize]);
        Some(match self.kind {
            Kind::Float => {
                let mut sums = [0_i64; BYTES];
                for code in members() {
                    sums.iter_mut().zip(code).for_each(|(sum, &byte)| *sum += i64::from(byte as i8));
                }
                sums.map(|sum| (2 * sum + count).div_euclid(2 * count) as i8 as u8)
            }
            Kind::Binary => {
                let mut sums = [0_i64; BYTES * 8];
                for code in members() {
                    sums.iter_mut().enumerate().for_each(|(at, sum)| *sum += i64::from(bit(code, at)));
                }
                std::array::from_fn(|byte| {
                    (0..8).fold(0, |bits, at| bits | u8::from(2 * sums[byte * 8 + at] > count) << at)
                })
            }
        })
    }
}
