//! Callers without a right: no token, a forged, an expired, an ended one, a revoked gateway, and
//! whoever has another role.

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use riverwatts_tests::api::{Answer, Api};
use riverwatts_tests::cloud::{JWT_SECRET, PASSWORD};
use serde_json::{Value, json};

use super::endpoints::{ENDPOINTS, Endpoint, Takes, Who};
use super::rig::Rig;

/// Asks with a request that would be good from somebody else.
async fn ask(rig: &Rig, api: &Api, endpoint: &Endpoint) -> Answer {
    let request = api.request(endpoint.method.parse().unwrap(), &rig.fill(endpoint.path));
    let request = match endpoint.takes {
        Takes::Json(fields) => request.json(&rig.good_body(fields)),
        Takes::Batch => request.header("Content-Type", riverwatts_shared::batch::MEDIA_TYPE).body(Vec::new()),
        Takes::Carried => request.header("Content-Type", riverwatts_shared::carry::MEDIA_TYPE).body(Vec::new()),
        Takes::Readings => request.json(&json!([])),
        Takes::Nothing => request,
    };
    api.send(request).await
}

/// The payload of an access token.
fn payload(token: &str) -> Value {
    let mut validation = Validation::default();
    validation.required_spec_claims.clear();
    jsonwebtoken::decode(token, &DecodingKey::from_secret(JWT_SECRET.as_bytes()), &validation).unwrap().claims
}

