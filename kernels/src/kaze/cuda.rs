//! KAZE and A-KAZE on a GPU: a batch of pictures goes up, and points with their descriptors come down; nothing in between.
//!
//! All that is launched for a batch is recorded once, for pictures of one size, and replayed as one launch. The results are
//! those of the CPU, bit for bit, where conductivity is [`Diffusivity::PmG2`] or [`Diffusivity::Charbonnier`]; the other two
//! take an exponential, which differs in the last place.

mod sizes;

use std::sync::Arc;

use crate::{
    ImageGrey8,
    cuda::{
        Argument, Array, Machine,
        machine::launch,
        matching::Held,
        table,
        vision::{Numbering, Pictures},
    },
    features::{BinaryDescriptor, BinaryFeatures, FloatDescriptors, FloatFeatures, Keypoint},
};

use super::{
    Akaze, CONTRAST_PERCENTILE, Diffusivity, FIRST_SIGMA, Kaze, SLOPE_SIGMA, apart, filter::gaussian, hessian::Reach,
    mldb, msurf, orientation::Disc,
};

pub(super) use sizes::OnMachine;

/// One level of the scale space of pictures of a given size.
#[derive(Clone, Debug)]
struct Level {
    octave: usize,
    width: usize,
    height: usize,
    /// Pixels of the level over which slopes are taken.
    reach: Reach,
    /// What determinants of this level weigh.
    weight: f32,
    /// Pixels at the edges in which no point lies.
    border: usize,
    steps: Vec<f32>,
    /// How far points are apart, pixels of the picture for one of the level, where its first pixel lies in the picture,
    /// diameter of what is described, pixels of the level from sample to sample.
    factors: [f32; 5],
}

/// What the launches of a batch depend on.
#[derive(Debug)]
struct Plan {
    /// The blur of the first level.
    first_sigma: f64,
    levels: Vec<Level>,
    /// Levels before the first that a point can lie in, which are not counted.
    levels_before: u32,
    layers: usize,
    diffusivity: Diffusivity,
    threshold: f32,
    upright: bool,
    max_points: usize,
    disc: Disc,
    descriptor: Descriptor,
}

#[derive(Debug)]
enum Descriptor {
    /// Points lie between levels, and are described by M-SURF with so many sums for each subregion.
    Surf { weights: msurf::Weights, channels: usize },
    /// Points lie in levels, and are described by M-LDB.
    Ldb,
}

impl Plan {
    fn of_kaze(kaze: &Kaze, width: usize, height: usize) -> Self {
        let params = kaze.params();
        let level = |(index, level): (usize, &super::plain::Level)| Level {
            octave: index.saturating_sub(1) / params.n_octave_layers,
            width,
            height,
            reach: level.reach,
            weight: level.weight,
            border: 1,
            steps: level.steps.clone(),
            factors: [apart(level.sigma), 1.0, 0.0, 2.0 * level.sigma as f32, 0.0],
        };
        Self {
            first_sigma: kaze.levels.first().map_or(FIRST_SIGMA, |level| level.sigma),
            levels_before: 1,
            levels: kaze.levels.iter().enumerate().map(level).collect(),
            layers: params.n_octave_layers,
            diffusivity: params.diffusivity,
            threshold: params.threshold,
            upright: params.upright,
            max_points: params.max_points,
            disc: kaze.disc.clone(),
            descriptor: Descriptor::Surf {
                weights: kaze.weights.clone(),
                channels: if params.extended { msurf::EXTENDED_COMPONENTS } else { msurf::COMPONENTS } / 16,
            },
        }
    }

    fn of_akaze(akaze: &Akaze, width: usize, height: usize) -> Self {
        let params = akaze.params();
        let octaves = akaze.octaves(width, height);
        let level = |level: &super::accelerated::Level| Level {
            octave: level.octave,
            width: width >> level.octave,
            height: height >> level.octave,
            reach: level.reach,
            weight: level.weight,
            border: level.border,
            steps: level.steps.clone(),
            factors: [apart(level.sigma), level.ratio(), 0.5 * (level.ratio() - 1.0), 2.0 * level.radius(), level.step],
        };
        Self {
            first_sigma: FIRST_SIGMA,
            levels_before: 0,
            levels: akaze.levels.iter().take_while(|level| level.octave < octaves).map(level).collect(),
            layers: params.n_octave_layers,
            diffusivity: params.diffusivity,
            threshold: params.threshold,
            upright: params.upright,
            max_points: params.max_points,
            disc: akaze.disc.clone(),
            descriptor: Descriptor::Ldb,
        }
    }
}

