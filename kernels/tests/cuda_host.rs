//! The CUDA kernels, run on the CPU by the host shim in three orders of threads, give what the Rust functions give.
#![allow(clippy::unwrap_used)]

mod cuda;
mod noise;

use std::collections::BTreeSet;

use cuda::HostMachine;
use larder_cuda_host::{Build, Host, Order};
use larder_kernels::{
    ImageGrey8, ImageGrey16, ImageRgb8, Plane, change,
    components::{self, ComponentScratch},
    cuda::{
        Array, Gpu, Machine,
        cache::NoStore,
        matching::{self, Compared, Descriptors, Held, MatchMemory},
        table::KERNELS,
        vision::{self, ComponentMemory, Pictures},
    },
    features::{BinaryDescriptor, FloatDescriptors},
    letterbox::{self, InputFormat},
    matching::{Match, MatchParams, Nearest2, Neighbour},
    nms,
    opponent::OpponentImage,
};
use larder_records::{BoundingBox, PPM, Ppm};
use noise::noise;
use proptest::prelude::*;

/// A picture of noise from a seed.
fn noisy<T: Copy + Default>(
    width: usize,
    height: usize,
    seed: u64,
    mut pixel: impl FnMut(&mut dyn FnMut() -> u64) -> T,
) -> Plane<T> {
    let mut indices = 0..;
    let mut next = || indices.next().map_or(0, |index| noise(seed, index));
    Plane::from_pixels(width, height, (0..width * height).map(|_| pixel(&mut next)).collect()).unwrap()
}

fn noise_rgb(width: usize, height: usize, seed: u64) -> ImageRgb8 {
    noisy(width, height, seed, |next| next().to_le_bytes()[..3].try_into().unwrap())
}

/// A mask of noise, of which that many in 16 pixels are set.
fn noise_mask(width: usize, height: usize, seed: u64, of_16: u64) -> ImageGrey8 {
    noisy(width, height, seed, |next| if next() % 16 < of_16 { 255 } else { 0 })
}

