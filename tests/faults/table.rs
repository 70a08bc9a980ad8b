//! The table as it is printed and as it stands in the documentation.

use crate::judge::Verdict;

const COLUMNS: [&str; 11] = [
    "id",
    "name",
    "ticks",
    "outage s",
    "missed",
    "missed (all)",
    "missed (6 s)",
    "repeats",
    "T (s)",
    "log lines, most/s",
    "verdict",
];

/// The first line.
pub fn head() -> String {
    format!(
        "| {} |\n|{}",
        COLUMNS.join(" | "),
        "---|".repeat(COLUMNS.len())
    )
}

/// One row: measured ≤ bar.
pub fn line(verdict: &Verdict) -> String {
    let Verdict { id, name, .. } = verdict;
    if !verdict.measured {
        return format!(
            "| {id} | {name} | {} not run: {} |",
            "| ".repeat(COLUMNS.len() - 3),
            verdict.fault
        );
    }
    let of = |(measured, bar): (u64, u64)| format!("{measured} ≤ {bar}");
    let (same, other) = verdict.dup;
    let repeats = if same + other == 0 {
        "0".to_owned()
    } else {
        format!("{same} same id, {other} other")
    };
    let recovery = verdict
        .recovery
        .0
        .map_or_else(|| "never".to_owned(), |took| format!("{took:.2}"));
    let judged = if verdict.broken.is_empty() {
        "holds".to_owned()
    } else {
        format!(
            "**broken**: {}",
            verdict.broken.join("; ").replace('|', "/")
        )
    };
    format!(
        "| {id} | {name} | {} | {:.1} | {} | {} | {} | {repeats} ≤ {} | {recovery} ≤ {} | {}, {} | {judged} |",
        verdict.ticks,
        verdict.outage,
        of(verdict.missed),
        of(verdict.missed_all),
        of(verdict.missed_slow),
        verdict.dup_bar,
        verdict.recovery.1,
        verdict.lines.0,
        verdict.lines.1,
    )
}

/// The whole document.
pub fn document(verdicts: &[Verdict]) -> String {
    let broken = verdicts.iter().filter(|v| !v.broken.is_empty()).count();
    let measured = verdicts.iter().filter(|v| v.measured).count();
    let lines: Vec<String> = verdicts.iter().map(line).collect();
    let faults: Vec<String> = verdicts
        .iter()
        .filter(|v| v.measured)
        .map(|v| format!("- **{}** {}: {}", v.id, v.name, v.fault))
        .collect();
    format!(
        "{}\n{measured} rows measured, {broken} with a broken bar, {} not run.\n\n{}\n{}\n\n## What each row does\n\n{}\n",
        include_str!("preface.md"),
        verdicts.len() - measured,
        head(),
        lines.join("\n"),
        faults.join("\n"),
    )
}
