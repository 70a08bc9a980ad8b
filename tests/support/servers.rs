//! Real Redis servers: masters and replicas.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use redis::{Connection, ConnectionLike};
use tempfile::TempDir;

use super::process::{Process, Signal};
use super::wait::{free_port, wait_for};

pub(super) const READY: Duration = Duration::from_secs(20);

/// How a Redis is to be started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    aof: bool,
    unix_socket: bool,
    password: Option<String>,
    args: Vec<String>,
}

impl Options {
    /// Writes an append-only file, fsynced at each write: data survives a restart.
    pub fn aof(mut self) -> Self {
        self.aof = true;
        self
    }

    /// Listens on a Unix socket as well.
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// `requirepass`.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Any other line of redis.conf: `args(["maxclients", "10"])`, `args(["user", "beat on >pw ~beat:* +@all"])`.
    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        let (name, values) = args.split_first().expect("a setting has a name");
        self.args.push(format!("--{name}"));
        self.args.extend(values.iter().map(ToString::to_string));
        self
    }

    /// Number of databases (16).
    pub fn databases(self, count: u16) -> Self {
        self.args(["databases", &count.to_string()])
    }

    /// Starts the server and waits until it answers PING.
    pub fn start(self) -> Redis {
        let dir = tempfile::Builder::new()
            .prefix("beat-redis-")
            .tempdir()
            .expect("a temporary folder");
        let mut redis = Redis {
            port: free_port(),
            dir,
            options: self,
            process: None,
        };
        redis.start_again();
        redis
    }
}

/// A `redis-server` of this test on a port of its own, which it keeps across restarts.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    options: Options,
    // Before its folder: fields are dropped in this order.
    process: Option<Process>,
    dir: TempDir,
}

impl Redis {
    /// A server without persistence.
    pub fn start() -> Self {
        Self::options().start()
    }

    /// Choices before the start.
    pub fn options() -> Options {
        Options::default()
    }

    /// A replica of `master`, in step with it.
    pub fn replica_of(master: &Self) -> Self {
        let replica = Self::options()
            .args(["replicaof", "127.0.0.1", &master.port.to_string()])
            .start();
        let mut link = replica.connect();
        wait_for("the replica's first copy", READY, || {
            let info: String = redis::cmd("INFO")
                .arg("replication")
                .query(&mut link)
                .ok()?;
            info.contains("master_link_status:up").then_some(())
        });
        replica
    }

    /// TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").pid()
    }

    /// Path of the Unix socket, if it was asked for.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// URL of database 0.
    pub fn url(&self) -> String {
        self.url_at(self.port, 0)
    }

    /// URL of a database behind another port, such as a proxy's.
    pub fn url_at(&self, port: u16, database: u16) -> String {
        let auth = self.options.password.as_ref();
        let auth = auth.map_or_else(String::new, |p| {
            format!(":{}@", utf8_percent_encode(p, NON_ALPHANUMERIC))
        });
        format!("redis://{auth}127.0.0.1:{port}/{database}")
    }

    /// A connection to database 0.
    pub fn connect(&self) -> Connection {
        self.try_connect().expect("the server answers")
    }

    fn try_connect(&self) -> Option<Connection> {
        let client = redis::Client::open(self.url()).expect("a valid URL");
        let mut link = client
            .get_connection_with_timeout(Duration::from_secs(5))
            .ok()?;
        link.check_connection().then_some(link)
    }

    /// Runs one command given as words: `redis.run("CONFIG SET maxmemory 1")`.
    pub fn run(&self, words: &str) -> redis::Value {
        let mut words = words.split_whitespace();
        let mut command = redis::cmd(words.next().expect("a command"));
        for word in words {
            command.arg(word);
        }
        command
            .query(&mut self.connect())
            .unwrap_or_else(|e| panic!("redis refused: {e}"))
    }

    /// Ends the server as an operator would (SIGTERM); data is written if it persists.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::TERM);
            process.wait_exit(READY);
        }
    }

    /// Kills the server.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill9();
        }
    }

    /// SIGSTOP: connections stay, nothing is answered.
    pub fn freeze(&mut self) {
        self.process
            .as_mut()
            .expect("the server runs")
            .signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&mut self) {
        self.process
            .as_mut()
            .expect("the server runs")
            .signal(Signal::CONT);
    }

    /// Removes its data; the server must be down.
    pub fn wipe(&mut self) {
        assert!(self.process.is_none(), "wipe a server that is down");
        for entry in std::fs::read_dir(self.dir.path()).expect("its folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).expect("its data can be removed");
            } else {
                std::fs::remove_file(path).expect("its data can be removed");
            }
        }
    }

    /// Starts it again after `stop` or `kill9`, on the same port and data, and waits until it answers.
    pub fn start_again(&mut self) {
        self.start_unready();
        let mut process = self.process.take().expect("just started");
        // A stale connection or LOADING is "not yet".
        process.wait_ready(READY, || self.try_connect());
        self.process = Some(process);
    }

    /// Starts it without waiting, to meet it while it loads.
    pub fn start_unready(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--daemonize", "no", "--dir"])
            .arg(self.dir.path());
        if self.options.aof {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        if self.options.unix_socket {
            command.arg("--unixsocket").arg(self.socket());
        }
        if let Some(password) = &self.options.password {
            command.args(["--requirepass", password]);
        }
        command.args(&self.options.args);
        let log = self.dir.path().join("redis.log");
        self.process = Some(Process::start("redis-server", &command, &log));
    }
}
