//! The nearest binary descriptors.

use super::{Nearest2, Neighbour, share_out};
use crate::{
    features::BinaryDescriptor,
    simd::{self, InstructionSet},
};

/// Trains that are compared at once.
const LANES: usize = 32;
/// Groups that are compared with one query after another: they stay in the nearest caches (33 KiB, or 65 of nibbles).
const BLOCK: usize = 16;
/// Queries that are compared with a train while it is at hand.
const QUERIES: usize = 2;
/// Bits of a key below the distance: the group's place in its block.
const STEP_BITS: u32 = 6;
/// Bits of a lane's number.
const LANE_BITS: u32 = LANES.ilog2();
/// Bits from one count to the next in a sum.
const COUNT_BITS: u32 = 16;
/// The key of a lane without a train: above every other.
const NONE: u16 = u16::MAX;

/// Binary descriptors laid out to be searched by queries; can be filled again, its buffer is kept.
#[derive(Clone, Debug, Default)]
pub struct HammingTrains {
    words: Vec<Words>,
    /// Instead of words, for AVX2.
    #[cfg(target_arch = "x86_64")]
    nibbles: Vec<Nibbles>,
}

impl HammingTrains {
    /// These `trains` and no others.
    pub fn fill(&mut self, trains: &[BinaryDescriptor]) {
        self.fill_for(instructions(), trains);
    }

    fn fill_for(&mut self, instructions: InstructionSet, trains: &[BinaryDescriptor]) {
        self.words.clear();
        #[cfg(target_arch = "x86_64")]
        self.nibbles.clear();
        match instructions {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => self.nibbles.extend(groups::<Nibbles>(trains)),
            _ => self.words.extend(groups::<Words>(trains)),
        }
    }

    /// For each query the two trains that differ from it in the fewest bits; on `threads` threads of the current pool.
    pub fn nearest2(&self, queries: &[BinaryDescriptor], threads: usize, out: &mut Vec<Nearest2<u32>>) {
        self.nearest2_by(instructions(), queries, threads, out);
    }

    fn nearest2_by(
        &self,
        instructions: InstructionSet,
        queries: &[BinaryDescriptor],
        threads: usize,
        out: &mut Vec<Nearest2<u32>>,
    ) {
        share_out(queries, 1, threads, out, |queries, out| {
            by_blocks(instructions, &self.words, queries, out);
            #[cfg(target_arch = "x86_64")]
            by_blocks(instructions, &self.nibbles, queries, out);
        });
    }
}

/// Trains side by side, so that vectors hold the same part of several.
trait Group: Sized {
    /// A group of at most [`LANES`] trains, which has the place `step` in its block.
    fn of(step: u16, trains: &[BinaryDescriptor]) -> Self;
    /// Offers the trains of a block, whose first has the index `base`, to each of some queries.
    fn compare<const N: usize>(
        instructions: InstructionSet,
        block: &[Self],
        base: u32,
        queries: &[BinaryDescriptor; N],
        out: &mut [Nearest2<u32>; N],
    );
}

/// All trains in groups, those in blocks.
fn groups<G: Group>(trains: &[BinaryDescriptor]) -> impl Iterator<Item = G> {
    trains.chunks(LANES).zip((0..BLOCK as u16).cycle()).map(|(trains, step)| G::of(step, trains))
}

/// Where there is a train the group's place in its block, else [`NONE`].
fn steps(step: u16, trains: &[BinaryDescriptor]) -> [u16; LANES] {
    std::array::from_fn(|lane| if lane < trains.len() { step } else { NONE })
}

/// Offers all trains to each query.
fn by_blocks<G: Group>(
    instructions: InstructionSet,
    groups: &[G],
    queries: &[BinaryDescriptor],
    out: &mut [Nearest2<u32>],
) {
    for (block, base) in groups.chunks(BLOCK).zip((0..).step_by(BLOCK * LANES)) {
        let (some, rest) = queries.as_chunks::<QUERIES>();
        let (some_out, rest_out) = out.as_chunks_mut::<QUERIES>();
        for (queries, out) in some.iter().zip(some_out) {
            G::compare(instructions, block, base, queries, out);
        }
        for (query, out) in rest.iter().zip(rest_out) {
            G::compare(instructions, block, base, &[*query], std::array::from_mut(out));
        }
    }
}

/// A vector holds one word of eight trains. Quarter `k` has the trains `4 * i + k`: as its counts are pushed up by `k` times 16
/// bits, those of all quarters come to lie in the order of the trains.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Words {
    words: [[[u64; 8]; 8]; 4],
    step: [u16; LANES],
}

impl Group for Words {
    fn of(step: u16, trains: &[BinaryDescriptor]) -> Self {
        let mut group = Self { words: [[[0; 8]; 8]; 4], step: steps(step, trains) };
        for (lane, train) in trains.iter().enumerate() {
            for (word, &bits) in train.iter().enumerate() {
                group.words[lane % 4][word][lane / 4] = bits;
            }
        }
        group
    }

