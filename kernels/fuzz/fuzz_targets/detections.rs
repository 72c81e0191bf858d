//! Whatever a detection network puts out, in whatever shape it says: no panic, and boxes that lie in the picture, best first.
#![no_main]

use arbitrary::Arbitrary;
use larder_kernels::cnn_boxes::{CnnBox, fastestdet, finish, yolox};
use larder_records::PPM;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Output {
    /// Lengths of the axes; often small, so that they fit the values.
    planes: usize,
    rows: u8,
    columns: u8,
    width: u8,
    height: u8,
    size: (u16, u16),
    zoom: (f32, f32),
    min_score: u32,
    max_iou: u32,
    small: bool,
    values: Vec<f32>,
}

fn check(found: &[CnnBox], output: &Output) {
    for found in found {
        let b = found.bounds;
        assert!(b.left < b.right && b.right <= output.size.0 && b.top < b.bottom && b.bottom <= output.size.1);
        assert!(found.score <= PPM && (found.score >= output.min_score || found.score == PPM));
    }
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
}

fuzz_target!(|output: Output| {
    let planes = if output.small { output.planes % 16 } else { output.planes };
    let [rows, columns, width, height] = [output.rows, output.columns, output.width, output.height].map(usize::from);
    let raw = fastestdet(&output.values, planes, rows, columns, width as f32, height as f32);
    let fastest = raw.map(|raw| finish(&raw, output.zoom, output.size, output.min_score, output.max_iou));
    check(&fastest.unwrap_or_default(), &output);
    let raw = yolox(&output.values, planes, width, height);
    let yolox = raw.map(|raw| finish(&raw, output.zoom, output.size, output.min_score, output.max_iou));
    check(&yolox.unwrap_or_default(), &output);
});
