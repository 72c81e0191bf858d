//! Brute-force matching on a [`Machine`].

use crate::{
    features::{BinaryDescriptor, FloatDescriptors},
    matching::Match,
};

use super::{
    machine::{Argument, Array, Machine, launch, launch_sharing},
    table,
    vision::Numbering,
};

/// The nearest train and the next, as many as there are.
pub type NearestTwo<D> = [Option<Match<D>>; 2];

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
        queries: &Descriptors<M, Self>,
        trains: &Descriptors<M, Self>,
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
        queries: &Descriptors<M, Self>,
        trains: &Descriptors<M, Self>,
        into: &Array<M, [u64; 2]>,
    ) -> Result<(), M::Error> {
        let arguments =
            [(&queries.values).into(), queries.count.into(), (&trains.values).into(), trains.count.into(), into.into()];
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
        queries: &Descriptors<M, Self>,
        trains: &Descriptors<M, Self>,
        into: &Array<M, [u64; 2]>,
    ) -> Result<(), M::Error> {
        let components = queries.components;
        let comparable = components == trains.components || queries.count == 0 || trains.count == 0;
        assert!(comparable, "descriptors of different kinds");
        let shared = size_of::<f32>() * (table::MATCH_TILE * (components + 1) + table::MATCH_WARPS * components);
        let arguments = [
            (&queries.values).into(),
            queries.count.into(),
            (&trains.values).into(),
            trains.count.into(),
            components.into(),
            into.into(),
        ];
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
pub fn nearest_two<M: Machine, T: Compared>(
    machine: &M,
    queries: &Descriptors<M, T>,
    trains: &Descriptors<M, T>,
) -> Result<Vec<NearestTwo<T::Distance>>, M::Error> {
    let nearest = Array::new(machine, queries.count)?;
    T::nearest(machine, queries, trains, &nearest)?;
    let keys = nearest.first(machine, queries.count)?;
    let found = |query: u32, key: u64| (key != NONE).then(|| of_key::<T>(query, key));
    Ok((0..).zip(keys).map(|(query, keys)| keys.map(|key| found(query, key))).collect())
}

fn of_key<T: Compared>(query: u32, key: u64) -> Match<T::Distance> {
    Match { query, train: key as u32, distance: T::distance((key >> 32) as u32) }
}

/// The pairs held for the same point, in the order of the queries; all of it on the machine. With `ratio`, the nearest must
/// be nearer than that part of the distance of the second; with `cross_check`, the query must in turn be the nearest to its
/// train.
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where float descriptors have different numbers of components.
pub fn matches<M: Machine, T: Compared>(
    machine: &M,
    queries: &Descriptors<M, T>,
    trains: &Descriptors<M, T>,
    ratio: Option<f32>,
    cross_check: bool,
) -> Result<Vec<Match<T::Distance>>, M::Error> {
    let count = queries.count;
    if count == 0 {
        return Ok(Vec::new());
    }
    let nearest = Array::<M, [u64; 2]>::new(machine, count)?;
    let back = Array::<M, [u64; 2]>::new(machine, if cross_check { trains.count } else { 0 })?;
    let marks = Array::<M, u8>::new(machine, count)?;
    let (places, out) = (Array::<M, i32>::new(machine, count)?, Array::<M, u64>::new(machine, count)?);
    let numbering = Numbering::new(machine, count, 1)?;
    T::nearest(machine, queries, trains, &nearest)?;
    if cross_check {
        T::nearest(machine, trains, queries, &back)?;
    }
    let back = if cross_check { (&back).into() } else { Argument::Address(0) };
    let ratio = ratio.map_or(-1.0, T::ratio);
    let arguments = [(&nearest).into(), count.into(), back, ratio.into(), T::IS_FLOAT.into(), (&marks).into()];
    launch(machine, &table::MATCH_MARK, [count, 1, 1], &arguments)?;
    numbering.run(machine, &marks, None, Some((&places, count)))?;
    let arguments = [(&nearest).into(), (&places).into(), numbering.totals().into(), count.into(), (&out).into()];
    launch(machine, &table::MATCH_GATHER, [count, 1, 1], &arguments)?;
    let total = numbering.totals().first(machine, 1)?[0].unsigned_abs() as usize;
    let queries = places.first(machine, total)?;
    let keys = out.first(machine, total)?;
    Ok(queries.into_iter().zip(keys).map(|(query, key)| of_key::<T>(query.unsigned_abs(), key)).collect())
}
