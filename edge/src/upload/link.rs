//! The state of the link to the cloud, for panel and log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::budget::BacklogWait;
use super::plan::{PlanState, Usage};
use crate::panel::LinkState;
use crate::store::Carried;

/// Written by the uploader, read by the panel.
#[derive(Debug, Default)]
pub struct Link {
    state: Mutex<LinkState>,
}

impl Link {
    /// The state at this moment.
    pub fn state(&self) -> LinkState {
        self.lock().clone()
    }

    pub(super) fn enrolled(&self, url: Option<String>) {
        let mut state = self.lock();
        state.enrolled = url.is_some();
        state.url = url;
    }

    pub(super) fn received(&self, at: Duration) {
        let mut state = self.lock();
        state.last_receipt_at = Some(at);
        if state.error.take().is_some() {
            tracing::info!("the cloud takes readings again");
        }
    }

    /// Takes from a receipt whose readings stay here, and whom the cloud knows.
    pub(super) fn waits<'a>(&self, kept: impl Iterator<Item = &'a String>, named: impl Iterator<Item = &'a String>) {
        let mut state = self.lock();
        for key in kept {
            if state.waiting.insert(key.clone()) {
                tracing::warn!(
                    device.id = key,
                    "the cloud does not take this device's readings yet: another gateway holds it; they wait here"
                );
            }
        }
        for key in named {
            if state.waiting.remove(key) {
                tracing::info!(device.id = key, "the cloud takes this device's readings now");
            }
        }
    }

    /// Whether the backlog waits, and until when.
    pub(super) fn backlog_waits(&self) -> Option<BacklogWait> {
        self.lock().backlog_waits
    }

    pub(super) fn carried(&self, carried: Carried) {
        self.lock().carried = carried;
    }

    /// Takes how the plan stands and whether the backlog waits.
    pub(super) fn stands(&self, plan: Option<Usage>, backlog_waits: Option<BacklogWait>) {
        let mut state = self.lock();
        let before = state.plan.map_or(PlanState::Ok, |plan| plan.state);
        state.plan = plan;
        state.backlog_waits = backlog_waits;
        let Some(Usage { limit_bytes, used_bytes, forecast_bytes, end, state, .. }) = plan else { return };
        let until = end;
        match state {
            state if state == before => {}
            PlanState::Ok => tracing::info!(used_bytes, forecast_bytes, limit_bytes, %until, "the data plan will do"),
            PlanState::Warning => {
                tracing::warn!(used_bytes, forecast_bytes, limit_bytes, %until, "the data plan is mostly used, or will not do");
            }
            PlanState::Saving => {
                tracing::warn!(used_bytes, forecast_bytes, limit_bytes, %until, "the data plan is nearly used: only the newest values go until its month ends, and the backlog waits");
            }
        }
    }

    pub(super) fn failed(&self, words: &str) {
        let mut state = self.lock();
        if state.error.as_deref() != Some(words) {
            tracing::warn!(error = words, "upload failed; readings wait in the store");
            state.error = Some(words.to_owned());
        }
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
