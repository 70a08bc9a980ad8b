//! An operator's day with two instances: edits good and bad, a trigger, a pause, an outage of Redis, a rolling restart.
//! What arrived at the broker in the evening is whole.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::time::Duration;

use support::beat::{Beat, Launch};
use support::command::run_on;
use support::http::Http;
use support::queue::{drain_redis, duplicates, fire_times, missing};
use support::servers::Redis;
use support::wait::wait_for;

const SOON: Duration = Duration::from_secs(15);
const SECOND: i64 = 1_000_000;

/// Everything is made up for after an outage, so that whatever is missing in the evening was lost.
fn schedule(redis: &Redis, more: &str) -> String {
    format!(
        "broker_url = '{}'\nlease_ttl = '2s'\n\
         [beat_schedule.each]\ntask = 'tasks.add'\nschedule = {{ crontab = '* * * * * *' }}\nmisfire = 'all'\n\
         [beat_schedule.quiet]\ntask = 'tasks.add'\nschedule = {{ crontab = '* * * * * *' }}\nmisfire = 'all'\n\
         [beat_schedule.rare]\ntask = 'tasks.rare'\nschedule = {{ crontab = '0 0 1 1 *' }}\n{more}",
        redis.url()
    )
}

fn operate(beat: &Beat, words: &[&str]) {
    run_on(beat.launch(), words).ok().unwrap();
}

/// How many fire times of `entry` the instances skipped for `reason`.
fn skipped(team: &[Beat], entry: &str, reason: &str) -> u64 {
    team.iter()
        .flat_map(|beat| beat.events("skipped"))
        .filter(|skip| skip["entry"] == entry && skip["reason"] == reason)
        .map(|skip| skip["count"].as_u64().unwrap())
        .sum()
}

fn wait_for_fires(redis: &Redis, more: usize) {
    let mut link = redis.connect();
    let mut length = || {
        redis::cmd("LLEN")
            .arg("celery")
            .query::<usize>(&mut link)
            .ok()
    };
    let before = length().unwrap();
    wait_for("fires", SOON, || (length()? >= before + more).then_some(()));
}

#[test]
fn a_day_of_changes_and_faults_loses_nothing_and_doubles_nothing() {
    let mut redis = Redis::options().aof().start();
    let launch = Launch::schedule(&schedule(&redis, ""));
    let (mut team, doors): (Vec<Beat>, Vec<Http>) = (0..2)
        .map(|_| Http::of(launch.clone()))
        .map(|(launch, http)| (launch.start(), http))
        .unzip();
    for (beat, http) in team.iter_mut().zip(&doors) {
        beat.wait_for_event("ready", SOON);
        wait_for("readiness", SOON, || {
            (http.get("/readyz").status == 200).then_some(())
        });
    }
    wait_for_fires(&redis, 4);

    // An edit, a mistake, and its repair: both instances follow.
    let added = "[beat_schedule.added]\ntask = 'tasks.new'\nschedule = 1\nmisfire = 'all'\n";
    let marks: Vec<usize> = team.iter().map(Beat::mark).collect();
    launch.rewrite(&schedule(&redis, added));
    for (beat, mark) in team.iter_mut().zip(&marks) {
        beat.wait_for_event_since(*mark, "reloaded", SOON);
    }
    launch.rewrite(&schedule(&redis, "[beat_schedule.added]\ntask = 5\n"));
    for (beat, http) in team.iter_mut().zip(&doors) {
        beat.wait_for_event("reload_refused", SOON);
        http.wait_for("the refusal in the status", |status| {
            status["schedule"]["reload_error"].as_str().map(|_| ())
        });
    }
    launch.rewrite(&schedule(&redis, added));
    for http in &doors {
        http.wait_for("no refusal in the status", |status| {
            status["schedule"]["reload_error"].as_null()
        });
    }

    operate(&team[0], &["trigger", "rare"]);
    operate(&team[1], &["pause", "quiet", "--reason", "lunch"]);
    wait_for("skips", SOON, || {
        (skipped(&team, "quiet", "paused") >= 2).then_some(())
    });

    // An outage longer than the lease: nobody ends, nobody is restarted by a probe.
    redis.stop();
    for (beat, http) in team.iter_mut().zip(&doors) {
        beat.wait_for_event("store_down", SOON);
        assert_eq!(http.get("/livez").status, 200);
        http.wait_for("the outage in the status", |status| {
            (status["store"]["up"] == false).then_some(())
        });
    }
    std::thread::sleep(Duration::from_secs(3));
    redis.start_again();
    wait_for_fires(&redis, 4);
    // The pause held over it.
    operate(&team[0], &["resume", "quiet"]);
    wait_for_fires(&redis, 3);

    // A rolling restart, by the probe that Kubernetes goes by.
    for (beat, http) in team.iter_mut().zip(&doors) {
        assert_eq!(beat.terminate(Duration::from_secs(5)).code(), Some(0));
        beat.start_again();
        wait_for("readiness", SOON, || {
            (http.get("/readyz").status == 200).then_some(())
        });
    }
    wait_for_fires(&redis, 6);
    for beat in &mut team {
        assert_eq!(beat.terminate(Duration::from_secs(5)).code(), Some(0));
    }

    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(duplicates(&rows), []);
    let gaps = |entry: &str| {
        let times = fire_times(&rows, entry);
        let (from, until) = (times[0], times[times.len() - 1]);
        missing(&rows, entry, from, until, SECOND)
    };
    assert_eq!(gaps("each"), [0; 0], "nothing of what runs is lost");
    assert_eq!(gaps("added"), [0; 0], "nothing of what came later is lost");
    assert_eq!(
        gaps("quiet").len() as u64,
        skipped(&team, "quiet", "paused"),
        "what was paused is accounted for"
    );
    let rare = rows.iter().filter(|row| row.task == "tasks.rare").count();
    assert_eq!(rare, 1, "triggered once");
}
