//! KAZE and A-KAZE by the CUDA kernels, run on the CPU by the host shim, are those of the Rust path, bit for bit.
#![allow(clippy::unwrap_used)]

mod cuda;
mod noise;

use std::{cell::Cell, rc::Rc};

use cuda::{HostMachine, HostMemory};
use larder_cuda_host::{Build, Order};
use larder_kernels::{
    ImageGrey8, ImageRgb8,
    change::colour_change,
    components::{ComponentScratch, components},
    cuda::{
        Gpu, Launch, Machine, Memory,
        backend::{FrameBackend, FrameParams, Seen},
        cache::NoStore,
    },
    features::{BinaryFeatures, FloatFeatures},
    kaze::{
        Akaze, AkazeParams, AkazeScratch, Backend, Diffusivity, Finder, Kaze, KazeParams, KazeScratch,
        cuda::{DeviceAkaze, DeviceKaze},
    },
    letterbox::{InputFormat, letterbox},
    matching::{MatchParams, MatchScratch, match_binary},
    nms::non_maximum_suppression,
    opponent::OpponentImage,
};
use larder_records::{BoundingBox, Ppm};
use noise::{binary, noise};

/// Discs and boxes of many sizes and a little noise: something at every scale.
fn picture(width: usize, height: usize, seed: u64) -> ImageGrey8 {
    let mut indices = 0..;
    let mut next = |most: u64| indices.next().map_or(0, |index| (noise(seed, index) % most) as i64);
    let shapes: Vec<[i64; 5]> = (0..width * height / 120)
        .map(|_| [next(width as u64), next(height as u64), 2 + next(12), next(2), 30 + next(200)])
        .collect();
    let pixels = (0..width * height)
        .map(|at| {
            let (x, y) = ((at % width) as i64, (at / width) as i64);
            let inside = |[cx, cy, size, disc, _]: &&[i64; 5]| match disc {
                0 => (x - cx).abs() <= *size && (y - cy).abs() <= *size,
                _ => (x - cx).pow(2) + (y - cy).pow(2) <= size * size,
            };
            let light = shapes.iter().rev().find(inside).map_or(120, |shape| shape[4]);
            (light + next(9) - 4).clamp(0, 255) as u8
        })
        .collect();
    ImageGrey8::from_pixels(width, height, pixels).unwrap()
}

fn kaze_on_cpu(kaze: &Kaze, picture: &ImageGrey8) -> FloatFeatures {
    let mut features = FloatFeatures::default();
    kaze.detect_and_compute(picture, &mut KazeScratch::default(), &mut features);
    features
}

fn akaze_on_cpu(akaze: &Akaze, picture: &ImageGrey8) -> BinaryFeatures {
    let mut features = BinaryFeatures::default();
    akaze.detect_and_compute(picture, &mut AkazeScratch::default(), &mut features);
    features
}

fn check_kaze(machine: &impl Machine, params: KazeParams, pictures: &[ImageGrey8], least: usize) {
    let kaze = Kaze::new(params);
    let (width, height) = (pictures[0].width(), pictures[0].height());
    let mut device = DeviceKaze::new(machine, &kaze, width, height, pictures.len()).unwrap();
    let all = device.detect_and_compute(machine, &pictures.iter().collect::<Vec<_>>()).unwrap().unwrap();
    assert_eq!(all.len(), pictures.len());
    for (features, picture) in all.iter().zip(pictures) {
        let expected = kaze_on_cpu(&kaze, picture);
        assert!(expected.keypoints.len() >= least, "{} points", expected.keypoints.len());
        assert_eq!(features.keypoints, expected.keypoints);
        let bits = |features: &FloatFeatures| -> Vec<u32> {
            features.descriptors.values().iter().map(|value| value.to_bits()).collect()
        };
        assert_eq!(bits(features), bits(&expected));
    }
}

fn check_akaze(machine: &impl Machine, params: AkazeParams, pictures: &[ImageGrey8], least: usize) {
    let akaze = Akaze::new(params);
    let (width, height) = (pictures[0].width(), pictures[0].height());
    let mut device = DeviceAkaze::new(machine, &akaze, width, height, pictures.len()).unwrap();
    let all = device.detect_and_compute(machine, &pictures.iter().collect::<Vec<_>>()).unwrap().unwrap();
    assert_eq!(all.len(), pictures.len());
    for (features, picture) in all.iter().zip(pictures) {
        let expected = akaze_on_cpu(&akaze, picture);
        assert!(expected.keypoints.len() >= least, "{} points", expected.keypoints.len());
        assert_eq!(*features, expected);
    }
}

