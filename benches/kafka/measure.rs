//! Time, processor time and memory, as Linux tells them.

use std::{
    fmt::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::chart::{Series, chart};

/// What something took, in seconds.
#[derive(Clone, Copy)]
pub struct Cost {
    pub wall: f64,
    pub cpu: f64,
}

/// A moment of this process.
pub struct Moment(Instant, f64);

impl Moment {
    pub fn since(&self, earlier: &Self) -> Cost {
        Cost { wall: self.0.duration_since(earlier.0).as_secs_f64(), cpu: self.1 - earlier.1 }
    }
}

/// Now, and the processor time of this process so far.
pub fn here() -> Moment {
    Moment(Instant::now(), ticks(13))
}

/// The processor time of all children that ended, in seconds.
pub fn children() -> f64 {
    ticks(15)
}

/// User and system time at that field of `/proc/self/stat`, from 0; Linux counts a hundred a second.
fn ticks(field: usize) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // the name of the program may hold spaces; it ends with the last bracket, and is field 1
    let rest = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<f64> = rest.split_whitespace().skip(field - 2).take(2).map(|text| text.parse().unwrap()).collect();
    (fields[0] + fields[1]) / 100.0
}

/// Runs a program, which must end well.
pub fn cost_of_child(mut command: Command) -> Cost {
    cost_and_answer(&mut command).0
}

/// The same, and what it prints where it is not told to print elsewhere.
pub fn cost_and_answer(command: &mut Command) -> (Cost, String) {
    let (began, before) = (Instant::now(), children());
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?} failed");
    let cost = Cost { wall: began.elapsed().as_secs_f64(), cpu: children() - before };
    (cost, String::from_utf8(output.stdout).unwrap())
}

/// Writes `backlog.csv` and `backlog.svg`: MiB over seconds.
pub fn plot(folder: &Path, samples: &[(f64, f64)]) {
    let mut csv = "seconds,mib\n".to_owned();
    samples.iter().for_each(|(seconds, mib)| writeln!(csv, "{seconds:.1},{mib:.0}").unwrap());
    std::fs::write(folder.join("backlog.csv"), csv).unwrap();
    let memory = Series { name: "resident memory, MiB", points: samples.to_vec() };
    std::fs::write(folder.join("backlog.svg"), chart("seconds", &[memory])).unwrap();
}