/// Candidates of a picture that there is room for at first.
const CAPACITY: usize = 4096;

/// How long the arrays of a room are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lengths {
    pictures: usize,
    /// Pixels of a level of all pictures.
    pixels: usize,
    /// Those of all levels.
    all_pixels: usize,
    /// Those whose brightness is kept.
    light: usize,
    capacity: usize,
    most: usize,
    floats: usize,
    bits: usize,
}

impl Lengths {
    /// What the plan takes for so many pictures, none of which has more than `capacity` candidates.
    fn of(plan: &Plan, [width, height, pictures]: [usize; 3], capacity: usize) -> Self {
        let pixels = width * height * pictures;
        let all_pixels = plan.levels.iter().map(|level| level.width * level.height * pictures).sum();
        let most = plan.max_points.min(capacity);
        let (light, floats, bits) = match plan.descriptor {
            Descriptor::Surf { channels, .. } => (2 * pixels, 16 * channels * most * pictures, 0),
            Descriptor::Ldb => (all_pixels, 0, most * pictures),
        };
        Self { pictures, pixels, all_pixels, light, capacity, most, floats, bits }
    }

    /// What has room for either.
    fn with(self, other: Self) -> Self {
        Self {
            pictures: self.pictures.max(other.pictures),
            pixels: self.pixels.max(other.pixels),
            all_pixels: self.all_pixels.max(other.all_pixels),
            light: self.light.max(other.light),
            capacity: self.capacity.max(other.capacity),
            most: self.most.max(other.most),
            floats: self.floats.max(other.floats),
            bits: self.bits.max(other.bits),
        }
    }
}

/// A machine's memory for what comes about between pictures and descriptors. Batches of several sizes may take turns in it, as
/// long as none is begun before the one before is finished.
struct Room<M: Machine> {
    lengths: Lengths,
    // The scale space. Slopes of all levels lie one behind the other; so does brightness, where descriptors need it.
    light: Array<M, f32>,
    half: Array<M, f32>,
    smooth: Array<M, f32>,
    other: Array<M, f32>,
    right: Array<M, f32>,
    below: Array<M, f32>,
    dx: Array<M, f32>,
    dy: Array<M, f32>,
    determinants: [Array<M, f32>; 3],
    // For each picture the greatest slope and the number of candidates; then the bins of its histogram.
    words: Array<M, u32>,
    factors: Array<M, f32>,
    // What is the same for every picture.
    disc: Array<M, f32>,
    weights: Array<M, f32>,
    pairs: Array<M, u32>,
    // Points.
    candidates: Array<M, f32>,
    sorted: Array<M, f32>,
    overlaps: Array<M, u64>,
    marks: Array<M, u8>,
    numbering: Numbering<M>,
    places: Array<M, i32>,
    kept: Array<M, f32>,
    values: Array<M, f32>,
    bits: Array<M, BinaryDescriptor>,
}

impl<M: Machine> Room<M> {
    fn new(machine: &M, plan: &Plan, lengths: Lengths) -> Result<Self, M::Error> {
        let Lengths { pictures, pixels, all_pixels, light, capacity, most, floats, bits } = lengths;
        let room = |len| Array::<M, f32>::new(machine, len);
        let disc = [&plan.disc.across[..], &plan.disc.down, &plan.disc.weight].concat();
        let weights = match &plan.descriptor {
            Descriptor::Surf { weights, .. } => [&weights.sample[..], &weights.region[..]].concat(),
            Descriptor::Ldb => Vec::new(),
        };
        Ok(Self {
            lengths,
            light: room(light)?,
            half: room(pixels / 4)?,
            smooth: room(pixels)?,
            other: room(pixels)?,
            right: room(pixels)?,
            below: room(pixels)?,
            dx: room(all_pixels)?,
            dy: room(all_pixels)?,
            determinants: [room(pixels)?, room(pixels)?, room(pixels)?],
            words: Array::new(machine, (2 + table::CONTRAST_BINS) * pictures)?,
            factors: room(pictures)?,
            disc: Array::from(machine, &disc)?,
            weights: Array::from(machine, &weights)?,
            pairs: Array::from(machine, &mldb::pairs())?,
            candidates: room(table::CANDIDATE_ROWS * capacity * pictures)?,
            sorted: room(table::SORTED_ROWS * capacity * pictures)?,
            overlaps: Array::new(machine, capacity * capacity / 64 * pictures)?,
            marks: Array::new(machine, capacity * pictures)?,
            numbering: Numbering::new(machine, capacity, pictures)?,
            places: Array::new(machine, most * pictures)?,
            kept: room(table::KEPT_ROWS * most * pictures)?,
            values: room(floats)?,
            bits: Array::new(machine, bits)?,
        })
    }
}

