//! What the site opens for writing: `writes = [...]` of a device, and `[[device.interlock]]`, what
//! must hold for it. Nothing is open that is not named here, and nothing without an interlock.

use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::{Feeds, Poll, Profile};

use super::read::{Raw, Section, Wrong, did_you_mean, flag, id, text, texts, wrong};
use super::{Device, Interlock, Opened};

/// Most interlocks of one device.
const INTERLOCKS_MAX: usize = 32;
/// A device that is polled more seldom than this locks nothing: its value is too old to act upon.
const INTERVAL_MAX: Duration = Duration::from_secs(30);

/// Interlocks of one device, whose own devices may stand further down in the file.
pub(super) struct Draft<'r> {
    names: Vec<String>,
    interlocks: Vec<(Section<'r>, Asked)>,
}

impl Draft<'_> {
    /// Refuses what means nothing, where the device itself has a mistake.
    pub(super) fn finish(self) {
        self.interlocks.into_iter().for_each(|(table, _)| table.finish());
    }
}

/// One `[[device.interlock]]`.
struct Asked {
    writes: Vec<String>,
    always: bool,
    device: Option<String>,
    metric: Option<Metric>,
    least: Option<f64>,
    most: Option<f64>,
}

/// The settings of a device about writing. `profile` is missing when that has a mistake.
pub(super) fn read<'r>(section: &mut Section<'r>, profile: Option<&Profile>) -> Draft<'r> {
    let names = section.take("writes", texts).unwrap_or_default();
    for name in &names {
        let Some(profile) = profile else { break };
        let known = || profile.writes.iter().map(|write| write.name.as_str());
        if profile.writes.is_empty() {
            let message = format!("profile {} writes nothing", profile.name);
            section
                .problem("writes", wrong(message, "remove it; docs/device-profiles.md says how a profile opens more"));
        } else if !known().any(|known| known == name) {
            let message = format!("profile {} has no write `{name}`", profile.name);
            section.problem("writes", wrong(message, did_you_mean(name, known())));
        }
    }
    let tables = section.sections("interlock", INTERLOCKS_MAX);
    let interlocks = tables.into_iter().map(|mut table| {
        let asked = interlock(&mut table, &names);
        (table, asked)
    });
    Draft { interlocks: interlocks.collect(), names }
}

fn interlock(table: &mut Section<'_>, names: &[String]) -> Asked {
    let writes = table.required("writes", "name the writes it is for, like writes = [\"relay_1\"]", texts);
    let writes = writes.unwrap_or_default();
    for name in writes.iter().filter(|name| !names.contains(name)) {
        let remedy = did_you_mean(name, names.iter().map(String::as_str));
        table.problem("writes", wrong(format!("`{name}` is not among the writes of this device"), remedy));
    }
    let asked = Asked {
        writes,
        always: table.take("always", flag).unwrap_or(false),
        device: table.take("device", id),
        metric: table.take("metric", metric),
        least: table.take("at_least", number),
        most: table.take("at_most", number),
    };
    let limited = asked.least.is_some() || asked.most.is_some();
    let whole = table.has("device") && table.has("metric") && (table.has("at_least") || table.has("at_most"));
    let any = table.has("device") || table.has("metric") || limited;
    if if asked.always { any } else { !whole } {
        let message = "needs a device, a metric and a limit, or `always = true` alone";
        let remedy = "write it like device = \"turbine-1\", metric = \"rotor_rpm\", at_most = 5";
        table.problem("device", wrong(message, remedy));
    }
    if asked.least.zip(asked.most).is_some_and(|(least, most)| least > most) {
        table.problem("at_most", wrong("lies below at_least: nothing could pass", "exchange them"));
    }
    asked
}

