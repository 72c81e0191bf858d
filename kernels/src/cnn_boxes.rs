//! From the outputs of detection networks to boxes.

use larder_records::{BoundingBox, PPM, Ppm};

use crate::{letterbox::Zoom, nms::non_maximum_suppression};

/// A box of a detection network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CnnBox {
    /// Where, in pixels of the picture.
    pub bounds: BoundingBox,
    /// How sure the network is.
    pub score: Ppm,
    /// The class that it gives the highest score.
    pub class: usize,
}

/// A box in pixels of the network's input: left, top, right, bottom.
type Raw = ([f32; 4], f32, usize);

fn best_class(scores: impl Iterator<Item = f32>) -> (usize, f32) {
    scores.enumerate().fold((0, 0.0), |best, (class, score)| if score > best.1 { (class, score) } else { best })
}

/// Boxes of a FastestDet output (`5 + classes` planes of `rows * columns` cells; input of `width` by `height` pixels):
/// in each cell objectness, offsets of the centre (tanh), sides as parts of the picture (sigmoid), class scores. The
/// score is `objectness^0.6 * class^0.4`, as the authors compute it (github.com/dog-qiuqiu/FastestDet, `test.py`).
///
/// None where there are fewer than five planes, or `output` is shorter than its shape says.
pub fn fastestdet(
    output: &[f32],
    planes: usize,
    rows: usize,
    columns: usize,
    width: f32,
    height: f32,
) -> Option<Vec<Raw>> {
    let cells = rows.checked_mul(columns)?;
    if planes < 5 || output.len() < planes.checked_mul(cells)? {
        return None;
    }
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let boxes = (0..cells)
        .map(|cell| {
            let at = |plane: usize| output[plane * cells + cell];
            let (class, class_score) = best_class((5..planes).map(at));
            let score = at(0).max(0.0).powf(0.6) * class_score.powf(0.4);
            let x = ((cell % columns) as f32 + at(1).tanh()) / columns as f32 * width;
            let y = ((cell / columns) as f32 + at(2).tanh()) / rows as f32 * height;
            let (half_width, half_height) = (sigmoid(at(3)) * width * 0.5, sigmoid(at(4)) * height * 0.5);
            ([x - half_width, y - half_height, x + half_width, y + half_height], score, class)
        })
        .collect();
    Some(boxes)
}

/// Boxes of a YOLOX output (rows of `5 + classes` values; one row for each cell of the grids of strides 8, 16 and 32, row
/// by row): offset of the centre in cells, logarithm of the sides in cells, objectness, class scores (YOLOX: Ge et al.
/// 2021).
///
/// None where a row has fewer than five values, or there are fewer rows than cells.
pub fn yolox(output: &[f32], values: usize, width: usize, height: usize) -> Option<Vec<Raw>> {
    const STRIDES: [usize; 3] = [8, 16, 32];
    let mut cells = 0_usize;
    for stride in STRIDES {
        cells = cells.checked_add((width / stride).checked_mul(height / stride)?)?;
    }
    if values < 5 || output.len() / values < cells {
        return None;
    }
    let mut rows = output.chunks_exact(values);
    let mut found = Vec::with_capacity(cells);
    for stride in STRIDES {
        for y in 0..height / stride {
            for (x, row) in rows.by_ref().take(width / stride).enumerate() {
                let size = stride as f32;
                let (cx, cy) = ((row[0] + x as f32) * size, (row[1] + y as f32) * size);
                let (half_width, half_height) = (row[2].exp() * size * 0.5, row[3].exp() * size * 0.5);
                let (class, class_score) = best_class(row[5..].iter().copied());
                let sides = [cx - half_width, cy - half_height, cx + half_width, cy + half_height];
                found.push((sides, row[4] * class_score, class));
            }
        }
    }
    Some(found)
}

