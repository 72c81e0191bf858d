//! The timely workers: batches of input in, changes of the views out, one epoch at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender, SyncSender, TryRecvError},
    },
    thread::Thread,
    time::Duration,
};

use larder_pipelines::{Batch, Sessions};
use timely::{communication::WorkerGuards, dataflow::ProbeHandle, worker::Worker};

use super::{arranged::Arranged, cluster::Cluster, views::ViewChanges};

/// Why the dataflow cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DataflowError {
    /// The workers could not be started.
    #[error("the dataflow workers could not be started: {0}")]
    Start(String),
    /// Others cannot reach this process.
    #[error("cannot listen at {address} for other processes of the dataflow: {source}")]
    Listen {
        /// Where.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A worker ended early.
    #[error("a dataflow worker ended early; its message is above")]
    WorkerLost,
}

/// How many epochs may be under way before [`Workers::send`] waits.
const EPOCHS_UNDER_WAY: usize = 4;

struct Hand {
    epoch: u64,
    batch: Batch,
}

/// Running timely workers: those of this process, which is the first.
pub struct Workers {
    cluster: Cluster,
    inputs: Vec<SyncSender<Hand>>,
    threads: Vec<Thread>,
    outputs: Receiver<(u64, ViewChanges)>,
    next_epoch: u64,
    next_done: u64,
    arranged: Arc<Arranged>,
    /// Ends with the last input.
    _guards: WorkerGuards<()>,
}

impl Workers {
    /// Starts workers, all running [`larder_pipelines::views`]. Where there are several processes, it waits for the others
    /// ([`assist`]).
    ///
    /// # Errors
    /// [`DataflowError::Start`] where threads cannot be had, [`DataflowError::Listen`] where the others cannot reach it.
    pub fn start(cluster: &Cluster) -> Result<Self, DataflowError> {
        let count = cluster.threads.max(1);
        let (output, outputs) = mpsc::channel();
        let (here, threads) = mpsc::channel();
        let (inputs, hands): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::sync_channel(EPOCHS_UNDER_WAY)).unzip();
        let hands = Mutex::new(hands.into_iter().map(Some).collect::<Vec<Option<Receiver<Hand>>>>());
        let shared = Mutex::new((output, here));
        let is_shared = cluster.is_shared();
        let arranged = Arc::new(Arranged::new());
        let listener = arranged.clone();
        let guards = cluster.execute(0, move |worker| {
            listener.listen(worker);
            let Some(hands) = locked(&hands)[worker.index()].take() else { return };
            let output = {
                let shared = locked(&shared);
                // the receivers outlive every worker: a failed send means that the engine is gone, and so is the need
                let _ = shared.1.send((worker.index(), std::thread::current()));
                shared.0.clone()
            };
            run(worker, is_shared, &hands, &output);
        })?;
        let mut numbered = Vec::with_capacity(count);
        for _ in 0..count {
            numbered.push(threads.recv().map_err(|_| DataflowError::WorkerLost)?);
        }
        numbered.sort_by_key(|(index, _)| *index);
        Ok(Self {
            cluster: cluster.clone(),
            inputs,
            threads: numbered.into_iter().map(|(_, thread)| thread).collect(),
            outputs,
            next_epoch: 0,
            next_done: 0,
            arranged,
            _guards: guards,
        })
    }

    /// Sends the next epoch's input and returns the epoch. Waits where too many epochs are under way.
    ///
    /// # Errors
    /// [`DataflowError::WorkerLost`] where a worker ended early.
    pub fn send(&mut self, batch: Batch) -> Result<u64, DataflowError> {
        let epoch = self.next_epoch;
        for (worker, batch) in batch.deal(self.inputs.len()).into_iter().enumerate() {
            self.inputs[worker].send(Hand { epoch, batch }).map_err(|_| DataflowError::WorkerLost)?;
            self.threads[worker].unpark();
        }
        self.next_epoch += 1;
        Ok(epoch)
    }

    /// Waits until every epoch sent is done, and returns the changes of all epochs not returned yet.
    ///
    /// # Errors
    /// [`DataflowError::WorkerLost`] where a worker ended early.
    pub fn finish_epochs(&mut self) -> Result<ViewChanges, DataflowError> {
        let mut changes = ViewChanges::default();
        let due = (self.next_epoch - self.next_done) as usize * self.inputs.len();
        for _ in 0..due {
            let (_, done) = self.outputs.recv().map_err(|_| DataflowError::WorkerLost)?;
            changes.merge(done);
        }
        self.next_done = self.next_epoch;
        Ok(changes)
    }

    /// How many updates arrangements hold, by name.
    pub fn arranged(&self) -> BTreeMap<String, u64> {
        self.arranged.updates()
    }

    /// Those of this process and of others.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The epoch that [`Workers::send`] gives next.
    pub fn next_epoch(&self) -> u64 {
        self.next_epoch
    }
}

/// The value behind `mutex`: both are written once, before any worker could fail.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a worker sleeps when it has nothing to do and nobody wakes it.
const NAP: Duration = Duration::from_millis(20);

/// Runs the workers of another process than the first, until the first has no more use for them.
///
/// Waits for the first process. All that is taken in comes from there, and all that is computed goes there. A process that dies takes the
/// others with it: `timely` then panics in a thread of its own, with a message that begins with [`BROKEN`].
///
/// # Errors
/// [`DataflowError::Start`] where threads cannot be had, [`DataflowError::Listen`] where the others cannot reach it;
/// [`DataflowError::WorkerLost`] where a worker panicked.
pub fn assist(cluster: &Cluster, process: usize) -> Result<(), DataflowError> {
    let guards = cluster.execute(process, |worker| {
        let mut sessions = Sessions::default();
        let probe = ProbeHandle::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let views = larder_pipelines::views(sessions.inputs(scope));
            ViewChanges::collect(views, true, &probe);
        });
    });
    let done = guards?.join();
    if done.into_iter().any(|done| done.is_err()) { Err(DataflowError::WorkerLost) } else { Ok(()) }
}

/// What the message of a panic begins with where a connection to another process is lost.
pub const BROKEN: &str = "timely communication error: ";

/// One worker: feeds the hands it is dealt into the dataflow, and hands back each epoch's changes when it is done.
fn run(worker: &mut Worker, is_shared: bool, hands: &Receiver<Hand>, output: &Sender<(u64, ViewChanges)>) {
    let probe = ProbeHandle::new();
    let mut sessions = Sessions::default();
    let changes = worker.dataflow::<u64, _, _>(|scope| {
        let views = larder_pipelines::views(sessions.inputs(scope));
        ViewChanges::collect(views, is_shared, &probe)
    });
    let mut under_way = VecDeque::new();
    loop {
        match hands.try_recv() {
            Ok(Hand { epoch, batch }) => {
                sessions.send(epoch, batch);
                under_way.push_back(epoch);
                worker.step();
            }
            Err(TryRecvError::Empty) => {
                worker.step_or_park(Some(NAP));
            }
            Err(TryRecvError::Disconnected) => break,
        }
        while under_way.front().is_some_and(|epoch| !probe.less_than(&(epoch + 1))) {
            let Some(epoch) = under_way.pop_front() else { break };
            if output.send((epoch, changes.borrow_mut().take_until(epoch))).is_err() {
                return;
            }
        }
    }
}
