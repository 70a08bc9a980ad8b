//! What a user wrote that cannot be published.

/// One refused value, to be shown at its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// Path inside what was checked, dotted, list positions as numbers: `options.link.0.task`.
    pub key: String,
    /// What is wrong: lower case, with the value and the limit.
    pub message: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

impl Invalid {
    /// A complaint about `key`.
    #[must_use]
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
            help: None,
        }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same complaint seen from outside: `prefix` is put before the key.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.key = if self.key.is_empty() {
            prefix.to_owned()
        } else {
            format!("{prefix}.{}", self.key)
        };
        self
    }
}
