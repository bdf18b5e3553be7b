//! One device as it is now: what each register holds, what that means, and its lines for `edge.toml`.

use std::collections::BTreeMap;
use std::fmt;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::{Confidence, Feeds, Identity, Profile, Register};
use riverwatts_shared::words::{Quality, Severity};
use serde::Serialize;
use tokio::time::Instant;

use super::identification::identify;
use super::look::{Look, find, look};
use super::memory::Memory;
use super::section::{NewDevice, section};
use super::session::{Ended, Session};
use super::target::Target;
use super::usual::usual;
use crate::plan::Placed;

/// Most requests spent on isolating what the device refuses.
const EXTRA_MAX: usize = 64;

/// A device and its values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Device {
    /// Its key.
    pub id: String,
    /// Its Modbus address.
    pub unit: u8,
    /// Its profile.
    pub profile: String,
    /// How sure the profile is of its registers.
    pub confidence: Confidence,
    /// What it says about itself.
    pub identity: BTreeMap<Identity, String>,
    /// Its values, in order of metric.
    pub values: Vec<Shown>,
    /// Its alarms that are on.
    pub alarms: Vec<On>,
    /// Registers that it refuses.
    pub refused: Vec<Refused>,
    /// A register that shows that it is another device; `null` when none does.
    pub unexpected: Option<String>,
    /// Why nothing could be read.
    pub error: Option<String>,
    /// How long reading everything took, ms.
    pub cycle_ms: f64,
    /// Its lines for `edge.toml`, with those of its bus; `null` when it did not answer as its profile wants.
    pub section: Option<String>,
}

/// A value with what it was made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// What.
    pub metric: &'static str,
    /// The number; `null` when the device has none.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: &'static str,
    /// How far it may be trusted.
    pub quality: Quality,
    /// Whether such a number is usual at a river site; `null` where nobody can say.
    pub usual: Option<bool>,
    /// The registers that it was made of.
    pub registers: Vec<Source>,
}

/// A register and its words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// Its name in the profile.
    pub name: String,
    /// PDU address.
    pub address: u16,
    /// Its words, in hexadecimal.
    pub words: String,
}

/// An alarm that is on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct On {
    /// Its name.
    pub name: String,
    /// How urgent it is.
    pub severity: Severity,
}

/// Registers that the device refuses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refused {
    /// PDU address of the first.
    pub address: u16,
    /// How many.
    pub count: u16,
    /// Why.
    pub error: String,
}

impl Device {
    /// A device that has not been asked yet.
    pub fn new(id: &str, unit: u8, profile: &Profile) -> Device {
        Device {
            id: id.to_owned(),
            unit,
            profile: profile.name.clone(),
            confidence: profile.confidence,
            identity: BTreeMap::new(),
            values: Vec::new(),
            alarms: Vec::new(),
            refused: Vec::new(),
            unexpected: None,
            error: None,
            cycle_ms: 0.0,
            section: None,
        }
    }

    /// The value of a metric.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.values.iter().find(|shown| shown.metric == metric)?.value
    }

    /// Reads everything that its profile knows, and writes its section.
    ///
    /// # Errors
    /// When there are to be no more requests.
    pub async fn read(&mut self, session: &mut Session, target: &Target, profile: &Profile) -> Result<(), Ended> {
        let mut memory = Memory::default();
        let layout = match find(session, &mut memory, self.unit, profile).await? {
            Ok(layout) => layout,
            Err(reason) => {
                self.error = Some(super::evidence::Evidence::of_no_look(&reason).contra.join("; "));
                return Ok(());
            }
        };
        let started = Instant::now();
        let look = look(session, &mut memory, self.unit, layout, EXTRA_MAX).await?;
        let cycle = started.elapsed();
        self.cycle_ms = (cycle.as_secs_f64() * 10_000.0).round() / 10.0;
        self.take(&look);
        if look.answered.is_empty() {
            let why = look.refused.first().map_or("nothing to read".to_owned(), |(_, failure)| failure.to_string());
            self.error = Some(why);
            return Ok(());
        }
        for (field, text) in identify(session, self.unit).await? {
            self.identity.entry(field).or_insert(text);
        }
        if self.unexpected.is_none() {
            let remark = match &target.file {
                Some(file) => {
                    format!("bus {} stands in {} already: add the device only", target.bus().id, file.display())
                }
                None => "found by riverwatts-edge probe".to_owned(),
            };
            let device = NewDevice { id: &self.id, unit: self.unit, profile, cycle, remark: &remark };
            self.section = Some(section(target.bus(), &device, &target.config.profiles).text);
        }
        Ok(())
    }

    fn take(&mut self, look: &Look) {
        self.unexpected.clone_from(&look.decoded.unexpected);
        self.identity = look.decoded.identity.clone();
        self.alarms = look
            .decoded
            .alarms
            .iter()
            .filter(|alarm| alarm.active)
            .map(|alarm| On { name: alarm.name.clone(), severity: alarm.severity })
            .collect();
        let refused = look.refused.iter();
        self.refused = refused
            .map(|(block, why)| Refused { address: block.start, count: block.count, error: why.to_string() })
            .collect();
        let shown = look.decoded.values.iter().map(|value| {
            let info = value.metric.info();
            let number = value.value.map(|stored| value.metric.to_unit(stored));
            Shown {
                metric: info.name,
                value: number,
                unit: info.unit,
                quality: value.quality,
                usual: number.and_then(|number| super::usual::is_usual(value.metric, number)),
                registers: sources(look, value.metric),
            }
        });
        self.values = shown.collect();
    }
}

