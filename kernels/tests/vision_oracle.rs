//! The kernels beside OpenCV and onnxruntime, which `tests/python/vision_oracle.py` runs on the same picture.
#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command, sync::OnceLock};

use larder_kernels::{
    ImageGrey8, ImageRgb8,
    components::{Component, ComponentScratch, components},
    letterbox::{InputFormat, letterbox},
    morphology,
    nms::non_maximum_suppression,
};
use larder_records::{BoundingBox, PPM};
use python::python;
use serde_json::Value;

#[path = "../../tests/python/mod.rs"]
mod python;

const WIDTH: usize = 300;
const HEIGHT: usize = 200;

/// What the other makers compute; none, which is said, where Python lacks them.
fn oracle() -> Option<&'static Value> {
    static ORACLE: OnceLock<Option<Value>> = OnceLock::new();
    ORACLE.get_or_init(run_oracle).as_ref()
}

fn run_oracle() -> Option<Value> {
    let python = python("cv2, numpy, onnxruntime")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let models = root.join("../shared/data/models");
    let output = Command::new(python)
        .arg(root.join("tests/python/vision_oracle.py"))
        .args(models.exists().then_some(models))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn picture() -> ImageRgb8 {
    let pixel = |i: usize| {
        let (x, y) = ((i % WIDTH) as i64, (i / WIDTH) as i64);
        if (x - 90).pow(2) + (y - 110).pow(2) < 50 * 50 {
            return [200, 60, 40];
        }
        [x * 7 + y * 3, x * y / 50, x / 3 + 2 * y].map(|value| (value % 256) as u8)
    };
    ImageRgb8::from_pixels(WIDTH, HEIGHT, (0..WIDTH * HEIGHT).map(pixel).collect()).unwrap()
}

fn mask() -> ImageGrey8 {
    let pixels = picture().pixels().iter().map(|[r, g, _]| u8::from(*r > 128 && *g < 100)).collect();
    ImageGrey8::from_pixels(WIDTH, HEIGHT, pixels).unwrap()
}

fn assert_near(name: &str, ours: &[f32], theirs: &Value, tolerance: f64) {
    assert_eq!(ours.len() as u64, theirs["length"].as_u64().unwrap(), "{name}");
    let step = theirs["step"].as_u64().unwrap() as usize;
    for (index, value) in theirs["values"].as_array().unwrap().iter().enumerate() {
        let (ours, theirs) = (f64::from(ours[index * step]), value.as_f64().unwrap());
        assert!((ours - theirs).abs() <= tolerance * theirs.abs().max(1.0), "{name} at {index}: {ours} not {theirs}");
    }
}

const YOLOX: InputFormat = InputFormat { width: 416, height: 416, bgr: true, pad: Some(114), mean: 0.0, scale: 1.0 };
const FASTESTDET: InputFormat =
    InputFormat { width: 352, height: 352, bgr: true, pad: None, mean: 0.0, scale: 1.0 / 255.0 };

fn input(format: InputFormat) -> Vec<f32> {
    let (image, mut out) = (picture(), Vec::new());
    letterbox(&image, image.bounds(), format, &mut out);
    out
}

#[test]
fn resized_pictures_are_opencvs() {
    let Some(oracle) = oracle() else { return };
    assert_near("letterbox", &input(YOLOX), &oracle["letterbox"], 2e-3);
    assert_near("stretch", &input(FASTESTDET), &oracle["stretch"], 2e-3);
}

#[test]
fn components_morphology_and_suppression_are_opencvs() {
    let Some(oracle) = oracle() else { return };
    let mut found: Vec<[u64; 5]> = components(&mask(), &mut ComponentScratch::default())
        .into_iter()
        .map(|Component { bounds: b, area }| {
            [b.left.into(), b.top.into(), b.right.into(), b.bottom.into(), area.into()]
        })
        .collect();
    found.sort_unstable();
    assert_eq!(serde_json::to_value(found).unwrap(), oracle["components"]);

    let (mut opened, mut closed, mut scratch) = (mask(), mask(), ImageGrey8::default());
    morphology::open(&mut opened, 2, &mut scratch);
    morphology::close(&mut closed, 2, &mut scratch);
    let count = |mask: &ImageGrey8| mask.pixels().iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
    assert_eq!(
        (count(&opened), count(&closed)),
        (oracle["opened"].as_u64().unwrap(), oracle["closed"].as_u64().unwrap())
    );

    let boxes: Vec<(BoundingBox, u32)> = (0..40_u16)
        .map(|i| {
            let (left, top, width, height) = (i * 37 % 200, i * 53 % 150, 20 + i * 7 % 40, 20 + i * 11 % 30);
            let bounds = BoundingBox { left, top, right: left + width, bottom: top + height };
            (bounds, u32::from(i) * 7919 % 1000 * (PPM / 1000))
        })
        .collect();
    // OpenCV leaves out what scores nothing.
    let kept = non_maximum_suppression(&boxes, 400_000);
    let kept: Vec<usize> = kept.into_iter().filter(|&index| boxes[index].1 > 0).collect();
    assert_eq!(serde_json::to_value(kept).unwrap(), oracle["nms"]);
}

#[cfg(feature = "onnx")]
#[test]
fn networks_give_what_onnxruntime_gives() {
    use larder_kernels::onnx::Network;

    let Some(oracle) = oracle() else { return };
    let Some(folder) = oracle["models"].as_str() else {
        eprintln!("skipped: the models are absent");
        return;
    };
    let embedding = InputFormat { width: 224, height: 224, bgr: false, pad: None, mean: 127.0, scale: 1.0 / 128.0 };
    for (name, format) in [
        ("fastestdet/FastestDet.onnx", FASTESTDET),
        ("yolox_nano/yolox_nano.onnx", YOLOX),
        ("efficientnet_lite0/efficientnet_lite0.onnx", embedding),
    ] {
        let bytes = std::fs::read(std::path::Path::new(folder).join(name)).unwrap();
        let network = Network::load(&bytes, format.width, format.height).unwrap();
        let output = network.run(&input(format)).unwrap().pop().unwrap();
        assert_near(name, &output.values, &oracle["networks"][name], 2e-2);
    }
}
