//! What arrived, with everything that must differ taken out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use beat::message::Compression;
use regex::{Captures, Regex};
use serde_json::{Value, json};

/// All messages and declarations of one publisher.
#[derive(Default)]
pub struct Sent {
    /// By task: destination, envelope and body as text, in one string for each message.
    pub messages: BTreeMap<String, BTreeSet<String>>,
    /// Binding sets and declarations.
    pub declared: BTreeSet<String>,
}

impl Sent {
    /// Takes a message in Kombu's JSON envelope.
    pub fn envelope(&mut self, place: &str, raw: &[u8]) {
        let text = std::str::from_utf8(raw).unwrap();
        let value = parsed(text).unwrap();
        let body = value["body"].as_str().unwrap();
        let (encoding, decoded) = match value["properties"]["body_encoding"].as_str() {
            Some("base64") => ("base64", BASE64_STANDARD.decode(body).unwrap()),
            _ => ("plain", body.as_bytes().to_vec()),
        };
        // The body comes first.
        let rest = text.split_once("\"content-encoding\"").unwrap().1;
        self.add(
            &format!("{place} {encoding}"),
            rest,
            &value["headers"],
            &decoded,
        );
    }

    /// Takes a message in whatever form `envelope` shows it.
    pub fn add(&mut self, place: &str, envelope: &str, headers: &Value, body: &[u8]) {
        let plain = decompressed(&headers["compression"], body);
        let field = |name: &str| match &headers[name] {
            Value::String(text) => Some(text.clone()),
            // AMQP's form has the type beside the value.
            Value::Array(pair) => pair[1].as_str().map(str::to_owned),
            _ => None,
        };
        // An event and protocol 1 have them in the body.
        let in_body = std::str::from_utf8(&plain).ok().and_then(parsed);
        let in_body = in_body.unwrap_or_default();
        let inner = |name: &str| in_body[name].as_str().map(str::to_owned);
        let names = [field("task"), inner("task"), inner("name")];
        let mut task = names.into_iter().flatten().next();
        let ids = [field("id"), inner("id"), inner("uuid")];
        let mut id = ids.into_iter().flatten().next();
        let body_text = if plain == body || field("id").is_none() {
            latin(&plain)
        } else {
            // Compressed, and nothing in it changes: byte for byte.
            format!("{}\n{}", latin(&plain), BASE64_STANDARD.encode(body))
        };
        if task.is_none() {
            // Protocol 1 in another encoding than JSON.
            task = TASK.find(&body_text).map(|t| t.as_str().to_owned());
            id = UUID.find(&body_text).map(|t| t.as_str().to_owned());
        }
        let text = format!("{place}\n{envelope}\n{body_text}");
        let text = id.map_or(text.clone(), |id| text.replace(&id, "<id>"));
        let task = task.unwrap_or_else(|| panic!("no task in {text}"));
        let kept = self.messages.entry(task).or_default();
        kept.insert(without_what_differs(&text));
    }

    /// What differs from what Celery sent, one line for each message.
    pub fn differences(&self, theirs: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let tasks: BTreeSet<_> = self.messages.keys().chain(theirs.messages.keys()).collect();
        for task in tasks {
            let [ours, theirs] = [self, theirs].map(|s| {
                let messages = s.messages.get(task).into_iter().flatten();
                messages.cloned().collect::<Vec<_>>().join("\n")
            });
            if ours != theirs {
                found.push(format!("{task}: {}", around(&theirs, &ours)));
            }
        }
        for declared in self.declared.symmetric_difference(&theirs.declared) {
            let ours = self.declared.contains(declared);
            let who = if ours { "beat" } else { "celery" };
            found.push(format!("only {who} declares {declared}"));
        }
        found
    }
}