fn sign(payload: &Value, secret: &str) -> String {
    jsonwebtoken::encode(&Header::default(), payload, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

#[tokio::test]
async fn only_a_good_token_opens_anything() {
    let rig = Rig::new().await;
    let anonymous = rig.cloud.anonymous();
    let login = json!({"email": "admin@example.org", "password": PASSWORD});
    let tokens = anonymous.post("/auth/login", &login).await.ok();
    let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let with = |changes: Value| {
        let mut payload = payload(access);
        payload.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        payload
    };
    let resigned = sign(&payload(access), JWT_SECRET);
    assert_eq!(anonymous.with_token(&resigned).get("/users").await.status, 200, "the tests sign as the cloud does");

    let viewer_as_admin = sign(&with(json!({"user_id": rig.viewer.id})), "another secret of at least 32 characters");
    let expired = sign(&with(json!({"exp": 1_700_000_000})), JWT_SECRET);
    let (unsigned, _) = resigned.rsplit_once('.').unwrap();
    let (_, claims) = unsigned.split_once('.').unwrap();
    let headless = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    let other_signature = format!("{unsigned}.{}", viewer_as_admin.rsplit_once('.').unwrap().1);
    let ended = anonymous.signed_in("admin@example.org", PASSWORD).await;
    assert_eq!(ended.post("/auth/logout", &Value::Null).await.status, 204);
    let revoked = rig.cloud.enrolled_gateway(&rig.site_id).await;
    rig.cloud.admin().post(&format!("/gateways/{}/revoke", revoked.id), &Value::Null).await.ok();
    let before = rig.everything().await;

    let invalid = [
        anonymous.with_token("abc"),
        anonymous.with_token(""),
        anonymous.with_token(&viewer_as_admin),
        anonymous.with_token(&headless),
        anonymous.with_token(&other_signature),
        anonymous.with_token(refresh),
        anonymous.with_token("rwg_0000000000000000000000000000000000000000000000000000000000000000"),
        ended,
        revoked.api,
    ];
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.who != Who::Anybody) {
        let answer = ask(&rig, &anonymous, endpoint).await;
        assert_eq!(answer.refusal(), (401, "AUTH_REQUIRED".to_owned()), "{endpoint:?}");
        let answer = ask(&rig, &anonymous.with_token(&expired), endpoint).await;
        assert_eq!(answer.refusal(), (401, "AUTH_EXPIRED".to_owned()), "{endpoint:?}");
        for (number, api) in invalid.iter().enumerate() {
            let answer = ask(&rig, api, endpoint).await;
            assert_eq!(answer.refusal(), (401, "AUTH_INVALID".to_owned()), "token {number} at {endpoint:?}");
        }
        let request = anonymous.request(endpoint.method.parse().unwrap(), &rig.fill(endpoint.path));
        let answer = anonymous.send(request.basic_auth("admin@example.org", Some(PASSWORD))).await;
        assert_eq!(answer.refusal(), (401, "AUTH_INVALID".to_owned()), "{endpoint:?}");
    }
    Rig::assert_unchanged(&before, &rig.everything().await);
}

#[tokio::test]
async fn what_is_another_role_s_is_refused_before_anything_is_looked_at() {
    let rig = Rig::new().await;
    let before = rig.everything().await;
    let people = [&rig.technician.api, &rig.viewer.api, &rig.customer.api];
    for endpoint in ENDPOINTS {
        let strangers: Vec<&Api> = match endpoint.who {
            Who::Anybody => Vec::new(),
            Who::Person => vec![&rig.gateway.api],
            Who::Admin => people.into_iter().chain([&rig.gateway.api]).collect(),
            Who::AdminOrTechnician => vec![&rig.viewer.api, &rig.customer.api, &rig.gateway.api],
            Who::Gateway => people.into_iter().chain([rig.cloud.admin()]).collect(),
            Who::AdminOrThatGateway => people.to_vec(),
        };
        for api in strangers {
            let answer = ask(&rig, api, endpoint).await;
            assert_eq!(answer.refusal(), (403, "PERMISSION_DENIED".to_owned()), "{endpoint:?}");
            // Not even whether the request is good.
            let path = endpoint
                .path
                .replace("{id}", "no-uuid")
                .replace("{user_id}", "no-uuid")
                .replace("{version}", "no-uuid");
            let broken = api.request(endpoint.method.parse().unwrap(), &path).body("{");
            let answer = api.send(broken).await;
            assert_eq!(answer.refusal(), (403, "PERMISSION_DENIED".to_owned()), "{endpoint:?} with a bad request");
        }
    }
    // Another gateway, another person: as if there were none.
    let other = rig.cloud.enrolled_gateway(&rig.site_id).await;
    let rotated = other.api.post(&format!("/gateways/{}/rotate", rig.gateway.id), &Value::Null).await;
    assert_eq!(rotated.refusal(), (404, "RESOURCE_NOT_FOUND".to_owned()));
    let path = format!("/users/{}", rig.customer.id);
    for answer in [rig.viewer.api.get(&path).await, rig.viewer.api.put(&path, &json!({"first_name": "Eve"})).await] {
        assert_eq!(answer.refusal(), (404, "RESOURCE_NOT_FOUND".to_owned()));
    }
    // Of one's own account, what is not one's own to change.
    let own = format!("/users/{}", rig.viewer.id);
    for change in [json!({"role": "admin"}), json!({"is_active": false}), json!({"email_verified": true})] {
        let answer = rig.viewer.api.put(&own, &change).await;
        assert_eq!(answer.refusal(), (403, "PERMISSION_DENIED".to_owned()), "{change}");
    }
    let mut after = rig.everything().await;
    after["gateways"].as_array_mut().unwrap().retain(|gateway| gateway["id"] != json!(other.id));
    Rig::assert_unchanged(&before, &after);
}

#[tokio::test]
async fn wrong_secrets_are_invalid_and_guessing_them_is_slowed() {
    let rig = Rig::new().await;
    let anonymous = rig.cloud.anonymous();
    for (path, body) in [
        ("/auth/login", json!({"email": "nobody@example.org", "password": PASSWORD})),
        ("/auth/refresh", json!({"refresh_token": "abc"})),
        ("/gateways/enroll", json!({"code": "0000-0000-0000-0000"})),
    ] {
        assert_eq!(anonymous.post(path, &body).await.refusal(), (401, "AUTH_INVALID".to_owned()), "{path}");
    }
    let (_, code) = rig.cloud.gateway(&rig.site_id).await;
    anonymous.post("/gateways/enroll", &json!({"code": code})).await.ok();
    let again = anonymous.post("/gateways/enroll", &json!({"code": code})).await;
    assert_eq!(again.refusal(), (401, "AUTH_INVALID".to_owned()), "a code works once");

    let guess = json!({"email": "admin@example.org", "password": "a wrong password"});
    let mut refusals = Vec::new();
    for _ in 0..12 {
        refusals.push(anonymous.post("/auth/login", &guess).await.refusal());
    }
    assert_eq!(refusals[0], (401, "AUTH_INVALID".to_owned()));
    assert_eq!(refusals[11], (429, "RATE_LIMIT_EXCEEDED".to_owned()));
}
