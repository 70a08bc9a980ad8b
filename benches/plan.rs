//! What planning costs for each fire, whatever the number of entries, and what loading a file does.

use std::fmt::Write as _;

use beat::clock::Timestamp;
use beat::config::{self, Env, Loaded, Purpose, Sources};
use beat::dispatch::TRANSACTION;
use beat::message::Identity;
use beat::plan::{Outcome, Plan, Progress};
use divan::{Bencher, counter::ItemsCount};
use uuid::Uuid;

/// When loading takes place, µs since the epoch: a whole minute.
const START: Timestamp = Timestamp::from_micros(1_795_163_880_000_000);
const MINUTE: i64 = 60_000_000;

fn main() {
    divan::main();
}

/// `count` entries that are due each minute.
fn file(count: usize) -> Sources {
    let mut text = "broker_url = 'redis://localhost/0'\n".to_owned();
    for i in 0..count {
        let _ = writeln!(
            text,
            "[beat_schedule.entry-{i:06}]\ntask = \"proj.tasks.task_{}\"\nargs = [{i}, \"customer\"]\n\
             schedule = {{ crontab = \"* * * * *\" }}",
            i % 50
        );
    }
    Sources::from_text("bench.toml", text)
}

fn load(sources: &Sources) -> Option<Loaded> {
    let identity = Identity {
        pid: 1,
        hostname: "bench".to_owned(),
        reply_to: Uuid::nil(),
        utcoffset_hours: 0.0,
    };
    config::load(sources, &Env::default(), &identity, START, Purpose::Run).ok()
}

/// Each entry fires once: taken from the plan, settled, put back.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 20, sample_size = 1)]
fn due_and_settled(bencher: Bencher, count: usize) {
    let Some(loaded) = load(&file(count)) else {
        return;
    };
    let mut plan = Plan::new(START);
    for entry in loaded.timetable.entries.values() {
        let progress = Progress {
            anchor: START,
            from: START,
            last: None,
            count: 0,
        };
        plan.set(entry.clone(), progress);
    }
    let mut now = START;
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        now = now.plus_micros(MINUTE);
        loop {
            let dues = plan.due(now, TRANSACTION);
            if dues.is_empty() {
                break;
            }
            for due in &dues {
                plan.settle(due, &Outcome::Fired(1), now);
                plan.rearm(due.slot);
            }
        }
    });
}

/// From the text of a file to its entries.
#[divan::bench(args = [1_000, 10_000], sample_count = 10, sample_size = 1)]
fn load_file(bencher: Bencher, count: usize) {
    let sources = file(count);
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| load(&sources));
}
