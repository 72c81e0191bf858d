//! Floats to whole numbers, many at once.

/// `value` brought between 0 and `most` (itself no less than 0, and no more than 2^24), and its whole part; 0 for what is no
/// number.
///
/// A cast that checks this itself is not vectorised.
#[inline(always)]
pub(crate) fn whole(value: f32, most: f32) -> (f32, i32) {
    // Not `clamp`, which leaves what is no number.
    #[allow(clippy::manual_clamp)]
    let value = value.max(0.0).min(most);
    debug_assert!((0.0..=16_777_216.0).contains(&value));
    // SAFETY: `max` and `min` give the other of the two where one is no number; what is left fits the type.
    (value, unsafe { value.to_int_unchecked() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_parts_are_those_of_a_checked_cast_between_the_ends() {
        for value in [0.0_f32, 0.4, 0.99999994, 1.0, 7.5, 8.0, 9.0, 1e30, -0.0, -3.5, f32::INFINITY, f32::NAN] {
            let (kept, part) = whole(value, 8.0);
            let expected = if value.is_nan() { 0.0 } else { value.clamp(0.0, 8.0) };
            assert_eq!((kept, part), (expected, expected as i32), "{value}");
        }
    }
}
