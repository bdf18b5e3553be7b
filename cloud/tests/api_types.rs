//! The types that the pages' scripts are checked against are those of the document of the API.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::fs;
use std::path::Path;

use riverwatts_cloud::http::openapi::document;
use serde_json::{Map, Value};

const FILE: &str = "web/api.d.ts";
const HEAD: &str = "// The shapes of the API, for JSDoc: `import(\"../api\").Site`. Made from its document by cloud/tests/api_types.rs.\n";

#[test]
fn the_pages_types_are_those_of_the_document() {
    let shapes = document()["components"]["schemas"].clone();
    let mut text = HEAD.to_owned();
    for (name, shape) in shapes.as_object().unwrap() {
        text.push('\n');
        if let Some(told) = shape["description"].as_str() {
            text.push_str(&format!("/** {told} */\n"));
        }
        match shape["properties"].as_object() {
            Some(_) => text.push_str(&format!("export interface {name} {}\n", type_of(shape, 0))),
            None => text.push_str(&format!("export type {name} = {};\n", type_of(shape, 0))),
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if fs::read_to_string(&path).unwrap_or_default() != text {
        fs::write(&path, text).unwrap();
        panic!("cloud/{FILE} was not that of the document and is written anew; look at it and commit it");
    }
}

fn type_of(shape: &Value, depth: usize) -> String {
    if let Some(place) = shape["$ref"].as_str() {
        return place.rsplit('/').next().unwrap().to_owned();
    }
    if let Some(words) = shape["enum"].as_array() {
        return union(words.iter().map(Value::to_string));
    }
    if let Some(shapes) = shape["anyOf"].as_array() {
        return union(shapes.iter().map(|shape| type_of(shape, depth)));
    }
    match &shape["type"] {
        Value::Array(types) => union(types.iter().map(|kind| plain(kind.as_str().unwrap(), shape, depth))),
        Value::String(kind) => plain(kind, shape, depth),
        _ => "unknown".to_owned(),
    }
}

fn union(types: impl Iterator<Item = String>) -> String {
    let types: Vec<String> = types.collect();
    if types.iter().any(|kind| kind == "unknown") { "unknown".to_owned() } else { types.join(" | ") }
}

fn plain(kind: &str, shape: &Value, depth: usize) -> String {
    match kind {
        "array" => {
            let items = type_of(&shape["items"], depth);
            if items.contains('|') { format!("({items})[]") } else { format!("{items}[]") }
        }
        "object" => match shape["properties"].as_object() {
            Some(fields) => object(fields, &shape["required"], depth + 1),
            None => format!("Record<string, {}>", type_of(&shape["additionalProperties"], depth)),
        },
        "integer" => "number".to_owned(),
        kind => kind.to_owned(),
    }
}

fn object(fields: &Map<String, Value>, required: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let mut text = "{\n".to_owned();
    for (name, shape) in fields {
        let needed = required.as_array().is_some_and(|names| names.iter().any(|needed| needed == name));
        if let Some(told) = shape["description"].as_str() {
            text.push_str(&format!("{indent}/** {told} */\n"));
        }
        let optional = if needed { "" } else { "?" };
        text.push_str(&format!("{indent}{name}{optional}: {};\n", type_of(shape, depth)));
    }
    text.push_str(&"  ".repeat(depth - 1));
    text.push('}');
    text
}