/// Sizes at which diffusion goes by tiles, and at which a block holds it whole; an odd one.
fn check_all(machine: &impl Machine) {
    let pair = [picture(131, 93, 1), picture(131, 93, 2)];
    let few = KazeParams { n_octaves: 2, threshold: 0.0005, ..KazeParams::default() };
    check_kaze(machine, KazeParams { n_octave_layers: 3, ..few }, &pair, 20);
    let small = [picture(91, 64, 1)];
    check_kaze(machine, KazeParams { extended: true, upright: true, max_points: 7, ..few }, &small, 7);
    check_kaze(machine, few, &small, 10);
    let few = AkazeParams { n_octaves: 2, n_octave_layers: 3, threshold: 0.0005, ..AkazeParams::default() };
    let larger = [picture(163, 121, 3), picture(163, 121, 4)];
    check_akaze(machine, few, &larger, 20);
    check_akaze(machine, AkazeParams { upright: true, max_points: 7, ..few }, &larger[1..], 7);
}

#[test]
fn features_are_those_of_the_cpu_in_every_order_of_threads() {
    for machine in HostMachine::all() {
        check_all(&machine);
    }
}

/// Frames in two batches, the second with one frame less, on two backends that take turns.
fn check_frames<M: Machine>(machines: [M; 2]) {
    let (width, height) = (160, 120);
    let rgb = |seed| {
        let planes =
            [picture(width, height, seed), picture(width, height, seed + 50), picture(width, height, seed + 90)];
        let pixel = |at: usize| std::array::from_fn(|channel| planes[channel].pixels()[at]);
        ImageRgb8::from_pixels(width, height, (0..width * height).map(pixel).collect()).unwrap()
    };
    let frames: Vec<ImageRgb8> = (1..=3).map(rgb).collect();
    let (empty, mut known) = (rgb(9), ImageGrey8::new(width, height));
    known.pixels_mut()[width..].fill(1);
    let input = InputFormat { width: 32, height: 32, bgr: true, pad: Some(114), mean: 1.0, scale: 0.5 };
    let akaze =
        Akaze::new(AkazeParams { n_octaves: 1, n_octave_layers: 2, threshold: 0.0005, ..AkazeParams::default() });
    let params = FrameParams {
        size: (width, height),
        count: 2,
        input: Some(input),
        reach: 2,
        threshold: 40,
        features: Some(akaze.clone()),
        matching: MatchParams::default(),
    };
    let grey = |frame: &ImageRgb8| {
        let pixel = |&[r, g, b]: &[u8; 3]| {
            ((4899 * u32::from(r) + 9617 * u32::from(g) + 1868 * u32::from(b) + 8192) >> 14) as u8
        };
        ImageGrey8::from_pixels(width, height, frame.pixels().iter().map(pixel).collect()).unwrap()
    };
    // The features of the first frame among others.
    let references = [binary(0, 20), akaze_on_cpu(&akaze, &grey(&frames[0])).descriptors, binary(20, 20)].concat();
    let mut backends = machines.map(|machine| FrameBackend::new(machine, params.clone()).unwrap());
    for (backend, frames) in backends.iter_mut().zip(frames.chunks(2)) {
        backend.set_scene(&empty, &known).unwrap();
        backend.set_references(&references).unwrap();
        backend.begin(&frames.iter().collect::<Vec<_>>()).unwrap();
    }
    let seen: Vec<Seen> = backends.iter_mut().flat_map(|backend| backend.finish().unwrap()).collect();
    assert_eq!(seen.len(), frames.len());
    let mut scene = OpponentImage::default();
    scene.fill(&empty);
    for (seen, frame) in seen.iter().zip(&frames) {
        let mut planes = Vec::new();
        letterbox(frame, frame.bounds(), input, &mut planes);
        assert_eq!(seen.input, planes);
        let (mut colours, mut change) = (OpponentImage::default(), ImageGrey8::default());
        colours.fill(frame);
        colour_change(&colours, &scene, &known, 2, &mut Vec::new(), &mut change);
        change.pixels_mut().iter_mut().for_each(|pixel| *pixel = u8::from(*pixel >= 40));
        let changed = components(&change, &mut ComponentScratch::default());
        assert!(!changed.is_empty());
        assert_eq!(seen.changed, changed);
        let features = akaze_on_cpu(&akaze, &grey(frame));
        assert_eq!(seen.features.as_ref().unwrap(), &features);
        let (mut matches, params) = (Vec::new(), MatchParams::default());
        match_binary(&features.descriptors, &references, params, 1, &mut MatchScratch::default(), &mut matches);
        assert_eq!(seen.matches, matches);
    }
    assert!(!seen[0].matches.is_empty());
    let boxes: Vec<(BoundingBox, Ppm)> = (0..40)
        .map(|i| (BoundingBox { left: i % 7, top: i % 5, right: 20 + i % 11, bottom: 30 }, Ppm::from(i * 37 % 29)))
        .collect();
    let kept = backends[0].suppress(&boxes, 800_000).unwrap();
    assert!(kept.len() > 1 && kept.len() < boxes.len(), "{}", kept.len());
    assert_eq!(kept, non_maximum_suppression(&boxes, 800_000));
}

