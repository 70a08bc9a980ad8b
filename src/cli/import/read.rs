//! What the export script printed.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// Longest export, in bytes.
pub const MAX_BYTES: u64 = 256 << 20;
/// Most entries, as in a schedule.
const MAX_ENTRIES: usize = 200_000;
/// The form that this program reads; the script writes it as `beat_export`.
const VERSION: u64 = 1;

/// The whole of it.
#[derive(Debug, Deserialize)]
pub struct Export {
    /// When it was made.
    pub exported_at: At,
    /// Celery's version.
    pub celery: String,
    /// The application as it was named.
    pub app: String,
    /// `celery`, `redbeat` or `django`.
    pub scheduler: String,
    /// What it publishes to.
    pub broker: BrokerKind,
    /// Celery's settings by name, as far as they concern publishing.
    pub settings: Map<String, Value>,
    /// `task_queues` by name.
    #[serde(default)]
    pub task_queues: Map<String, Value>,
    /// `task_routes` as tables; `None` when some of it is Python code.
    pub task_routes: Option<Vec<Map<String, Value>>>,
    /// The entries.
    pub entries: Vec<Exported>,
    /// `celery.backend_cleanup`, where Celery's beat adds it by itself.
    pub cleanup: Option<Cleanup>,
    /// What the script had to say.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The kind of a broker, without its address.
#[derive(Debug, Deserialize)]
pub struct BrokerKind {
    /// Scheme of the URL, what follows a `+` apart.
    pub scheme: String,
}

/// What Celery's beat would add.
#[derive(Debug, Deserialize)]
pub struct Cleanup {
    /// The task.
    pub task: String,
    /// Its crontab.
    pub schedule: String,
    /// Its `expires`, seconds.
    pub expires: u32,
}

/// An instant, RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
pub struct At(pub Timestamp);

impl TryFrom<String> for At {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        chrono::DateTime::parse_from_rfc3339(&text)
            .map(|at| Self(Timestamp::from_datetime(at.to_utc())))
            .map_err(|_| format!("{text:?} is no instant"))
    }
}

/// One entry.
#[derive(Debug, Deserialize)]
pub struct Exported {
    /// Its name.
    pub name: String,
    /// Where it was found: `beat_schedule`, `redbeat`, `django-celery-beat`.
    pub source: String,
    /// The task.
    pub task: String,
    /// Why it cannot be carried over.
    #[serde(default)]
    pub refused: Vec<String>,
    /// What is not quite the same afterwards.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What is worth a look although it stays the same.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// When it is due; absent when that was refused.
    pub schedule: Option<When>,
    /// Positional arguments as Celery's JSON has them.
    pub args: Option<Vec<Value>>,
    /// Keyword arguments likewise.
    pub kwargs: Option<Map<String, Value>>,
    /// What reaches `send_task`, with the attributes of the task and its route.
    pub options: Option<Map<String, Value>>,
    /// What Celery itself makes of the arguments.
    pub proof: Option<Proof>,
    /// Text for people.
    pub description: Option<String>,
    /// Whether it is due at all.
    pub enabled: Option<bool>,
    /// Whether it runs once.
    pub one_off: Option<bool>,
    /// django-celery-beat's `start_time`.
    pub start_at: Option<At>,
    /// django-celery-beat's `expires`, after which the row is disabled.
    pub end_at: Option<At>,
    /// Its last run, if there was one.
    pub last_run_at: Option<At>,
    /// What its next run counts from.
    pub counts_from: Option<At>,
    /// How often it ran.
    #[serde(default)]
    pub total_run_count: u64,
    /// Celery's own next fires.
    pub fires: Option<Fires>,
}

/// When an entry is due, by the names of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawWhen")]
pub enum When {
    Interval {
        micros: i64,
        relative: bool,
        timezone: Option<String>,
    },
    Crontab {
        fields: Map<String, Value>,
        sets: Map<String, Value>,
        timezone: Option<String>,
    },
    Solar {
        event: String,
        lat: f64,
        lon: f64,
    },
    Clocked {
        at: At,
    },
    Rrule {
        rrule: String,
        dtstart: String,
        timezone: String,
    },
}

