//! How many launches KAZE and A-KAZE take on a GPU, how many bytes they move, and how long that would take: an estimate, for
//! machines without one.
//!
//!     cargo run --release -p larder-kernels --features cuda --example cuda_estimate [WIDTH HEIGHT [PICTURES]]
//!
//! Bytes are those of the planes that each kernel must read and write once, caches being perfect; what `diffuse_steps` reads
//! twice at the edges of its tiles is counted. Time is those bytes at 3 TB/s and 1.5 microseconds for each launch of a graph.
//! What points take (sorting, orientation, descriptors) is counted as launches only.

use std::{cell::RefCell, collections::BTreeMap, convert::Infallible};

use larder_kernels::{
    cuda::{Launch, Machine, Memory, table::Kernel},
    kaze::{
        Akaze, AkazeParams, Kaze, KazeParams,
        cuda::{DeviceAkaze, DeviceKaze},
    },
};

/// A machine that only counts.
#[derive(Default)]
struct Counter {
    launches: RefCell<BTreeMap<&'static str, (usize, f64)>>,
    reserved: RefCell<usize>,
}

#[derive(Debug)]
struct Nothing(usize);

impl Memory for Nothing {
    fn address(&self) -> u64 {
        0
    }
    fn bytes(&self) -> usize {
        self.0
    }
}

/// Bytes of a pixel that a kernel reads and writes.
fn bytes_of_pixel(kernel: &Kernel) -> f64 {
    match kernel.name {
        "smooth_bytes" => 5.0,
        "smooth" => 8.0,
        "halve" => 20.0,
        "contrast_greatest" | "contrast_histogram" | "maxima_flat" => 4.0,
        "conduct" | "slopes" | "determinant" | "maxima_between" => 12.0,
        // Three planes of 64 by 32 pixels for 56 by 24.
        "diffuse_steps" => 12.0 * (64.0 * 32.0) / (56.0 * 24.0) + 4.0,
        _ => 0.0,
    }
}

impl Machine for Counter {
    type Error = Infallible;
    type Memory = Nothing;
    type Graph = ();

    fn reserve(&self, bytes: usize) -> Result<Nothing, Infallible> {
        *self.reserved.borrow_mut() += bytes;
        Ok(Nothing(bytes))
    }

    fn put(&self, _: &Nothing, _: usize, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn get(&self, _: &Nothing, _: usize, into: &mut [u8]) -> Result<(), Infallible> {
        into.fill(0);
        Ok(())
    }

    fn run(&self, launch: &Launch) -> Result<(), Infallible> {
        let kernel = launch.kernel();
        let items: f64 = (0..3).map(|axis| f64::from(launch.grid()[axis]) * f64::from(kernel.tile[axis])).product();
        let bytes = bytes_of_pixel(kernel);
        let mut launches = self.launches.borrow_mut();
        let (count, moved) = launches.entry(kernel.name).or_default();
        *count += 1;
        *moved += if bytes > 0.0 { items * bytes } else { 0.0 };
        Ok(())
    }

    fn record(&self, work: &mut dyn FnMut() -> Result<(), Infallible>) -> Result<(), Infallible> {
        work()
    }

    fn replay(&self, (): &()) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Counter {
    fn print(&self, what: &str) {
        let launches = self.launches.borrow();
        let (count, bytes) = launches.values().fold((0, 0.0), |(n, b), (count, moved)| (n + count, b + moved));
        let memory = bytes / 3e12 * 1e6;
        let total = memory + count as f64 * 1.5;
        let reserved = *self.reserved.borrow() as f64 / 1e6;
        println!("{what}: {count} launches, {:.1} MB moved, {reserved:.0} MB reserved", bytes / 1e6);
        println!("  about {memory:.0} us of memory and {total:.0} us with launches (an estimate, not measured)");
        for (name, (count, moved)) in launches.iter() {
            println!("  {name:20} {count:5} launches {:9.1} MB", moved / 1e6);
        }
    }
}

fn main() -> Result<(), Infallible> {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let (width, height) = (numbers.next().unwrap_or(640), numbers.next().unwrap_or(480));
    let count = numbers.next().unwrap_or(1);
    println!("{count} pictures of {width} by {height}");
    let counter = Counter::default();
    DeviceAkaze::new(&counter, &Akaze::new(AkazeParams::default()), width, height, count)?;
    counter.print("A-KAZE");
    let counter = Counter::default();
    DeviceKaze::new(&counter, &Kaze::new(KazeParams::default()), width, height, count)?;
    counter.print("KAZE");
    Ok(())
}
