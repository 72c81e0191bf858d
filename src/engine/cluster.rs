//! The threads that run the dataflow, of one process or of several.

use std::{
    any::Any,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use larder_records::Digest;
use timely::{
    CommunicationConfig,
    communication::{
        Hooks, WorkerGuards,
        allocator::{AllocatorBuilder, ProcessBuilder, zero_copy::initialize::initialize_networking_from_sockets},
    },
    execute::execute_from,
    worker::Worker,
};

use super::DataflowError;

/// Who runs the dataflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Threads of each process; one at least.
    pub threads: usize,
    /// `host:port` of each process, where others of them reach it. The first is the engine's own. Of fewer than two there is one
    /// process, which listens nowhere.
    pub processes: Vec<String>,
}

impl From<usize> for Cluster {
    /// So many threads of one process.
    fn from(threads: usize) -> Self {
        Self { threads, processes: Vec::new() }
    }
}

/// How long a stranger may take to say who it is.
const GREETING: Duration = Duration::from_secs(2);
/// How long is waited before it is tried again to reach another process.
const AGAIN: Duration = Duration::from_millis(100);
/// What a process answers to one that it waited for.
const WELCOME: u8 = b'!';

impl Cluster {
    /// Whether there are several processes.
    pub fn is_shared(&self) -> bool {
        self.processes.len() > 1
    }

    /// Runs `work` on every thread of the process of that number; waits for the other processes first.
    pub(super) fn execute<T: Send + 'static>(
        &self,
        process: usize,
        work: impl Fn(&mut Worker) -> T + Send + Sync + 'static,
    ) -> Result<WorkerGuards<T>, DataflowError> {
        let threads = self.threads.max(1);
        let (builders, connections) = if self.is_shared() {
            let sockets = self.connect(process)?;
            let hooks = Hooks::default();
            let local = ProcessBuilder::new_typed_vector(threads, hooks.refill.clone(), None);
            let started = initialize_networking_from_sockets(local, sockets, process, threads, hooks);
            let (builders, guard) = started.map_err(|error| DataflowError::Start(error.to_string()))?;
            let guard: Box<dyn Any + Send> = Box::new(guard);
            (builders.into_iter().map(AllocatorBuilder::Tcp).collect(), guard)
        } else {
            CommunicationConfig::Process(threads).try_build().map_err(DataflowError::Start)?
        };
        execute_from(builders, connections, larder_pipelines::worker_config(), work).map_err(DataflowError::Start)
    }

    /// By what processes know each other: of one version, and of one configuration.
    fn digest(&self) -> Digest {
        let threads = self.threads.to_string();
        let facts = ["larder dataflow", env!("CARGO_PKG_VERSION"), &threads];
        Digest::of_parts(facts.into_iter().chain(self.processes.iter().map(String::as_str)).map(str::as_bytes))
    }

    /// A connection to every other process, when all are there.
    fn connect(&self, process: usize) -> Result<Vec<Option<TcpStream>>, DataflowError> {
        let mut sockets: Vec<Option<TcpStream>> = self.processes.iter().map(|_| None).collect();
        let address = self.processes.get(process).map_or("", String::as_str);
        let listening = |source| DataflowError::Listen { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).map_err(listening)?;
        for (socket, address) in sockets.iter_mut().zip(&self.processes[..process]) {
            *socket = Some(self.reach(process, address));
        }
        while let Some(missing) = (process + 1..sockets.len()).find(|other| sockets[*other].is_none()) {
            tracing::info!(process = missing, address = self.processes[missing], "waiting for another process");
            let (stream, from) = listener.accept().map_err(listening)?;
            match self.greeted(process, &stream) {
                Ok(other) => sockets[other] = Some(stream),
                Err(error) => tracing::warn!(%from, "no process of this cluster: {error}"),
            }
        }
        Ok(sockets)
    }

    /// A connection to the process at `address`, as soon as it takes this one for `process`.
    fn reach(&self, process: usize, address: &str) -> TcpStream {
        let greet = || -> io::Result<TcpStream> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.write_all(&self.digest().0.to_le_bytes())?;
            stream.write_all(&(process as u32).to_le_bytes())?;
            let mut answer = [0];
            stream.read_exact(&mut answer)?;
            Ok(stream)
        };
        let mut told = None;
        loop {
            match greet() {
                Ok(stream) => return stream,
                Err(error) => {
                    if told.replace(error.kind()) != Some(error.kind()) {
                        tracing::info!(address, "waiting for another process: {error}");
                    }
                    thread::sleep(AGAIN);
                }
            }
        }
    }

    /// Which of the others waits behind `stream`.
    fn greeted(&self, process: usize, mut stream: &TcpStream) -> io::Result<usize> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(GREETING))?;
        let (mut digest, mut number) = ([0; 16], [0; 4]);
        stream.read_exact(&mut digest)?;
        stream.read_exact(&mut number)?;
        let other = u32::from_le_bytes(number) as usize;
        if u128::from_le_bytes(digest) != self.digest().0 {
            return Err(io::Error::other(
                "of another version, or with other processes or workers in its configuration",
            ));
        }
        if !(process + 1..self.processes.len()).contains(&other) {
            return Err(io::Error::other(format!("process {other} is not waited for")));
        }
        stream.set_read_timeout(None)?;
        stream.write_all(&[WELCOME])?;
        Ok(other)
    }
}