#[test]
fn a_frame_goes_up_once_and_what_comes_down_is_what_the_cpu_sees() {
    check_frames([1, 2].map(|seed| HostMachine::new(Build::Plain, Order::Random(seed))));
    match Gpu::open(0, None, &NoStore).and_then(|(gpu, _)| Ok([gpu.fork()?, gpu])) {
        Ok(queues) => check_frames(queues),
        Err(error) => eprintln!("skipped on a GPU: {error}"),
    }
}

#[test]
fn features_are_those_of_the_cpu_on_a_gpu() {
    match Gpu::open(0, None, &NoStore) {
        Ok((gpu, _)) => check_all(&gpu),
        Err(error) => eprintln!("skipped: {error}"),
    }
}

#[test]
fn no_kernel_reads_or_writes_outside_its_memory() {
    check_all(&HostMachine::new(Build::Sanitized, Order::Random(4)));
}

#[test]
fn every_diffusivity_is_that_of_the_cpu_or_nearly() {
    let machine = HostMachine::new(Build::Plain, Order::Forward);
    let picture = picture(96, 72, 5);
    let with = |diffusivity| KazeParams { n_octaves: 2, threshold: 0.0005, diffusivity, ..KazeParams::default() };
    for diffusivity in [Diffusivity::PmG2, Diffusivity::Charbonnier] {
        check_kaze(&machine, with(diffusivity), std::slice::from_ref(&picture), 5);
    }
    for diffusivity in [Diffusivity::PmG1, Diffusivity::Weickert] {
        let kaze = Kaze::new(with(diffusivity));
        let mut device = DeviceKaze::new(&machine, &kaze, 96, 72, 1).unwrap();
        let features = device.detect_and_compute(&machine, &[&picture]).unwrap().unwrap().remove(0);
        let expected = kaze_on_cpu(&kaze, &picture);
        assert_eq!(features.keypoints.len(), expected.keypoints.len());
        for (ours, cpu) in features.keypoints.iter().zip(&expected.keypoints) {
            assert!((ours.x - cpu.x).abs() < 0.01 && (ours.y - cpu.y).abs() < 0.01, "{ours:?}, {cpu:?}");
            assert!((ours.response - cpu.response).abs() < 1e-4 * cpu.response, "{ours:?}, {cpu:?}");
        }
        for (ours, cpu) in features.descriptors.values().iter().zip(expected.descriptors.values()) {
            assert!((ours - cpu).abs() < 1e-2);
        }
    }
}

#[test]
fn a_picture_without_contrast_has_no_points() {
    let machine = HostMachine::new(Build::Plain, Order::Forward);
    let grey = ImageGrey8::from_pixels(40, 30, vec![77; 40 * 30]).unwrap();
    check_kaze(&machine, KazeParams { n_octaves: 1, ..KazeParams::default() }, std::slice::from_ref(&grey), 0);
    check_akaze(&machine, AkazeParams { n_octaves: 1, ..AkazeParams::default() }, &[grey], 0);
}

#[test]
fn pictures_of_any_size_have_the_points_of_the_cpu() {
    let machine = HostMachine::new(Build::Plain, Order::Reverse);
    for (width, height) in [(3, 3), (3, 50), (57, 3), (33, 9), (64, 32), (65, 33)] {
        let picture = picture(width, height, (width * height) as u64);
        let params = KazeParams { n_octaves: 1, threshold: 0.0, ..KazeParams::default() };
        check_kaze(&machine, params, std::slice::from_ref(&picture), 0);
        check_akaze(&machine, AkazeParams { n_octaves: 1, threshold: 0.0, ..AkazeParams::default() }, &[picture], 0);
    }
}

