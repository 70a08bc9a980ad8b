//! The names of all keys: every key of a scheduler begins with its prefix.

/// Keys of one scheduler, `<prefix>{<name>}:…`. The braces are a hash tag.
#[derive(Debug, Clone)]
pub struct Keys {
    root: String,
}

impl Keys {
    /// Keys of the scheduler `name` under `prefix` (`state_key_prefix`).
    #[must_use]
    pub fn new(prefix: &str, name: &str) -> Self {
        Self {
            root: format!("{prefix}{{{name}}}:"),
        }
    }

    fn key(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.root)
    }

    /// String: `<instance>/<term>` of the leader, expires with the lease.
    #[must_use]
    pub fn leader(&self) -> String {
        self.key("leader")
    }

    /// String: number of the last term.
    #[must_use]
    pub fn term(&self) -> String {
        self.key("term")
    }

    /// String: random, `new` until something is recorded; when it is gone, the store lost its data.
    #[must_use]
    pub fn birth(&self) -> String {
        self.key("birth")
    }

    /// Hash: entry → last published fire time.
    #[must_use]
    pub fn last(&self) -> String {
        self.key("last")
    }

    /// Hash: entry → instant from which its fire times count.
    #[must_use]
    pub fn from(&self) -> String {
        self.key("from")
    }

    /// Hash: entry → published fire times.
    #[must_use]
    pub fn count(&self) -> String {
        self.key("count")
    }

    /// Hash: entry → its record.
    #[must_use]
    pub fn entries(&self) -> String {
        self.key("entries")
    }

    /// Hash: entry or `*` → why it is paused.
    #[must_use]
    pub fn paused(&self) -> String {
        self.key("paused")
    }

    /// Hash: entry → fire time and `<instance>/<term>` that reserved it and did not mark it done.
    #[must_use]
    pub fn reserved(&self) -> String {
        self.key("reserved")
    }

    /// Stream: requests of operators.
    #[must_use]
    pub fn control(&self) -> String {
        self.key("control")
    }

    /// String: id of the last request that was carried out.
    #[must_use]
    pub fn control_cursor(&self) -> String {
        self.key("control_cursor")
    }

    /// String: the answer to a request.
    #[must_use]
    pub fn reply(&self, id: &str) -> String {
        self.key(&format!("reply:{id}"))
    }

    /// Hash: instance → what it says of itself.
    #[must_use]
    pub fn instances(&self) -> String {
        self.key("instances")
    }

    /// Channel: resignations.
    #[must_use]
    pub fn wake(&self) -> String {
        self.key("wake")
    }

    /// String: shows that two links reach one server.
    #[must_use]
    pub fn probe(&self, random: &str) -> String {
        self.key(&format!("probe:{random}"))
    }
}
