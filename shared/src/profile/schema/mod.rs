//! The schemas of profiles and samples, made from the parser's own words and held against it.

mod profile;
mod samples;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{builtin, builtin_names, parse};
use crate::schema::{compare, json_of, keep};

/// A profile with every key of the format.
const FULL: &str = include_str!("full.toml");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-configs")
}

/// What a schema has against a file.
fn mistakes(schema: &Value, text: &str) -> Vec<String> {
    let validator = jsonschema::draft7::new(schema).unwrap();
    let file = json_of(text).unwrap();
    validator.iter_errors(&file).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_schemas_beside_the_profiles_are_those_of_the_code() {
    keep(&folder().join("profile.schema.json"), &profile::schema());
    keep(&folder().join("samples.schema.json"), &samples::schema());
}

#[test]
fn the_schema_knows_what_the_parser_knows_and_refuses_its_slips() {
    let schema = profile::schema();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let problems = |text: &str| parse("full.toml", text).err().unwrap_or_default();
    compare(&schema, &[FULL], |file| validator.is_valid(file), problems);
}

#[test]
fn every_profile_and_its_samples_are_right_to_the_schemas() {
    for name in builtin_names() {
        assert_eq!(mistakes(&profile::schema(), builtin(name).unwrap()), [""; 0], "{name}");
        let samples = std::fs::read_to_string(folder().join(format!("{name}.samples.toml"))).unwrap();
        assert_eq!(mistakes(&samples::schema(), &samples), [""; 0], "{name}");
    }
}

#[test]
fn a_slip_in_samples_is_refused() {
    let right = json!({ "sample": [{
        "name": "a", "alarms": [], "blocks": [{ "function": "holding", "start": 0, "words": [1] }],
        "values": { "power_output_kw": 1, "x_r": 0.5 }, "quality": { "voltage_v": "sentinel" }, "identity": { "model": "M" },
    }] });
    let schema = samples::schema();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    assert!(validator.is_valid(&right));
    for (place, value) in [
        ("/sample/0/blocks/0/words/0", json!(65_536)),
        ("/sample/0/blocks/0/words", json!([])),
        ("/sample/0/blocks/0/function", json!("coils")),
        ("/sample/0/values", json!({ "power_kw": 1 })),
        ("/sample/0/values/x_r", json!("1")),
        ("/sample/0/quality/voltage_v", json!("good")),
        ("/sample/0/identity", json!({ "serial": "1" })),
        ("/sample/0", json!({ "name": "a", "blocks": [] })),
    ] {
        let mut wrong = right.clone();
        *wrong.pointer_mut(place).unwrap() = value;
        assert!(!validator.is_valid(&wrong), "{place}");
    }
}

#[test]
fn the_guide_names_every_key_and_every_word() {
    const GUIDE: &str = include_str!("../../../../docs/device-profiles.md");
    let mut rest = vec![profile::schema()];
    let mut names = 0;
    while let Some(schema) = rest.pop() {
        let keys = schema["properties"].as_object().into_iter().flatten();
        rest.extend(keys.clone().map(|(_, schema)| schema.clone()));
        rest.extend(schema.get("items").cloned());
        rest.extend(schema["anyOf"].as_array().into_iter().flatten().cloned());
        let words = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in keys.map(|(key, _)| key.as_str()).chain(words) {
            let quoted = GUIDE.split('`').skip(1).step_by(2).any(|quoted| {
                let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
                quoted.split(|c: char| !inside(c)).any(|word| word == name)
            });
            assert!(quoted, "the guide does not name {name}");
            names += 1;
        }
    }
    assert!(names > 300, "{names}");
}
