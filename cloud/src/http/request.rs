//! Path, query and body of a request, each refused in the one shape of errors.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, RawPathParams, Request};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use riverwatts_shared::time::UtcMs;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use uuid::Uuid;

use super::BODY_BYTES_MAX;
use super::error::{ApiError, FieldError};
use crate::db::page::Page;

/// The one id in the path.
#[derive(Clone, Copy, Debug)]
pub struct PathId(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| ApiError::not_found())?;
        parse_id("id", &text).map(PathId)
    }
}

/// The two ids in the path of a link, like `/sites/{id}/members/{user_id}`.
#[derive(Clone, Copy, Debug)]
pub struct PathIds(pub Uuid, pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| ApiError::not_found())?;
        let mut ids = params.iter().map(|(name, text)| parse_id(name, text));
        let mut next = || ids.next().unwrap_or_else(|| Err(ApiError::not_found()));
        Ok(PathIds(next()?, next()?))
    }
}

fn parse_id(field: &str, text: &str) -> Result<Uuid, ApiError> {
    text.parse().map_err(|_| ApiError::invalid(field, "is no UUID"))
}

/// The query string as a struct; unknown and doubled parameters are refused where the struct says so.
#[derive(Clone, Copy, Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Params(params)),
            Err(rejection) => {
                // Its source says `field: what is wrong`.
                let source = std::error::Error::source(&rejection).map_or_else(String::new, ToString::to_string);
                Err(ApiError::validation(vec![field_error(&source)]))
            }
        }
    }
}

/// `path: message`, or serde's sentences about missing and unknown fields, as a field error.
fn field_error(text: &str) -> FieldError {
    for start in ["missing field `", "unknown field `", "duplicate field `"] {
        if let Some((name, _)) = text.find(start).and_then(|at| text[at + start.len()..].split_once('`')) {
            let message = text.split_once(": ").map_or(text, |(_, message)| message);
            return FieldError::new(name, message);
        }
    }
    match text.split_once(": ") {
        Some((field, message)) if !field.contains(' ') => FieldError::new(field, message),
        _ => FieldError::new("", text),
    }
}

/// A JSON body: 415 for another media type, 413 when too large, 400 when it is no JSON, 422 with the
/// field when it is not what the endpoint takes.
#[derive(Clone, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_of_type(&request, "application/json") {
            return Err(ApiError::media_type("application/json"));
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| unreadable(&rejection, BODY_BYTES_MAX))?;
        parse_object(&bytes).map(Body)
    }
}

/// Whether the body says that it is of this media type.
pub fn is_of_type(request: &Request, media_type: &str) -> bool {
    let value = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(media_type))
}

/// Which of the media types the caller would rather have; the first when nothing speaks for another.
pub fn accepts<T: Copy, const N: usize>(headers: &HeaderMap, offered: [(&str, T); N]) -> T {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let weight = |media_type: &str| {
        let (kind, _) = media_type.split_once('/').unwrap_or((media_type, ""));
        let matches = |range: &str| match range {
            _ if range.eq_ignore_ascii_case(media_type) => Some(2),
            "*/*" => Some(0),
            _ => range.strip_suffix("/*").filter(|range| range.eq_ignore_ascii_case(kind)).map(|_| 1),
        };
        let weights = accepted.split(',').filter_map(|part| {
            let mut parts = part.split(';').map(str::trim);
            let closeness = matches(parts.next()?)?;
            let q = parts.find_map(|parameter| parameter.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            Some((closeness, q))
        });
        weights.max_by_key(|(closeness, _)| *closeness).map_or(0.0, |(_, q)| q)
    };
    let mut best = (0.0, offered[0].1);
    for (media_type, offer) in offered {
        let weight = weight(media_type);
        if weight > best.0 {
            best = (weight, offer);
        }
    }
    best.1
}

/// A body that was not read: larger than `bytes_max`, or cut off.
pub fn unreadable(rejection: &BytesRejection, bytes_max: usize) -> ApiError {
    match rejection.status() {
        axum::http::StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(bytes_max),
        _ => ApiError::malformed("The body ended before it was complete"),
    }
}

/// Reads a JSON object as the struct `T`.
pub fn parse_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // serde takes an array for a struct, field by field; nobody means that.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::invalid("", "expected an object, found an array"));
    }
    parse_json(bytes)
}