fn pictures<M: Machine, T: larder_kernels::cuda::Plain>(machine: &M, planes: &[Plane<T>]) -> Pictures<M, T> {
    Pictures::from(machine, &planes.iter().collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_table_and_the_sources_name_the_same_kernels() {
    let sources: BTreeSet<String> = Host::start(Build::Plain)
        .unwrap()
        .kernels()
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("planted_"))
        .collect();
    let table: BTreeSet<String> = KERNELS.iter().map(|kernel| kernel.name.to_owned()).collect();
    assert_eq!(sources, table);
}

fn check_letterbox(machine: &impl Machine, size: (usize, usize), bounds: BoundingBox, format: InputFormat, seed: u64) {
    let images: Vec<ImageRgb8> = (0..2).map(|i| noise_rgb(size.0, size.1, seed + i)).collect();
    let on_machine = pictures(machine, &images);
    let plane = 3 * format.width * format.height;
    let into = Array::new(machine, plane * images.len()).unwrap();
    let zoom = vision::letterbox(machine, &on_machine, bounds, format, &into).unwrap();
    let got = into.first(machine, plane * images.len()).unwrap();
    for (image, got) in images.iter().zip(got.chunks_exact(plane)) {
        let mut expected = Vec::new();
        assert_eq!(letterbox::letterbox(image, bounds, format, &mut expected), zoom);
        assert!(got.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

fn check_change(machine: &impl Machine, width: usize, height: usize, reach: usize, seed: u64) {
    let now: Vec<ImageRgb8> = (0..2).map(|i| noise_rgb(width, height, seed + i)).collect();
    let (then, known) = (noise_rgb(width, height, seed + 9), noise_mask(width, height, seed, 12));
    let into = Pictures::new(machine, width, height, 2).unwrap();
    vision::colour_change(
        machine,
        &pictures(machine, &now),
        &pictures(machine, std::slice::from_ref(&then)),
        &pictures(machine, std::slice::from_ref(&known)),
        reach,
        &into,
    )
    .unwrap();
    let mut empty = OpponentImage::default();
    empty.fill(&then);
    for (index, now) in now.iter().enumerate() {
        let (mut picture, mut expected) = (OpponentImage::default(), ImageGrey8::default());
        picture.fill(now);
        change::colour_change(&picture, &empty, &known, reach, &mut Vec::new(), &mut expected);
        assert_eq!(into.get(machine, index).unwrap(), expected);
    }
}

fn check_conversions(
    machine: &impl Machine,
    (width, height): (usize, usize),
    (to_width, to_height): (usize, usize),
    seed: u64,
) {
    let images: Vec<ImageRgb8> = (0..2).map(|i| noise_rgb(width, height, seed + i)).collect();
    let on_machine = pictures(machine, &images);
    let grey = Pictures::new(machine, width, height, 2).unwrap();
    vision::grey(machine, &on_machine, &grey).unwrap();
    let resized = Pictures::new(machine, to_width, to_height, 2).unwrap();
    vision::resize(machine, &on_machine, &resized).unwrap();
    for (index, image) in images.iter().enumerate() {
        for (&[r, g, b], &grey) in image.pixels().iter().zip(grey.get(machine, index).unwrap().pixels()) {
            let exact = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
            assert!((f64::from(grey) - exact).abs() < 0.51, "{r} {g} {b}: {grey}");
        }
        // The letterbox is tested against OpenCV: with nothing around, it resizes.
        let format = InputFormat { width: to_width, height: to_height, bgr: false, pad: None, mean: 0.0, scale: 1.0 };
        let mut expected = Vec::new();
        letterbox::letterbox(image, image.bounds(), format, &mut expected);
        let plane = to_width * to_height;
        for (at, pixel) in resized.get(machine, index).unwrap().pixels().iter().enumerate() {
            for (channel, &value) in pixel.iter().enumerate() {
                assert_eq!(value, (expected[channel * plane + at] + 0.5) as u8);
            }
        }
    }
    let mask = noise_mask(width, height, seed, 8);
    let light = noisy(width, height, seed, |next| (next() % 1000) as f32 / 1000.0);
    let smoothed = Pictures::new(machine, width, height, 1).unwrap();
    let weights = [0.1, 0.2, 0.4, 0.2, 0.1];
    vision::smooth(machine, &pictures(machine, std::slice::from_ref(&light)), weights, &smoothed).unwrap();
    let nearest =
        |x: i64, y: i64| light.row(y.clamp(0, height as i64 - 1) as usize)[x.clamp(0, width as i64 - 1) as usize];
    for (at, &value) in smoothed.get(machine, 0).unwrap().pixels().iter().enumerate() {
        let (x, y) = ((at % width) as i64, (at / width) as i64);
        let around = (-2..=2).flat_map(|dy| (-2..=2).map(move |dx| (dx, dy)));
        let exact: f64 = around
            .map(|(dx, dy)| {
                f64::from(weights[(dx + 2) as usize] * weights[(dy + 2) as usize]) * f64::from(nearest(x + dx, y + dy))
            })
            .sum();
        assert!((f64::from(value) - exact).abs() < 1e-5);
    }
    let mut memory = ComponentMemory::new(machine, [width, height, 1]).unwrap();
    let masks = pictures(machine, std::slice::from_ref(&mask));
    let labels = vision::labels(machine, &masks, 1, &mut memory).unwrap().first(machine, width * height).unwrap();
    for (at, &label) in labels.iter().enumerate() {
        assert_eq!(label >= 0, mask.pixels()[at] != 0);
        // Neighbours have one label, and a label is the place of a pixel that has it.
        if label >= 0 {
            assert!(label as usize <= at && labels[label as usize] == label);
            let right_is_same = at % width + 1 == width || labels[at + 1] < 0 || labels[at + 1] == label;
            let below_is_same = at + width >= labels.len() || labels[at + width] < 0 || labels[at + width] == label;
            assert!(right_is_same && below_is_same);
        }
    }
}

fn check_grey_change(machine: &impl Machine, width: usize, height: usize, unit: u16, seed: u64) {
    let depth = |seed| noisy(width, height, seed, |next| if next() % 4 == 0 { 0 } else { next() as u16 });
    let (now, then): (ImageGrey16, ImageGrey16) = (depth(seed), depth(seed + 1));
    let into = Pictures::new(machine, width, height, 1).unwrap();
    let on_machine = [&now, &then].map(|picture| pictures(machine, std::slice::from_ref(picture)));
    vision::grey_change(machine, &on_machine[0], &on_machine[1], unit, &into).unwrap();
    let mut expected = ImageGrey8::default();
    change::grey_change(&now, &then, unit, &mut expected);
    assert_eq!(into.get(machine, 0).unwrap(), expected);
}

fn check_components(machine: &impl Machine, masks: &[ImageGrey8]) {
    let on_machine = pictures(machine, masks);
    let mut memory = ComponentMemory::new(machine, on_machine.extent()).unwrap();
    let found = vision::components(machine, &on_machine, 1, &mut memory).unwrap();
    let expected: Vec<_> =
        masks.iter().map(|mask| components::components(mask, &mut ComponentScratch::default())).collect();
    assert_eq!(found, expected);
}

fn check_nms(machine: &impl Machine, boxes: &[(BoundingBox, Ppm)], max_iou: Ppm) {
    let kept = vision::non_maximum_suppression(machine, boxes, max_iou).unwrap();
    assert_eq!(kept, nms::non_maximum_suppression(boxes, max_iou));
}

/// All trains by distance, then index; those at no distance left out.
fn by_distance<D: Copy + PartialOrd>(trains: usize, distance: impl Fn(usize) -> Option<D>) -> Vec<(D, u32)> {
    let mut all: Vec<(D, u32)> = (0..trains).filter_map(|train| Some((distance(train)?, train as u32))).collect();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all
}

/// Nearest two and matches against plain loops over `distance(query, train)`.
fn check_matching<M: Machine, T: Compared<Distance: Copy + PartialOrd + std::fmt::Debug>>(
    machine: &M,
    [queries, trains]: [Held<T>; 2],
    counts: [usize; 2],
    distance: impl Fn(usize, usize) -> Option<T::Distance>,
    is_clear: impl Fn(T::Distance, T::Distance, f32) -> bool,
) {
    let forward: Vec<_> = (0..counts[0]).map(|query| by_distance(counts[1], |train| distance(query, train))).collect();
    let back: Vec<_> = (0..counts[1]).map(|train| by_distance(counts[0], |query| distance(query, train))).collect();
    let near =
        |all: &[(T::Distance, u32)], rank: usize| all.get(rank).map(|&(distance, index)| Neighbour { distance, index });
    let expected: Vec<Nearest2<T::Distance>> =
        forward.iter().map(|all| Nearest2 { best: near(all, 0), second: near(all, 1) }).collect();
    assert_eq!(matching::nearest2(machine, queries, trains).unwrap(), expected);
    // Less than is needed at first, and used again.
    let mut memory = MatchMemory::new(machine, counts[0] / 2).unwrap();
    for (ratio, cross_check) in [(None, false), (Some(0.8), false), (None, true), (Some(0.95), true)] {
        let holds = |query: usize, all: &Vec<(T::Distance, u32)>| {
            let best = all.first()?;
            let clear = ratio.is_none_or(|ratio| all.get(1).is_some_and(|second| is_clear(best.0, second.0, ratio)));
            let mutual = !cross_check || back[best.1 as usize].first()?.1 == query as u32;
            (clear && mutual).then_some(Match { query: query as u32, train: best.1, distance: best.0 })
        };
        let expected: Vec<_> = forward.iter().enumerate().filter_map(|(query, all)| holds(query, all)).collect();
        let params = MatchParams { ratio, cross_check };
        assert_eq!(matching::matches(machine, queries, trains, params, &mut memory).unwrap(), expected);
    }
}

fn check_hamming(machine: &impl Machine, queries: usize, trains: usize, seed: u64) {
    // Few bits, so that there are ties.
    let some = |count, seed| -> Vec<BinaryDescriptor> {
        let words = noisy(count, 8, seed, |next| next() & next() & next() & 0x8000_0000_0010_0401);
        words.pixels().as_chunks().0.to_vec()
    };
    let (queries, trains) = (some(queries, seed), some(trains, seed + 1));
    let on_machine = [&queries, &trains].map(|all| Descriptors::binary(machine, all).unwrap());
    let distance = |query: usize, train: usize| {
        Some(queries[query].iter().zip(trains[train]).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>())
    };
    let is_clear = |best: u32, second: u32, ratio: f32| (best as f32) < ratio * second as f32;
    check_matching(
        machine,
        on_machine.each_ref().map(Descriptors::held),
        [queries.len(), trains.len()],
        distance,
        is_clear,
    );
}

fn check_l2(machine: &impl Machine, queries: usize, trains: usize, components: usize, seed: u64) {
    let scale = seed as u16;
    let some = |count, seed| {
        let values = noisy(count, components, seed, |next| match next() % 2000 {
            0 => f32::NAN,
            1 => f32::INFINITY,
            // Sixteenths add up without rounding, so that there are ties; fifteenths do not.
            other => (other % 16) as f32 / (15 + scale % 2) as f32,
        });
        FloatDescriptors::from_values(components, values.pixels().to_vec()).unwrap()
    };
    let (queries, trains) = (some(queries, seed), some(trains, seed + 1));
    let on_machine = [&queries, &trains].map(|all| Descriptors::float(machine, all).unwrap());
    let distance = |query: usize, train: usize| {
        let pairs = queries.get(query).iter().zip(trains.get(train));
        let sum = pairs.fold(0.0_f32, |sum, (a, b)| sum + (b - a) * (b - a));
        sum.is_finite().then_some(sum)
    };
    let is_clear = |best: f32, second: f32, ratio: f32| best < ratio * ratio * second;
    check_matching(
        machine,
        on_machine.each_ref().map(Descriptors::held),
        [queries.len(), trains.len()],
        distance,
        is_clear,
    );
}

const INPUT: InputFormat = InputFormat { width: 40, height: 24, bgr: false, pad: Some(114), mean: 12.5, scale: 0.017 };

/// Boxes of one kind of each kernel's work, at a size where blocks have neighbours and ends.
fn check_all(machine: &impl Machine) {
    let all = BoundingBox { left: 0, top: 0, right: 99, bottom: 99 };
    check_letterbox(machine, (67, 41), all, INPUT, 1);
    check_letterbox(machine, (67, 41), all, InputFormat { bgr: true, pad: None, ..INPUT }, 2);
    check_change(machine, 67, 41, 3, 3);
    check_change(machine, 40, 20, 16, 4);
    check_grey_change(machine, 67, 41, 30, 5);
    check_conversions(machine, (67, 41), (40, 55), 6);
    let masks: Vec<ImageGrey8> = [1, 5, 8, 16].map(|of_16| noise_mask(131, 67, of_16, of_16)).into();
    check_components(machine, &masks);
    check_nms(machine, &some_boxes(300, 7), 300_000);
    check_hamming(machine, 37, 150, 1);
    check_l2(machine, 37, 150, 64, 1);
    check_l2(machine, 9, 70, 128, 2);
}

fn some_boxes(count: usize, seed: u64) -> Vec<(BoundingBox, Ppm)> {
    noisy(count, 1, seed, |next| {
        let mut side = |most: u64| (next() % most) as u16;
        let [left, top, width, height] = [side(200), side(150), side(60), side(60)];
        // Equal scores, empty boxes.
        (left, top, width, height, side(40))
    })
    .pixels()
    .iter()
    .map(|&(left, top, width, height, score)| {
        (BoundingBox { left, top, right: left + width, bottom: top + height }, Ppm::from(score))
    })
    .collect()
}

#[test]
fn every_kernel_gives_what_rust_gives_in_every_order_of_threads() {
    for machine in HostMachine::all() {
        check_all(&machine);
    }
}

#[test]
fn every_kernel_gives_what_rust_gives_on_a_gpu() {
    match Gpu::open(0, None, &NoStore) {
        Ok((gpu, _)) => check_all(&gpu),
        Err(error) => eprintln!("skipped: {error}"),
    }
}

#[test]
fn no_kernel_reads_or_writes_outside_its_memory() {
    check_all(&HostMachine::new(Build::Sanitized, Order::Random(3)));
}

#[test]
fn more_components_than_there_was_room_for_are_all_found() {
    // Single pixels with a gap between any two: 64 * 40 of them.
    let pixels = (0..128 * 80).map(|i| u8::from(i % 128 % 2 == 0 && i / 128 % 2 == 0)).collect();
    let mask = ImageGrey8::from_pixels(128, 80, pixels).unwrap();
    check_components(&HostMachine::new(Build::Plain, Order::Forward), &[mask]);
}

#[test]
fn components_that_wind_are_one() {
    // A spiral: its pixels touch only their neighbours along it.
    let (width, height) = (97, 70);
    let mut mask = ImageGrey8::new(width, height);
    let (mut left, mut top, mut right, mut bottom) = (0, 0, width - 1, height - 1);
    while left + 3 < right && top + 3 < bottom {
        (left..=right).for_each(|x| mask.row_mut(top)[x] = 1);
        (top..=bottom).for_each(|y| mask.row_mut(y)[right] = 1);
        (left..=right).for_each(|x| mask.row_mut(bottom)[x] = 1);
        (top + 2..=bottom).for_each(|y| mask.row_mut(y)[left] = 1);
        mask.row_mut(top + 2)[left + 1] = 1;
        (left, top, right, bottom) = (left + 2, top + 2, right - 2, bottom - 2);
    }
    for machine in HostMachine::all() {
        check_components(&machine, std::slice::from_ref(&mask));
    }
}

#[test]
fn what_was_recorded_runs_again_on_what_is_then_in_memory() {
    let machine = HostMachine::new(Build::Plain, Order::Forward);
    let (first, second) = (noise_rgb(33, 17, 1), noise_rgb(33, 17, 2));
    let on_machine = pictures(&machine, std::slice::from_ref(&first));
    let into = Array::new(&machine, 3 * INPUT.width * INPUT.height).unwrap();
    let graph = machine
        .record(&mut || vision::letterbox(&machine, &on_machine, first.bounds(), INPUT, &into).map(|_| ()))
        .unwrap();
    on_machine.put(&machine, 0, &second).unwrap();
    machine.replay(&graph).unwrap();
    let mut expected = Vec::new();
    letterbox::letterbox(&second, second.bounds(), INPUT, &mut expected);
    assert_eq!(into.first(&machine, expected.len()).unwrap(), expected);
}

/// Runs one property on one machine: starting one for each case would take longer than the case.
fn on_host(order: Order, cases: u32, mut case: impl FnMut(&HostMachine, &mut proptest::test_runner::TestRunner)) {
    let machine = HostMachine::new(Build::Plain, order);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases, ..ProptestConfig::default() });
    case(&machine, &mut runner);
}

#[test]
fn letterboxes_of_any_size_are_those_of_rust() {
    let sizes = (1_usize..70, 1_usize..40, 1_usize..50, 1_usize..30, any::<[bool; 2]>(), any::<u64>());
    on_host(Order::Random(1), 60, |machine, runner| {
        let case = |(width, height, to_width, to_height, [bgr, padded], seed): (_, _, _, _, [bool; 2], _)| {
            let format = InputFormat {
                width: to_width,
                height: to_height,
                bgr,
                pad: padded.then_some(7),
                mean: 3.0,
                scale: 0.3,
            };
            let bounds =
                BoundingBox { left: width as u16 / 3, top: height as u16 / 4, right: width as u16, bottom: 60 };
            check_letterbox(machine, (width, height), bounds, format, seed);
            Ok(())
        };
        runner.run(&sizes, case).unwrap();
    });
}

#[test]
fn changes_of_any_size_are_those_of_rust() {
    on_host(Order::Reverse, 60, |machine, runner| {
        let sizes = (1_usize..70, 1_usize..30, 0_usize..=16, 1_u16..90, any::<u64>());
        let case = |(width, height, reach, unit, seed)| {
            check_change(machine, width, height, reach, seed);
            check_grey_change(machine, width, height, unit, seed);
            Ok(())
        };
        runner.run(&sizes, case).unwrap();
    });
}

#[test]
fn components_of_any_mask_are_those_of_rust() {
    on_host(Order::Random(2), 150, |machine, runner| {
        let sizes = (0_usize..80, 0_usize..30, 0_u64..17, any::<u64>());
        let case = |(width, height, of_16, seed)| {
            check_components(machine, &[noise_mask(width, height, seed, of_16), noise_mask(width, height, !seed, 7)]);
            Ok(())
        };
        runner.run(&sizes, case).unwrap();
    });
}

#[test]
fn boxes_of_any_number_are_suppressed_as_by_rust() {
    on_host(Order::Reverse, 100, |machine, runner| {
        let case = |(count, max_iou, seed)| {
            check_nms(machine, &some_boxes(count, seed), max_iou);
            Ok(())
        };
        runner.run(&(0_usize..150, 0_u32..PPM, any::<u64>()), case).unwrap();
    });
}

#[test]
fn descriptors_of_any_number_find_the_nearest_two_and_their_matches() {
    on_host(Order::Random(5), 60, |machine, runner| {
        let case = |(queries, trains, components, seed)| {
            check_hamming(machine, queries, trains, seed);
            check_l2(machine, queries, trains, components, seed);
            Ok(())
        };
        runner.run(&(0_usize..20, 0_usize..140, 1_usize..9, 0_u64..1 << 60), case).unwrap();
    });
}
