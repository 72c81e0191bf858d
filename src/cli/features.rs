//! `larder features`: what local features see in a picture, and which of another they match.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use larder::{
    drawing::{Colour, colour, draw_keypoint, draw_line, png, side_by_side},
    eyes::picture,
    gpu,
};
use larder_kernels::{
    ImageGrey8, ImageRgb8,
    decode::{DecodeLimits, decode_rgb8},
    features::{BinaryFeatures, FloatFeatures, Keypoint},
    grey::grey,
    homography::{self, Homography, Search},
    kaze::{Akaze, AkazeParams, Backend, Finder, Kaze, KazeParams},
    matching::{Match, MatchParams, MatchScratch, match_binary, match_float},
};
use serde::Serialize;

use super::output::Output;

/// A view is one where chance gives fewer than one such view in a hundred pairs of pictures (a decimal logarithm).
const CHANCE: f64 = -2.0;
/// What the first picture's outline is drawn in.
const OUTLINE: Colour = [0, 255, 0];

/// Draw the local features of a picture, or the matches of two
///
/// A circle has the size of its point, the line in it points along the main orientation. With two pictures, lines join the points
/// that look alike, each the nearest of the other and clearly nearer than the second; where the second picture shows what is flat in
/// the first, only those that fit this view, and the first picture's outline.
///
/// Pictures of more than 5 million pixels together are looked at on a GPU where there is one; smaller ones take less time than
/// opening it.
#[derive(Debug, Args)]
pub(super) struct Features {
    /// A picture, JPEG or PNG
    file: PathBuf,
    /// Another, to be matched with the first
    other: Option<PathBuf>,
    /// The PNG file to draw into
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Which features
    #[arg(long, value_enum, default_value_t = Kind::Kaze)]
    kind: Kind,
    /// The most points of a picture; the strongest are kept
    #[arg(long, value_name = "N", default_value_t = 500)]
    max: usize,
}

/// The features that there are.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// KAZE: 64 floats
    Kaze,
    /// A-KAZE: 486 bits, and faster
    Akaze,
}

/// What was drawn.
#[derive(Debug, Serialize)]
struct Drawn {
    kind: Kind,
    pictures: Vec<Points>,
    /// The GPU that found the points, where one found all of them; else the CPU.
    found_on: String,
    /// None where there is one picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<Vec<Pair>>,
    /// From pixels of the first picture to those of the second, row by row; none where no view of a plane was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    homography: Option<[[f64; 3]; 3]>,
    output: PathBuf,
}

#[derive(Debug, Serialize)]
struct Points {
    file: PathBuf,
    width: usize,
    height: usize,
    points: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Point {
    x: f32,
    y: f32,
    size: f32,
    angle: f32,
    response: f32,
}

/// The places of two points among those of their pictures; the distance is that of their descriptors: differing bits, or the
/// Euclidean distance.
#[derive(Debug, Serialize)]
struct Pair {
    point: u32,
    other: u32,
    distance: f32,
    /// Whether it fits the homography.
    verified: bool,
}

impl Features {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let Self { file, other, output: path, kind, max } = self;
        let files: Vec<PathBuf> = std::iter::once(file).chain(other).collect();
        let pictures = files.iter().map(|file| read(file)).collect::<anyhow::Result<Vec<_>>>()?;
        let pixels = pictures.iter().map(|picture| picture.pixels().len()).sum();
        let (points, mut matches, backend) = gpu::with_finder(pixels, |finder| match kind {
            Kind::Kaze => kaze(&pictures, max, finder),
            Kind::Akaze => Ok(akaze(&pictures, max, finder)),
        })?;
        let found_on = match backend {
            Backend::Machine => format!("GPU {}", gpu::name().unwrap_or_default()),
            Backend::Cpu => "CPU".to_owned(),
        };
        let view = matches.as_mut().and_then(|matches| verify(matches, &points, &pictures[0]));
        let image = draw(&pictures, &points, matches.as_deref(), view.as_ref());
        let bytes = png(&image).with_context(|| format!("{}: drawing", path.display()))?;
        fs::write(&path, bytes).with_context(|| format!("{}: writing", path.display()))?;

