//! Brute-force matching on a [`Machine`].

use std::marker::PhantomData;

use crate::{
    features::{BinaryDescriptor, FloatDescriptors},
    matching::{Match, MatchParams, Nearest2, Neighbour},
};

use super::{
    machine::{Argument, Array, Machine, launch, launch_sharing},
    table,
    vision::Numbering,
};

/// The most components of a float descriptor: more do not fit in shared memory.
pub const MAX_COMPONENTS: usize = 128;

/// Descriptors in a machine's memory.
#[derive(Debug)]
pub struct Descriptors<M: Machine, T> {
    values: Array<M, T>,
    components: usize,
    count: usize,
}

impl<M: Machine> Descriptors<M, BinaryDescriptor> {
    /// Copies them there.
    ///
    /// # Errors
    /// Where there is not so much memory, or the machine fails.
    pub fn binary(machine: &M, descriptors: &[BinaryDescriptor]) -> Result<Self, M::Error> {
        let (components, count) = (1, descriptors.len());
        Ok(Self { values: Array::from(machine, descriptors)?, components, count })
    }
}

impl<M: Machine> Descriptors<M, f32> {
    /// Copies them there.
    ///
    /// # Errors
    /// Where there is not so much memory, or the machine fails.
    ///
    /// # Panics
    /// Where they have more than [`MAX_COMPONENTS`] components.
    pub fn float(machine: &M, descriptors: &FloatDescriptors) -> Result<Self, M::Error> {
        let (components, count) = (descriptors.components(), descriptors.len());
        assert!(components <= MAX_COMPONENTS, "descriptors of {components} components");
        Ok(Self { values: Array::from(machine, descriptors.values())?, components, count })
    }
}

impl<M: Machine, T> Descriptors<M, T> {
    /// Where kernels find them.
    pub fn held(&self) -> Held<'_, T> {
        let Self { values, components, count } = self;
        Held { values: values.into(), components: *components, count: *count, memory: PhantomData }
    }
}

/// Descriptors in memory that is a machine's as long as this is.
#[derive(Debug)]
pub struct Held<'a, T> {
    values: Argument,
    components: usize,
    count: usize,
    memory: PhantomData<&'a T>,
}

impl<T> Clone for Held<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Held<'_, T> {}

impl<'a> Held<'a, BinaryDescriptor> {
    /// `count` of `all` from the place `at` on.
    pub(crate) fn of_bits<M: Machine>(all: &'a Array<M, BinaryDescriptor>, at: usize, count: usize) -> Self {
        assert!(at <= all.len() && count <= all.len() - at, "descriptors beyond the array");
        Self { values: all.at(at), components: 1, count, memory: PhantomData }
    }
}

/// How two descriptors are compared on a machine.
pub trait Compared: Sized {
    /// Differing bits (`u32`), or the squared Euclidean distance (`f32`).
    type Distance;
    /// Whether that is a float.
    const IS_FLOAT: bool;
    /// From its bits.
    fn distance(bits: u32) -> Self::Distance;
    /// What a nearest distance is compared with, as a part of the second: of squared ones, the square.
    fn ratio(ratio: f32) -> f32;
    /// The two trains nearest to each query: distance and index in one number each.
    ///
    /// # Errors
    /// Where the machine fails.
    fn nearest<M: Machine>(
        machine: &M,
        queries: Held<Self>,
        trains: Held<Self>,
        into: &Array<M, [u64; 2]>,
    ) -> Result<(), M::Error>;
}

impl Compared for BinaryDescriptor {
    type Distance = u32;
    const IS_FLOAT: bool = false;

    fn distance(bits: u32) -> u32 {
        bits
    }

    fn ratio(ratio: f32) -> f32 {
        ratio
    }

    fn nearest<M: Machine>(
        machine: &M,
        queries: Held<Self>,
        trains: Held<Self>,
        into: &Array<M, [u64; 2]>,
    ) -> Result<(), M::Error> {
        let arguments = [queries.values, queries.count.into(), trains.values, trains.count.into(), into.into()];
        launch(machine, &table::HAMMING_NEAREST, [queries.count, 1, 1], &arguments)
    }
}

impl Compared for f32 {
    type Distance = f32;
    const IS_FLOAT: bool = true;

    fn distance(bits: u32) -> f32 {
        f32::from_bits(bits)
    }

    fn ratio(ratio: f32) -> f32 {
        ratio * ratio
    }

