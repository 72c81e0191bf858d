//! The model-free detector: what differs from the scene reference.

use larder_kernels::{
    ImageGrey8, ImageGrey16, ImageRgb8,
    align::Affine,
    change::{colour_change, grey_change},
    describe::Surroundings,
    lighting::GainMap,
    opponent::OpponentImage,
    propose::{Proposal, ProposeParams, ProposeScratch, SURE_CHANGE, mass, propose},
};
use larder_records::BoundingBox;

use super::{
    VisionConfig,
    scene::{ColourView, Working},
};

/// Buffers reused from frame to frame.
#[derive(Default)]
pub(super) struct DetectScratch {
    working: Working,
    empty: ImageRgb8,
    empty_colours: OpponentImage,
    known: ImageGrey8,
    unrest: ImageGrey8,
    change: ImageGrey8,
    distances: Vec<i32>,
    ratios: Vec<u16>,
    gains: GainMap,
    map: Option<Affine>,
    factor: usize,
    propose: ProposeScratch,
}

impl DetectScratch {
    /// Lays the empty view under a colour picture: where the picture shows another view, or there is none, the lighting
    /// is left as it is and nothing changed. Tells whether it shows the view.
    pub(super) fn lay_under(&mut self, picture: &ImageRgb8, views: &[&ColourView], config: &VisionConfig) -> bool {
        let mut working = std::mem::take(&mut self.working);
        working.fill(picture);
        let shows = self.lay_under_small(&working, views, config);
        self.working = working;
        shows
    }

    /// [`DetectScratch::lay_under`] for a picture that was made smaller already.
    pub(super) fn lay_under_small(&mut self, working: &Working, views: &[&ColourView], config: &VisionConfig) -> bool {
        self.factor = working.factor;
        let placed = views
            .iter()
            .filter_map(|view| {
                let same_size =
                    (view.empty.width(), view.empty.height()) == (working.small.width(), working.small.height());
                if view.fixed && same_size {
                    return Some((*view, 1.0, Affine::IDENTITY));
                }
                let found = view.template.align(&working.pyramid)?;
                (found.correlation >= config.min_correlation()).then_some((*view, found.correlation, found.map))
            })
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .and_then(|(view, _, map)| Some((view, map, map.inverse()?)));
        let Some((view, map, back)) = placed else {
            self.gains.reset();
            self.map = None;
            return false;
        };
        let Self { empty, empty_colours, known, change, distances, ratios, gains, unrest, .. } = self;
        place(view, &back, &working.small, (empty, unrest, known));
        brighten(empty, light(&working.small, empty, known, ratios));
        gains.from_scene(empty, known, working.factor, usize::from(config.light_radius));
        empty_colours.fill(empty);
        colour_change(&working.colours, empty_colours, known, usize::from(config.reach), distances, change);
        for (change, &unrest) in change.pixels_mut().iter_mut().zip(unrest.pixels()) {
            *change = change.saturating_sub(unrest);
        }
        self.map = Some(map);
        true
    }

    /// The change at each place of the picture that a view was laid under.
    pub(super) fn change(&self) -> &ImageGrey8 {
        &self.change
    }

    /// From the view's pixels to the picture's, at working size; none where the picture does not show it.
    pub(super) fn map(&self) -> Option<Affine> {
        self.map
    }

    /// What is known of the picture that the view was laid under.
    pub(super) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { gains: &self.gains, change: self.map.is_some().then_some((&self.change, self.factor)) }
    }

    /// How much changed in a box of the colour picture; as if all did where it shows no view.
    pub(super) fn mass(&self, bounds: BoundingBox) -> u32 {
        let factor = self.factor.max(1);
        let reduce = |at: u16| (usize::from(at) / factor) as u16;
        let small = BoundingBox {
            left: reduce(bounds.left),
            top: reduce(bounds.top),
            right: reduce(bounds.right),
            bottom: reduce(bounds.bottom),
        };
        if self.map.is_some() {
            mass(&self.change, small)
        } else {
            u32::try_from(small.area() * u64::from(SURE_CHANGE)).unwrap_or(u32::MAX)
        }
    }

    /// Boxes of the colour picture that differ from the empty view.
    pub(super) fn changed(&mut self, config: &VisionConfig) -> Vec<Proposal> {
        if self.map.is_none() {
            return Vec::new();
        }
        let params = params(&config.colour_thresholds, &[0, 1, 3], &[1, 2, 4], config);
        proposals(&self.change, params, self.factor, &mut self.propose)
    }
}

