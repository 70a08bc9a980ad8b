//! Servers, a proxy before each of them for each instance, instances, and what rows do to them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::observer::Observer;
use crate::row::{Broker, Fault, Row};
use crate::support::beat::{Beat, Launch};
use crate::support::clock::FakeClock;
use crate::support::process::{Signal, signal_pid};
use crate::support::proxy::{Act, At, Proxy, Trap, Trapped};
use crate::support::rabbit::{Rabbit, Vhost};
use crate::support::sentinel::Sentinels;
use crate::support::servers::Redis;
use crate::support::wait::{now, wait_for};

/// Part of each URL; it must not appear in any log.
pub const SECRET: &str = "s3cr3t-9f1e";
/// Contained in the headers of each message, on every broker.
pub const PUBLICATION: &str = "periodic_task_name";
/// Every second, by interval and by crontab, and with `misfire = "all"`.
pub const FAST: [&str; 3] = ["fast-interval", "fast-crontab", "fast-all"];
/// Every six seconds.
pub const SLOW: &str = "slow";

const START: Duration = Duration::from_secs(20);

/// The schedule of every row.
pub fn schedule() -> String {
    let entries = [
        ("fast-interval", "1.0", "latest"),
        ("fast-crontab", "{ crontab = '* * * * * *' }", "latest"),
        ("fast-all", "1.0", "all"),
        ("slow", "6.0", "latest"),
    ]
    .map(|(name, schedule, misfire)| {
        format!("[beat_schedule.{name}]\ntask = 'tasks.add'\nschedule = {schedule}\nmisfire = '{misfire}'\n")
    });
    format!("name = 'beat'\nlease_ttl = '3s'\n{}", entries.join(""))
}

/// One instance and its ways to the servers.
#[derive(Debug)]
pub struct Instance {
    /// The process.
    pub beat: Beat,
    /// Before Redis.
    pub store: Proxy,
    /// Before RabbitMQ.
    pub broker: Option<Proxy>,
    /// Its wall clock, in rows that move it.
    pub clock: Option<FakeClock>,
    /// Where its log begins since it was started last.
    mark: usize,
    /// The row ended it and has not started it again.
    down: bool,
}

impl Instance {
    /// The proxy on the way to where messages go.
    pub fn link(&self) -> &Proxy {
        self.broker.as_ref().unwrap_or(&self.store)
    }

    /// The term it leads in, by its own word.
    fn term(&mut self) -> Option<u64> {
        let count = |event| self.beat.events_since(self.mark, event).len();
        let leads = count("elected") > count("deposed") + count("resigned");
        let elected = self.beat.events_since(self.mark, "elected");
        (leads && self.beat.is_alive()).then(|| elected.last().and_then(|e| e["term"].as_u64()))?
    }

    /// Whether it runs that should.
    pub fn has_ended_by_itself(&mut self) -> bool {
        !self.down && !self.beat.is_alive()
    }
}

/// Everything that one row runs.
#[derive(Debug)]
pub struct Rig {
    /// The instances.
    pub instances: Vec<Instance>,
    /// What arrived.
    pub observer: Observer,
    /// State, and messages but for RabbitMQ.
    pub redis: Redis,
    /// A second Redis, where a row needs one.
    pub replica: Option<Redis>,
    /// Who finds the master.
    pub sentinels: Option<Sentinels>,
    /// The node that only this row uses.
    pub node: Option<Rabbit>,
    /// Where messages go on RabbitMQ.
    pub vhost: Option<Vhost>,
    /// What a row itself found wrong.
    pub broken: Vec<String>,
    /// The schedule file that all share.
    pub file: PathBuf,
    dir: TempDir,
}

