//! One request to the cloud, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::fmt::rfc2822;
use reqwest::{Response, StatusCode, header};
use riverwatts_shared::batch::MEDIA_TYPE;
use riverwatts_shared::receipt::{self, Receipt};
use riverwatts_shared::time::UtcMs;
use serde_json::Value;

use crate::clock::SiteTime;
use crate::enroll::{Credential, told};

/// How long an answer may take, once everything is sent.
const ANSWER: Duration = Duration::from_secs(30);
/// The slowest link that is waited for, in bytes a second.
const SLOWEST: u64 = 1_024;
/// Most bytes of an answer that is no receipt.
const WORDS_BYTES_MAX: usize = 64 << 10;
/// Longest pause that the cloud may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What became of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is stored.
    Receipt(Box<Receipt>),
    /// Another gateway sends under the same store id.
    Forked,
    /// The cloud will never take this batch as it is.
    Refused(String),
    /// The cloud does not know the credential any more.
    Stranger(String),
    /// Not now; perhaps it says when.
    Later(Option<Duration>, String),
    /// It was not sent.
    Unreachable(String),
    /// It was sent; whether it is stored is not known.
    Unclear(String),
}

/// The cloud, as this gateway.
#[derive(Debug)]
pub struct Cloud {
    http: reqwest::Client,
    address: String,
    credential: Credential,
    time: Arc<SiteTime>,
}

impl Cloud {
    /// The cloud at this base address.
    pub fn new(http: reqwest::Client, url: &str, credential: Credential, time: Arc<SiteTime>) -> Self {
        Cloud { http, address: format!("{url}/api/v1/sync/batches"), credential, time }
    }

    /// Sends an encoded batch. The `Date` of a receipt tells the time.
    pub async fn send(&self, bytes: Bytes) -> Answer {
        let timeout = ANSWER + Duration::from_secs(bytes.len() as u64 / SLOWEST);
        let request = self
            .http
            .post(&self.address)
            .bearer_auth(&self.credential.credential)
            .header(header::CONTENT_TYPE, MEDIA_TYPE)
            .header(header::ACCEPT, receipt::MEDIA_TYPE)
            .body(bytes)
            .timeout(timeout);
        let sent = self.time.monotonic();
        match request.send().await {
            Ok(response) => self.read(response, sent).await,
            Err(error) if error.is_connect() || error.is_builder() => Answer::Unreachable(told(&error)),
            Err(error) => Answer::Unclear(told(&error)),
        }
    }

    async fn read(&self, response: Response, sent: Duration) -> Answer {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        if let Some(date) = header(header::DATE).and_then(date).filter(|_| status == StatusCode::OK) {
            self.time.observe_date(date, sent);
        }
        let is_short = header(header::CONTENT_TYPE) == Some(receipt::MEDIA_TYPE);
        let most = if status == StatusCode::OK { receipt::BYTES_MAX } else { WORDS_BYTES_MAX };
        let body = match body(response, most).await {
            Ok(body) => body,
            Err(words) => return Answer::Unclear(words),
        };
        match status {
            StatusCode::OK if is_short => receipt_of(Receipt::from_short(&body)),
            StatusCode::OK => receipt_of(serde_json::from_slice(&body)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Answer::Stranger(words(status, &body)),
            StatusCode::CONFLICT if is_forked(&body) => Answer::Forked,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Answer::Later(retry_after.map(|pause| pause.min(RETRY_AFTER_MAX)), words(status, &body))
            }
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Answer::Refused(words(status, &body))
            }
            // A failure may have come after the commit; anything else is no cloud of ours.
            status if status.is_server_error() => Answer::Unclear(words(status, &body)),
            status => Answer::Later(None, words(status, &body)),
        }
    }
}

fn receipt_of(read: Result<Receipt, impl std::fmt::Display>) -> Answer {
    match read {
        Ok(receipt) => Answer::Receipt(Box::new(receipt)),
        Err(error) => Answer::Unclear(format!("its receipt cannot be read: {error}")),
    }
}

async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| told(&error))? {
        if body.len() + chunk.len() > most {
            return Err(format!("its answer is longer than {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn date(text: &str) -> Option<UtcMs> {
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp().into())
}

fn error(body: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(body).ok().map(|mut body| body["error"].take())
}

/// What the cloud says, for people.
fn words(status: StatusCode, body: &[u8]) -> String {
    let error = error(body).unwrap_or_default();
    let details = error["details"].as_array().into_iter().flatten();
    let details: Vec<String> = details
        .filter_map(|detail| Some(format!("{}: {}", detail["field"].as_str()?, detail["message"].as_str()?)))
        .collect();
    match (error["message"].as_str(), details.is_empty()) {
        (Some(message), true) => format!("{message} ({})", status.as_u16()),
        (Some(message), false) => format!("{message} ({}; {})", status.as_u16(), details.join("; ")),
        (None, _) => format!("it answers {status}"),
    }
}

fn is_forked(body: &[u8]) -> bool {
    let error = error(body).unwrap_or_default();
    let mut details = error["details"].as_array().into_iter().flatten();
    details.any(|detail| detail["field"] == "store" && detail["message"] == "store_forked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(date("Tue, 24 Nov 2026 08:15:30 GMT"), "2026-11-24T08:15:30Z".parse().ok());
        assert_eq!(date("now"), None);
    }

    #[test]
    fn errors_are_told_in_the_clouds_words() {
        let body =
            br#"{"error": {"message": "Request validation failed", "details": [{"field": "a", "message": "b"}]}}"#;
        assert_eq!(words(StatusCode::BAD_REQUEST, body), "Request validation failed (400; a: b)");
        assert_eq!(words(StatusCode::NOT_FOUND, b"<html>"), "it answers 404 Not Found");
        assert!(is_forked(br#"{"error": {"details": [{"field": "store", "message": "store_forked"}]}}"#));
        assert!(!is_forked(body));
    }
}
