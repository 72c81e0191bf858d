//! Interned names and content hashes.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

/// A name interned as the first 8 bytes of its BLAKE3 hash.
///
/// The number depends on the text alone, never on the order in which names were met, so that ties broken by it fall the
/// same way in every run, on every worker. [`Names`] turns it back into text and refuses two texts with one number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Name(pub u64);

impl Name {
    /// Interns `text`. The empty text is [`Name::default`], "none".
    pub fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        let hash = blake3::hash(text.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        Self(u64::from_le_bytes(first))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

macro_rules! name_newtype {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub Name);

        impl $name {
            /// Interns `text`.
            pub fn of(text: &str) -> Self {
                Self(Name::of(text))
            }
        }
    )*};
}

name_newtype! {
    /// An appliance, by its installation-wide name.
    ApplianceId,
    /// A sensor, by its name within its appliance.
    SensorId,
    /// A household.
    HouseholdId,
    /// A product, by its SKU.
    ProductId,
}

/// Two different texts that hash to one [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the names {first:?} and {second:?} have the same 64-bit id; rename one of them")]
pub struct IdCollision {
    /// The text met first.
    pub first: Arc<str>,
    /// The text refused.
    pub second: Arc<str>,
}

/// The texts behind [`Name`]s.
#[derive(Debug, Clone, Default)]
pub struct Names {
    texts: HashMap<Name, Arc<str>, RandomState>,
    /// The other way round: most names come again and again, and are hashed by BLAKE3 once.
    names: HashMap<Arc<str>, Name, RandomState>,
}

impl Names {
    /// Interns `text` and remembers it.
    ///
    /// # Errors
    /// [`IdCollision`] where another text has the same id.
    pub fn intern(&mut self, text: &str) -> Result<Name, IdCollision> {
        if let Some(name) = self.names.get(text) {
            return Ok(*name);
        }
        let name = Name::of(text);
        let shared: Arc<str> = text.into();
        match self.texts.entry(name) {
            Entry::Occupied(known) => Err(IdCollision { first: known.get().clone(), second: shared }),
            Entry::Vacant(free) => {
                free.insert(shared.clone());
                self.names.insert(shared, name);
                Ok(name)
            }
        }
    }

    /// The text of `name`; empty for [`Name::default`], and where it was never interned.
    pub fn text(&self, name: Name) -> &str {
        self.texts.get(&name).map_or("", |text| text)
    }
}

/// The first 16 bytes of a BLAKE3 hash: the identity of a frame's bytes, of a model, of a scene reference.
///
/// Aligned as all that it stands beside in a row: as a bare `u128` it would cost rows up to 16 bytes of nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[repr(Rust, packed(8))]
pub struct Digest(pub u128);

impl Digest {
    /// The digest of one run of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_parts([bytes])
    }

    /// The digest of several parts; each part's length is hashed too, so that no two lists of parts run together.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut first = [0; 16];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(u128::from_be_bytes(first))
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", { self.0 })
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_depend_on_the_order_of_interning() {
        let (mut forward, mut backward) = (Names::default(), Names::default());
        let texts = ["milk", "eggs", "kitchen-7/fridge", ""];
        let there: Vec<_> = texts.iter().map(|t| forward.intern(t).unwrap()).collect();
        let mut back: Vec<_> = texts.iter().rev().map(|t| backward.intern(t).unwrap()).collect();
        back.reverse();
        assert_eq!(there, back);
        for (name, text) in there.iter().zip(texts) {
            assert_eq!(forward.text(*name), text);
        }
    }

    #[test]
    fn digests_of_parts_keep_the_parts_apart() {
        assert_ne!(Digest::of_parts([b"ab".as_slice(), b"c"]), Digest::of_parts([b"a".as_slice(), b"bc"]));
        let digest = Digest::of(b"frame");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    }
}