/// What is launched for pictures of one size.
struct Batch<M: Machine> {
    plan: Plan,
    count: usize,
    capacity: usize,
    /// Points of a picture that there is room for.
    most: usize,
    pictures: Arc<Pictures<M, u8>>,
    room: Arc<Room<M>>,
    light_starts: Vec<u64>,
    // What is the same for all pictures of the size.
    times: Array<M, f32>,
    levels: Array<M, f32>,
    sizes: Array<M, i32>,
    starts: Array<M, u64>,
    light_places: Array<M, u64>,
}

impl<M: Machine> Batch<M> {
    /// In a room that has room for it.
    fn new(
        machine: &M,
        plan: Plan,
        pictures: Arc<Pictures<M, u8>>,
        room: Arc<Room<M>>,
        capacity: usize,
    ) -> Result<Self, M::Error> {
        let [width, height, count] = pictures.extent();
        let lengths = Lengths::of(&plan, pictures.extent(), capacity);
        assert!(room.lengths.with(lengths) == room.lengths && room.lengths.pictures == count, "the room is too small");
        let mut all_pixels = 0;
        let mut starts = Vec::new();
        for level in &plan.levels {
            starts.push(all_pixels as u64);
            all_pixels += level.width * level.height * count;
        }
        let light_starts: Vec<u64> = match plan.descriptor {
            Descriptor::Ldb => starts.clone(),
            Descriptor::Surf { .. } => {
                (0..plan.levels.len()).map(|level| (level % 2 * width * height * count) as u64).collect()
            }
        };
        let of_levels: Vec<f32> = plan.levels.iter().flat_map(|level| level.factors).collect();
        let sizes: Vec<i32> = plan.levels.iter().flat_map(|level| [level.width as i32, level.height as i32]).collect();
        let times: Vec<f32> = plan.levels.iter().flat_map(|level| level.steps.iter().copied()).collect();
        Ok(Self {
            count,
            capacity,
            most: lengths.most,
            pictures,
            room,
            times: Array::from(machine, &times)?,
            levels: Array::from(machine, &of_levels)?,
            sizes: Array::from(machine, &sizes)?,
            starts: Array::from(machine, &starts)?,
            light_places: Array::from(machine, &light_starts)?,
            light_starts,
            plan,
        })
    }

    fn greatest(&self) -> Argument {
        self.room.words.at(0)
    }

    fn candidate_counts(&self) -> Argument {
        self.room.words.at(self.count)
    }

    /// Launches all that a batch takes.
    fn launch(&self, machine: &M) -> Result<(), M::Error> {
        let words = (2 + table::CONTRAST_BINS) * self.count;
        launch(machine, &table::CLEAR_WORDS, [words, 1, 1], &[words.into(), (&self.room.words).into()])?;
        let mut first_step = 0;
        for (index, level) in self.plan.levels.iter().enumerate() {
            self.diffuse_to(machine, index, first_step)?;
            first_step += level.steps.len();
            self.find(machine, index)?;
        }
        self.keep(machine)
    }

    /// Smooths `from` before slopes are taken.
    fn smooth(&self, machine: &M, extent: [usize; 3], from: Argument) -> Result<(), M::Error> {
        let ([first, second], middle) = gaussian::<2>(SLOPE_SIGMA);
        let arguments = [
            from,
            extent[0].into(),
            extent[1].into(),
            middle.into(),
            first.into(),
            second.into(),
            (&self.room.smooth).into(),
        ];
        launch(machine, &table::SMOOTH, extent, &arguments)
    }

