//! The thread on which schedules are read and compiled.
//!
//! Loading a large schedule needs some megabytes for a moment, and the system's allocator keeps for
//! each thread what that thread freed: when all loading is done on one thread, they are needed once.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// Works on its thread, until it is dropped.
#[derive(Debug)]
pub struct Loader(Sender<Work>);

impl Loader {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be none.
    pub fn start() -> io::Result<Self> {
        let (sender, work) = channel::<Work>();
        thread::Builder::new()
            .name("loader".to_owned())
            .spawn(move || {
                for work in work {
                    // Whoever waits is told by the channel that nothing came of it.
                    let _ = catch_unwind(AssertUnwindSafe(work));
                }
            })?;
        Ok(Self(sender))
    }

    /// Does `work`; its result is to be awaited, and an error means that it panicked.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (sender, result) = oneshot::channel();
        // The thread ends with this value only.
        let _ = self.0.send(Box::new(move || {
            let _ = sender.send(work());
        }));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_work_and_not_the_thread() {
        let loader = Loader::start().unwrap();
        let failed = loader.run(|| assert_eq!(1, 2));
        assert!(failed.blocking_recv().is_err());
        assert_eq!(loader.run(|| 3).blocking_recv(), Ok(3));
    }
}
