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
            small_disk: true,
            ..file("D01", "disk_full", 1, 2.0)
        }
        .fault("the disk with the state file is full for 6 s", |rig| {
            // As the instance sees it: the file system is mounted for it alone.
            let filling = format!(
                "/proc/{}/root{}/disk/filling",
                rig.pid(0),
                rig.dir().display()
            );
            let full =
                std::fs::write(&filling, vec![0; 16 << 20]).expect_err("the disk is smaller");
            assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
            last(6.0);
            std::fs::remove_file(&filling).expect("removed");
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
