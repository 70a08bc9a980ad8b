//! A TCP proxy between a client and its server that does to their connections what networks do.
//!
//! A [`Mode`] holds for all connections until another is set. A [`Trap`] waits for the one instant that random faults
//! hardly ever hit: a request that carries certain bytes, before it reaches the server or when it was executed and not
//! yet answered. `trap` holds the traps, `pump` moves the bytes.

mod pump;
mod trap;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

pub use trap::{Act, At, Trap, Trapped};

use super::wait::{free_port, now};
use pump::Connection;

/// How often a thread looks up from what it waits for.
const TICK: Duration = Duration::from_millis(2);

/// What the network does at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on at once.
    Pass,
    /// Resets what is connected, refuses what wants to connect.
    Cut,
    /// Accepts, passes nothing on, answers nothing. What was sent meanwhile flows on when the mode ends, unless
    /// the connections are reset first.
    Blackhole,
    /// Each byte arrives that much later, in both directions.
    Delay(Duration),
    /// That many bytes per second in each direction of each connection.
    Throttle(u32),
    /// Requests reach the server, its answers are thrown away.
    RepliesLost,
}

/// A running proxy on 127.0.0.1. Dropping it resets its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What acceptor, pumps and test share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Signalled when a trap springs.
    sprung: Condvar,
    stopped: AtomicBool,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    upstream: u16,
    /// Whether the listener is open: it follows `mode` with a short delay.
    listening: bool,
    connections: Vec<Arc<Connection>>,
    traps: Vec<trap::Armed>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Proxy {
    /// Starts a proxy before the server at `upstream` on 127.0.0.1.
    pub fn start(upstream: u16) -> Self {
        let port = free_port();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                mode: Mode::Pass,
                upstream,
                listening: true,
                connections: Vec::new(),
                traps: Vec::new(),
            }),
            sprung: Condvar::new(),
            stopped: AtomicBool::new(false),
        });
        let listener = listen(port);
        let acceptor = std::thread::spawn({
            let shared = shared.clone();
            move || accept(port, listener, &shared)
        });
        Self {
            port,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets what happens from now on; back from `Cut` it returns when connections are accepted again.
    pub fn set(&self, mode: Mode) {
        let cut = mode == Mode::Cut;
        self.shared.state().mode = mode;
        super::wait::wait_for("the listener", Duration::from_secs(5), || {
            (self.shared.state().listening != cut).then_some(())
        });
        if cut {
            self.reset_all();
        }
    }

    /// Sets `mode` for `time`, then passes again.
    pub fn for_a_while(&self, mode: Mode, time: Duration) {
        self.set(mode);
        std::thread::sleep(time);
        self.set(Mode::Pass);
    }

    /// Ends a blackhole or `RepliesLost` as a network does that forgot its connections: they are reset.
    pub fn heal_by_reset(&self) {
        self.reset_all();
        self.set(Mode::Pass);
    }

    /// Resets (RST) every connection, on both sides.
    pub fn reset_all(&self) {
        for connection in std::mem::take(&mut self.shared.state().connections) {
            connection.reset();
        }
    }

    /// The server side of every present connection dies; the clients are not told and what they send vanishes. New
    /// connections are not affected.
    pub fn half_open(&self) {
        for connection in &self.shared.state().connections {
            connection.lose_server();
        }
    }

    /// Sends new connections to another server from now on.
    pub fn redirect(&self, upstream: u16) {
        self.shared.state().upstream = upstream;
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Sets a trap; several are tried in the order they were set.
    pub fn trap(&self, trap: Trap) -> Trapped {
        trap.arm(&self.shared)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.reset_all();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().ok();
        }
        // One that was accepted in between.
        self.reset_all();
    }
}

fn listen(port: u16) -> TcpListener {
    let until = now() + Duration::from_secs(5);
    loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => {
                listener.set_nonblocking(true).expect("a socket option");
                return listener;
            }
            Err(e) => assert!(now() < until, "port {port} cannot be had again: {e}"),
        }
        std::thread::sleep(TICK);
    }
}

/// Accepts until the proxy is dropped. To refuse, the listener has to be closed.
fn accept(port: u16, first: TcpListener, shared: &Arc<Shared>) {
    let mut listener = Some(first);
    while !shared.stopped.load(Ordering::Relaxed) {
        let cut = shared.state().mode == Mode::Cut;
        if cut {
            listener = None;
        } else if listener.is_none() {
            listener = Some(listen(port));
        }
        shared.state().listening = listener.is_some();
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((client, _))) => open(client, shared),
            Some(Err(e)) if e.kind() != ErrorKind::WouldBlock => {}
            _ => std::thread::sleep(TICK),
        }
    }
}

fn open(client: TcpStream, shared: &Arc<Shared>) {
    client.set_nonblocking(false).expect("a socket option");
    let connection = Arc::new(Connection::new(client));
    shared.state().connections.push(connection.clone());
    let shared = shared.clone();
    std::thread::spawn(move || pump::run(&connection, &shared));
}
