//! What somebody wants to write, held against profile, `edge.toml` and the newest values: pure.

use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::{Accepted, Guard, NotAllowed, Test, Write};
use riverwatts_shared::reading::Value;
use riverwatts_shared::words::Quality;

use super::permit::Permit;
use crate::config::{Config, Device, Interlock, Opened};

/// An interlock's value may be so many intervals of its device old,
const AGE_INTERVALS: u32 = 3;
/// and so old in any case: a busy line polls more seldom than it was asked to.
const AGE_MIN: Duration = Duration::from_secs(2);

/// Why nothing is written. Says what forbids it, and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// There is no such device.
    #[error("there is no device `{device}`; `check` lists them")]
    NoDevice {
        /// What was asked for.
        device: String,
    },
    /// The profile does not know it.
    #[error("profile {profile} of {device} has no write `{name}`; it has {known}")]
    NotInProfile {
        /// The device.
        device: String,
        /// Its profile.
        profile: String,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The site has not opened it.
    #[error("{name} of {device} is not open: add it to `writes` of the device in edge.toml, with an interlock")]
    NotOpened {
        /// The device.
        device: String,
        /// What was asked for.
        name: String,
    },
    /// Nothing guards it.
    #[error("{name} of {device} has no interlock: add [[device.interlock]] in edge.toml")]
    NoInterlock {
        /// The device.
        device: String,
        /// What was asked for.
        name: String,
    },
    /// The value is none of its values.
    #[error(transparent)]
    Value(#[from] NotAllowed),
    /// The value that an interlock needs is not there.
    #[error("only while {interlock}, and that is not known now: wait for a good value of it, or look after the device")]
    Unknown {
        /// The condition.
        interlock: String,
    },
    /// It is too old.
    #[error("only while {interlock}, and what is known of that is {age_s} s old: look after the device")]
    Stale {
        /// The condition.
        interlock: String,
        /// Age of the value, in seconds.
        age_s: u64,
    },
    /// It is another.
    #[error("only while {interlock}, and it is {value}: wait until it is")]
    Locked {
        /// The condition.
        interlock: String,
        /// The value.
        value: f64,
    },
}

/// A write that profile, site and value allow; interlocks are still to be looked at.
#[derive(Debug, Clone)]
pub struct Proposal<'c> {
    config: &'c Config,
    number: u16,
    opened: &'c Opened,
    accepted: Accepted,
}

impl<'c> Proposal<'c> {
    /// The write `name` of `device`, to `value`.
    ///
    /// # Errors
    /// When profile, `edge.toml` or value forbid it.
    pub fn new(config: &'c Config, device: &str, name: &str, value: &str) -> Result<Self, Refusal> {
        let place = config.devices.iter().position(|known| known.id == device);
        let Some(number) = place else { return Err(Refusal::NoDevice { device: device.to_owned() }) };
        let settings = &config.devices[number];
        let writes = &settings.profile.writes;
        let Some(index) = writes.iter().position(|write| write.name == name) else {
            let known: Vec<&str> = writes.iter().map(|write| write.name.as_str()).collect();
            return Err(Refusal::NotInProfile {
                device: device.to_owned(),
                profile: settings.profile.name.clone(),
                name: name.to_owned(),
                known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
            });
        };
        let (device, name) = (device.to_owned(), name.to_owned());
        let Some(opened) = settings.writes.iter().find(|opened| opened.write == index) else {
            return Err(Refusal::NotOpened { device, name });
        };
        if !opened.always && opened.interlocks.is_empty() && writes[index].allowed_when.is_empty() {
            return Err(Refusal::NoInterlock { device, name });
        }
        let accepted = writes[index].accept(value)?;
        Ok(Proposal { config, number: number as u16, opened, accepted })
    }

    /// The number of the device.
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// The index of the write in the profile.
    pub const fn place(&self) -> usize {
        self.opened.write
    }

