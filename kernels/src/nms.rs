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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use larder_records::PPM;

    use super::*;

    /// Takes the best, strikes out what it covers, and begins again.
    fn by_striking_out(boxes: &[(BoundingBox, Ppm)], max_iou: Ppm) -> Vec<usize> {
        let mut left: Vec<usize> = (0..boxes.len()).collect();
        let mut kept = Vec::new();
        while let Some(&best) = left.iter().min_by_key(|&&i| (std::cmp::Reverse(boxes[i].1), i)) {
            kept.push(best);
            left.retain(|&i| i != best && boxes[i].0.iou(boxes[best].0) <= max_iou);
        }
        kept
    }

    proptest! {
        #[test]
        fn the_best_of_boxes_that_overlap_remains(
            sides in prop::collection::vec((0_u16..20, 0_u16..20, 1_u16..12, 1_u16..12, 0_u32..4), 0..24),
            max_iou in 0_u32..PPM,
        ) {
            let boxes: Vec<(BoundingBox, Ppm)> = sides
                .into_iter()
                .map(|(left, top, w, h, score)| (BoundingBox { left, top, right: left + w, bottom: top + h }, score))
                .collect();
            prop_assert_eq!(non_maximum_suppression(&boxes, max_iou), by_striking_out(&boxes, max_iou));
        }
    }
}
