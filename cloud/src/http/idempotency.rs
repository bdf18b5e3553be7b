//! `Idempotency-Key` on requests that create: the same key and body get the first answer again,
//! the same key with another request 409.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, Limited};
use uuid::Uuid;

use super::error::{ApiError, FieldError};
use super::extract::SignedIn;
use super::frame::REQUEST;
use super::{AppState, BODY_BYTES_MAX};
use crate::auth::secret;
use crate::store::idempotency::{self, Answer, Begun};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// Runs the request at most once for each key of a person.
pub async fn once(State(app): State<AppState>, request: Request, next: Next) -> Result<Response, ApiError> {
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    let person = SignedIn::from_request_parts(&mut parts, &app).await?;
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            ApiError::too_large(BODY_BYTES_MAX)
        } else {
            ApiError::malformed("The body ended before it was complete")
        }
    })?;
    let body = body.to_bytes();
    let hash = secret::hash(&format!("{} {} {}", parts.method, parts.uri, secret::hash_bytes(&body)));
    match idempotency::begin(&app.db, person.user_id, &key, &hash, app.clock.wall()).await? {
        Begun::First => {
            let request = Request::from_parts(parts, Body::from(body));
            let context = REQUEST.get();
            // In a task of its own: a caller that hangs up and asks again finds the answer, not a torn end.
            let running = REQUEST.scope(context, async move { run(&app, person.user_id, &key, request, next).await });
            match tokio::spawn(running).await {
                Ok(answered) => answered,
                Err(ended) => match ended.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(cancelled) => Err(ApiError::unavailable(cancelled)),
                },
            }
        }
        Begun::Running => Err(refused("the first request with this key has not ended")),
        Begun::OtherRequest => Err(refused("was used for another request")),
        Begun::Answered(answer) => Ok(again(answer)),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        // A tab is text of headers, but not printable.
        Ok(key) if !key.is_empty() && key.len() <= KEY_BYTES_MAX && !key.contains('\t') => Ok(Some(key.to_owned())),
        _ => Err(ApiError::invalid("Idempotency-Key", format!("is 1 to {KEY_BYTES_MAX} printable ASCII characters"))),
    }
}

fn refused(message: &str) -> ApiError {
    ApiError::conflict("Idempotency-Key refused", vec![FieldError::new("Idempotency-Key", message)])
}

/// A request that was refused did nothing, so its key may be used again.
async fn run(app: &AppState, user_id: Uuid, key: &str, request: Request, next: Next) -> Result<Response, ApiError> {
    let response = next.run(request).await;
    if !response.status().is_success() {
        idempotency::forget(&app.db, user_id, key).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body: Bytes = body.collect().await.map_err(ApiError::internal)?.to_bytes();
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let answer = Answer {
        status: parts.status.as_u16().into(),
        location: text(header::LOCATION),
        etag: text(header::ETAG),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    idempotency::finish(&app.db, user_id, key, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The first answer once more.
fn again(answer: Answer) -> Response {
    let status = u16::try_from(answer.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = (status.unwrap_or(StatusCode::OK), answer.body).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    for (name, value) in [(header::LOCATION, answer.location), (header::ETAG, answer.etag)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_printable_and_of_bounded_length() {
        let longest = "k".repeat(KEY_BYTES_MAX);
        for (text, good) in
            [("7", true), ("a key", true), (&longest, true), ("", false), ("a\tb", false), ("\u{e9}", false)]
        {
            let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
            assert_eq!(key(&HeaderMap::from_iter([(IDEMPOTENCY_KEY, value)])).is_ok(), good, "{text}");
        }
        let longer = HeaderValue::from_str(&format!("{longest}k")).unwrap();
        assert!(key(&HeaderMap::from_iter([(IDEMPOTENCY_KEY, longer)])).is_err());
    }
}
