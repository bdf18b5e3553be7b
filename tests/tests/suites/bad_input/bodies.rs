//! Bodies that are wrong in form, in type, in size, in what they say.

use reqwest::{Method, RequestBuilder};
use riverwatts_tests::api::{Answer, Api};
use serde_json::{Value, json};
use uuid::Uuid;

use super::endpoints::{ENDPOINTS, Endpoint, Field, Kind, Takes};
use super::rig::Rig;

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 256 << 10;

struct Asked<'a> {
    rig: &'a Rig,
    endpoint: &'a Endpoint,
}

impl Asked<'_> {
    fn api(&self) -> &Api {
        self.rig.cloud.admin()
    }

    fn request(&self) -> RequestBuilder {
        let method: Method = self.endpoint.method.parse().unwrap();
        self.api().request(method, &self.rig.fill(self.endpoint.path))
    }

    async fn json(&self, body: &Value) -> Answer {
        self.api().send(self.request().json(body)).await
    }

    async fn text(&self, body: impl Into<String>) -> Answer {
        self.api().send(self.request().header("Content-Type", "application/json").body(body.into())).await
    }

    #[track_caller]
    fn assert(&self, answer: &Answer, status: u16, field: &str, told: &str) {
        assert_eq!(answer.refusal(), (status, "VALIDATION_ERROR".to_owned()), "{told} at {:?}", self.endpoint);
        if status == 422 && !field.is_empty() {
            let named = answer.details().iter().any(|detail| detail.starts_with(&format!("{field}: ")));
            assert!(named, "{told}: `{field}` is not named in {answer:?}");
        }
    }
}

/// Endpoints that take a JSON object, with its fields.
fn with_fields() -> impl Iterator<Item = (&'static Endpoint, &'static [Field])> {
    ENDPOINTS.iter().filter_map(|endpoint| match endpoint.takes {
        Takes::Json(fields) => Some((endpoint, fields)),
        _ => None,
    })
}

#[tokio::test]
async fn a_body_that_is_no_json_object_of_this_shape() {
    let rig = Rig::new().await;
    let before = rig.everything().await;
    for (endpoint, fields) in with_fields() {
        let asked = Asked { rig: &rig, endpoint };
        let good = rig.good_body(fields);
        let text = Value::Object(good.clone()).to_string();
        let first = fields[0].name;

        for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
            // What answers a cookie alone looks at no media type.
            if endpoint.path == "/auth/refresh" {
                continue;
            }
            let request = asked.request().header("Content-Type", media_type).body(text.clone());
            asked.assert(&asked.api().send(request).await, 415, "", media_type);
        }
        for (body, status, told) in [
            (text[..text.len() - 1].to_owned(), 400, "cut off"),
            ("{".to_owned(), 400, "cut off at once"),
            (format!("{text} {text}"), 400, "two of them"),
            ("\u{feff}{}".to_owned(), 400, "a byte order mark"),
            ("[".repeat(100_000), 422, "an array"),
            (format!("[{text}]"), 422, "an array"),
            ("null".to_owned(), 422, "null"),
            ("3".to_owned(), 422, "a number"),
            (format!("{{\"padding\": \"{}\"}}", "x".repeat(BODY_BYTES_MAX)), 413, "too large"),
        ] {
            asked.assert(&asked.text(body).await, status, "", told);
        }
        let doubled = format!("{{\"{first}\": {}, {}", good[first], &text[1..]);
        asked.assert(&asked.text(doubled).await, 422, first, "a doubled field");
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body.insert(name.to_owned(), value);
            Value::Object(body)
        };
        asked.assert(&asked.json(&with("colour", json!("red"))).await, 422, "colour", "an unknown field");
        for field in fields {
            if field.needed && endpoint.method == "POST" {
                let mut body = good.clone();
                body.remove(field.name);
                asked.assert(&asked.json(&Value::Object(body)).await, 422, field.name, "missing");
                asked.assert(&asked.json(&with(field.name, Value::Null)).await, 422, field.name, "null");
            }
            if let Kind::Object = field.kind {
                let deep = format!("{{\"{}\": {}", field.name, "{\"a\": ".repeat(10_000));
                asked.assert(&asked.text(deep).await, 400, "", "too deep");
            }
            for wrong in wrong_types(field.kind) {
                asked.assert(&asked.json(&with(field.name, wrong.clone())).await, 422, field.name, &wrong.to_string());
            }
        }
    }
    Rig::assert_unchanged(&before, &rig.everything().await);
}

#[tokio::test]
async fn a_body_that_says_what_cannot_be() {
    let rig = Rig::new().await;
    let before = rig.everything().await;
    for (endpoint, fields) in with_fields() {
        let asked = Asked { rig: &rig, endpoint };
        for field in fields {
            for wrong in out_of_bounds(field.kind) {
                let mut body = rig.good_body(fields);
                body.insert(field.name.to_owned(), wrong.clone());
                let told = wrong.to_string();
                let answer = asked.json(&Value::Object(body)).await;
                asked.assert(&answer, 422, field.name, &told[..told.len().min(80)]);
            }
        }
        // All mistakes at once: whoever mends them need not ask as often as there are.
        let wrong = |field: &Field| out_of_bounds(field.kind).into_iter().next().filter(|_| checked(field.kind));
        let mut body = rig.good_body(fields);
        body.extend(fields.iter().filter_map(|field| Some((field.name.to_owned(), wrong(field)?))));
        let mistakes = fields.iter().filter(|field| checked(field.kind)).count();
        if mistakes > 0 {
            let answer = asked.json(&Value::Object(body)).await;
            assert_eq!(answer.details().len(), mistakes, "{answer:?}");
        }
    }
    Rig::assert_unchanged(&before, &rig.everything().await);
}

