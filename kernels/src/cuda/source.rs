//! The text of the kernels, as the compiler sees it.

/// Everything in `kernels/cuda/`, one file behind the other; what they share comes first.
pub const SOURCE: &str = concat!(
    include_str!("../../cuda/common.cuh"),
    include_str!("../../cuda/letterbox.cu"),
    include_str!("../../cuda/colour.cu"),
    include_str!("../../cuda/change.cu"),
    include_str!("../../cuda/components.cu"),
    include_str!("../../cuda/number.cu"),
    include_str!("../../cuda/nms.cu"),
    include_str!("../../cuda/matching.cu"),
    include_str!("../../cuda/space.cu"),
    include_str!("../../cuda/points.cu"),
);
