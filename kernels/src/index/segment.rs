//! Products that were added together, laid out as they are saved: read in place, from memory or a mapped file.

use std::borrow::Cow;

use bytes::Bytes;
use rayon::prelude::*;

use crate::features::Keypoint;

use super::{
    codes::{BYTES, Code, Described, Kind},
    colours::{self, Colours},
    vocabulary::Vocabulary,
};

/// A product to lay out.
pub(super) struct Row<'a> {
    pub(super) id: u64,
    pub(super) described: Cow<'a, Described>,
    pub(super) colours: Colours,
    /// The word of each feature, and its signature.
    pub(super) words: Vec<(u32, u64)>,
}

/// A segment. All numbers are little-endian, and read byte by byte: nothing need be aligned.
///
/// Products are in ascending order of their ids, features in that of their products, postings in that of words, then of features.
/// What says where a row lies is held beside the bytes, some kilobytes a thousand products: bytes of a file that somebody changes under
/// the map give other answers, but lead nowhere else.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    bytes: Bytes,
    features: usize,
    /// In ascending order.
    ids: Vec<u64>,
    /// The first feature of each product, and the number of features.
    starts: Vec<u32>,
    /// In ascending order; and the first posting of each, and the number of postings.
    words: Vec<u32>,
    posts: Vec<u32>,
    at: Offsets,
}

/// Where the columns begin, in bytes; each but the first where the one before ends.
#[derive(Clone, Copy, Debug, Default)]
struct Offsets {
    /// `u64` a product.
    ids: usize,
    /// Width and height, `u16` each, a product.
    sizes: usize,
    /// Colours of a product.
    colours: usize,
    /// `u32`: the first feature of each product, and the number of features.
    starts: usize,
    /// x, y, size and angle of a feature, `f32` each.
    places: usize,
    /// Descriptors.
    codes: usize,
    /// `u32`: the word of each feature.
    spoken: usize,
    /// `u64`: the signature of each posting.
    signatures: usize,
    /// `u32`: the product of each posting, and its feature.
    owners: usize,
    posted: usize,
    /// `u32`: the words that there are, then for each its first posting, and the number of postings.
    words: usize,
    posts: usize,
    end: usize,
}

const HEADER: usize = 16;
const COLOURS: usize = colours::BYTES;

impl Offsets {
    /// None where such a segment is larger than memory can be.
    fn of(products: usize, features: usize, words: usize) -> Option<Self> {
        let mut end = HEADER;
        let mut column = |size: usize, rows: usize| {
            let begin = end;
            end = end.checked_add(size.checked_mul(rows)?)?;
            Some(begin)
        };
        let mut at = Self {
            ids: column(8, products)?,
            sizes: column(4, products)?,
            colours: column(COLOURS, products)?,
            starts: column(4, products.checked_add(1)?)?,
            places: column(16, features)?,
            codes: column(BYTES, features)?,
            spoken: column(4, features)?,
            signatures: column(8, features)?,
            owners: column(4, features)?,
            posted: column(4, features)?,
            words: column(4, words)?,
            posts: column(4, words.checked_add(1)?)?,
            end: 0,
        };
        at.end = end;
        Some(at)
    }
}

/// The postings of a word.
pub(super) struct Postings<'s> {
    pub(super) signatures: &'s [[u8; 8]],
    owners: &'s [[u8; 4]],
    posted: &'s [[u8; 4]],
}

impl Postings<'_> {
    /// Of the posting of that index: the product it belongs to, and the feature, both by their places in the segment.
    pub(super) fn owner(&self, index: usize) -> (u32, u32) {
        (u32::from_le_bytes(self.owners[index]), u32::from_le_bytes(self.posted[index]))
    }
}

