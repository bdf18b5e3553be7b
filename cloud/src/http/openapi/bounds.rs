//! What fields of bodies and queries may hold beyond their types. A name means the same in every
//! body, so each stands here once.

use riverwatts_shared::words::Resolution;
use serde_json::{Value, json};

use crate::auth::password;
use crate::db::page::Page;
use crate::http::check::{CAPACITY_KW_MAX, EMAIL_CHARS_MAX, KEY_BYTES_MAX};

/// Something in it, and nothing of it a control character.
const PRINTABLE: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// Completes the fields of a shape that is taken.
pub fn apply(shape: &mut Value) {
    let Some(Value::Object(fields)) = shape.get_mut("properties") else { return };
    for (name, field) in fields {
        let Some(field) = field.as_object_mut() else { continue };
        // Of a change that keeps what is absent, schemars says that `null` stands for it.
        if field.get("default").is_some_and(Value::is_null) {
            field.remove("default");
        }
        if let Value::Object(bounds) = of_field(name) {
            field.extend(bounds);
        }
    }
}

fn of_field(name: &str) -> Value {
    match name {
        "name" | "device_name" => text(200),
        "region" | "river_name" | "first_name" | "last_name" | "serial_number" | "model" | "manufacturer" => text(100),
        "firmware_version" | "hardware_version" => text(50),
        "email" => {
            json!({"maxLength": EMAIL_CHARS_MAX, "pattern": r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@.\s\x00-\x1f\x7f-\x9f]+(\.+[^@.\s\x00-\x1f\x7f-\x9f]+)*$"})
        }
        "password" => json!({"minLength": password::LENGTH.start(), "maxLength": password::LENGTH.end()}),
        "key" => json!({"pattern": "^[a-z0-9-]+$", "minLength": 1, "maxLength": KEY_BYTES_MAX}),
        "latitude" => number(-90.0, 90.0),
        "longitude" => number(-180.0, 180.0),
        "elevation" => number(-999_999.99, 999_999.99),
        "water_depth" => number(0.0, 999_999.99),
        "flow_rate" => number(0.0, 99_999_999.99),
        "capacity_kw" => number(0.0, CAPACITY_KW_MAX),
        "timezone" | "tz" => json!({"format": "iana-time-zone"}),
        "currency" => json!({"pattern": "^[A-Z]{3}$"}),
        "limit" => json!({"minimum": 1, "maximum": Page::LIMIT_MAX, "default": Page::LIMIT_DEFAULT}),
        "points" => json!({"minimum": 1, "maximum": u32::MAX}),
        "sort" => json!({"enum": ["-created_at", "created_at"], "default": "-created_at"}),
        "order" => json!({"enum": ["desc", "asc"], "default": "desc"}),
        "resolution" => json!({"enum": Resolution::ALL, "default": Resolution::Hour}),
        "metric" => json!({"format": "metric-names"}),
        _ => Value::Null,
    }
}

fn text(chars_max: u32) -> Value {
    json!({"minLength": 1, "maxLength": chars_max, "pattern": PRINTABLE})
}

fn number(min: f64, max: f64) -> Value {
    json!({"minimum": min, "maximum": max})
}
