//! The clock: whether the time is known, on whose word, and every correction of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Json;
use riverwatts_shared::time::UtcMs;
use serde_json::{Value, json};

use super::conditions::Part;
use super::words::{counted, duration};
use super::{Figures, Panel, PanelError, read};
use crate::clock::{Distrust, Source};
use crate::store::JumpRow;

/// How many corrections are shown.
const JUMPS: usize = 50;
/// From here on times that still run slower are worth a word, in ms: readings are marked meanwhile.
const SLEWING_MIN_MS: i64 = 1_500;

/// The clock at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClockState {
    /// On whose word times are given; `None` while they are not.
    pub source: Option<Source>,
    /// How far off they may be, in seconds.
    pub uncertainty_s: u32,
    /// By how much they are still ahead of where they go, running slower, in ms.
    pub slewing_ms: i64,
    /// Who is not believed, and why.
    pub distrust: Option<(Source, Distrust)>,
}

pub(super) async fn show_clock(State(panel): State<Arc<Panel>>) -> Result<Json<Value>, PanelError> {
    read(&panel, body).await.map(Json)
}

/// The body of the clock. May block.
pub(super) fn body(figures: &dyn Figures) -> Result<Value, String> {
    let state = figures.clock();
    let jumps = figures.jumps(JUMPS)?;
    let known = state.source.is_some();
    let part = condition(&state);
    Ok(json!({
        "time": figures.now(),
        "trusted": known,
        "source": state.source.map(Source::word),
        "uncertainty_s": known.then_some(state.uncertainty_s),
        "slewing_ms": state.slewing_ms,
        "condition": part.condition,
        "state": part.state,
        "remedy": part.remedy,
        "distrusted": state.distrust.map(|(source, _)| source.word()),
        "distrust": state.distrust.map(|(_, why)| why.to_string()),
        "distrust_ms": state.distrust.map(|(_, why)| why.ms()),
        "jumps": jumps.iter().map(jump).collect::<Vec<_>>(),
        "next_cursor": null,
    }))
}

fn jump(jump: &JumpRow) -> Value {
    json!({
        "number": jump.number,
        "boot": jump.boot,
        "monotonic_ms": jump.at_ms,
        "timestamp": jump.time_ms.map(UtcMs),
        "by_ms": jump.by_ms,
        "how": if jump.by_ms < 0 { "slewed" } else { "stepped" },
        "source": jump.source,
    })
}

/// Whether readings can be dated, and nobody says otherwise.
pub(super) fn condition(clock: &ClockState) -> Part {
    let told = |condition, state: String, remedy| Part { name: "clock", condition, state, remedy };
    let off = match clock.uncertainty_s {
        0 => String::new(),
        seconds => format!(", at most {} off", counted(u64::from(seconds), "second")),
    };
    match (clock.source, clock.distrust) {
        (None, None) => {
            let state = "not trusted: readings wait here until their time is known".to_owned();
            told("warning", state, "connect the gateway to the cloud or to a time server, or confirm the time here")
        }
        (None, Some((source, why))) => {
            let state = format!("not trusted: what the {source} says is not believed: {why}; readings wait here");
            told("warning", state, "mend that clock, or let another confirm it: the cloud, or a person here")
        }
        (Some(by), Some((source, why))) => {
            let state = format!("trusted by the {by}{off}; what the {source} says is not believed: {why}");
            told("warning", state, "find out which of the two is right, and mend the other")
        }
        (Some(by), None) if clock.slewing_ms > SLEWING_MIN_MS => {
            let ahead = duration(clock.slewing_ms as f64 / 1_000.0);
            let state = format!("trusted by the {by}; times are {ahead} ahead and run slower until they are right");
            told("warning", state, "nothing is to be done: until then readings are marked")
        }
        (Some(by), None) => told("ok", format!("trusted by the {by}{off}"), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_tells_whom_it_believes_and_whom_not() {
        let behind = Some((Source::TimeServer, Distrust::Behind { by_ms: 7_200_000 }));
        for (source, uncertainty_s, slewing_ms, distrust, condition_, words) in [
            (None, 0, 0, None, "warning", "not trusted: readings wait"),
            (
                None,
                0,
                0,
                behind,
                "warning",
                "not trusted: what the time server says is not believed: the clock is 7200 s behind",
            ),
            (Some(Source::Cloud), 0, 0, None, "ok", "trusted by the cloud"),
            (Some(Source::Device), 60, 0, None, "ok", "trusted by the device, at most 60 seconds off"),
            (
                Some(Source::Cloud),
                0,
                0,
                behind,
                "warning",
                "trusted by the cloud; what the time server says is not believed",
            ),
            (
                Some(Source::Cloud),
                30,
                29_000,
                None,
                "warning",
                "trusted by the cloud; times are 29 s ahead and run slower",
            ),
            (Some(Source::Cloud), 0, 400, None, "ok", "trusted by the cloud"),
        ] {
            let part = condition(&ClockState { source, uncertainty_s, slewing_ms, distrust });
            assert_eq!(part.condition, condition_, "{part:?}");
            assert!(part.state.starts_with(words), "{part:?}");
            assert_eq!(part.remedy.is_empty(), condition_ == "ok");
        }
    }
}
