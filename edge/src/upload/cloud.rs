//! One request to the cloud, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode, header};
use jiff::fmt::rfc2822;
use riverwatts_shared::batch::{self, MEDIA_TYPE};
use riverwatts_shared::bytes::Malformed;
use riverwatts_shared::receipt::{self, Receipt};
use riverwatts_shared::time::UtcMs;
use serde_json::Value;

use super::socket::Http;
use crate::clock::SiteTime;
use crate::enroll::{Credential, causes};

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
pub(super) enum Answer {
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
    /// It was sent; whether it is stored is not known. Perhaps the cloud says when to ask again.
    Unclear(Option<Duration>, String),
}

/// The cloud, as this gateway.
#[derive(Debug)]
pub(super) struct Cloud {
    http: Http,
    address: String,
    credential: Credential,
    time: Arc<SiteTime>,
}

impl Cloud {
    /// The cloud at this base address.
    pub(super) fn new(http: Http, url: &str, credential: Credential, time: Arc<SiteTime>) -> Self {
        Cloud { http, address: batches_of(url), credential, time }
    }

    /// Sends an encoded batch. A receipt tells the time.
    pub(super) async fn send(&self, bytes: Bytes) -> Answer {
        let name = batch::name(&bytes).expect("what was encoded has its checksum");
        let within = ANSWER + Duration::from_secs(bytes.len() as u64 / SLOWEST);
        let request = Request::post(&self.address)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.credential.credential))
            .header(header::CONTENT_TYPE, MEDIA_TYPE)
            .header(header::ACCEPT, receipt::MEDIA_TYPE)
            .body(Full::new(bytes));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Answer::Unreachable(error.to_string()),
        };
        let sent = self.time.monotonic();
        let exchange = async {
            match self.http.request(request).await {
                Ok(response) => self.read(response, sent, &name).await,
                Err(error) if error.is_connect() => Answer::Unreachable(causes(&error)),
                Err(error) => Answer::Unclear(None, causes(&error)),
            }
        };
        let answered = tokio::time::timeout(within, exchange).await;
        answered.unwrap_or_else(|_| Answer::Unclear(None, "no answer in time".to_owned()))
    }

    async fn read(&self, response: Response<Incoming>, sent: Duration, name: &str) -> Answer {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let said = header(header::DATE).and_then(date);
        let now = said.unwrap_or_else(|| self.time.now().unwrap_or_else(|| self.time.wall()));
        let again = header(header::RETRY_AFTER).and_then(|text| retry_after(text, now));
        let most = if status == StatusCode::OK { receipt::BYTES_MAX } else { WORDS_BYTES_MAX };
        let body = match body(response.into_body(), most).await {
            Ok(body) => body,
            Err(words) => return Answer::Unclear(again, words),
        };
        match status {
            StatusCode::OK => match Receipt::from_short(&body) {
                Ok((receipt, answered_at)) => {
                    self.time.observe_date(to_the_second(answered_at), sent);
                    Answer::Receipt(Box::new(receipt))
                }
                Err(Malformed::Damaged) => Answer::Unclear(None, format!("{CHANGED}: its receipt is not what it sent")),
                Err(error) => Answer::Unclear(None, format!("its receipt cannot be read: {error}")),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Answer::Stranger(words(status, &body)),
            StatusCode::CONFLICT if has_detail(&body, "store", "store_forked") => Answer::Forked,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Answer::Later(again, words(status, &body))
            }
            // Too large for now only, when it says when it is not.
            StatusCode::PAYLOAD_TOO_LARGE if again.is_some() => Answer::Later(again, words(status, &body)),
            StatusCode::PAYLOAD_TOO_LARGE => Answer::TooLarge(words(status, &body)),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if has_detail(&body, "batch", name) => {
                Answer::Refused(words(status, &body))
            }
            // Whoever refuses has not received what was sent, or is no cloud of ours.
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                Answer::Unclear(again, format!("{CHANGED}: {}", words(status, &body)))
            }
            // A failure may have come after the commit; anything else is no cloud of ours.
            status if status.is_server_error() => Answer::Unclear(again, words(status, &body)),
            status => Answer::Later(again, words(status, &body)),
        }
    }
}

/// Where batches go, without a name and password that the address may carry.
fn batches_of(url: &str) -> String {
    let mut address = format!("{url}/api/v1/sync/batches");
    if let Ok(mut parsed) = reqwest::Url::parse(&address) {
        // Refused only for addresses without a host.
        let _ = parsed.set_password(None);
        let _ = parsed.set_username("");
        address = parsed.to_string();
    }
    address
}

async fn body(mut incoming: Incoming, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(chunk) = frame.map_err(|error| causes(&error))?.into_data() else { continue };
        if body.len() + chunk.len() > most {
            return Err(format!("its answer is longer than {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// How long an answer of `now` asks to wait, by seconds or by a date; an absurd wish is bounded.
fn retry_after(text: &str, now: UtcMs) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let pause = match is_number {
        true => text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs),
        false => Duration::from_millis(date(text)?.since_ms(now).max(0).unsigned_abs()),
    };
    Some(pause.min(RETRY_AFTER_MAX))
}

fn date(text: &str) -> Option<UtcMs> {
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp().into())
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
    fn dates_of_http_are_read() {
        assert_eq!(date("Tue, 24 Nov 2026 08:15:30 GMT"), "2026-11-24T08:15:30Z".parse().ok());
        assert_eq!(date("now"), None);
    }

    #[test]
    fn the_cloud_asks_to_wait_by_seconds_or_by_a_date_and_never_for_long() {
        let now = date("Tue, 24 Nov 2026 08:15:30 GMT").unwrap();
        for (text, waits_s) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("86400", Some(3_600)),
            ("99999999999999999999999", Some(3_600)),
            ("Tue, 24 Nov 2026 08:17:00 GMT", Some(90)),
            ("Tue, 24 Nov 2026 08:15:00 GMT", Some(0)),
            ("Sat, 24 Nov 2096 08:15:00 GMT", Some(3_600)),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now), waits_s.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn no_name_or_password_goes_with_the_address() {
        assert_eq!(batches_of("https://a:b@cloud.example/x"), "https://cloud.example/x/api/v1/sync/batches");
    }

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
