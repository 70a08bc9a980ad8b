//! Messages on RabbitMQ, state on Redis: a repeat carries the same id.

use std::time::Duration;

use super::network::{late_writer, resets};
use super::processes::kill_at;
use super::{PATIENCE, last};
use crate::observer::QUEUE;
use crate::rig::Rig;
use crate::row::{Broker, Dup, Fault, Row};
use crate::support::process::Signal;
use crate::support::proxy::{Act, At, Mode};
use crate::support::wait::now;

pub fn rows() -> Vec<Row> {
    let amqp = Row::amqp;
    let own = |id, name, allow, recovery| Row {
        broker: Broker::OwnAmqp,
        ..amqp(id, name, allow, recovery)
    };
    vec![
        amqp("A00", "amqp_baseline", 1, 1.5).fault("none, 15 s", |_| {
            last(15.0);
            Fault::now()
        }),
        own("A01", "amqp_stop_start_app", 1, 5.0).fault("rabbitmqctl stop_app, start_app", |rig| {
            let since = now();
            rig.rabbit().ctl(&["stop_app"]);
            rig.rabbit().ctl(&["start_app"]);
            Fault::outage_since(since)
        }),
        own("A02", "amqp_node_killed", 1, 8.0).fault("the node is SIGKILLed and started", |rig| {
            let since = now();
            let node = rig.node.as_mut().expect("a node of its own");
            node.kill9();
            node.start_again();
            Fault::outage_since(since)
        }),
        own("A03", "amqp_memory_alarm", 1, 4.0).fault("connection.blocked 8 s (vm_memory_high_watermark)", |rig| {
            let since = now();
            rig.rabbit().ctl(&["set_vm_memory_high_watermark", "absolute", "1"]);
            last(8.0);
            rig.rabbit().ctl(&["set_vm_memory_high_watermark", "0.6"]);
            let fault = Fault::outage_since(since);
            last(2.0);
            let said = rig.events("blocked").len();
            rig.expect(said >= 1, || "blocked is not said".to_owned());
            fault
        }),
        // What lies in the queue goes with it.
        amqp("A04", "amqp_queue_deleted", 1, 4.0).data_loss().ci().fault("the queue is deleted under the publisher", |rig| {
            let vhost = rig.vhost.as_ref().expect("a virtual host").name.clone();
            rig.rabbit().ctl(&["-p", &vhost, "delete_queue", QUEUE]);
            Fault::now()
        }),
        amqp("A05", "amqp_precondition_failed", 6, 5.0).fault(
            "the queue exists with other arguments (406) before the start of a new instance",
            |rig| {
                let vhost = rig.vhost.as_ref().expect("a virtual host").name.clone();
                for place in 0..2 {
                    rig.terminate(place, Duration::from_secs(1));
                }
                // What the publisher declares is durable; this one is not.
                rig.rabbit().ctl(&["-p", &vhost, "delete_queue", QUEUE]);
                rig.rabbit().eval(&format!(
                    "rabbit_amqqueue:declare({{resource, <<\"{vhost}\">>, queue, <<\"{QUEUE}\">>}}, false, false, [], none, <<\"test\">>)."
                ));
                for place in 0..2 {
                    rig.start_again(place);
                }
                Fault::now()
            },
        ),
        amqp("A06", "amqp_connections_closed", 6, 3.0).fault("rabbitmqctl close_all_connections, three times", |rig| {
            let vhost = rig.vhost.as_ref().expect("a virtual host").name.clone();
            for _ in 0..3 {
                rig.rabbit().ctl(&["close_all_connections", "-p", &vhost, "test"]);
                last(1.0);
            }
            Fault::now()
        }),
        amqp("A07", "amqp_cut_all", 1, 3.0).fault("RST and refuse to RabbitMQ, all, 5 s", |rig| {
            let since = now();
            each(rig, Mode::Cut);
            last(5.0);
            each(rig, Mode::Pass);
            Fault::outage_since(since)
        }),
        amqp("A08", "amqp_blackhole_all", 1, 4.0).fault("RabbitMQ accepts, never answers, 8 s, then reset", |rig| {
            let since = now();
            each(rig, Mode::Blackhole);
            last(8.0);
            for instance in &rig.instances {
                instance.link().heal_by_reset();
            }
            Fault::outage_since(since)
        }),
        amqp("A09", "amqp_ambiguous_x5", 1, 3.0).dup(Dup::SameId(5)).ci().fault(
            "publication accepted, connection reset before the confirm, five times",
            |rig| resets(rig, At::Reply, 5),
        ),
        amqp("A10", "amqp_request_lost_x5", 1, 3.0).fault("connection reset before the publication reached RabbitMQ, five times", |rig| {
            resets(rig, At::Request, 5)
        }),
        amqp("A11", "amqp_permission_revoked", 1, 4.0).fault(
            "permissions cleared and all connections closed, 6 s, then granted",
            |rig| {
                let vhost = rig.vhost.as_ref().expect("a virtual host").name.clone();
                let since = now();
                rig.rabbit().ctl(&["clear_permissions", "-p", &vhost, "guest"]);
                rig.rabbit().ctl(&["close_all_connections", "-p", &vhost, "test"]);
                last(6.0);
                rig.rabbit().ctl(&["set_permissions", "-p", &vhost, "guest", ".*", ".*", ".*"]);
                Fault::outage_since(since)
            },
        ),
        amqp("A12", "amqp_kill9_leader", 5, 5.0).dup(Dup::SameId(1)).fault(
            "SIGKILL the leader between publication and record, it stays down",
            |rig| {
                let leader = rig.leader();
                rig.trap_and_signal(leader, At::Request, Act::Pass, Signal::KILL).wait(1, PATIENCE);
                rig.is_down(leader);
                let fault = Fault::now();
                last(6.0);
                fault
            },
        ),
        amqp("A13", "amqp_pause_leader", 5, 2.0).dup(Dup::SameId(3)).fault("SIGSTOP the leader 8 s, SIGCONT", |rig| {
            let leader = rig.leader();
            rig.freeze(leader, Duration::from_secs(8));
            Fault::now()
        }),
        amqp("A14", "amqp_state_cut", 1, 3.0).fault("Redis (state only) cut 6 s, RabbitMQ healthy", |rig| {
            let since = now();
            for instance in &rig.instances {
                instance.store.set(Mode::Cut);
            }
            last(6.0);
            for instance in &rig.instances {
                instance.store.set(Mode::Pass);
            }
            Fault::outage_since(since)
        }),
        amqp("A15", "amqp_kill_after_publish", 24, 5.0).dup(Dup::SameId(16)).ci().fault(
            "SIGKILL the leader when RabbitMQ had the message but the leader no confirm, four times",
            |rig| kill_at(rig, At::Reply),
        ),
        amqp("A16", "amqp_late_writer", 20, 4.0).dup(Dup::SameId(12)).fault(
            "one publication of the leader is delivered 6 s late, three times",
            late_writer,
        ),
    ]
}

fn each(rig: &Rig, mode: Mode) {
    for instance in &rig.instances {
        instance.link().set(mode);
    }
}
