//! Vision on made-up frames.
#![allow(clippy::unwrap_used)]

use larder_kernels::kaze::Finder;
use larder_pipelines::vision::{
    GRID_COLUMNS, GRID_ROWS, Models, References, Scene, SceneLearner, Scratch, Vision, VisionConfig,
};
use larder_records::{
    ApplianceId, BoundingBox, DeadReason, Frame, Image, ImageEncoding, Modality, Payload, PixelFormat, ProductId,
    SensorId, Time,
};

fn frame(modality: Modality, encoding: ImageEncoding, data: Vec<u8>) -> Frame {
    Frame {
        appliance: ApplianceId::of("fridge"),
        sensor: SensorId::of(modality.as_str()),
        modality,
        time: Time::from_seconds(1).unwrap(),
        sequence: 0,
        payload: Payload::Image(Image { encoding, data: data.into() }),
    }
}

/// A frame of 160 by 120 of `far`, with a box of `near` at (40, 30) to (80, 70) where there is one.
fn grey(modality: Modality, far: u16, near: Option<u16>) -> Frame {
    let mut pixels = vec![far; 160 * 120];
    for y in 30..70 {
        pixels[y * 160 + 40..y * 160 + 80].fill(near.unwrap_or(far));
    }
    let data = pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
    frame(modality, ImageEncoding::Raw { width: 160, height: 120, step: 320, pixel: PixelFormat::Grey16 }, data)
}

/// A shelf with a gradient of light and a few fixtures, and the discs of colour put on it.
fn shelf(discs: &[(i32, i32, [u8; 3])]) -> Frame {
    let mut data = Vec::new();
    for y in 0..240_i32 {
        for x in 0..320_i32 {
            let light = 200 - y / 4 - x / 8;
            let fixture = y % 80 < 4 || (x / 7) % 16 == 0;
            let mut pixel = [light, light - 5, light - 15].map(|c| (if fixture { c / 2 } else { c }) as u8);
            for &(cx, cy, colour) in discs {
                if (x - cx).pow(2) + (y - cy).pow(2) < 22 * 22 {
                    pixel = colour;
                }
            }
            data.extend(pixel);
        }
    }
    frame(Modality::Visible, ImageEncoding::Raw { width: 320, height: 240, step: 960, pixel: PixelFormat::Rgb8 }, data)
}

fn scene_of(frames: &[Frame]) -> Scene {
    let config = VisionConfig::default();
    let mut learner = SceneLearner::default();
    for frame in frames {
        learner.push(frame, &[], &config).unwrap();
    }
    learner.finish(&config)
}

fn plain(scene: Option<Scene>) -> Vision {
    Vision::new(VisionConfig::default(), scene, References::default())
}

const PUT: BoundingBox = BoundingBox { left: 40, top: 30, right: 80, bottom: 70 };

#[test]
fn what_stands_before_the_empty_depth_is_seen_with_its_distance() {
    let vision = plain(Some(scene_of(&[grey(Modality::Depth, 800, None)])));
    let seen = vision.see(&grey(Modality::Depth, 805, Some(600)), &mut Scratch::default()).unwrap();
    let [sighting] = &seen.sightings[..] else { panic!("{:?}", seen.sightings) };
    assert_eq!((sighting.bounds, sighting.depth_mm, sighting.heat_ck), (PUT, Some(600), None));
    assert!(sighting.candidates.is_empty() && sighting.embedding.is_empty());
    let grid = seen.grid.unwrap();
    assert_eq!((grid.columns, grid.rows, grid.cells.len()), (GRID_COLUMNS, GRID_ROWS, 300));
    // Cells are 8 by 8: the box takes 5 columns from the sixth, and 5 rows of which those at its edges are cut.
    assert_eq!((grid.cells[5 * 20 + 5], grid.cells[5 * 20 + 4], grid.cells[0]), (600, 805, 805));
}

#[test]
fn a_warm_thing_is_seen_with_its_temperature() {
    let vision = plain(Some(scene_of(&[grey(Modality::Infrared, 27_700, None)])));
    let seen = vision.see(&grey(Modality::Infrared, 27_700, Some(29_500)), &mut Scratch::default()).unwrap();
    let [sighting] = &seen.sightings[..] else { panic!("{:?}", seen.sightings) };
    assert_eq!((sighting.bounds, sighting.heat_ck, sighting.depth_mm), (PUT, Some(29_500), None));
}