    /// From the pictures, or from the level before, to the brightness of a level; and that smoothed.
    fn diffuse_to(&self, machine: &M, index: usize, first_step: usize) -> Result<(), M::Error> {
        let level = &self.plan.levels[index];
        let extent = [level.width, level.height, self.count];
        let (width, height): (Argument, Argument) = (level.width.into(), level.height.into());
        let light = self.room.light.at(self.light_starts[index] as usize);
        let Some(before) = index.checked_sub(1) else {
            let ([first, second, third, fourth], middle) = gaussian::<4>(self.plan.first_sigma);
            let weights = [middle, first, second, third, fourth].map(Argument::from);
            let arguments = [&[(&self.pictures.pixels).into(), width, height], &weights[..], &[light]].concat();
            launch(machine, &table::SMOOTH_BYTES, extent, &arguments)?;
            self.smooth(machine, extent, light)?;
            return self.contrast(machine, extent);
        };
        let mut begin = self.room.light.at(self.light_starts[before] as usize);
        let larger = &self.plan.levels[before];
        if larger.width > level.width {
            let arguments = [begin, larger.width.into(), larger.height.into(), (&self.room.half).into()];
            launch(machine, &table::HALVE, extent, &arguments)?;
            begin = (&self.room.half).into();
            self.smooth(machine, extent, begin)?;
        }
        let falls = if matches!(self.plan.descriptor, Descriptor::Ldb) { level.octave } else { 0 };
        let kind = match self.plan.diffusivity {
            Diffusivity::PmG1 => 0,
            Diffusivity::PmG2 => 1,
            Diffusivity::Weickert => 2,
            Diffusivity::Charbonnier => 3,
        };
        let (right, below): (Argument, Argument) = ((&self.room.right).into(), (&self.room.below).into());
        let arguments = [
            (&self.room.smooth).into(),
            width,
            height,
            (&self.room.factors).into(),
            falls.into(),
            Argument::Int(kind),
            right,
            below,
        ];
        launch(machine, &table::CONDUCT, extent, &arguments)?;
        let steps = level.steps.len();
        let whole = level.width * level.height <= table::WHOLE_PIXELS;
        let (kernel, at_once) = match whole {
            true => (&table::DIFFUSE_WHOLE, steps.max(1)),
            false => (&table::DIFFUSE_STEPS, table::FUSED_STEPS),
        };
        let passes = steps.div_ceil(at_once).max(1);
        for pass in 0..passes {
            // The last pass ends where the level belongs; before that, two places take turns.
            let to = if (passes - pass) % 2 == 1 { light } else { (&self.room.other).into() };
            let first = first_step + pass * at_once;
            let count = at_once.min(steps - pass * at_once);
            let times = (&self.times).into();
            let arguments = [begin, right, below, width, height, times, first.into(), count.into(), to];
            launch(machine, kernel, extent, &arguments)?;
            begin = to;
        }
        self.smooth(machine, extent, light)
    }

    /// The contrast factor of each picture.
    fn contrast(&self, machine: &M, extent: [usize; 3]) -> Result<(), M::Error> {
        let [width, height, count] = extent;
        let bins = self.room.words.at(2 * count);
        let arguments = [(&self.room.smooth).into(), width.into(), height.into(), self.greatest(), bins];
        launch(machine, &table::CONTRAST_GREATEST, extent, &arguments[..4])?;
        launch(machine, &table::CONTRAST_HISTOGRAM, extent, &arguments)?;
        let thousandths = (CONTRAST_PERCENTILE * 1000.0).round() as i32;
        let arguments = [self.greatest(), bins, thousandths.into(), count.into(), (&self.room.factors).into()];
        launch(machine, &table::CONTRAST_FACTOR, [count, 1, 1], &arguments)
    }

