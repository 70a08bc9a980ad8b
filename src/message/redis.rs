//! Kombu's layout of a Redis database: where a message is pushed, what is declared.

use regex::Regex;
use std::fmt::Write as _;

use super::{ExchangeKind, Queue, RedisConventions, Route, Value};

/// Kombu's script that keeps the binding of an expiring queue alive.
///
/// | argument | holds |
/// |---|---|
/// | `KEYS[1]` | binding set of the exchange |
/// | `KEYS[2]` | sorted set of deadlines |
/// | `ARGV[1]` | member to add |
/// | `ARGV[2]` | name of the exchange |
/// | `ARGV[3]` | milliseconds the binding shall live |
pub const REFRESH_BINDING: &str = "
redis.call('SADD', KEYS[1], ARGV[1])
local now = redis.call('TIME')
local ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
redis.call('ZADD', KEYS[2], 'GT', ms + tonumber(ARGV[3]), ARGV[2])
";

/// A binding lives at least this long, in milliseconds.
const MIN_BINDING_TTL: i64 = 3_600_000;

/// Where one message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RedisDestination {
    /// `LPUSH key`.
    List {
        /// The queue's key for the message's priority.
        key: String,
    },
    /// Push to every queue that [`bound_queues`] finds among the members of `set`.
    Bound {
        /// Key of the binding set.
        set: String,
        /// Direct or topic.
        topic: bool,
        /// The message's routing key.
        routing_key: String,
    },
    /// `PUBLISH channel`.
    Channel {
        /// Name of the channel.
        channel: String,
    },
}

/// What makes a queue known to publishers that route by exchange.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RedisDeclaration {
    /// `SADD set member`.
    pub set: String,
    /// `SADD permanent member`, in the same transaction; not for a queue that expires.
    pub permanent: String,
    /// The binding.
    pub member: String,
    /// The queue has `x-expires`.
    pub expires: Option<RedisExpiry>,
}

/// How a queue with `x-expires` is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RedisExpiry {
    /// Instead of both `SADD`s: `KEYS[2]` of [`REFRESH_BINDING`].
    pub deadlines: String,
    /// `ARGV[2]`.
    pub exchange: String,
    /// `ARGV[3]`, milliseconds.
    pub binding_ttl: i64,
    /// Each push is followed by `PEXPIRE key queue_ttl` of all these keys, in one transaction.
    pub keys: Vec<String>,
    /// Milliseconds.
    pub queue_ttl: i64,
}

impl RedisConventions {
    /// Where a message of `priority` goes by `route`.
    #[must_use]
    pub fn destination(&self, route: &Route, priority: u8) -> RedisDestination {
        if route.exchange.is_empty() {
            return RedisDestination::List {
                key: self.queue_key(&route.routing_key, priority),
            };
        }
        if route.kind == ExchangeKind::Fanout {
            return RedisDestination::Channel {
                channel: self.channel(&route.exchange, &route.routing_key),
            };
        }
        RedisDestination::Bound {
            set: self.binding_set(&route.exchange),
            topic: route.kind == ExchangeKind::Topic,
            routing_key: route.routing_key.clone(),
        }
    }

    /// Key of `queue` for messages of `priority`: the largest step that is not above it, clamped
    /// to 9; the step 0 is the queue's own name.
    #[must_use]
    pub fn queue_key(&self, queue: &str, priority: u8) -> String {
        let priority = priority.min(9);
        let mut steps = self.priority_steps.iter().rev();
        // Python's steps[-1] when none is: the last.
        match steps
            .find(|step| **step <= priority)
            .or(self.priority_steps.last())
        {
            Some(step) => self.step_key(queue, *step),
            None => format!("{}{queue}", self.global_keyprefix),
        }
    }

    /// Keys of `queue` for all priority steps.
    #[must_use]
    pub fn queue_keys(&self, queue: &str) -> Vec<String> {
        self.priority_steps
            .iter()
            .map(|step| self.step_key(queue, *step))
            .collect()
    }

    fn step_key(&self, queue: &str, step: u8) -> String {
        let prefix = &self.global_keyprefix;
        if step == 0 {
            format!("{prefix}{queue}")
        } else {
            format!("{prefix}{queue}{}{step}", self.sep)
        }
    }

    /// Channel of a fanout exchange.
    #[must_use]
    pub fn channel(&self, exchange: &str, routing_key: &str) -> String {
        let prefix = self.fanout_prefix.replace("{db}", &self.db.to_string());
        let mut channel = format!("{}{prefix}{exchange}", self.global_keyprefix);
        if self.fanout_patterns && !routing_key.is_empty() {
            let _ = write!(channel, "/{routing_key}");
        }
        channel
    }

    fn binding_set(&self, exchange: &str) -> String {
        format!("{}_kombu.binding.{exchange}", self.global_keyprefix)
    }

    /// What declaring `queue` writes; `None` for one on the default exchange.
    #[must_use]
    pub fn declaration(&self, queue: &Queue) -> Option<RedisDeclaration> {
        let exchange = queue.exchange_name();
        if exchange.is_empty() {
            return None;
        }
        let pattern = match queue.kind() {
            ExchangeKind::Topic => topic_pattern(&queue.routing_key),
            _ => String::new(),
        };
        let expires = match queue.argument("x-expires") {
            Some(Value::Int(ttl)) => Some(RedisExpiry {
                deadlines: format!("{}_kombu.binding_deadlines", self.global_keyprefix),
                exchange: exchange.to_owned(),
                binding_ttl: ttl.saturating_mul(2).max(MIN_BINDING_TTL),
                keys: self.queue_keys(&queue.name),
                queue_ttl: *ttl,
            }),
            _ => None,
        };
        Some(RedisDeclaration {
            set: self.binding_set(exchange),
            permanent: format!(
                "{}_kombu.binding_permanent.{exchange}",
                self.global_keyprefix
            ),
            member: [&queue.routing_key, &pattern, &queue.name]
                .map(String::as_str)
                .join(&self.sep),
            expires,
        })
    }