/// The registers that feed a metric, directly or as parts of a computed value, with what they stand on.
fn sources(look: &Look, metric: Metric) -> Vec<Source> {
    let mut found: Vec<Source> = Vec::new();
    for placed in look.layout.areas() {
        let registers = &placed.area.registers;
        let direct = registers.iter().enumerate().filter(|(index, _)| placed.is_present(*index));
        let direct =
            direct.filter(|(_, register)| matches!(register.feeds, Feeds::Metric { metric: fed, .. } if fed == metric));
        let computed = placed.area.computed.iter().filter(|computed| computed.metric == metric);
        let parts =
            computed.flat_map(|computed| computed.from.iter().copied()).filter(|&index| placed.is_present(index));
        let all: Vec<usize> = direct.map(|(index, _)| index).chain(parts).collect();
        for index in all {
            let others = registers[index].depends_on().filter(|&other| placed.is_present(other));
            for source in [index].into_iter().chain(others).filter_map(|at| source(look, placed, &registers[at])) {
                if !found.contains(&source) {
                    found.push(source);
                }
            }
        }
    }
    found
}

fn source(look: &Look, placed: &Placed, register: &Register) -> Option<Source> {
    let words = look.words(placed, register)?;
    let words = words.iter().map(|word| format!("{word:04x}")).collect::<Vec<_>>().join(" ");
    Some(Source { name: register.name.clone(), address: register.at, words })
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Lines of TOML and comments only, so that the whole can be put into edge.toml.
        let comment = |f: &mut fmt::Formatter<'_>, words: &str| writeln!(f, "# {words}");
        if let Some(section) = &self.section {
            writeln!(f, "{section}")?;
        }
        comment(
            f,
            &format!("{} at unit {}, {} ({} confidence)", self.id, self.unit, self.profile, self.confidence.word()),
        )?;
        if let Some(error) = &self.error {
            comment(f, &format!("could not be read: {error}"))?;
        }
        if let Some(register) = &self.unexpected {
            comment(f, &format!("is another device: register {register} does not hold what {} has", self.profile))?;
        }
        for (field, text) in &self.identity {
            let field = serde_json::to_value(field).map_err(|_| fmt::Error)?;
            comment(f, &format!("  {:28} {text}", field.as_str().unwrap_or_default()))?;
        }
        for shown in &self.values {
            comment(f, &shown.to_string())?;
        }
        for On { name, severity } in &self.alarms {
            comment(f, &format!("  alarm: {name} ({})", severity.word()))?;
        }
        for Refused { address, count, error } in &self.refused {
            comment(f, &format!("  refused: {count} registers at {address}: {error}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.map_or("-".to_owned(), |value| value.to_string());
        write!(f, "  {:28} {value:>12} {:5}", self.metric, self.unit)?;
        let words: Vec<_> =
            self.registers.iter().map(|source| format!("{}: {}", source.address, source.words)).collect();
        write!(f, " [{}]", words.join(", "))?;
        if self.quality != Quality::Ok {
            write!(f, " ({})", self.quality.word())?;
        }
        let range = Metric::named(self.metric).ok().and_then(usual).filter(|_| self.usual == Some(false));
        match range {
            Some((low, high)) => write!(f, " unusual: {low} to {high} is usual"),
            None => Ok(()),
        }
    }
}
