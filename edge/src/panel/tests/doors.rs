//! What changes something, and who may have it done.

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};

use super::site::Client;
use super::*;
use crate::passwd;

const PASSWORD: &str = "correct horse";
/// Everything that changes something, with a body that it takes.
const DOORS: [(&str, &str); 5] = [
    ("/api/clock", r#"{"time": "1970-01-01T00:01:00Z"}"#),
    ("/api/dead-letters/3/resend", ""),
    ("/api/dead-letters/3/discard", ""),
    ("/api/dead-letters/resend", "{}"),
    ("/api/dead-letters/discard", "{}"),
];

impl Client {
    async fn send(&self, path: &str, body: &str, headers: &[(&'static str, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let mut headers = HeaderMap::from_iter(headers);
        if !body.is_empty() && !headers.contains_key("content-type") {
            headers.insert("content-type", "application/json".parse().unwrap());
        }
        let request = self.http.request(Method::POST, format!("{}{path}", self.base)).headers(headers);
        request.body(body.to_owned()).send().await.unwrap()
    }

    /// Status, code and message of an answer.
    async fn told(&self, path: &str, body: &str, headers: &[(&'static str, &str)]) -> (u16, String, String) {
        let answer = self.send(path, body, headers).await;
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default());
        let said = |key: &str| body["error"][key].as_str().unwrap_or_default().to_owned();
        (status, said("code"), said("message"))
    }

    async fn sign_in(&self, password: &str) -> Response {
        self.send("/api/sign-in", &json!({"password": password}).to_string(), &[]).await
    }

    /// Sets the password and signs in; gives what the browser would send.
    async fn signed_in(&self) -> String {
        passwd::set(self.folder.path(), PASSWORD).unwrap();
        let answer = self.sign_in(PASSWORD).await;
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        let (pair, rest) = cookie.split_once(';').unwrap();
        assert_eq!(rest, " HttpOnly; SameSite=Strict; Path=/; Max-Age=43200");
        pair.to_owned()
    }

    async fn session(&self, cookie: &str) -> Value {
        let asked = self.http.get(format!("{}/api/session", self.base)).header("cookie", cookie);
        asked.send().await.unwrap().json().await.unwrap()
    }
}

#[tokio::test]
async fn without_a_password_nothing_is_changed_and_the_remedy_is_told() {
    let client = Client::start().await;
    assert_eq!(client.get("/api/session").await, (200, json!({"signed_in": false, "password_set": false})));
    for (path, body) in DOORS.into_iter().chain([("/api/sign-in", r#"{"password": "correct horse"}"#)]) {
        let (status, code, message) = client.told(path, body, &[]).await;
        assert_eq!((status, code.as_str()), (403, "PERMISSION_DENIED"), "{path}");
        assert!(message.contains("riverwatts-edge passwd"), "{message}");
    }
}

#[tokio::test]
async fn every_door_needs_the_session_that_the_password_opens() {
    let client = Client::start().await;
    let cookie = client.signed_in().await;
    for (path, body) in DOORS {
        for wrong in ["", "riverwatts_panel=", "riverwatts_panel=0123", &cookie.replace("panel=", "panel=0")] {
            let (status, code, _) = client.told(path, body, &[("cookie", wrong)]).await;
            assert_eq!((status, code.as_str()), (401, "AUTH_REQUIRED"), "{path} {wrong}");
        }
        let among = format!("other=1; {cookie}");
        assert_eq!(client.told(path, body, &[("cookie", &among)]).await.0, 200, "{path}");
    }
    assert_eq!(client.session(&cookie).await, json!({"signed_in": true, "password_set": true}));
    assert_eq!(client.send("/api/sign-out", "", &[("cookie", &cookie)]).await.status(), 204);
    assert_eq!(client.session(&cookie).await, json!({"signed_in": false, "password_set": true}));
    assert_eq!(client.told(DOORS[0].0, DOORS[0].1, &[("cookie", &cookie)]).await.0, 401);
}

#[tokio::test]
async fn a_session_ends_with_its_password_and_after_half_a_day() {
    let client = Client::start().await;
    let first = client.signed_in().await;
    passwd::set(client.folder.path(), "battery staple").unwrap();
    assert_eq!(client.told(DOORS[3].0, DOORS[3].1, &[("cookie", &first)]).await.0, 401, "the new one holds at once");
    assert_eq!(client.sign_in(PASSWORD).await.status(), 401);
    let second = client.signed_in().await;
    client.clock.advance(Duration::from_secs(12 * 3_600));
    assert_eq!(client.session(&second).await["signed_in"], false);
    passwd::remove(client.folder.path()).unwrap();
    assert_eq!(client.told(DOORS[3].0, DOORS[3].1, &[("cookie", &second)]).await.0, 403);
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing_and_a_foreign_name_shows_nothing() {
    let client = Client::start().await;
    let cookie = client.signed_in().await;
    let host = client.base.strip_prefix("http://").unwrap();
    let credentials = json!({"password": PASSWORD}).to_string();
    for (path, body) in DOORS.into_iter().chain([("/api/sign-in", credentials.as_str()), ("/api/sign-out", "")]) {
        for foreign in [("origin", "http://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
            let (status, code, _) = client.told(path, body, &[("cookie", &cookie), foreign]).await;
            assert_eq!((status, code.as_str()), (403, "PERMISSION_DENIED"), "{path} {foreign:?}");
        }
        let own = client.send(path, body, &[("cookie", &cookie), ("origin", &client.base)]).await;
        assert!(own.status().is_success(), "{path} {host}");
    }
    let answer = client.http.get(format!("{}/api/site", client.base)).header("host", "evil.example").send().await;
    assert_eq!(answer.unwrap().status(), 403);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let client = Client::start().await;
    client.signed_in().await;
    for _ in 0..5 {
        assert_eq!(client.sign_in("incorrect horse").await.status(), 401);
    }
    let answer = client.sign_in(PASSWORD).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "RATE_LIMIT_EXCEEDED");
    client.clock.advance(Duration::from_secs(1));
    assert_eq!(client.sign_in(PASSWORD).await.status(), 200);
}

#[tokio::test]
async fn a_body_is_json_of_a_known_shape_and_not_long() {
    let client = Client::start().await;
    let cookie = client.signed_in().await;
    let long = format!("{{\"password\": \"{}\"}}", "x".repeat(8_000));
    for (path, body, content_type, expected) in [
        ("/api/sign-in", "{}", "application/json", 422),
        ("/api/sign-in", r#"{"password": "correct horse", "user": "root"}"#, "application/json", 422),
        ("/api/sign-in", "{", "application/json", 400),
        ("/api/sign-in", r#"{"password": "correct horse"}"#, "text/plain", 415),
        ("/api/sign-in", "password=correct+horse", "application/x-www-form-urlencoded", 415),
        ("/api/sign-in", &long, "application/json", 413),
        ("/api/clock", r#"{"time": "yesterday"}"#, "application/json", 422),
        ("/api/clock", r#"{"time": "1970-01-01T00:00:00Z"}"#, "text/plain", 415),
        ("/api/dead-letters/resend", r#"{"code": "lost"}"#, "application/json", 422),
    ] {
        let (status, code, _) = client.told(path, body, &[("cookie", &cookie), ("content-type", content_type)]).await;
        assert_eq!((status, code.as_str()), (expected, "VALIDATION_ERROR"), "{path} {body:.40}");
    }
}

#[tokio::test]
async fn the_time_of_a_phone_is_taken_or_refused_with_what_to_do() {
    let client = Client::start().await;
    let cookie = client.signed_in().await;
    let answer = client.send("/api/clock", DOORS[0].1, &[("cookie", &cookie)]).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["time"], "1970-01-01T00:01:01.000Z");
    let (status, code, message) =
        client.told("/api/clock", r#"{"time": "2026-01-01T00:00:00Z"}"#, &[("cookie", &cookie)]).await;
    assert_eq!((status, code.as_str()), (409, "RESOURCE_CONFLICT"));
    assert!(message.contains("days ahead") && message.contains("look at the date of this phone"), "{message}");
}

#[tokio::test]
async fn refused_readings_are_listed_grouped_and_ended() {
    let client = Client::start().await;
    let (_, body) = client.get("/api/dead-letters?limit=2").await;
    assert_eq!((&body["dead_letters"][0]["id"], &body["next_cursor"]), (&json!(3), &json!("2")));
    assert_eq!(body["dead_letters"][0]["reading"]["power_output_kw"], 12.345);
    let (_, rest) = client.get("/api/dead-letters?limit=2&cursor=2").await;
    assert_eq!((&rest["dead_letters"][0]["reading"], &rest["next_cursor"]), (&Value::Null, &Value::Null));
    let (_, of_one) = client.get("/api/dead-letters?code=conflict&device=meter-1").await;
    assert_eq!(of_one["dead_letters"].as_array().unwrap().len(), 2);
    for query in ["limit=0", "limit=1001", "cursor=x", "code=lost", "order=asc"] {
        assert_eq!(client.get(&format!("/api/dead-letters?{query}")).await.0, 422, "{query}");
    }
    let (_, groups) = client.get("/api/dead-letters/groups").await;
    let group = &groups["groups"][1];
    assert_eq!(
        (&group["device"], &group["code"], &group["count"]),
        (&json!("meter-2"), &json!("quarantined_time"), &json!(2_000))
    );
    assert!(group["meaning"].as_str().unwrap().contains("ahead of the cloud's clock"));

    let cookie = client.signed_in().await;
    let end = async |path: &str, body: &str| {
        let answer = client.send(path, body, &[("cookie", &cookie)]).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["count"].as_u64())
    };
    assert_eq!(end("/api/dead-letters/3/resend", "").await, (200, Some(1)));
    assert_eq!(end("/api/dead-letters/9/discard", "").await, (404, None));
    assert_eq!(end("/api/dead-letters/x/discard", "").await, (404, None));
    assert_eq!(end("/api/dead-letters/resend", r#"{"code": "conflict"}"#).await, (200, Some(2)));
    assert_eq!(end("/api/dead-letters/discard", r#"{"device": "meter-2"}"#).await, (200, Some(1)));
    assert_eq!(end("/api/dead-letters/discard", "{}").await, (200, Some(3)));
}
