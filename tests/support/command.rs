//! Commands of `beat` that end by themselves: `preview`, `check`, ….

use std::process::Command;

use super::beat::Launch;
use super::tzdir;

/// What a command that ends by itself answered.
#[derive(Debug)]
pub struct Answer {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Messages.
    pub stderr: String,
}

impl Answer {
    /// Data when it succeeded, else its messages.
    pub fn ok(self) -> Result<String, String> {
        if self.code == Some(0) {
            Ok(self.stdout)
        } else {
            Err(self.stderr)
        }
    }
}

/// Runs a command on the schedule of an instance: `status`, `trigger`, ….
pub fn run_on(launch: &Launch, words: &[&str]) -> Answer {
    let path = launch.path().display().to_string();
    run(&[words, &["--schedule", &path]].concat())
}

/// Runs `beat` with these arguments to its end: `preview`, `check`, ….
pub fn run(args: &[&str]) -> Answer {
    run_with(args, &[])
}

/// The same with environment variables.
pub fn run_with(args: &[&str], env: &[(&str, &str)]) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_beat"));
    command.env_clear().env("TZDIR", tzdir()).args(args);
    let output = command
        .envs(env.iter().copied())
        .output()
        .expect("beat can be started");
    Answer {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