    fn nearest<M: Machine>(
        machine: &M,
        queries: Held<Self>,
        trains: Held<Self>,
        into: &Array<M, [u64; 2]>,
    ) -> Result<(), M::Error> {
        let components = queries.components;
        let comparable = components == trains.components || queries.count == 0 || trains.count == 0;
        assert!(comparable, "descriptors of different kinds");
        let shared = size_of::<f32>() * (table::MATCH_TILE * (components + 1) + table::MATCH_WARPS * components);
        let arguments =
            [queries.values, queries.count.into(), trains.values, trains.count.into(), components.into(), into.into()];
        launch_sharing(machine, &table::L2_NEAREST, [queries.count, 1, 1], shared, &arguments)
    }
}

/// No train.
const NONE: u64 = u64::MAX;

/// The two trains nearest to each query, of equal distances the one of the lower index first.
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where float descriptors have different numbers of components.
pub fn nearest2<M: Machine, T: Compared>(
    machine: &M,
    queries: Held<T>,
    trains: Held<T>,
) -> Result<Vec<Nearest2<T::Distance>>, M::Error> {
    let nearest = Array::new(machine, queries.count)?;
    T::nearest(machine, queries, trains, &nearest)?;
    let of_key = |key: u64| (key != NONE).then(|| of_key::<T>(key));
    let of_keys = |[best, second]: [u64; 2]| Nearest2 { best: of_key(best), second: of_key(second) };
    Ok(nearest.first(machine, queries.count)?.into_iter().map(of_keys).collect())
}

fn of_key<T: Compared>(key: u64) -> Neighbour<T::Distance> {
    Neighbour { distance: T::distance((key >> 32) as u32), index: key as u32 }
}

/// What [`matches()`] needs beside the descriptors; grows with them.
#[derive(Debug)]
pub struct MatchMemory<M: Machine> {
    nearest: Array<M, [u64; 2]>,
    back: Array<M, [u64; 2]>,
    marks: Array<M, u8>,
    places: Array<M, i32>,
    found: Array<M, u64>,
    numbering: Numbering<M>,
}

impl<M: Machine> MatchMemory<M> {
    /// For so many queries at first.
    ///
    /// # Errors
    /// Where there is not so much memory.
    pub fn new(machine: &M, queries: usize) -> Result<Self, M::Error> {
        Ok(Self {
            nearest: Array::new(machine, queries)?,
            back: Array::new(machine, 0)?,
            marks: Array::new(machine, queries)?,
            places: Array::new(machine, queries)?,
            found: Array::new(machine, queries)?,
            numbering: Numbering::new(machine, queries, 1)?,
        })
    }

    fn grow(&mut self, machine: &M, queries: usize, back: usize) -> Result<(), M::Error> {
        if self.nearest.len() < queries {
            *self = Self::new(machine, queries.next_power_of_two())?;
        }
        self.back.grow(machine, back)
    }
}

/// The pairs held for the same point, in the order of the queries; all of it on the machine.
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where float descriptors have different numbers of components.
pub fn matches<M: Machine, T: Compared>(
    machine: &M,
    queries: Held<T>,
    trains: Held<T>,
    params: MatchParams,
    memory: &mut MatchMemory<M>,
) -> Result<Vec<Match<T::Distance>>, M::Error> {
    let count = queries.count;
    if count == 0 {
        return Ok(Vec::new());
    }
    memory.grow(machine, count, if params.cross_check { trains.count } else { 0 })?;
    let MatchMemory { nearest, back, marks, places, found, numbering } = memory;
    T::nearest(machine, queries, trains, nearest)?;
    if params.cross_check {
        T::nearest(machine, trains, queries, back)?;
    }
    let nearest = (&*nearest).into();
    let back = if params.cross_check { (&*back).into() } else { Argument::Address(0) };
    let ratio = params.ratio.map_or(-1.0, T::ratio);
    let arguments = [nearest, count.into(), back, ratio.into(), T::IS_FLOAT.into(), (&*marks).into()];
    launch(machine, &table::MATCH_MARK, [count, 1, 1], &arguments)?;
    numbering.run(machine, count, marks, None, Some((places, count)))?;
    let arguments = [nearest, (&*places).into(), numbering.totals().into(), count.into(), (&*found).into()];
    launch(machine, &table::MATCH_GATHER, [count, 1, 1], &arguments)?;
    let total = numbering.totals().first(machine, 1)?[0].unsigned_abs() as usize;
    let pairs = places.first(machine, total)?.into_iter().zip(found.first(machine, total)?);
    let of_pair = |(query, key): (i32, u64)| {
        let Neighbour { distance, index } = of_key::<T>(key);
        Match { query: query.unsigned_abs(), train: index, distance }
    };
    Ok(pairs.map(of_pair).collect())
}
