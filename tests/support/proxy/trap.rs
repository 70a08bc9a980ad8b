//! Traps: an instant within a request, and what happens at it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::support::wait::now;

/// Which instant of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The client has sent it, the server has nothing of it yet.
    Request,
    /// The server has executed it and answers, the client has nothing of the answer yet. Taken to be the first answer
    /// behind the request, so nothing else may be pending on that connection.
    Reply,
}

/// What happens to the request or reply after the hook has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It goes on its way.
    Pass,
    /// It is lost and the connection reset on both sides.
    Reset,
    /// It arrives that much later, with all that is sent behind it, even when the client has gone meanwhile.
    Late(Duration),
}

/// Bytes to look for in what clients send, and what to do at each find.
pub struct Trap {
    marker: Vec<u8>,
    at: At,
    act: Act,
    times: u32,
    hook: Option<Box<dyn FnMut() + Send>>,
}

impl Trap {
    /// A trap for requests that contain `marker`; for publications `periodic_task_name`, which each of their
    /// headers contains on every broker. Springs once, unless `times` says otherwise.
    pub fn new(marker: &str, at: At, act: Act) -> Self {
        assert!(
            !matches!((at, act), (At::Reply, Act::Late(_))),
            "late replies are Mode::Delay"
        );
        Self {
            marker: marker.as_bytes().to_owned(),
            at,
            act,
            times: 1,
            hook: None,
        }
    }

    /// Springs that often.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Runs `hook` at the instant, while request or reply is held: to kill or stop a process by its id.
    /// It must not call the proxy, whose state is locked meanwhile.
    pub fn hook(mut self, hook: impl FnMut() + Send + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    pub(super) fn arm(self, shared: &Arc<Shared>) -> Trapped {
        let mut state = shared.state();
        state.traps.push(Armed {
            trap: self,
            sprung: 0,
        });
        Trapped {
            index: state.traps.len() - 1,
            shared: shared.clone(),
        }
    }
}

impl fmt::Debug for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marker = String::from_utf8_lossy(&self.marker);
        write!(f, "{:?} of {marker:?}: {:?}", self.at, self.act)
    }
}

/// A trap that was set, and how often it has sprung.
#[derive(Debug)]
pub(super) struct Armed {
    trap: Trap,
    sprung: u32,
}

/// How the test sees a trap.
#[derive(Debug)]
pub struct Trapped {
    index: usize,
    shared: Arc<Shared>,
}

impl Trapped {
    /// How often it has sprung.
    pub fn sprung(&self) -> u32 {
        self.shared.state().traps[self.index].sprung
    }

    /// Waits until it has sprung `times` times.
    pub fn wait(&self, times: u32, timeout: Duration) {
        let until = now() + timeout;
        let mut state = self.shared.state();
        while state.traps[self.index].sprung < times {
            let left = until.saturating_duration_since(now());
            assert!(
                !left.is_zero(),
                "the trap {:?} sprung {} of {times} times in {timeout:?}",
                state.traps[self.index].trap,
                state.traps[self.index].sprung
            );
            let waited = self.shared.sprung.wait_timeout(state, left);
            state = waited.expect("nobody panics while holding it").0;
        }
    }
}

/// The last bytes that a client sent before the present ones: a marker may lie across two reads.
#[derive(Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Shared {
    /// The trap, by its number, whose marker is completed by `bytes`.
    pub(super) fn trap_in(&self, tail: &mut Tail, bytes: &[u8]) -> Option<(usize, At)> {
        let state = self.state();
        if state.traps.is_empty() {
            return None;
        }
        let longest = state.traps.iter().map(|t| t.trap.marker.len()).max()?;
        let mut text = std::mem::take(&mut tail.0);
        let known = text.len();
        text.extend_from_slice(bytes);
        let found = state.traps.iter().position(|armed| {
            let marker = &armed.trap.marker;
            // Not once more what was completed before.
            let from = known.saturating_sub(marker.len() - 1);
            armed.sprung < armed.trap.times
                && text[from..].windows(marker.len()).any(|w| w == marker)
        });
        tail.0 = text.split_off(text.len().saturating_sub(longest));
        found.map(|index| (index, state.traps[index].trap.at))
    }

    /// Springs a trap: runs its hook and says what is to be done. `None` when it has sprung often enough.
    pub(super) fn spring(&self, index: usize) -> Option<Act> {
        let mut state = self.state();
        let armed = &mut state.traps[index];
        if armed.sprung >= armed.trap.times {
            return None;
        }
        let act = armed.trap.act;
        if let Some(hook) = &mut armed.trap.hook {
            hook();
        }
        armed.sprung += 1;
        self.sprung.notify_all();
        Some(act)
    }
}
