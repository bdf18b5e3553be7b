//! Who is let in, and what ends a socket.

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use reqwest::Method;
use riverwatts_shared::words::UserRole;
use riverwatts_tests::cloud::{Cloud, JWT_SECRET, PASSWORD};
use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::watcher::{Message, Watcher, request};
use serde_json::{Value, json};

use super::{Site, now, powers};

/// The same token with another end.
fn ending(token: &str, exp_s: i64) -> String {
    let mut validation = Validation::default();
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(JWT_SECRET.as_bytes());
    let mut payload: Value = jsonwebtoken::decode(token, &key, &validation).unwrap().claims;
    payload["exp"] = exp_s.into();
    jsonwebtoken::encode(&Header::default(), &payload, &EncodingKey::from_secret(JWT_SECRET.as_bytes())).unwrap()
}

#[tokio::test]
async fn whoever_may_not_be_there_learns_why_by_the_code() {
    let cloud = Cloud::start().await;
    let site = Site::new(&cloud, "Tanana").await;
    let token = cloud.admin().token().unwrap();
    let ended = cloud.anonymous().signed_in("admin@example.org", PASSWORD).await;
    assert_eq!(ended.post("/auth/logout", &Value::Null).await.status, 204);
    let unknown = uuid::Uuid::from_u128(7);
    for (room, token, code) in [
        ("fleet", "abc", 4401),
        ("fleet", &*ending(token, 1_700_000_000), 4401),
        ("fleet", ended.token().unwrap(), 4401),
        ("fleet", site.gateway.api.token().unwrap(), 4403),
        ("alerts", site.gateway.api.token().unwrap(), 4403),
        (&*format!("site-{unknown}"), token, 4404),
        (&*format!("device-{unknown}"), token, 4404),
        (&*format!("site-{}", site.device_id), token, 4404),
        ("site-", token, 4404),
        ("everything", token, 4404),
    ] {
        assert_eq!(Watcher::with_token(&cloud, room, token).await.closed().await, code, "{room}");
    }
    // Not signed in comes before no such room.
    assert_eq!(Watcher::with_token(&cloud, "everything", "abc").await.closed().await, 4401);
    until(SOON, async || {
        let metrics = cloud.metrics().await;
        if metrics.contains("\nwebsocket_active_connections 0\n") { Ok(()) } else { Err(metrics) }
    })
    .await;
    let _fleet = Watcher::enter(&cloud, "fleet", cloud.admin()).await;
    assert!(cloud.metrics().await.contains("\nwebsocket_active_connections 1\n"));
}

#[tokio::test]
async fn the_token_may_come_as_the_first_message_within_five_seconds() {
    let cloud = Cloud::start().await;
    let mut late = Watcher::open(&cloud, request(&cloud, "fleet")).await.unwrap();
    let mut watcher = Watcher::open(&cloud, request(&cloud, "fleet")).await.unwrap();
    watcher.sign_in(cloud.admin()).await;
    watcher.data("snapshot").await;
    for first in [json!({"type": "resume", "after": {}}), json!({"type": "auth", "token": "abc"}), json!(3)] {
        let mut other = Watcher::open(&cloud, request(&cloud, "fleet")).await.unwrap();
        other.say(&first).await;
        assert_eq!(other.closed().await, 4401, "{first}");
    }
    assert_eq!(late.closed().await, 4401);
    // A token in the address is none.
    let address = request(&cloud, &format!("fleet?token={}", cloud.admin().token().unwrap()));
    let mut other = Watcher::open(&cloud, address).await.unwrap();
    other.say(&json!({"type": "resume", "after": {}})).await;
    assert_eq!(other.closed().await, 4401);
}

#[tokio::test]
async fn a_socket_ends_with_its_token_unless_a_newer_one_comes() {
    let cloud = Cloud::start().await;
    let site = Site::new(&cloud, "Tanana").await;
    let token = cloud.admin().token().unwrap();
    let soon = now().0 / 1_000 + 3;
    let mut short = Watcher::with_token(&cloud, &site.room(), &ending(token, soon)).await;
    let mut renewed = Watcher::with_token(&cloud, &site.room(), &ending(token, soon)).await;
    short.data("snapshot").await;
    renewed.data("snapshot").await;
    renewed.sign_in(cloud.admin()).await;
    assert_eq!(short.closed().await, 4401);
    site.post(now(), 1.0).await;
    assert_eq!(powers(&renewed.data("reading").await), [1.0]);
    let viewer = cloud.person(UserRole::Viewer).await;
    renewed.sign_in(&viewer.api).await;
    assert_eq!(renewed.closed().await, 4401, "it is somebody else's");
}

