//! `/users`: admins manage all; everybody sees and changes their own account.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use riverwatts_shared::words::UserRole;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::AppState;
use super::answer::{created, listed, single};
use super::auth::CallerAddress;
use super::check::Check;
use super::error::ApiError;
use super::extract::{Admin, IfMatch, SignedIn};
use super::request::{Body, Params, PathId, page};
use crate::auth::sign_in::end_access;
use crate::db::column::{Object, present};
use crate::store::users::{self, NewUser};

/// Longest first or last name (the plan's columns), in characters.
const NAME_CHARS_MAX: usize = 100;
/// Wrong current passwords per account in a quarter of an hour.
const PASSWORD_FAILURES_MAX: u32 = 10;

/// Query of the lists that have no filter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Most rows.
    pub limit: Option<u32>,
    /// From `next_cursor`.
    pub cursor: Option<Uuid>,
    /// Newest first (`-created_at`) or oldest first (`created_at`).
    pub sort: Option<String>,
}

/// Body of `POST /users`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    email: String,
    password: String,
    first_name: String,
    last_name: String,
    role: UserRole,
    #[serde(default = "yes")]
    is_active: bool,
    #[serde(default)]
    email_verified: bool,
    #[serde(default)]
    metadata: Object,
}

fn yes() -> bool {
    true
}

/// Body of `PUT /users/{id}`: absent keeps.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateUser {
    #[serde(deserialize_with = "present")]
    email: Option<String>,
    #[serde(deserialize_with = "present")]
    first_name: Option<String>,
    #[serde(deserialize_with = "present")]
    last_name: Option<String>,
    #[serde(deserialize_with = "present")]
    preferences: Option<Object>,
    #[serde(deserialize_with = "present")]
    password: Option<String>,
    /// Needed beside `password`, except from an admin for another user.
    #[serde(deserialize_with = "present")]
    current_password: Option<String>,
    // Admins only.
    #[serde(deserialize_with = "present")]
    role: Option<UserRole>,
    #[serde(deserialize_with = "present")]
    is_active: Option<bool>,
    #[serde(deserialize_with = "present")]
    email_verified: Option<bool>,
    #[serde(deserialize_with = "present")]
    metadata: Option<Object>,
}

/// `GET /users`.
pub async fn list_users(
    _: Admin,
    State(app): State<AppState>,
    Params(query): Params<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let page = page(query.limit, query.cursor, query.sort.as_deref())?;
    Ok(listed("users", &users::list(&app.db, &page).await?))
}

/// `POST /users`.
pub async fn create_user(
    Admin(admin): Admin,
    State(app): State<AppState>,
    Body(body): Body<CreateUser>,
) -> Result<Response, ApiError> {
    let mut check = Check::default();
    check.email(Some(&body.email));
    check.password("password", Some(&body.password));
    check.text("first_name", Some(&body.first_name), NAME_CHARS_MAX);
    check.text("last_name", Some(&body.last_name), NAME_CHARS_MAX);
    check.object("metadata", Some(&body.metadata));
    check.done()?;
    let new = NewUser {
        email: body.email.to_lowercase(),
        password_hash: app.auth.passwords.hash(body.password).await,
        first_name: body.first_name,
        last_name: body.last_name,
        role: body.role,
        is_active: body.is_active,
        email_verified: body.email_verified,
        created_by: Some(admin.user_id),
        metadata: body.metadata,
    };
    let user = users::create(&app.db, &new, app.clock.wall()).await?;
    Ok(created(&format!("/users/{}", user.id), single(user.updated_at.0, &user)))
}

/// `GET /users/{id}`.
pub async fn get_user(person: SignedIn, State(app): State<AppState>, PathId(id): PathId) -> Result<Response, ApiError> {
    self_or_admin(&person, id)?;
    let user = users::find(&app.db, id).await?.ok_or_else(ApiError::not_found)?;
    Ok(single(user.updated_at.0, &user))
}

/// `PUT /users/{id}`.
pub async fn update_user(
    person: SignedIn,
    State(app): State<AppState>,
    PathId(id): PathId,
    IfMatch(version): IfMatch,
    caller: CallerAddress,
    Body(body): Body<UpdateUser>,
) -> Result<Response, ApiError> {
    self_or_admin(&person, id)?;
    let names_admin_fields =
        body.role.is_some() || body.is_active.is_some() || body.email_verified.is_some() || body.metadata.is_some();
    if person.role != UserRole::Admin && names_admin_fields {
        return Err(ApiError::permission_denied());
    }
    let mut check = Check::default();
    check.email(body.email.as_ref());
    check.password("password", body.password.as_ref());
    check.text("first_name", body.first_name.as_ref(), NAME_CHARS_MAX);
    check.text("last_name", body.last_name.as_ref(), NAME_CHARS_MAX);
    check.object("metadata", body.metadata.as_ref());
    check.object("preferences", body.preferences.as_ref());
    let own_password = body.password.is_some() && person.user_id == id;
    if own_password && body.current_password.is_none() {
        check.mistake("current_password", "is needed to change one's own password");
    }
    check.done()?;
    let now = app.clock.wall();
    if own_password {
        verify_own_password(&app, id, body.current_password.unwrap_or_default(), &caller).await?;
    }
    let password_hash = match body.password {
        Some(password) => Some(app.auth.passwords.hash(password).await),
        None => None,
    };
    let change = users::UpdateUser {
        email: body.email.map(|email| email.to_lowercase()),
        password_hash,
        first_name: body.first_name,
        last_name: body.last_name,
        role: body.role,
        is_active: body.is_active,
        email_verified: body.email_verified,
        preferences: body.preferences,
        metadata: body.metadata,
    };
    let changed = users::update(&app.db, id, version, &change, now).await?.ok_or_else(ApiError::not_found)?;
    end_access(&app.auth, &changed.ended, now);
    Ok(single(changed.user.updated_at.0, &changed.user))
}

/// `DELETE /users/{id}`.
pub async fn delete_user(
    _: Admin,
    State(app): State<AppState>,
    PathId(id): PathId,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    let now = app.clock.wall();
    let ended = users::delete(&app.db, id, version, now).await?.ok_or_else(ApiError::not_found)?;
    end_access(&app.auth, &ended, now);
    Ok(StatusCode::NO_CONTENT)
}

/// Another user's account is not there for those who may not see it.
fn self_or_admin(person: &SignedIn, id: Uuid) -> Result<(), ApiError> {
    if person.role == UserRole::Admin || person.user_id == id { Ok(()) } else { Err(ApiError::not_found()) }
}

async fn verify_own_password(
    app: &AppState,
    id: Uuid,
    password: String,
    caller: &CallerAddress,
) -> Result<(), ApiError> {
    let key = format!("password {id} {}", caller.as_str());
    app.auth.throttle.attempt(&key, PASSWORD_FAILURES_MAX, app.clock.wall())?;
    let user = users::find(&app.db, id).await?.ok_or_else(ApiError::not_found)?;
    let hash = users::find_for_sign_in(&app.db, &user.email).await?.map(|(_, hash)| hash);
    if !app.auth.passwords.verify(password, hash).await {
        return Err(ApiError::invalid("current_password", "is wrong"));
    }
    app.auth.throttle.succeed(&key);
    Ok(())
}

impl std::fmt::Debug for CreateUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateUser").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for UpdateUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateUser").finish_non_exhaustive()
    }
}