    /// Slopes and maxima of a level; between levels, those of the level before.
    fn find(&self, machine: &M, index: usize) -> Result<(), M::Error> {
        let level = &self.plan.levels[index];
        let (width, height, extent) = (level.width, level.height, [level.width, level.height, self.count]);
        let start: usize = self.plan.levels[..index].iter().map(|l| l.width * l.height * self.count).sum();
        let (dx, dy) = (self.room.dx.at(start), self.room.dy.at(start));
        let (w, h): (Argument, Argument) = (width.into(), height.into());
        let (whole, part): (Argument, Argument) = (level.reach.whole.into(), level.reach.part.into());
        launch(machine, &table::SLOPES, extent, &[(&self.room.smooth).into(), w, h, whole, part, dx, dy])?;
        let plane = |index: usize| Argument::from(&self.room.determinants[index % 3]);
        launch(machine, &table::DETERMINANT, extent, &[dx, dy, w, h, whole, part, level.weight.into(), plane(index)])?;
        let threshold = self.plan.threshold.into();
        let (capacity, counts) = (self.capacity.into(), self.candidate_counts());
        let candidates = (&self.room.candidates).into();
        if matches!(self.plan.descriptor, Descriptor::Ldb) {
            let (border, level) = (level.border.into(), index.into());
            let arguments = [plane(index), w, h, threshold, border, level, capacity, counts, candidates];
            launch(machine, &table::MAXIMA_FLAT, extent, &arguments)
        } else if index >= 2 {
            let planes = [plane(index - 2), plane(index - 1), plane(index)];
            let rest = [w, h, threshold, (index - 1).into(), capacity, counts, candidates];
            launch(machine, &table::MAXIMA_BETWEEN, extent, &[&planes[..], &rest[..]].concat())
        } else {
            Ok(())
        }
    }

    /// Of all candidates those that remain, and what is around each.
    fn keep(&self, machine: &M) -> Result<(), M::Error> {
        let (count, most) = (self.count, self.most);
        let (capacity, counts): (Argument, Argument) = (self.capacity.into(), self.candidate_counts());
        let (levels, sorted, overlaps) =
            ((&self.levels).into(), (&self.room.sorted).into(), (&self.room.overlaps).into());
        let over_candidates = [self.capacity, 1, count];
        let arguments = [(&self.room.candidates).into(), counts, capacity, levels, sorted];
        launch(machine, &table::POINT_SORT, over_candidates, &arguments)?;
        let over_pairs = [self.capacity / 64, self.capacity, count];
        launch(machine, &table::POINT_OVERLAPS, over_pairs, &[sorted, counts, capacity, levels, overlaps])?;
        let arguments = [counts, capacity, overlaps, (&self.room.marks).into()];
        launch(machine, &table::POINT_SETTLE, over_candidates, &arguments)?;
        self.room.numbering.run(machine, self.capacity, &self.room.marks, None, Some((&self.room.places, most)))?;
        let (totals, kept) = (self.room.numbering.totals().into(), (&self.room.kept).into());
        let layers = if matches!(self.plan.descriptor, Descriptor::Ldb) { 0 } else { self.plan.layers };
        let places = (&self.room.places).into();
        let arguments = [sorted, capacity, levels, layers.into(), totals, places, most.into(), kept];
        let over_points = [most, 1, count];
        launch(machine, &table::POINT_KEEP, over_points, &arguments)?;
        let (dx, dy) = ((&self.room.dx).into(), (&self.room.dy).into());
        let (starts, sizes) = ((&self.starts).into(), (&self.sizes).into());
        if !self.plan.upright {
            let arguments = [dx, dy, starts, sizes, (&self.room.disc).into(), totals, most.into(), kept];
            launch(machine, &table::POINT_ORIENT, over_points, &arguments)?;
        }
        match self.plan.descriptor {
            Descriptor::Surf { channels, .. } => {
                let (weights, values) = ((&self.room.weights).into(), (&self.room.values).into());
                let arguments = [dx, dy, starts, sizes, weights, channels.into(), totals, most.into(), kept, values];
                launch(machine, &table::POINT_MSURF, over_points, &arguments)
            }
            Descriptor::Ldb => {
                let (light, light_places) = ((&self.room.light).into(), (&self.light_places).into());
                let (pairs, bits) = ((&self.room.pairs).into(), (&self.room.bits).into());
                let arguments = [light, dx, dy, light_places, starts, sizes, pairs, totals, most.into(), kept, bits];
                launch(machine, &table::POINT_MLDB, over_points, &arguments)
            }
        }
    }

    /// How many candidates the picture with the most had.
    fn most_candidates(&self, machine: &M) -> Result<usize, M::Error> {
        let mut counts = vec![0; self.count];
        self.room.words.get(machine, self.count, &mut counts)?;
        Ok(counts.into_iter().max().unwrap_or(0) as usize)
    }

