//! One connection: two threads, each moving one direction's bytes as the mode allows.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::trap::{Act, At, Tail};
use super::{Mode, Shared, TICK};
use crate::support::wait::now;

/// No trap was met in the request that is being answered.
const NO_TRAP: usize = usize::MAX;

/// A client's connection and, once it is made, the one to the server.
#[derive(Debug)]
pub(super) struct Connection {
    client: TcpStream,
    server: OnceLock<TcpStream>,
    /// Number of the trap whose reply is awaited.
    awaited: AtomicUsize,
    server_lost: AtomicBool,
    reset: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Reply,
}

impl Connection {
    pub(super) fn new(client: TcpStream) -> Self {
        client.set_nodelay(true).expect("a socket option");
        Self {
            client,
            server: OnceLock::new(),
            awaited: AtomicUsize::new(NO_TRAP),
            server_lost: AtomicBool::new(false),
            reset: AtomicBool::new(false),
        }
    }

    fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed)
    }

    /// RST to both sides.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
        for stream in std::iter::once(&self.client).chain(self.server.get()) {
            // Lingering for no time makes a reset of the close that follows when the pumps, woken, let go.
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).ok();
            stream.shutdown(Shutdown::Read).ok();
        }
    }

    /// The server sees the end of the connection, the client sees nothing.
    pub(super) fn lose_server(&self) {
        self.server_lost.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.get() {
            server.shutdown(Shutdown::Both).ok();
        }
    }
}

/// Runs a connection to its end.
pub(super) fn run(connection: &Arc<Connection>, shared: &Arc<Shared>) {
    // In a blackhole not even the server is reached.
    let upstream = loop {
        let (mode, upstream) = {
            let state = shared.state();
            (state.mode, state.upstream)
        };
        if mode != Mode::Blackhole || connection.is_reset() {
            break upstream;
        }
        std::thread::sleep(TICK);
    };
    match TcpStream::connect(("127.0.0.1", upstream)) {
        Ok(server) if !connection.is_reset() => {
            server.set_nodelay(true).expect("a socket option");
            connection.server.set(server).expect("set once");
            std::thread::scope(|threads| {
                threads.spawn(|| pump(Direction::Reply, connection, shared));
                pump(Direction::Request, connection, shared);
            });
        }
        _ => connection.reset(),
    }
    // With the last handle the sockets are closed.
    shared
        .state()
        .connections
        .retain(|c| !Arc::ptr_eq(c, connection));
}

/// Reads all the time, as a network's buffers would, and writes when the mode lets it.
fn pump(direction: Direction, connection: &Connection, shared: &Shared) {
    let server = connection.server.get().expect("connected");
    let (mut from, to) = match direction {
        Direction::Request => (&connection.client, server),
        Direction::Reply => (server, &connection.client),
    };
    from.set_read_timeout(Some(TICK)).expect("a socket option");
    let mut buffer = vec![0; 64 * 1024];
    let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut tail = Tail::default();
    let mut throttled_until = now();
    let mut open = true;
    let mut reader_gone = false;
    while open || !waiting.is_empty() {
        if open {
            match from.read(&mut buffer) {
                Ok(0) => open = false,
                Ok(n) => {
                    let due = arrive(direction, &buffer[..n], &mut tail, connection, shared);
                    waiting.extend(due.map(|due| (due, buffer[..n].to_vec())));
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => open = false,
            }
        } else {
            std::thread::sleep(TICK);
        }
        if connection.is_reset() {
            return;
        }
        // What the client sends still finds a pump, and nobody behind it, until the client gives up.
        if direction == Direction::Reply && connection.server_lost.load(Ordering::Relaxed) {
            return;
        }
        if reader_gone {
            // The server goes on and is listened to: the client's last requests may still be on their way.
            waiting.clear();
        } else if flush(to, &mut waiting, &mut throttled_until, shared).is_err() {
            reader_gone = true;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}

/// What becomes of bytes that were read: when they are due, or nothing when they are lost.
fn arrive(
    direction: Direction,
    chunk: &[u8],
    tail: &mut Tail,
    connection: &Connection,
    shared: &Shared,
) -> Option<Instant> {
    let mode = shared.state().mode;
    let mut due = now();
    if let Mode::Delay(delay) = mode {
        due += delay;
    }
    let trap = match direction {
        Direction::Request => match shared.trap_in(tail, chunk) {
            Some((trap, At::Request)) => Some(trap),
            Some((trap, At::Reply)) => {
                connection.awaited.store(trap, Ordering::Release);
                None
            }
            None => None,
        },
        Direction::Reply if mode == Mode::RepliesLost => return None,
        Direction::Reply => {
            let trap = connection.awaited.swap(NO_TRAP, Ordering::AcqRel);
            (trap != NO_TRAP).then_some(trap)
        }
    };
    match trap.and_then(|trap| shared.spring(trap)) {
        None | Some(Act::Pass) => Some(due),
        Some(Act::Late(delay)) => Some(due + delay),
        Some(Act::Reset) => {
            connection.reset();
            None
        }
    }
}

/// Writes what is due and allowed.
fn flush(
    mut to: &TcpStream,
    waiting: &mut VecDeque<(Instant, Vec<u8>)>,
    throttled_until: &mut Instant,
    shared: &Shared,
) -> std::io::Result<()> {
    while let Some((due, bytes)) = waiting.front_mut() {
        let mode = shared.state().mode;
        if now() < *due || mode == Mode::Blackhole || mode == Mode::Cut {
            break;
        }
        let mut n = bytes.len();
        if let Mode::Throttle(rate) = mode {
            if now() < *throttled_until {
                break;
            }
            // A twentieth of a second at a time.
            let piece = (rate / 20).max(1);
            n = n.min(usize::try_from(piece).unwrap_or(usize::MAX));
            *throttled_until = now() + Duration::from_secs(1) * piece / rate;
        }
        to.write_all(&bytes[..n])?;
        bytes.drain(..n);
        if bytes.is_empty() {
            waiting.pop_front();
        }
    }
    Ok(())
}
