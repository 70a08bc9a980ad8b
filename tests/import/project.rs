//! A project of `tests/python/imported`, exported and imported.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::beat::binary;
use crate::support::command::run;
use crate::support::servers::Redis;
use crate::support::{repository, tzdir, venv};

const SECRET: &str = "s3cr3t-of-the-broker";

/// A project and the Redis that it uses for everything.
pub struct Project {
    pub redis: Redis,
    pub dir: TempDir,
    name: String,
    env: Vec<(String, String)>,
}

/// What came of it.
pub struct Imported {
    pub toml: String,
    pub report: String,
}

/// An instant so many seconds ago, ISO 8601.
pub fn ago(seconds: i64) -> String {
    let at = crate::support::wait::wall_micros() / 1_000_000 - seconds;
    chrono::DateTime::from_timestamp(at, 0)
        .unwrap()
        .to_rfc3339()
}

impl Project {
    pub fn new(name: &str, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let redis = Redis::options().password(SECRET).start();
        let own = env.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        let database = dir.path().join("db.sqlite3").display().to_string();
        let mut env = vec![
            ("BROKER_URL".to_owned(), redis.url()),
            ("DATABASE".to_owned(), database),
            ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
            ("PYTHONTZPATH".to_owned(), tzdir().display().to_string()),
        ];
        env.extend(own);
        Self {
            redis,
            dir,
            name: name.to_owned(),
            env,
        }
    }

    /// Python in the project.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(venv().join("bin/python"));
        command
            .args(args)
            .current_dir(repository("tests/python/imported"))
            .envs(self.env.iter().cloned());
        command
    }

    /// Runs Python in the project; what it printed.
    pub fn python(&self, args: &[&str]) -> String {
        let done = self.command(args).output().unwrap();
        let [out, err] = texts(&done);
        assert!(done.status.success(), "{args:?}:\n{out}{err}");
        out
    }

    /// Publishes every entry once as Celery's beat does.
    pub fn publish(&self) -> String {
        self.python(&["publish.py", &self.name])
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the export script as users do; its JSON is in `export.json`.
    pub fn export(&self, args: &[&str]) -> String {
        let script = run(&["import", "--print-script"]).stdout;
        let mut child = self
            .command(&["-", &self.name])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        drop(stdin);
        let done = child.wait_with_output().unwrap();
        let [json, err] = texts(&done);
        assert!(done.status.success(), "{err}");
        std::fs::write(self.file("export.json"), &json).unwrap();
        json
    }

    /// Exports and imports; the schedule is in `beat.toml`.
    pub fn import(&self) -> Imported {
        let json = self.export(&[]);
        let file = self.file("export.json");
        let file = file.to_str().unwrap();
        // Something is refused in each project.
        assert_eq!(run(&["import", file]).code, Some(1));
        let done = run(&["import", file, "--verify", "--skip-refused"]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        for text in [&json, &done.stdout, &done.stderr] {
            assert!(!text.contains(SECRET), "a secret got out:\n{text}");
        }
        assert!(
            done.stdout.contains("\"${CELERY_BROKER_URL"),
            "{}",
            done.stdout
        );
        let schedule = self.file("beat.toml");
        std::fs::write(&schedule, &done.stdout).unwrap();
        let checked = run(&["check", "--schedule", schedule.to_str().unwrap()]);
        assert_eq!(checked.code, Some(0), "{}", checked.stderr);
        Imported {
            toml: done.stdout,
            report: done.stderr,
        }
    }
}

/// `beat` with these arguments and this broker.
pub fn beat(args: &[&str], broker: &str) -> Output {
    let mut command = Command::new(binary());
    command.env_clear().env("TZDIR", tzdir()).args(args);
    command.env("BEAT_BROKER_URL", broker).output().unwrap()
}

pub fn texts(output: &Output) -> [String; 2] {
    [&output.stdout, &output.stderr].map(|o| String::from_utf8_lossy(o).into_owned())
}
