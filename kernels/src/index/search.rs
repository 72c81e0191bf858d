//! From the features of a picture to a ranked list of products.

use super::{Described, IndexError, ProductIndex, vocabulary::SIGNATURE_BITS};

/// How votes are cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voting {
    /// Words that a feature of the picture is looked up under.
    pub words: usize,
    /// Bits by which signatures differ at most.
    pub bits: u32,
    /// Products ranked at most.
    pub most: usize,
}

impl Default for Voting {
    fn default() -> Self {
        Self { words: 4, bits: 22, most: 100 }
    }
}

/// A product and how much speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Its id.
    pub product: u64,
    /// The sum of its votes, over the root of how many features it has: comparable within one search.
    pub votes: u64,
}

/// Buffers reused from search to search; hold nothing that changes a result.
#[derive(Clone, Debug, Default)]
pub struct SearchScratch {
    distances: Vec<u32>,
    words: Vec<u32>,
    /// Of each place of each segment: its votes, the last feature that voted for it, and how much.
    votes: Vec<Tally>,
    /// Places that have votes.
    met: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    votes: u64,
    feature: u32,
    vote: u32,
}

impl ProductIndex {
    /// The products whose features are most like those of a picture, best first, equal ones by their ids.
    ///
    /// Each feature of the picture votes once for each product that has a feature with a signature like its own under one of
    /// its words: the more, the nearer the signature and the rarer the word.
    ///
    /// # Errors
    /// [`IndexError::OtherKind`].
    pub fn search(
        &self,
        picture: &Described,
        voting: &Voting,
        scratch: &mut SearchScratch,
    ) -> Result<Vec<Ranked>, IndexError> {
        if picture.kind != self.vocabulary.kind() {
            return Err(IndexError::OtherKind);
        }
        let bases: Vec<usize> = self
            .segments
            .iter()
            .scan(0, |sum, segment| Some(std::mem::replace(sum, *sum + segment.products())))
            .collect();
        let SearchScratch { distances, words, votes, met } = scratch;
        votes.clear();
        votes.resize(self.segments.iter().map(|segment| segment.products()).sum(), Tally::default());
        met.clear();
        for (code, feature) in picture.codes.iter().zip(1..) {
            self.vocabulary.nearest(code, voting.words, distances, words);
            let turned = self.vocabulary.turn(code);
            for &word in &*words {
                let signature = self.vocabulary.signature(&turned, word);
                let rarity = self.rarity(word);
                for ((segment, base), alive) in self.segments.iter().zip(&bases).zip(&self.alive) {
                    let postings = segment.postings(word);
                    for (index, other) in postings.signatures.iter().enumerate() {
                        let bits = (u64::from_le_bytes(*other) ^ signature).count_ones();
                        if bits > voting.bits {
                            continue;
                        }
                        let place = postings.owner(index).0 as usize;
                        if alive.get(place) != Some(&true) {
                            continue;
                        }
                        let vote = likeness(bits, voting.bits) * rarity;
                        let tally = &mut votes[base + place];
                        if tally.feature == 0 {
                            met.push((base + place) as u32);
                        }
                        if tally.feature != feature {
                            (tally.feature, tally.vote) = (feature, 0);
                        }
                        let more = vote.saturating_sub(tally.vote);
                        tally.votes += u64::from(more);
                        tally.vote += more;
                    }
                }
            }
        }
        let mut ranked: Vec<Ranked> = met
            .iter()
            .map(|&slot| {
                let segment = bases.partition_point(|&base| base <= slot as usize) - 1;
                let place = slot - bases[segment] as u32;
                let features = self.segments[segment].features(place).len() as u64;
                let length = ((features + FEW_FEATURES) << 8).isqrt();
                Ranked { product: self.segments[segment].id(place), votes: (votes[slot as usize].votes << 8) / length }
            })
            .collect();
        let order = |a: &Ranked, b: &Ranked| b.votes.cmp(&a.votes).then(a.product.cmp(&b.product));
        if voting.most > 0 && voting.most < ranked.len() {
            ranked.select_nth_unstable_by(voting.most - 1, order);
        }
        ranked.truncate(voting.most);
        ranked.sort_unstable_by(order);
        Ok(ranked)
    }

    /// How rare a word is among the features of all products: the logarithm, squared, in steps of 1/16.
    fn rarity(&self, word: u32) -> u32 {
        let rare = (self.features + 1) / (u64::from(self.frequencies[word as usize]) + 1);
        // The logarithm to base two in steps of 1/4, from the bits below the highest.
        let rare = rare.clamp(1, 1 << 40);
        let whole = rare.ilog2();
        let quarter = ((rare << 2 >> whole) & 3) as u32;
        (4 * whole + quarter).pow(2)
    }
}

/// Votes for a product of few features count as if it had so many more: chance would favour it.
const FEW_FEATURES: u64 = 64;

/// What signatures that differ by `bits` say, next to the most that is let through.
fn likeness(bits: u32, most: u32) -> u32 {
    (most.min(SIGNATURE_BITS as u32) + 1 - bits).pow(2)
}