#[test]
fn points_that_are_alike_come_in_the_order_of_the_cpu() {
    // Spots on a grid, all the same, but for where they are; and each about a place between pixels, so that these are alike.
    let spot = |at: usize| {
        let (x, y) = ((2 * (at % 24)).abs_diff(23), (2 * (at / 120 % 24)).abs_diff(23));
        if x * x + y * y < 120 { 200 } else { 60 }
    };
    let picture = [ImageGrey8::from_pixels(120, 120, (0..120 * 120).map(spot).collect()).unwrap()];
    for order in cuda::ORDERS {
        let machine = HostMachine::new(Build::Plain, order);
        let params = KazeParams { n_octaves: 2, threshold: 0.0005, ..KazeParams::default() };
        let features = kaze_on_cpu(&Kaze::new(params), &picture[0]);
        assert!(features.keypoints.windows(2).any(|two| two[0].response == two[1].response));
        check_kaze(&machine, params, &picture, 10);
    }
}

#[test]
fn points_of_every_octave_are_those_of_the_cpu() {
    let machine = HostMachine::new(Build::Plain, Order::Random(11));
    let picture = [picture(280, 240, 6)];
    let params = AkazeParams { n_octaves: 2, n_octave_layers: 2, threshold: 0.0001, ..AkazeParams::default() };
    let features = akaze_on_cpu(&Akaze::new(params), &picture[0]);
    for octave in 0..2 {
        assert!(features.keypoints.iter().any(|point| point.octave == octave), "none of octave {octave}");
    }
    check_akaze(&machine, params, &picture, 20);
}

#[test]
fn more_candidates_than_there_was_room_for_are_all_looked_at() {
    let machine = HostMachine::new(Build::Plain, Order::Random(9));
    // Noise has a maximum every few pixels.
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let picture = ImageGrey8::from_pixels(400, 300, (0..400 * 300).map(|_| next()).collect()).unwrap();
    let params = AkazeParams { n_octaves: 1, threshold: 0.0, upright: true, ..AkazeParams::default() };
    check_akaze(&machine, params, &[picture], 500);
}

/// What was asked of a [`Watched`] machine.
#[derive(Debug, Default)]
struct Asked {
    /// Of everything.
    calls: Cell<usize>,
    /// From which call on it fails.
    fails_at: Cell<Option<usize>>,
    recordings: Cell<usize>,
    replays: Cell<usize>,
    /// Bytes that are reserved now.
    held: Cell<usize>,
}

/// The host shim, watched.
#[derive(Debug)]
struct Watched {
    host: HostMachine,
    asked: Rc<Asked>,
}

#[derive(Debug)]
struct WatchedMemory {
    memory: HostMemory,
    asked: Rc<Asked>,
}

#[derive(Debug, thiserror::Error)]
#[error("call {0} failed")]
struct Fails(usize);

impl Watched {
    fn new(order: Order) -> (Self, Rc<Asked>) {
        let asked = Rc::<Asked>::default();
        (Self { host: HostMachine::new(Build::Plain, order), asked: asked.clone() }, asked)
    }

    fn call(&self) -> Result<(), Fails> {
        let call = self.asked.calls.replace(self.asked.calls.get() + 1);
        if self.asked.fails_at.get().is_some_and(|at| call >= at) { Err(Fails(call)) } else { Ok(()) }
    }
}

impl Memory for WatchedMemory {
    fn address(&self) -> u64 {
        self.memory.address()
    }
    fn bytes(&self) -> usize {
        self.memory.bytes()
    }
}

impl Drop for WatchedMemory {
    fn drop(&mut self) {
        self.asked.held.update(|held| held - self.memory.bytes());
    }
}

impl Machine for Watched {
    type Error = Fails;
    type Memory = WatchedMemory;
    type Graph = Vec<Launch>;

