//! The document of the API (OpenAPI 3.1), made from the types of bodies and the table of operations.

mod bounds;
mod operation;
mod operations;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use schemas::Schemas;

/// Examples of bodies and answers by the names of their shapes.
const EXAMPLES: &str = include_str!("examples.json");

/// It changes with the program only.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// `GET /api/v1/openapi.json`.
pub async fn get_document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], DOCUMENT.clone())
}

fn examples() -> Map<String, Value> {
    serde_json::from_str(EXAMPLES).expect("the file is JSON: tests read it")
}

/// The document.
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let (mut tags, mut paths) = (Vec::new(), Map::new());
    for tag in operations::all() {
        tags.push(json!({"name": tag.name, "description": tag.told}));
        for operation in &tag.operations {
            let path = paths.entry(operation.path).or_insert(json!({}));
            path[operation.method] = operation.write(tag.name, &mut schemas);
        }
    }
    let mut shapes = schemas.write(&examples());
    shapes.insert("Error".to_owned(), error_shape());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "RiverWatts",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Times are RFC 3339 in UTC with milliseconds, ranges half open, ids UUIDs. \
                Every answer has an `X-Request-Id`. Bodies have at most 256 KiB, those of gateways 4 MiB.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": shapes,
            "responses": refusals(),
            "parameters": parameters(),
            "headers": headers(),
            "securitySchemes": security_schemes(),
        },
    })
}

fn security_schemes() -> Value {
    json!({
        "person": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An access token; an entry of the list is a role that is needed."},
        "gateway": {"type": "http", "scheme": "bearer", "description": "A gateway's credential, `rwg_…`."},
        "refresh_cookie": {"type": "apiKey", "in": "cookie", "name": "riverwatts_refresh"},
        "metrics_token": {"type": "http", "scheme": "bearer",
            "description": "`METRICS_TOKEN`; callers on the same machine need none."},
    })
}

fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same key with the same request gets the first answer again, for 24 hours.",
            "schema": {"type": "string", "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
        },
        "IfMatch": {
            "name": "If-Match", "in": "header", "required": false,
            "description": "The `ETag` of the version that is changed; another one is refused.",
            "schema": {"type": "string"},
        },
    })
}

fn headers() -> Value {
    let text =
        |told: &str, required: bool| json!({"description": told, "required": required, "schema": {"type": "string"}});
    json!({
        "ETag": text("Version of the thing.", true),
        "Location": text("Place of the new thing.", true),
        "Set-Cookie": text("The refresh token, for browsers.", true),
        "Retry-After": {"description": "Seconds.", "required": true, "schema": {"type": "integer", "minimum": 0}},
        "WWW-Authenticate": text("`Bearer`.", true),
    })
}

fn error_shape() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "description": "Every refusal and failure.",
        "properties": {"error": {
            "type": "object",
            "required": ["code", "message", "details", "timestamp", "request_id"],
            "properties": {
                "code": {"type": "string", "enum": ["AUTH_REQUIRED", "AUTH_INVALID", "AUTH_EXPIRED",
                    "PERMISSION_DENIED", "RESOURCE_NOT_FOUND", "RESOURCE_CONFLICT", "VALIDATION_ERROR",
                    "RATE_LIMIT_EXCEEDED", "INTERNAL_ERROR"]},
                "message": {"type": "string"},
                "details": {"type": ["array", "null"], "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                }},
                "timestamp": {"type": "string", "format": "date-time"},
                "request_id": {"type": "string"},
            },
        }},
    })
}

/// By status, with an example each.
fn refusals() -> Value {
    let mut refusals = Map::new();
    for (status, code, message, told) in [
        (
            400,
            "VALIDATION_ERROR",
            "Malformed JSON: EOF while parsing an object",
            "The body is not what its media type says.",
        ),
        (401, "AUTH_REQUIRED", "Authentication required", "No token, or one that is wrong, ended or expired."),
        (403, "PERMISSION_DENIED", "Insufficient permissions", "The role may not."),
        (404, "RESOURCE_NOT_FOUND", "Requested resource not found", "No such thing, or out of sight."),
        (409, "RESOURCE_CONFLICT", "Another record has this value", "A value is taken, or a rule forbids it."),
        (412, "RESOURCE_CONFLICT", "Changed meanwhile; read it again", "`If-Match` names another version."),
        (413, "VALIDATION_ERROR", "Body larger than 262144 bytes", "The body is too large."),
        (415, "VALIDATION_ERROR", "Content-Type must be application/json", "Another media type is wanted."),
        (
            422,
            "VALIDATION_ERROR",
            "Request validation failed",
            "A wrong, missing, unknown or doubled field or parameter.",
        ),
        (426, "VALIDATION_ERROR", "Upgrade Required", "This is no handshake of a WebSocket."),
        (429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded", "Too many attempts."),
        (500, "INTERNAL_ERROR", "Internal server error", "A fault of the service; its log has the cause."),
        (503, "INTERNAL_ERROR", "Service unavailable", "Try again."),
    ] {
        let details = match status {
            409 => json!([{"field": "email", "message": "is taken"}]),
            422 => json!([{"field": "timezone", "message": "is no IANA time zone like America/Anchorage"}]),
            _ => Value::Null,
        };
        let example = json!({"error": {"code": code, "message": message, "details": details,
            "timestamp": "2026-11-24T05:46:43.773Z", "request_id": "01a20c17-9cbd-72be-bfc9-0733c30f7db1"}});
        let shape = json!({"$ref": "#/components/schemas/Error"});
        let mut refusal = json!({
            "description": told, "content": {"application/json": {"schema": shape, "example": example}},
        });
        for (of, header) in [(401, "WWW-Authenticate"), (429, "Retry-After"), (503, "Retry-After")] {
            if of == status {
                refusal["headers"] = json!({header: {"$ref": format!("#/components/headers/{header}")}});
            }
        }
        refusals.insert(status.to_string(), refusal);
    }
    Value::Object(refusals)
}