/// The first place where two texts differ, with what surrounds it.
fn around(theirs: &str, ours: &str) -> String {
    let same = theirs
        .bytes()
        .zip(ours.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let cut = |text: &str| {
        let part = text
            .as_bytes()
            .iter()
            .skip(same.saturating_sub(80))
            .take(240);
        String::from_utf8_lossy(&part.copied().collect::<Vec<_>>()).into_owned()
    };
    format!("\n  celery …{:?}\n  beat   …{:?}", cut(theirs), cut(ours))
}

static TASK: LazyLock<Regex> = LazyLock::new(|| Regex::new("parity\\.[a-z0-9_.]+").unwrap());
static UUID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap());

/// Python's JSON, which has numbers that are none.
fn parsed(text: &str) -> Option<Value> {
    static NOT_FINITE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("([:,] |\\[)(NaN|-?Infinity)").unwrap());
    serde_json::from_str(&NOT_FINITE.replace_all(text, "${1}null")).ok()
}

/// Bytes as characters of the same number: text of any encoding can be searched.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn without_what_differs(text: &str) -> String {
    static OURS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#""periodic_task_name": "[^"]*", "scheduled_time": "[^"]*", "#).unwrap()
    });
    static RANDOM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#""(delivery_tag|reply_to)": ?"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"|"(pid|clock|timestamp)": [0-9.]+"#,
        )
        .unwrap()
    });
    static NODE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"\b(gen|beat)\d+@[^"]+"#).unwrap());
    let text = OURS.replace_all(text, "");
    let text = RANDOM.replace_all(&text, "<$1$3>");
    let text = NODE.replace_all(&text, "<node>");
    roughly(&text)
}

/// Instants near the present and the milliseconds until one far away, both to the nearest hundred seconds: the two
/// publishers are seconds apart.
fn roughly(text: &str) -> String {
    static INSTANT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{6}([+-]\d\d:\d\d)?").unwrap()
    });
    static UNTIL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""expiration": ?"(\d+)""#).unwrap());
    let now = crate::support::wait::wall_micros() / 1_000_000;
    let text = INSTANT.replace_all(text, |found: &Captures<'_>| {
        let zone = found.get(2).map_or("", |z| z.as_str());
        let aware = format!(
            "{}{}",
            &found[1],
            if zone.is_empty() { "+00:00" } else { zone }
        );
        let at = chrono::DateTime::parse_from_rfc3339(&aware).unwrap();
        let away = at.timestamp() - now;
        if away.abs() > 86_400 * 2 {
            return found[0].to_owned();
        }
        format!("<now {}{zone}>", (away + 50).div_euclid(100))
    });
    let text = UNTIL.replace_all(&text, |found: &Captures<'_>| {
        match found[1].parse::<i64>() {
            Ok(millis @ 1_000_000_000..) => format!("<in {}>", millis / 100_000_000),
            _ => found[0].to_owned(),
        }
    });
    text.into_owned()
}

fn decompressed(compression: &Value, body: &[u8]) -> Vec<u8> {
    let name = compression.as_str().or_else(|| compression[1].as_str());
    let mut plain = Vec::new();
    let read = match name.map(|name| Compression::from_name(name).unwrap()) {
        None => return body.to_vec(),
        Some(Compression::Zlib) => flate2::read::ZlibDecoder::new(body).read_to_end(&mut plain),
        Some(Compression::Bzip2) => bzip2::read::BzDecoder::new(body).read_to_end(&mut plain),
        Some(Compression::Lzma) => liblzma::read::XzDecoder::new(body).read_to_end(&mut plain),
        Some(Compression::Brotli) => brotlic::DecompressorReader::new(body).read_to_end(&mut plain),
        Some(Compression::Zstd) => zstd::stream::read::Decoder::new(body)
            .unwrap()
            .read_to_end(&mut plain),
    };
    read.unwrap();
    plain
}

/// A publish as text, without our headers, and its headers.
pub fn amqp_envelope(mut published: Value) -> (String, Value) {
    let mut headers = json!({});
    if let Some(table) = published["properties"].get_mut("headers") {
        headers = table.clone();
        for ours in ["periodic_task_name", "scheduled_time"] {
            table.as_object_mut().unwrap().shift_remove(ours);
        }
    }
    (published.to_string(), headers)
}
