//! State in a file: a full disk, a file full of garbage.

use std::time::Duration;

use super::last;
use crate::row::{Broker, Fault, Row};

pub fn rows() -> Vec<Row> {
    let file = |id, name, allow, recovery| Row {
        broker: Broker::RedisAndFile,
        instances: 1,
        ..Row::redis(id, name, allow, recovery)
    };
    vec![
        Row {
            broker: Broker::None,
            ..file("D01", "disk_full", 1, 2.0)
        }
        .fault("needs a file system of its own that can be filled", |_| {
            Fault::now()
        }),
        file("D02", "state_file_corrupted", 1, 4.0)
            .data_loss()
            .fault(
                "the state file is overwritten with garbage, the instance restarted",
                |rig| {
                    rig.terminate(0, Duration::from_secs(1));
                    let state = rig.file.with_file_name("disk").join("beat.state");
                    std::fs::write(&state, "garbage".repeat(1_000)).expect("written");
                    rig.start_again(0);
                    let fault = Fault::now();
                    last(5.0);
                    let said = rig.events("state_repaired").len() + rig.events("state_lost").len();
                    rig.expect(said >= 1, || "the garbage is not reported".to_owned());
                    fault
                },
            ),
    ]
}