#[tokio::test]
async fn what_is_taken_changed_meanwhile_or_asked_twice() {
    let rig = Rig::new().await;
    let admin = rig.cloud.admin();
    let account = |email: &str| json!({"email": email, "password": "something secret", "first_name": "A", "last_name": "B", "role": "viewer"});
    admin.post("/users", &account("taken@example.org")).await.ok();
    let site = admin.get(&format!("/sites/{}", rig.site_id)).await.ok();
    let before = rig.everything().await;

    let taken = admin.post("/users", &account("Taken@Example.org")).await;
    assert_eq!(taken.refusal(), (409, "RESOURCE_CONFLICT".to_owned()));
    assert_eq!(taken.details(), ["email: is taken"]);
    let member = admin.post(&format!("/sites/{}/members", rig.site_id), &json!({"user_id": rig.technician.id})).await;
    assert_eq!(member.refusal(), (409, "RESOURCE_CONFLICT".to_owned()));
    let stale = admin.request(Method::PUT, &format!("/sites/{}", rig.site_id)).header("If-Match", "\"1\"");
    let stale = admin.send(stale.json(&json!({"name": "Yukon"}))).await;
    assert_eq!(stale.refusal(), (412, "RESOURCE_CONFLICT".to_owned()));
    let users = admin.list("/users?limit=1000", "users").await;
    let last_admin = users.iter().find(|user| user["role"] == "admin").unwrap()["id"].as_str().unwrap();
    for answer in [
        admin.delete(&format!("/users/{last_admin}")).await,
        admin.put(&format!("/users/{last_admin}"), &json!({"role": "viewer"})).await,
    ] {
        assert_eq!(answer.refusal(), (409, "RESOURCE_CONFLICT".to_owned()), "the last admin");
    }
    Rig::assert_unchanged(&before, &rig.everything().await);

    let keyed = async |key: &str, name: &str| {
        let mut body = site.clone();
        let body = body.as_object_mut().unwrap();
        body.retain(|field, _| !["id", "created_at", "updated_at"].contains(&field.as_str()));
        body.insert("name".to_owned(), json!(name));
        admin.send(admin.request(Method::POST, "/sites").header("Idempotency-Key", key).json(&body)).await
    };
    let first = keyed("once", "Yukon").await.ok();
    assert_eq!(keyed("once", "Yukon").await.ok(), first, "the first answer again");
    assert_eq!(keyed("once", "Tagish").await.refusal(), (409, "RESOURCE_CONFLICT".to_owned()));
    let long = "k".repeat(256);
    assert_eq!(keyed(&long, "Tagish").await.refusal(), (422, "VALIDATION_ERROR".to_owned()));
    assert_eq!(admin.list("/sites?limit=1000", "sites").await.len(), 2);
}

/// Whether it is checked beyond what its type says, so that its mistake is told beside others.
fn checked(kind: Kind) -> bool {
    use Kind::{Currency, Email, Key, Number, Object, Password, Text, Zone};
    matches!(kind, Text(_) | Email | Password | Number(..) | Object | Zone | Currency | Key)
}

/// Values of another type than the field's.
fn wrong_types(kind: Kind) -> Vec<Value> {
    match kind {
        Kind::Number(..) => vec![json!("1.5"), json!(true), json!([1.5])],
        Kind::Flag => vec![json!("true"), json!(1)],
        Kind::Object => vec![json!("text"), json!(3), json!([])],
        _ => vec![json!(3), json!(true), json!(["text"]), json!({"text": 1})],
    }
}

/// Values of the field's type that it does not take.
fn out_of_bounds(kind: Kind) -> Vec<Value> {
    match kind {
        Kind::Text(most) => vec![json!("x".repeat(most + 1)), json!(""), json!("  "), json!("a\u{0}b")],
        Kind::Secret | Kind::Flag => Vec::new(),
        Kind::Email => {
            vec![json!("nobody"), json!("a b@example.org"), json!(format!("{}@example.org", "x".repeat(250)))]
        }
        Kind::Password => vec![json!("short"), json!("x".repeat(129))],
        Kind::Site | Kind::User | Kind::Gateway | Kind::Device => vec![json!(Uuid::new_v4()), json!("no-uuid")],
        Kind::Word(_) => vec![json!("sunk"), json!("")],
        Kind::Number(min, max) => vec![json!(min - 0.5), json!(max + 0.5)],
        Kind::Object => vec![json!({"padding": "x".repeat(17 << 10)})],
        Kind::Date => vec![json!("2026-02-30"), json!("yesterday"), json!("2026-02-03T00:00:00Z")],
        Kind::Time(_) => vec![json!("yesterday"), json!("2026-02-30T00:00:00Z"), json!("2026-01-01")],
        Kind::Zone => vec![json!("Alaska"), json!("")],
        Kind::Currency => vec![json!("dollars"), json!("usd")],
        Kind::Key => vec![json!("Turbine 1"), json!(""), json!("x".repeat(64))],
    }
}
