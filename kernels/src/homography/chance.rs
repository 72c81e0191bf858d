//! How often chance alone would give as good a map.

use super::{Homography, Pair, squared_distance};

/// The chance that an image of a `from` comes within `tolerance` of the `to` of *another* pair: what a wrong match would have
/// of being taken for a right one. Taken from the pairs themselves, as features lie in clusters.
pub(super) fn chance_of_one(pairs: &[Pair], map: &Homography, tolerance: f64) -> f64 {
    // A few hundred images tell the share well enough.
    let step = pairs.len().div_ceil(256).max(1);
    let (mut met, mut asked) = (0_u64, 0_u64);
    for (i, pair) in pairs.iter().enumerate().step_by(step) {
        let Some(image) = map.apply(pair.from) else { continue };
        for (j, other) in pairs.iter().enumerate() {
            // Another match of the same feature says nothing of chance.
            if i != j && squared_distance(other.to, pair.to) > tolerance * tolerance {
                asked += 1;
                met += u64::from(squared_distance(image, other.to) <= tolerance * tolerance);
            }
        }
    }
    // Never none at all: it was not asked infinitely often.
    (met as f64 + 1.0) / (asked as f64 + 1.0)
}

/// The decimal logarithm of the number of maps that fit `inliers` of `pairs` wrong matches by chance, over all maps through
/// four of them (Moisan and Stival 2004, section 2): far below zero for what is no chance.
pub(super) fn log_false_alarms(pairs: usize, inliers: usize, chance: f64) -> f64 {
    if inliers <= 4 {
        return f64::INFINITY;
    }
    let (n, k) = (pairs.max(inliers), inliers);
    libm::log10((n - 3) as f64) + log_choose(n, k) + log_choose(k, 4) + (k - 4) as f64 * libm::log10(chance.min(1.0))
}

fn log_choose(n: usize, k: usize) -> f64 {
    let log_factorial = |n: usize| libm::lgamma(n as f64 + 1.0) * std::f64::consts::LOG10_E;
    log_factorial(n) - log_factorial(k) - log_factorial(n - k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_counted() {
        assert!((log_choose(10, 4) - 210_f64.log10()).abs() < 1e-9);
        assert!(log_choose(7, 7).abs() < 1e-9);
    }

    #[test]
    fn more_of_the_same_matches_are_less_of_a_chance() {
        let of = |inliers| log_false_alarms(60, inliers, 0.01);
        assert!(of(4).is_infinite() && of(5) > of(6) && of(12) > of(13));
        assert!(of(14) < -2.0 && of(18) < -7.0 && of(5) > 5.0, "{} {} {}", of(14), of(18), of(5));
    }
}
