//! What the documents say to type is understood, and the Korean README keeps step with the English one.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

use std::collections::BTreeSet;
use std::path::Path;

use beat::cli::Cli;
use clap::Parser;

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Blocks of code with their language, indentation taken off.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim_start) {
        match (line.strip_prefix("```"), inside) {
            (Some(language), false) => {
                found.push((language.to_owned(), Vec::new()));
                inside = true;
            }
            (Some(_), true) => inside = false,
            (None, true) => found.last_mut().unwrap().1.push(line.to_owned()),
            (None, false) => {}
        }
    }
    assert!(!inside, "a block is not closed");
    found
}

/// A line of shell cut into what each program is given: at pipes, `&&`, redirections and comments.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" # ").next().unwrap();
    let programs = line.split('|').flat_map(|part| part.split("&&"));
    programs
        .map(|program| {
            let program = program.split(['>', '<']).next().unwrap();
            let program = program.trim().trim_end_matches(" 2");
            let mut words = Vec::new();
            for (at, part) in program.split(['"', '\'']).enumerate() {
                if at % 2 == 1 {
                    words.push(part.to_owned());
                } else {
                    words.extend(part.split_whitespace().map(str::to_owned));
                }
            }
            words
        })
        .collect()
}

#[test]
fn commands_in_documents_are_understood() {
    let mut seen = 0;
    for name in ["README.md", "README.ko.md", "docs/MIGRATION.md"] {
        for (_, lines) in blocks(&text(name)).iter().filter(|(of, _)| of == "sh") {
            for words in lines.iter().flat_map(|line| commands(line)) {
                if words.first().is_some_and(|word| word == "beat") {
                    let parsed = Cli::try_parse_from(&words);
                    let help = |error: &clap::Error| error.exit_code() == 0;
                    assert!(
                        parsed.as_ref().err().is_none_or(help),
                        "{name}: {words:?}: {}",
                        parsed.err().unwrap()
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 20, "{seen} commands");
}

/// What a translation shares with its source: level of each heading, code but for comments, the first cell of each
/// row of a table, and where links lead.
fn skeleton(text: &str) -> Vec<String> {
    let mut shape = Vec::new();
    let mut code = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") {
            code = !code;
            shape.push(trimmed.to_owned());
        } else if code {
            let bare = trimmed.split(" # ").next().unwrap().trim_end();
            if !bare.starts_with("# ") {
                shape.push(bare.to_owned());
            }
        } else if trimmed.starts_with('#') {
            let level = trimmed.chars().take_while(|c| *c == '#').count();
            shape.push("#".repeat(level));
        } else if let Some(row) = trimmed.strip_prefix('|') {
            let key = row.split(" | ").next().unwrap();
            // Words around what is typed are translated.
            let typed: Vec<&str> = key.split('`').skip(1).step_by(2).collect();
            shape.push(format!("| {}", typed.join(" ")));
        } else if trimmed.starts_with("- ") {
            shape.push("-".to_owned());
        }
    }
    for link in text.split("](").skip(1) {
        let target = link.split(')').next().unwrap();
        // A heading's anchor is made of its words.
        shape.push(target.split('#').next().unwrap().to_owned());
    }
    shape
}

/// What is set in code within the text: names, which no translation changes.
fn names(text: &str) -> BTreeSet<String> {
    let prose = text.split("```").step_by(2);
    prose
        .flat_map(|part| part.split('`').skip(1).step_by(2))
        .map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Links between the two, which each has to the other.
fn without_each_other(shape: Vec<String>) -> Vec<String> {
    let other = |line: &String| line == "README.md" || line == "README.ko.md";
    shape.into_iter().filter(|line| !other(line)).collect()
}

#[test]
fn the_korean_readme_keeps_step() {
    let english = without_each_other(skeleton(&text("README.md")));
    let korean = without_each_other(skeleton(&text("README.ko.md")));
    for (at, (one, other)) in english.iter().zip(&korean).enumerate() {
        assert_eq!(
            one, other,
            "README.ko.md, part {at}: change both READMEs together"
        );
    }
    assert_eq!(english.len(), korean.len());
    let (english, korean) = (names(&text("README.md")), names(&text("README.ko.md")));
    let apart: Vec<_> = english.symmetric_difference(&korean).collect();
    assert!(apart.is_empty(), "only in one of the READMEs: {apart:?}");
}