    /// The points of each picture.
    fn keypoints(&self, machine: &M) -> Result<Vec<Vec<Keypoint>>, M::Error> {
        let totals = self.room.numbering.totals().first(machine, self.count)?;
        let most = self.most;
        let mut of_pictures = Vec::with_capacity(self.count);
        for (picture, total) in totals.into_iter().enumerate() {
            let total = (total.unsigned_abs() as usize).min(most);
            // What is asked of a point is in the first rows.
            let mut rows = vec![0.0; 6 * most];
            self.room.kept.get(machine, picture * table::KEPT_ROWS * most, &mut rows)?;
            let keypoint = |i: usize| {
                let level = rows[5 * most + i].to_bits() - self.plan.levels_before;
                Keypoint {
                    x: rows[i],
                    y: rows[most + i],
                    size: rows[2 * most + i],
                    angle: rows[3 * most + i],
                    response: rows[4 * most + i],
                    octave: (level as usize / self.plan.layers) as u8,
                    level: level as u8,
                }
            };
            of_pictures.push((0..total).map(keypoint).collect());
        }
        Ok(of_pictures)
    }
}

/// What is common to both: the batch, and, where it was recorded, its launches as one.
struct Ready<M: Machine> {
    batch: Batch<M>,
    graph: Option<M::Graph>,
}

impl<M: Machine> Ready<M> {
    fn new(
        machine: &M,
        plan: Plan,
        pictures: Arc<Pictures<M, u8>>,
        room: Arc<Room<M>>,
        capacity: usize,
    ) -> Result<Self, M::Error> {
        Ok(Self { batch: Batch::new(machine, plan, pictures, room, capacity)?, graph: None })
    }

    fn record(&mut self, machine: &M) -> Result<(), M::Error> {
        if self.graph.is_none() {
            self.graph = Some(machine.record(&mut || self.batch.launch(machine))?);
        }
        Ok(())
    }

    fn begin(&self, machine: &M) -> Result<(), M::Error> {
        match &self.graph {
            Some(graph) => machine.replay(graph),
            None => self.batch.launch(machine),
        }
    }
}

/// Room for twice as many candidates, as far as there can be.
fn doubled(capacity: usize) -> Option<usize> {
    (capacity < table::SETTLE_CAPACITY).then(|| (2 * capacity).min(table::SETTLE_CAPACITY))
}

