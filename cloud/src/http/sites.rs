//! `/sites`: read by sight, written by admins.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AppState;
use super::answer::{created, listed, single};
use super::check::Check;
use super::error::ApiError;
use super::extract::{Admin, IfMatch, SignedIn};
use super::request::{Body, Params, PathId, page};
use super::users::ListQuery;
use crate::fleet::{self, FleetError};
use crate::store::sites::{self, NewSite, UpdateSite};

/// Query of `GET /sites/summaries`, which takes no parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SummariesQuery {}

/// `GET /sites`.
pub async fn list_sites(
    person: SignedIn,
    State(app): State<AppState>,
    Params(query): Params<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let page = page(query.limit, query.cursor, query.sort.as_deref())?;
    Ok(listed("sites", &sites::list(&app.db, person.sight(), &page).await?))
}

/// `GET /sites/summaries`: every site in sight at a glance.
pub async fn list_summaries(
    person: SignedIn,
    State(app): State<AppState>,
    Params(SummariesQuery {}): Params<SummariesQuery>,
) -> Result<Json<Value>, ApiError> {
    let found = fleet::summaries(&app.db, &app.readings, &app.presence, person.sight(), app.clock.wall()).await?;
    Ok(Json(json!({"summaries": found, "next_cursor": null})))
}

/// `POST /sites`.
pub async fn create_site(
    _: Admin,
    State(app): State<AppState>,
    Body(new): Body<NewSite>,
) -> Result<Response, ApiError> {
    let copy = new.clone();
    check(&UpdateSite {
        name: Some(copy.name),
        region: Some(copy.region),
        river_name: Some(copy.river_name),
        latitude: Some(copy.latitude),
        longitude: Some(copy.longitude),
        elevation: Some(copy.elevation),
        water_depth: Some(copy.water_depth),
        flow_rate: Some(copy.flow_rate),
        capacity_kw: Some(copy.capacity_kw),
        timezone: Some(copy.timezone),
        currency: Some(copy.currency),
        metadata: Some(copy.metadata),
        ..UpdateSite::default()
    })?;
    let site = sites::create(&app.db, &new, app.clock.wall()).await?;
    Ok(created(&format!("/sites/{}", site.id), single(site.updated_at.0, &site)))
}

/// `GET /sites/{id}`.
pub async fn get_site(person: SignedIn, State(app): State<AppState>, PathId(id): PathId) -> Result<Response, ApiError> {
    let site = sites::find(&app.db, person.sight(), id).await?.ok_or_else(ApiError::not_found)?;
    Ok(single(site.updated_at.0, &site))
}

/// `PUT /sites/{id}`.
pub async fn update_site(
    _: Admin,
    State(app): State<AppState>,
    PathId(id): PathId,
    IfMatch(version): IfMatch,
    Body(change): Body<UpdateSite>,
) -> Result<Response, ApiError> {
    check(&change)?;
    let site = sites::update(&app.db, id, version, &change, app.clock.wall()).await?;
    let site = site.ok_or_else(ApiError::not_found)?;
    Ok(single(site.updated_at.0, &site))
}

/// `DELETE /sites/{id}`: its devices and gateways go with it.
pub async fn delete_site(
    _: Admin,
    State(app): State<AppState>,
    PathId(id): PathId,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    if sites::delete(&app.db, id, version).await? { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

/// Bounds of the plan's columns: VARCHAR(200) and (100), DECIMAL(8, 2) and (10, 2).
fn check(site: &UpdateSite) -> Result<(), ApiError> {
    let mut check = Check::default();
    check.text("name", site.name.as_ref(), 200);
    check.text("region", site.region.as_ref(), 100);
    check.text("river_name", site.river_name.as_ref(), 100);
    check.number("latitude", site.latitude, -90.0, 90.0);
    check.number("longitude", site.longitude, -180.0, 180.0);
    check.number("elevation", site.elevation.flatten(), -999_999.99, 999_999.99);
    check.number("water_depth", site.water_depth.flatten(), 0.0, 999_999.99);
    check.number("flow_rate", site.flow_rate.flatten(), 0.0, 99_999_999.99);
    check.capacity(site.capacity_kw);
    check.timezone(site.timezone.as_ref());
    check.currency(site.currency.as_ref());
    check.object("metadata", site.metadata.as_ref());
    check.done()
}

impl From<FleetError> for ApiError {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::Db(error) => error.into(),
            FleetError::Rollup(error) => error.into(),
        }
    }
}
