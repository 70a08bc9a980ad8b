//! What users type.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::shadow::ShadowCommand;

const ABOUT: &str = "Publishes Celery's periodic tasks on time, each fire time once";

const LONG_ABOUT: &str = "\
Publishes Celery's periodic tasks on time, each fire time once.

beat replaces `celery beat`: it reads a TOML schedule and publishes to Redis, RabbitMQ or a folder. \
Run as many instances as you like: one leads and fires, the others stand by. Workers do not change.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "beat", version, about = ABOUT, long_about = LONG_ABOUT)]
#[command(
    args_conflicts_with_subcommands = false,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    /// Schedule file, or directory of *.toml; repeatable, all files are one schedule
    #[arg(long, short = 's', value_name = "PATH", global = true)]
    pub schedule: Vec<PathBuf>,

    /// Form of the log; text on a terminal and JSON otherwise when not given
    #[arg(long, value_name = "FORMAT", global = true, env = "BEAT_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Options of `run`, which may be left out.
    #[command(flatten)]
    pub run: RunArgs,

    /// What to do; `run` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run in the foreground (the same as no command)
    Run(RunArgs),
    /// Validate the schedule, offline; every error with its file, line and column
    Check(CheckArgs),
    /// Show the next fire times, offline
    Preview(PreviewArgs),
    /// Show what differs between two schedules, and how fire times move
    Diff(DiffArgs),
    /// Show who leads, which instances run, and where each entry stands, live
    Status {
        /// Form of the output
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        format: StatusFormat,

        /// Of the scheduler that runs with --shadow.
        #[command(flatten)]
        whose: Whose,
    },
    /// Ask the instance that runs here whether it is alive; its `http_listen` must be set
    Health {
        /// Whether it could lead, too
        #[arg(long)]
        ready: bool,
    },
    /// Have the leader publish an entry once, now; its fire times do not move
    Trigger {
        /// The entry
        #[arg(value_name = "NAME")]
        entry: String,

        /// Of the scheduler that runs with --shadow.
        #[command(flatten)]
        whose: Whose,
    },
    /// Skip the fire times of an entry, or of all, until they are resumed
    Pause {
        /// The entry, or --all
        #[command(flatten)]
        what: Target,

        /// Why; `status` shows it
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,

        /// Of the scheduler that runs with --shadow.
        #[command(flatten)]
        whose: Whose,
    },
    /// Go on with a paused entry, or with all, counting from now
    Resume {
        /// The entry, or --all
        #[command(flatten)]
        what: Target,

        /// Of the scheduler that runs with --shadow.
        #[command(flatten)]
        whose: Whose,
    },
    /// Turn a Celery app's schedule into TOML on stdout, with a report on stderr
    Import(ImportArgs),
    /// Compare what Celery's beat sent with what beat sends, before the change
    Shadow {
        /// What to do
        #[command(subcommand)]
        what: ShadowCommand,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page
    Man,
}

/// `beat run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Show the next fire times, publish nothing, connect to nothing, exit
    #[arg(long)]
    pub dry_run: bool,

    /// Lead, plan and log under the name NAME.shadow, publish nothing; only the store is connected to
    #[arg(long, conflicts_with = "dry_run")]
    pub shadow: bool,

    /// What `--dry-run` shows.
    #[command(flatten, next_help_heading = "With --dry-run")]
    pub preview: PreviewArgs,
}

/// `beat check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Errors: exit 2. Warnings only: exit 0, with --strict 1. A lint is silenced by its name in `allow`, of the entry or of the file."
)]
pub struct CheckArgs {
    /// Exit 1 when there are warnings
    #[arg(long)]
    pub strict: bool,

    /// Form of the output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: TextFormat,
}

/// Which of two schedulers with one schedule is meant.
#[derive(Debug, Clone, Copy, Args)]
pub struct Whose {
    /// The scheduler that runs with --shadow, not the real one
    #[arg(id = "of-shadow", long = "shadow")]
    pub shadow: bool,
}

/// One entry or all of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// The entry
    #[arg(value_name = "NAME")]
    pub entry: Option<String>,

    /// All entries
    #[arg(long)]
    pub all: bool,
}

impl Target {
    /// As requests name it: the entry, or `*`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.entry.as_deref().unwrap_or("*")
    }
}

/// Form of `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// `text` or `json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `beat preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// Fire times later than this [default: now]; without an offset in the schedule's timezone
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,

    /// Fire times up to and including this; also a duration after --from, such as 24h
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// Fire times of each entry [default: 5, with --until no limit]
    #[arg(long, value_name = "N")]
    pub count: Option<usize>,

    /// Only entries with such a name; * and ? stand for any text and any character
    #[arg(long, value_name = "GLOB")]
    pub entry: Option<String>,

    /// Show local times of this zone; fire times do not change
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,

    /// Form of the output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: PreviewFormat,

    /// Draw a day, or the asked span: entries as rows, load as bars
    #[arg(long)]
    pub timeline: bool,
}

/// Form of a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PreviewFormat {
    /// For people.
    Table,
    /// One array of objects.
    Json,
    /// With a header line.
    Csv,
}

/// `beat diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The schedule as it is: a file, or a directory of *.toml
    pub old: PathBuf,

    /// The schedule as it will be
    pub new: PathBuf,

    /// Fire times later than this [default: now]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,

    /// Form of the output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: TextFormat,
}

/// `beat import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit 1: something was refused, without --skip-refused; or fires differ for no known reason."
)]
pub struct ImportArgs {
    /// What the script printed; - is stdin
    #[arg(
        value_name = "FILE.json",
        required_unless_present = "print_script",
        conflicts_with = "print_script"
    )]
    pub file: Option<PathBuf>,

    /// Print the script that exports an app's schedule, for Python 3.9 or newer
    #[arg(long)]
    pub print_script: bool,

    /// Exit 0 although something was refused
    #[arg(long)]
    pub skip_refused: bool,

    /// Compare Celery's next fires with those of beat, and explain each difference
    #[arg(long)]
    pub verify: bool,

    /// Add the headers by which sentry-sdk in workers reports runs to Sentry's cron monitors
    #[arg(long, conflicts_with = "last_runs")]
    pub sentry: bool,

    /// Write the last runs into the store of --schedule, where it has none; nobody may lead
    #[arg(long, conflicts_with_all = ["verify", "skip_refused"])]
    pub last_runs: bool,

    /// With --last-runs: into the store of the scheduler that runs with --shadow
    #[arg(id = "of-shadow", long = "shadow", requires = "last_runs")]
    pub shadow: bool,
}