macro_rules! on_device {
    ($(#[$meta:meta])* $name:ident, $of:ident, $plan:ident, $features:ty, $descriptors:ident) => {
        $(#[$meta])*
        pub struct $name<M: Machine> {
            of: $of,
            pictures: Arc<Pictures<M, u8>>,
            ready: Ready<M>,
        }

        impl<M: Machine> $name<M> {
            /// For pictures of `width` by `height`, `count` at a time.
            ///
            /// # Errors
            /// Where there is not so much memory, or the machine fails.
            ///
            /// # Panics
            /// Where a side is below 3 pixels, or there is no picture.
            pub fn new(machine: &M, of: &$of, width: usize, height: usize, count: usize) -> Result<Self, M::Error> {
                let lengths = Lengths::of(&Plan::$plan(of, width, height), [width, height, count], CAPACITY);
                let room = Arc::new(Room::new(machine, &Plan::$plan(of, width, height), lengths)?);
                let mut device = Self::in_room(machine, of, [width, height, count], room)?;
                device.ready.record(machine)?;
                Ok(device)
            }

            /// The same in a room that is there, and not recorded.
            fn in_room(
                machine: &M,
                of: &$of,
                [width, height, count]: [usize; 3],
                room: Arc<Room<M>>,
            ) -> Result<Self, M::Error> {
                assert!(width >= 3 && height >= 3 && count > 0, "{count} pictures of {width} by {height}");
                let pictures = Arc::new(Pictures::new(machine, width, height, count)?);
                let ready = Ready::new(machine, Plan::$plan(of, width, height), pictures.clone(), room, CAPACITY)?;
                Ok(Self { of: of.clone(), pictures, ready })
            }

            /// Where the brightness of the pictures is to be written before [`Self::begin`].
            pub fn pictures(&self) -> &Pictures<M, u8> {
                &self.pictures
            }

            /// Starts to look for the points of what is in [`Self::pictures`]; does not wait.
            ///
            /// # Errors
            /// Where the machine fails.
            pub fn begin(&self, machine: &M) -> Result<(), M::Error> {
                self.ready.begin(machine)
            }

            /// Waits for what was begun: the points of each picture and their descriptors, the strongest first. None where a
            /// picture has more candidates than kernels go through (over 16,384): the CPU has no such limit.
            ///
            /// # Errors
            /// Where the machine fails.
            pub fn finish(&mut self, machine: &M) -> Result<Option<Vec<$features>>, M::Error> {
                while self.ready.batch.most_candidates(machine)? > self.ready.batch.capacity {
                    let Some(capacity) = doubled(self.ready.batch.capacity) else { return Ok(None) };
                    let [width, height, _] = self.pictures.extent();
                    let plan = Plan::$plan(&self.of, width, height);
                    let lengths = Lengths::of(&plan, self.pictures.extent(), capacity);
                    let mut room = self.ready.batch.room.clone();
                    if room.lengths.with(lengths) != room.lengths {
                        room = Arc::new(Room::new(machine, &plan, room.lengths.with(lengths))?);
                    }
                    let was_recorded = self.ready.graph.is_some();
                    self.ready = Ready::new(machine, plan, self.pictures.clone(), room, capacity)?;
                    if was_recorded {
                        self.ready.record(machine)?;
                    }
                    self.begin(machine)?;
                }
                Ok(Some($descriptors(&self.ready.batch, machine)?))
            }

            /// All of it for pictures that are not on the machine yet.
            ///
            /// # Errors
            /// Where the machine fails.
            ///
            /// # Panics
            /// Where there are more pictures than were said, or one is of another size.
            pub fn detect_and_compute(
                &mut self,
                machine: &M,
                pictures: &[&ImageGrey8],
            ) -> Result<Option<Vec<$features>>, M::Error> {
                for (index, picture) in pictures.iter().enumerate() {
                    self.pictures.put(machine, index, picture)?;
                }
                self.begin(machine)?;
                let mut all = self.finish(machine)?;
                all.iter_mut().for_each(|all| all.truncate(pictures.len()));
                Ok(all)
            }
        }
    };
}

on_device! {
    /// [`Kaze`] on a machine.
    DeviceKaze, Kaze, of_kaze, FloatFeatures, float_features
}

on_device! {
    /// [`Akaze`] on a machine.
    DeviceAkaze, Akaze, of_akaze, BinaryFeatures, binary_features
}

impl<M: Machine> DeviceAkaze<M> {
    /// The first `count` descriptors of a picture, where kernels find them.
    pub(crate) fn descriptors(&self, picture: usize, count: usize) -> Held<'_, BinaryDescriptor> {
        let batch = &self.ready.batch;
        assert!(count <= batch.most && picture < batch.count, "there are not so many descriptors");
        Held::of_bits(&batch.room.bits, picture * batch.most, count)
    }
}

fn float_features<M: Machine>(batch: &Batch<M>, machine: &M) -> Result<Vec<FloatFeatures>, M::Error> {
    let components = match batch.plan.descriptor {
        Descriptor::Surf { channels, .. } => 16 * channels,
        Descriptor::Ldb => 0,
    };
    let with_descriptors = |(picture, keypoints): (usize, Vec<Keypoint>)| {
        let mut values = vec![0.0; keypoints.len() * components];
        batch.room.values.get(machine, picture * batch.most * components, &mut values)?;
        let descriptors = FloatDescriptors::from_values(components, values).unwrap_or_default();
        Ok(FloatFeatures { keypoints, descriptors })
    };
    batch.keypoints(machine)?.into_iter().enumerate().map(with_descriptors).collect()
}

fn binary_features<M: Machine>(batch: &Batch<M>, machine: &M) -> Result<Vec<BinaryFeatures>, M::Error> {
    let with_descriptors = |(picture, keypoints): (usize, Vec<Keypoint>)| {
        let mut descriptors = vec![BinaryDescriptor::default(); keypoints.len()];
        batch.room.bits.get(machine, picture * batch.most, &mut descriptors)?;
        Ok(BinaryFeatures { keypoints, descriptors })
    };
    batch.keypoints(machine)?.into_iter().enumerate().map(with_descriptors).collect()
}
