//! A connection that can be cut and slowed.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Hands on what comes to a port of 127.0.0.1, for as long as the process lives.
pub struct Proxy {
    pub address: SocketAddr,
    wire: Arc<Wire>,
}

#[derive(Default)]
struct Wire {
    target: Mutex<Option<SocketAddr>>,
    is_cut: AtomicBool,
    is_slow: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy before nothing yet: whoever comes is sent away.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, wire) = (listener.local_addr().unwrap(), Arc::new(Wire::default()));
        let served = wire.clone();
        thread::spawn(move || listener.incoming().for_each(|client| served.serve(client.unwrap())));
        Self { address, wire }
    }

    /// Stands before `target` from now on.
    pub fn forward(&self, target: SocketAddr) {
        *self.wire.target.lock().unwrap() = Some(target);
    }

    /// Cuts every connection, and lets none come to be until it is mended.
    pub fn cut(&self) {
        self.wire.is_cut.store(true, Ordering::SeqCst);
        for stream in self.wire.open.lock().unwrap().drain(..) {
            // one that its owner closed is cut already
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.wire.is_cut.store(false, Ordering::SeqCst);
    }

    /// Whether no more than about 200 kB a second get through, each way of each connection.
    pub fn slow(&self, slow: bool) {
        self.wire.is_slow.store(slow, Ordering::SeqCst);
    }
}

impl Wire {
    fn serve(self: &Arc<Self>, client: TcpStream) {
        let target = *self.target.lock().unwrap();
        let Some(server) = target.and_then(|target| TcpStream::connect(target).ok()) else { return };
        let ends = [client.try_clone().unwrap(), server.try_clone().unwrap()];
        self.open.lock().unwrap().extend(ends);
        if self.is_cut.load(Ordering::SeqCst) {
            let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
            return;
        }
        for (from, to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
            let wire = self.clone();
            thread::spawn(move || wire.pump(from, to));
        }
    }

    /// Hands on until either end is closed.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 4096];
        while let Ok(many @ 1..) = from.read(&mut bytes) {
            if self.is_slow.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
            if to.write_all(&bytes[..many]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}
