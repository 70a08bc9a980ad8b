//! What is wrong with a piece of a schedule, in words for its author.

/// A part of a schedule that cannot be accepted.
///
/// The caller knows the entry, file and line; this says what was found and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .field.map(|f| format!("{f}: ")).unwrap_or_default())]
pub struct Invalid {
    /// The field at fault by the name it has in the schedule file (`hour`, `dtstart`), where one is known.
    pub field: Option<&'static str>,
    /// What was found and why it is refused, lower case.
    pub message: String,
    /// What would be accepted.
    pub help: Option<String>,
}

impl Invalid {
    /// Without a field or a help.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            field: None,
            message: message.into(),
            help: None,
        }
    }

    /// The same, at `field`; a field that is known already stays.
    #[must_use]
    pub fn at(mut self, field: &'static str) -> Self {
        self.field.get_or_insert(field);
        self
    }

    /// The same, with what would be accepted.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// `text` as it may be shown in a message: cut to 60 characters, control characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(60)
        .flat_map(|c| {
            let escaped = c.is_control();
            c.escape_default()
                .filter(move |_| escaped)
                .chain((!escaped).then_some(c))
        })
        .collect();
    if text.chars().nth(60).is_some() {
        out.push('…');
    }
    out
}
