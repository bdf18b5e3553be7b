//! The cloud's API as one identity sees it: anonymous, a person, a gateway.

use std::sync::Once;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use riverwatts_shared::batch::{Batch, MEDIA_TYPE};
use serde_json::Value;

/// How long one request may take: longer than the cloud lets it take, so that its own words are heard.
const REQUEST_MAX: Duration = Duration::from_secs(35);

/// One identity at one cloud.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer, with the request that it belongs to.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Method and path.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// All of the body.
    pub body: String,
}

/// A client that goes nowhere but to the loopback.
pub fn http_client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    reqwest::Client::builder().no_proxy().timeout(REQUEST_MAX).build().unwrap()
}

impl Api {
    /// Nobody, at the cloud with this address.
    pub fn anonymous(url: &str) -> Api {
        Api { http: http_client(), base: url.to_owned(), token: None }
    }

    /// The same cloud with another access token or credential.
    pub fn with_token(&self, token: &str) -> Api {
        Api { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Its access token or credential.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Signed in.
    pub async fn signed_in(&self, email: &str, password: &str) -> Api {
        let tokens = self.post("/auth/login", &serde_json::json!({"email": email, "password": password})).await.ok();
        self.with_token(tokens["access_token"].as_str().unwrap())
    }

    /// A request below `/api/v1`, to be completed and given to [`Api::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Sends a request to a cloud that may die of it.
    pub async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let request = request.build().unwrap();
        let told = format!("{} {}", request.method(), request.url().path());
        let answer = self.http.execute(request).await?;
        Ok(Answer { request: told, status: answer.status().as_u16(), body: answer.text().await? })
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT` of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// A batch, as a gateway sends it.
    pub async fn send_batch(&self, batch: &Batch) -> Answer {
        self.send_batch_bytes(batch.encode()).await
    }

    /// The bytes of a batch, good or not.
    pub async fn send_batch_bytes(&self, bytes: Vec<u8>) -> Answer {
        self.send(self.batch(bytes)).await
    }

    /// The request of a batch.
    pub fn batch(&self, bytes: Vec<u8>) -> RequestBuilder {
        let request = self.request(Method::POST, "/sync/batches").header("Content-Type", MEDIA_TYPE);
        request.header("Accept", "application/json").body(bytes)
    }

    /// Every row of a list, over all its pages. `path` has a query already.
    pub async fn list(&self, path: &str, noun: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut page = self.get(&format!("{path}{cursor}")).await.ok();
            rows.append(page[noun].as_array_mut().unwrap_or_else(|| panic!("{path}: no `{noun}`")));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }
}

impl Answer {
    /// The body of a successful answer; `null` when it is empty.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.json()
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Status and code of a refusal, which must have the one shape of errors.
    #[track_caller]
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let error = &body["error"];
        for key in ["message", "timestamp", "request_id", "code"] {
            assert!(error[key].as_str().is_some_and(|text| !text.is_empty()), "no `{key}` in {self:?}");
        }
        assert!(error["details"].is_array() || error["details"].is_null(), "{self:?}");
        (self.status, error["code"].as_str().unwrap().to_owned())
    }

    /// What is wrong with which fields: `field: message`.
    pub fn details(&self) -> Vec<String> {
        let body = self.json();
        let details = body["error"]["details"].as_array().cloned().unwrap_or_default();
        let told =
            |detail: &Value| format!("{}: {}", detail["field"].as_str().unwrap(), detail["message"].as_str().unwrap());
        details.iter().map(told).collect()
    }
}
