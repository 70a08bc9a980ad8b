//! Comparing with a capture: by value, by the order of keys, and by shape where Celery's value is
//! random or depends on its clock.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beat::message::Field;
use regex::Regex;
use serde_json::{Value as Json, json};

/// What differs.
pub struct Differ {
    volatile: Vec<Vec<String>>,
    pub found: Vec<String>,
}

/// The headers that `beat` adds, in order, before `celery_beat_task`.
const ADDED: [&str; 2] = ["periodic_task_name", "scheduled_time"];

impl Differ {
    pub fn new(volatile: &Json) -> Self {
        Self {
            volatile: volatile
                .as_array()
                .unwrap()
                .iter()
                .map(|path| {
                    path.as_str()
                        .unwrap()
                        .split('.')
                        .map(str::to_owned)
                        .collect()
                })
                .collect(),
            found: Vec::new(),
        }
    }

    pub fn add(&mut self, line: String) {
        self.found.push(line);
    }

    fn is_volatile(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('.').collect();
        self.volatile.iter().any(|pattern| {
            pattern.len() == path.len()
                && pattern.iter().zip(&path).all(|(p, s)| p == "*" || p == s)
        })
    }

    /// Values and the order of keys.
    pub fn same(&mut self, path: &str, theirs: &Json, ours: &Json) {
        if self.is_volatile(path) {
            if shape(theirs) != shape(ours) {
                self.add(format!("{path}: shape of {ours}, captured {theirs}"));
            }
            return;
        }
        match (theirs, ours) {
            (Json::Object(a), Json::Object(b)) => {
                if !a.keys().eq(b.keys()) {
                    let (a, b): (Vec<_>, Vec<_>) = (a.keys().collect(), b.keys().collect());
                    self.add(format!("{path}: keys {b:?}, captured {a:?}"));
                }
                for (key, value) in a {
                    if let Some(other) = b.get(key) {
                        self.same(&format!("{path}.{key}"), value, other);
                    }
                }
            }
            (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
                for (index, (a, b)) in a.iter().zip(b).enumerate() {
                    self.same(&format!("{path}.{index}"), a, b);
                }
            }
            _ if theirs != ours => self.add(format!("{path}: {ours}, captured {theirs}")),
            _ => {}
        }
    }

    /// An envelope; the headers of a task hold ours as well.
    pub fn same_envelope(&mut self, place: &str, theirs: &Json, ours: &Json, task: bool) {
        let raw: Json = serde_json::from_str(theirs["raw"].as_str().unwrap()).unwrap();
        let mut ours = ours.clone();
        if task && let Some(headers) = ours["headers"].as_object_mut() {
            let keys: Vec<String> = headers.keys().cloned().collect();
            let at = keys
                .iter()
                .position(|key| key == "celery_beat_task")
                .unwrap();
            if keys[at - 2..at] != ADDED {
                self.add(format!("{place}: headers end with {keys:?}"));
            }
            for key in ADDED {
                headers.shift_remove(key);
            }
        }
        let body = |envelope: &mut Json| {
            let base64 = envelope["properties"]["body_encoding"] == "base64";
            let text = envelope["body"].take();
            let text = text.as_str().unwrap();
            if base64 {
                STANDARD.decode(text).unwrap()
            } else {
                text.as_bytes().to_vec()
            }
        };
        let mut raw = raw;
        let (theirs_body, ours_body) = (body(&mut raw), body(&mut ours));
        self.same(place, &raw, &ours);
        let captured =
            json!({"b64": STANDARD.encode(theirs_body), "value": theirs["body"]["value"]});
        self.same_body(&format!("{place}.body"), &captured, &ours_body);
    }

    /// Bodies: byte for byte, unless they hold what is volatile.
    pub fn same_body(&mut self, place: &str, theirs: &Json, ours: &[u8]) {
        let prefix: Vec<&str> = place.split('.').collect();
        let live = self.volatile.iter().any(|pattern| {
            pattern.len() > prefix.len()
                && pattern.iter().zip(&prefix).all(|(p, s)| p == "*" || p == s)
        });
        if live {
            let text = std::str::from_utf8(ours).unwrap();
            let value: Json = serde_json::from_str(text).unwrap();
            self.python_text(text, &value);
            self.same(&format!("{place}.value"), &theirs["value"], &value);
            return;
        }
        let captured = STANDARD.decode(theirs["b64"].as_str().unwrap()).unwrap();
        if captured != ours {
            self.add(format!(
                "{place}: {:?}, captured {:?}",
                String::from_utf8_lossy(ours),
                String::from_utf8_lossy(&captured)
            ));
        }
    }

