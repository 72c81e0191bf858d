//! The kernels: their names, and how threads are laid out over what they work on. What runs them, and what tests them, use
//! this.

/// A kernel of `kernels/cuda/`.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// As in the source.
    pub name: &'static str,
    /// Threads of a block along each axis.
    pub block: [u32; 3],
    /// Items that a block works on along each axis.
    pub tile: [u32; 3],
}

impl Kernel {
    /// One thread a pixel: columns, rows, pictures.
    const fn over_pixels(name: &'static str) -> Self {
        Self { name, block: [32, 8, 1], tile: [32, 8, 1] }
    }

    /// One thread an item: items, rows, pictures.
    const fn over_items(name: &'static str) -> Self {
        Self { name, block: [256, 1, 1], tile: [256, 1, 1] }
    }

    /// Blocks of 256 threads, each working on `tile` items.
    const fn over_parts(name: &'static str, tile: u32) -> Self {
        Self { name, block: [256, 1, 1], tile: [tile, 1, 1] }
    }

    /// One block of 256 threads for each picture.
    const fn one_block(name: &'static str) -> Self {
        Self::over_parts(name, u32::MAX)
    }

    /// How many blocks along each axis work on that many items.
    pub fn grid(&self, extent: [usize; 3]) -> [u32; 3] {
        std::array::from_fn(|axis| u32::try_from(extent[axis]).unwrap_or(u32::MAX).div_ceil(self.tile[axis]))
    }
}

/// Marks that `count_marks` and `number_marks` look at together (`NUMBER_PART`).
pub(super) const NUMBER_PART: usize = 1024;

/// Queries that a block looks for (`MATCH_WARPS`), and descriptors that it holds at once (`MATCH_TILE`).
pub(super) const MATCH_WARPS: usize = 8;
pub(super) const MATCH_TILE: usize = 64;

/// Steps of diffusion that `diffuse_steps` takes at once (`FUSED_STEPS`).
pub(crate) const FUSED_STEPS: usize = 4;
/// Pixels of a picture that `diffuse_whole` holds (`WHOLE_PIXELS`).
pub(crate) const WHOLE_PIXELS: usize = 6144;
/// Bins of the histogram of slopes (`CONTRAST_BINS`).
pub(crate) const CONTRAST_BINS: usize = 300;
/// The most candidates of a picture that `point_settle` goes through (`SETTLE_CAPACITY`).
pub(crate) const SETTLE_CAPACITY: usize = 16_384;
/// Rows of floats of candidates, of sorted points, and of what is kept of a point (`CANDIDATE_ROWS`, `SORTED_ROWS`,
/// `KEPT_ROWS`).
pub(crate) const CANDIDATE_ROWS: usize = 5;
pub(crate) const SORTED_ROWS: usize = 7;
pub(crate) const KEPT_ROWS: usize = 11;

/// The farthest that `colour_change` looks for a colour (`CHANGE_REACH`).
pub const MAX_REACH: usize = 16;

macro_rules! kernels {
    ($($name:ident = $kernel:expr;)*) => {
        $(pub(crate) static $name: Kernel = $kernel;)*
        /// All kernels.
        pub static KERNELS: &[&Kernel] = &[$(&$name),*];
    };
}

kernels! {
    LETTERBOX = Kernel::over_pixels("letterbox");
    GREY = Kernel::over_items("grey");
    RESIZE = Kernel::over_pixels("resize");
    COLOUR_CHANGE = Kernel::over_pixels("colour_change");
    GREY_CHANGE = Kernel::over_items("grey_change");
    COMPONENT_BEGIN = Kernel::over_pixels("component_begin");
    COMPONENT_JOIN = Kernel::over_pixels("component_join");
    COMPONENT_FLATTEN = Kernel::over_pixels("component_flatten");
    COMPONENT_CLEAR = Kernel::over_items("component_clear");
    COMPONENT_MEASURE = Kernel::over_pixels("component_measure");
    COUNT_MARKS = Kernel::over_parts("count_marks", NUMBER_PART as u32);
    ADD_COUNTS = Kernel::one_block("add_counts");
    NUMBER_MARKS = Kernel::over_parts("number_marks", NUMBER_PART as u32);
    NMS_RANK = Kernel::over_items("nms_rank");
    NMS_OVERLAPS = Kernel::over_pixels("nms_overlaps");
    NMS_KEEP = Kernel::one_block("nms_keep");
    HAMMING_NEAREST = Kernel::over_parts("hamming_nearest", MATCH_WARPS as u32);
    L2_NEAREST = Kernel::over_parts("l2_nearest", MATCH_WARPS as u32);
    MATCH_MARK = Kernel::over_items("match_mark");
    MATCH_GATHER = Kernel::over_items("match_gather");
    SMOOTH_BYTES = Kernel::over_pixels("smooth_bytes");
    SMOOTH = Kernel::over_pixels("smooth");
    HALVE = Kernel::over_pixels("halve");
    CLEAR_WORDS = Kernel::over_items("clear_words");
    CONTRAST_GREATEST = Kernel::over_pixels("contrast_greatest");
    CONTRAST_HISTOGRAM = Kernel::over_pixels("contrast_histogram");
    CONTRAST_FACTOR = Kernel::over_items("contrast_factor");
    CONDUCT = Kernel::over_pixels("conduct");
    DIFFUSE_STEPS = Kernel { name: "diffuse_steps", block: [256, 1, 1], tile: [56, 24, 1] };
    DIFFUSE_WHOLE = Kernel { name: "diffuse_whole", block: [1024, 1, 1], tile: [u32::MAX, u32::MAX, 1] };
    SLOPES = Kernel::over_pixels("slopes");
    DETERMINANT = Kernel::over_pixels("determinant");
    MAXIMA_FLAT = Kernel::over_pixels("maxima_flat");
    MAXIMA_BETWEEN = Kernel::over_pixels("maxima_between");
    POINT_SORT = Kernel::over_items("point_sort");
    POINT_OVERLAPS = Kernel::over_pixels("point_overlaps");
    POINT_SETTLE = Kernel { name: "point_settle", block: [1024, 1, 1], tile: [u32::MAX, 1, 1] };
    POINT_KEEP = Kernel::over_items("point_keep");
    POINT_ORIENT = Kernel { name: "point_orient", block: [32, 1, 1], tile: [1, 1, 1] };
    POINT_MSURF = Kernel { name: "point_msurf", block: [128, 1, 1], tile: [1, 1, 1] };
    POINT_MLDB = Kernel { name: "point_mldb", block: [128, 1, 1], tile: [1, 1, 1] };
}
