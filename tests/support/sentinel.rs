//! Redis Sentinel.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;
use super::servers::{READY, Redis};
use super::wait::{free_port, wait_for};

/// Sentinels that watch one master under the name `mymaster`.
#[derive(Debug)]
pub struct Sentinels {
    ports: Vec<u16>,
    // Before their folder: fields are dropped in this order.
    processes: Vec<Process>,
    dir: TempDir,
}

impl Sentinels {
    /// Starts `count` sentinels that call the master down after `down_after` and agree by majority.
    pub fn start(master: &Redis, count: usize, down_after: Duration) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("beat-sentinel-")
            .tempdir()
            .expect("a temporary folder");
        let mut sentinels = Self {
            ports: Vec::new(),
            processes: Vec::new(),
            dir,
        };
        for _ in 0..count {
            let port = free_port();
            let root = sentinels.dir.path();
            let file = root.join(format!("{port}.conf"));
            let conf = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\n\
                 sentinel monitor mymaster 127.0.0.1 {} {}\n\
                 sentinel down-after-milliseconds mymaster {}\nsentinel failover-timeout mymaster 5000\n",
                root.display(),
                master.port(),
                count / 2 + 1,
                down_after.as_millis(),
            );
            std::fs::write(&file, conf).expect("the configuration can be written");
            let mut command = Command::new("redis-server");
            command.arg(&file).arg("--sentinel");
            let log = root.join(format!("{port}.log"));
            sentinels
                .processes
                .push(Process::start("redis-sentinel", &command, &log));
            sentinels.ports.push(port);
        }
        let replicas = replicas_of(master);
        let knows = format!("slaves={replicas},sentinels={count}");
        for port in &sentinels.ports {
            wait_for("a sentinel that knows the others", READY, || {
                info(*port, "sentinel").contains(&knows).then_some(())
            });
        }
        sentinels
    }

    /// Their ports on 127.0.0.1.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Kombu's form of URL; the option `master_name` goes with it.
    pub fn url(&self) -> String {
        let each = self
            .ports
            .iter()
            .map(|p| format!("sentinel://127.0.0.1:{p}/0"));
        each.collect::<Vec<_>>().join(";")
    }

    /// Port of whom the first sentinel takes for the master.
    pub fn master_port(&self) -> u16 {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.ports[0]));
        let mut link = client.and_then(|c| c.get_connection()).expect("a sentinel");
        let (_, port): (String, String) = redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg("mymaster")
            .query(&mut link)
            .expect("the sentinel knows the master");
        port.parse().expect("a port")
    }
}

fn replicas_of(master: &Redis) -> usize {
    let info = info(master.port(), "replication");
    info.lines().filter(|l| l.starts_with("slave")).count()
}

/// A section of INFO; empty while nobody answers.
fn info(port: u16, section: &str) -> String {
    let ask = || -> redis::RedisResult<String> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
        let mut link = client.get_connection()?;
        redis::cmd("INFO").arg(section).query(&mut link)
    };
    ask().unwrap_or_default()
}