    /// `text` is laid out as `json.dumps` does.
    fn python_text(&mut self, text: &str, value: &Json) {
        let again = dumps(value);
        if text != again {
            self.add(format!("not json.dumps: {text}"));
        }
    }
}

/// Parses an envelope and holds its layout against `json.dumps`.
pub fn envelope(text: &[u8], differ: &mut Differ) -> Json {
    let text = std::str::from_utf8(text).unwrap();
    let value: Json = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    differ.python_text(text, &value);
    value
}

/// `json.dumps`, written apart from the one that is tested. Numbers stay as they were read.
fn dumps(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(dumps).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{}: {}", dumps(&json!(k)), dumps(v)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Json::String(text) => json!(text)
            .to_string()
            .encode_utf16()
            .map(|unit| match char::from_u32(u32::from(unit)) {
                Some(ch) if ch.is_ascii() => ch.to_string(),
                _ => format!("\\u{unit:04x}"),
            })
            .collect(),
        other => other.to_string(),
    }
}

/// Headers without ours, which must stand before `celery_beat_task`.
pub fn kept(headers: &[(String, Field)], differ: &mut Differ) -> Vec<(String, Field)> {
    let at = headers
        .iter()
        .position(|(key, _)| key == "celery_beat_task");
    if let Some(at) = at
        && !headers[at - 2..at]
            .iter()
            .map(|(key, _)| key.as_str())
            .eq(ADDED)
    {
        differ.add(format!(
            "our headers are not before celery_beat_task: {headers:?}"
        ));
    }
    headers
        .iter()
        .filter(|(key, _)| !ADDED.contains(&key.as_str()))
        .cloned()
        .collect()
}

/// A table as values and as types, the way captures have it.
pub fn table(fields: &[(String, Field)]) -> (Json, Json) {
    let mut values = serde_json::Map::new();
    let mut types = serde_json::Map::new();
    for (key, field) in fields {
        let (value, kind) = shown(field);
        values.insert(key.clone(), value);
        types.insert(key.clone(), kind);
    }
    (Json::Object(values), Json::Object(types))
}

fn shown(field: &Field) -> (Json, Json) {
    match field {
        Field::Void => (Json::Null, json!("V")),
        Field::Bool(flag) => (json!(flag), json!("t")),
        Field::Int(number) => (json!(number), json!("I")),
        Field::Long(number) => (json!(number), json!("L")),
        Field::Double(number) => (json!(number), json!("d")),
        Field::Text(text) => (json!(text), json!("S")),
        Field::Time(at) => (json!(at.timestamp()), json!("T")),
        Field::List(items) => {
            let (values, types): (Vec<Json>, Vec<Json>) = items.iter().map(shown).unzip();
            (json!(values), json!(types))
        }
        Field::Table(pairs) => table(pairs),
    }
}

/// What a volatile value must still be.
fn shape(value: &Json) -> String {
    let Json::String(text) = value else {
        return match value {
            Json::Number(_) => "number",
            Json::Bool(_) => "bool",
            Json::Null => "null",
            Json::Array(_) => "array",
            _ => "object",
        }
        .to_owned();
    };
    let is = |kind: usize| SHAPES[kind].captures(text);
    if is(0).is_some() {
        return "uuid".to_owned();
    }
    if let Some(found) = is(1) {
        return format!(
            "instant {}",
            found.get(2).map_or("naive", |zone| zone.as_str())
        );
    }
    if is(2).is_some() {
        return "node".to_owned();
    }
    if is(3).is_some() {
        return "digits".to_owned();
    }
    if let Some(found) = is(4) {
        return format!("delayed {}", &found[1]);
    }
    "text".to_owned()
}

static SHAPES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?([+-]\d\d:\d\d)?$",
        r"^[^@\s]+@[^@\s]+$",
        r"^\d+$",
        r"^(?:[01]\.){28}(.*)$",
    ]
    .map(|pattern| Regex::new(pattern).unwrap())
    .into()
});
