//! `task_routes`: which options a task gets by its name.

use std::fmt::Write as _;

use regex::Regex;

use super::check::{self, Found};
use super::{Invalid, Options, Value};

/// The route table: maps in their order, in each the exact name first, then patterns in theirs.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    maps: Vec<Map>,
}

#[derive(Debug, Clone, Default)]
struct Map {
    exact: Vec<(String, Options)>,
    patterns: Vec<(Regex, Options)>,
}

impl Routes {
    /// A table of patterns, an array of such tables, or an array of `[pattern, route]` pairs.
    ///
    /// # Errors
    /// Every pattern or route that cannot be used, keys relative to `task_routes`.
    pub fn from_value(routes: &Value) -> Result<Self, Vec<Invalid>> {
        let mut reader = Reader::default();
        match routes {
            Value::Dict(pairs) => {
                let mut map = Map::default();
                for (pattern, route) in pairs {
                    reader.add(&mut map, pattern, route, pattern);
                }
                reader.maps.push(map);
            }
            Value::List(items) => reader.array(items, ""),
            other => reader
                .errors
                .push(check::wrong("", "a table or an array", other)),
        }
        if reader.errors.is_empty() {
            Ok(Self { maps: reader.maps })
        } else {
            Err(reader.errors)
        }
    }

    /// The options of the first route for `task`.
    #[must_use]
    pub fn lookup(&self, task: &str) -> Option<&Options> {
        self.maps.iter().find_map(|map| {
            let exact = map.exact.iter().rev().find(|(name, _)| name == task);
            exact.map(|(_, route)| route).or_else(|| {
                map.patterns
                    .iter()
                    .find(|(pattern, _)| pattern.is_match(task))
                    .map(|(_, route)| route)
            })
        })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.maps.is_empty()
    }
}

#[derive(Default)]
struct Reader {
    maps: Vec<Map>,
    errors: Vec<Invalid>,
}

impl Reader {
    fn array(&mut self, items: &[Value], under: &str) {
        let mut pairs = Map::default();
        for (position, item) in items.iter().enumerate() {
            let place = if under.is_empty() {
                position.to_string()
            } else {
                format!("{under}.{position}")
            };
            match item {
                Value::List(pair) => match pair.as_slice() {
                    [Value::Str(pattern), route] => {
                        self.add(&mut pairs, pattern, route, &place);
                    }
                    [Value::List(_), ..] if under.is_empty() => self.array(pair, &place),
                    _ => self.errors.push(Invalid::new(
                        place,
                        "a pair is an array of a pattern and a route",
                    )),
                },
                Value::Dict(table) => {
                    self.maps.push(std::mem::take(&mut pairs));
                    let mut map = Map::default();
                    for (pattern, route) in table {
                        self.add(&mut map, pattern, route, &format!("{place}.{pattern}"));
                    }
                    self.maps.push(map);
                }
                Value::Str(name) => self.errors.push(
                    Invalid::new(
                        place,
                        format!("{name:?} names a router, which is Python code"),
                    )
                    .help("write its routes as a table"),
                ),
                other => self
                    .errors
                    .push(check::wrong(&place, "a table or a pair", other)),
            }
        }
        self.maps.push(pairs);
    }

    fn add(&mut self, map: &mut Map, pattern: &str, route: &Value, place: &str) {
        let options = match route {
            Value::Str(queue) => {
                Options::from_pairs(vec![("queue".to_owned(), Value::Str(queue.clone()))])
            }
            Value::Dict(pairs) => Options::from_pairs(pairs.clone()),
            other => Err(vec![Invalid::new(
                "",
                format!(
                    "a route is a queue or a table of options, not {}",
                    other.kind().found()
                ),
            )]),
        };
        let options = match options {
            Ok(options) => options,
            Err(errors) => {
                self.errors
                    .extend(errors.into_iter().map(|error| error.under(place)));
                return;
            }
        };
        let regex = if let Some(regex) = pattern.strip_prefix("re:") {
            // Python's re.match: anchored at the start only.
            Regex::new(&format!("^(?:{})", regex.replace("\\Z", "\\z")))
        } else if pattern.contains('*') {
            Regex::new(&glob(pattern))
        } else {
            map.exact.push((pattern.to_owned(), options));
            return;
        };
        match regex {
            Ok(regex) => map.patterns.push((regex, options)),
            Err(error) => self.errors.push(
                Invalid::new(
                    place,
                    format!("the pattern {pattern:?} cannot be used: {error}"),
                )
                .help("look-around and back-references are not possible"),
            ),
        }
    }
}

