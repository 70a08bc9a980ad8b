//! Edits of the schedule take effect without a restart, and a bad one changes nothing.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use support::beat::{Beat, Launch};
use support::queue::{drain_redis, duplicates, fire_times};
use support::servers::Redis;

const SECOND: i64 = 1_000_000;
const SOON: Duration = Duration::from_secs(5);

fn steady(redis: &Redis) -> String {
    format!(
        "broker_url = '{}'\nlease_ttl = '2s'\n[beat_schedule.steady]\ntask = 'tasks.add'\nschedule = 0.5\n",
        redis.url()
    )
}

fn with_extra(redis: &Redis) -> String {
    format!(
        "{}[beat_schedule.extra]\ntask = 'tasks.add'\nschedule = 0.5\n",
        steady(redis)
    )
}

fn wait_for_fire_of(beat: &mut Beat, entry: &str) {
    let mark = beat.mark();
    loop {
        let fired = beat.wait_for_event_since(mark, "fired", SOON);
        if fired["entry"] == entry
            || beat
                .events_since(mark, "fired")
                .iter()
                .any(|f| f["entry"] == entry)
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every half second of `steady` is there once, on one grid.
fn assert_steady(redis: &Redis) {
    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(duplicates(&rows), []);
    let times = fire_times(&rows, "steady");
    for pair in times.windows(2) {
        assert_eq!(pair[1] - pair[0], SECOND / 2, "{times:?}");
    }
}

#[test]
fn an_edit_adds_and_removes_without_touching_the_rest() {
    let redis = Redis::start();
    let mut beat = Launch::schedule(&steady(&redis)).start();
    wait_for_fire_of(&mut beat, "steady");
    let launch = beat.launch().clone();

    launch.rewrite(&with_extra(&redis));
    let reloaded = beat.wait_for_event("reloaded", SOON);
    assert_eq!(
        (&reloaded["added"], &reloaded["removed"]),
        (&"extra".into(), &"".into())
    );
    wait_for_fire_of(&mut beat, "extra");

    let mark = beat.mark();
    launch.rewrite(&steady(&redis));
    assert_eq!(
        beat.wait_for_event_since(mark, "reloaded", SOON)["removed"],
        "extra"
    );
    let mark = beat.mark();
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        beat.events_since(mark, "fired")
            .iter()
            .all(|fired| fired["entry"] == "steady")
    );
    assert_steady(&redis);
}

/// What can happen to a schedule file, by name.
type Damage = (&'static str, fn(&Path));

const DAMAGES: &[Damage] = &[
    ("truncated", |path| {
        let text = std::fs::read(path).unwrap();
        std::fs::write(path, &text[..text.len() - 7]).unwrap();
    }),
    ("empty", |path| std::fs::write(path, "").unwrap()),
    ("binary", |path| {
        std::fs::write(path, [0xff, 0, 7, 0x1b]).unwrap();
    }),
    ("misspelt key", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::write(path, text.replace("schedule = 0.5", "shedule = 0.5")).unwrap();
    }),
    ("deleted", |path| std::fs::remove_file(path).unwrap()),
    ("a directory", |path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    }),
    ("a FIFO", |path| {
        std::fs::remove_file(path).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(path)
            .status()
            .unwrap();
        assert!(made.success());
    }),
    ("another name", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::write(path, format!("name = 'other'\n{text}")).unwrap();
    }),
];

#[test]
fn a_bad_schedule_never_takes_effect() {
    let redis = Redis::start();
    let mut beat = Launch::schedule(&steady(&redis)).start();
    wait_for_fire_of(&mut beat, "steady");
    let path = beat.launch().path().to_owned();
    for (name, damage) in DAMAGES {
        let mark = beat.mark();
        damage(&path);
        let refused = beat.wait_for_event_since(mark, "reload_refused", SOON);
        assert!(!refused["error"].as_str().unwrap().is_empty(), "{name}");
        wait_for_fire_of(&mut beat, "steady");
        assert_eq!(
            beat.events_since(mark, "reload_refused").len(),
            1,
            "{name}: said once"
        );

        if path.is_dir() {
            std::fs::remove_dir(&path).unwrap();
        }
        beat.launch().rewrite(&steady(&redis));
        std::thread::sleep(Duration::from_millis(600));
        assert!(beat.is_alive(), "{name}");
    }
    beat.launch().rewrite(&with_extra(&redis));
    wait_for_fire_of(&mut beat, "extra");
    assert_steady(&redis);
}

#[test]
fn a_file_that_is_still_being_written_is_left_alone() {
    let redis = Redis::start();
    let mut beat = Launch::schedule(&with_extra(&redis)).start();
    wait_for_fire_of(&mut beat, "extra");
    let text = format!("{}args = [1]\n", with_extra(&redis));
    let mut file = std::fs::File::create(beat.launch().path()).unwrap();
    // Some of the prefixes are valid schedules without `extra`.
    for piece in text.as_bytes().chunks(text.len() / 12) {
        file.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(150));
    }
    drop(file);
    let reloaded = beat.wait_for_event("reloaded", SOON);
    assert_eq!(
        (&reloaded["changed"], &reloaded["removed"]),
        (&"extra".into(), &"".into())
    );
    assert_eq!(beat.events("reload_refused").len(), 0);
    assert_steady(&redis);
}

#[test]
fn a_config_map_is_followed_through_its_swaps() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let version = folder.path().join(name);
        std::fs::create_dir(&version).unwrap();
        std::fs::write(version.join("beat.toml"), text).unwrap();
    };
    let swap = |name: &str| {
        let new = folder.path().join("..data_tmp");
        symlink(name, &new).unwrap();
        std::fs::rename(&new, folder.path().join("..data")).unwrap();
    };
    write("..v1", &steady(&redis));
    swap("..v1");
    symlink("..data/beat.toml", folder.path().join("beat.toml")).unwrap();
    let mut beat = Launch::file(&folder.path().join("beat.toml")).start();
    wait_for_fire_of(&mut beat, "steady");
    for (version, text, change) in [
        ("..v2", with_extra(&redis), "added"),
        ("..v3", steady(&redis), "removed"),
    ] {
        let mark = beat.mark();
        write(version, &text);
        swap(version);
        assert_eq!(
            beat.wait_for_event_since(mark, "reloaded", SOON)[change],
            "extra"
        );
    }
    assert_steady(&redis);
}

#[test]
fn sighup_reloads_and_never_ends() {
    let redis = Redis::start();
    let mut beat = Launch::schedule(&steady(&redis)).start();
    wait_for_fire_of(&mut beat, "steady");
    beat.signal(support::process::Signal::HUP);
    beat.wait_for_event("reloaded", SOON);
    wait_for_fire_of(&mut beat, "steady");
    assert_steady(&redis);
}
