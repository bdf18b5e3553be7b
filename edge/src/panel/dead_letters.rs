//! What the cloud refused: looked at, sent again, given up.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use riverwatts_shared::words::RejectCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::sign_in::SignedIn;
use super::{HISTORY_DEFAULT, HISTORY_MAX, Panel, PanelError, Site, bodies, read};
use crate::store::{Chosen, DeadLetterGroup, DeadLetterRow, Fate};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    cursor: Option<i64>,
    limit: Option<usize>,
    code: Option<RejectCode>,
    device: Option<String>,
}

/// Those of a word, of a device, of both, or all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    code: Option<RejectCode>,
    device: Option<String>,
}

pub(super) async fn list_dead_letters(
    State(panel): Site,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, PanelError> {
    let Query(Asked { cursor, limit, code, device }) =
        query.map_err(|error| PanelError::Parameter("query", error.body_text()))?;
    let limit = limit.unwrap_or(HISTORY_DEFAULT);
    if !(1..=HISTORY_MAX).contains(&limit) {
        return Err(PanelError::Parameter("limit", format!("write a whole number from 1 to {HISTORY_MAX}")));
    }
    let chosen = Chosen { number: None, code, device };
    let rows = read(&panel, move |figures| figures.dead_letters(&chosen, cursor, limit)).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.number.to_string())).flatten();
    Ok(Json(json!({"dead_letters": rows.iter().map(letter).collect::<Vec<_>>(), "next_cursor": next})))
}

pub(super) async fn list_dead_letter_groups(State(panel): Site) -> Result<Json<Value>, PanelError> {
    let groups = read(&panel, |figures| figures.dead_letter_groups()).await?;
    Ok(Json(groups_body(&groups)))
}

pub(super) async fn resend_dead_letter(_: SignedIn, State(panel): Site, id: Id) -> Result<Json<Value>, PanelError> {
    end_one(&panel, Fate::Resent, id).await
}

pub(super) async fn discard_dead_letter(_: SignedIn, State(panel): Site, id: Id) -> Result<Json<Value>, PanelError> {
    end_one(&panel, Fate::Discarded, id).await
}

pub(super) async fn resend_dead_letters(
    _: SignedIn,
    State(panel): Site,
    Body(which): Body<Which>,
) -> Result<Json<Value>, PanelError> {
    end(&panel, Fate::Resent, which.into()).await
}

pub(super) async fn discard_dead_letters(
    _: SignedIn,
    State(panel): Site,
    Body(which): Body<Which>,
) -> Result<Json<Value>, PanelError> {
    end(&panel, Fate::Discarded, which.into()).await
}

/// A number in the path; anything else is the number of none.
type Id = Result<Path<i64>, PathRejection>;

async fn end_one(panel: &Panel, fate: Fate, id: Id) -> Result<Json<Value>, PanelError> {
    let Path(number) = id.map_err(|_| PanelError::NotFound)?;
    let ended = end(panel, fate, Chosen { number: Some(number), ..Chosen::default() }).await?;
    if ended["count"] == 0 { Err(PanelError::NotFound) } else { Ok(ended) }
}

async fn end(panel: &Panel, fate: Fate, chosen: Chosen) -> Result<Json<Value>, PanelError> {
    let count = panel.changes.end_dead_letters(fate, chosen.clone()).await.map_err(PanelError::Internal)?;
    let Chosen { number, code, device } = chosen;
    tracing::info!(
        ?fate,
        number,
        code = code.map(RejectCode::word),
        device,
        count,
        "a technician ended refused readings"
    );
    Ok(Json(json!({"count": count})))
}

impl From<Which> for Chosen {
    fn from(Which { code, device }: Which) -> Self {
        Chosen { number: None, code, device }
    }
}

fn letter(row: &DeadLetterRow) -> Value {
    let DeadLetterRow { number, device, time, code, message, reading } = row;
    let reading = reading.as_ref().map(bodies::reading);
    json!({"id": number, "device": device, "timestamp": time, "code": code, "message": message, "reading": reading})
}

/// The body of the groups, with words for people.
pub(super) fn groups_body(groups: &[DeadLetterGroup]) -> Value {
    let groups = groups.iter().map(|group| {
        let DeadLetterGroup { code, device, count, from, to, message } = group;
        let (meaning, remedy) = words(code.parse().ok());
        json!({
            "device": device, "code": code, "count": count, "from": from, "to": to, "message": message,
            "meaning": meaning, "remedy": remedy,
        })
    });
    json!({"groups": groups.collect::<Vec<_>>(), "next_cursor": null})
}

/// What a word of the cloud means, and what to do about it.
const fn words(code: Option<RejectCode>) -> (&'static str, &'static str) {
    match code {
        Some(RejectCode::Conflict) => (
            "The cloud has other values under the same device and time",
            "discard them if the cloud's are right; sent again they are refused again",
        ),
        Some(RejectCode::OutOfRange) => (
            "A value is larger than any unit allows",
            "look at the device's profile: a wrong word order or scale does this; then discard them",
        ),
        Some(RejectCode::QuarantinedTime) => (
            "Their time was more than 10 minutes ahead of the cloud's clock",
            "look at the clock; once that time has passed, they can be sent again",
        ),
        Some(RejectCode::BeyondRetention) => ("They are older than what the cloud keeps", "discard them"),
        Some(RejectCode::UnknownDevice) => ("The cloud does not know the device", "send them again once it does"),
        Some(RejectCode::Invalid) | None => (
            "The cloud cannot read them",
            "see that gateway and cloud are of versions that belong together, then send them again",
        ),
    }
}
