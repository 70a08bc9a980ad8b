//! Publishes to a folder in the layout of Kombu's filesystem transport.
//!
//! A message is a file `<ms>_<uuid>.<queue>.msg`, one for each queue that it goes to. Readers move
//! files without looking at locks, so a message is written under another name in the same folder
//! and renamed when it is complete.
//!
//! - `bindings`: the control folder, where exchanges keep which queues are bound to them.

mod bindings;

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;
use uuid::Uuid;

use self::bindings::Bindings;
use super::publisher::{Parcel, Publisher, Receipt, Scope};
use crate::clock::monotonic_millis;
use crate::config::Folders;
use crate::message::{Conventions, ExchangeKind, Route};

/// The folders of one broker.
#[derive(Debug)]
pub struct Folder {
    out: Arc<Path>,
    bindings: Arc<Mutex<Bindings>>,
    /// Exchange of `task-sent` events.
    events: Option<String>,
    /// Events sent so far.
    clock: u64,
}

/// One message, rendered.
struct Letter {
    route: Arc<Route>,
    envelope: Vec<u8>,
    event: Vec<u8>,
}

impl Folder {
    /// Publishes to `folders` as `conventions` say; missing folders are created.
    #[must_use]
    pub fn new(folders: &Folders, conventions: &Conventions) -> Self {
        let bindings = Bindings::new(folders.control.clone(), conventions.redis.clone());
        Self {
            out: folders.data_out.as_path().into(),
            bindings: Arc::new(Mutex::new(bindings)),
            events: conventions.event_exchange().map(|exchange| exchange.name),
            clock: 0,
        }
    }

    fn letter(&mut self, parcel: &Parcel<'_>) -> Letter {
        let template = &parcel.due.entry.template;
        let mut envelope = Vec::with_capacity(template.size_hint());
        template.render_envelope(&parcel.fire, &mut envelope);
        let mut event = Vec::new();
        if template.sends_event() {
            self.clock += 1;
            template.render_event_envelope(&parcel.fire, self.clock, &mut event);
        }
        Letter {
            route: Arc::clone(template.route()),
            envelope,
            event,
        }
    }
}

impl Publisher for Folder {
    async fn ready(&mut self) -> Result<(), String> {
        let out = Arc::clone(&self.out);
        let made = spawn_blocking(move || std::fs::create_dir_all(&out)).await;
        match made {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{}: {error}", self.out.display())),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn publish(&mut self, parcels: &[Parcel<'_>]) -> Vec<Receipt> {
        let letters: Vec<Letter> = parcels.iter().map(|parcel| self.letter(parcel)).collect();
        let (out, bindings) = (Arc::clone(&self.out), Arc::clone(&self.bindings));
        let events = self.events.clone();
        let written = spawn_blocking(move || {
            let mut bindings = bindings.lock().unwrap_or_else(PoisonError::into_inner);
            bindings.refresh();
            let receipts: Vec<Receipt> = letters
                .iter()
                .map(|letter| deliver(&out, &mut bindings, letter, events.as_deref()))
                .collect();
            // Names, too, must survive a crash of the machine.
            if let Ok(folder) = std::fs::File::open(&out) {
                let _ = folder.sync_all();
            }
            receipts
        });
        match written.await {
            Ok(receipts) => receipts,
            Err(error) => {
                vec![Receipt::lost(format!("the write was interrupted: {error}")); parcels.len()]
            }
        }
    }
}

fn deliver(out: &Path, bindings: &mut Bindings, letter: &Letter, events: Option<&str>) -> Receipt {
    let queues = match queues(bindings, &letter.route) {
        Ok(queues) => queues,
        Err(why) => return Receipt::refused(why),
    };
    let mut delivered = false;
    for queue in queues {
        if let Err(why) = write(out, &queue, &letter.envelope) {
            // One of several queues may have it.
            return Receipt::failed(why, Scope::Message, delivered);
        }
        delivered = true;
    }
    if let (Some(events), false) = (events, letter.event.is_empty()) {
        // Whoever watches is bound to it; that nobody does, or an error, is nothing to the message.
        let watchers = bindings.topic(events, "task.sent").unwrap_or_default();
        for queue in watchers {
            let _ = write(out, &queue, &letter.event);
        }
    }
    Receipt::Confirmed
}

/// The queues that messages of `route` go to, at least one.
fn queues(bindings: &mut Bindings, route: &Route) -> Result<HashSet<String>, String> {
    if route.exchange.is_empty() {
        if let Some(queue) = &route.declare {
            // Known to whoever routes by exchange; this message does not depend on it.
            let _ = bindings.declare(queue);
        }
        return Ok(HashSet::from([route.routing_key.clone()]));
    }
    if let Some(queue) = &route.declare {
        bindings.declare(queue)?;
    }
    let queues = match route.kind {
        ExchangeKind::Fanout => bindings.fanout(&route.exchange)?,
        ExchangeKind::Topic => bindings.topic(&route.exchange, &route.routing_key)?,
        ExchangeKind::Direct | ExchangeKind::Other(_) => {
            bindings.direct(&route.exchange, &route.routing_key)?
        }
    };
    if queues.is_empty() {
        return Err(format!(
            "no queue is bound to the exchange {:?} for the routing key {:?}",
            route.exchange, route.routing_key
        ));
    }
    Ok(queues)
}

fn write(folder: &Path, queue: &str, envelope: &[u8]) -> Result<(), String> {
    if queue.contains('/') || queue.contains('\0') {
        return Err(format!(
            "the queue name {queue:?} cannot be part of a file name"
        ));
    }
    let name = format!("{}_{}.{queue}.msg", monotonic_millis(), Uuid::new_v4());
    let partial: PathBuf = folder.join(format!(".{name}.part"));
    let result = (|| {
        let mut file = std::fs::File::create_new(&partial)?;
        file.write_all(envelope)?;
        file.sync_all()?;
        std::fs::rename(&partial, folder.join(&name))
    })();
    result.map_err(|error| {
        let _ = std::fs::remove_file(&partial);
        format!("{}: {error}", folder.join(&name).display())
    })
}

#[cfg(test)]
mod tests;
