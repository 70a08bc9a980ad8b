//! Instances that are killed, stopped, restarted, robbed of their lease.

use std::time::Duration;

use super::{PATIENCE, last};
use crate::rig::Rig;
use crate::row::{Fault, Row};
use crate::support::process::Signal;
use crate::support::proxy::{Act, At};
use crate::support::wait::now;

/// SIGTERM with healthy servers.
const QUICKLY: Duration = Duration::from_secs(1);

pub fn rows() -> Vec<Row> {
    let redis = Row::redis;
    vec![
        redis("B00", "baseline", 1, 1.5).fault("none, 20 s", |_| {
            last(20.0);
            Fault::now()
        }),
        Row { instances: 3, ..redis("B01", "baseline_3", 1, 1.5) }.fault("none, three instances, 20 s", |_| {
            last(20.0);
            Fault::now()
        }),
        redis("P01", "kill9_leader", 5, 5.0).ci().fault("SIGKILL the leader, it stays down 10 s", |rig| {
            let leader = rig.leader();
            let at = rig.kill(leader);
            last(10.0);
            let told = rig.events("elected").iter().any(|e| !e["previous"].as_str().unwrap_or_default().is_empty());
            rig.expect(told, || "the take-over does not name the old holder".to_owned());
            rig.start_again(leader);
            Fault::at(at)
        }),
        redis("P02", "sigterm_leader", 2, 1.5).ci().fault("SIGTERM the leader; it must exit 0", |rig| {
            let leader = rig.leader();
            let at = rig.terminate(leader, QUICKLY);
            last(3.0);
            rig.start_again(leader);
            Fault::at(at)
        }),
        redis("P03", "pause_leader_past_lease", 5, 2.0).fault("SIGSTOP the leader 8 s, SIGCONT", |rig| freeze_leader(rig, 8.0)),
        redis("P04", "pause_leader_short", 3, 1.5).fault("SIGSTOP the leader 1.5 s", |rig| freeze_leader(rig, 1.5)),
        redis("P05", "kill9_follower", 1, 1.5).fault("SIGKILL a standby", |rig| {
            let standby = rig.standby();
            let at = rig.kill(standby);
            last(4.0);
            rig.start_again(standby);
            Fault::at(at)
        }),
        redis("P06", "kill9_all", 9, 5.0).fault("SIGKILL all, 3 s down, all started", |rig| {
            for place in 0..2 {
                rig.kill(place);
            }
            last(3.0);
            for place in 0..2 {
                rig.start_again(place);
            }
            Fault::now()
        }),
        Row { instances: 3, ..redis("P07", "rolling_restart_3", 6, 2.0) }.fault(
            "three instances, each SIGTERM and start, 2 s apart",
            |rig| {
                for place in 0..3 {
                    rig.terminate(place, QUICKLY);
                    rig.start_again(place);
                    last(2.0);
                }
                Fault::now()
            },
        ),
        redis("P08", "restart_loop", 5, 5.0).fault("one instance started and killed each 300 ms for 30 s beside a healthy one", |rig| {
            let other = rig.standby();
            for _ in 0..100 {
                rig.kill(other);
                rig.start_again(other);
                last(0.3);
            }
            Fault::now()
        }),
        redis("P09", "kill9_leader_x4", 20, 5.0).fault("SIGKILL whoever leads, each 6 s, four times, restarted at once", |rig| {
            let mut at = now();
            for _ in 0..4 {
                let leader = rig.leader();
                at = rig.kill(leader);
                rig.start_again(leader);
                last(6.0);
            }
            Fault::at(at)
        }),
        redis("P10", "lease_key_deleted", 8, 4.0).fault("the lease key is deleted five times", |rig| {
            for _ in 0..5 {
                rig.redis.run("DEL beat:{beat}:leader");
                last(1.5);
            }
            Fault::now()
        }),
        redis("P11", "lease_key_stolen", 9, 7.0).fault("the lease key is overwritten with a foreign token that expires after 5 s", |rig| {
            rig.redis.run("SET beat:{beat}:leader somebody-else PX 5000");
            Fault::now()
        }),
        redis("P12", "pause_both", 8, 2.0).fault("SIGSTOP all 6 s, SIGCONT all at once", |rig| {
            for instance in &mut rig.instances {
                instance.beat.freeze();
            }
            last(6.0);
            for instance in &mut rig.instances {
                instance.beat.thaw();
            }
            Fault::now()
        }),
        redis("P13", "sighup_leader", 1, 1.5).fault("SIGHUP the leader; it must stay alive", |rig| {
            let leader = rig.leader();
            rig.instances[leader].beat.signal(Signal::HUP);
            last(2.0);
            Fault::now()
        }),
        redis("P14", "pause_stutter", 20, 4.0).fault("SIGSTOP 3.2 s and SIGCONT 0.3 s, six times, the leader", |rig| {
            let leader = rig.leader();
            for _ in 0..6 {
                rig.freeze(leader, Duration::from_millis(3_200));
                last(0.3);
            }
            Fault::now()
        }),
        redis("P15", "pause_mid_publish", 16, 4.0).ci().fault(
            "SIGSTOP the leader when its publication was executed but not answered; 5 s; twice",
            |rig| {
                for _ in 0..2 {
                    let leader = rig.leader();
                    rig.trap_and_signal(leader, At::Reply, Act::Pass, Signal::STOP).wait(1, PATIENCE);
                    last(5.0);
                    rig.instances[leader].beat.thaw();
                    rig.ticks_come(now(), 1, PATIENCE);
                }
                Fault::now()
            },
        ),
        redis("P16", "kill_after_publish", 24, 5.0).ci().fault(
            "SIGKILL the leader when its publication was executed but not answered, restarted after 1 s, four times",
            |rig| kill_at(rig, At::Reply),
        ),
        redis("P17", "kill_before_publish", 24, 5.0).ci().fault(
            "SIGKILL the leader when its publication was sent but never reached Redis, restarted after 1 s, four times",
            |rig| kill_at(rig, At::Request),
        ),
    ]
}

fn freeze_leader(rig: &mut Rig, seconds: f64) -> Fault {
    let leader = rig.leader();
    rig.freeze(leader, Duration::from_secs_f64(seconds));
    Fault::now()
}

/// Four leaders die at that instant of a publication.
pub fn kill_at(rig: &mut Rig, at: At) -> Fault {
    let mut killed = now();
    for _ in 0..4 {
        let leader = rig.leader();
        rig.trap_and_signal(leader, at, Act::Reset, Signal::KILL)
            .wait(1, PATIENCE);
        killed = now();
        rig.is_down(leader);
        last(1.0);
        rig.start_again(leader);
        // The next one is to die in the midst of its work.
        rig.ticks_come(killed, 1, PATIENCE);
    }
    Fault::at(killed)
}
