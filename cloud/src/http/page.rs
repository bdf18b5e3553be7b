//! The dashboard's pages: one HTML file at every address. For somebody whose session is open it has
//! the answers that the page would ask for first, so that values are there before any script ran.

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, RawPathParams, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::{Extension, Router};
use riverwatts_assets::first_values;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::AppState;
use super::assets::ASSETS;
use super::auth::cookie;
use super::frame::RequestContext;
use crate::auth::sign_in;
use crate::db::DbError;

/// Longest answer that is put into a page; what is longer, the page asks for itself.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// The API, for questions from inside: what a page shows first went through the same handlers.
#[derive(Clone, Debug)]
pub struct Api(pub Router);

/// `GET` of any page.
pub async fn show(
    State(app): State<AppState>,
    Extension(api): Extension<Api>,
    Extension(context): Extension<RequestContext>,
    route: MatchedPath,
    params: RawPathParams,
    headers: HeaderMap,
) -> Response {
    let id = params.iter().find(|(name, _)| *name == "id").and_then(|(_, text)| text.parse().ok());
    let first = match cookie(&headers) {
        Some(token) => first(&app, &api, &context, token, questions(route.as_str(), id)).await,
        None => Ok(None),
    };
    let first = first.unwrap_or_else(|error| {
        tracing::warn!(request_id = context.id(), %error, "a page goes without its first values");
        None
    });
    Html(ASSETS.page.write(route.as_str(), &first.unwrap_or_default())).into_response()
}

/// What the page at this route asks first, below `/api/v1`.
fn questions(route: &str, id: Option<Uuid>) -> Vec<String> {
    match (route, id) {
        ("/", _) => vec!["/sites/summaries".to_owned(), "/sites?limit=1000&sort=created_at".to_owned()],
        ("/sites/{id}", Some(id)) => vec![
            format!("/sites/{id}"),
            format!("/devices?site_id={id}&limit=1000&sort=created_at"),
            format!("/readings/latest?site_id={id}"),
            "/gateways?limit=1000&sort=created_at".to_owned(),
            "/sites/summaries".to_owned(),
        ],
        ("/devices/{id}", Some(id)) => vec![format!("/devices/{id}"), format!("/devices/{id}/readings?limit=1")],
        _ => Vec::new(),
    }
}

/// A device's page shows its site's name and clock too, and only the device tells which that is.
fn site_question(question: &str, answer: &str) -> Option<String> {
    let is_device = question.strip_prefix("/devices/").is_some_and(|rest| !rest.contains('/'));
    let device: Value = serde_json::from_str(answer).ok().filter(|_| is_device)?;
    Some(format!("/sites/{}", device.get("site_id")?.as_str()?))
}

/// The first values for the session of this refresh token, which is looked at and not traded.
async fn first(
    app: &AppState,
    api: &Api,
    context: &RequestContext,
    token: &str,
    mut questions: Vec<String>,
) -> Result<Option<String>, DbError> {
    let now = app.clock.wall();
    let Some((user, session_id)) = sign_in::recognise(&app.auth, &app.db, token, now).await? else { return Ok(None) };
    context.set_user(user.id);
    let access_token = app.auth.tokens.issue_access(&user, session_id, now);
    let mut answers = Vec::new();
    let mut next = 0;
    while let Some(question) = questions.get(next) {
        next += 1;
        let Some(answer) = api.ask(question, &access_token).await else { continue };
        answers.push(format!("{}:{answer}", json!(format!("/api/v1{question}"))));
        questions.extend(site_question(question, &answer));
    }
    let json = format!("{{\"user\":{},\"time\":{},\"answers\":{{{}}}}}", json!(user), json!(now), answers.join(","));
    Ok(Some(first_values(&json)))
}

impl Api {
    /// The body of a good answer.
    async fn ask(&self, question: &str, access_token: &str) -> Option<String> {
        let request = Request::get(question).header(header::AUTHORIZATION, format!("Bearer {access_token}"));
        let response = self.0.clone().oneshot(request.body(Body::empty()).ok()?).await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let body = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.ok()?;
        String::from_utf8(body.into()).ok()
    }
}
