//! Signatures from Celery's own form, which has nulls, to the short one of the file.

use super::data;
use crate::message::Value;

/// What Celery writes, in its order: another shape would not come out of the short form again.
const KEYS: [&str; 6] = [
    "task",
    "args",
    "kwargs",
    "options",
    "subtask_type",
    "immutable",
];

/// One signature.
///
/// # Errors
/// Why it cannot be written.
pub fn short(value: &Value) -> Result<toml::Value, String> {
    let Value::Dict(pairs) = value else {
        return Err(format!("a signature is a {}", value.kind()));
    };
    if !pairs.iter().map(|(key, _)| key.as_str()).eq(KEYS) {
        let extra = pairs.iter().find(|(key, _)| !KEYS.contains(&key.as_str()));
        return Err(match extra {
            Some((key, _)) => format!("a signature has {key:?}, which the file cannot say"),
            None => "a signature has not the form of Celery 5".to_owned(),
        });
    }
    let [task, args, kwargs, options, kind, immutable] =
        KEYS.map(|key| value.get(key).unwrap_or(&Value::Null));
    let mut table = toml::Table::new();
    match kind {
        Value::Null => plain(task, args, kwargs, &mut table)?,
        Value::Str(kind) => {
            if !matches!(args, Value::List(args) if args.is_empty()) {
                return Err(format!("a {kind} has arguments, which the file cannot say"));
            }
            table.insert(kind.clone(), canvas(kind, kwargs)?);
        }
        _ => return Err("a signature has a type that is no string".to_owned()),
    }
    if !matches!(options, Value::Dict(pairs) if pairs.is_empty()) {
        let options = data::toml(options)
            .ok_or("the options of a signature hold None, which the file cannot say")?;
        table.insert("options".to_owned(), options);
    }
    if *immutable == Value::Bool(true) {
        table.insert("immutable".to_owned(), true.into());
    }
    Ok(toml::Value::Table(table))
}

/// One signature or a list of them.
///
/// # Errors
/// Why one cannot be written.
pub fn list(value: &Value) -> Result<toml::Value, String> {
    match value {
        Value::List(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(short).collect();
            items.map(toml::Value::Array)
        }
        one => short(one),
    }
}

fn plain(
    task: &Value,
    args: &Value,
    kwargs: &Value,
    table: &mut toml::Table,
) -> Result<(), String> {
    table.insert(
        "task".to_owned(),
        data::toml(task).ok_or("a signature has no task")?,
    );
    for (name, value) in [("args", args), ("kwargs", kwargs)] {
        let empty = match value {
            Value::List(items) => items.is_empty(),
            Value::Dict(pairs) => pairs.is_empty(),
            _ => false,
        };
        if empty {
            continue;
        }
        match data::toml(value) {
            Some(value) => table.insert(name.to_owned(), value),
            None if data::beyond_json(value) => {
                return Err("a signature has both None and a float that JSON lacks".to_owned());
            }
            None => table.insert(format!("{name}_json"), value.to_json_text().into()),
        };
    }
    Ok(())
}

/// What stands under `group`, `chain` or `chord`.
fn canvas(kind: &str, kwargs: &Value) -> Result<toml::Value, String> {
    let Value::Dict(pairs) = kwargs else {
        return Err(format!("a {kind} has no members"));
    };
    let keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    let member = |key: &str| kwargs.get(key).unwrap_or(&Value::Null);
    match (kind, keys.as_slice()) {
        ("group" | "chain", ["tasks"]) => list(member("tasks")),
        ("chord", ["kwargs", "header", "body"]) if matches!(member("kwargs"), Value::Dict(pairs) if pairs.is_empty()) =>
        {
            let mut table = toml::Table::new();
            table.insert("header".to_owned(), list(member("header"))?);
            table.insert("body".to_owned(), short(member("body"))?);
            Ok(toml::Value::Table(table))
        }
        _ => Err(format!("a {kind} has a form that the file cannot say")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Options;

    /// What the loader makes of the short form must be what Celery had.
    #[test]
    fn the_short_form_comes_out_as_celerys() {
        let a = r#"{"task": "a", "args": [1], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false}"#;
        let b = r#"{"task": "b", "args": [null], "kwargs": {"k": null}, "options": {"queue": "q"}, "subtask_type": null, "immutable": true}"#;
        let group = format!(
            r#"{{"task": "celery.group", "args": [], "kwargs": {{"tasks": [{a}, {b}]}}, "options": {{}}, "subtask_type": "group", "immutable": false}}"#
        );
        let chain = group.replace("group", "chain");
        let chord = format!(
            r#"{{"task": "celery.chord", "args": [], "kwargs": {{"kwargs": {{}}, "header": [{a}], "body": {b}}}, "options": {{"queue": "q"}}, "subtask_type": "chord", "immutable": false}}"#
        );
        for text in [a, b, &group, &chain, &chord] {
            let celerys = Value::from_json_text(text).unwrap();
            let short = short(&celerys).unwrap().to_string();
            let read = toml::from_str::<toml::Table>(&format!("link = {short}")).unwrap();
            let read = Value::from_json(serde_json::to_value(&read["link"]).unwrap());
            let options = Options::from_pairs(vec![("link".to_owned(), read)]).unwrap();
            let link = options.get("link").unwrap().to_json_text();
            assert_eq!(link, format!("[{text}]"), "{short}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for (text, reason) in [
            (r#"{"task": "a"}"#, "form of Celery"),
            ("1", "is a integer"),
            (
                r#"{"task": "a", "args": [], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false, "chord_size": 3}"#,
                "chord_size",
            ),
            (
                r#"{"task": "a", "args": [], "kwargs": {}, "options": {"queue": null}, "subtask_type": null, "immutable": false}"#,
                "None",
            ),
        ] {
            let error = short(&Value::from_json_text(text).unwrap()).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