    fn compare<const N: usize>(
        instructions: InstructionSet,
        block: &[Self],
        base: u32,
        queries: &[BinaryDescriptor; N],
        out: &mut [Nearest2<u32>; N],
    ) {
        match instructions {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `instructions` saw that the machine has it.
            InstructionSet::Avx512 => unsafe { x86::compare_avx512(block, base, queries, out) },
            _ => compare_portable(block, base, queries, out),
        }
    }
}

/// Nibbles of a descriptor: four bits each, the lowest first.
#[cfg(target_arch = "x86_64")]
const NIBBLES: usize = 128;

/// A vector holds one nibble of every train, a byte each: what a query's nibble makes of them is looked up for all at once. As sums
/// of 16 bits the even bytes come first, then the odd ones: so the trains are in order.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Nibbles {
    nibbles: [[u8; LANES]; NIBBLES],
    step: [u16; LANES],
}

#[cfg(target_arch = "x86_64")]
impl Group for Nibbles {
    fn of(step: u16, trains: &[BinaryDescriptor]) -> Self {
        let mut group = Self { nibbles: [[0; LANES]; NIBBLES], step: steps(step, trains) };
        for (lane, train) in trains.iter().enumerate() {
            let byte = 2 * (lane % (LANES / 2)) + lane / (LANES / 2);
            for (place, nibble) in nibbles(train).into_iter().enumerate() {
                group.nibbles[place][byte] = nibble;
            }
        }
        group
    }

    fn compare<const N: usize>(
        _: InstructionSet,
        block: &[Self],
        base: u32,
        queries: &[BinaryDescriptor; N],
        out: &mut [Nearest2<u32>; N],
    ) {
        // SAFETY: trains are laid out so only where the machine was seen to have AVX2.
        unsafe { x86::compare_avx2(block, base, queries, out) }
    }
}

/// A descriptor, four bits a byte.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn nibbles(descriptor: &BinaryDescriptor) -> [u8; NIBBLES] {
    let mut nibbles = [0; NIBBLES];
    for (nibbles, word) in nibbles.as_chunks_mut::<16>().0.iter_mut().zip(descriptor) {
        for (pair, byte) in nibbles.as_chunks_mut::<2>().0.iter_mut().zip(word.to_le_bytes()) {
            *pair = [byte & 15, byte >> 4];
        }
    }
    nibbles
}

/// What vectors of words are compared with: AVX-512 only where it counts bits.
fn instructions() -> InstructionSet {
    let used = simd::used();
    #[cfg(target_arch = "x86_64")]
    if used == InstructionSet::Avx512 && !is_x86_feature_detected!("avx512vpopcntdq") {
        return InstructionSet::Avx2;
    }
    used
}

/// What is nearest to a query in each lane: keys of distance and step, the lower the nearer.
#[derive(Clone, Copy)]
struct Keys {
    best: [u16; LANES],
    second: [u16; LANES],
}

impl Keys {
    const NONE: Self = Self { best: [NONE; LANES], second: [NONE; LANES] };

    /// Offers the two nearest of all lanes; the block's first train has the index `base`.
    #[inline(always)]
    fn offer_to(&self, base: u32, out: &mut Nearest2<u32>) {
        // With the lane as its last bits a key ends in the place of the train in the block.
        let with_lane = |keys: [u16; LANES]| {
            std::array::from_fn::<u32, LANES, _>(|lane| u32::from(keys[lane]) << LANE_BITS | lane as u32)
        };
        let (mut best, mut second) = (with_lane(self.best), with_lane(self.second));
        for half in [16, 8, 4, 2, 1] {
            for lane in 0..half {
                let (a, b) = (best[lane], best[lane + half]);
                best[lane] = a.min(b);
                second[lane] = second[lane].min(second[lane + half]).min(a.max(b));
            }
        }
        for key in [best[0], second[0]] {
            if key >> LANE_BITS != u32::from(NONE) {
                let place = key & ((1 << (LANE_BITS + STEP_BITS)) - 1);
                out.offer(Neighbour { distance: key >> (LANE_BITS + STEP_BITS), index: base + place });
            }
        }
    }
}

