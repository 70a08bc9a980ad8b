//! Durations as the schedule file writes them: `"1h30m"`.

use super::invalid::{Invalid, shown};

/// Largest first; `ms` before `m` and `s` so that the longer unit is recognised.
const UNITS: &[(&str, i64)] = &[
    ("w", 604_800_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
];

/// Microseconds of a string of number and unit (`ms`, `s`, `m`, `h`, `d`, `w`), each unit once,
/// largest first. Numbers may have a fraction (`"1.5h"`) as long as the result is whole microseconds.
///
/// # Errors
/// A bare number (a string needs its unit; a number of seconds is written without quotes), any
/// other text, and what does not fit 64 bits.
pub fn parse_duration(text: &str) -> Result<i64, Invalid> {
    let wrong = |why: &str| {
        Invalid::new(format!("`{}` is not a duration: {why}", shown(text)))
            .help("write \"30s\", \"1h30m\" or \"250ms\" (units w, d, h, m, s, ms; largest first), or a number of seconds without quotes")
    };
    let mut rest = text;
    let mut units = UNITS;
    let mut total: i64 = 0;
    if rest.is_empty() {
        return Err(wrong("it is empty"));
    }
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let end = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        if unit.is_empty() && end == tail.len() && total == 0 && !number.is_empty() {
            return Err(wrong("a unit is missing"));
        }
        let Some(position) = units.iter().position(|(name, _)| *name == unit) else {
            let known = UNITS.iter().any(|(name, _)| *name == unit);
            return Err(wrong(if known {
                "each unit once, largest first"
            } else {
                "number and unit are expected"
            }));
        };
        let micros = units.get(position).map_or(0, |(_, micros)| *micros);
        units = units.get(position + 1..).unwrap_or_default();
        let part = scaled(number, micros)
            .ok_or_else(|| wrong("number and unit are expected, whole microseconds in all"))?;
        total = total
            .checked_add(part)
            .ok_or_else(|| wrong("it is too long"))?;
        rest = tail;
    }
    Ok(total)
}

/// `number` × `unit`, exact; `None` for anything else than digits with one optional point between digits.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let fraction = fraction.trim_end_matches('0');
    let digits = u32::try_from(fraction.len()).ok()?;
    if digits > 15 {
        return None;
    }
    let scaled = fraction.parse::<i128>().unwrap_or(0) * i128::from(unit);
    let divisor = 10_i128.checked_pow(digits)?;
    if scaled % divisor != 0 {
        return None;
    }
    whole.checked_add(i64::try_from(scaled / divisor).ok()?)
}
