//! `POST /api/clock`: the time by somebody's phone, where nothing better is at hand.

use axum::Json;
use axum::extract::State;
use riverwatts_shared::time::UtcMs;
use serde::Deserialize;
use serde_json::Value;

use super::body::Body;
use super::clock::show_clock;
use super::sign_in::SignedIn;
use super::{PanelError, Site};
use crate::clock::Distrust;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    time: UtcMs,
}

pub(super) async fn set_clock(
    _: SignedIn,
    State(panel): Site,
    Body(Said { time }): Body<Said>,
) -> Result<Json<Value>, PanelError> {
    panel
        .changes
        .take_time(time)
        .map_err(|why| PanelError::Conflict(format!("not believed: {why}; {}", remedy(why))))?;
    tracing::info!(%time, "a technician confirmed the time");
    show_clock(State(panel)).await
}

/// What a person can do about it.
const fn remedy(why: Distrust) -> &'static str {
    match why {
        Distrust::Behind { .. } => {
            "look at the date of this phone; if it is right, readings were stored with a time that is yet to come, and \
             the operations manual says what to do about that"
        }
        Distrust::Contradicted { .. } => "nothing is to be done if that one is right; else mend it first",
        Distrust::FarAhead { .. } => {
            "look at the date of this phone; if it is right, connect the gateway to the cloud or to a time server"
        }
    }
}