#[tokio::test]
async fn sign_out_a_new_password_and_deactivation_end_sockets_at_once() {
    let cloud = Cloud::start().await;
    for (method, body) in [
        (Method::POST, Value::Null),
        (Method::PUT, json!({"password": "another password of the tests", "current_password": PASSWORD})),
        (Method::PUT, json!({"is_active": false})),
        (Method::DELETE, Value::Null),
    ] {
        let person = cloud.person(UserRole::Viewer).await;
        let mut watcher = Watcher::enter(&cloud, "fleet", &person.api).await;
        watcher.data("snapshot").await;
        let user = format!("/users/{}", person.id);
        let by_admin = method == Method::DELETE || body["is_active"] == false;
        let api = if by_admin { cloud.admin() } else { &person.api };
        let path = if method == Method::POST { "/auth/logout" } else { &user };
        api.send(api.request(method.clone(), path).json(&body)).await.ok();
        let asked = std::time::Instant::now();
        assert_eq!(watcher.closed().await, 4401, "{method} {body}");
        assert!(asked.elapsed().as_secs() < 5, "{method} {body}");
    }
}

#[tokio::test]
async fn what_a_client_says_goes_nowhere_but_to_itself() {
    let cloud = Cloud::start().await;
    let site = Site::new(&cloud, "Tanana").await;
    let room = format!("device-{}", site.device_id);
    let mut other = Watcher::enter(&cloud, &room, cloud.admin()).await;
    other.data("snapshot").await;
    let mut hostile = Watcher::enter(&cloud, &room, cloud.admin()).await;
    hostile.data("snapshot").await;
    let reading = json!({"type": "device_reading", "device_id": site.device_id, "power_output_kw": 9.0});
    hostile.say(&reading).await;
    assert_eq!(hostile.data("error").await["code"], "PERMISSION_DENIED");
    let wrong = [
        Message::text(""),
        Message::text("{"),
        Message::text("[]"),
        Message::text(r#"{"type": "resume"}"#),
        Message::text(r#"{"type": "resume", "after": {"x": "y"}}"#),
        Message::text(r#"{"type": "snapshot", "data": {}}"#),
        Message::text("[".repeat(10_000)),
        Message::binary(vec![0xFF; 100]),
    ];
    for message in wrong {
        hostile.send(message.clone()).await;
        assert_eq!(hostile.data("error").await["code"], "VALIDATION_ERROR", "{message}");
    }
    for _ in 0..40 {
        hostile.say(&reading).await;
    }
    assert_eq!(hostile.closed().await, 1008);
    let mut large = Watcher::enter(&cloud, &room, cloud.admin()).await;
    large.data("snapshot").await;
    large.send(Message::text("x".repeat(70_000))).await;
    assert_eq!(large.closed().await, 1009);
    // The others heard nothing of all that, and the cloud goes on.
    site.post(now(), 1.0).await;
    assert_eq!(powers(&other.data("reading").await), [1.0]);
}

#[tokio::test]
async fn only_pages_of_this_and_of_listed_origins_come_in() {
    let mut cloud = Cloud::start().await;
    let (listed, unlisted) = ("http://localhost:3000", "http://localhost:3001");
    let preflight = async |cloud: &Cloud, origin: &str| {
        let request = cloud.anonymous().request(Method::OPTIONS, "/auth/login").header("Origin", origin);
        let request = request.header("Access-Control-Request-Method", "POST");
        let answer = request.header("Access-Control-Request-Headers", "content-type").send().await.unwrap();
        answer.headers().get("Access-Control-Allow-Origin").map(|value| value.to_str().unwrap().to_owned())
    };
    let opened = async |cloud: &Cloud, origin: &str| {
        let mut request = request(cloud, "fleet");
        request.headers_mut().insert("Origin", origin.parse().unwrap());
        let mut watcher = Watcher::open(cloud, request).await?;
        watcher.sign_in(cloud.admin()).await;
        watcher.data("snapshot").await;
        Ok::<_, u16>(())
    };
    assert_eq!(opened(&cloud, &cloud.url()).await, Ok(()));
    assert_eq!(opened(&cloud, listed).await, Err(403));
    assert_eq!(preflight(&cloud, listed).await, None);
    cloud.stop().await;
    cloud.set("CORS_ORIGIN", &format!("https://river.example, {listed}"));
    cloud.start_again().await;
    assert_eq!(opened(&cloud, listed).await, Ok(()));
    assert_eq!(opened(&cloud, &cloud.url()).await, Ok(()));
    assert_eq!(opened(&cloud, unlisted).await, Err(403));
    assert_eq!(opened(&cloud, "null").await, Err(403));
    assert_eq!(preflight(&cloud, listed).await.as_deref(), Some(listed));
    assert_eq!(preflight(&cloud, unlisted).await, None);
    // Refusals too are for the page to read.
    let refused = cloud.anonymous().request(Method::GET, "/users").header("Origin", listed).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["Access-Control-Allow-Origin"], listed);
    assert_eq!(refused.headers()["Access-Control-Allow-Credentials"], "true");
}

#[tokio::test]
async fn sockets_are_told_when_the_service_stops() {
    let mut cloud = Cloud::start().await;
    let mut watcher = Watcher::enter(&cloud, "fleet", cloud.admin()).await;
    watcher.data("snapshot").await;
    let (code, ()) = tokio::join!(watcher.closed(), cloud.stop());
    assert_eq!(code, 1001);
}