    /// The device.
    pub fn device(&self) -> &'c Device {
        &self.config.devices[usize::from(self.number)]
    }

    /// The write.
    pub fn write(&self) -> &'c Write {
        &self.device().profile.writes[self.opened.write]
    }

    /// The value, as the profile calls it.
    pub fn value(&self) -> &str {
        &self.accepted.value
    }

    /// What the interlocks look at.
    pub fn interlocks(&self) -> &'c [Interlock] {
        &self.opened.interlocks
    }

    /// What must hold, in words.
    pub fn conditions(&self) -> Vec<String> {
        conditions(self.config, self.opened, self.write())
    }

    /// The permit, when all interlocks hold. `latest` gives the newest value of a device and its
    /// age; `now` is monotonic.
    ///
    /// # Errors
    /// What forbids it.
    pub fn permit(
        &self,
        latest: impl Fn(u16, Metric) -> Option<(Value, Duration)>,
        now: Duration,
    ) -> Result<Permit, Refusal> {
        for interlock in self.interlocks() {
            let words = || condition(self.config, interlock);
            let good = |(value, _): &(Value, Duration)| value.quality == Quality::Ok;
            let known = latest(interlock.device, interlock.metric).filter(good);
            let Some((Value { value: Some(stored), .. }, age)) = known else {
                return Err(Refusal::Unknown { interlock: words() });
            };
            let interval = self.config.devices[usize::from(interlock.device)].interval;
            if age > (interval * AGE_INTERVALS).max(AGE_MIN) {
                return Err(Refusal::Stale { interlock: words(), age_s: age.as_secs() });
            }
            let holds =
                interlock.least.is_none_or(|least| stored >= least) && interlock.most.is_none_or(|most| stored <= most);
            if !holds {
                let value = interlock.metric.to_unit(stored);
                return Err(Refusal::Locked { interlock: words(), value });
            }
        }
        let device = self.device();
        Ok(Permit::new(self.number, device.unit, self.write().clone(), self.accepted.clone(), now))
    }
}

/// Everything that is open at a site, one sentence each.
pub fn told(config: &Config) -> Vec<String> {
    let open = config.devices.iter().flat_map(|device| device.writes.iter().map(move |opened| (device, opened)));
    let told = open.map(|(device, opened)| {
        let write = &device.profile.writes[opened.write];
        let conditions = conditions(config, opened, write);
        let when = if conditions.is_empty() {
            "at any time".to_owned()
        } else {
            format!("only while {}", conditions.join(" and "))
        };
        let refresh = write.refresh.map(|every| format!("; falls back by itself after {} s", every.as_secs()));
        let warns = write.warns.as_ref().map(|warns| format!("; {warns}"));
        let (refresh, warns) = (refresh.unwrap_or_default(), warns.unwrap_or_default());
        format!("{} of {} can be written ({}) {when}{refresh}{warns}", write.name, device.id, write.allowed)
    });
    told.collect()
}

fn conditions(config: &Config, opened: &Opened, write: &Write) -> Vec<String> {
    let site = opened.interlocks.iter().map(|interlock| condition(config, interlock));
    site.chain(write.allowed_when.iter().map(guard)).collect()
}

fn condition(config: &Config, interlock: &Interlock) -> String {
    let (device, metric) = (&config.devices[usize::from(interlock.device)].id, interlock.metric);
    let number = |stored: i64| metric.to_unit(stored);
    let limits = match (interlock.least, interlock.most) {
        (Some(least), Some(most)) => format!("from {} to {}", number(least), number(most)),
        (Some(least), None) => format!("at least {}", number(least)),
        (None, Some(most)) => format!("at most {}", number(most)),
        (None, None) => "known".to_owned(),
    };
    format!("{metric} of {device} is {limits}")
}

/// A condition on a register of the device, in words.
pub(super) fn guard(guard: &Guard) -> String {
    let list = |numbers: &[i64], last: &str| numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(last);
    let limits = match &guard.test {
        Test::Is(numbers) => list(numbers, " or "),
        Test::Not(numbers) => format!("not {}", list(numbers, " nor ")),
        Test::Between(i64::MIN, most) => format!("at most {most}"),
        Test::Between(least, i64::MAX) => format!("at least {least}"),
        Test::Between(least, most) => format!("from {least} to {most}"),
    };
    format!("its {} is {limits}", guard.seen.name)
}
