//! The detector's pre- and post-processing on a [`Machine`]: the same results, bit for bit, as the Rust functions of the same
//! names.

use larder_records::{BoundingBox, Ppm};

use crate::{
    Plane,
    components::Component,
    letterbox::{Fit, InputFormat, Zoom},
};

use super::{
    machine::{Argument, Array, Machine, Plain, launch},
    table,
};

/// Pictures of one size, one behind the other in a machine's memory.
#[derive(Debug)]
pub struct Pictures<M: Machine, T> {
    pub(crate) pixels: Array<M, T>,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) count: usize,
}

impl<M: Machine, T: Plain> Pictures<M, T> {
    /// Room for `count` pictures; their pixels are unspecified.
    ///
    /// # Errors
    /// Where there is not so much memory.
    ///
    /// # Panics
    /// Where there are more pixels than kernels count.
    pub fn new(machine: &M, width: usize, height: usize, count: usize) -> Result<Self, M::Error> {
        Ok(Self { pixels: Array::new(machine, width * height * count)?, width, height, count })
    }

    /// The given pictures.
    ///
    /// # Errors
    /// Where there is not so much memory, or the machine fails.
    ///
    /// # Panics
    /// Where they are not all of one size.
    pub fn from(machine: &M, pictures: &[&Plane<T>]) -> Result<Self, M::Error> {
        let (width, height) = pictures.first().map_or((0, 0), |first| (first.width(), first.height()));
        let all = Self::new(machine, width, height, pictures.len())?;
        for (index, picture) in pictures.iter().enumerate() {
            all.put(machine, index, picture)?;
        }
        Ok(all)
    }

    /// Replaces one picture.
    ///
    /// # Errors
    /// Where the machine fails.
    ///
    /// # Panics
    /// Where it is of another size, or there are not so many.
    pub fn put(&self, machine: &M, index: usize, picture: &Plane<T>) -> Result<(), M::Error> {
        assert_eq!((picture.width(), picture.height()), (self.width, self.height), "the pictures differ in size");
        assert!(index < self.count, "there is no picture {index}");
        self.pixels.put(machine, index * self.width * self.height, picture.pixels())
    }

    /// One picture.
    ///
    /// # Errors
    /// Where the machine, or a kernel launched before, fails.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn get(&self, machine: &M, index: usize) -> Result<Plane<T>, M::Error> {
        assert!(index < self.count, "there is no picture {index}");
        let mut picture = Plane::new(self.width, self.height);
        self.pixels.get(machine, index * self.width * self.height, picture.pixels_mut())?;
        Ok(picture)
    }

    /// Pixels a row, rows, and how many pictures.
    pub fn extent(&self) -> [usize; 3] {
        [self.width, self.height, self.count]
    }
}

/// The brightness of every pixel (ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B), rounded as OpenCV does.
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where the pictures differ in size or number.
pub fn grey<M: Machine>(machine: &M, from: &Pictures<M, [u8; 3]>, to: &Pictures<M, u8>) -> Result<(), M::Error> {
    assert_eq!(from.extent(), to.extent(), "the pictures differ in size");
    let [width, height, count] = from.extent();
    let pixels = width * height;
    launch(machine, &table::GREY, [pixels, 1, count], &[(&from.pixels).into(), pixels.into(), (&to.pixels).into()])
}

/// Every picture in another size: bilinearly with pixel centres at halves, rounded.
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where there are not as many pictures in both, or there is nothing to resize.
pub fn resize<M: Machine>(machine: &M, from: &Pictures<M, [u8; 3]>, to: &Pictures<M, [u8; 3]>) -> Result<(), M::Error> {
    let [width, height, count] = from.extent();
    assert_eq!(count, to.count, "not as many pictures");
    assert!(width > 0 && height > 0, "nothing to resize");
    let (sides, to_sides) = ([width, height], [to.width, to.height]);
    let [w, h, to_w, to_h] = [sides[0], sides[1], to_sides[0], to_sides[1]].map(Argument::from);
    launch(machine, &table::RESIZE, to.extent(), &[(&from.pixels).into(), w, h, to_w, to_h, (&to.pixels).into()])
}

/// Every picture smoothed across and down by five weights, the third in the middle, the same on either side of it; beyond its
/// borders a picture goes on as at them.
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where the pictures differ in size or number.
pub fn smooth<M: Machine>(
    machine: &M,
    from: &Pictures<M, f32>,
    [_, _, middle, first, second]: [f32; 5],
    to: &Pictures<M, f32>,
) -> Result<(), M::Error> {
    assert_eq!(from.extent(), to.extent(), "the pictures differ in size");
    let [width, height, _] = from.extent();
    let weights = [middle, first, second].map(Argument::from);
    let arguments =
        [&[(&from.pixels).into(), width.into(), height.into()], &weights[..], &[(&to.pixels).into()]].concat();
    launch(machine, &table::SMOOTH, from.extent(), &arguments)
}

