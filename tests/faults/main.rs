//! The fault table: each row does something to instances, network, broker or file and counts, at the broker, what it
//! cost.
//!
//! ```text
//! cargo test --test faults                    the rows that tell a right protocol from a lucky one
//! cargo test --test faults -- --all           every row
//! cargo test --test faults -- P15 N03         these rows
//! cargo test --test faults -- --all --write docs/FAULTS.md
//! ```
//!
//! `row` what a row is · `rig` servers, proxies and instances · `observer` reads the queue · `judge` holds what arrived
//! against the row's bars · `table` prints · `rows` the table itself. Ends with an error when a bar is broken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program: a broken fixture must stop its row, and the table goes to stdout"
)]

mod judge;
mod observer;
mod rig;
mod row;
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use judge::Verdict;
use row::{Broker, Row};

/// Rows that run at a time. Each has servers of its own; more would measure the machine.
const LANES: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1).cloned()
    };
    let write = value("--write");
    let lanes = value("--lanes")
        .and_then(|n| n.parse().ok())
        .unwrap_or(LANES);
    let all = arguments.iter().any(|a| a == "--all");
    let mut skip_value = false;
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|a| {
            let is_value = std::mem::replace(
                &mut skip_value,
                ["--write", "--lanes"].contains(&a.as_str()),
            );
            !is_value && !a.starts_with('-')
        })
        .collect();
    let rows: Vec<Row> = rows::all()
        .into_iter()
        .filter(|row| match wanted.as_slice() {
            [] => all || row.ci,
            words => words
                .iter()
                .any(|word| row.id == **word || row.name.contains(word.as_str())),
        })
        .collect();
    if rows.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{}", table::head());
    let verdicts = run(&rows, lanes);
    let broken = verdicts
        .iter()
        .filter(|verdict| !verdict.broken.is_empty())
        .count();
    println!("\n{} rows, {broken} with a broken bar", verdicts.len());
    if let Some(path) = write {
        std::fs::write(&path, table::document(&verdicts)).expect("the table can be written");
    }
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs rows in parallel lanes, printing each when it ends; the verdicts are in the order of the table.
fn run(rows: &[Row], lanes: usize) -> Vec<Verdict> {
    // What a row panics with stands in its line of the table.
    std::panic::set_hook(Box::new(|_| {}));
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Verdict)>> = Mutex::default();
    std::thread::scope(|threads| {
        for _ in 0..lanes.clamp(1, 8) {
            threads.spawn(|| {
                while let Some((place, row)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    rows.get(place).map(|row| (place, row))
                } {
                    let verdict = one(row);
                    println!("{}", table::line(&verdict));
                    done.lock()
                        .expect("nobody panics while holding it")
                        .push((place, verdict));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("nobody panics while holding it");
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, verdict)| verdict).collect()
}

fn one(row: &Row) -> Verdict {
    if row.broker == Broker::None {
        return Verdict::unmeasured(row, row.fault);
    }
    catch_unwind(AssertUnwindSafe(|| {
        let mut rig = rig::Rig::start(row);
        let fault = (row.run)(&mut rig);
        rig.settle(row, &fault);
        judge::judge(row, &fault, &mut rig)
    }))
    .unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default();
        Verdict::failed(row, &text)
    })
}
