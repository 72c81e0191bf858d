//! Vision whose local features the CUDA kernels find, run on the CPU by the host shim, sees what it sees by the Rust path.
#![allow(clippy::unwrap_used)]

#[path = "../../kernels/tests/cuda/mod.rs"]
mod cuda;

use std::convert::Infallible;

use cuda::HostMachine;
use larder_cuda_host::{Build, Order};
use larder_kernels::{
    cuda::{Launch, Machine, Memory},
    decode::DecodeLimits,
    kaze::Finder,
};
use larder_pipelines::{
    gallery::{Gallery, Look},
    vision::{FeatureConfig, References, Scene, SceneLearner, Scratch, Vision, VisionConfig},
};
use larder_records::{
    ApplianceId, BoundingBox, Frame, FrameResult, Image, ImageEncoding, Modality, PPM, Payload, PixelFormat, ProductId,
    SensorId, Time,
};

/// A package of 56 by 70 pixels: bars of the same colours on all, where and how large each product's own.
fn package(number: u32) -> Vec<[u8; 3]> {
    let mut state = number * 77 + 5;
    let mut draw = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let mut pixels = vec![[190, 60, 40]; 56 * 70];
    for bar in 0..22 {
        let (x, y, wide, high) = (draw(48), draw(62), 4 + draw(10), 4 + draw(10));
        for at in (y..(y + high).min(70)).flat_map(|y| (x..(x + wide).min(56)).map(move |x| y * 56 + x)) {
            pixels[at as usize] = [[30, 30, 40], [230, 220, 200]][bar % 2];
        }
    }
    pixels
}

/// A shelf with a gradient of light and fixtures, and packages whose upper left corners are there.
fn shelf(packages: &[(u32, usize, usize)]) -> Frame {
    let mut pixels: Vec<[u8; 3]> = (0..240 * 320)
        .map(|at| {
            let (x, y) = (at % 320, at / 320);
            let light = 200 - y / 4 - x / 8;
            let fixture = y % 80 < 4 || (x / 7) % 16 == 0;
            [light, light - 5, light - 15].map(|channel| (if fixture { channel / 2 } else { channel }) as u8)
        })
        .collect();
    for &(number, left, top) in packages {
        for (row, of_row) in package(number).chunks(56).enumerate() {
            pixels[(top + row) * 320 + left..][..56].copy_from_slice(of_row);
        }
    }
    Frame {
        appliance: ApplianceId::of("fridge"),
        sensor: SensorId::of("camera"),
        modality: Modality::Visible,
        time: Time::from_seconds(1).unwrap(),
        sequence: 0,
        payload: Payload::Image(Image {
            encoding: ImageEncoding::Raw { width: 320, height: 240, step: 960, pixel: PixelFormat::Rgb8 },
            data: pixels.concat().into(),
        }),
    }
}

fn image(frame: &Frame) -> &Image {
    let Payload::Image(image) = &frame.payload else { unreachable!() };
    image
}

/// Vision that asks for local features wherever it takes something for a product.
fn vision(finder: &mut Finder, features: Option<FeatureConfig>) -> Vision {
    let config = VisionConfig { features, ..VisionConfig::default() };
    let mut learner = SceneLearner::default();
    learner.push(&shelf(&[]), &[], &config).unwrap();
    let scene: Scene = learner.finish(&config);
    let mut references = References::default();
    for number in 0..3 {
        let shown = shelf(&[(number, 120, 90)]);
        let bounds = BoundingBox { left: 120, top: 90, right: 176, bottom: 160 };
        references
            .add(ProductId::of(&number.to_string()), image(&shown), Some(bounds), Some(&scene), &config, finder)
            .unwrap();
    }
    Vision::new(config, Some(scene), references)
}

fn asking() -> FeatureConfig {
    FeatureConfig { side: 96, least: 0, sure: PPM, ..FeatureConfig::default() }
}

fn frames() -> [Frame; 2] {
    [shelf(&[(0, 30, 90), (2, 200, 20)]), shelf(&[(1, 100, 100), (2, 230, 130)])]
}