impl Rig {
    /// Starts all and waits until each instance knows its place and each fast entry has fired twice.
    pub fn start(row: &Row) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("beat-faults-")
            .tempdir()
            .expect("a temporary folder");
        let file = lay_schedule(dir.path(), row.config_map);
        let mut options = Redis::options();
        if !row.sentinels {
            options = options.password(SECRET).args(["masterauth", SECRET]);
        }
        if row.aof {
            options = options.aof();
        }
        if let Some(setting) = row.redis_setting {
            options = options.args(setting);
        }
        let redis = options.start();
        let replica = row.sentinels.then(|| Redis::replica_of(&redis));
        let sentinels = row
            .sentinels
            .then(|| Sentinels::start(&redis, 3, Duration::from_millis(1_500)));
        let node = (row.broker == Broker::OwnAmqp).then(Rabbit::start);
        let vhost = match row.broker {
            Broker::Amqp => Some(Rabbit::shared().vhost()),
            Broker::OwnAmqp => node.as_ref().map(Rabbit::vhost),
            _ => None,
        };
        let observer = match &vhost {
            Some(vhost) => Observer::amqp(&vhost.url()),
            None => Observer::redis(&redis.url()),
        };
        let instances = (0..row.instances)
            .map(|_| launch(row, &file, &redis, vhost.as_ref(), sentinels.as_ref()))
            .collect();
        let mut rig = Self {
            instances,
            observer,
            redis,
            replica,
            sentinels,
            node,
            vhost,
            broken: Vec::new(),
            file,
            dir,
        };
        let begun = now();
        for instance in &mut rig.instances {
            wait_for("each instance's place", START, || {
                let placed = ["elected", "standby"]
                    .iter()
                    .any(|event| !instance.beat.events(event).is_empty());
                assert!(
                    instance.beat.is_alive(),
                    "an instance ended at its start:\n{}",
                    instance.beat.lines().join("\n")
                );
                placed.then_some(())
            });
        }
        rig.wait_for_ticks(begun, 2, START);
        rig
    }

    /// Waits until each fast entry has arrived `count` times after `since`; whether it did.
    pub fn ticks_come(&self, since: Instant, count: usize, timeout: Duration) -> bool {
        let until = now() + timeout;
        while FAST
            .iter()
            .any(|entry| self.observer.count(entry, since) < count)
        {
            if now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    fn wait_for_ticks(&self, since: Instant, count: usize, timeout: Duration) {
        let log = || {
            self.instances
                .iter()
                .flat_map(|i| i.beat.lines())
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert!(
            self.ticks_come(since, count, timeout),
            "no ticks within {timeout:?}; the logs:\n{}",
            log()
        );
    }

    /// Waits until the schedule runs again: each entry has fired once more, and the slow one too.
    pub fn settle(&mut self, row: &Row, fault: &Fault) {
        let patience = Duration::from_secs_f64(row.recovery + 10.0);
        self.ticks_come(fault.ended, 3, patience);
        let until = now() + Duration::from_secs(8);
        while self.observer.count(SLOW, fault.ended) == 0 && now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The instance that leads: elected in the highest term and not deposed since.
    pub fn leader(&mut self) -> usize {
        wait_for("a leader", START, || {
            let terms = self.instances.iter_mut().enumerate();
            terms
                .filter_map(|(place, i)| Some((i.term()?, place)))
                .max()
                .map(|(_, place)| place)
        })
    }

    /// An instance that does not lead.
    pub fn standby(&mut self) -> usize {
        let leader = self.leader();
        (leader + 1) % self.instances.len()
    }

    /// The process id of an instance.
    pub fn pid(&self, place: usize) -> u32 {
        self.instances[place].beat.pid()
    }

    /// SIGKILL; when.
    pub fn kill(&mut self, place: usize) -> Instant {
        let at = now();
        self.instances[place].beat.kill9();
        self.instances[place].down = true;
        at
    }

    /// SIGTERM; when, and whether it ended within `limit` with exit code 0.
    pub fn terminate(&mut self, place: usize, limit: Duration) -> Instant {
        let at = now();
        let status = self.instances[place]
            .beat
            .terminate(Duration::from_secs(10));
        let took = at.elapsed();
        self.expect(status.code() == Some(0) && took <= limit, || {
            format!("SIGTERM: {status} after {took:?}, expected exit 0 within {limit:?}")
        });
        self.instances[place].down = true;
        at
    }

    /// Starts an instance that was ended.
    pub fn start_again(&mut self, place: usize) {
        let instance = &mut self.instances[place];
        instance.beat.wait_exit(Duration::from_secs(5));
        instance.mark = instance.beat.mark();
        instance.beat.start_again();
        instance.down = false;
    }

    /// It is killed by somebody else's hand, such as a trap's hook.
    pub fn is_down(&mut self, place: usize) {
        self.instances[place].down = true;
    }

    /// SIGSTOP for `time`.
    pub fn freeze(&mut self, place: usize, time: Duration) {
        self.instances[place].beat.freeze();
        std::thread::sleep(time);
        self.instances[place].beat.thaw();
    }

    /// A trap for the next publication of an instance.
    pub fn trap(&self, place: usize, at: At, act: Act, times: u32) -> Trapped {
        self.instances[place]
            .link()
            .trap(Trap::new(PUBLICATION, at, act).times(times))
    }

    /// A trap for its next publication of the entry that may lose nothing; the instance gets `signal` at that very
    /// instant.
    pub fn trap_and_signal(&self, place: usize, at: At, act: Act, signal: Signal) -> Trapped {
        let pid = self.pid(place);
        let trap = Trap::new(FAST[2], at, act).hook(move || signal_pid(pid, signal));
        self.instances[place].link().trap(trap)
    }

    /// Notes a broken bar of the row's own.
    pub fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(otherwise());
        }
    }

    /// The log records of all instances with that `event`.
    pub fn events(&self, event: &str) -> Vec<Value> {
        self.instances
            .iter()
            .flat_map(|i| i.beat.events(event))
            .collect()
    }

    /// The names of the state keys.
    pub fn state_keys(&self) -> Vec<String> {
        redis::cmd("KEYS")
            .arg("beat:{beat}:*")
            .query(&mut self.redis.connect())
            .expect("Redis answers")
    }

    /// The folder of the row.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The node that messages go to.
    pub fn rabbit(&self) -> &Rabbit {
        self.node.as_ref().unwrap_or_else(|| Rabbit::shared())
    }
}

fn lay_schedule(dir: &Path, config_map: bool) -> PathBuf {
    let file = dir.join("beat.toml");
    if config_map {
        std::fs::create_dir(dir.join("..1")).expect("a folder");
        std::fs::write(dir.join("..1/beat.toml"), schedule()).expect("the schedule can be written");
        std::os::unix::fs::symlink("..1", dir.join("..data")).expect("a link");
        std::os::unix::fs::symlink("..data/beat.toml", &file).expect("a link");
    } else {
        std::fs::write(&file, schedule()).expect("the schedule can be written");
    }
    file
}

fn launch(
    row: &Row,
    file: &Path,
    redis: &Redis,
    vhost: Option<&Vhost>,
    sentinels: Option<&Sentinels>,
) -> Instance {
    let store = Proxy::start(redis.port());
    let broker = vhost.map(|vhost| Proxy::start(vhost.port()));
    let clock = row.clocks.then(FakeClock::new);
    let state = sentinels.map_or_else(|| redis.url_at(store.port(), 0), sentinel_url);
    let mut launch = Launch::file(file);
    launch = match (vhost, &broker) {
        (Some(vhost), Some(proxy)) => launch.broker(&vhost.url_at(proxy.port())).state(&state),
        _ if row.broker == Broker::RedisAndFile => {
            let disk = file.with_file_name("disk");
            std::fs::create_dir_all(&disk).expect("a folder");
            if row.small_disk {
                let mount = "mount -t tmpfs -o size=8m none \"$0\" && exec \"$@\"";
                launch = launch.under(&[
                    "unshare",
                    "-rm",
                    "sh",
                    "-c",
                    mount,
                    &disk.display().to_string(),
                ]);
            }
            let state = disk.join("beat.state");
            launch
                .broker(&redis.url_at(store.port(), 0))
                .state(&format!("file://{}", state.display()))
        }
        _ => launch.broker(&state),
    };
    if let Some(clock) = &clock {
        launch = launch.clock(clock);
    }
    Instance {
        beat: launch.start(),
        store,
        broker,
        clock,
        mark: 0,
        down: false,
    }
}

fn sentinel_url(sentinels: &Sentinels) -> String {
    let hosts: Vec<String> = sentinels
        .ports()
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    format!("redis+sentinel://{}/mymaster/0", hosts.join(","))
}
