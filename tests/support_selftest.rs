//! The test support itself: that servers, workers, faults and the moved clock do what the other tests rely on.

#![allow(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

mod support;

use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use support::clock::FakeClock;
use support::process::Process;
use support::queue;
use support::rabbit::{Rabbit, wait_for_depth};
use support::sentinel::Sentinels;
use support::servers::Redis;
use support::wait::{wait_for, wall_micros};
use support::worker::Worker;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn redis_keeps_its_port_and_with_aof_its_data() {
    let mut redis = Redis::options().aof().databases(20).start();
    redis.run("SET a 1");
    let url = redis.url();
    redis.kill9();
    redis.start_again();
    assert_eq!(redis.url(), url);
    assert_eq!(redis.run("GET a"), redis::Value::BulkString(b"1".to_vec()));
    redis.run("SELECT 19");
    redis.stop();
    redis.wipe();
    redis.start_again();
    assert_eq!(redis.run("GET a"), redis::Value::Nil);
}

#[test]
fn redis_takes_password_and_socket() {
    let redis = Redis::options().password("s3cret").unix_socket().start();
    let refused = redis::Client::open(format!("redis://127.0.0.1:{}/0", redis.port()))
        .and_then(|c| c.get_connection())
        .and_then(|mut link| redis::cmd("PING").query::<String>(&mut link));
    assert!(refused.is_err_and(|e| e.to_string().contains("NOAUTH")));
    let url = format!("redis+unix://{}?pass=s3cret", redis.socket().display());
    let mut link = redis::Client::open(url).unwrap().get_connection().unwrap();
    let pong: String = redis::cmd("PING").query(&mut link).unwrap();
    assert_eq!(pong, "PONG");
}

#[test]
fn sentinels_promote_the_replica() {
    let mut master = Redis::start();
    let replica = Redis::replica_of(&master);
    let sentinels = Sentinels::start(&master, 3, Duration::from_millis(500));
    assert_eq!(sentinels.master_port(), master.port());
    master.kill9();
    wait_for("the promotion", Duration::from_secs(30), || {
        (sentinels.master_port() == replica.port()).then_some(())
    });
}

#[test]
fn a_child_dies_with_its_owner_and_with_the_test_binary() {
    let dir = tempfile::tempdir().unwrap();
    let mut sleep = Command::new("sleep");
    sleep.arg("1000");
    let child = Process::start("sleep", &sleep, &dir.path().join("log"));
    let pid = child.pid().to_string();
    assert!(Path::new("/proc").join(&pid).exists());
    drop(child);
    assert!(!Path::new("/proc").join(&pid).exists());

    let told = dir.path().join("pid");
    let aborted = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "aborts_with_a_server"])
        .env("TELL", &told)
        .env("TMPDIR", dir.path())
        .status()
        .unwrap();
    assert!(!aborted.success());
    let pid = std::fs::read_to_string(told).unwrap();
    wait_for("the end of the orphan", SOON, || {
        // An orphan that nobody reaps stays as a zombie.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.map_or(true, |s| s.contains(") Z ")).then_some(())
    });
}

/// What the test above runs in another process, and there alone.
#[test]
fn aborts_with_a_server() {
    let Some(told) = std::env::var_os("TELL") else {
        return;
    };
    let redis = Redis::start();
    std::fs::write(told, redis.pid().to_string()).unwrap();
    std::process::abort();
}

#[test]
fn a_shared_server_outlives_the_thread_that_started_it() {
    let redis = std::thread::spawn(Redis::start).join().unwrap();
    // The signal would come at once.
    std::thread::sleep(Duration::from_millis(200));
    redis.run("PING");
}

#[test]
fn rabbit_serves_vhosts_and_comes_back_after_a_kill() {
    let mut rabbit = Rabbit::start();
    let (one, other) = (rabbit.vhost(), rabbit.vhost());
    publish(&one.url(), "celery", &envelope("tick", 1));
    wait_for_depth(&rabbit, &one, "celery", 1, SOON);
    assert_eq!(queue::drain_amqp(&other.url(), "celery"), []);
    rabbit.kill9();
    rabbit.start_again();
    let rows = queue::drain_amqp(&one.url(), "celery");
    assert_eq!(rows.len(), 1, "a persistent message survives");
    assert_eq!(
        (rows[0].entry.as_str(), rows[0].fire_time),
        ("tick", 1_000_000)
    );
    assert_eq!(rows[0].body, json!([[1, 2], {}, {}]));
}

#[test]
fn a_worker_executes_what_comes_through_redis() {
    let redis = Redis::start();
    let mut link = redis.connect();
    let mut worker = Worker::on(&redis.url())
        .queues(&["celery", "other"])
        .start();
    for (key, second) in [("celery", 1), ("other", 2)] {
        push(&mut link, key, &envelope("tick", second));
    }
    let done = worker.wait_for(2, SOON);
    assert_eq!(done[0]["task"], "tasks.add");
    assert_eq!(done[0]["args"], json!([1, 2]));
}

