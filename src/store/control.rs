//! What operators ask of the leader, through the store.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Form of requests; one of a later form is refused, not misread.
pub const VERSION: u32 = 1;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Publish once, now.
    Trigger,
    /// Skip fire times until resumed.
    Pause,
    /// Go on, counting from now.
    Resume,
}

impl Verb {
    /// As in the store and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

/// One request, as an operator's command wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Id in the stream: `<ms>-<n>`, by the store's clock.
    pub id: String,
    /// What is asked for; an error for what this version does not know.
    pub verb: Result<Verb, String>,
    /// The entry, or `*` for all.
    pub entry: String,
    /// Why, for people.
    pub reason: String,
    /// Who asks: user and host.
    pub by: String,
}

impl Request {
    /// The fields of a request, names and values in turn.
    #[must_use]
    pub fn fields(verb: Verb, entry: &str, reason: &str, by: &str) -> [String; 10] {
        let fields = [
            "version",
            &VERSION.to_string(),
            "op",
            verb.as_str(),
            "entry",
            entry,
            "reason",
            reason,
            "by",
            by,
        ];
        fields.map(str::to_owned)
    }

    /// Reads what is in the stream; anything may be.
    #[must_use]
    pub fn read(id: String, fields: &[String]) -> Self {
        let field = |name: &str| {
            let value = fields
                .chunks_exact(2)
                .find(|pair| pair[0] == name)
                .map(|pair| pair[1].as_str());
            value
                .unwrap_or_default()
                .chars()
                .take(1_000)
                .collect::<String>()
        };
        let verb = match (field("version").parse::<u32>(), field("op").as_str()) {
            (Ok(VERSION), "trigger") => Ok(Verb::Trigger),
            (Ok(VERSION), "pause") => Ok(Verb::Pause),
            (Ok(VERSION), "resume") => Ok(Verb::Resume),
            (Ok(VERSION), other) => Err(format!("this leader does not know the request {other:?}")),
            (Ok(other), _) => Err(format!(
                "the request has form {other}, this leader knows form {VERSION}"
            )),
            (Err(_), _) => Err("the request has no version".to_owned()),
        };
        Self {
            id,
            verb,
            entry: field("entry"),
            reason: field("reason"),
            by: field("by"),
        }
    }

    /// When it was made, by the store's clock.
    #[must_use]
    pub fn asked_at(&self) -> Timestamp {
        let millis = self
            .id
            .split('-')
            .next()
            .and_then(|ms| ms.parse::<i64>().ok())
            .unwrap_or(0);
        Timestamp::from_micros(millis.saturating_mul(1_000))
    }
}

/// The answer to a request, as stored for a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it was carried out.
    pub ok: bool,
    /// What was done, or why not.
    pub message: String,
}

impl Answer {
    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Why and by whom something is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Why.
    pub reason: String,
    /// Who paused it.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
}

impl Mark {
    /// Reads a stored mark; any other text is taken for the reason.
    #[must_use]
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self {
            reason: text.to_owned(),
            by: String::new(),
            at: String::new(),
        })
    }
}

/// What the leader decided about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Store this mark.
    Pause(String),
    /// Remove the mark.
    Resume,
    /// Publish.
    Publish,
    /// Nothing but the answer.
    Answer,
}

/// A decided request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Id of the request.
    pub id: String,
    /// What to do.
    pub decision: Decision,
    /// The entry, or `*`.
    pub entry: String,
    /// The answer.
    pub answer: String,
    /// The answer when one entry is to be resumed while all are paused.
    pub answer_if_all_paused: String,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// Carried out.
    Now,
    /// It had been before.
    Before,
    /// Only answered: all are paused.
    AllPaused,
    /// The queue refused the message; nothing was written.
    Refused(String),
}

/// The place of a request among all, by its id `<ms>-<n>`.
#[must_use]
pub fn place(id: &str) -> (u64, u64) {
    let (ms, n) = id.split_once('-').unwrap_or((id, ""));
    (ms.parse().unwrap_or(0), n.parse().unwrap_or(0))
}
