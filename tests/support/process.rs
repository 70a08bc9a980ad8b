//! Child processes that never outlive the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use super::wait::{now, wait_for};

/// A running child. Dropping it ends it: SIGTERM, after two seconds SIGKILL.
///
/// It also dies when the test binary does, however that ends: it is started through `setpriv --pdeathsig KILL`.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Option<PathBuf>,
}

impl Process {
    /// Starts `command`; its stdout and stderr go to `log`.
    pub fn start(name: &str, command: &Command, log: &Path) -> Self {
        let out = File::create(log).expect("the log can be created");
        let mut wrapped = wrap(command);
        wrapped
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out);
        let mut process = Self::spawn(name, wrapped);
        process.log = Some(log.to_owned());
        process
    }

    /// Starts `command` and returns its stdout and stderr as pipes in the child handle.
    pub fn start_piped(name: &str, command: &Command) -> Self {
        let mut wrapped = wrap(command);
        wrapped.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawn(name, wrapped)
    }

    fn spawn(name: &str, command: Command) -> Self {
        let child = spawn_from_lasting_thread(command)
            .unwrap_or_else(|e| panic!("{name} cannot be started: {e}"));
        Self {
            name: name.to_owned(),
            child,
            log: None,
        }
    }

    /// The child handle, to take its pipes from.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal`; nothing when the process has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            signal_pid(self.pid(), signal);
        }
    }

    /// Exit status, once it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits for the end of the process.
    pub fn wait_exit(&mut self, timeout: Duration) -> ExitStatus {
        let what = format!("the end of {} ({})", self.name, self.pid());
        wait_for(&what, timeout, || self.exited())
    }

    /// SIGKILL, and reaped.
    pub fn kill9(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> String {
        let bytes = self.log.as_ref().map(std::fs::read);
        bytes
            .and_then(Result::ok)
            .map_or_else(String::new, |b| String::from_utf8_lossy(&b).into_owned())
    }

    /// Waits until `ready` answers; panics with the log when the process ends first.
    pub fn wait_ready<T>(&mut self, timeout: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
        let until = now() + timeout;
        loop {
            if let Some(answer) = ready() {
                return answer;
            }
            let exited = self.exited();
            assert!(
                exited.is_none() && now() < until,
                "{} is not ready ({exited:?}, {timeout:?}); its log:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited().is_some() {
            return;
        }
        signal_pid(self.pid(), Signal::TERM);
        // One that a test has stopped cannot hear SIGTERM.
        signal_pid(self.pid(), Signal::CONT);
        let until = now() + Duration::from_secs(2);
        while now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill9();
    }
}

/// Sends `signal` to a process by its id, for threads that cannot hold the `Process`.
pub fn signal_pid(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id");
    // It may have ended a moment ago.
    kill_process(pid, signal).ok();
}

/// `command` as `setpriv` starts it, which replaces itself by it: the process id stays.
fn wrap(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    // Nothing of the developer's environment reaches a child but what finds programs and files.
    wrapped.env_clear();
    for kept in ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(kept) {
            wrapped.env(kept, value);
        }
    }
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(key, value),
            None => wrapped.env_remove(key),
        };
    }
    wrapped
}

/// The signal comes when the *thread* that started the child ends, and each test is a thread; a server that several
/// tests share must not die with the first. So one thread that lasts as long as the process starts them all.
fn spawn_from_lasting_thread(command: Command) -> std::io::Result<Child> {
    type Request = (Command, Sender<std::io::Result<Child>>);
    static STARTER: OnceLock<Mutex<Sender<Request>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (requests, inbox) = channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                reply.send(command.spawn()).ok();
            }
        });
        Mutex::new(requests)
    });
    let (reply, answer) = channel();
    starter
        .lock()
        .expect("nobody panics while holding it")
        .send((command, reply))
        .expect("the starter lasts");
    answer.recv().expect("the starter answers")
}