impl Segment {
    /// Lays out products, in ascending order of their ids.
    pub(super) fn build(rows: &[Row<'_>]) -> Self {
        let features: usize = rows.iter().map(|row| row.words.len()).sum();
        // (word, feature, product, signature), in the order of words and then of features.
        let mut postings: Vec<(u32, u32, u32, u64)> = Vec::with_capacity(features);
        for (row, product) in rows.iter().zip(0..) {
            for &(word, signature) in &row.words {
                postings.push((word, postings.len() as u32, product, signature));
            }
        }
        postings.sort_unstable();
        let mut words: Vec<(u32, u32)> = Vec::new();
        for (&(word, ..), index) in postings.iter().zip(0..) {
            if words.last().is_none_or(|last| last.0 != word) {
                words.push((word, index));
            }
        }
        let mut bytes = Vec::new();
        [rows.len(), features, words.len(), 0].iter().for_each(|&count| bytes.extend((count as u32).to_le_bytes()));
        rows.iter().for_each(|row| bytes.extend(row.id.to_le_bytes()));
        for row in rows {
            bytes.extend(row.described.width.to_le_bytes());
            bytes.extend(row.described.height.to_le_bytes());
        }
        rows.iter().for_each(|row| bytes.extend(row.colours.bytes()));
        let mut start = 0_u32;
        bytes.extend(start.to_le_bytes());
        for row in rows {
            start += row.words.len() as u32;
            bytes.extend(start.to_le_bytes());
        }
        for point in rows.iter().flat_map(|row| &row.described.keypoints) {
            [point.x, point.y, point.size, point.angle].iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        }
        rows.iter().flat_map(|row| &row.described.codes).for_each(|code| bytes.extend(code));
        rows.iter().flat_map(|row| &row.words).for_each(|word| bytes.extend(word.0.to_le_bytes()));
        postings.iter().for_each(|posting| bytes.extend(posting.3.to_le_bytes()));
        postings.iter().for_each(|posting| bytes.extend(posting.2.to_le_bytes()));
        postings.iter().for_each(|posting| bytes.extend(posting.1.to_le_bytes()));
        words.iter().for_each(|word| bytes.extend(word.0.to_le_bytes()));
        words.iter().for_each(|word| bytes.extend(word.1.to_le_bytes()));
        bytes.extend((features as u32).to_le_bytes());
        let at = Offsets::of(rows.len(), features, words.len()).unwrap_or_default();
        debug_assert_eq!(at.end, bytes.len());
        Self::of(bytes.into(), [rows.len(), features, words.len()], at)
    }

    /// Of bytes that are as long as `at` says, with so many products, features and words.
    fn of(bytes: Bytes, [products, features, words]: [usize; 3], at: Offsets) -> Self {
        let column = |at: usize, count: usize| -> Vec<u32> {
            bytes[at..at + 4 * count].as_chunks().0.iter().map(|&value| u32::from_le_bytes(value)).collect()
        };
        let ids = bytes[at.ids..at.sizes].as_chunks().0.iter().map(|&id| u64::from_le_bytes(id)).collect();
        let (starts, posts) = (column(at.starts, products + 1), column(at.posts, words + 1));
        let words = column(at.words, words);
        Self { bytes, features, ids, starts, words, posts, at }
    }

    /// A segment that was saved; none where the bytes are none, for a vocabulary of `words`.
    pub(super) fn read(bytes: Bytes, words: usize) -> Option<Self> {
        let &header: &[u8; HEADER] = bytes.first_chunk()?;
        let counts: [usize; 4] = std::array::from_fn(|i| u32::from_le_bytes(header.as_chunks().0[i]) as usize);
        let at = Offsets::of(counts[0], counts[1], counts[2])?;
        // Sums of counts that fit into memory, each at least a byte, do not overflow.
        if at.end != bytes.len() || counts[3] != 0 {
            return None;
        }
        let segment = Self::of(bytes, [counts[0], counts[1], counts[2]], at);
        segment.is_sound(words).then_some(segment)
    }

    /// The number of features, with those of products that were removed since.
    pub(super) fn len(&self) -> usize {
        self.features
    }

    /// Whether every index points to something, and all is in order.
    fn is_sound(&self, words: usize) -> bool {
        let covers = |column: &[u32]| {
            let ends = (column.first().copied(), column.last().map(|&last| last as usize));
            ends == (Some(0), Some(self.features)) && column.is_sorted()
        };
        covers(&self.starts)
            && covers(&self.posts)
            && self.ids.is_sorted_by(|a, b| a < b)
            && self.words.is_sorted_by(|a, b| a < b)
            && self.words.last().is_none_or(|&last| (last as usize) < words)
            && self.starts.windows(2).all(|pair| pair[1] - pair[0] <= 0xffff)
            && self.is_posted()
    }

    /// Whether each feature is posted once, under its word and with its product.
    fn is_posted(&self) -> bool {
        let spoken = self.numbers(self.at.spoken, self.features);
        self.words.par_iter().all(|&word| {
            let mut next = 0;
            let postings = self.postings(word);
            (0..postings.signatures.len()).all(|index| {
                let (owner, posted) = postings.owner(index);
                let owner = owner as usize;
                let own = owner < self.ids.len() && (self.starts[owner]..self.starts[owner + 1]).contains(&posted);
                let ascending = posted >= next;
                next = posted.saturating_add(1);
                own && ascending && spoken.get(posted as usize) == Some(&word.to_le_bytes())
            })
        })
    }

    fn numbers(&self, at: usize, count: usize) -> &[[u8; 4]] {
        self.bytes[at..at + 4 * count].as_chunks().0
    }

    /// As it is saved.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Products, with those that were removed since.
    pub(super) fn products(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn id(&self, product: u32) -> u64 {
        self.ids[product as usize]
    }

    /// Width and height of a product's picture.
    pub(super) fn size(&self, product: u32) -> (u16, u16) {
        let [w0, w1, h0, h1] = self.numbers(self.at.sizes, self.ids.len())[product as usize];
        (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]))
    }

