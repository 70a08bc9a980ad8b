//! What each instance says of itself in the store.

use serde::{Deserialize, Serialize};

/// One instance. Read leniently: another version may have written it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Presence {
    /// Its name in the store, `<host>-<random>`; the key it is stored under.
    #[serde(skip_deserializing)]
    pub instance: String,
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// Version of the program.
    pub version: String,
    /// `leader` or `standby`.
    pub role: String,
    /// Digest of its compiled entries.
    pub digest: String,
    /// When it loaded them, RFC 3339.
    pub loaded_at: String,
    /// How many there are.
    pub entries: usize,
    /// Why the last reload was refused.
    pub reload_error: Option<String>,
    /// `atomic` or `confirmed`, of a leader that has published.
    pub mode: Option<String>,
    /// How far its clock is ahead of the store's, seconds.
    pub clock_skew_s: f64,
    /// What is wrong with it, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Zone data it uses.
    pub tzdata: String,
    /// When it wrote this, RFC 3339, by its own clock.
    pub seen_at: String,
}