fn compare_portable<const N: usize>(
    block: &[Words],
    base: u32,
    queries: &[BinaryDescriptor; N],
    out: &mut [Nearest2<u32>; N],
) {
    for (query, out) in queries.iter().zip(out) {
        let mut keys = Keys::NONE;
        for group in block {
            let mut sums = [0_u64; 8];
            // The last quarter first: those after it push it up.
            for quarter in group.words.iter().rev() {
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let words = std::array::from_fn(|word| quarter[word][lane] ^ query[word]);
                    *sum = *sum << COUNT_BITS | ones(words);
                }
            }
            for lane in 0..LANES {
                let distance = (sums[lane / 4] >> (lane as u32 % 4 * COUNT_BITS)) as u16;
                let key = (distance << STEP_BITS).saturating_add(group.step[lane]);
                keys.second[lane] = keys.second[lane].min(key.max(keys.best[lane]));
                keys.best[lane] = keys.best[lane].min(key);
            }
        }
        keys.offer_to(base, out);
    }
}

/// How many bits are set. Words are added bit by bit first, so that fewer are counted: much the faster where no instruction
/// counts (W. Mula, N. Kurz and D. Lemire, *Faster Population Counts Using AVX2 Instructions*, 2018, section 4).
#[inline(always)]
fn ones(words: [u64; 8]) -> u64 {
    let add = |a: u64, b: u64, c: u64| (a ^ b ^ c, a & b | (a ^ b) & c);
    let [a, b, c, d, e, f, g, h] = words;
    let (one, two_a) = add(a, b, c);
    let (one, two_b) = add(one, d, e);
    let (one, two_c) = add(one, f, g);
    let (two, four) = add(two_a, two_b, two_c);
    let count = |word: u64| u64::from(word.count_ones());
    count(one) + count(h) + 2 * count(two) + 4 * count(four)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{arch::x86_64::*, mem::transmute};

    use super::*;

    const STEP_SHIFT: i32 = STEP_BITS.cast_signed();

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")]
    pub(super) fn compare_avx512<const N: usize>(
        block: &[Words],
        base: u32,
        queries: &[BinaryDescriptor; N],
        out: &mut [Nearest2<u32>; N],
    ) {
        let queries = queries.map(|query| query.map(|word| _mm512_set1_epi64(word.cast_signed())));
        let mut best = [_mm512_set1_epi16(-1); N];
        let mut second = best;
        for group in block {
            let mut sums = [_mm512_setzero_si512(); N];
            for quarter in group.words.iter().rev() {
                sums = sums.map(|sum| _mm512_slli_epi64::<COUNT_BITS>(sum));
                for (word, &trains) in quarter.iter().enumerate() {
                    // SAFETY: 64 bytes, of which every pattern is a value of both.
                    let trains = unsafe { transmute::<[u64; 8], __m512i>(trains) };
                    for n in 0..N {
                        let differing = _mm512_popcnt_epi64(_mm512_xor_si512(trains, queries[n][word]));
                        sums[n] = _mm512_add_epi64(sums[n], differing);
                    }
                }
            }
            // SAFETY: as above.
            let step = unsafe { transmute::<[u16; 32], __m512i>(group.step) };
            for n in 0..N {
                let key = _mm512_adds_epu16(_mm512_slli_epi16::<STEP_BITS>(sums[n]), step);
                second[n] = _mm512_min_epu16(second[n], _mm512_max_epu16(best[n], key));
                best[n] = _mm512_min_epu16(best[n], key);
            }
        }
        for n in 0..N {
            // SAFETY: as above.
            let [best, second] = [best[n], second[n]].map(|keys| unsafe { transmute::<__m512i, [u16; 32]>(keys) });
            Keys { best, second }.offer_to(base, &mut out[n]);
        }
    }

    /// Groups whose sums are in registers at once.
    const GROUPS: usize = 4;
    /// Nibbles whose counts a byte holds the sum of.
    const BYTE_NIBBLES: usize = 43;

    /// For each nibble, in how many bits each of all sixteen differs from it; twice, for the halves of a vector.
    static DIFFERING: Tables = Tables(differing());

    #[repr(align(32))]
    struct Tables([[u8; 32]; 16]);

    const fn differing() -> [[u8; 32]; 16] {
        let mut tables = [[0; 32]; 16];
        let mut at = 0;
        while at < 16 * 32 {
            tables[at / 32][at % 32] = ((at / 32) ^ (at % 16)).count_ones() as u8;
            at += 1;
        }
        tables
    }

    /// Looks up in how many bits a query's nibble and those of all trains of a group differ (after the counting by look-ups of W.
    /// Mula, N. Kurz and D. Lemire, *Faster Population Counts Using AVX2 Instructions*, 2018, section 3; here the table is the
    /// query's, so that nothing is to be done but to look up and to add).
    #[target_feature(enable = "avx2")]
    pub(super) fn compare_avx2<const N: usize>(
        block: &[Nibbles],
        base: u32,
        queries: &[BinaryDescriptor; N],
        out: &mut [Nearest2<u32>; N],
    ) {
        let queries = queries.each_ref().map(nibbles);
        let mut keys = [Keys::NONE; N];
        let (some, rest) = block.as_chunks::<GROUPS>();
        for groups in some {
            compare_groups(groups, &queries, &mut keys);
        }
        for group in rest {
            compare_groups(std::array::from_ref(group), &queries, &mut keys);
        }
        for (keys, out) in keys.iter().zip(out) {
            keys.offer_to(base, out);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn compare_groups<const N: usize, const G: usize>(
        groups: &[Nibbles; G],
        queries: &[[u8; NIBBLES]; N],
        keys: &mut [Keys; N],
    ) {
        let low = _mm256_set1_epi16(255);
        // Sums of the even bytes, and of the odd ones.
        let mut sums = [[[_mm256_setzero_si256(); 2]; G]; N];
        for start in (0..NIBBLES).step_by(BYTE_NIBBLES) {
            let mut bytes = [[_mm256_setzero_si256(); G]; N];
            for place in start..(start + BYTE_NIBBLES).min(NIBBLES) {
                let tables = queries.each_ref().map(|query| {
                    // SAFETY: 32 bytes, of which every pattern is a value of both.
                    unsafe { transmute::<[u8; 32], __m256i>(DIFFERING.0[usize::from(query[place] & 15)]) }
                });
                for g in 0..G {
                    // SAFETY: as above.
                    let trains = unsafe { transmute::<[u8; 32], __m256i>(groups[g].nibbles[place]) };
                    for n in 0..N {
                        bytes[n][g] = _mm256_add_epi8(bytes[n][g], _mm256_shuffle_epi8(tables[n], trains));
                    }
                }
            }
            for n in 0..N {
                for g in 0..G {
                    let [even, odd] = &mut sums[n][g];
                    *even = _mm256_add_epi16(*even, _mm256_and_si256(bytes[n][g], low));
                    *odd = _mm256_add_epi16(*odd, _mm256_srli_epi16::<8>(bytes[n][g]));
                }
            }
        }
        for n in 0..N {
            // SAFETY: as above, 64 bytes.
            let [mut best, mut second] =
                [keys[n].best, keys[n].second].map(|keys| unsafe { transmute::<[u16; 32], [__m256i; 2]>(keys) });
            for g in 0..G {
                // SAFETY: as above.
                let step = unsafe { transmute::<[u16; 32], [__m256i; 2]>(groups[g].step) };
                for half in 0..2 {
                    let key = _mm256_adds_epu16(_mm256_slli_epi16::<STEP_SHIFT>(sums[n][g][half]), step[half]);
                    second[half] = _mm256_min_epu16(second[half], _mm256_max_epu16(best[half], key));
                    best[half] = _mm256_min_epu16(best[half], key);
                }
            }
            // SAFETY: as above.
            let [best, second] = [best, second].map(|keys| unsafe { transmute::<[__m256i; 2], [u16; 32]>(keys) });
            keys[n] = Keys { best, second };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(query: &BinaryDescriptor, trains: &[BinaryDescriptor]) -> [Option<Neighbour<u32>>; 2] {
        let mut all: Vec<(u32, u32)> = Vec::new();
        for (index, train) in trains.iter().enumerate() {
            let mut distance = 0;
            for bit in 0..512 {
                let at = |descriptor: &BinaryDescriptor| descriptor[bit / 64] >> (bit % 64) & 1;
                distance += u32::from(at(query) != at(train));
            }
            all.push((distance, index as u32));
        }
        all.sort_unstable();
        [0, 1].map(|place| all.get(place).map(|&(distance, index)| Neighbour { distance, index }))
    }

    /// Few different words, so that distances are often equal, with both extremes among them.
    fn descriptors(most: usize) -> impl Strategy<Value = Vec<BinaryDescriptor>> {
        let word = prop::sample::select(vec![0, 1, 3, u64::MAX, 0x8000_0000_0000_0000, 0x0123_4567_89ab_cdef]);
        let words = prop::array::uniform8(word);
        let one = prop_oneof![words, Just([0; 8]), Just([u64::MAX; 8])];
        prop::collection::vec(one, 0..most)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_two_nearest_are_those_of_plain_loops_on_every_instruction_set_and_any_number_of_threads(
            queries in descriptors(9),
            trains in prop_oneof![descriptors(4), descriptors(80), descriptors(2 * BLOCK * LANES)],
            threads in 0_usize..5,
        ) {
            let mut held = HammingTrains::default();
            let mut out = vec![Nearest2::default(); 3];
            for instructions in InstructionSet::ALL.into_iter().filter(|&set| set <= super::instructions()) {
                held.fill_for(instructions, &trains);
                held.nearest2_by(instructions, &queries, threads, &mut out);
                prop_assert_eq!(out.len(), queries.len());
                for (found, query) in out.iter().zip(&queries) {
                    prop_assert_eq!([found.best, found.second], plain(query, &trains), "{:?}", instructions);
                }
            }
        }
    }
}