/// [`crate::letterbox::letterbox`] of the same part of every picture; `into` has room for three planes of each.
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where the clipped `bounds` are empty, or `into` is too small.
pub fn letterbox<M: Machine>(
    machine: &M,
    pictures: &Pictures<M, [u8; 3]>,
    bounds: BoundingBox,
    format: InputFormat,
    into: &Array<M, f32>,
) -> Result<Zoom, M::Error> {
    let [width, height, count] = pictures.extent();
    assert!(into.len() >= 3 * format.width * format.height * count, "no room for the planes");
    let fit = Fit::new((width, height), bounds, format);
    launch(
        machine,
        &table::LETTERBOX,
        [format.width, format.height, count],
        &[
            (&pictures.pixels).into(),
            width.into(),
            height.into(),
            fit.left.into(),
            fit.top.into(),
            fit.from_width.into(),
            fit.from_height.into(),
            fit.to_width.into(),
            fit.to_height.into(),
            format.width.into(),
            format.height.into(),
            format.bgr.into(),
            format.mean.into(),
            format.scale.into(),
            fit.fill(format).into(),
            into.into(),
        ],
    )?;
    Ok(fit.zoom)
}

/// [`crate::change::colour_change`] of every picture, against one empty scene.
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where the pictures differ in size or number, or `reach` is above [`table::MAX_REACH`].
pub fn colour_change<M: Machine>(
    machine: &M,
    pictures: &Pictures<M, [u8; 3]>,
    empty: &Pictures<M, [u8; 3]>,
    known: &Pictures<M, u8>,
    reach: usize,
    into: &Pictures<M, u8>,
) -> Result<(), M::Error> {
    let [width, height, count] = pictures.extent();
    assert_eq!(empty.extent(), [width, height, 1], "picture and empty scene differ in size");
    assert_eq!(known.extent(), [width, height, 1], "picture and mask differ in size");
    assert_eq!(into.extent(), pictures.extent(), "pictures and results differ in size");
    assert!(reach <= table::MAX_REACH, "a reach of {reach} pixels");
    launch(
        machine,
        &table::COLOUR_CHANGE,
        [width, height, count],
        &[
            (&pictures.pixels).into(),
            (&empty.pixels).into(),
            (&known.pixels).into(),
            width.into(),
            height.into(),
            reach.into(),
            (&into.pixels).into(),
        ],
    )
}

/// [`crate::change::grey_change`] of every picture, against one empty scene.
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where the pictures differ in size or number, or `unit` is 0.
pub fn grey_change<M: Machine>(
    machine: &M,
    pictures: &Pictures<M, u16>,
    empty: &Pictures<M, u16>,
    unit: u16,
    into: &Pictures<M, u8>,
) -> Result<(), M::Error> {
    let [width, height, count] = pictures.extent();
    assert_eq!(empty.extent(), [width, height, 1], "the pictures differ in size");
    assert_eq!(into.extent(), pictures.extent(), "pictures and results differ in size");
    assert!(unit > 0, "a unit of 0");
    launch(
        machine,
        &table::GREY_CHANGE,
        [width * height, 1, count],
        &[
            (&pictures.pixels).into(),
            (&empty.pixels).into(),
            (width * height).into(),
            i32::from(unit).into(),
            (&into.pixels).into(),
        ],
    )
}

/// Numbers those of the items of each picture that are marked, in order.
#[derive(Debug)]
pub(crate) struct Numbering<M: Machine> {
    counts: Array<M, i32>,
    totals: Array<M, i32>,
    pictures: usize,
}

impl<M: Machine> Numbering<M> {
    /// For at most `items` of each picture.
    pub(crate) fn new(machine: &M, items: usize, pictures: usize) -> Result<Self, M::Error> {
        let parts = items.div_ceil(table::NUMBER_PART);
        let (counts, totals) = (Array::new(machine, parts * pictures)?, Array::new(machine, pictures)?);
        Ok(Self { counts, totals, pictures })
    }