    /// The queues, each once, sorted, that members of a binding set lead to. Of a topic exchange
    /// the dead-letter queue is left out, as in kombu; a direct one that leads nowhere uses it.
    #[must_use]
    pub fn bound_queues<S: AsRef<str>>(
        &self,
        members: &[S],
        topic: bool,
        routing_key: &str,
    ) -> Vec<String> {
        let mut queues: Vec<String> = members
            .iter()
            .filter_map(|member| {
                let mut parts = member.as_ref().split(self.sep.as_str());
                let (key, pattern, queue) = (parts.next()?, parts.next()?, parts.next()?);
                let matches = if topic {
                    pattern.is_empty() || topic_matches(key, routing_key)
                } else {
                    key == routing_key
                };
                (matches && !queue.is_empty()).then(|| queue.to_owned())
            })
            .collect();
        queues.sort_unstable();
        queues.dedup();
        match &self.deadletter_queue {
            Some(dead) if topic => queues.retain(|queue| queue != dead),
            Some(dead) if queues.is_empty() => queues.push(dead.clone()),
            _ => {}
        }
        queues
    }
}

/// Kombu's regular expression for a topic binding key, as it stands in binding sets.
fn topic_pattern(key: &str) -> String {
    let words: Vec<String> = key
        .split('.')
        .map(|word| match word {
            "*" => "[^\\.]+".to_owned(),
            "#" => ".*?".to_owned(),
            word => escape(word),
        })
        .collect();
    format!("^{}$", words.join("\\."))
}

/// Everything but letters, digits and the wildcards gets a backslash.
fn escape(word: &str) -> String {
    let mut escaped = String::with_capacity(word.len());
    for ch in word.chars() {
        match ch {
            '*' | '#' => {}
            '\0' => {
                escaped.push_str("\\000");
                continue;
            }
            _ if ch.is_alphanumeric() => {}
            _ => escaped.push('\\'),
        }
        escaped.push(ch);
    }
    escaped
}

/// Whether a queue bound to a topic exchange with `key` takes `routing_key`, by kombu's rule: `*`
/// is one word, `#` any text, dots around it not included.
#[must_use]
pub fn topic_matches(key: &str, routing_key: &str) -> bool {
    let words: Vec<String> = key
        .split('.')
        .map(|word| match word {
            "*" => "[^.]+".to_owned(),
            "#" => ".*".to_owned(),
            word => regex::escape(word),
        })
        .collect();
    Regex::new(&format!("^{}$", words.join("\\.")))
        .is_ok_and(|pattern| pattern.is_match(routing_key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Exchange;

    #[test]
    fn priorities_choose_the_step_below() {
        let redis = RedisConventions::default();
        for (priority, key) in [
            (0, "q"),
            (2, "q"),
            (3, "q\x06\x163"),
            (8, "q\x06\x166"),
            (9, "q\x06\x169"),
            (255, "q\x06\x169"),
        ] {
            assert_eq!(redis.queue_key("q", priority), key);
        }
        let odd = RedisConventions {
            priority_steps: vec![5],
            sep: ":".to_owned(),
            global_keyprefix: "p:".to_owned(),
            ..RedisConventions::default()
        };
        assert_eq!(odd.queue_key("q", 0), "p:q:5");
    }

    #[test]
    fn topics_match_as_kombu_does() {
        for (key, routing_key, matches) in [
            ("media.#", "media.video.x", true),
            ("media.#", "media.", true),
            ("media.#", "media", false),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.b.c", false),
            ("#", "anything.at all", true),
            ("*", "a.b", false),
            ("a.b", "axb", false),
            ("media.#", "media.#", true),
        ] {
            assert_eq!(
                topic_matches(key, routing_key),
                matches,
                "{key} {routing_key}"
            );
        }
    }

    #[test]
    fn bindings_are_found_among_members() {
        let redis = RedisConventions {
            deadletter_queue: Some("dead".to_owned()),
            ..RedisConventions::default()
        };
        let members = [
            "a.#\x06\x16^a\\..*?$\x06\x16one",
            "a.b\x06\x16^a\\.b$\x06\x16two",
            "x\x06\x16\x06\x16three",
            "a.#\x06\x16^a\\..*?$\x06\x16dead",
            "broken",
        ];
        assert_eq!(
            redis.bound_queues(&members, true, "a.b"),
            ["one", "three", "two"]
        );
        assert_eq!(redis.bound_queues(&members, false, "x"), ["three"]);
        assert_eq!(redis.bound_queues(&members, false, "nobody"), ["dead"]);
    }

    #[test]
    fn members_hold_kombus_pattern() {
        let queue = Queue::new(
            "q",
            Some(Exchange::new("e", ExchangeKind::Topic)),
            "a-b.*.\u{e9}_c.#",
        );
        let declared = RedisConventions::default().declaration(&queue).unwrap();
        assert_eq!(
            declared.member,
            "a-b.*.\u{e9}_c.#\x06\x16^a\\-b\\.[^\\.]+\\.\u{e9}\\_c\\..*?$\x06\x16q"
        );
    }
}
