//! Rows of a plane, shared out among threads.

use std::ops::Range;

use crate::{Plane, buffer::Buffer};

/// Rows that a thread is worth starting for.
const MIN_ROWS: usize = 32;

/// Calls `work` with parts of the rows of all planes (of one size), which together are all rows; on `threads` threads.
///
/// The parts must not change what is computed.
pub(super) fn by_rows<const N: usize>(
    threads: usize,
    planes: [&mut Plane<f32>; N],
    work: impl Fn(Range<usize>, [&mut [f32]; N]) + Sync,
) {
    let (width, height) = planes.first().map_or((0, 0), |plane| (plane.width(), plane.height()));
    let threads = worthwhile(threads, height);
    let mut rest = planes.map(Plane::pixels_mut);
    if threads == 1 {
        return work(0..height, rest);
    }
    rayon::scope(|scope| {
        let work = &work;
        for thread in 0..threads {
            let rows = share(0..height, thread, threads);
            let part = rest.each_mut().map(|rest| rest.split_off_mut(..rows.len() * width).unwrap_or_default());
            if thread + 1 < threads {
                scope.spawn(move |_| work(rows, part));
            } else {
                work(rows, part);
            }
        }
    });
}

/// Calls `work` with parts of `rows`, which together are all of them, and gathers what is found in them into `found`, in the order of
/// the parts; on `threads` threads.
pub(super) fn gather<T: Send>(
    threads: usize,
    rows: Range<usize>,
    found: &mut Vec<T>,
    work: impl Fn(Range<usize>, &mut Vec<T>) + Sync,
) {
    let threads = worthwhile(threads, rows.len());
    if threads == 1 {
        return work(rows, found);
    }
    let mut parts: Vec<Vec<T>> = (0..threads).map(|_| Vec::new()).collect();
    rayon::scope(|scope| {
        let work = &work;
        for (thread, found) in parts.iter_mut().enumerate() {
            let rows = share(rows.clone(), thread, threads);
            // As above, so that the rows that a thread wrote are in its cache.
            if thread + 1 < threads {
                scope.spawn(move |_| work(rows, found));
            } else {
                work(rows, found);
            }
        }
    });
    parts.iter_mut().for_each(|part| found.append(part));
}

/// Threads that so many rows are worth.
fn worthwhile(threads: usize, rows: usize) -> usize {
    threads.clamp(1, (rows / MIN_ROWS).max(1))
}

/// The part of `rows` that one of several threads has.
fn share(rows: Range<usize>, thread: usize, threads: usize) -> Range<usize> {
    let end = |thread| rows.start + rows.len() * thread / threads;
    end(thread)..end(thread + 1)
}

/// The row nearest to `y` in a plane of that height.
#[inline(always)]
pub(super) fn nearest(y: isize, height: usize) -> usize {
    y.clamp(0, height as isize - 1) as usize
}

/// A row with at least `margin` more pixels on either side, which repeat its ends.
#[derive(Clone, Debug, Default)]
pub(super) struct PaddedRow {
    margin: usize,
    values: Buffer<f32>,
}

impl PaddedRow {
    /// For rows of `width`.
    pub(super) fn new(width: usize, margin: usize) -> Self {
        // The row itself begins where a cache line does.
        let margin = margin.next_multiple_of(16);
        Self { margin, values: Buffer::new(width + 2 * margin) }
    }

    /// The row itself.
    #[inline(always)]
    pub(super) fn inner(&mut self) -> &mut [f32] {
        let end = self.values.len() - self.margin;
        &mut self.values[self.margin..end]
    }

    /// Repeats the ends. To be called when the row is written.
    #[inline(always)]
    pub(super) fn extend(&mut self) {
        let end = self.values.len() - self.margin;
        let (first, last) = (self.values[self.margin], self.values[end - 1]);
        self.values[..self.margin].fill(first);
        self.values[end..].fill(last);
    }

    /// The row moved by `by` pixels, at most the margin: its pixel x is the row's x + by.
    #[inline(always)]
    pub(super) fn moved(&self, by: isize) -> &[f32] {
        let start = self.margin.wrapping_add_signed(by);
        &self.values[start..start + self.values.len() - 2 * self.margin]
    }

    /// The row moved back, where it is, and moved ahead.
    #[inline(always)]
    pub(super) fn spread(&self, by: isize) -> [&[f32]; 3] {
        [self.moved(-by), self.moved(0), self.moved(by)]
    }
}

/// Items that a thread takes at a time: some take longer than others.
const ITEMS: usize = 32;

/// Calls `work` with each item and its `components` values; on `threads` threads.
pub(super) fn by_items<T: Send, V: Send>(
    threads: usize,
    items: &mut [T],
    values: &mut [V],
    components: usize,
    work: impl Fn(&mut T, &mut [V]) + Sync,
) {
    let all = |items: &mut [T], values: &mut [V]| {
        items.iter_mut().zip(values.chunks_exact_mut(components)).for_each(|(item, values)| work(item, values));
    };
    if threads <= 1 {
        return all(items, values);
    }
    rayon::scope(|scope| {
        let all = &all;
        for (items, values) in items.chunks_mut(ITEMS).zip(values.chunks_mut(ITEMS * components)) {
            scope.spawn(move |_| all(items, values));
        }
    });
}
