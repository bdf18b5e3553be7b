//! `/gateways`: made by admins, enrolled by a one-time code, known by a credential.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{GatewayLink, UserRole};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::AppState;
use super::answer::{created, listed, single, tagged};
use super::auth::CallerAddress;
use super::check::Check;
use super::error::ApiError;
use super::extract::{Admin, Caller, SignedIn, Technical};
use super::request::{Body, Params, PathId, PathIds, page};
use super::users::ListQuery;
use crate::auth::secret;
use crate::db::DbError;
use crate::db::column::At;
use crate::db::page::Listed;
use crate::store::configurations::{self, ConfigurationText};
use crate::store::devices::{self, NamedDevice};
use crate::store::gateways::{self, Gateway, HOLDS_MS};

/// Wrong codes per caller in a quarter of an hour.
const CODE_FAILURES_MAX: u32 = 30;

/// Body of `POST /gateways`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGateway {
    site_id: Uuid,
    name: String,
}

/// Body of `POST /gateways/enroll`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enroll {
    code: String,
}

/// A gateway with its link as it is now.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Gateway")]
pub struct LinkedGateway {
    #[serde(flatten)]
    gateway: Gateway,
    link: GatewayLink,
}

/// A new gateway with the code that is shown this once.
#[derive(Serialize, JsonSchema)]
pub struct CreatedGateway {
    #[serde(flatten)]
    gateway: LinkedGateway,
    enrollment_code: String,
    expires_at: UtcMs,
}

/// Answer to an enrollment, with what a new box or card needs to go on as this gateway.
#[derive(Serialize, JsonSchema)]
pub struct Enrolled {
    gateway_id: Uuid,
    credential: String,
    /// The `edge.toml` that the gateway sent last.
    configuration: Option<ConfigurationText>,
    /// Its devices.
    devices: Vec<TakenOver>,
}

/// A device that is taken over.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TakenOver {
    key: String,
    device_id: Uuid,
    /// The time of its newest reading.
    newest: Option<UtcMs>,
}

/// A code that is shown this once: whoever enrolls with it becomes the gateway.
#[derive(Serialize, JsonSchema)]
pub struct Replacement {
    enrollment_code: String,
    expires_at: UtcMs,
}

/// A gateway's new credential.
#[derive(Serialize, JsonSchema)]
pub struct Rotated {
    credential: String,
}

/// `GET /gateways`.
pub async fn list_gateways(
    person: SignedIn,
    State(app): State<AppState>,
    Params(query): Params<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let page = page(query.limit, query.cursor, query.sort.as_deref())?;
    let Listed { rows, next } = gateways::list(&app.db, person.sight(), &page).await?;
    let rows = rows.into_iter().map(|gateway| linked(&app, gateway)).collect();
    Ok(listed("gateways", &Listed { rows, next }))
}

/// `POST /gateways`.
pub async fn create_gateway(
    _: Admin,
    State(app): State<AppState>,
    Body(new): Body<NewGateway>,
) -> Result<Response, ApiError> {
    let mut check = Check::default();
    check.text("name", Some(&new.name), 200);
    check.done()?;
    let now = app.clock.wall();
    let enrollment_code = secret::new_code();
    let hash = secret::hash_code(&enrollment_code);
    match gateways::create(&app.db, new.site_id, &new.name, &hash, now).await {
        Err(DbError::MissingReference) => Err(ApiError::invalid("site_id", "no such site")),
        done => {
            let gateway = done?;
            let place = format!("/gateways/{}", gateway.id);
            let version = gateway.updated_at.0;
            let body =
                CreatedGateway { gateway: linked(&app, gateway), enrollment_code, expires_at: now.plus_ms(HOLDS_MS) };
            Ok(created(&place, single(version, &body)))
        }
    }
}

/// `GET /gateways/{id}`.
pub async fn get_gateway(
    person: SignedIn,
    State(app): State<AppState>,
    PathId(id): PathId,
) -> Result<Response, ApiError> {
    let gateway = gateways::find(&app.db, person.sight(), id).await?.ok_or_else(ApiError::not_found)?;
    Ok(single(gateway.updated_at.0, &linked(&app, gateway)))
}

