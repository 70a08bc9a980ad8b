//! The built `beat` as a whole process, beside Celery's own beat, celery-redbeat and the bare client
//! libraries, on the same servers in the same run. `scripts/bench` starts it.
//!
//! Every figure in the README comes from here. A run takes less than ten minutes and writes its rows
//! to `target/bench.json`, a full one `docs/SPEED.md` too. Arguments pick groups: `burst`, `rabbit`, `steady`, `idle`, `change`; with
//! `alone` the other schedulers are left out.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark that fails has nothing to say, and speaks on a terminal"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod bursts;
mod changes;
mod ours;
mod peers;
mod probe;
mod steady;
mod table;
mod yardstick;

use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use peers::Kind;
use serde_json::json;
use support::rabbit::Rabbit;
use support::servers::Redis;
use table::Table;
use tokio::runtime::Runtime;

/// What the rows share.
struct Bench {
    table: Table,
    /// Entries of a burst, and µs for each message.
    growth: Vec<(usize, f64)>,
    runtime: Runtime,
}

impl Bench {
    /// A Redis with nothing in it, as it comes, but for the snapshots: they would fall into some
    /// rows and not into others.
    #[expect(clippy::unused_self, reason = "rows ask the bench for what they need")]
    fn fresh_redis(&self) -> Redis {
        Redis::start()
    }

    /// The RabbitMQ node.
    #[expect(clippy::unused_self, reason = "as above")]
    fn rabbit(&self) -> &'static Rabbit {
        Rabbit::shared()
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

type Step = (&'static str, String, Box<dyn Fn(&mut Bench)>);

fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut add =
        |group, label: String, step: Box<dyn Fn(&mut Bench)>| steps.push((group, label, step));
    for size in bursts::SIZES {
        let (count, ..) = size;
        add(
            "burst",
            format!("burst of {count}, beat"),
            Box::new(move |b| bursts::ours(b, size)),
        );
        let patience = Duration::from_secs(if count > 10_000 { 20 } else { 12 });
        for kind in Kind::ALL {
            let label = format!("burst of {count}, {}", kind.name());
            add(
                "burst-peer",
                label,
                Box::new(move |b| bursts::theirs(b, kind, count, patience)),
            );
        }
    }
    let size = (10_000, 4, 4.0);
    add(
        "rabbit",
        "burst on RabbitMQ".into(),
        Box::new(move |b| bursts::rabbit(b, size)),
    );
    add(
        "steady",
        "1 000 fires/s, beat".into(),
        Box::new(|b| steady::ours(b, 30)),
    );
    for kind in Kind::ALL {
        let label = format!("1 000 fires/s, {}", kind.name());
        add(
            "steady-peer",
            label,
            Box::new(move |b| steady::theirs(b, kind, 10)),
        );
    }
    for count in [100, 100_000] {
        add(
            "idle",
            format!("{count} entries, idle"),
            Box::new(move |b| steady::idle(b, count, 10)),
        );
    }
    add(
        "change",
        "reload, take-over, fail-over".into(),
        Box::new(changes::all),
    );
    steps
}

fn main() {
    // `cargo bench` adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let alone = words.iter().any(|word| word == "alone");
    let groups: Vec<&String> = words.iter().filter(|word| *word != "alone").collect();
    let wanted = |group: &str| {
        let (group, peer) = match group.strip_suffix("-peer") {
            Some(group) => (group, true),
            None => (group, false),
        };
        (groups.is_empty() || groups.iter().any(|word| *word == group)) && !(peer && alone)
    };
    let steps: Vec<Step> = steps()
        .into_iter()
        .filter(|(group, ..)| wanted(group))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut bench = Bench {
        table: Table::default(),
        growth: Vec::new(),
        runtime,
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    for (done, (_, label, step)) in steps.iter().enumerate() {
        progress(done, steps.len(), label);
        step(&mut bench);
    }
    progress(steps.len(), steps.len(), "done");
    eprintln!();
    let of = |size: usize| {
        bench
            .growth
            .iter()
            .find(|(count, _)| *count == size)
            .map(|(_, cost)| *cost)
    };
    if let (Some(few), Some(many)) = (of(1_000), of(100_000)) {
        let what = "time per fire, 100 000 : 1 000 in a burst";
        bench.table.add(what, "beat", many / few, "×", "≤ 1.5");
    }
    println!("{}\n", machine(&load));
    print!("{}", bench.table.draw());
    println!("\n{NOTES}");
    if words.is_empty() {
        let page = format!(
            "# How fast, as measured\n\nWritten by `scripts/bench` on {}: {}.\n\n{}\n{NOTES}\n",
            chrono::Utc::now().format("%Y-%m-%d"),
            machine(&load),
            bench.table.markdown()
        );
        std::fs::write(support::repository("docs/SPEED.md"), page).expect("docs can be written");
    }
    let report = json!({
        "machine": machine(&load),
        "date": chrono::Utc::now().to_rfc3339(),
        "rows": bench.table.json(),
    });
    std::fs::create_dir_all(support::repository("target")).expect("a target folder");
    let path = support::repository("target/bench.json");
    let text = serde_json::to_string_pretty(&report).expect("rows are JSON");
    match std::fs::write(&path, text) {
        Ok(()) => println!("\nwritten to {}", path.display()),
        Err(error) => eprintln!("{}: {error}", path.display()),
    }
}

const NOTES: &str = "\
How it is measured: bursts are entries of one interval with a common start_at, several rounds, medians. The first message
is seen by a client that waits in BLMOVE, the last by LLEN asked each 0.25 to 1 ms; RabbitMQ is asked for the queue's
length each 2 ms. Lag is from the fire time named in the message to a BRPOP consumer. CPU is the kernel's count of all
threads. Scripts: Redis' SLOWLOG from 0.6 ms, the most of all rounds. Yardsticks push the same bytes between the rounds, 1 000 in a pipeline.
The other schedulers get interval entries with the same due instant, and are stopped when their time is up.";

fn machine(load: &str) -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    format!(
        "{} × {}, load before the start {}",
        cpus.matches("processor\t").count(),
        model.unwrap_or("an unknown processor").trim(),
        load.split(' ').next().unwrap_or_default()
    )
}

fn progress(done: usize, all: usize, label: &str) {
    let bar: String = (0..all)
        .map(|place| if place < done { '#' } else { '.' })
        .collect();
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K[{bar}] {done}/{all}  {label}");
        let _ = std::io::stderr().flush();
    } else {
        eprintln!("[{bar}] {done}/{all}  {label}");
    }
}
