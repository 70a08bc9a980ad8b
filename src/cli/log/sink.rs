//! Where log lines go: a buffer that a thread of its own empties to stderr.
//!
//! Whoever logs never waits for stderr: a full pipe or a stopped terminal must not hold up a fire.
//! Lines keep their order. What does not fit any more is dropped, and counted in a line that
//! follows; at the end, whatever waits is written if stderr takes it in time.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Most bytes that wait: the lines of a burst of 100 000 fires.
const LIMIT: usize = 32 << 20;

/// Room that is kept between bursts.
const KEPT: usize = 64 << 10;

/// How long lines gather after the first one, so that a burst is not one write a line.
const GATHER: Duration = Duration::from_millis(1);

/// Longest wait for stderr at the end.
const PATIENCE: Duration = Duration::from_millis(500);

/// Takes lines; clones feed the same buffer.
#[derive(Debug, Clone, Default)]
pub struct Sink(Arc<Shared>);

/// What clones of a [`Sink`] share; it is what they write to.
#[derive(Debug, Default)]
pub struct Shared {
    state: Mutex<State>,
    /// The thread waits here for lines.
    filled: Condvar,
    /// The end waits here for the thread.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    lost: u64,
    asleep: bool,
    writing: bool,
    closed: bool,
}

/// Ends the log: writes what waits.
#[derive(Debug)]
pub struct Flush(Sink);

impl Sink {
    /// Starts the thread that writes to `out`; `lost` makes a line of the number of dropped ones.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        mut out: impl Write + Send + 'static,
        lost: fn(u64) -> String,
    ) -> io::Result<(Self, Flush)> {
        let sink = Self::default();
        let its = sink.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || its.drain(&mut out, lost))?;
        Ok((sink.clone(), Flush(sink)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&self, out: &mut impl Write, lost: fn(u64) -> String) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.state();
            while state.waiting.is_empty() && state.lost == 0 && !state.closed {
                state.asleep = true;
                state = self
                    .0
                    .filled
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            state.asleep = false;
            let closed = state.closed;
            drop(state);
            if !closed {
                thread::sleep(GATHER);
            }
            let mut state = self.state();
            std::mem::swap(&mut lines, &mut state.waiting);
            let dropped = std::mem::take(&mut state.lost);
            state.writing = true;
            drop(state);
            if dropped > 0 {
                lines.extend_from_slice(lost(dropped).as_bytes());
            }
            // There is nowhere to say that stderr is gone.
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            lines.clear();
            lines.shrink_to(KEPT);
            let mut state = self.state();
            state.writing = false;
            if state.waiting.is_empty() {
                self.0.emptied.notify_all();
                if state.closed {
                    return;
                }
            }
        }
    }
}

impl Write for &Shared {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.waiting.len() + line.len() > LIMIT || state.lost > 0 {
            // From the first dropped line on all are, until that is told: no gap goes unseen.
            state.lost += 1;
        } else {
            state.waiting.extend_from_slice(line);
        }
        if state.asleep {
            state.asleep = false;
            self.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = &'a Shared;

    fn make_writer(&'a self) -> Self::Writer {
        &self.0
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let Self(sink) = self;
        let mut state = sink.state();
        state.closed = true;
        sink.0.filled.notify_one();
        let unwritten = |state: &mut State| state.writing || !state.waiting.is_empty();
        let _ = sink
            .0
            .emptied
            .wait_timeout_while(state, PATIENCE, unwritten);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Takes nothing until it is let go.
    struct Gate {
        open: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.open.recv().ok();
            self.written.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Sink, Flush, Sender<()>, Receiver<Vec<u8>>) {
        let (let_go, open) = channel();
        let (written, seen) = channel();
        let lost = |count| format!("lost {count}\n");
        let (sink, flush) = Sink::start(Gate { open, written }, lost).unwrap();
        (sink, flush, let_go, seen)
    }

    fn text(seen: &Receiver<Vec<u8>>) -> String {
        let all: Vec<u8> = seen.iter().flatten().collect();
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn what_waits_at_the_end_is_written_in_order() {
        let (sink, flush, let_go, seen) = gated();
        for line in 0..1_000 {
            writeln!(sink.make_writer(), "{line}").unwrap();
        }
        drop(let_go);
        drop(flush);
        let expected: Vec<String> = (0..1_000).map(|line| format!("{line}\n")).collect();
        assert_eq!(text(&seen), expected.concat());
    }

    #[test]
    fn who_logs_never_waits_and_what_was_dropped_is_told() {
        let (sink, flush, let_go, seen) = gated();
        let line = vec![b'x'; LIMIT / 4];
        // Some of the first are taken out before the gate holds the thread up.
        for _ in 0..16 {
            sink.make_writer().write_all(&line).unwrap();
        }
        drop(let_go);
        drop(flush);
        let text = text(&seen);
        let kept = text.matches('x').count() / line.len();
        assert!((4..=8).contains(&kept), "{kept}");
        assert!(text.ends_with(&format!("lost {}\n", 16 - kept)));
    }
}