/// Draws `empty` and its `unrest` as the picture's camera sees them, and marks where they are known.
fn place(
    view: &ColourView,
    back: &Affine,
    picture: &ImageRgb8,
    (into, unrest, known): (&mut ImageRgb8, &mut ImageGrey8, &mut ImageGrey8),
) {
    into.reshape(picture.width(), picture.height());
    unrest.reshape(picture.width(), picture.height());
    known.reshape(picture.width(), picture.height());
    let (width, height) = (view.empty.width() as f32 - 0.5, view.empty.height() as f32 - 0.5);
    for y in 0..picture.height() {
        let cells = into.row_mut(y).iter_mut().zip(unrest.row_mut(y)).zip(known.row_mut(y));
        for (x, ((to, unrest), known)) in cells.enumerate() {
            let (ex, ey) = back.apply(x as f32, y as f32);
            let there = ex > -0.5 && ey > -0.5 && ex < width && ey < height;
            let at = if there { (ey + 0.5) as usize * view.empty.width() + (ex + 0.5) as usize } else { 0 };
            *known = u8::from(there);
            *to = if there { view.empty.pixels()[at] } else { [0; 3] };
            *unrest = view.unrest.pixels()[at];
        }
    }
}

/// By how much each channel of the empty view must be multiplied to be as light as the picture, times 256: the median of
/// the ratios of pixels that are bright enough to tell.
fn light(picture: &ImageRgb8, empty: &ImageRgb8, known: &ImageGrey8, ratios: &mut Vec<u16>) -> [u16; 3] {
    std::array::from_fn(|channel| {
        ratios.clear();
        let pixels = picture.pixels().iter().zip(empty.pixels()).zip(known.pixels()).step_by(5);
        ratios.extend(pixels.filter_map(|((now, then), &known)| {
            let (now, then) = (u16::from(now[channel]), u16::from(then[channel]));
            (known != 0 && then >= 32 && now < 250).then(|| (now * 256 / then).clamp(128, 512))
        }));
        if ratios.is_empty() {
            return 256;
        }
        let middle = ratios.len() / 2;
        *ratios.select_nth_unstable(middle).1
    })
}

fn brighten(image: &mut ImageRgb8, gain: [u16; 3]) {
    for pixel in image.pixels_mut() {
        *pixel = std::array::from_fn(|c| ((u32::from(pixel[c]) * u32::from(gain[c]) + 128) >> 8).min(255) as u8);
    }
}

/// Boxes of a depth or infrared picture that differ from the empty view; none where it has another size.
pub(super) fn changed_grey(
    picture: &ImageGrey16,
    empty: &ImageGrey16,
    config: &VisionConfig,
    scratch: &mut DetectScratch,
) -> Vec<Proposal> {
    if picture.bounds() != empty.bounds() {
        return Vec::new();
    }
    grey_change(picture, empty, config.grey_change.max(1), &mut scratch.change);
    proposals(&scratch.change, params(&[1], &[1], &[1], config), 1, &mut scratch.propose)
}

fn params<'a>(
    thresholds: &'a [u8],
    closes: &'a [usize],
    cuts: &'a [usize],
    config: &VisionConfig,
) -> ProposeParams<'a> {
    let VisionConfig { min_area, max_area, .. } = *config;
    ProposeParams { thresholds, closes, cuts, min_filled: 300_000, min_area, max_area }
}

fn proposals(change: &ImageGrey8, params: ProposeParams, factor: usize, buffers: &mut ProposeScratch) -> Vec<Proposal> {
    let enlarge = |at: u16| u16::try_from(usize::from(at) * factor).unwrap_or(u16::MAX);
    propose(change, params, buffers)
        .into_iter()
        .map(|found| {
            let b = found.bounds;
            let bounds = BoundingBox {
                left: enlarge(b.left),
                top: enlarge(b.top),
                right: enlarge(b.right),
                bottom: enlarge(b.bottom),
            };
            Proposal { bounds, ..found }
        })
        .collect()
}
