//! Announcements: what the gateway knows of each device, sent when new or changed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use riverwatts_shared::batch::Announcement;
use riverwatts_shared::profile::Identity;

use crate::config::{Config, Device};
use crate::record::Recorded;

/// How often an announcement is repeated that the cloud did not take, or that waits for an admin.
pub const AGAIN: Duration = Duration::from_secs(180);

/// What the cloud knows of the devices.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    /// Taken by the cloud: key, and the announcement as JSON.
    taken: HashMap<String, String>,
    /// Not to be repeated before: key, and monotonic time.
    not_before: HashMap<String, Duration>,
}

impl Announcements {
    /// `taken`: what the cloud knew when the gateway stopped.
    pub(super) fn new(taken: Vec<(String, String)>) -> Self {
        Announcements { taken: taken.into_iter().collect(), not_before: HashMap::new() }
    }

    /// What is to be announced now.
    pub(super) fn due(&self, config: &Config, recorded: &Recorded, now: Duration) -> Vec<Announcement> {
        let devices = config.devices.iter().zip(0u16..);
        let all = devices.map(|(device, number)| announcement(device, &recorded.identity(number)));
        all.filter(|announcement| {
            let waits = self.not_before.get(&announcement.key).is_some_and(|until| now < *until);
            !waits && self.taken.get(&announcement.key) != Some(&as_json(announcement))
        })
        .collect()
    }

    /// The cloud has taken it.
    pub(super) fn took(&mut self, key: &str, json: String) {
        self.not_before.remove(key);
        self.taken.insert(key.to_owned(), json);
    }

    /// It was sent, and not taken: later again.
    pub(super) fn postpone(&mut self, key: &str, now: Duration) {
        self.not_before.insert(key.to_owned(), now + AGAIN);
    }

    /// The cloud does not know this device.
    pub(super) fn forget(&mut self, key: &str) {
        self.taken.remove(key);
    }

    /// The cloud knows nobody.
    pub(super) fn forget_all(&mut self) {
        *self = Announcements::default();
    }
}

/// An announcement as it is compared and kept.
pub(super) fn as_json(announcement: &Announcement) -> String {
    serde_json::to_string(announcement).expect("plain strings and numbers are JSON")
}

fn announcement(device: &Device, identity: &BTreeMap<Identity, String>) -> Announcement {
    let said = |field| identity.get(&field).cloned();
    let profile = &device.profile;
    Announcement {
        key: device.id.clone(),
        device_type: Some(profile.device),
        profile: profile.name.clone(),
        manufacturer: said(Identity::Manufacturer).or_else(|| Some(profile.manufacturer.clone())),
        model: said(Identity::Model).or_else(|| Some(profile.model.clone())),
        serial_number: said(Identity::SerialNumber),
        firmware_version: said(Identity::FirmwareVersion),
        hardware_version: said(Identity::HardwareVersion),
        rated_power_w: device.rated.power_w,
        interval_ms: Some(device.interval.as_millis() as u64),
        kind: profile.kind.clone(),
    }
}
