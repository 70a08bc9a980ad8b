//! A Redis server that restarts, forgets, refuses, or holds garbage.

use std::time::Duration;

use super::last;
use crate::rig::{FAST, Rig, SECRET, SLOW};
use crate::row::{Dup, Fault, Row};
use crate::support::wait::{now, wait_for, wall_micros};

pub fn rows() -> Vec<Row> {
    let redis = Row::redis;
    let lossy = |id, name, allow, dup, recovery| {
        redis(id, name, allow, recovery)
            .dup(Dup::AtMost(dup))
            .data_loss()
    };
    vec![
        Row { aof: true, ..redis("R01", "restart_with_data", 1, 3.0) }.fault("Redis SIGTERM, 3 s down, started (AOF)", |rig| {
            let since = now();
            rig.redis.stop();
            last(3.0);
            rig.redis.start_again();
            Fault::outage_since(since)
        }),
        Row { aof: true, ..lossy("R02", "restart_without_data", 1, 3, 4.0) }.fault("Redis SIGKILL, data removed, started", |rig| {
            let since = now();
            rig.redis.kill9();
            rig.redis.wipe();
            rig.redis.start_again();
            Fault::outage_since(since)
        }),
        lossy("R03", "flushall", 1, 4, 4.0).ci().fault("FLUSHALL", |rig| {
            rig.redis.run("FLUSHALL");
            let fault = Fault::now();
            last(4.0);
            lost_is_said_once(rig);
            fault
        }),
        redis("R04", "script_flush", 1, 1.5).fault("SCRIPT FLUSH each 500 ms, 6 s (NOSCRIPT)", |rig| {
            for _ in 0..12 {
                rig.redis.run("SCRIPT FLUSH");
                last(0.5);
            }
            Fault::now()
        }),
        redis("R05", "oom_noeviction", 1, 3.0).fault("maxmemory 1 byte, noeviction, 6 s", |rig| {
            outage(rig, &["CONFIG SET maxmemory 1"], &["CONFIG SET maxmemory 0"])
        }),
        redis("R06", "readonly", 1, 3.0).fault("the server becomes a read-only replica for 6 s, then master again", |rig| {
            outage(rig, &["REPLICAOF 127.0.0.1 1"], &["REPLICAOF NO ONE"])
        }),
        Row { sentinels: true, ..lossy("R07", "sentinel_failover", 1, 3, 12.0) }.fault(
            "master SIGKILLed, three sentinels promote the replica; the outage lasts until they have",
            fail_over,
        ),
        Row { aof: true, redis_setting: Some(["key-load-delay", "150"]), ..redis("R08", "loading", 12, 3.0) }.fault("restart with 40 000 keys and key-load-delay: LOADING some 6 s", |rig| {
            let mut link = rig.redis.connect();
            let mut pipe = ::redis::pipe();
            for key in 0..40_000 {
                pipe.cmd("SET").arg(format!("filling:{key}")).arg("x").ignore();
            }
            pipe.query::<()>(&mut link).expect("Redis takes them");
            let since = now();
            rig.redis.stop();
            rig.redis.start_again();
            Fault::outage_since(since)
        }),
        redis("R09", "auth_revoked", 1, 3.0).fault("another password and all clients killed, 6 s, then lifted", |rig| {
            let back = format!("CONFIG SET requirepass {SECRET}");
            let mut link = rig.redis.connect();
            let since = now();
            rig.redis.run("CONFIG SET requirepass another");
            ::redis::cmd("CLIENT").arg("KILL").arg("SKIPME").arg("yes").query::<()>(&mut link).expect("clients are killed");
            last(6.0);
            ::redis::cmd("CONFIG").arg("SET").arg("requirepass").arg(SECRET).query::<()>(&mut link).expect(&back);
            let errors: Vec<_> = rig.events("store_down").iter().map(|e| e["error"].to_string().to_lowercase()).collect();
            let told = errors.iter().any(|error| ["auth", "password"].iter().any(|word| error.contains(word)));
            rig.expect(told, || format!("store_down does not name the refused password: {errors:?}"));
            Fault::outage_since(since)
        }),
        redis("R10", "client_pause_write", 1, 3.0).fault("CLIENT PAUSE 6000 WRITE, as a managed fail-over does", |rig| {
            let since = now();
            rig.redis.run("CLIENT PAUSE 6000 WRITE");
            last(6.0);
            Fault::outage_since(since)
        }),
        redis("R11", "redis_frozen", 1, 3.0).fault("SIGSTOP redis-server 7 s: the lease ends while nobody sees it", |rig| {
            let since = now();
            rig.redis.freeze();
            last(7.0);
            rig.redis.thaw();
            Fault::outage_since(since)
        }),
        redis("R12", "maxclients", 1, 3.0).fault("maxclients reached, all clients killed, 6 s", |rig| {
            let mut link = rig.redis.connect();
            let since = now();
            rig.redis.run("CONFIG SET maxclients 1");
            ::redis::cmd("CLIENT").arg("KILL").arg("SKIPME").arg("yes").query::<()>(&mut link).expect("clients are killed");
            last(6.0);
            ::redis::cmd("CONFIG").arg("SET").arg("maxclients").arg(1_000).query::<()>(&mut link).expect("Redis answers");
            Fault::outage_since(since)
        }),
        redis("R13", "noreplicas", 1, 3.0).fault("min-replicas-to-write 1 without a replica, 6 s", |rig| {
            outage(rig, &["CONFIG SET min-replicas-to-write 1"], &["CONFIG SET min-replicas-to-write 0"])
        }),
        lossy("R14", "state_corrupted", 2, 3, 4.0).ci().fault("every state key replaced by garbage of the same type", |rig| {
            let mut pipe = ::redis::pipe();
            for key in rig.state_keys() {
                let kind = kind_of(rig, &key);
                if kind == "hash" {
                    for entry in FAST.iter().chain([&SLOW]) {
                        pipe.hset(&key, entry, "\u{0}garbage \u{fffd}").ignore();
                    }
                } else if kind == "string" {
                    pipe.set(&key, "garbage").ignore();
                }
            }
            pipe.query::<()>(&mut rig.redis.connect()).expect("Redis takes it");
            let fault = Fault::now();
            last(5.0);
            repaired_is_said(rig);
            fault
        }),
        lossy("R15", "state_wrong_type", 2, 3, 4.0).fault("every state key replaced by a key of another type", |rig| {
            let mut pipe = ::redis::pipe();
            for key in rig.state_keys() {
                pipe.del(&key).ignore().lpush(&key, "garbage").ignore();
            }
            pipe.query::<()>(&mut rig.redis.connect()).expect("Redis takes it");
            let fault = Fault::now();
            last(5.0);
            repaired_is_said(rig);
            fault
        }),
        lossy("R16a", "evil_state_future", 2, 3, 4.0).fault("last run of every entry set ten years ahead", |rig| {
            evil_time(rig, wall_micros() + 10 * 365 * 86_400 * 1_000_000)
        }),
        lossy("R16b", "evil_state_epoch", 2, 3, 4.0).fault("last run of every entry set to the epoch", |rig| evil_time(rig, 0)),
    ]
}

