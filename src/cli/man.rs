//! The man page: one for all commands, written by `clap_mangen` as far as it goes.
//!
//! It makes a page for each command; theirs are turned into parts of one here, since `beat(1)` is
//! where people look.

use std::fmt::Write as _;
use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;

use super::help;

/// Writes the page of `command`.
pub(super) fn write(command: &Command, out: &mut dyn Write) -> io::Result<()> {
    let mut command = command.clone();
    command.build();
    let page = Man::new(command.clone()).title("BEAT");
    page.render_title(out)?;
    page.render_name_section(out)?;
    writeln!(
        out,
        ".SH SYNOPSIS\n\\fBbeat\\fR [\\fB\\-\\-schedule\\fR \\fIPATH\\fR]... [\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]"
    )?;
    page.render_description_section(out)?;
    writeln!(out, ".SH COMMANDS")?;
    for sub in command.get_subcommands() {
        write_command(sub, "beat", out)?;
    }
    page.render_options_section(out)?;
    let mut rest = String::new();
    section(&mut rest, "EXAMPLES", help::EXAMPLES);
    list(&mut rest, "EXIT STATUS", help::EXIT_CODES);
    list(&mut rest, "ENVIRONMENT", help::ENVIRONMENT);
    list(&mut rest, "SIGNALS", SIGNALS);
    out.write_all(rest.as_bytes())?;
    page.render_version_section(out)
}

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "finish what is in flight, give the lease up, end; a second one ends at once",
    ),
    (
        "SIGHUP",
        "load the schedule again; one that is not valid changes nothing",
    ),
];

fn write_command(command: &Command, above: &str, out: &mut dyn Write) -> io::Result<()> {
    let name = command.get_name();
    // clap's own.
    if name == "help" {
        return Ok(());
    }
    let mut subs = command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
        .peekable();
    let full = format!("{above} {name}");
    if subs.peek().is_some() {
        return subs.try_for_each(|sub| write_command(sub, &full, out));
    }
    writeln!(out, ".SS \"{full}\"")?;
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    writeln!(out, ".nf\n{}\n.fi\n.PP", escaped(usage))?;
    let about = command.get_about().map(ToString::to_string);
    writeln!(out, "{}.", escaped(&about.unwrap_or_default()))?;
    let mut options = Vec::new();
    let own = command.clone().mut_args(|arg| {
        let shared = arg.is_global_set() || ["help", "version"].contains(&arg.get_id().as_str());
        arg.hide(shared)
    });
    Man::new(own).render_options_section(&mut options)?;
    // Its headings are those of a page; here they are parts of a part.
    let options = String::from_utf8_lossy(&options);
    let options = options.lines().filter(|line| !line.starts_with(".SH"));
    for line in options {
        writeln!(out, "{line}")?;
    }
    let mut examples = String::new();
    if above == "beat" {
        unfilled(&mut examples, help::examples_of(name));
    }
    write!(out, "{examples}")
}

fn section(page: &mut String, title: &str, lines: &[&str]) {
    let _ = writeln!(page, ".SH {title}");
    unfilled(page, lines);
}

/// Lines that stay as they are.
fn unfilled(page: &mut String, lines: &[&str]) {
    if lines.is_empty() {
        return;
    }
    let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    let _ = writeln!(page, ".PP\n.nf\n{}\n.fi", lines.join("\n"));
}

fn list(page: &mut String, title: &str, rows: &[(&str, &str)]) {
    let _ = writeln!(page, ".SH \"{title}\"");
    for (name, what) in rows {
        let _ = writeln!(page, ".TP\n\\fB{}\\fR\n{}", escaped(name), escaped(what));
    }
}

/// As text of a page: no commands, and dashes that can be copied.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = text.lines().map(|line| {
        let mark = if line.starts_with(['.', '\'']) {
            "\\&"
        } else {
            ""
        };
        format!("{mark}{line}")
    });
    lines.collect::<Vec<_>>().join("\n")
}
