//! The shapes of readings and windows, for the document of the API: they are written and read byte
//! by byte, so no type says them.

use std::borrow::Cow;

use riverwatts_shared::metric::{CANONICAL, METRIC_NAME_MAX, Metric};
use riverwatts_shared::words::{Quality, Resolution};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::store::gaps::Gap;

/// What [`crate::readings::json::write_reading`] writes.
#[derive(Debug)]
pub enum Reading {}

/// What [`super::list_aggregated`] answers.
#[derive(Debug)]
pub enum Windows {}

/// One of its windows.
#[derive(Debug)]
enum Bucket {}

/// What `POST /readings` takes.
#[derive(Debug)]
pub enum Posted {}

/// One of its readings in good form.
#[derive(Debug)]
enum NewReading {}

impl JsonSchema for Reading {
    fn schema_name() -> Cow<'static, str> {
        "Reading".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut fields = json!({
            "id": {"type": "string", "format": "uuid"},
            "device_id": {"type": "string", "format": "uuid"},
            "timestamp": time("When it was measured."),
        });
        add_values(&mut fields, generator);
        fields["created_at"] = time("When it was received.");
        let always: Vec<String> = fields.as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
        let needed: Vec<&String> = always.iter().filter(|name| Metric::named(name).is_err()).collect();
        fields["time_uncertainty_s"] = uncertainty();
        json_schema!({
            "type": "object", "required": needed, "properties": fields,
            "description": "What one device measured at one time. A metric is left out only where the query names others.",
        })
    }
}

impl JsonSchema for NewReading {
    fn schema_name() -> Cow<'static, str> {
        "NewReading".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut fields = json!({
            "device_id": {"type": "string", "format": "uuid"},
            "timestamp": time("When it was measured."),
        });
        add_values(&mut fields, generator);
        fields["time_uncertainty_s"] = uncertainty();
        json_schema!({
            "type": "object", "required": ["device_id", "timestamp"], "properties": fields,
            "additionalProperties": false,
        })
    }
}

impl JsonSchema for Posted {
    fn schema_name() -> Cow<'static, str> {
        "PostedReadings".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = json!({"anyOf": [
            generator.subschema_for::<NewReading>(),
            {"description": "Anything else is refused under its index and keeps out no other."},
        ]});
        let many = json!({"type": "array", "maxItems": crate::ingest::READINGS_MAX, "items": one});
        json_schema!({"anyOf": [
            many,
            {"type": "object", "required": ["readings"], "properties": {"readings": many}, "additionalProperties": false},
            {"type": "object", "not": {"required": ["readings"]}, "anyOf": one["anyOf"]},
        ]})
    }
}

impl JsonSchema for Bucket {
    fn schema_name() -> Cow<'static, str> {
        "Bucket".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = |told: &str| json!({"type": ["number", "null"], "description": told});
        json_schema!({
            "type": "object",
            "required": ["device_id", "metric", "start", "end", "count", "min", "max", "first", "last", "mean",
                "integral", "coverage"],
            "properties": {
                "device_id": {"type": "string", "format": "uuid"},
                "metric": name_of_metric(),
                "start": {"type": "string", "format": "date-time"},
                "end": {"type": "string", "format": "date-time"},
                "count": {"type": "integer", "minimum": 0, "description": "Readings inside."},
                "min": number("Least of them."),
                "max": number("Greatest of them."),
                "first": number("Earliest of them."),
                "last": number("Latest of them."),
                "mean": number("Over the covered time."),
                "integral": number("Unit × hours over the covered time; of a counter, what it advanced."),
                "coverage": {"type": "number", "minimum": 0, "maximum": 1, "description": "Share of the time that is covered."},
            },
        })
    }
}

impl JsonSchema for Windows {
    fn schema_name() -> Cow<'static, str> {
        "Windows".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "required": ["buckets", "resolution", "timezone", "gaps"],
            "properties": {
                "buckets": {"type": "array", "items": generator.subschema_for::<Bucket>()},
                "resolution": generator.subschema_for::<Resolution>(),
                "timezone": {"type": "string"},
                "gaps": {"type": "array", "items": generator.subschema_for::<Gap>()},
            },
        })
    }
}

/// The nine metrics, the others, and how good they are.
fn add_values(fields: &mut Value, generator: &mut SchemaGenerator) {
    for metric in (0..CANONICAL).map(Metric::canonical) {
        fields[metric.name()] =
            json!({"type": ["number", "null"], "description": format!("In {}.", metric.info().unit)});
    }
    let name = name_of_metric();
    fields["extra"] = json!({
        "type": "object", "propertyNames": name, "additionalProperties": {"type": ["number", "null"]},
        "description": "Metrics beyond the nine.",
    });
    fields["quality"] = json!({
        "type": "object", "propertyNames": name, "additionalProperties": generator.subschema_for::<Quality>(),
        "description": "Of what is not `ok`, by metric.",
    });
}

fn name_of_metric() -> Value {
    json!({"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "maxLength": METRIC_NAME_MAX})
}

fn uncertainty() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "How far the time may be off; there when it may be."})
}

fn time(told: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": told})
}
