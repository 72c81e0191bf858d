//! The features of tens of thousands of products, found again by those of a picture.
//!
//! An inverted file over a learnt [`Vocabulary`], with 64-bit signatures (Jegou, Douze and Schmid 2008), gives a ranked list
//! ([`ProductIndex::search`]); the best are compared feature by feature and verified by a homography ([`ProductIndex::recognise`]).
//! `docs/decisions/0010-product-index.md` tells why.
//!
//! The law holds here, too: answers depend on the vocabulary and on the products that there are, not on the order in which they were
//! added, replaced and removed, nor on the number of threads. Votes are whole numbers.

mod codes;
mod colours;
mod edges;
mod file;
mod recognise;
mod search;
mod segment;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    ops::Range,
};

use bytes::Bytes;
pub use codes::{Code, Described, Kind, distances};
pub use colours::Colours;
use rayon::prelude::*;
pub use recognise::{Matched, Recognised, Recognition};
pub use search::{Ranked, SearchScratch, Voting};

use file::Chunk;
use segment::{Row, Segment};
pub use vocabulary::{Training, Vocabulary};

/// Why an index cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Floats of another length.
    #[error("descriptors have {0} components, not 64")]
    Components(usize),
    /// Not one descriptor for each point.
    #[error("{points} points have {descriptors} descriptors")]
    Unpaired {
        /// Points given.
        points: usize,
        /// Descriptors given.
        descriptors: usize,
    },
    /// More than an index takes for one product.
    #[error("{0} features are more than 65535")]
    TooManyFeatures(usize),
    /// Floats where the vocabulary is of bits, or the other way round.
    #[error("the descriptors are not of the kind that the vocabulary was learnt from")]
    OtherKind,
    /// No descriptors.
    #[error("a vocabulary cannot be learnt from nothing")]
    NothingToLearnFrom,
    /// The file ends too early; what is before may be kept.
    #[error("the index is cut off: only its first {at} bytes are whole")]
    Truncated {
        /// Up to here the file is an index; 0 where nothing of it is.
        at: u64,
    },
    /// Written by another version.
    #[error("the index is of version {0}, not {version}", version = file::VERSION)]
    Version(u16),
    /// The file is damaged, or another kind of file.
    #[error("the index is broken at byte {at}: {what}")]
    Broken {
        /// Where the chunk begins.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// An index of products. What it was opened from is shared, not copied: the bytes live as long as it does.
#[derive(Clone, Debug)]
pub struct ProductIndex {
    vocabulary: Vocabulary,
    segments: Vec<Segment>,
    /// Whether each product of each segment is still there.
    alive: Vec<Vec<bool>>,
    /// Where each product is: segment, and place in it.
    places: BTreeMap<u64, (u32, u32)>,
    /// Features of products that are there, by word, and in all.
    frequencies: Vec<u32>,
    features: u64,
    /// Added, replaced or removed since the index was opened or saved.
    changed: BTreeSet<u64>,
}

impl ProductIndex {
    /// Of no products.
    pub fn new(vocabulary: Vocabulary) -> Self {
        let frequencies = vec![0; vocabulary.words()];
        Self {
            vocabulary,
            segments: Vec::new(),
            alive: Vec::new(),
            places: BTreeMap::new(),
            frequencies,
            features: 0,
            changed: BTreeSet::new(),
        }
    }

    /// From what was saved. Products stay in `bytes`, which may be a mapped file ([`Bytes::from_owner`]); they are read once here, on
    /// all threads, for the checksums. Bytes that change later give other answers, but no panic.
    ///
    /// # Errors
    /// [`IndexError::Truncated`], [`IndexError::Version`] and [`IndexError::Broken`].
    pub fn open(bytes: Bytes) -> Result<Self, IndexError> {
        let (chunk, payload, mut at) = file::read(&bytes, 0, 0)?;
        let mut whole = 0;
        let broken = |at: usize, what| IndexError::Broken { at: at as u64, what };
        let vocabulary = (chunk == Chunk::Vocabulary).then(|| Vocabulary::from_bytes(payload)).flatten();
        let mut index = Self::new(vocabulary.ok_or(broken(0, "it does not begin with a vocabulary"))?);
        while at < bytes.len() {
            let (chunk, payload, next) = file::read(&bytes, at, whole)?;
            match chunk {
                Chunk::Vocabulary => return Err(broken(at, "a second vocabulary")),
                Chunk::Segment => {
                    let segment = Segment::read(bytes.slice_ref(payload), index.vocabulary.words());
                    index.push(segment.ok_or(broken(at, "its products are not in order"))?);
                }
                Chunk::Removed => {
                    let (ids, rest) = payload.as_chunks();
                    if !rest.is_empty() {
                        return Err(broken(at, "a list of removed products is cut off"));
                    }
                    ids.iter().for_each(|&id| _ = index.bury(u64::from_le_bytes(id)));
                }
                Chunk::End => whole = next,
            }
            at = next;
        }
        if whole < at {
            return Err(IndexError::Truncated { at: whole as u64 });
        }
        Ok(index)
    }

    /// Writes the whole index.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn save(&mut self, sink: &mut impl Write) -> io::Result<()> {
        for segment in 0..self.segments.len() {
            if self.living(segment) < self.segments[segment].products() {
                self.merge(segment..segment + 1);
            }
        }
        file::write(Chunk::Vocabulary, &self.vocabulary.to_bytes(), sink)?;
        for segment in &self.segments {
            file::write(Chunk::Segment, segment.bytes(), sink)?;
        }
        file::write(Chunk::End, &[], sink)?;
        self.changed.clear();
        Ok(())
    }

    /// Writes what has changed since the index was opened or saved, to be appended to its file; nothing where nothing has.
    ///
    /// # Errors
    /// Those of `sink`; what has changed is still to be written then.
    pub fn append(&mut self, sink: &mut impl Write) -> io::Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let removed: Vec<u8> =
            self.changed.iter().filter(|id| !self.places.contains_key(id)).flat_map(|id| id.to_le_bytes()).collect();
        if !removed.is_empty() {
            file::write(Chunk::Removed, &removed, sink)?;
        }
        let added: Vec<(u32, u32)> = self.changed.iter().filter_map(|id| self.places.get(id).copied()).collect();
        for added in self.by_features(&added) {
            file::write(Chunk::Segment, self.gather(added).bytes(), sink)?;
        }
        file::write(Chunk::End, &[], sink)?;
        self.changed.clear();
        Ok(())
    }

    /// The words it is kept by.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The number of products.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The products, in ascending order.
    pub fn products(&self) -> impl Iterator<Item = u64> {
        self.places.keys().copied()
    }

    /// Adds a product, or replaces it.
    ///
    /// # Errors
    /// [`IndexError::OtherKind`].
    pub fn add(&mut self, product: u64, described: &Described, colours: Colours) -> Result<(), IndexError> {
        self.add_all(&[(product, described, colours)])
    }

    /// Adds or replaces many products at once, which is faster; of those with the same id, the last.
    ///
    /// # Errors
    /// [`IndexError::OtherKind`], and then nothing is added.
    pub fn add_all(&mut self, products: &[(u64, &Described, Colours)]) -> Result<(), IndexError> {
        if products.iter().any(|(_, described, _)| described.kind != self.vocabulary.kind()) {
            return Err(IndexError::OtherKind);
        }
        let last: BTreeMap<u64, &(u64, &Described, Colours)> =
            products.iter().map(|product| (product.0, product)).collect();
        let last: Vec<_> = last.into_values().collect();
        let rows: Vec<Row<'_>> = last
            .par_iter()
            .map(|(id, described, colours)| Row::new(*id, described, *colours, &self.vocabulary))
            .collect();
        let mut rows = rows.as_slice();
        while !rows.is_empty() {
            let count = fitting(rows.iter().map(|row| row.words.len()));
            let (first, rest) = rows.split_at(count);
            self.changed.extend(first.iter().map(|row| row.id));
            self.push(Segment::build(first));
            rows = rest;
        }
        self.settle();
        Ok(())
    }

    /// Removes a product; whether there was one.
    pub fn remove(&mut self, product: u64) -> bool {
        let removed = self.bury(product);
        if removed {
            self.changed.insert(product);
            self.settle();
        }
        removed
    }

    /// Takes in a segment, whose products replace those that there are.
    fn push(&mut self, segment: Segment) {
        (0..segment.products() as u32).for_each(|product| _ = self.bury(segment.id(product)));
        segment.each_word(|word, count| {
            if let Some(frequency) = self.frequencies.get_mut(word as usize) {
                *frequency = frequency.saturating_add(count);
                self.features += u64::from(count);
            }
        });
        let place = self.segments.len() as u32;
        self.places.extend((0..segment.products() as u32).map(|product| (segment.id(product), (place, product))));
        self.alive.push(vec![true; segment.products()]);
        self.segments.push(segment);
    }

    /// Marks a product as removed.
    fn bury(&mut self, product: u64) -> bool {
        let Some((segment, place)) = self.places.remove(&product) else { return false };
        self.alive[segment as usize][place as usize] = false;
        for word in self.segments[segment as usize].words(place) {
            if let Some(frequency) = self.frequencies.get_mut(word as usize) {
                *frequency = frequency.saturating_sub(1);
                self.features = self.features.saturating_sub(1);
            }
        }
        true
    }

    /// Products of a segment that are still there.
    fn living(&self, segment: usize) -> usize {
        self.alive[segment].iter().filter(|&&alive| alive).count()
    }

    /// Keeps the segments few: a segment takes in the next one where it is less than twice as large, and is written again
    /// where less than half of it is alive.
    fn settle(&mut self) {
        while let Some(last) = self.segments.len().checked_sub(1) {
            let living = self.living(last);
            if living * 2 < self.segments[last].products() {
                self.merge(last..last + 1);
                continue;
            }
            let Some(before) = last.checked_sub(1) else { break };
            let features = self.segments[before].len() + self.segments[last].len();
            if self.living(before) >= 2 * living || features > SEGMENT_FEATURES {
                break;
            }
            self.merge(before..last + 1);
        }
        for segment in (0..self.segments.len()).rev() {
            if self.living(segment) * 2 < self.segments[segment].products() {
                self.merge(segment..segment + 1);
            }
        }
    }

    /// Puts one segment of what is alive in the place of some.
    fn merge(&mut self, range: Range<usize>) {
        let mut members: Vec<(u64, (u32, u32))> = Vec::new();
        for segment in range.clone() {
            let alive = self.alive[segment].iter().zip(0..).filter(|(alive, _)| **alive);
            members.extend(alive.map(|(_, place)| (self.segments[segment].id(place), (segment as u32, place))));
        }
        members.sort_unstable();
        let places: Vec<(u32, u32)> = members.iter().map(|member| member.1).collect();
        let merged = (!places.is_empty()).then(|| self.gather(&places));
        let fewer = range.len() - usize::from(merged.is_some());
        self.alive.splice(range.clone(), merged.as_ref().map(|segment| vec![true; segment.products()]));
        self.segments.splice(range.clone(), merged);
        for (segment, _) in self.places.values_mut().filter(|(segment, _)| *segment as usize >= range.end) {
            *segment -= fewer as u32;
        }
        for ((id, _), place) in members.iter().zip(0..) {
            self.places.insert(*id, (range.start as u32, place));
        }
    }

    /// A segment of products that are there, which are in ascending order of their ids.
    fn gather(&self, places: &[(u32, u32)]) -> Segment {
        let rows: Vec<Row<'_>> = places
            .par_iter()
            .map(|&(segment, place)| self.segments[segment as usize].row(place, self.vocabulary.kind()))
            .collect();
        Segment::build(&rows)
    }

    /// Products, in parts that each fit a segment.
    fn by_features<'p>(&self, mut places: &'p [(u32, u32)]) -> Vec<&'p [(u32, u32)]> {
        let mut parts = Vec::new();
        while !places.is_empty() {
            let sizes = places.iter().map(|&(segment, place)| self.segments[segment as usize].features(place).len());
            let (first, rest) = places.split_at(fitting(sizes));
            parts.push(first);
            places = rest;
        }
        parts
    }
}

/// A segment has at most so many features: less than a `u32` counts, by far.
const SEGMENT_FEATURES: usize = 1 << 26;

/// How many products of those sizes fit a segment; at least one.
fn fitting(sizes: impl Iterator<Item = usize>) -> usize {
    let mut features = 0;
    sizes
        .take_while(|size| {
            features += size;
            features <= SEGMENT_FEATURES
        })
        .count()
        .max(1)
}
