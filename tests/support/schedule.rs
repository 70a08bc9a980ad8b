//! Schedule files in folders of their own, and commands on them. Included by path where nothing
//! else of `support` is needed.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "test code, not all of it used by each test"
)]

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

pub const BROKER: &str = "broker_url = \"redis://localhost:6379/0\"\n";
pub const MARKER: &str = "s3cr3t-marker";

pub struct Answer {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn beat(args: &[&str], env: &[(&str, &str)]) -> Answer {
    let output = Command::new(env!("CARGO_BIN_EXE_beat"))
        .env_clear()
        .envs(env.iter().copied())
        .args(args)
        .output()
        .unwrap();
    Answer {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with one schedule file in it.
pub struct Schedule(pub TempDir);

impl Schedule {
    pub fn of(text: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("schedule.toml"), text).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> String {
        self.0.path().join("schedule.toml").display().to_string()
    }

    pub fn check(&self, env: &[(&str, &str)]) -> (Answer, Value) {
        let answer = beat(
            &["check", "--format", "json", "--schedule", &self.path()],
            env,
        );
        let report = serde_json::from_str(&answer.stdout).unwrap();
        (answer, report)
    }
}

pub fn entry(body: &str) -> String {
    format!("{BROKER}[beat_schedule.job]\ntask = \"proj.add\"\nschedule = \"1h\"\n{body}\n")
}

pub fn lints(report: &Value) -> Vec<&str> {
    let warnings = report["warnings"].as_array().unwrap();
    warnings
        .iter()
        .map(|w| w["lint"].as_str().unwrap_or("-"))
        .collect()
}

pub fn messages(report: &Value) -> Vec<&str> {
    let errors = report["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|e| e["message"].as_str().unwrap())
        .collect()
}