/// What is open, once all devices are known; `devices` are in the order of the drafts.
pub(super) fn resolve(devices: &mut [Device], drafts: Vec<(Section<'_>, Draft<'_>)>) {
    for (index, (section, draft)) in drafts.into_iter().enumerate() {
        let mut opened: Vec<Opened> = Vec::new();
        for name in &draft.names {
            let profile = &devices[index].profile;
            let Some(write) = profile.writes.iter().position(|write| write.name == *name) else { continue };
            if opened.iter().any(|other| other.write == write) {
                section.problem("writes", wrong(format!("`{name}` is there twice"), "name it once"));
                continue;
            }
            let own = |asked: &Asked| asked.writes.contains(name);
            let always = draft.interlocks.iter().any(|(_, asked)| asked.always && own(asked));
            let locked = draft.interlocks.iter().any(|(_, asked)| !asked.always && own(asked));
            let guarded = !profile.writes[write].allowed_when.is_empty();
            if always && locked {
                let message = format!("`{name}` has an interlock and one that says always");
                section.problem("interlock", wrong(message, "keep one of them"));
            }
            if !(always || locked || guarded) {
                let remedy = format!(
                    "add [[device.interlock]] with writes = [\"{name}\"] and a condition, or with always = true if it can do no harm"
                );
                section.problem("writes", wrong(format!("`{name}` has no interlock"), remedy));
            }
            opened.push(Opened { write, always, interlocks: Vec::new() });
        }
        for (table, asked) in draft.interlocks {
            let interlock = resolved(&table, &asked, devices);
            for open in &mut opened {
                let name = &devices[index].profile.writes[open.write].name;
                if let Some(interlock) = interlock.filter(|_| asked.writes.contains(name)) {
                    open.interlocks.push(interlock);
                }
            }
            table.finish();
        }
        devices[index].writes = opened;
        section.finish();
    }
}

/// The interlock with its device found.
fn resolved(table: &Section<'_>, asked: &Asked, devices: &[Device]) -> Option<Interlock> {
    let (name, metric) = (asked.device.as_ref()?, asked.metric?);
    let Some(number) = devices.iter().position(|device| device.id == *name) else {
        let known = did_you_mean(name, devices.iter().map(|device| device.id.as_str()));
        table.problem("device", wrong(format!("there is no device `{name}`"), known));
        return None;
    };
    let device = &devices[number];
    let metrics: Vec<Metric> = metrics(&device.profile).collect();
    if !metrics.contains(&metric) {
        let message = format!("`{name}` brings no {metric} with every poll");
        table.problem("metric", wrong(message, did_you_mean(metric.name(), metrics.iter().map(|known| known.name()))));
    }
    if device.interval > INTERVAL_MAX {
        let message = format!("`{name}` is polled every {:?}, too seldom to act upon", device.interval);
        table.problem("device", wrong(message, "poll it at least every 30s, or take another device"));
    }
    let stored = |limit: f64| (limit / 10f64.powi(metric.info().exponent.into())).round() as i64;
    Some(Interlock { device: number as u16, metric, least: asked.least.map(stored), most: asked.most.map(stored) })
}

/// The metrics that a profile brings with every poll.
fn metrics(profile: &Profile) -> impl Iterator<Item = Metric> + '_ {
    profile.areas.iter().flat_map(|area| {
        let fast = |index: &usize| {
            let register = &area.registers[*index];
            register.poll == Poll::Fast && register.every.is_none()
        };
        let measured = (0..area.registers.len()).filter(fast).filter_map(|index| match area.registers[index].feeds {
            Feeds::Metric { metric, .. } => Some(metric),
            _ => None,
        });
        let computed = area.computed.iter().filter(move |computed| computed.from.iter().all(fast));
        measured.chain(computed.map(|computed| computed.metric))
    })
}

fn metric(raw: Raw<'_>) -> Result<Metric, Wrong> {
    let name = text(raw)?;
    Metric::named(&name).map_err(|error| wrong(error.to_string(), "docs/device-profiles.md lists the metrics"))
}

fn number(raw: Raw<'_>) -> Result<f64, Wrong> {
    let number = match raw {
        Raw::Item(item) => item.as_float().or_else(|| item.as_integer().map(|number| number as f64)),
        Raw::Text(text) => text.parse().ok(),
    };
    number.filter(|number| number.is_finite()).ok_or_else(|| wrong("is no number", "write it like 2.5"))
}