/// `POST /gateways/enroll`: trades a code for a credential; no sign-in.
pub async fn enroll_gateway(
    State(app): State<AppState>,
    caller: CallerAddress,
    Body(Enroll { code }): Body<Enroll>,
) -> Result<Json<Enrolled>, ApiError> {
    let now = app.clock.wall();
    let key = format!("enroll {}", caller.as_str());
    app.auth.throttle.attempt(&key, CODE_FAILURES_MAX, now)?;
    let credential = secret::new_credential();
    let enrolled = gateways::enroll(&app.db, &secret::hash_code(&code), &secret::hash(&credential), now).await?;
    let gateway = enrolled.ok_or_else(ApiError::auth_invalid)?;
    app.auth.throttle.succeed(&key);
    let configuration = match gateway.config_version {
        Some(version) => configurations::find(&app.db, gateway.id, version).await?,
        None => None,
    };
    let devices = taken_over(&app, &gateway).await?;
    Ok(Json(Enrolled { gateway_id: gateway.id, credential, configuration, devices }))
}

/// `POST /gateways/{id}/replace`: a code for a new box or card.
pub async fn replace_gateway(
    _: Admin,
    State(app): State<AppState>,
    PathId(id): PathId,
) -> Result<Json<Replacement>, ApiError> {
    let now = app.clock.wall();
    let enrollment_code = secret::new_code();
    let replaced = gateways::replace(&app.db, id, &secret::hash_code(&enrollment_code), now).await?;
    replaced.ok_or_else(ApiError::not_found)?;
    Ok(Json(Replacement { enrollment_code, expires_at: now.plus_ms(HOLDS_MS) }))
}

/// `GET /gateways/{id}/configurations`: the versions of its `edge.toml`, the newest first, all at once.
pub async fn list_configurations(
    Technical(person): Technical,
    State(app): State<AppState>,
    PathId(id): PathId,
) -> Result<Json<Value>, ApiError> {
    let gateway = gateways::find(&app.db, person.sight(), id).await?.ok_or_else(ApiError::not_found)?;
    let rows = configurations::list(&app.db, gateway.id).await?;
    Ok(listed("configurations", &Listed { rows, next: None }))
}

/// `GET /gateways/{id}/configurations/{version}`.
pub async fn get_configuration(
    Technical(person): Technical,
    State(app): State<AppState>,
    PathIds(id, version): PathIds,
) -> Result<Response, ApiError> {
    let gateway = gateways::find(&app.db, person.sight(), id).await?.ok_or_else(ApiError::not_found)?;
    let found = configurations::find(&app.db, gateway.id, version).await?.ok_or_else(ApiError::not_found)?;
    Ok(tagged(&version.to_string(), &found))
}

/// `POST /gateways/{id}/revoke`: ends its access at once.
pub async fn revoke_gateway(_: Admin, State(app): State<AppState>, PathId(id): PathId) -> Result<Response, ApiError> {
    let gateway = gateways::revoke(&app.db, id, app.clock.wall()).await?.ok_or_else(ApiError::not_found)?;
    app.presence.end(id);
    Ok(single(gateway.updated_at.0, &linked(&app, gateway)))
}

/// `POST /gateways/{id}/rotate`: a new credential, for an admin or the gateway itself.
pub async fn rotate_gateway(
    caller: Caller,
    State(app): State<AppState>,
    id: Result<PathId, ApiError>,
) -> Result<Json<Rotated>, ApiError> {
    if matches!(&caller, Caller::Person(person) if person.role != UserRole::Admin) {
        return Err(ApiError::permission_denied());
    }
    let PathId(id) = id?;
    if matches!(&caller, Caller::Gateway(gateway) if gateway.id != id) {
        return Err(ApiError::not_found());
    }
    let credential = secret::new_credential();
    let rotated = gateways::rotate(&app.db, id, &secret::hash(&credential), app.clock.wall()).await?;
    rotated.ok_or_else(ApiError::not_found)?;
    Ok(Json(Rotated { credential }))
}

/// The devices of a gateway, with the times that what it will read must lie behind.
async fn taken_over(app: &AppState, gateway: &Gateway) -> Result<Vec<TakenOver>, ApiError> {
    let mut own = devices::of_site(&app.db, gateway.site_id).await?;
    own.retain(|device| device.gateway_id == Some(gateway.id));
    let latest = app.readings.latest(own.iter().map(|device| device.number).collect()).await?;
    let newest = |number| latest.iter().find(|row| row.device == number).map(|row| row.time);
    let taken =
        |device: NamedDevice| Some(TakenOver { key: device.key?, device_id: device.id, newest: newest(device.number) });
    Ok(own.into_iter().filter_map(taken).collect())
}

fn linked(app: &AppState, gateway: Gateway) -> LinkedGateway {
    let seen = app.presence.see(&gateway);
    LinkedGateway { gateway: Gateway { last_seen_at: seen.last_seen_at.map(At), ..gateway }, link: seen.link }
}

impl std::fmt::Debug for Enroll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enroll").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CreatedGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedGateway").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolled").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Replacement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replacement").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Rotated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rotated").finish_non_exhaustive()
    }
}