fn kind_of(rig: &Rig, key: &str) -> String {
    ::redis::cmd("TYPE")
        .arg(key)
        .query(&mut rig.redis.connect())
        .expect("Redis answers")
}

fn outage(rig: &mut Rig, begin: &[&str], end: &[&str]) -> Fault {
    let since = now();
    for command in begin {
        rig.redis.run(command);
    }
    last(6.0);
    for command in end {
        rig.redis.run(command);
    }
    Fault::outage_since(since)
}

fn evil_time(rig: &mut Rig, micros: i64) -> Fault {
    let mut link = rig.redis.connect();
    for entry in FAST.iter().chain([&SLOW]) {
        ::redis::cmd("HSET")
            .arg("beat:{beat}:last")
            .arg(*entry)
            .arg(micros)
            .query::<()>(&mut link)
            .expect("Redis takes it");
    }
    let fault = Fault::now();
    // The running leader knows better; whoever follows reads it.
    last(3.0);
    let leader = rig.leader();
    rig.terminate(leader, Duration::from_secs(1));
    last(5.0);
    rig.start_again(leader);
    fault
}

fn lost_is_said_once(rig: &mut Rig) {
    let said = rig.events("state_lost").len();
    rig.expect(said == 1, || format!("state_lost said {said} times"));
}

fn repaired_is_said(rig: &mut Rig) {
    let said = rig.events("state_repaired").len();
    // One line a key at most.
    rig.expect((1..=10).contains(&said), || {
        format!("state_repaired said {said} times")
    });
}

fn fail_over(rig: &mut Rig) -> Fault {
    let since = now();
    let old = rig.redis.port();
    rig.redis.kill9();
    let sentinels = rig.sentinels.as_ref().expect("the row has sentinels");
    wait_for("a new master", Duration::from_secs(30), || {
        (sentinels.master_port() != old).then_some(())
    });
    let replica = rig.replica.as_ref().expect("the row has a replica");
    rig.observer.follow(&replica.url());
    Fault::outage_since(since)
}
