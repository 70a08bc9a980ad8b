//! The seam: publish and remember, as one operation.
//!
//! [`Dispatcher::dispatch`] takes what is due and says, item by item, what became of it. Nothing
//! above it knows whether one script did both (store and broker in one Redis) or a publisher and a
//! ledger did it one after the other.
//!
//! - [`scribe`]: from a due item to the message and the record;
//! - [`atomic`]: one script, exactly once;
//! - [`confirmed`]: any publisher and any ledger, in the order that `delivery` asks for;
//! - [`publisher`]: what a publisher is and says;
//! - [`folder`]: publishes to folders in Kombu's layout;
//! - [`memory`]: a scripted double for tests of the loop.
//!
//! May depend on `store`, `plan`, `timetable`, `config` and what is below them.

pub mod atomic;
pub mod confirmed;
pub mod folder;
pub mod memory;
pub mod publisher;
pub mod scribe;

pub use atomic::Atomic;
pub use confirmed::Confirmed;
pub use folder::Folder;
pub use publisher::{AnyPublisher, Parcel, Publisher, Receipt};
pub use scribe::Scribe;

use crate::clock::Timestamp;
use crate::plan::{Due, Outcome};
use crate::store::{AnyLedger, StoreError, Term};

/// Most items of one chunk: a longer script would hold up the workers' Redis for milliseconds.
pub const CHUNK: usize = 128;

/// Whichever way of committing fits store and broker.
#[derive(Debug)]
pub enum Dispatcher {
    /// Store and broker are one Redis.
    Redis(Box<Atomic>),
    /// They are not.
    Confirmed(Box<Confirmed>),
}

impl Dispatcher {
    /// Publishes and records `dues`, as of `now`.
    ///
    /// # Errors
    /// `Deposed`: step down. `Ambiguous`: send the same again before anything else. `Unavailable`:
    /// back off; everything is still due. `Corrupt`: repair.
    pub async fn dispatch(
        &mut self,
        scribe: &Scribe,
        term: Term,
        dues: &[Due],
        now: Timestamp,
    ) -> Result<Vec<Outcome>, StoreError> {
        match self {
            Self::Redis(atomic) => atomic.dispatch(scribe, term, dues, now).await,
            Self::Confirmed(confirmed) => confirmed.dispatch(scribe, term, dues, now).await,
        }
    }

    /// The ledger behind it.
    pub fn ledger(&mut self) -> &mut AnyLedger {
        match self {
            Self::Redis(atomic) => atomic.ledger(),
            Self::Confirmed(confirmed) => confirmed.ledger(),
        }
    }

    /// `"atomic"` or `"confirmed"`, for logs and status.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Redis(atomic) => atomic.mode(),
            Self::Confirmed(_) => "confirmed",
        }
    }
}
