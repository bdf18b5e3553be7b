//! One request to the cloud, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Response, StatusCode, header};
use riverwatts_shared::batch::{self, MEDIA_TYPE};
use riverwatts_shared::bytes::Malformed;
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

/// What is said of a link that delivers other bytes than it was given.
const CHANGED: &str = "the link changes bytes";

/// What became of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is stored.
    Receipt(Box<Receipt>),
    /// Another gateway sends under the same store id.
    Forked,
    /// The cloud will never take this batch as it is.
    Refused(String),
    /// Somebody on the way does not let so much through at once.
    TooLarge(String),
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

    /// Sends an encoded batch. A receipt tells the time.
    pub async fn send(&self, bytes: Bytes) -> Answer {
        let name = batch::name(&bytes).expect("what was encoded has its checksum");
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
            Ok(response) => self.read(response, sent, &name).await,
            Err(error) if error.is_connect() || error.is_builder() => Answer::Unreachable(told(&error)),
            Err(error) => Answer::Unclear(told(&error)),
        }
    }

    async fn read(&self, response: Response, sent: Duration, name: &str) -> Answer {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let most = if status == StatusCode::OK { receipt::BYTES_MAX } else { WORDS_BYTES_MAX };
        let body = match body(response, most).await {
            Ok(body) => body,
            Err(words) => return Answer::Unclear(words),
        };
        match status {
            StatusCode::OK => match Receipt::from_short(&body) {
                Ok((receipt, answered_at)) => {
                    self.time.observe_date(to_the_second(answered_at), sent);
                    Answer::Receipt(Box::new(receipt))
                }
                Err(Malformed::Damaged) => Answer::Unclear(format!("{CHANGED}: its receipt is not what it sent")),
                Err(error) => Answer::Unclear(format!("its receipt cannot be read: {error}")),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Answer::Stranger(words(status, &body)),
            StatusCode::CONFLICT if has_detail(&body, "store", "store_forked") => Answer::Forked,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Answer::Later(retry_after.map(|pause| pause.min(RETRY_AFTER_MAX)), words(status, &body))
            }
            StatusCode::PAYLOAD_TOO_LARGE => Answer::TooLarge(words(status, &body)),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if has_detail(&body, "batch", name) => {
                Answer::Refused(words(status, &body))
            }
            // Whoever refuses has not received what was sent, or is no cloud of ours.
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                Answer::Unclear(format!("{CHANGED}: {}", words(status, &body)))
            }
            // A failure may have come after the commit; anything else is no cloud of ours.
            status if status.is_server_error() => Answer::Unclear(words(status, &body)),
            status => Answer::Later(None, words(status, &body)),
        }
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

/// As a `Date` has it.
fn to_the_second(at: UtcMs) -> UtcMs {
    at.plus_ms(-at.0.rem_euclid(1_000))
}

fn error(body: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(body).ok().map(|mut body| body["error"].take())
}

/// What the cloud says, for people.
fn words(status: StatusCode, body: &[u8]) -> String {
    let error = error(body).unwrap_or_default();
    let details = error["details"].as_array().into_iter().flatten();
    let details: Vec<String> = details
        .filter(|detail| detail["field"] != "batch")
        .filter_map(|detail| Some(format!("{}: {}", detail["field"].as_str()?, detail["message"].as_str()?)))
        .collect();
    match (error["message"].as_str(), details.is_empty()) {
        (Some(message), true) => format!("{message} ({})", status.as_u16()),
        (Some(message), false) => format!("{message} ({}; {})", status.as_u16(), details.join("; ")),
        (None, _) => format!("it answers {status}"),
    }
}

fn has_detail(body: &[u8], field: &str, message: &str) -> bool {
    let error = error(body).unwrap_or_default();
    let mut details = error["details"].as_array().into_iter().flatten();
    details.any(|detail| detail["field"] == field && detail["message"] == message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_the_clouds_words() {
        let body =
            br#"{"error": {"message": "Request validation failed", "details": [{"field": "a", "message": "b"}]}}"#;
        assert_eq!(words(StatusCode::BAD_REQUEST, body), "Request validation failed (400; a: b)");
        assert_eq!(words(StatusCode::NOT_FOUND, b"<html>"), "it answers 404 Not Found");
        assert!(has_detail(body, "a", "b"));
        assert!(!has_detail(body, "a", "c"));
        assert!(!has_detail(b"<html>", "a", "b"));
    }
}