fn seen(vision: &Vision, finder: Finder) -> (Vec<FrameResult>, Finder) {
    let mut scratch = Scratch::default();
    *scratch.finder_mut() = finder;
    let seen = frames().iter().map(|frame| vision.see(frame, &mut scratch).unwrap()).collect();
    (seen, std::mem::take(scratch.finder_mut()))
}

fn on_shim() -> Finder {
    Finder::on(HostMachine::new(Build::Plain, Order::Random(3)))
}

/// A machine that is out of memory.
struct Full;

#[derive(Debug, thiserror::Error)]
#[error("the memory is full")]
struct IsFull;

#[derive(Debug)]
struct Nothing(Infallible);

impl Memory for Nothing {
    fn address(&self) -> u64 {
        match self.0 {}
    }
    fn bytes(&self) -> usize {
        match self.0 {}
    }
}

impl Machine for Full {
    type Error = IsFull;
    type Memory = Nothing;
    type Graph = ();

    fn reserve(&self, _: usize) -> Result<Nothing, IsFull> {
        Err(IsFull)
    }
    fn put(&self, _: &Nothing, _: usize, _: &[u8]) -> Result<(), IsFull> {
        Err(IsFull)
    }
    fn get(&self, _: &Nothing, _: usize, _: &mut [u8]) -> Result<(), IsFull> {
        Err(IsFull)
    }
    fn run(&self, _: &Launch) -> Result<(), IsFull> {
        Err(IsFull)
    }
    fn record(&self, _: &mut dyn FnMut() -> Result<(), IsFull>) -> Result<(), IsFull> {
        Err(IsFull)
    }
    fn replay(&self, (): &()) -> Result<(), IsFull> {
        Err(IsFull)
    }
}

#[test]
fn what_is_seen_and_its_fingerprint_do_not_tell_what_found_the_features() {
    let on_cpu = vision(&mut Finder::default(), Some(asking()));
    let (expected, _) = seen(&on_cpu, Finder::default());
    let (without, _) = seen(&vision(&mut Finder::default(), None), Finder::default());
    let candidates = |seen: &[FrameResult]| -> Vec<_> {
        seen.iter().flat_map(|seen| &seen.sightings).map(|sighting| sighting.candidates.clone()).collect()
    };
    assert!(candidates(&expected).len() >= 4);
    assert_ne!(candidates(&expected), candidates(&without), "features tell something");

    // References made on the one, frames seen on the other, and both on one.
    let on_device = vision(&mut on_shim(), Some(asking()));
    assert_eq!(on_device.fingerprint(), on_cpu.fingerprint());
    assert_eq!(seen(&on_device, Finder::default()).0, expected);
    let (found, finder) = seen(&on_device, on_shim());
    assert_eq!(found, expected);
    assert_eq!(finder.failure(), None);

    // A machine that fails was asked.
    let mut full = Finder::on(Full);
    assert_eq!(vision(&mut full, Some(asking())).fingerprint(), on_cpu.fingerprint());
    assert_eq!(full.failure(), Some("the memory is full"));
    let (found, finder) = seen(&on_cpu, Finder::on(Full));
    assert_eq!((found, finder.failure()), (expected, Some("the memory is full")));
    // And one that need not be asked was not.
    let (_, finder) = seen(&vision(&mut Finder::on(Full), None), Finder::on(Full));
    assert_eq!(finder.failure(), None);
}

#[test]
fn a_picture_looks_the_same_to_a_gallery_whatever_found_its_features() {
    let frame = shelf(&[(1, 40, 90)]);
    let bounds = BoundingBox { left: 40, top: 90, right: 96, bottom: 160 };
    let limits = DecodeLimits::default();
    let look = |finder: &mut Finder| {
        let reference = Look::at_reference(image(&frame), Some(bounds), limits, finder).unwrap();
        let mut gallery = Gallery::new(&[(1, ProductId::of("1"), reference)]).unwrap();
        let mut file = Vec::new();
        gallery.save(&mut file).unwrap();
        file
    };
    let expected = look(&mut Finder::default());
    assert_eq!(look(&mut on_shim()), expected);
    let mut full = Finder::on(Full);
    assert_eq!(look(&mut full), expected);
    assert_eq!(full.failure(), Some("the memory is full"));
}