        let pictures = files.into_iter().zip(&pictures).zip(points).map(|((file, picture), points)| Points {
            file,
            width: picture.width(),
            height: picture.height(),
            points: points
                .into_iter()
                .map(|Keypoint { x, y, size, angle, response, .. }| Point { x, y, size, angle, response })
                .collect(),
        });
        let homography = view.map(|view| view.rows());
        let drawn = Drawn { kind, pictures: pictures.collect(), found_on, matches, homography, output: path };
        output.result(&drawn, |drawn| {
            let counts: Vec<String> = drawn.pictures.iter().map(|picture| picture.points.len().to_string()).collect();
            let matches = drawn.matches.as_ref().map_or_else(String::new, |all| {
                let verified = all.iter().filter(|pair| pair.verified).count();
                format!(", {} matches, {verified} of them verified", all.len())
            });
            format!("{}: {} points{matches}; on {}", drawn.output.display(), counts.join(" and "), drawn.found_on)
        })
    }
}

fn read(path: &Path) -> anyhow::Result<ImageRgb8> {
    let bytes = fs::read(path).with_context(|| format!("{}: reading", path.display()))?;
    let mut decoded = ImageRgb8::default();
    decode_rgb8(&picture(bytes), DecodeLimits::default(), &mut decoded).with_context(|| path.display().to_string())?;
    Ok(decoded)
}

/// The points of each picture and, of two, those that match; and what found them.
type Found = (Vec<Vec<Keypoint>>, Option<Vec<Pair>>, Backend);

fn kaze(pictures: &[ImageRgb8], max_points: usize, finder: &mut Finder) -> anyhow::Result<Found> {
    let kaze = Kaze::new(KazeParams { max_points, ..KazeParams::default() }).with_threads(rayon::current_num_threads());
    let (found, backend): (Vec<FloatFeatures>, _) =
        find(pictures, |picture, features| finder.kaze(&kaze, picture, features));
    let mut matches = None;
    if let [one, other] = &found[..] {
        let (params, mut scratch, mut out) = (MatchParams::default(), MatchScratch::default(), Vec::new());
        match_float(&one.descriptors, &other.descriptors, params, 1, &mut scratch, &mut out)?;
        matches = Some(pairs(out, f32::sqrt));
    }
    Ok((found.into_iter().map(|features| features.keypoints).collect(), matches, backend))
}

fn akaze(pictures: &[ImageRgb8], max_points: usize, finder: &mut Finder) -> Found {
    let params = AkazeParams { max_points, ..AkazeParams::default() };
    let akaze = Akaze::new(params).with_threads(rayon::current_num_threads());
    let (found, backend): (Vec<BinaryFeatures>, _) =
        find(pictures, |picture, features| finder.akaze(&akaze, picture, features));
    let mut matches = None;
    if let [one, other] = &found[..] {
        let (params, mut scratch, mut out) = (MatchParams::default(), MatchScratch::default(), Vec::new());
        match_binary(&one.descriptors, &other.descriptors, params, 1, &mut scratch, &mut out);
        matches = Some(pairs(out, |bits| bits as f32));
    }
    (found.into_iter().map(|features| features.keypoints).collect(), matches, backend)
}

/// What `detect` finds in each picture, by its brightness; and on what all of it was found.
fn find<F: Default>(
    pictures: &[ImageRgb8],
    mut detect: impl FnMut(&ImageGrey8, &mut F) -> Backend,
) -> (Vec<F>, Backend) {
    let (mut brightness, mut backend) = (ImageGrey8::default(), Backend::Machine);
    let mut one = |picture: &ImageRgb8| {
        let mut features = F::default();
        grey(picture, &mut brightness);
        if detect(&brightness, &mut features) == Backend::Cpu {
            backend = Backend::Cpu;
        }
        features
    };
    (pictures.iter().map(&mut one).collect(), backend)
}

fn pairs<D>(matches: Vec<Match<D>>, length: fn(D) -> f32) -> Vec<Pair> {
    let pair = |found: Match<D>| Pair {
        point: found.query,
        other: found.train,
        distance: length(found.distance),
        verified: false,
    };
    matches.into_iter().map(pair).collect()
}

