//! Fast explicit diffusion: how long the steps of a cycle are.

/// The longest step that an explicit scheme in two dimensions may take.
const TAU_MAX: f64 = 0.25;

/// The steps of one cycle that diffuses for `time`: some far longer than is stable alone, in an order in which rounding does
/// no harm (Grewenig, Weickert and Bruhn 2010, equations 9 to 11 and the remark on Leja ordering, by the kappa cycles of
/// Alcantarilla 2013). Empty where `time` is not positive.
pub fn step_times(time: f64) -> Vec<f32> {
    let count = (libm::sqrt(3.0 * time / TAU_MAX + 0.25) - 0.5 - 1e-8).ceil();
    if time.is_nan() || time <= 0.0 || count < 1.0 {
        return Vec::new();
    }
    let steps = count as usize;
    // The cycle of that many steps takes n (n + 1) / 3 of the longest stable ones: each is shortened to hit the time.
    let shortened = 3.0 * time / (count * (count + 1.0)) / 2.0;
    let ordered = |step: usize| {
        let cosine = libm::cos(std::f64::consts::PI * (2 * step + 1) as f64 / (4 * steps + 2) as f64);
        (shortened / (cosine * cosine)) as f32
    };
    let prime = (steps + 1..).find(|&number| is_prime(number)).unwrap_or(steps + 1);
    let stride = (steps / 2).max(1);
    (1..prime).map(|turn| turn * stride % prime - 1).filter(|&step| step < steps).map(ordered).collect()
}

fn is_prime(number: usize) -> bool {
    number > 1 && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_a_cycle_take_its_time_each_once() {
        for time in [0.05, 0.53, 1.28, 5.0, 37.5, 67.9, 231.0, 4000.0] {
            let steps = step_times(time);
            let sum: f64 = steps.iter().map(|&step| f64::from(step)).sum();
            assert!((sum - time).abs() < 1e-4 * time, "{time}: {sum}");
            let mut sorted = steps.clone();
            sorted.sort_by(f32::total_cmp);
            sorted.dedup();
            assert_eq!(sorted.len(), steps.len());
            // The fewest steps that reach it: one step less could not.
            let fewer = (steps.len() - 1) as f64;
            assert!(TAU_MAX * fewer * (fewer + 1.0) / 3.0 < time, "{time} in {}", steps.len());
        }
    }

    #[test]
    fn no_time_takes_no_steps() {
        for time in [0.0, -1.0, f64::NAN] {
            assert!(step_times(time).is_empty());
        }
    }
}
