//! What `beat shadow` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `beat shadow`.
#[derive(Debug, Subcommand)]
pub enum ShadowCommand {
    /// Compare a log of Celery's beat, or its task-sent events, with the schedule or a shadow's log
    Compare(CompareArgs),
    /// Print a Python script that records task-sent events
    Recorder,
}

/// `beat shadow compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all sends match, 1 they differ, 2 there is nothing to compare.\n\nWithout --shadow-log the schedule's fire times are computed; an interval's phase is then taken from its first send in the log."
)]
pub struct CompareArgs {
    /// Log of Celery's beat at level INFO, or recorded events; several are one log, - is stdin
    #[arg(value_name = "LOG", required = true)]
    pub logs: Vec<PathBuf>,

    /// What `beat --shadow` logged, in JSON; repeatable
    #[arg(long, value_name = "FILE")]
    pub shadow_log: Vec<PathBuf>,

    /// Zone of the log's times that name none [default: UTC or a zone of the schedule, by which most sends match]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,

    /// Compare what was sent from here on
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,

    /// Compare what was sent up to here
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// How far a send may be from its fire time
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub tolerance: String,

    /// Form of the output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: CompareFormat,
}

/// Form of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
}