    /// Gives each of the `items` that is marked its number, or each number below the capacity its item.
    pub(crate) fn run(
        &self,
        machine: &M,
        items: usize,
        marks: &Array<M, u8>,
        numbers: Option<&Array<M, i32>>,
        places: Option<(&Array<M, i32>, usize)>,
    ) -> Result<(), M::Error> {
        let extent = [items, 1, self.pictures];
        let parts = items.div_ceil(table::NUMBER_PART);
        assert!(parts * self.pictures <= self.counts.len(), "no room for the counts of {items} items");
        let (marks, counts) = (marks.into(), (&self.counts).into());
        launch(machine, &table::COUNT_MARKS, extent, &[marks, items.into(), parts.into(), counts])?;
        launch(machine, &table::ADD_COUNTS, [1, 1, self.pictures], &[counts, parts.into(), (&self.totals).into()])?;
        let numbers = numbers.map_or(Argument::Address(0), Argument::from);
        let (places, capacity) = places.map_or((Argument::Address(0), 0), |(array, capacity)| (array.into(), capacity));
        let arguments = [marks, items.into(), parts.into(), counts, capacity.into(), numbers, places];
        launch(machine, &table::NUMBER_MARKS, extent, &arguments)
    }

    /// How many were marked in each picture, where the kernels find it.
    pub(crate) fn totals(&self) -> &Array<M, i32> {
        &self.totals
    }
}

/// What [`components`] needs beside the masks, for masks of one size and number.
#[derive(Debug)]
pub struct ComponentMemory<M: Machine> {
    extent: [usize; 3],
    capacity: usize,
    parents: Array<M, i32>,
    is_root: Array<M, u8>,
    numbers: Array<M, i32>,
    numbering: Numbering<M>,
    found: Array<M, u32>,
}

/// Components of a picture that there is room for at first.
const CAPACITY: usize = 1024;

impl<M: Machine> ComponentMemory<M> {
    /// For masks of `width` by `height`, `count` at a time.
    ///
    /// # Errors
    /// Where there is not so much memory.
    pub fn new(machine: &M, [width, height, count]: [usize; 3]) -> Result<Self, M::Error> {
        let pixels = width * height;
        Ok(Self {
            extent: [width, height, count],
            capacity: CAPACITY,
            parents: Array::new(machine, pixels * count)?,
            is_root: Array::new(machine, pixels * count)?,
            numbers: Array::new(machine, pixels * count)?,
            numbering: Numbering::new(machine, pixels, count)?,
            found: Array::new(machine, 5 * CAPACITY * count)?,
        })
    }

    /// Launches all that points every pixel at the first one of its component.
    fn label(&self, machine: &M, masks: &Pictures<M, u8>, threshold: u8) -> Result<(), M::Error> {
        let [width, height, _] = self.extent;
        let (w, h): (Argument, Argument) = (width.into(), height.into());
        let (parents, mask) = ((&self.parents).into(), (&masks.pixels).into());
        launch(machine, &table::COMPONENT_BEGIN, self.extent, &[mask, w, h, i32::from(threshold).into(), parents])?;
        launch(machine, &table::COMPONENT_JOIN, self.extent, &[w, h, parents])?;
        launch(machine, &table::COMPONENT_FLATTEN, self.extent, &[w, h, parents, (&self.is_root).into()])
    }

    /// Launches all that finds components, of which `capacity` a picture are measured.
    fn launch(&self, machine: &M, masks: &Pictures<M, u8>, threshold: u8) -> Result<(), M::Error> {
        let [width, height, count] = self.extent;
        let (w, h): (Argument, Argument) = (width.into(), height.into());
        let (parents, found) = ((&self.parents).into(), (&self.found).into());
        self.label(machine, masks, threshold)?;
        self.numbering.run(machine, width * height, &self.is_root, Some(&self.numbers), None)?;
        let capacity: Argument = self.capacity.into();
        launch(machine, &table::COMPONENT_CLEAR, [self.capacity, 1, count], &[capacity, found])?;
        let arguments = [w, h, capacity, parents, (&self.numbers).into(), found];
        launch(machine, &table::COMPONENT_MEASURE, self.extent, &arguments)
    }
}

/// The label of each pixel of each mask that is at least `threshold` (1 or more): the place of the first pixel of its
/// component; -1 of the others.
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where the masks are not of the size and number that `memory` is for.
pub fn labels<'a, M: Machine>(
    machine: &M,
    masks: &Pictures<M, u8>,
    threshold: u8,
    memory: &'a mut ComponentMemory<M>,
) -> Result<&'a Array<M, i32>, M::Error> {
    assert_eq!(memory.extent, masks.extent(), "memory for masks of another size");
    memory.label(machine, masks, threshold)?;
    Ok(&memory.parents)
}

