//! A real RabbitMQ node, apart from any that the machine runs: own port, own `epmd`, own data.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::process::{Process, Signal};
use super::wait::{free_port, wait_for};

/// Debian's wrapper in /usr/sbin insists on root or the user `rabbitmq`; these are what it calls.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
const READY: Duration = Duration::from_secs(90);

/// A running RabbitMQ node. User and password are `guest`.
#[derive(Debug)]
pub struct Rabbit {
    port: u16,
    node: String,
    epmd_port: u16,
    node_process: Option<Process>,
    epmd: Process,
    dir: PathBuf,
    settings: String,
}

/// A virtual host of its own within a node: empty queues without the seconds that a node takes to start.
#[derive(Debug)]
pub struct Vhost {
    /// Name of the virtual host.
    pub name: String,
    port: u16,
}

impl Vhost {
    /// URL of this virtual host.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// URL of this virtual host behind another port, such as a proxy's.
    pub fn url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/{}", self.name)
    }

    /// The node's port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Rabbit {
    /// The node that the tests of one binary share; for tests that do not harm it. Started at the first call.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Rabbit> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A node of one's own, for tests that stop or kill it.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// A node of one's own with further lines in its `rabbitmq.conf`.
    pub fn start_with(settings: &str) -> Self {
        let port = free_port();
        let epmd_port = free_port();
        let dir = folder(port);
        let mut epmd = Command::new("epmd");
        epmd.args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"]);
        let mut epmd = Process::start("epmd", &epmd, &dir.join("epmd.log"));
        // A node that finds none starts one as a daemon, which would outlive the test.
        epmd.wait_ready(READY, || TcpStream::connect(("127.0.0.1", epmd_port)).ok());
        let mut rabbit = Self {
            port,
            node: format!("beat{port}@localhost"),
            epmd_port,
            node_process: None,
            epmd,
            dir,
            settings: settings.to_owned(),
        };
        rabbit.start_again();
        rabbit
    }

    /// AMQP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// URL of the virtual host `/`.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}//", self.port)
    }

    /// A new virtual host, open to `guest`.
    pub fn vhost(&self) -> Vhost {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("v{}", NEXT.fetch_add(1, Ordering::Relaxed));
        // One call instead of two: the tool takes a second to start.
        self.eval(&format!(
            "rabbit_vhost:add(<<\"{name}\">>, <<\"test\">>), rabbit_auth_backend_internal:set_permissions(\
             <<\"guest\">>, <<\"{name}\">>, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"test\">>)."
        ));
        Vhost {
            name,
            port: self.port,
        }
    }

    /// Evaluates an Erlang expression in the node.
    pub fn eval(&self, expression: &str) -> String {
        self.ctl(&["eval", expression])
    }

    /// Runs `rabbitmqctl`; panics when it fails.
    pub fn ctl(&self, args: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self
            .command("rabbitmqctl")
            .args(["-q", "-n", &self.node])
            .args(args)
            .output()
            .expect("rabbitmqctl can be started");
        let text = String::from_utf8_lossy(&stdout).into_owned();
        assert!(
            status.success(),
            "rabbitmqctl {args:?}: {status}\n{text}{}",
            String::from_utf8_lossy(&stderr)
        );
        text
    }

    /// Kills the node.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.node_process.take() {
            process.kill9();
        }
    }

    /// SIGSTOP: connections stay, nothing is answered.
    pub fn freeze(&mut self) {
        self.node_process
            .as_mut()
            .expect("the node runs")
            .signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&mut self) {
        self.node_process
            .as_mut()
            .expect("the node runs")
            .signal(Signal::CONT);
    }

    /// Starts the node again after `kill9`, on the same port and data, and waits until it serves.
    pub fn start_again(&mut self) {
        assert!(self.node_process.is_none(), "the node runs already");
        assert!(self.epmd.exited().is_none(), "epmd: {}", self.epmd.log());
        let conf = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\n{}\n",
            self.port, self.settings
        );
        std::fs::write(self.dir.join("rabbitmq.conf"), conf).expect("it can be written");
        std::fs::write(self.dir.join("plugins"), "[].\n").expect("it can be written");
        let log = self.dir.join("rabbitmq.log");
        let mut process = Process::start("rabbitmq-server", &self.command("rabbitmq-server"), &log);
        process.wait_ready(READY, || {
            let log = std::fs::read_to_string(&log).ok()?;
            log.contains("Server startup complete").then_some(())
        });
        self.node_process = Some(process);
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(Path::new(PROGRAMS).join(program));
        command
            .current_dir(&self.dir)
            // Where Erlang keeps the cookie by which tool and node know each other.
            .env("HOME", &self.dir)
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_CONF_ENV_FILE", self.dir.join("no-such-file"))
            .env("RABBITMQ_CONFIG_FILE", self.dir.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.dir.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", self.dir.join("data"))
            .env("RABBITMQ_LOG_BASE", &self.dir)
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", self.dir.join("pid"))
            // Port of Erlang's own protocol; by default AMQP's + 20000, which may not exist.
            .env("RABBITMQ_DIST_PORT", free_port().to_string())
            // Threads that spin while idle would steal the machine from the daemon under test.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+sbwt none +sbwtdcpu none +sbwtdio none",
            )
            // Replaces the script by the node instead of starting it beside: signals reach it.
            .env("RUNNING_UNDER_SYSTEMD", "true");
        command
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        self.kill9();
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

/// `<target>/tmp/rabbit-<pid>-<port>`. The shared node is never dropped (it dies with the process), so each start removes
/// what processes that are gone left behind.
fn folder(port: u16) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(root).expect("the target folder can be written");
    for entry in std::fs::read_dir(root).expect("just made").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix("rabbit-")
            .and_then(|n| n.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
    let dir = root.join(format!("rabbit-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the target folder can be written");
    dir
}

/// Waits until `queue` of the virtual host holds `count` messages or more, by the node's own account.
pub fn wait_for_depth(
    rabbit: &Rabbit,
    vhost: &Vhost,
    queue: &str,
    count: usize,
    timeout: Duration,
) {
    wait_for(&format!("{count} messages in {queue}"), timeout, || {
        let rows = rabbit.ctl(&[
            "list_queues",
            "-p",
            &vhost.name,
            "--no-table-headers",
            "name",
            "messages",
        ]);
        let depth = rows.lines().find_map(|row| {
            let (name, depth) = row.split_once('\t')?;
            (name == queue).then(|| depth.trim().parse::<usize>().ok())?
        });
        depth.filter(|d| *d >= count)
    });
}