/// Marks the matches that fit one view of what is flat in the `first` picture.
fn verify(matches: &mut [Pair], points: &[Vec<Keypoint>], first: &ImageRgb8) -> Option<Homography> {
    let [from, to] = points else { return None };
    // The search asks for the better pairs first.
    let mut order: Vec<usize> = (0..matches.len()).collect();
    order.sort_by(|&a, &b| matches[a].distance.total_cmp(&matches[b].distance));
    let place = |keypoint: &Keypoint| [f64::from(keypoint.x), f64::from(keypoint.y)];
    let pairs: Vec<homography::Pair> = order
        .iter()
        .map(|&index| &matches[index])
        .map(|pair| homography::Pair { from: place(&from[pair.point as usize]), to: place(&to[pair.other as usize]) })
        .collect();
    let (width, height) = (first.width() as f64, first.height() as f64);
    let found =
        homography::find(&pairs, width, height, &Search::default()).filter(|found| found.log_chance < CHANCE)?;
    for inlier in found.inliers {
        matches[order[inlier as usize]].verified = true;
    }
    Some(found.map)
}

/// The pictures beside each other: all points of one, or those of two that match, joined by lines; with a `view`, those that fit it.
fn draw(
    pictures: &[ImageRgb8],
    points: &[Vec<Keypoint>],
    matches: Option<&[Pair]>,
    view: Option<&Homography>,
) -> ImageRgb8 {
    let ([one, other], [left, right], Some(matches)) = (pictures, points, matches) else {
        let mut image = pictures.first().cloned().unwrap_or_default();
        for (number, keypoint) in points.iter().flatten().enumerate() {
            draw_keypoint(&mut image, keypoint, 0.0, colour(number));
        }
        return image;
    };
    let (mut image, shift) = (side_by_side(one, other), one.width() as f32);
    for (number, pair) in matches.iter().filter(|pair| view.is_none() || pair.verified).enumerate() {
        let (from, to, colour) = (&left[pair.point as usize], &right[pair.other as usize], colour(number));
        draw_keypoint(&mut image, from, 0.0, colour);
        draw_keypoint(&mut image, to, shift, colour);
        draw_line(&mut image, (from.x, from.y), (to.x + shift, to.y), colour);
    }
    if let Some(corners) = view.and_then(|view| view.corners(one.width() as f64, one.height() as f64)) {
        let corner = |number: usize| {
            let [x, y] = corners[number % corners.len()];
            (x as f32 + shift, y as f32)
        };
        for number in 0..corners.len() {
            draw_line(&mut image, corner(number), corner(number + 1), OUTLINE);
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_that_fit_one_view_are_verified_and_drawn_and_others_are_not() {
        let first = ImageRgb8::new(200, 100);
        let point = |x: f32, y: f32| Keypoint { x, y, size: 6.0, angle: 0.0, response: 1.0, octave: 0, level: 0 };
        let from: Vec<_> = (0..40_u16).map(|i| point(f32::from(i * 37 % 190), f32::from(i * 53 % 90))).collect();
        // Every fourth is wrong.
        let wrong = |i: usize| i.is_multiple_of(4);
        let moved = |(i, at): (usize, &Keypoint)| {
            let (x, y) = if wrong(i) { (i * 71 % 230, i * 31 % 110) } else { (at.x as usize + 25, at.y as usize + 10) };
            point(x as f32, y as f32)
        };
        let to: Vec<_> = from.iter().enumerate().map(moved).collect();
        let pair = |i: u32| Pair { point: i, other: i, distance: 1.0, verified: false };
        let mut matches: Vec<_> = (0..40).map(pair).collect();
        let points = [from, to];

        let view = verify(&mut matches, &points, &first).unwrap();
        for (i, pair) in matches.iter().enumerate() {
            assert_eq!(pair.verified, !wrong(i), "{i}");
        }
        let [x, y] = view.apply([50.0, 50.0]).unwrap();
        assert!((x - 75.0).abs() < 0.1 && (y - 60.0).abs() < 0.1, "{x} {y}");

        let pictures = [first, ImageRgb8::new(260, 120)];
        let image = draw(&pictures, &points, Some(&matches), Some(&view));
        assert_eq!((image.width(), image.height()), (460, 120));
        // The right edge of the first picture, in the second: further right than any point that fits.
        let right = image.row(60)[200 + 219..]
            .iter()
            .map(|pixel| pixel.map(u32::from))
            .fold([0; 3], |sum, pixel| std::array::from_fn(|channel| sum[channel] + pixel[channel]));
        assert!(right[0] == 0 && right[2] == 0 && right[1].abs_diff(255) <= 1, "{right:?}");
        assert!(verify(&mut matches[..4], &points, &pictures[0]).is_none(), "four fit always");
    }
}
