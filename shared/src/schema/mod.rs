//! JSON Schemas of the files that people write, for their editors (draft 7, which those know).
//! They are built from the parsers' own word lists and compared with the parsers ([`compare`]).

mod compare;

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use toml_edit::{Document, Item, TableLike, TomlError};

pub use compare::compare;

/// A whole file.
pub fn file(title: &str, description: &str, keys: &[(&str, Value)], required: &[&str]) -> Value {
    let mut schema = table(description, keys, required);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!(title);
    schema
}

/// A table with these keys and no others.
pub fn table(description: &str, keys: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|(key, schema)| ((*key).to_owned(), schema.clone())).collect();
    json!({
        "description": description, "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

/// A list of at least one of these.
pub fn list(description: &str, items: Value) -> Value {
    json!({ "description": description, "type": "array", "items": items, "minItems": 1 })
}

/// A list that may be empty.
pub fn any_list(description: &str, items: Value) -> Value {
    json!({ "description": description, "type": "array", "items": items })
}

/// One of these words.
pub fn word<T>(description: &str, words: &[(&str, T)]) -> Value {
    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    json!({ "description": description, "type": "string", "enum": words })
}

/// A text that is not empty.
pub fn text(description: &str) -> Value {
    matching(description, "\\S")
}

/// A text that may be empty.
pub fn any_text(description: &str) -> Value {
    json!({ "description": description, "type": "string" })
}

/// A text of a form.
pub fn matching(description: &str, pattern: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": pattern })
}

/// A whole number.
pub fn integer(description: &str, range: RangeInclusive<i64>) -> Value {
    let mut schema = json!({ "description": description, "type": "integer" });
    if *range.start() != i64::MIN {
        schema["minimum"] = json!(range.start());
    }
    if *range.end() != i64::MAX {
        schema["maximum"] = json!(range.end());
    }
    schema
}

/// A number with or without a point.
pub fn number(description: &str) -> Value {
    json!({ "description": description, "type": "number" })
}

/// `true` or `false`.
pub fn flag(description: &str) -> Value {
    json!({ "description": description, "type": "boolean" })
}

/// A duration such as `50ms`.
pub fn duration(description: &str, range: RangeInclusive<Duration>) -> Value {
    let description =
        format!("{description}. A duration from {:?} to {:?}, like 50ms, 10s, 15m", range.start(), range.end());
    matching(&description, "^[0-9]+(ms|s|m|h|d)$")
}

/// One shape or another.
pub fn either(description: &str, shapes: &[Value]) -> Value {
    json!({ "description": description, "anyOf": shapes })
}

/// A TOML file as JSON, as editors see it.
///
/// # Errors
/// The text is no TOML.
pub fn json_of(text: &str) -> Result<Value, TomlError> {
    Document::parse(text).map(|document| table_json(document.as_table()))
}

fn table_json(table: &dyn TableLike) -> Value {
    table.iter().map(|(key, item)| (key.to_owned(), item_json(item))).collect()
}

fn item_json(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Table(table) => table_json(table),
        Item::ArrayOfTables(tables) => tables.iter().map(|table| table_json(table)).collect(),
        Item::Value(value) => value_json(value),
    }
}

fn value_json(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => json!(text.value()),
        toml_edit::Value::Integer(number) => json!(number.value()),
        toml_edit::Value::Float(number) => json!(number.value()),
        toml_edit::Value::Boolean(flag) => json!(flag.value()),
        toml_edit::Value::Datetime(time) => json!(time.value().to_string()),
        toml_edit::Value::Array(list) => list.iter().map(value_json).collect(),
        toml_edit::Value::InlineTable(table) => table_json(table),
    }
}

/// Writes the schema where it is not the one that stands at `path`, and says so by panicking: the
/// file is part of the sources.
pub fn keep(path: &Path, schema: &Value) {
    let text = serde_json::to_string_pretty(&sorted(schema)).expect("a schema is JSON") + "\n";
    if std::fs::read_to_string(path).unwrap_or_default() != text {
        std::fs::write(path, text).expect("the sources can be written");
        panic!("{} was not that of the code and is written anew; look at it and commit it", path.display());
    }
}

/// With keys in alphabetical order, however the maps keep them.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
