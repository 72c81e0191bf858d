//! Networks on a real photo; only with the feature `onnx`, and where the models are.
#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use larder_kernels::kaze::Finder;
use larder_pipelines::vision::{
    DetectorConfig, DetectorKind, EmbeddingConfig, Models, References, Scratch, Vision, VisionConfig,
};
use larder_records::{
    ApplianceId, BoundingBox, Frame, Image, ImageEncoding, Modality, Name, PPM, Payload, ProductId, SensorId, Time,
};

fn data() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"))
}

fn photo(number: u32) -> Image {
    let data = fs::read(data().join(format!("fridge_snapshots/positive/{number}.jpg"))).unwrap();
    Image { encoding: ImageEncoding::Jpeg, data: data.into() }
}

fn frame(image: Image) -> Frame {
    Frame {
        appliance: ApplianceId::of("fridge"),
        sensor: SensorId::of("camera"),
        modality: Modality::Visible,
        time: Time::MIN,
        sequence: 0,
        payload: Payload::Image(image),
    }
}

fn models(config: &VisionConfig) -> Models {
    Models::load(config, |file| fs::read(data().join("models").join(file))).unwrap()
}

fn detector(kind: DetectorKind, file: &str) -> VisionConfig {
    let detector = DetectorConfig {
        kind,
        file: file.into(),
        class_names: Some("fastestdet/coco.names".into()),
        min_score: 250_000,
    };
    VisionConfig { detector: Some(detector), ..VisionConfig::default() }
}

fn absent() -> bool {
    let absent = !data().join("models").exists();
    if absent {
        eprintln!("skipped: {} is absent", data().join("models").display());
    }
    absent
}

#[test]
fn a_detection_network_finds_the_bottle_without_a_scene() {
    if absent() {
        return;
    }
    // The bottle of water in photo 9.
    let bottle = BoundingBox { left: 512, top: 341, right: 572, bottom: 512 };
    for (kind, file) in [
        (DetectorKind::FastestDet, "fastestdet/FastestDet.onnx"),
        (DetectorKind::YoloxNano, "yolox_nano/yolox_nano.onnx"),
    ] {
        let config = detector(kind, file);
        let models = models(&config);
        let vision = Vision::new(config, None, References::with_models(models));
        let seen = vision.see(&frame(photo(9)), &mut Scratch::default()).unwrap();
        let found = seen.sightings.iter().filter(|s| s.classes.iter().any(|class| class.0 == Name::of("bottle")));
        let best = found.map(|s| s.bounds.iou(bottle)).max();
        assert!(
            best > Some(PPM / 2),
            "{kind:?}: {:#?}",
            seen.sightings.iter().map(|s| (s.bounds, &s.classes)).collect::<Vec<_>>()
        );
    }
}

#[test]
fn an_embedding_network_tells_products_apart() {
    if absent() {
        return;
    }
    let embedding = EmbeddingConfig {
        file: "efficientnet_lite0/efficientnet_lite0.onnx".into(),
        side: 224,
        bgr: false,
        mean: 127,
        divisor: 128,
    };
    let yolox = detector(DetectorKind::YoloxNano, "yolox_nano/yolox_nano.onnx").detector;
    let config =
        VisionConfig { embedding: Some(embedding), detector: yolox, chance: 500_000, ..VisionConfig::default() };
    let mut references = References::with_models(models(&config));
    // Water, squash and orange of photo 6.
    for (name, left, top, right, bottom) in
        [("water", 341, 737, 408, 906), ("squash", 403, 391, 497, 511), ("orange", 575, 585, 653, 659)]
    {
        let bounds = BoundingBox { left, top, right, bottom };
        references.add(ProductId::of(name), &photo(6), Some(bounds), None, &config, &mut Finder::default()).unwrap();
    }
    let without = References::with_models(models(&config));
    assert_ne!(references.digest(), without.digest());
    let vision = Vision::new(config, None, references);
    let seen = vision.see(&frame(photo(9)), &mut Scratch::default()).unwrap();
    let bottle = BoundingBox { left: 512, top: 341, right: 572, bottom: 512 };
    let sighting = seen.sightings.iter().max_by_key(|s| s.bounds.iou(bottle)).unwrap();
    assert_eq!(sighting.embedding.len(), 1280);
    assert_eq!(sighting.candidates[0].product, ProductId::of("water"), "{:?}", sighting.candidates);
}
