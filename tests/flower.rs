//! A real Flower shows tasks as sent, before any worker has seen them.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::beat::Launch;
use support::process::Process;
use support::rabbit::Rabbit;
use support::servers::Redis;
use support::wait::{free_port, wait_for};

/// A running Flower; dropped, it ends.
struct Flower {
    port: u16,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Flower {
    fn on(broker: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(support::venv().join("bin/python"));
        command
            .args([
                "-m",
                "celery",
                "-A",
                "record_worker",
                "flower",
                "--address=127.0.0.1",
            ])
            .arg(format!("--port={port}"))
            .current_dir(folder.path())
            .env("PYTHONPATH", support::repository("tests/python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("FLOWER_UNAUTHENTICATED_API", "true")
            .env("BROKER_URL", broker)
            .env("RECORD", folder.path().join("record"))
            .env("TASKS", "tasks.add");
        let mut process = Process::start("flower", &command, &folder.path().join("flower.log"));
        process.wait_ready(Duration::from_secs(60), || get(port, "/api/tasks"));
        Self {
            port,
            _process: process,
            _folder: folder,
        }
    }

    fn task(&self, id: &str) -> Option<Value> {
        get(self.port, &format!("/api/task/info/{id}"))
    }
}

/// The JSON that is answered with 200.
fn get(port: u16, path: &str) -> Option<Value> {
    let mut link = TcpStream::connect(("127.0.0.1", port)).ok()?;
    link.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(link, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    link.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let answered = head.split(' ').nth(1) == Some("200");
    answered.then(|| serde_json::from_str(body).unwrap())
}

fn shows_what_was_sent(broker: &str, state: &str) {
    let flower = Flower::on(broker);
    let toml = format!(
        "broker_url = '{broker}'\nstate_url = '{state}'\ntask_send_sent_event = true\n\
         [beat_schedule.add]\ntask = 'tasks.add'\nschedule = {{ crontab = '* * * * * *' }}\nargs = [1, 'x']\n\
         options = {{ queue = 'reports', expires = 600 }}\n"
    );
    let beat = Launch::schedule(&toml).start();
    // Flower answers before it listens to events, so the first may have passed it by.
    let (fired, shown) = wait_for("a task in Flower", Duration::from_secs(30), || {
        let fired = beat.events("fired").pop()?;
        let shown = flower.task(fired["task_id"].as_str().unwrap())?;
        Some((fired, shown))
    });
    assert_eq!(shown["uuid"], fired["task_id"]);
    assert_eq!(shown["name"], "tasks.add");
    assert_eq!(shown["state"], "PENDING");
    assert_eq!(shown["args"], "[1, 'x']");
    assert_eq!(shown["kwargs"], "{}");
    assert_eq!(shown["routing_key"], "reports");
    assert!(shown["sent"].is_f64(), "{shown}");
    assert!(
        shown["expires"].as_str().unwrap().ends_with("+00:00"),
        "{shown}"
    );
}

#[test]
fn over_redis() {
    let redis = Redis::start();
    shows_what_was_sent(&redis.url(), &redis.url());
}

#[test]
fn over_rabbitmq() {
    let (vhost, redis) = (Rabbit::shared().vhost(), Redis::start());
    shows_what_was_sent(&vhost.url(), &redis.url());
}