#[test]
fn a_worker_executes_what_comes_through_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, control) = (dir.path().join("queue"), dir.path().join("control"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(&control).unwrap();
    let message = envelope("tick", 3).to_string();
    std::fs::write(folder.join("1_a.celery.msg"), message).unwrap();
    let rows = queue::read_folder(&folder, "celery");
    assert_eq!(queue::fire_times(&rows, "tick"), [3_000_000]);
    assert_eq!(queue::read_folder(&folder, "other"), []);
    let mut worker = Worker::on_folder(&folder, &control).start();
    assert_eq!(worker.wait_for(1, SOON)[0]["id"], "id-3");
}

#[test]
fn a_worker_executes_what_comes_through_rabbit() {
    let vhost = Rabbit::shared().vhost();
    let mut worker = Worker::on(&vhost.url()).tasks(&["reports.weekly"]).start();
    publish(&vhost.url(), "celery", &envelope("tick", 4));
    assert_eq!(worker.wait_for(1, SOON)[0]["id"], "id-4");
}

#[test]
fn rows_tell_duplicates_from_gaps() {
    let redis = Redis::start();
    let mut link = redis.connect();
    for second in [1, 2, 2, 4] {
        push(&mut link, "celery", &envelope("tick", second));
    }
    let rows = queue::drain_redis(&mut link, "celery");
    assert_eq!(queue::read_redis(&mut link, "celery"), []);
    assert_eq!(
        queue::fire_times(&rows, "tick"),
        [1_000_000, 2_000_000, 2_000_000, 4_000_000]
    );
    let twice = ("tick".to_owned(), 2_000_000, vec!["id-2".to_owned(); 2]);
    assert_eq!(queue::duplicates(&rows), [twice]);
    assert_eq!(
        queue::missing(&rows, "tick", 1_000_000, 5_000_000, 1_000_000),
        [3_000_000, 5_000_000]
    );
}

#[test]
fn the_moved_clock_is_the_one_that_the_daemon_reads() {
    let clock = FakeClock::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clocks");
    let mut reader = Command::new(std::env::current_exe().unwrap());
    reader
        .args(["--exact", "writes_down_its_clocks"])
        .env("TELL", &file)
        .envs(clock.env());
    let _reader = Process::start("reader", &reader, &dir.path().join("log"));
    let read = || -> Option<(i64, i64)> {
        let text = std::fs::read_to_string(&file).ok()?;
        let (wall, boot) = text.split_once(' ')?;
        Some((wall.parse().ok()?, boot.parse().ok()?))
    };
    let (_, start) = wait_for("the reader", SOON, read);
    let near = |offset: i64| {
        wait_for(&format!("a clock {offset} s off"), SOON, || {
            read().filter(|(wall, _)| (wall - wall_micros() - offset * 1_000_000).abs() < 1_000_000)
        })
    };
    near(0);
    clock.ahead(Duration::from_secs(3600));
    near(3600);
    clock.behind(Duration::from_secs(2));
    near(-2);
    clock.behind(Duration::from_secs(3600));
    let (_, end) = near(-3600);
    assert!((start..start + 30_000_000).contains(&end), "{start} {end}");
}

/// What the test above runs in another process, and there alone.
#[test]
fn writes_down_its_clocks() {
    use beat::clock::{Clock, SystemClock};

    let Some(file) = std::env::var_os("TELL") else {
        return;
    };
    let new = Path::new(&file).with_extension("new");
    loop {
        let wall = SystemClock.wall().as_micros();
        let boot = SystemClock.boot().as_micros();
        std::fs::write(&new, format!("{wall} {boot}")).unwrap();
        std::fs::rename(&new, &file).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_server_that_is_down_refuses() {
    let mut redis = Redis::start();
    redis.stop();
    let refused = TcpStream::connect(("127.0.0.1", redis.port()));
    assert!(refused.is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused));
}

/// A message as Celery writes it, with the two headers of ours.
fn envelope(entry: &str, second: u32) -> Value {
    let body = BASE64_STANDARD.encode(r"[[1, 2], {}, {}]");
    json!({
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "task": "tasks.add",
            "id": format!("id-{second}"),
            "periodic_task_name": entry,
            "scheduled_time": format!("1970-01-01T00:00:{second:02}Z"),
        },
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": format!("tag-{second}"),
            "delivery_info": {"exchange": "", "routing_key": "celery"},
        },
    })
}

fn push(link: &mut redis::Connection, key: &str, envelope: &Value) {
    let length: usize = redis::cmd("LPUSH")
        .arg(key)
        .arg(envelope.to_string())
        .query(link)
        .unwrap();
    assert!(length > 0);
}

/// Declares the queue as Celery does and publishes what `envelope` says.
fn publish(url: &str, queue: &str, envelope: &Value) {
    use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
    use lapin::types::{AMQPValue, FieldTable};
    use lapin::{BasicProperties, Connection, ConnectionProperties};

    let mut headers = FieldTable::default();
    for (name, value) in envelope["headers"].as_object().unwrap() {
        let value = AMQPValue::LongString(value.as_str().unwrap().into());
        headers.insert(name.as_str().into(), value);
    }
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(2)
        .with_headers(headers);
    let body = BASE64_STANDARD
        .decode(envelope["body"].as_str().unwrap())
        .unwrap();
    let declared = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let link = Connection::connect(url, ConnectionProperties::default())
            .await
            .unwrap();
        let channel = link.create_channel().await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        channel
            .queue_declare(queue.into(), declared, FieldTable::default())
            .await
            .unwrap();
        let options = BasicPublishOptions::default();
        let confirm = channel
            .basic_publish("".into(), queue.into(), options, &body, properties)
            .await
            .unwrap();
        confirm.await.unwrap();
        link.close(200, "done".into()).await.unwrap();
    });
}