/// [`crate::components::components`] of the pixels of each mask that are at least `threshold` (1 or more).
///
/// # Errors
/// Where the machine fails.
///
/// # Panics
/// Where the masks are not of the size and number that `memory` is for, or a side is longer than 65535 pixels.
pub fn components<M: Machine>(
    machine: &M,
    masks: &Pictures<M, u8>,
    threshold: u8,
    memory: &mut ComponentMemory<M>,
) -> Result<Vec<Vec<Component>>, M::Error> {
    memory.begin(machine, masks, threshold)?;
    memory.finish(machine, masks, threshold)
}

impl<M: Machine> ComponentMemory<M> {
    /// Starts to look for the components of masks; does not wait.
    ///
    /// # Errors
    /// Where the machine fails.
    ///
    /// # Panics
    /// As [`components`].
    pub fn begin(&self, machine: &M, masks: &Pictures<M, u8>, threshold: u8) -> Result<(), M::Error> {
        let [width, height, _] = masks.extent();
        assert_eq!(self.extent, masks.extent(), "memory for masks of another size");
        assert!(width.max(height) <= usize::from(u16::MAX), "a side is too long");
        self.launch(machine, masks, threshold)
    }

    /// Waits for what was begun with the same masks and threshold: the components of each.
    ///
    /// # Errors
    /// Where the machine fails.
    pub fn finish(
        &mut self,
        machine: &M,
        masks: &Pictures<M, u8>,
        threshold: u8,
    ) -> Result<Vec<Vec<Component>>, M::Error> {
        let [width, height, count] = self.extent;
        if width * height == 0 {
            return Ok(vec![Vec::new(); count]);
        }
        let totals = self.numbering.totals().first(machine, count)?;
        let most = totals.iter().copied().max().map_or(0, i32::unsigned_abs) as usize;
        if most > self.capacity {
            self.capacity = most.next_power_of_two();
            self.found = Array::new(machine, 5 * self.capacity * count)?;
            self.launch(machine, masks, threshold)?;
        }
        let capacity = self.capacity;
        let found = self.found.first(machine, 5 * capacity * count)?;
        let side = |value: u32| value as u16;
        let of_picture = |(picture, &total): (usize, &i32)| {
            let rows = &found[picture * 5 * capacity..];
            let component = |i: usize| Component {
                bounds: BoundingBox {
                    left: side(rows[i]),
                    top: side(rows[capacity + i]),
                    right: side(rows[2 * capacity + i]),
                    bottom: side(rows[3 * capacity + i]),
                },
                area: rows[4 * capacity + i],
            };
            (0..total.unsigned_abs() as usize).map(component).collect()
        };
        Ok(totals.iter().enumerate().map(of_picture).collect())
    }
}

/// [`crate::nms::non_maximum_suppression`].
///
/// # Errors
/// Where the machine fails.
pub fn non_maximum_suppression<M: Machine>(
    machine: &M,
    boxes: &[(BoundingBox, Ppm)],
    max_iou: Ppm,
) -> Result<Vec<usize>, M::Error> {
    if boxes.is_empty() {
        return Ok(Vec::new());
    }
    let sides: Vec<[u16; 4]> = boxes.iter().map(|(b, _)| [b.left, b.top, b.right, b.bottom]).collect();
    let scores: Vec<u32> = boxes.iter().map(|(_, score)| *score).collect();
    let (count, words) = (boxes.len(), boxes.len().div_ceil(64));
    let (sides, scores) = (Array::<M, _>::from(machine, &sides)?, Array::<M, _>::from(machine, &scores)?);
    let order = Array::<M, i32>::new(machine, count)?;
    let (overlaps, struck) = (Array::<M, u64>::new(machine, count * words)?, Array::<M, u64>::new(machine, words)?);
    let (kept, total) = (Array::<M, i32>::new(machine, count)?, Array::<M, i32>::new(machine, 1)?);
    let (n, w): (Argument, Argument) = (count.into(), words.into());
    launch(machine, &table::NMS_RANK, [count, 1, 1], &[(&scores).into(), n, (&order).into()])?;
    let arguments = [(&sides).into(), (&order).into(), n, w, max_iou.into(), (&overlaps).into()];
    launch(machine, &table::NMS_OVERLAPS, [words, count, 1], &arguments)?;
    let arguments = [(&order).into(), (&overlaps).into(), n, w, (&struck).into(), (&kept).into(), (&total).into()];
    launch(machine, &table::NMS_KEEP, [1, 1, 1], &arguments)?;
    let remaining = total.first(machine, 1)?[0].unsigned_abs() as usize;
    Ok(kept.first(machine, remaining.min(count))?.into_iter().map(|index| index.unsigned_abs() as usize).collect())
}
