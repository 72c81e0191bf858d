//! Non-maximum suppression.

use larder_records::{BoundingBox, Ppm};

/// The indices of the boxes that remain, best first: a box goes where it overlaps a better remaining box by more than
/// `max_iou`. Equal scores keep their order.
pub fn non_maximum_suppression(boxes: &[(BoundingBox, Ppm)], max_iou: Ppm) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(boxes[index].1));
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        if kept.iter().all(|&better| boxes[better].0.iou(boxes[index].0) <= max_iou) {
            kept.push(index);
        }
    }
    kept
}