#[cfg(test)]
mod tests {
    use larder_pipelines::Intake;
    use larder_records::{ApplianceId, Modality, Reading, SensorId, Time};

    use super::*;
    use crate::engine::workers::{Workers, assist};

    fn three_processes() -> Cluster {
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let processes = listeners.map(|listener| listener.local_addr().unwrap().to_string()).to_vec();
        Cluster { threads: 1, processes }
    }

    /// The visits that doors tell of, in two epochs.
    fn visits(cluster: &Cluster) -> Vec<larder_records::views::Visit> {
        let mut workers = Workers::start(cluster).unwrap();
        let mut intake = Intake::default();
        for n in 0..2_000 {
            let (appliance, sensor) = (ApplianceId::of(&format!("fridge-{}", n % 7)), SensorId::of("door"));
            let time = Time(1_700_000_000_000_000 + (n * 7_919 % 2_000) * Time::MINUTE);
            intake.reading(&Reading { appliance, sensor, modality: Modality::Door, time, sequence: 0, value: n % 2 });
            if n % 1_000 == 999 {
                workers.send(intake.take_batch()).unwrap();
            }
        }
        let mut changes = workers.finish_epochs().unwrap();
        changes.consolidate();
        changes.visits.into_iter().map(|(visit, ..)| visit).collect()
    }

    #[test]
    fn processes_compute_together_what_one_does_alone_and_strangers_are_turned_away() {
        let cluster = three_processes();
        let others: Vec<_> = (1..3)
            .map(|process| {
                let cluster = cluster.clone();
                thread::spawn(move || assist(&cluster, process).unwrap())
            })
            .collect();
        let address = cluster.processes[0].clone();
        let stranger = thread::spawn(move || {
            let greeting = [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 8]].concat();
            while TcpStream::connect(&address).and_then(|mut stream| stream.write_all(&greeting)).is_err() {
                thread::yield_now();
            }
        });
        let together = visits(&cluster);
        let alone = visits(&Cluster::from(1));
        assert!(alone.len() > 500, "{}", alone.len());
        assert_eq!(together, alone);
        others.into_iter().for_each(|other| other.join().unwrap());
        stranger.join().unwrap();
    }

    #[test]
    fn who_has_another_configuration_is_not_taken_for_a_process() {
        let cluster = three_processes();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let other = Cluster { threads: 2, ..cluster.clone() };
        let greeting = |cluster: &Cluster, number: u32| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(&cluster.digest().0.to_le_bytes()).unwrap();
            stream.write_all(&number.to_le_bytes()).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            let greeted = cluster_of(&cluster.processes).greeted(0, &accepted);
            greeted.map_err(|error| error.to_string())
        };
        assert_eq!(greeting(&cluster, 2), Ok(2));
        assert!(greeting(&other, 2).unwrap_err().starts_with("of another version"));
        assert_eq!(greeting(&cluster, 3), Err("process 3 is not waited for".to_owned()));
        assert_eq!(greeting(&cluster, 0), Err("process 0 is not waited for".to_owned()));
    }

    fn cluster_of(processes: &[String]) -> Cluster {
        Cluster { threads: 1, processes: processes.to_vec() }
    }
}