    fn reserve(&self, bytes: usize) -> Result<WatchedMemory, Fails> {
        self.call()?;
        self.asked.held.update(|held| held + bytes);
        Ok(WatchedMemory { memory: self.host.reserve(bytes).unwrap(), asked: self.asked.clone() })
    }
    fn put(&self, into: &WatchedMemory, at: usize, bytes: &[u8]) -> Result<(), Fails> {
        self.call()?;
        self.host.put(&into.memory, at, bytes).unwrap();
        Ok(())
    }
    fn get(&self, from: &WatchedMemory, at: usize, into: &mut [u8]) -> Result<(), Fails> {
        self.call()?;
        self.host.get(&from.memory, at, into).unwrap();
        Ok(())
    }
    fn run(&self, launch: &Launch) -> Result<(), Fails> {
        self.call()?;
        self.host.run(launch).unwrap();
        Ok(())
    }
    fn record(&self, work: &mut dyn FnMut() -> Result<(), Fails>) -> Result<Vec<Launch>, Fails> {
        self.call()?;
        self.asked.recordings.update(|count| count + 1);
        let mut done = Ok(());
        let recorded = self.host.record(&mut || {
            done = work();
            Ok(())
        });
        done.map(|()| recorded.unwrap())
    }
    fn replay(&self, graph: &Vec<Launch>) -> Result<(), Fails> {
        self.call()?;
        self.asked.replays.update(|count| count + 1);
        self.host.replay(graph).unwrap();
        Ok(())
    }
}

fn assert_finds_kaze(finder: &mut Finder, kaze: &Kaze, picture: &ImageGrey8, on: Backend) {
    let (mut found, expected) = (FloatFeatures::default(), kaze_on_cpu(kaze, picture));
    let size = (picture.width(), picture.height());
    assert_eq!(finder.kaze(kaze, picture, &mut found), on, "{size:?}");
    assert_eq!(found.keypoints, expected.keypoints, "{size:?}");
    let bits = |features: &FloatFeatures| -> Vec<u32> {
        features.descriptors.values().iter().map(|value| value.to_bits()).collect()
    };
    assert_eq!(bits(&found), bits(&expected), "{size:?}");
}

fn assert_finds_akaze(finder: &mut Finder, akaze: &Akaze, picture: &ImageGrey8, on: Backend) {
    let mut found = BinaryFeatures::default();
    assert_eq!(finder.akaze(akaze, picture, &mut found), on);
    assert_eq!(found, akaze_on_cpu(akaze, picture));
}

#[test]
fn pictures_of_mixed_sizes_have_the_features_of_the_cpu_whatever_was_seen_before() {
    let few = KazeParams { n_octaves: 2, n_octave_layers: 3, threshold: 0.0005, ..KazeParams::default() };
    let kazes = [few, KazeParams { extended: true, max_points: 9, ..few }].map(Kaze::new);
    let akaze = Akaze::new(AkazeParams { n_octaves: 2, threshold: 0.0005, ..AkazeParams::default() });
    for order in cuda::ORDERS {
        let (machine, asked) = Watched::new(order);
        let mut finder = Finder::on(machine);
        // Larger and smaller than what was there, and back.
        let sizes = [(91, 64), (131, 93), (91, 64), (91, 64), (70, 110), (300, 14), (131, 93), (91, 64)];
        for (seed, (width, height)) in sizes.into_iter().enumerate() {
            let picture = picture(width, height, seed as u64);
            assert_finds_kaze(&mut finder, &kazes[seed % 2], &picture, Backend::Machine);
            assert_finds_kaze(&mut finder, &kazes[0], &picture, Backend::Machine);
            assert_finds_akaze(&mut finder, &akaze, &picture, Backend::Machine);
        }
        assert!(asked.recordings.get() > 0 && asked.replays.get() > asked.recordings.get());
        assert_eq!(finder.failure(), None);
    }
}

#[test]
fn only_sizes_that_come_again_are_recorded_and_those_not_seen_for_longest_are_forgotten() {
    let (machine, asked) = Watched::new(Order::Forward);
    let mut finder = Finder::on(machine);
    // As few launches as can be.
    let akaze = Akaze::new(AkazeParams { n_octaves: 1, n_octave_layers: 1, ..AkazeParams::default() });
    let mut see = |width: usize| {
        assert_finds_akaze(&mut finder, &akaze, &picture(width, 42, width as u64), Backend::Machine);
        (asked.recordings.get(), asked.replays.get())
    };
    // The largest first: all others have room where it had.
    assert_eq!(see(200), (0, 0));
    assert_eq!(see(200), (1, 1));
    assert_eq!(see(200), (1, 2));
    (100..163).for_each(|width| assert_eq!(see(width), (1, 2)));
    let held = asked.held.get();
    assert_eq!(see(200), (1, 3), "64 sizes are remembered");
    (163..183).for_each(|width| assert_eq!(see(width), (1, 3)));
    assert_eq!(see(100), (1, 3), "it was forgotten");
    assert_eq!(see(182), (2, 4), "it was not");
    assert_eq!(see(200), (2, 5), "nor was one seen between");
    // Pictures and what is written of a size, and no more.
    assert!(asked.held.get() < held + 64 * 20 * 42 + 64, "{held}, {}", asked.held.get());
}

