//! The gateway's own `edge.toml` on its way to the cloud: sent, without secrets, when a receipt says that
//! the cloud has another version.

use std::time::Duration;

use riverwatts_shared::batch::Item;
use riverwatts_shared::configuration::{BYTES_MAX, version, without_secrets};

use super::announce::AGAIN;

/// What runs, and what the cloud has.
#[derive(Debug)]
pub(super) struct Configuration {
    text: String,
    version: String,
    /// The version in the cloud, once a receipt has told it.
    in_cloud: Option<Option<String>>,
    /// Monotonic time before which it is not sent again.
    not_before: Duration,
}

impl Configuration {
    /// `text`: the `edge.toml` that runs.
    pub(super) fn new(text: &str) -> Self {
        let text = without_secrets(text);
        if text.len() > BYTES_MAX {
            tracing::warn!(
                bytes = text.len(),
                "edge.toml is too long for the cloud to keep: a new card will not find it there"
            );
        }
        Configuration { version: version(&text).to_string(), text, in_cloud: None, not_before: Duration::ZERO }
    }

    /// What is to be sent now; not again before [`AGAIN`] has passed.
    pub(super) fn due(&mut self, now: Duration) -> Option<Item> {
        let differs = self.in_cloud.as_ref().is_some_and(|version| version.as_ref() != Some(&self.version));
        if !differs || now < self.not_before || self.text.len() > BYTES_MAX {
            return None;
        }
        self.not_before = now + AGAIN;
        Some(Item::Configuration(self.text.clone()))
    }

    /// Takes from a receipt which version the cloud has.
    pub(super) fn heard(&mut self, version: Option<String>) {
        self.in_cloud = Some(version);
    }
}