/// Python's `fnmatch.translate`: `*`, `?`, `[abc]`, `[!abc]`; everything else is literal.
fn glob(pattern: &str) -> String {
    let mut regex = String::from("(?s)^");
    let mut rest = pattern.chars();
    while let Some(ch) = rest.next() {
        match ch {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => match class(rest.as_str()) {
                Some((class, taken)) => {
                    regex.push_str(&class);
                    rest = rest.as_str()[taken..].chars();
                }
                None => regex.push_str("\\["),
            },
            _ => regex.push_str(&regex::escape(ch.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push_str("\\z");
    regex
}

/// A character class and how many bytes after its `[` it takes; `None` when it is not closed.
fn class(after: &str) -> Option<(String, usize)> {
    let negated = usize::from(after.starts_with('!'));
    // A `]` that comes first is a member.
    let first = after[negated..].chars().next()?.len_utf8();
    let end = negated + first + after[negated + first..].find(']')?;
    let members: Vec<char> = after[negated..end].chars().collect();
    let mut class = String::from(if negated == 1 { "[^" } else { "[" });
    let mut any = false;
    let mut at = 0;
    while at < members.len() {
        let (low, high) = match members[at..] {
            [low, '-', high, ..] => (low, high),
            [one, ..] => (one, one),
            [] => break,
        };
        at += if members.get(at + 1) == Some(&'-') && at + 2 < members.len() {
            3
        } else {
            1
        };
        // Python drops ranges that run backwards.
        if low <= high {
            any = true;
            let (low, high) = (u32::from(low), u32::from(high));
            // Writing to a String cannot fail.
            let _ = write!(class, "\\x{{{low:x}}}-\\x{{{high:x}}}");
        }
    }
    class.push(']');
    let class = match (any, negated) {
        (true, _) => class,
        (false, 0) => "[^\\s\\S]".to_owned(),
        (false, _) => ".".to_owned(),
    };
    Some((class, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue_of(routes: &str, task: &str) -> Option<String> {
        let routes = Routes::from_value(&Value::from_json_text(routes).unwrap()).unwrap();
        routes
            .lookup(task)
            .and_then(|options| options.text("queue"))
            .map(str::to_owned)
    }

    #[test]
    fn exact_before_patterns_patterns_in_order() {
        let table = r#"{"a.*": "first", "a.b.*": "second", "a.b.c": "exact", "re:a": "regex"}"#;
        for (task, queue) in [
            ("a.b.c", Some("exact")),
            ("a.b.d", Some("first")),
            ("ab", Some("regex")),
            ("b", None),
        ] {
            assert_eq!(queue_of(table, task).as_deref(), queue, "{task}");
        }
    }

    #[test]
    fn arrays_are_tables_or_pairs_in_order() {
        for array in [
            r#"[{"x": "no"}, {"a.*": "one"}, {"a.b": "two"}]"#,
            r#"[["x", "no"], ["a.*", {"queue": "one"}], {"a.b": "two"}]"#,
            r#"[[["x", "no"], ["a.*", {"queue": "one"}]], [["a.b", "two"]]]"#,
        ] {
            assert_eq!(queue_of(array, "a.b").as_deref(), Some("one"), "{array}");
        }
        // Pairs in a row are one map: the exact name wins.
        let pairs = r#"[["a.*", "glob"], ["a.b", "exact"]]"#;
        assert_eq!(queue_of(pairs, "a.b").as_deref(), Some("exact"));
    }

    #[test]
    fn globs_are_fnmatch() {
        for (pattern, task, matches) in [
            ("a.*", "a.b", true),
            ("a.*", "a.", true),
            ("a.*", "xa.b", false),
            ("*.b", "a.b", true),
            ("*.b", "a.bc", false),
            ("a?*", "ab", true),
            ("a?*", "a", false),
            ("[ab]*", "b", true),
            ("[!ab]*", "b", false),
            ("[a-c]x*", "bx", true),
            ("[c-a]*", "b", false),
            ("[]]*", "]", true),
            ("[*", "[x", true),
            ("a.*", "A.b", false),
        ] {
            let table = format!("{{{pattern:?}: \"q\"}}");
            assert_eq!(
                queue_of(&table, task).is_some(),
                matches,
                "{pattern} {task}"
            );
        }
        // Without a star it is a name.
        assert_eq!(queue_of(r#"{"a?": "q"}"#, "ab"), None);
    }

    #[test]
    fn regexes_match_at_the_start() {
        assert!(queue_of(r#"{"re:(video|image)\\.": "q"}"#, "image.x").is_some());
        assert!(queue_of(r#"{"re:mage": "q"}"#, "image.x").is_none());
        assert!(queue_of(r#"{"re:a|b$": "q"}"#, "bc").is_none());
    }

    #[test]
    fn refusals_name_the_place() {
        for (routes, key) in [
            ("1", ""),
            (r#"["proj.Router"]"#, "0"),
            (r#"{"a": 1}"#, "a"),
            (r#"{"a": {"queu": "x"}}"#, "a.queu"),
            (r#"{"re:(": "q"}"#, "re:("),
            (r#"[["a"]]"#, "0"),
            (r#"[{"a": {"priority": 300}}]"#, "0.a.priority"),
        ] {
            let value = Value::from_json_text(routes).unwrap();
            assert_eq!(
                Routes::from_value(&value).unwrap_err()[0].key,
                key,
                "{routes}"
            );
        }
    }
}