#[test]
fn a_machine_that_fails_leaves_the_features_of_the_cpu_and_its_reason() {
    let kaze = Kaze::new(KazeParams { n_octaves: 1, n_octave_layers: 3, threshold: 0.0005, ..KazeParams::default() });
    let pictures = [(80, 64, 1), (80, 64, 2), (80, 64, 3), (96, 70, 4)].map(|(w, h, seed)| picture(w, h, seed));
    let (machine, asked) = Watched::new(Order::Forward);
    let mut finder = Finder::on(machine);
    pictures.iter().for_each(|picture| assert_finds_kaze(&mut finder, &kaze, picture, Backend::Machine));
    let calls = asked.calls.get();
    drop(finder);
    assert_eq!(asked.held.get(), 0);
    for fails_at in (0..calls).step_by(calls / 23) {
        let (machine, asked) = Watched::new(Order::Forward);
        asked.fails_at.set(Some(fails_at));
        let mut finder = Finder::on(machine);
        for picture in &pictures {
            let mut features = FloatFeatures::default();
            let on = finder.kaze(&kaze, picture, &mut features);
            assert_eq!(features, kaze_on_cpu(&kaze, picture));
            assert_eq!(on == Backend::Cpu, asked.calls.get() > fails_at);
        }
        assert_eq!(finder.failure(), Some(format!("call {fails_at} failed").as_str()));
        assert_eq!((asked.calls.get(), asked.held.get()), (fails_at + 1, 0), "it is asked no more, and holds nothing");
    }
}

#[test]
fn what_a_machine_does_not_do_as_the_cpu_does_is_left_to_the_cpu() {
    let mut finder = Finder::on(HostMachine::new(Build::Plain, Order::Forward));
    let small = KazeParams { n_octaves: 1, threshold: 0.0005, ..KazeParams::default() };
    for diffusivity in [Diffusivity::PmG1, Diffusivity::Weickert] {
        let kaze = Kaze::new(KazeParams { diffusivity, ..small });
        assert_finds_kaze(&mut finder, &kaze, &picture(96, 72, 5), Backend::Cpu);
    }
    // Too small to be worth it, or to have any.
    for (width, height) in [(40, 30), (5000, 2), (0, 0)] {
        assert_finds_kaze(&mut finder, &Kaze::new(small), &picture(width, height, 1), Backend::Cpu);
    }
    // Noise has a maximum every few pixels.
    let noisy = (0..800 * 600).map(|at| noise(3, at) as u8).collect();
    let noisy = ImageGrey8::from_pixels(800, 600, noisy).unwrap();
    let flat =
        AkazeParams { n_octaves: 1, n_octave_layers: 4, threshold: 0.0, upright: true, ..AkazeParams::default() };
    assert!(akaze_on_cpu(&Akaze::new(flat), &noisy).keypoints.len() > 1000);
    assert_finds_akaze(&mut finder, &Akaze::new(flat), &noisy, Backend::Cpu);
    assert_eq!(finder.failure(), None);
    assert_finds_kaze(&mut finder, &Kaze::new(small), &picture(96, 72, 5), Backend::Machine);
    let mut finder = Finder::default();
    assert_finds_kaze(&mut finder, &Kaze::new(small), &picture(96, 72, 5), Backend::Cpu);
}

#[test]
fn a_finder_on_a_gpu_finds_what_the_cpu_does() {
    let Ok((gpu, _)) = Gpu::open(0, None, &NoStore) else { return eprintln!("skipped: there is no GPU") };
    let (mut finder, kaze) = (Finder::on(gpu), Kaze::new(KazeParams { threshold: 0.0001, ..KazeParams::default() }));
    for (width, height) in [(240, 180), (240, 97), (240, 180), (640, 480), (240, 180)] {
        assert_finds_kaze(&mut finder, &kaze, &picture(width, height, 3), Backend::Machine);
    }
}
