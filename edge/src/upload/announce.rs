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
        let all = devices.map(|(device, number)| announcement(device, recorded.identity(number).as_ref()));
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

/// The profile's words for maker and model stand in for a device that was asked and did not say; before,
/// nothing is said, since the cloud keeps what it hears first.
pub(crate) fn announcement(device: &Device, identity: Option<&BTreeMap<Identity, String>>) -> Announcement {
    let said = |field| identity.and_then(|identity| identity.get(&field)).cloned();
    let profile = &device.profile;
    let stands_in = |word: &String| identity.is_some().then(|| word.clone());
    Announcement {
        key: device.id.clone(),
        device_type: Some(profile.device),
        profile: profile.name.clone(),
        manufacturer: said(Identity::Manufacturer).or_else(|| stands_in(&profile.manufacturer)),
        model: said(Identity::Model).or_else(|| stands_in(&profile.model)),
        serial_number: said(Identity::SerialNumber),
        firmware_version: said(Identity::FirmwareVersion),
        hardware_version: said(Identity::HardwareVersion),
        rated_power_w: device.rated.power_w,
        interval_ms: Some(device.interval.as_millis() as u64),
        kind: profile.kind.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Overrides, parse};

    #[test]
    fn the_profile_speaks_for_a_device_only_after_the_device_was_asked() {
        const CONFIG: &str = "[[bus]]\nid = \"lan\"\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n\
                              [[device]]\nid = \"a\"\nbus = \"lan\"\nprofile = \"sunspec-inverter\"\nunit = 1\n";
        let config = parse(CONFIG, "edge.toml", Path::new(""), &Overrides::default()).unwrap();
        let device = &config.devices[0];
        let check = |identity: Option<&[(Identity, &str)]>, maker: Option<&str>, model: Option<&str>| {
            let identity = identity.map(|said| said.iter().map(|(field, text)| (*field, (*text).to_owned())).collect());
            let announced = announcement(device, identity.as_ref());
            assert_eq!((announced.manufacturer.as_deref(), announced.model.as_deref()), (maker, model), "{identity:?}");
        };
        let profile = &device.profile;
        check(None, None, None);
        check(Some(&[]), Some(&profile.manufacturer), Some(&profile.model));
        check(Some(&[(Identity::Manufacturer, "Fronius")]), Some("Fronius"), Some(&profile.model));
        check(Some(&[(Identity::Manufacturer, "Fronius"), (Identity::Model, "Symo")]), Some("Fronius"), Some("Symo"));
    }
}
