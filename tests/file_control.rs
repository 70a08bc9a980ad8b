//! With a file as store, operators ask through `<state>.sock`.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use support::beat::{Beat, Launch};
use support::command::run_on;
use support::queue::read_folder;
use support::wait::wait_for;

const SOON: Duration = Duration::from_secs(10);

struct Stage {
    folder: tempfile::TempDir,
    launch: Launch,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        let toml = format!(
            "name = 'desk'\nbroker_url = 'filesystem://'\nstate_url = 'file://{root}/state'\n\
             broker_transport_options = {{ data_folder_out = '{root}/out', control_folder = '{root}/control' }}\n\
             [beat_schedule.fast]\ntask = 'tasks.add'\nschedule = 0.5\nmisfire = 'all'\n\
             [beat_schedule.rare]\ntask = 'tasks.rare'\nschedule = {{ crontab = '0 0 1 1 *' }}\n"
        );
        Self {
            folder,
            launch: Launch::schedule(&toml),
        }
    }

    fn start(&self) -> Beat {
        let mut beat = self.launch.clone().start();
        beat.wait_for_event("fired", SOON);
        wait_for("the socket", SOON, || self.socket().exists().then_some(()));
        beat
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("state.sock")
    }

    fn ask(&self, words: &[&str]) -> Result<String, String> {
        run_on(&self.launch, words).ok()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.ask(&["status", "--format", "json"]).unwrap()).unwrap()
    }

    fn fires_of(&self, task: &str) -> usize {
        let rows = read_folder(&self.folder.path().join("out"), "celery");
        rows.iter().filter(|row| row.task == task).count()
    }
}

fn row<'a>(status: &'a Value, entry: &str) -> &'a Value {
    let rows = status["entries"].as_array().unwrap();
    rows.iter().find(|row| row["entry"] == entry).unwrap()
}

/// Sends bytes and returns what comes back.
fn talk(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    // A server that does not read on hangs up.
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn operators_reach_the_holder_of_the_file() {
    let stage = Stage::new();
    let mut beat = stage.start();
    let found = std::fs::metadata(stage.socket()).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);

    stage.ask(&["trigger", "rare"]).unwrap();
    assert_eq!(stage.fires_of("tasks.rare"), 1);
    stage.ask(&["pause", "fast", "--reason", "broken"]).unwrap();
    let status = stage.status();
    assert_eq!(row(&status, "fast")["paused"]["reason"], "broken");
    assert_eq!(
        row(&status, "rare")["count"],
        0,
        "a trigger is beside the grid"
    );
    assert!(status["leader"].is_string(), "{status}");
    assert_eq!(status["instances"][0]["pid"], beat.pid());
    let mark = beat.mark();
    beat.wait_for_event_since(mark, "skipped", SOON);
    assert!(beat.events_since(mark, "fired").is_empty());
    stage.ask(&["pause", "--all"]).unwrap();
    let refused = stage.ask(&["resume", "fast"]).unwrap_err();
    assert!(refused.contains("--all"), "{refused}");
    let unknown = stage.ask(&["trigger", "fats"]).unwrap_err();
    assert!(unknown.contains("did you mean fast?"), "{unknown}");

    // The marks are in the file, and a socket that a killed process left is replaced.
    beat.kill9();
    assert!(stage.socket().exists());
    let gone = stage.ask(&["status"]).unwrap_err();
    assert!(gone.contains("no instance runs on this host"), "{gone}");
    let mut beat = stage.launch.clone().start();
    wait_for("an answer", SOON, || stage.ask(&["resume", "--all"]).ok());
    stage.ask(&["resume", "fast"]).unwrap();
    beat.wait_for_event("fired", SOON);
    beat.terminate(SOON);
    assert!(!stage.socket().exists(), "removed at the end");
}

#[test]
fn whatever_is_sent_to_the_socket_is_answered_or_dropped() {
    let stage = Stage::new();
    let mut beat = stage.start();
    let long = vec![b'x'; 20_000];
    for (sent, said) in [
        (&b"nonsense\n"[..], "one JSON object"),
        (b"[1]\n", "one JSON object"),
        (b"{\"op\":\"status\"}\n", "leader"),
        (
            b"{\"version\":\"9\",\"op\":\"pause\",\"entry\":\"fast\"}\n",
            "form 9",
        ),
        (
            b"{\"version\":\"1\",\"op\":\"reboot\",\"entry\":\"fast\"}\n",
            "does not know",
        ),
        (
            b"{\"version\":\"1\",\"op\":\"trigger\",\"entry\":\"x\\u001b[1m\"}\n",
            "no entry",
        ),
        (b"\n", "one JSON object"),
        (&long, ""),
    ] {
        let answer = talk(&stage.socket(), sent);
        assert!(
            answer.contains(said),
            "{answer} to {}",
            String::from_utf8_lossy(sent)
        );
        assert!(!answer.contains('\u{1b}'), "{answer}");
    }
    // Those who connect and say nothing hold up nobody for long.
    let silent: Vec<_> = (0..40)
        .map(|_| UnixStream::connect(stage.socket()).unwrap())
        .collect();
    wait_for("an answer", SOON, || stage.ask(&["trigger", "rare"]).ok());
    drop(silent);
    let mark = beat.mark();
    beat.wait_for_events_since(mark, "fired", 2, SOON);
}

#[test]
fn what_is_no_socket_of_beat_is_left_alone_and_said() {
    let stage = Stage::new();
    std::fs::write(stage.socket(), "mine").unwrap();
    let mut beat = stage.launch.clone().start();
    wait_for("a warning", SOON, || {
        let warnings = beat.events("warning").into_iter();
        let mut errors = warnings.filter_map(|line| line["error"].as_str().map(str::to_owned));
        errors.find(|error| error.contains("no socket"))
    });
    beat.wait_for_event("fired", SOON);
    assert_eq!(std::fs::read(stage.socket()).unwrap(), b"mine");
    beat.terminate(SOON);
    std::fs::remove_file(stage.socket()).unwrap();

    let other = UnixListener::bind(stage.socket()).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let mut asked = [0; 1_024];
        assert!(stream.read(&mut asked).unwrap() > 0);
        stream.write_all(b"220 mail ready\n").unwrap();
    });
    let foreign = stage.ask(&["status"]).unwrap_err();
    server.join().unwrap();
    assert!(foreign.contains("not one of beat's"), "{foreign}");
}
