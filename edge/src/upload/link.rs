//! The state of the link to the cloud, for panel and log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::panel::LinkState;

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
