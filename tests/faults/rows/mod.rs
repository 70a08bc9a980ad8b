//! The table, by what is harmed.

mod amqp;
mod clocks;
mod disk;
mod files;
mod network;
mod processes;
mod redis;

use std::time::Duration;

use crate::row::Row;

/// Every row, in the order of the table.
pub fn all() -> Vec<Row> {
    let mut rows = processes::rows();
    rows.extend(clocks::rows());
    rows.extend(network::rows());
    rows.extend(redis::rows());
    rows.extend(amqp::rows());
    rows.extend(files::rows());
    rows.extend(disk::rows());
    rows
}

/// A fault that lasts is one that takes its time.
fn last(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Longest wait for a trap.
const PATIENCE: Duration = Duration::from_secs(15);