    pub(super) fn colours(&self, product: u32) -> Colours {
        Colours::from_bytes(&self.bytes[self.at.colours..].as_chunks().0[product as usize])
    }

    /// The features of a product, by their places in the segment.
    pub(super) fn features(&self, product: u32) -> std::ops::Range<usize> {
        self.starts[product as usize] as usize..self.starts[product as usize + 1] as usize
    }

    /// The descriptors of a product.
    pub(super) fn codes(&self, product: u32) -> &[Code] {
        &self.bytes[self.at.codes..].as_chunks().0[self.features(product)]
    }

    /// Where a feature is, and how large and turned.
    pub(super) fn keypoint(&self, feature: usize) -> Keypoint {
        let place: &[u8; 16] = &self.bytes[self.at.places..].as_chunks().0[feature];
        let [x, y, size, angle] = std::array::from_fn(|i| f32::from_le_bytes(place.as_chunks().0[i]));
        Keypoint { x, y, size, angle, response: 0.0, octave: 0, level: 0 }
    }

    /// The postings of a word.
    pub(super) fn postings(&self, word: u32) -> Postings<'_> {
        let range = match self.words.binary_search(&word) {
            Ok(index) => self.posts[index] as usize..self.posts[index + 1] as usize,
            Err(_) => 0..0,
        };
        Postings {
            signatures: &self.bytes[self.at.signatures..].as_chunks().0[range.clone()],
            owners: &self.numbers(self.at.owners, self.features)[range.clone()],
            posted: &self.numbers(self.at.posted, self.features)[range],
        }
    }

    /// Calls `visit` with each word and the number of its postings.
    pub(super) fn each_word(&self, mut visit: impl FnMut(u32, u32)) {
        self.words.iter().zip(self.posts.windows(2)).for_each(|(&word, posts)| visit(word, posts[1] - posts[0]));
    }

    /// The word of each feature of a product.
    pub(super) fn words(&self, product: u32) -> impl Iterator<Item = u32> {
        let words = &self.numbers(self.at.spoken, self.features)[self.features(product)];
        words.iter().map(|&word| u32::from_le_bytes(word))
    }

    /// A product as it was added, given the kind of its descriptors.
    pub(super) fn row(&self, product: u32, kind: Kind) -> Row<'static> {
        let (width, height) = self.size(product);
        let features = self.features(product);
        let keypoints = features.clone().map(|feature| self.keypoint(feature)).collect();
        let words =
            self.words(product).zip(features).map(|(word, feature)| (word, self.signature(word, feature as u32)));
        let words = words.collect();
        let described = Described { kind, width, height, keypoints, codes: self.codes(product).to_vec() };
        Row { id: self.id(product), described: Cow::Owned(described), colours: self.colours(product), words }
    }

    fn signature(&self, word: u32, feature: u32) -> u64 {
        let postings = self.postings(word);
        let index = postings.posted.binary_search_by_key(&feature, |&posted| u32::from_le_bytes(posted));
        // Every feature is posted under its word, unless the bytes have changed since they were read.
        index.map_or(0, |index| u64::from_le_bytes(postings.signatures[index]))
    }
}

impl<'a> Row<'a> {
    /// A product to add.
    pub(super) fn new(id: u64, described: &'a Described, colours: Colours, vocabulary: &Vocabulary) -> Self {
        let (mut scratch, mut nearest) = (Vec::new(), Vec::new());
        let words = described.codes.iter().map(|code| {
            vocabulary.nearest(code, 1, &mut scratch, &mut nearest);
            let word = nearest.first().copied().unwrap_or(0);
            (word, vocabulary.signature(&vocabulary.turn(code), word))
        });
        Self { id, words: words.collect(), described: Cow::Borrowed(described), colours }
    }
}
