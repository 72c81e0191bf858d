//! A [`Machine`] that is the CPU: what a GPU would run, run by the host shim.
// Who uses it takes a part.
#![allow(dead_code)]

use std::{cell::RefCell, rc::Rc};

use larder_cuda_host::{Build, Host, HostError, Launch as HostLaunch, Order, Value};
use larder_kernels::cuda::{Argument, Launch, Machine, Memory};

/// The orders in which every kernel is run.
pub const ORDERS: [Order; 3] = [Order::Forward, Order::Reverse, Order::Random(7)];

/// Runs kernels on the CPU.
#[derive(Debug)]
pub struct HostMachine {
    host: Rc<RefCell<Host>>,
    order: Order,
    recorded: RefCell<Option<Vec<Launch>>>,
}

/// Memory of the program that runs them.
#[derive(Debug)]
pub struct HostMemory {
    host: Rc<RefCell<Host>>,
    address: u64,
    bytes: usize,
}

impl HostMachine {
    pub fn new(build: Build, order: Order) -> Self {
        let host = Host::start(build).expect("the host shim starts");
        Self { host: Rc::new(RefCell::new(host)), order, recorded: RefCell::new(None) }
    }

    /// One for each order.
    pub fn all() -> [Self; 3] {
        ORDERS.map(|order| Self::new(Build::Plain, order))
    }
}

impl Memory for HostMemory {
    fn address(&self) -> u64 {
        self.address
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        // The program may have ended; then so has its memory.
        self.host.borrow_mut().free(self.address).ok();
    }
}

impl Machine for HostMachine {
    type Error = HostError;
    type Memory = HostMemory;
    type Graph = Vec<Launch>;

    fn reserve(&self, bytes: usize) -> Result<HostMemory, HostError> {
        let address = self.host.borrow_mut().reserve(bytes)?;
        Ok(HostMemory { host: self.host.clone(), address, bytes })
    }

    fn put(&self, into: &HostMemory, at: usize, bytes: &[u8]) -> Result<(), HostError> {
        assert!(at + bytes.len() <= into.bytes);
        self.host.borrow_mut().put(into.address + at as u64, bytes)
    }

    fn get(&self, from: &HostMemory, at: usize, into: &mut [u8]) -> Result<(), HostError> {
        assert!(at + into.len() <= from.bytes);
        self.host.borrow_mut().get(from.address + at as u64, into)
    }

    fn run(&self, launch: &Launch) -> Result<(), HostError> {
        if let Some(recorded) = &mut *self.recorded.borrow_mut() {
            recorded.push(launch.clone());
            return Ok(());
        }
        let arguments: Vec<Value> = launch
            .arguments()
            .iter()
            .map(|argument| match *argument {
                Argument::Address(address) => Value::Pointer(address),
                Argument::Int(value) => Value::Int(value),
                Argument::Unsigned(value) => Value::Unsigned(value),
                Argument::Float(value) => Value::Float(value),
            })
            .collect();
        let kernel = launch.kernel();
        self.host.borrow_mut().launch(&HostLaunch {
            kernel: kernel.name,
            grid: launch.grid(),
            block: kernel.block,
            shared: launch.shared() as u32,
            order: self.order,
            arguments: &arguments,
        })
    }

    fn record(&self, work: &mut dyn FnMut() -> Result<(), HostError>) -> Result<Vec<Launch>, HostError> {
        *self.recorded.borrow_mut() = Some(Vec::new());
        let done = work();
        let recorded = self.recorded.borrow_mut().take().unwrap_or_default();
        done.map(|()| recorded)
    }

    fn replay(&self, graph: &Vec<Launch>) -> Result<(), HostError> {
        graph.iter().try_for_each(|launch| self.run(launch))
    }
}
