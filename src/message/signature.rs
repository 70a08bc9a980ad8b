//! Signatures in `link`, `link_error`, `chain` and `chord`, in the dict form that Celery sends.

use super::check::{self, Found};
use super::{Invalid, Value};

/// One signature or an array of them, as a list.
///
/// # Errors
/// What is not a signature; keys relative to `value`.
pub fn list(value: &Value) -> Result<Value, Invalid> {
    match value {
        Value::List(items) => members(items).map(Value::List),
        one => Ok(Value::List(vec![single(one)?])),
    }
}

/// One signature: the short form, a canvas, or Celery's own JSON form, which is left as it is.
///
/// # Errors
/// What is not a signature; keys relative to `value`.
pub fn single(value: &Value) -> Result<Value, Invalid> {
    let Value::Dict(pairs) = value else {
        return Err(Invalid::new(
            "",
            format!("a signature is a table, not {}", value.kind().found()),
        )
        .help("write { task = \"proj.done\", args = [] }"));
    };
    if value.get("subtask_type").is_some() {
        check::name(value.get("task"), "task")?;
        return Ok(value.clone());
    }
    let canvas = ["group", "chain", "chord"]
        .into_iter()
        .find(|kind| value.get(kind).is_some());
    let allowed: &[&str] = match canvas {
        Some(_) => &["group", "chain", "chord", "options", "immutable"],
        None => &[
            "task",
            "args",
            "kwargs",
            "args_json",
            "kwargs_json",
            "options",
            "immutable",
        ],
    };
    check::known_keys(pairs, allowed)?;
    let (task, args, kwargs) = match canvas {
        Some(kind) => (
            format!("celery.{kind}"),
            Value::List(Vec::new()),
            canvas_kwargs(kind, value)?,
        ),
        None => plain(value)?,
    };
    let options = match value.get("options") {
        None => Value::Dict(Vec::new()),
        Some(options @ Value::Dict(_)) => options.clone(),
        Some(other) => return Err(check::wrong("options", "a table", other)),
    };
    let immutable = match value.get("immutable") {
        None => false,
        Some(Value::Bool(flag)) => *flag,
        Some(other) => return Err(check::wrong("immutable", "true or false", other)),
    };
    Ok(Value::Dict(vec![
        ("task".to_owned(), Value::Str(task)),
        ("args".to_owned(), args),
        ("kwargs".to_owned(), kwargs),
        ("options".to_owned(), options),
        (
            "subtask_type".to_owned(),
            canvas.map_or(Value::Null, Value::from),
        ),
        ("immutable".to_owned(), Value::Bool(immutable)),
    ]))
}

fn members(items: &[Value]) -> Result<Vec<Value>, Invalid> {
    items
        .iter()
        .enumerate()
        .map(|(position, item)| single(item).map_err(|e| e.under(&position.to_string())))
        .collect()
}

fn plain(value: &Value) -> Result<(String, Value, Value), Invalid> {
    let task = check::name(value.get("task"), "task")?;
    let args = argument(value, "args")?.unwrap_or(Value::List(Vec::new()));
    if !matches!(args, Value::List(_)) {
        return Err(check::wrong("args", "an array", &args));
    }
    let kwargs = argument(value, "kwargs")?.unwrap_or(Value::Dict(Vec::new()));
    if !matches!(kwargs, Value::Dict(_)) {
        return Err(check::wrong("kwargs", "a table", &kwargs));
    }
    Ok((task, args, kwargs))
}

/// `args` or `kwargs`, or the same as JSON text.
fn argument(value: &Value, key: &str) -> Result<Option<Value>, Invalid> {
    let json_key = format!("{key}_json");
    match (value.get(key), value.get(&json_key)) {
        (Some(_), Some(_)) => Err(Invalid::new(
            json_key.clone(),
            format!("{key} and {json_key} are both given"),
        )),
        (Some(given), None) => Ok(Some(given.clone())),
        (None, Some(Value::Str(text))) => Value::from_json_text(text)
            .map(Some)
            .map_err(|e| e.under(&json_key)),
        (None, Some(other)) => Err(check::wrong(&json_key, "a string of JSON", other)),
        (None, None) => Ok(None),
    }
}

