//! A real Celery worker that writes down what it executed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::Process;
use super::wait::wait_for;
use super::{repository, venv};

const READY: Duration = Duration::from_secs(60);

/// How a worker is to be started.
#[derive(Debug, Clone)]
pub struct Options {
    broker: String,
    tasks: BTreeSet<String>,
    queues: Option<String>,
    queue_definitions: Option<Value>,
    conf: Value,
}

impl Options {
    /// Accepts these tasks besides `tasks.add`.
    pub fn tasks(mut self, names: &[&str]) -> Self {
        self.tasks.extend(names.iter().map(ToString::to_string));
        self
    }

    /// Consumes these queues (`-Q`) instead of `celery`.
    pub fn queues(mut self, names: &[&str]) -> Self {
        self.queues = Some(names.join(","));
        self
    }

    /// `task_queues`: an array of `{name, exchange, type, routing_key}`.
    pub fn queue_definitions(mut self, definitions: Value) -> Self {
        self.queue_definitions = Some(definitions);
        self
    }

    /// Sets a Celery setting.
    pub fn conf(mut self, name: &str, value: Value) -> Self {
        self.conf[name] = value;
        self
    }

    /// Starts the worker and waits until it says that it is ready.
    pub fn start(self) -> Worker {
        let dir = tempfile::Builder::new()
            .prefix("beat-worker-")
            .tempdir()
            .expect("a temporary folder");
        let tasks = self.tasks.into_iter().collect::<Vec<_>>().join(",");
        let mut command = Command::new(venv().join("bin/python"));
        command
            .args(["-m", "celery", "-A", "record_worker", "worker"])
            .args(["--pool", "solo", "--loglevel", "INFO"])
            .args([
                "--without-mingle",
                "--without-gossip",
                "--without-heartbeat",
            ])
            .current_dir(dir.path())
            .env("PYTHONPATH", repository("tests/python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("BROKER_URL", &self.broker)
            .env("RECORD", dir.path().join("record.jsonl"))
            .env("TASKS", tasks)
            .env("CONF", self.conf.to_string());
        if let Some(queues) = &self.queues {
            command.args(["-Q", queues]);
        }
        if let Some(definitions) = &self.queue_definitions {
            command.env("QUEUES", definitions.to_string());
        }
        let log = dir.path().join("worker.log");
        let mut process = Process::start("celery worker", &command, &log);
        process.wait_ready(READY, || {
            let log = std::fs::read_to_string(&log).ok()?;
            log.contains(" ready.").then_some(())
        });
        Worker { process, dir }
    }
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    // Before its folder: fields are dropped in this order.
    process: Process,
    dir: TempDir,
}

impl Worker {
    /// A worker on a Redis or RabbitMQ URL.
    pub fn on(broker: &str) -> Options {
        Options {
            broker: broker.to_owned(),
            tasks: BTreeSet::from(["tasks.add".to_owned()]),
            queues: None,
            queue_definitions: None,
            conf: json!({}),
        }
    }

    /// A worker on a folder of the filesystem transport. `control` holds its exchanges.
    pub fn on_folder(folder: &std::path::Path, control: &std::path::Path) -> Options {
        Self::on("filesystem://").conf(
            "broker_transport_options",
            json!({"data_folder_in": folder, "data_folder_out": folder, "control_folder": control}),
        )
    }

    /// What was executed so far, in order: `task`, `id`, `args`, `kwargs`, `headers`, `eta`, `delivery_info` ….
    pub fn executions(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.record()).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("the worker writes JSON"))
            .collect()
    }

    /// Waits until `count` tasks or more were executed.
    pub fn wait_for(&mut self, count: usize, timeout: Duration) -> Vec<Value> {
        let until = super::wait::now() + timeout;
        loop {
            let executions = self.executions();
            if executions.len() >= count {
                return executions;
            }
            assert!(
                super::wait::now() < until && self.process.exited().is_none(),
                "{} of {count} executions in {timeout:?}; the worker's log:\n{}",
                executions.len(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for a text in the worker's log, such as `Received unregistered task`.
    pub fn wait_for_log(&self, text: &str, timeout: Duration) {
        wait_for(text, timeout, || self.log().contains(text).then_some(()));
    }

    /// The worker's own log.
    pub fn log(&self) -> String {
        self.process.log()
    }

    fn record(&self) -> PathBuf {
        self.dir.path().join("record.jsonl")
    }
}