#[test]
fn products_are_found_on_a_shelf_though_the_light_changed() {
    let (tomato, lime) = ([190, 40, 30], [90, 170, 40]);
    let scene = scene_of(&[shelf(&[]), shelf(&[(60, 60, tomato)]), shelf(&[])]);
    let config = VisionConfig::default();
    let mut references = References::default();
    for (name, colour) in [("tomato", tomato), ("lime", lime)] {
        let Payload::Image(image) = shelf(&[(100, 120, colour)]).payload else { unreachable!() };
        let bounds = BoundingBox { left: 78, top: 98, right: 122, bottom: 142 };
        references
            .add(ProductId::of(name), &image, Some(bounds), Some(&scene), &config, &mut Finder::default())
            .unwrap();
    }
    let vision = Vision::new(config, Some(scene), references);
    let mut dim = shelf(&[(60, 130, tomato), (230, 70, lime), (150, 200, lime)]);
    let Payload::Image(image) = &mut dim.payload else { unreachable!() };
    image.data = image.data.iter().map(|&value| (u32::from(value) * 4 / 5) as u8).collect::<Vec<_>>().into();
    let seen = vision.see(&dim, &mut Scratch::default()).unwrap();
    let found: Vec<(BoundingBox, ProductId)> = seen
        .sightings
        .iter()
        .filter(|s| s.candidates[0].score >= VisionConfig::DEFAULT_MIN_SCORE)
        .map(|s| (s.bounds, s.candidates[0].product))
        .collect();
    let expected = [(230, 70, "lime"), (60, 130, "tomato"), (150, 200, "lime")];
    assert_eq!(found.len(), expected.len(), "{:?}", seen.sightings);
    for ((bounds, product), (x, y, name)) in found.into_iter().zip(expected) {
        let truth = BoundingBox { left: x - 22, top: y - 22, right: x + 22, bottom: y + 22 };
        assert_eq!(product, ProductId::of(name));
        assert!(bounds.iou(truth) > 600_000, "{bounds:?} {truth:?}");
    }
}

#[test]
fn an_empty_scene_shows_nothing() {
    let vision = plain(Some(scene_of(&[shelf(&[])])));
    assert!(vision.see(&shelf(&[]), &mut Scratch::default()).unwrap().sightings.is_empty());
    assert!(plain(None).see(&shelf(&[(60, 60, [200, 0, 0])]), &mut Scratch::default()).unwrap().sightings.is_empty());
}

#[test]
fn a_frame_that_cannot_be_seen_says_why() {
    let mut scratch = Scratch::default();
    let mut reason = |frame: Frame| plain(None).see(&frame, &mut scratch).unwrap_err().reason();
    assert_eq!(reason(frame(Modality::Visible, ImageEncoding::Jpeg, b"no picture".to_vec())), DeadReason::BadImage);
    let huge = ImageEncoding::Raw { width: 10_000, height: 10_000, step: 30_000, pixel: PixelFormat::Rgb8 };
    assert_eq!(reason(frame(Modality::Visible, huge, vec![0; 10])), DeadReason::TooLarge);
    let mut colour_as_depth = shelf(&[]);
    colour_as_depth.modality = Modality::Depth;
    assert_eq!(reason(colour_as_depth), DeadReason::BadImage);
    let mut reading = grey(Modality::Depth, 1, None);
    reading.payload = Payload::Reading(3);
    assert_eq!(reason(reading), DeadReason::Malformed);
}

#[test]
fn the_fingerprint_changes_with_all_that_results_depend_on() {
    let scene = scene_of(&[shelf(&[])]);
    let mut references = References::default();
    let Payload::Image(image) = shelf(&[]).payload else { unreachable!() };
    references
        .add(ProductId::of("shelf"), &image, None, None, &VisionConfig::default(), &mut Finder::default())
        .unwrap();
    let other = VisionConfig { reach: 5, ..VisionConfig::default() };
    let fingerprints = [
        plain(None).fingerprint(),
        plain(Some(scene)).fingerprint(),
        Vision::new(VisionConfig::default(), None, references).fingerprint(),
        Vision::new(other, None, References::default()).fingerprint(),
    ];
    for (index, one) in fingerprints.iter().enumerate() {
        assert!(fingerprints[index + 1..].iter().all(|another| another != one));
    }
    assert_eq!(plain(None).fingerprint(), fingerprints[0]);
}

#[test]
fn a_configuration_is_the_same_after_toml_and_names_only_what_there_is() {
    let config = VisionConfig { chance: 700_000, ..VisionConfig::default() };
    assert_eq!(toml::from_str::<VisionConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    assert_eq!(toml::from_str::<VisionConfig>("").unwrap(), VisionConfig::default());
    assert!(toml::from_str::<VisionConfig>("chanse = 1").is_err());
    let text = "[detector]\nkind = \"fastest_det\"\nfile = \"absent.onnx\"";
    let with_network: VisionConfig = toml::from_str(text).unwrap();
    assert!(Models::load(&with_network, |_| Err(std::io::ErrorKind::NotFound.into())).is_err());
    assert!(Models::load(&config, |_| unreachable!("nothing is configured")).is_ok());
}

#[test]
fn bytes_that_are_no_scene_are_refused() {
    let bytes = scene_of(&[shelf(&[]), grey(Modality::Depth, 800, None)]).to_bytes();
    let whole = Scene::from_bytes(&bytes).unwrap();
    assert_eq!((whole.len(), whole.to_bytes() == bytes), (2, true));
    for cut in (9..bytes.len()).step_by(1_999) {
        assert!(Scene::from_bytes(&bytes[..cut]).is_err(), "{cut}");
    }
    assert!(Scene::from_bytes(b"something else").is_err());
}
