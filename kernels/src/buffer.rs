//! Memory that vectors are loaded from.

use std::ops::{Deref, DerefMut};

/// The bytes that the widest vectors have and cache lines hold: a vector across two lines is loaded twice.
const LINE: usize = 64;

/// Values that begin where a cache line does, unless they were given.
#[derive(Debug, Default)]
pub(crate) struct Buffer<T> {
    values: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Buffer<T> {
    /// Of `len` default values.
    pub(crate) fn new(len: usize) -> Self {
        let spare = LINE / size_of::<T>().max(1);
        let values = vec![T::default(); len + spare];
        // Where the place cannot be told (in a constant context), any does.
        let start = values.as_ptr().align_offset(LINE).min(spare);
        Self { values, start, len }
    }

    /// Makes it `len` long and keeps its memory where that suffices. The values are unspecified.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.start + len <= self.values.len() {
            self.len = len;
        } else {
            *self = Self::new(len);
        }
    }
}

impl<T> From<Vec<T>> for Buffer<T> {
    fn from(values: Vec<T>) -> Self {
        Self { len: values.len(), values, start: 0 }
    }
}

impl<T: Copy + Default> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: PartialEq> PartialEq for Buffer<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Buffer<T> {}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[self.start..self.start + self.len]
    }
}