fn canvas_kwargs(kind: &str, value: &Value) -> Result<Value, Invalid> {
    let held = value.get(kind).unwrap_or(&Value::Null);
    if kind != "chord" {
        let Value::List(items) = held else {
            return Err(check::wrong(kind, "an array of signatures", held));
        };
        let tasks = members(items).map_err(|e| e.under(kind))?;
        return Ok(Value::Dict(vec![("tasks".to_owned(), Value::List(tasks))]));
    }
    let Value::Dict(pairs) = held else {
        return Err(check::wrong("chord", "a table of header and body", held));
    };
    check::known_keys(pairs, &["header", "body"]).map_err(|e| e.under("chord"))?;
    let header = match held.get("header") {
        Some(Value::List(items)) => {
            Value::List(members(items).map_err(|e| e.under("chord.header"))?)
        }
        Some(one @ Value::Dict(_)) => single(one).map_err(|e| e.under("chord.header"))?,
        _ => {
            return Err(Invalid::new(
                "chord.header",
                "a chord needs a header: an array of signatures",
            ));
        }
    };
    let Some(body) = held.get("body") else {
        return Err(Invalid::new(
            "chord.body",
            "a chord needs a body: a signature",
        ));
    };
    let body = single(body).map_err(|e| e.under("chord.body"))?;
    Ok(Value::Dict(vec![
        ("kwargs".to_owned(), Value::Dict(Vec::new())),
        ("header".to_owned(), header),
        ("body".to_owned(), body),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Value {
        Value::from_json_text(json).unwrap()
    }

    fn shown(json: &str) -> String {
        let mut out = Vec::new();
        super::super::json::write_value(&list(&read(json)).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_short_form_becomes_celerys() {
        assert_eq!(
            shown(r#"{"immutable": true, "task": "a", "args_json": "[null]"}"#),
            r#"[{"task": "a", "args": [null], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": true}]"#
        );
        assert_eq!(
            shown(r#"[{"group": [{"task": "a"}], "options": {"queue": "q"}}]"#),
            concat!(
                r#"[{"task": "celery.group", "args": [], "kwargs": {"tasks": [{"task": "a", "args": [], "kwargs": {}, "#,
                r#""options": {}, "subtask_type": null, "immutable": false}]}, "options": {"queue": "q"}, "#,
                r#""subtask_type": "group", "immutable": false}]"#
            )
        );
    }

    #[test]
    fn celerys_form_is_left_as_it_is() {
        let full = r#"{"task": "a", "subtask_type": null, "chord_size": 3}"#;
        assert_eq!(shown(full), format!("[{full}]"));
    }

    #[test]
    fn refusals_name_the_place() {
        for (json, key) in [
            (r#""a""#, ""),
            ("{}", "task"),
            (r#"{"task": " "}"#, "task"),
            (r#"{"task": "a", "arg": []}"#, "arg"),
            (r#"{"task": "a", "args": {}}"#, "args"),
            (
                r#"{"task": "a", "args": [], "args_json": "[]"}"#,
                "args_json",
            ),
            (r#"{"task": "a", "kwargs_json": "{"}"#, "kwargs_json"),
            (r#"{"task": "a", "immutable": 1}"#, "immutable"),
            (r#"[{"chain": [{"task": "a"}, {}]}]"#, "0.chain.1.task"),
            (r#"{"chord": {"header": [{"task": "a"}]}}"#, "chord.body"),
            (
                r#"{"chord": {"header": [{}], "body": {"task": "a"}}}"#,
                "chord.header.0.task",
            ),
        ] {
            assert_eq!(list(&read(json)).unwrap_err().key, key, "{json}");
        }
    }
}
