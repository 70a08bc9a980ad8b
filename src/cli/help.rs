//! The texts that teach: examples of each command, exit codes, the environment.
//!
//! `--help` and the man page are made of the same ones.

use clap::{Command, CommandFactory};

use super::Cli;

/// A command's name as it is typed after `beat`, and lines that show its use: what to type, two
/// spaces or more, what it does.
type Examples = (&'static str, &'static [&'static str]);

/// Of `beat` itself.
pub(super) const EXAMPLES: &[&str] = &[
    "beat --schedule schedules/prod.toml              run in the foreground",
    "beat --schedule schedules/prod.toml --dry-run    show the next fire times and exit",
    "beat check --schedule schedules/                 validate a folder of *.toml",
    "beat diff old.toml new.toml                      what a change does to fire times",
    "beat status --schedule schedules/prod.toml       who leads, and where each entry stands",
    "beat check --help                                examples of one command",
];

const OF_COMMANDS: &[Examples] = &[
    (
        "run",
        &[
            "beat run --schedule prod.toml                    the same as `beat --schedule prod.toml`",
            "beat run --schedule schedules/ --log-format text",
            "beat run --schedule prod.toml --shadow           beside Celery's beat, publishing nothing",
        ],
    ),
    (
        "check",
        &[
            "beat check --schedule prod.toml                  errors are drawn on their line",
            "beat check --schedule schedules/ --strict        in CI: warnings fail as well",
            "beat check --schedule prod.toml --format json    for programs",
        ],
    ),
    (
        "preview",
        &[
            "beat preview --schedule prod.toml                the next five of each entry",
            "beat preview --schedule prod.toml --until 24h --timeline",
            "beat preview --schedule prod.toml --entry 'report-*' --count 3",
            "beat preview --schedule prod.toml --from 2027-03-28T00:00 --until 24h    what DST does",
            "beat preview --schedule prod.toml --timezone Asia/Seoul --format csv",
        ],
    ),
    (
        "diff",
        &[
            "beat diff old.toml new.toml",
            "beat diff --format json schedules/ new-schedules/",
        ],
    ),
    (
        "status",
        &[
            "beat status --schedule prod.toml",
            "beat status --schedule prod.toml --format json   as the HTTP listener's /status.json",
        ],
    ),
    (
        "trigger",
        &["beat trigger --schedule prod.toml monday-report"],
    ),
    (
        "pause",
        &[
            "beat pause --schedule prod.toml monday-report    its fire times are skipped",
            "beat pause --schedule prod.toml --all --reason \"database upgrade\"",
        ],
    ),
    (
        "resume",
        &[
            "beat resume --schedule prod.toml monday-report   nothing is made up for",
            "beat resume --schedule prod.toml --all",
        ],
    ),
    (
        "health",
        &[
            "beat health --schedule prod.toml                 does the loop that fires make progress?",
            "beat health --schedule prod.toml --ready         could it lead?",
        ],
    ),
    (
        "import",
        &[
            "beat import --print-script | python - proj.celery:app > celery.json",
            "beat import --print-script | python - --help     what the script takes: --scheduler, if beat has -S",
            "beat import celery.json > prod.toml              the report is on stderr",
            "beat import celery.json --verify > prod.toml     Celery's next 50 fires and beat's, compared",
            "beat import celery.json --last-runs --schedule prod.toml    at the cut-over",
        ],
    ),
    (
        "shadow",
        &[
            "beat shadow compare celery-beat.log --schedule prod.toml    what is due, beside what was sent",
            "beat shadow compare celery-beat.log --schedule prod.toml --shadow-log shadow.log",
            "beat shadow recorder > recorder.py               records task-sent events, for want of a log",
        ],
    ),
    (
        "completions",
        &[
            "beat completions bash > /etc/bash_completion.d/beat",
            "beat completions zsh > ~/.zfunc/_beat",
            "beat completions fish > ~/.config/fish/completions/beat.fish",
        ],
    ),
    (
        "man",
        &[
            "beat man > /usr/local/share/man/man1/beat.1",
            "beat man | man -l -",
        ],
    ),
];

pub(super) const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "failed at run time"),
    ("2", "wrong usage, or an invalid schedule"),
];

pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    ("BEAT_SCHEDULE", "as --schedule; paths separated by `:`"),
    (
        "BEAT_BROKER_URL",
        "broker_url; CELERY_BROKER_URL if that is not set",
    ),
    ("BEAT_STATE_URL", "state_url"),
    ("BEAT_HTTP_LISTEN", "http_listen"),
    ("BEAT_NAME", "name"),
    ("BEAT_ENABLED", "enabled"),
    ("BEAT_LOG", "log filter, such as `debug`"),
    ("BEAT_LOG_FORMAT", "as --log-format"),
    ("NO_COLOR", "no colours"),
];

/// Examples of the command of this name.
pub(super) fn examples_of(name: &str) -> &'static [&'static str] {
    let found = OF_COMMANDS.iter().find(|(of, _)| *of == name);
    found.map_or(&[], |(_, examples)| examples)
}

/// clap's definition of the command line, with these texts.
pub(super) fn command() -> Command {
    let command = Cli::command().after_help(format!(
        "{}\n\nExit codes:\n{}\n\nEnvironment (a flag wins, then these, then the file):\n{}",
        shown(EXAMPLES),
        columns(EXIT_CODES),
        columns(ENVIRONMENT)
    ));
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        let examples = examples_of(&name);
        if examples.is_empty() {
            return command;
        }
        command.mut_subcommand(name, |sub| {
            let note = sub.get_after_help().map(|note| format!("{note}\n\n"));
            let note = note.unwrap_or_default();
            sub.after_help(format!("{note}{}", shown(examples)))
        })
    })
}

fn shown(examples: &[&str]) -> String {
    format!("Examples:\n  {}", examples.join("\n  "))
}

fn columns(rows: &[(&str, &str)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(name, what)| format!("  {name:width$}  {what}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of an example without what follows two spaces, a pipe or a redirection.
    fn words(example: &str) -> Vec<&str> {
        let typed = example.split("  ").next().unwrap();
        let typed = typed.split(['>', '|']).next().unwrap();
        // Quotes enclose one word each, with a blank in it at most.
        let mut words = Vec::new();
        for (at, part) in typed.split(['"', '\'']).enumerate() {
            if at % 2 == 1 {
                words.push(part);
            } else {
                words.extend(part.split_whitespace());
            }
        }
        words
    }

    #[test]
    fn every_command_has_examples_and_every_example_is_understood() {
        let command = command();
        for sub in command.get_subcommands() {
            let name = sub.get_name();
            assert!(!examples_of(name).is_empty(), "{name}");
            for example in examples_of(name) {
                let parsed = command.clone().try_get_matches_from(words(example));
                let matched = parsed.unwrap_or_else(|error| panic!("{example}: {error}"));
                assert_eq!(matched.subcommand_name(), Some(name), "{example}");
            }
        }
        for example in EXAMPLES {
            let parsed = command.clone().try_get_matches_from(words(example));
            let help = |error: &clap::Error| error.exit_code() == 0;
            assert!(parsed.as_ref().err().is_none_or(help), "{example}");
        }
    }

    #[test]
    fn help_fits_a_terminal() {
        let mut command = command();
        command.build();
        for name in std::iter::once(None).chain(OF_COMMANDS.iter().map(|(name, _)| Some(*name))) {
            let help = match name.map(|name| command.find_subcommand_mut(name)) {
                None => command.render_help(),
                Some(Some(sub)) => sub.render_help(),
                Some(None) => continue,
            };
            let help = help.to_string();
            let longest = help.lines().max_by_key(|line| line.chars().count());
            let line = longest.unwrap_or_default();
            assert!(line.chars().count() <= 100, "{name:?}: {line}");
        }
    }
}
