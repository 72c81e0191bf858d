//! The shim finds what is wrong with kernels that are wrong on purpose.
#![allow(clippy::unwrap_used)]

use larder_cuda_host::{Build, Host, HostError, Launch, Order, Value};

const ORDERS: [Order; 4] = [Order::Forward, Order::Reverse, Order::Random(1), Order::Random(2)];

/// Runs a kernel of one block of 64 threads, with 64 input values where `has_input`; its `outputs` values.
fn run(build: Build, kernel: &str, order: Order, has_input: bool, outputs: usize) -> Result<Vec<i32>, HostError> {
    let mut host = Host::start(build)?;
    let mut arguments = Vec::new();
    if has_input {
        let input = host.reserve(64 * 4)?;
        let bytes: Vec<u8> = (0..64_i32).flat_map(|value| (100 + value).to_le_bytes()).collect();
        host.put(input, &bytes)?;
        arguments.push(Value::Pointer(input));
    }
    let output = host.reserve(outputs * 4)?;
    arguments.push(Value::Pointer(output));
    let shared = 64 * 4;
    host.launch(&Launch { kernel, grid: [1; 3], block: [64, 1, 1], shared, order, arguments: &arguments })?;
    let mut bytes = vec![0; outputs * 4];
    host.get(output, &mut bytes)?;
    Ok(bytes.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect())
}

#[test]
fn a_kernel_that_is_right_gives_the_same_in_every_order_and_build() {
    let expected: Vec<i32> = (0..64).rev().map(|value| 100 + value).collect();
    for order in ORDERS {
        for build in [Build::Plain, Build::Sanitized] {
            assert_eq!(run(build, "planted_none", order, true, 64).unwrap(), expected, "{order:?}");
        }
    }
}

#[test]
fn a_missing_barrier_shows_as_results_that_depend_on_the_order() {
    let right: Vec<i32> = (0..64).rev().map(|value| 100 + value).collect();
    let results = ORDERS.map(|order| run(Build::Plain, "planted_no_barrier", order, true, 64).unwrap());
    assert!(results.iter().all(|result| *result != right));
    assert_ne!(results[0], results[1]);
}

#[test]
fn threads_that_wait_at_different_barriers_are_an_error() {
    let error = run(Build::Plain, "planted_divergent_barrier", Order::Forward, false, 64).unwrap_err();
    assert!(matches!(&error, HostError::Refused { .. }), "{error}");
}

#[test]
fn a_lane_that_does_not_come_to_a_warp_function_is_an_error() {
    let error = run(Build::Plain, "planted_missing_lane", Order::Forward, false, 64).unwrap_err();
    assert!(matches!(&error, HostError::Refused { .. }), "{error}");
}

#[test]
fn reading_and_writing_outside_of_memory_is_reported_with_its_place() {
    for (kernel, has_input) in
        [("planted_beyond_memory", true), ("planted_beyond_shared", false), ("planted_beyond_dynamic", false)]
    {
        let error = run(Build::Sanitized, kernel, Order::Forward, has_input, 64).unwrap_err();
        let HostError::Ended(report) = error else { panic!("{error}") };
        assert!(report.contains("buffer-overflow") && report.contains(kernel), "{kernel}: {report}");
    }
}

#[test]
fn warp_functions_and_atomics_are_those_of_cuda() {
    for order in ORDERS {
        let got = run(Build::Plain, "planted_warp_functions", order, false, 10 * 64).unwrap();
        for t in 0..64 {
            let (lane, warp) = (t % 32, t / 32 * 32);
            assert_eq!(got[t], (warp + 5) as i32);
            assert_eq!(got[64 + t], if lane < 3 { t } else { t - 3 } as i32);
            assert_eq!(got[128 + t], if t % 16 + 3 < 16 { t + 3 } else { t } as i32);
            assert_eq!(got[192 + t], (t ^ 9) as i32);
            let thirds = (0..32).filter(|lane| lane % 3 == 0).fold(0, |bits, lane| bits | 1 << lane);
            assert_eq!(got[256 + t], thirds);
            assert_eq!(got[320 + t], 10);
        }
        assert_eq!([got[384], got[448], got[512], got[576]], [(0..64).sum::<i32>(), 0, 63, 128]);
    }
}

#[test]
fn a_launch_with_other_arguments_than_the_kernel_takes_is_refused() {
    let mut host = Host::start(Build::Plain).unwrap();
    for arguments in [vec![], vec![Value::Int(1), Value::Int(2)], vec![Value::Pointer(0); 3]] {
        let launch = Launch {
            kernel: "planted_none",
            grid: [1; 3],
            block: [64, 1, 1],
            shared: 0,
            order: Order::Forward,
            arguments: &arguments,
        };
        assert!(matches!(host.launch(&launch), Err(HostError::Refused { .. })));
    }
}
