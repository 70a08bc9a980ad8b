//! Reads the queue all the time, past the proxies, and notes when each message was first seen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lapin::options::{BasicAckOptions, BasicGetOptions};

use crate::support::queue::{Row, read_delivery};
use crate::support::wait::now;

/// How often it looks.
const TICK: Duration = Duration::from_millis(20);
/// The queue of all messages.
pub const QUEUE: &str = "celery";

/// A message and when it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The message.
    pub row: Row,
    /// When it was there.
    pub at: Instant,
}

/// The thread that reads.
#[derive(Debug)]
pub struct Observer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    url: Mutex<String>,
    stop: AtomicBool,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self) -> String {
        self.url
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn take(&self, rows: impl IntoIterator<Item = Row>) {
        let at = now();
        self.seen()
            .extend(rows.into_iter().map(|row| Seen { row, at }));
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Observer {
    /// Reads the list of a Redis server, which keeps its messages.
    pub fn redis(url: &str) -> Self {
        Self::start(url, |shared| {
            let mut known = Known::default();
            while !shared.stopped() {
                watch_redis(shared, &mut known);
                std::thread::sleep(TICK);
            }
        })
    }

    /// Takes from a RabbitMQ queue, acknowledging what it noted.
    pub fn amqp(url: &str) -> Self {
        Self::start(url, |shared| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            while !shared.stopped() {
                // A node that is down, a queue that is not there yet: look again.
                runtime.block_on(watch_amqp(shared)).ok();
                std::thread::sleep(TICK);
            }
        })
    }

    fn start(url: &str, watch: fn(&Shared)) -> Self {
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            url: Mutex::new(url.to_owned()),
            stop: AtomicBool::new(false),
        });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || watch(&shared)
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// Reads elsewhere from now on: the broker has moved.
    pub fn follow(&self, url: &str) {
        url.clone_into(
            &mut self
                .shared
                .url
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// All that was seen so far, in the order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen().clone()
    }

    /// How many messages of `entry` came after `since`.
    pub fn count(&self, entry: &str, since: Instant) -> usize {
        let seen = self.shared.seen();
        seen.iter()
            .filter(|s| s.row.entry == entry && s.at > since)
            .count()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// How much of the list was read: its length then, and its oldest message, which tells another list.
#[derive(Debug, Default)]
struct Known {
    length: isize,
    oldest: Vec<u8>,
}

/// Reads until the connection fails. Only reads: it must work on a server that refuses writes.
fn watch_redis(shared: &Shared, known: &mut Known) -> Option<()> {
    let url = shared.url();
    let client = redis::Client::open(url.as_str()).ok()?;
    let mut link = client
        .get_connection_with_timeout(Duration::from_secs(1))
        .ok()?;
    link.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    while !shared.stopped() && shared.url() == url {
        let (length, oldest, new): (isize, Option<Vec<u8>>, Vec<Vec<u8>>) = redis::pipe()
            .atomic()
            .cmd("LLEN")
            .arg(QUEUE)
            .cmd("LINDEX")
            .arg(QUEUE)
            .arg(-1)
            .cmd("LRANGE")
            .arg(QUEUE)
            .arg(0)
            .arg(-(known.length + 1))
            .query(&mut link)
            .ok()?;
        let oldest = oldest.unwrap_or_default();
        if length < known.length || (known.length > 0 && oldest != known.oldest) {
            // Another list than before: read it from its beginning.
            *known = Known::default();
            continue;
        }
        *known = Known { length, oldest };
        // Publishers push on the left.
        shared.take(new.iter().rev().map(|message| Row::from_envelope(message)));
        std::thread::sleep(TICK);
    }
    Some(())
}

async fn watch_amqp(shared: &Shared) -> Result<(), lapin::Error> {
    let properties = lapin::ConnectionProperties::default();
    let link = lapin::Connection::connect(&shared.url(), properties).await?;
    let channel = link.create_channel().await?;
    while !shared.stopped() {
        let got = channel
            .basic_get(QUEUE.into(), BasicGetOptions::default())
            .await?;
        let Some(got) = got else {
            tokio::time::sleep(TICK).await;
            continue;
        };
        let row = read_delivery(&got.delivery);
        // Handed out again because the acknowledgement was lost: the same message, not a second one.
        let again = got.redelivered && shared.seen().iter().any(|seen| seen.row == row);
        if !again {
            shared.take([row]);
        }
        got.delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}
