//! What networks do between instances and Redis.

use std::time::Duration;

use super::{PATIENCE, last};
use crate::rig::Rig;
use crate::row::{Fault, Row};
use crate::support::proxy::{Act, At, Mode};
use crate::support::wait::now;

pub fn rows() -> Vec<Row> {
    let redis = Row::redis;
    vec![
        redis("N01", "cut_leader", 5, 2.0).fault(
            "RST and refuse between the leader and Redis, 8 s",
            |rig| {
                let leader = rig.leader();
                rig.instances[leader]
                    .store
                    .for_a_while(Mode::Cut, Duration::from_secs(8));
                Fault::now()
            },
        ),
        redis("N02", "cut_all", 1, 3.0).fault("RST and refuse for all instances, 5 s", |rig| {
            all(rig, Mode::Cut, 5.0, true)
        }),
        redis("N03", "blackhole_leader", 5, 2.0).ci().fault(
            "accepts, never answers: the leader, 10 s, then its connections are reset",
            |rig| leader_then_reset(rig, Mode::Blackhole, 10.0),
        ),
        redis("N04", "blackhole_all", 1, 3.0).fault(
            "accepts, never answers: all, 6 s, then frozen bytes flow on",
            |rig| all(rig, Mode::Blackhole, 6.0, true),
        ),
        redis("N05", "delay_300ms", 1, 2.0).fault("300 ms each way, all, 10 s", |rig| {
            all(rig, Mode::Delay(Duration::from_millis(300)), 10.0, false)
        }),
        redis("N06", "delay_half_lease_leader", 8, 4.0).fault(
            "1.6 s each way (round trip > lease), the leader, 12 s",
            |rig| {
                let leader = rig.leader();
                rig.instances[leader].store.for_a_while(
                    Mode::Delay(Duration::from_millis(1_600)),
                    Duration::from_secs(12),
                );
                Fault::now()
            },
        ),
        redis("N07", "half_open", 6, 4.0).fault(
            "the server side of every connection dies, the client is not told; 10 s",
            |rig| {
                for instance in &rig.instances {
                    instance.store.half_open();
                }
                let fault = Fault::now();
                last(10.0);
                fault
            },
        ),
        redis("N08", "throttle_leader", 8, 4.0).fault(
            "300 bytes a second, the leader, 10 s",
            |rig| {
                let leader = rig.leader();
                rig.instances[leader]
                    .store
                    .for_a_while(Mode::Throttle(300), Duration::from_secs(10));
                Fault::now()
            },
        ),
        redis("N09", "replies_lost_leader", 5, 2.0).ci().fault(
            "Redis executes, the leader never hears; 8 s, then reset",
            |rig| leader_then_reset(rig, Mode::RepliesLost, 8.0),
        ),
        redis("N10", "ambiguous_commit_x10", 1, 2.0).ci().fault(
            "publication executed, connection reset before the reply, ten times",
            |rig| resets(rig, At::Reply, 10),
        ),
        redis("N11", "request_lost_x10", 1, 2.0).fault(
            "connection reset before the publication reached Redis, ten times",
            |rig| resets(rig, At::Request, 10),
        ),
        redis("N12", "flapping", 1, 2.0).fault("all connections reset each 400 ms, 10 s", |rig| {
            for _ in 0..25 {
                for instance in &rig.instances {
                    instance.store.reset_all();
                }
                last(0.4);
            }
            Fault::now()
        }),
        redis("N13", "late_writer", 20, 4.0).ci().fault(
            "one publication of the leader is delivered 6 s late, three times",
            late_writer,
        ),
    ]
}

fn all(rig: &mut Rig, mode: Mode, seconds: f64, is_outage: bool) -> Fault {
    let since = now();
    for instance in &rig.instances {
        instance.link().set(mode);
    }
    last(seconds);
    for instance in &rig.instances {
        instance.link().set(Mode::Pass);
    }
    if is_outage {
        Fault::outage_since(since)
    } else {
        Fault::now()
    }
}

fn leader_then_reset(rig: &mut Rig, mode: Mode, seconds: f64) -> Fault {
    let leader = rig.leader();
    rig.instances[leader].store.set(mode);
    last(seconds);
    rig.instances[leader].store.heal_by_reset();
    Fault::now()
}

/// The leader's publications are met by a reset at that instant.
pub fn resets(rig: &mut Rig, at: At, times: u32) -> Fault {
    let leader = rig.leader();
    rig.trap(leader, at, Act::Reset, times)
        .wait(times, Duration::from_secs(30));
    Fault::now()
}

/// One publication after another arrives when the world has moved on.
pub fn late_writer(rig: &mut Rig) -> Fault {
    for _ in 0..3 {
        let leader = rig.leader();
        rig.trap(leader, At::Request, Act::Late(Duration::from_secs(6)), 1)
            .wait(1, PATIENCE);
        last(7.0);
    }
    Fault::now()
}