/// Reads JSON bytes as `T`.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            // Of a word, serde_json says so too where it finds another type in JSON that is in order.
            Category::Syntax if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() => {
                ApiError::invalid(path, "is no text")
            }
            Category::Data => {
                // Without ` at line 1 column 23`: the field says where.
                let text = inner.to_string();
                let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
                let mut detail = field_error(text);
                if path != "." && !path.ends_with(&detail.field) {
                    let parent = if detail.field.is_empty() { "" } else { "." };
                    detail.field = format!("{path}{parent}{}", detail.field);
                } else if path != "." {
                    detail.field = path;
                }
                detail.message = text.to_owned();
                ApiError::validation(vec![detail])
            }
            Category::Io | Category::Syntax | Category::Eof => ApiError::malformed(format!("Malformed JSON: {inner}")),
        }
    })?;
    deserializer.end().map_err(|error| ApiError::malformed(format!("Malformed JSON: {error}")))?;
    Ok(value)
}

/// The page that `limit`, `cursor` and `sort` of a query ask for.
pub fn page(limit: Option<u32>, cursor: Option<Uuid>, sort: Option<&str>) -> Result<Page, ApiError> {
    let limit = checked_limit(limit)?;
    let descending = match sort {
        None | Some("-created_at") => true,
        Some("created_at") => false,
        Some(_) => return Err(ApiError::invalid("sort", "is `created_at` or `-created_at`")),
    };
    Ok(Page { after: cursor, descending, limit })
}

/// `limit` within its bounds.
pub fn checked_limit(limit: Option<u32>) -> Result<u32, ApiError> {
    match limit.unwrap_or(Page::LIMIT_DEFAULT) {
        limit @ 1..=Page::LIMIT_MAX => Ok(limit),
        _ => Err(ApiError::invalid("limit", format!("is between 1 and {}", Page::LIMIT_MAX))),
    }
}

/// `[from, to)` of a query; without limits all time.
pub fn checked_range(from: Option<UtcMs>, to: Option<UtcMs>) -> Result<(UtcMs, UtcMs), ApiError> {
    let range = (from.unwrap_or(UtcMs(i64::MIN)), to.unwrap_or(UtcMs(i64::MAX)));
    if range.0 < range.1 { Ok(range) } else { Err(ApiError::invalid("to", "is later than `from`")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sites::{NewSite, UpdateSite};

    fn check<T: DeserializeOwned + std::fmt::Debug>(body: &str, status: u16, field: &str) {
        let error = parse_object::<T>(body.as_bytes()).unwrap_err();
        let json = error.to_json("", UtcMs(0));
        assert_eq!(error.status().as_u16(), status, "{body}");
        let found = json["error"]["details"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(found, field, "{body}: {json}");
    }

    #[test]
    fn a_mistake_in_a_body_names_its_field() {
        check::<UpdateSite>(r#"{"name": 3}"#, 422, "name");
        check::<UpdateSite>(r#"{"nmae": "x"}"#, 422, "nmae");
        check::<UpdateSite>(r#"{"name": null}"#, 422, "name");
        check::<UpdateSite>(r#"{"installation_date": "2026-02-30"}"#, 422, "installation_date");
        check::<UpdateSite>(r#"{"installation_date": "2026-02-03T00:00:00"}"#, 422, "installation_date");
        check::<UpdateSite>(r#"{"status": "sunk"}"#, 422, "status");
        check::<UpdateSite>(r#"{"status": 3}"#, 422, "status");
        check::<UpdateSite>(r#"{"name": "x", "name": "y"}"#, 422, "name");
        check::<NewSite>(r#"{"region": "x"}"#, 422, "name");
        check::<UpdateSite>("[]", 422, "");
        check::<UpdateSite>(r#"{"name": "#, 400, "");
        check::<UpdateSite>(r#"{"name": "x"} {}"#, 400, "");
        check::<UpdateSite>("", 400, "");
    }
}