/// The boxes that score at least `min_score`, in pixels of a picture of `size` (width, height) that was resized by
/// `zoom`, without those that overlap a better one of their class by more than `max_iou`; best first.
pub fn finish(raw: &[Raw], zoom: Zoom, size: (u16, u16), min_score: Ppm, max_iou: Ppm) -> Vec<CnnBox> {
    let mut found: Vec<CnnBox> = raw
        .iter()
        .filter_map(|&([left, top, right, bottom], score, class)| {
            // A float cast to an integer saturates, and turns what is not a number into 0.
            let score = (score * PPM as f32) as Ppm;
            let side = |at: f32, zoom: f32, most: u16| ((at / zoom).round() as u16).min(most);
            let bounds = BoundingBox {
                left: side(left, zoom.0, size.0),
                top: side(top, zoom.1, size.1),
                right: side(right, zoom.0, size.0),
                bottom: side(bottom, zoom.1, size.1),
            };
            (score >= min_score && bounds.area() > 0).then_some(CnnBox { bounds, score: score.min(PPM), class })
        })
        .collect();
    found.sort_by_key(|found| (found.class, std::cmp::Reverse(found.score), found.bounds));
    let mut kept: Vec<CnnBox> = found
        .chunk_by(|a, b| a.class == b.class)
        .flat_map(|same| {
            let boxes: Vec<(BoundingBox, Ppm)> = same.iter().map(|found| (found.bounds, found.score)).collect();
            non_maximum_suppression(&boxes, max_iou).into_iter().map(|index| same[index])
        })
        .collect();
    kept.sort_by_key(|found| (std::cmp::Reverse(found.score), found.bounds, found.class));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fastestdet_cell_is_a_box_about_its_centre() {
        // Two classes, a grid of 2 by 1, an input of 100 by 50.
        let mut output = vec![0.0; 7 * 2];
        output[1] = 1.0; // objectness of cell 1
        output[6 * 2 + 1] = 1.0; // its second class
        let raw = fastestdet(&output, 7, 1, 2, 100.0, 50.0).unwrap();
        assert_eq!(raw[1], ([25.0, -12.5, 75.0, 12.5], 1.0, 1));
        let found = finish(&raw, (0.5, 0.5), (200, 100), 500_000, 500_000);
        let bounds = BoundingBox { left: 50, top: 0, right: 150, bottom: 25 };
        assert_eq!(found, [CnnBox { bounds, score: PPM, class: 1 }]);
    }

    #[test]
    fn yolox_rows_walk_the_grids_from_fine_to_coarse() {
        // An input of 32 by 32: 16 + 4 + 1 cells of 5 + 1 values.
        let mut output = vec![0.0; 21 * 6];
        output[17 * 6..18 * 6].copy_from_slice(&[0.5, 0.5, 0.0, 0.0, 1.0, 0.75]);
        let raw = yolox(&output, 6, 32, 32).unwrap();
        assert_eq!(raw.len(), 21);
        assert_eq!(raw[17], ([16.0, 0.0, 32.0, 16.0], 0.75, 0));
    }

    #[test]
    fn outputs_of_another_shape_are_refused() {
        let output = [1.0; 21 * 6];
        for (planes, rows, columns) in [(4, 1, 1), (0, 1, 1), (7, 18, 2), (7, 2, usize::MAX), (usize::MAX, 1, 2)] {
            assert_eq!(fastestdet(&output, planes, rows, columns, 100.0, 50.0), None);
        }
        for (values, width, height) in [(0, 32, 32), (4, 32, 32), (7, 32, 32), (6, 64, 32), (6, usize::MAX, usize::MAX)]
        {
            assert_eq!(yolox(&output, values, width, height), None);
        }
        assert_eq!(fastestdet(&[], 85, 0, 4, 100.0, 50.0), Some(Vec::new()));
        assert_eq!(yolox(&[], 85, 7, 7), Some(Vec::new()));
    }

    #[test]
    fn outputs_that_are_no_numbers_give_no_boxes() {
        let raw = [([f32::NAN; 4], 0.9, 0), ([0.0, 0.0, f32::INFINITY, 4.0], f32::NAN, 0)];
        assert!(finish(&raw, (1.0, 1.0), (10, 10), 1, 0).is_empty());
    }
}