/// The same as one table: serde's own tagged enums cannot read numbers of any size.
#[derive(Deserialize)]
struct RawWhen {
    #[serde(rename = "type")]
    kind: String,
    micros: Option<i64>,
    relative: Option<bool>,
    timezone: Option<String>,
    fields: Option<Map<String, Value>>,
    sets: Option<Map<String, Value>>,
    event: Option<String>,
    lat: Option<f64>,
    lon: Option<f64>,
    at: Option<At>,
    rrule: Option<String>,
    dtstart: Option<String>,
}

impl TryFrom<RawWhen> for When {
    type Error = String;

    fn try_from(raw: RawWhen) -> Result<Self, String> {
        let kind = raw.kind.clone();
        let read = move || {
            Some(match raw.kind.as_str() {
                "interval" => Self::Interval {
                    micros: raw.micros?,
                    relative: raw.relative.unwrap_or(false),
                    timezone: raw.timezone,
                },
                "crontab" => Self::Crontab {
                    fields: raw.fields?,
                    sets: raw.sets?,
                    timezone: raw.timezone,
                },
                "solar" => Self::Solar {
                    event: raw.event?,
                    lat: raw.lat?,
                    lon: raw.lon?,
                },
                "clocked" => Self::Clocked { at: raw.at? },
                "rrule" => Self::Rrule {
                    rrule: raw.rrule?,
                    dtstart: raw.dtstart?,
                    timezone: raw.timezone?,
                },
                _ => return None,
            })
        };
        read().ok_or_else(|| format!("a schedule of type {kind:?} lacks something or is unknown"))
    }
}

/// What Celery makes of the arguments.
#[derive(Debug, Deserialize)]
pub struct Proof {
    /// The header of that name.
    pub argsrepr: String,
    /// The header of that name.
    pub kwargsrepr: String,
    /// The positional arguments in the body.
    pub args_json: Option<String>,
    /// The keyword arguments in the body.
    pub kwargs_json: Option<String>,
}

/// Celery's own next fires.
#[derive(Debug, Deserialize)]
pub struct Fires {
    /// They are later than this.
    pub after: At,
    /// The last run they count from.
    pub base: At,
    /// The fires.
    pub times: Vec<At>,
    /// Whether the first one is late.
    pub overdue: bool,
    /// Why there are no more.
    pub error: Option<String>,
}

impl Export {
    /// Reads the script's JSON.
    ///
    /// # Errors
    /// Why it is none, in words for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            beat_export: Option<u64>,
        }
        let head: Head = serde_json::from_str(text)
            .map_err(|error| format!("is no export of a schedule: {error}\n{HELP}"))?;
        match head.beat_export {
            Some(VERSION) => {}
            Some(other) => {
                return Err(format!(
                    "is an export of version {other}, and this program reads version {VERSION}\n{HELP}"
                ));
            }
            None => {
                return Err(format!(
                    "is no export of a schedule: it has no \"beat_export\"\n{HELP}"
                ));
            }
        }
        let mut export: Self = serde_json::from_str(text)
            .map_err(|error| format!("cannot be read: {error}\n{HELP}"))?;
        if export.entries.len() > MAX_ENTRIES {
            return Err(format!(
                "has {} entries, at most {MAX_ENTRIES} are possible",
                export.entries.len()
            ));
        }
        let mut seen = HashSet::new();
        for entry in &mut export.entries {
            if !seen.insert(entry.name.clone()) {
                entry
                    .refused
                    .push("another entry has the same name".to_owned());
            }
        }
        Ok(export)
    }
}

const HELP: &str = "  = help: make it with `beat import --print-script | python - proj.celery:app`, the script of this very version";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_export_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "is no export"),
            ("[]", "is no export"),
            ("{}", "has no \"beat_export\""),
            (r#"{"beat_export": 2}"#, "version 2"),
            (r#"{"beat_export": 1}"#, "missing field"),
            (r#"{"beat_export": "1"}"#, "is no export"),
            (
                &format!(
                    "{{\"beat_export\": 1, \"settings\": {{\"a\": {}0{}}}}}",
                    "[".repeat(100_000),
                    "]".repeat(100_000)
                ),
                "recursion limit",
            ),
        ] {
            let error = Export::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text:.20}: {error}");
        }
    }
}
