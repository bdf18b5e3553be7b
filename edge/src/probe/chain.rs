//! The list of SunSpec models of a device, told plainly, also where it is broken.

use std::collections::BTreeMap;
use std::fmt;

use riverwatts_shared::profile::sunspec::{END, MARKER, MODELS_MAX, Model};
use riverwatts_shared::profile::{Function, Identity};
use serde::Serialize;

use super::said;
use super::session::{Answer, Ended, Session};

/// Addresses at which the list may begin, in the order to try them.
const BASES: [u16; 3] = [40_000, 0, 50_000];
/// How often one header is asked for.
const ATTEMPTS: usize = 3;
/// Registers of the common model that hold texts, from its id word on.
const COMMON: [(Identity, usize, usize); 4] = [
    (Identity::Manufacturer, 2, 16),
    (Identity::Model, 18, 16),
    (Identity::FirmwareVersion, 42, 8),
    (Identity::SerialNumber, 50, 16),
];
/// Registers of the common model that are read for them.
const COMMON_REGISTERS: u16 = 66;
/// Models with blocks that repeat: registers before the first block, registers of each.
const REPEATING: &[(u16, u16, u16)] = &[(160, 8, 20), (714, 18, 25), (803, 26, 32)];

/// Names of the models in the SunSpec registry (github.com/sunspec/models), as far as river sites meet them.
const NAMES: &[(u16, &str)] = &[
    (1, "common: maker, model, serial number"),
    (2, "basic aggregator"),
    (11, "Ethernet link"),
    (12, "IPv4"),
    (17, "serial interface"),
    (101, "inverter, single phase"),
    (102, "inverter, split phase"),
    (103, "inverter, three phases"),
    (111, "inverter, single phase, floats"),
    (112, "inverter, split phase, floats"),
    (113, "inverter, three phases, floats"),
    (120, "nameplate ratings"),
    (121, "basic settings"),
    (122, "measurements and status"),
    (123, "immediate controls"),
    (124, "storage control"),
    (126, "static volt-var"),
    (127, "frequency-watt parameters"),
    (128, "dynamic reactive current"),
    (129, "low voltage ride-through"),
    (130, "high voltage ride-through"),
    (131, "watt-power factor"),
    (132, "volt-watt"),
    (134, "frequency-watt curve"),
    (135, "low frequency ride-through"),
    (136, "high frequency ride-through"),
    (160, "MPPT inverter extension"),
    (201, "meter, single phase"),
    (202, "meter, split phase"),
    (203, "meter, three phases wye"),
    (204, "meter, three phases delta"),
    (211, "meter, single phase, floats"),
    (212, "meter, split phase, floats"),
    (213, "meter, three phases wye, floats"),
    (214, "meter, three phases delta, floats"),
    (302, "irradiance"),
    (307, "weather station"),
    (401, "string combiner"),
    (501, "solar module, floats"),
    (502, "solar module"),
    (701, "DER AC measurement"),
    (702, "DER capacity"),
    (703, "DER enter service"),
    (704, "DER AC controls"),
    (705, "DER volt-var"),
    (706, "DER volt-watt"),
    (713, "DER storage capacity"),
    (714, "DER DC measurement"),
    (802, "battery"),
    (803, "lithium-ion battery bank"),
    (804, "lithium-ion string"),
    (805, "lithium-ion module"),
];

/// What the walk found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    /// Modbus address of the device.
    pub unit: u8,
    /// Where the marker stands.
    pub base: Option<u16>,
    /// What stood at the addresses where the marker may stand.
    pub tried: Vec<Tried>,
    /// The models, in order.
    pub models: Vec<Found>,
    /// Whether the list ends as it should.
    pub complete: bool,
    /// How it ends, in words.
    pub end: String,
    /// What the common model says.
    pub identity: BTreeMap<Identity, String>,
}

/// What stood at an address where the marker may stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// PDU address.
    pub address: u16,
    /// `SunS`, other words, or why there are none.
    pub found: String,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Its number in the SunSpec registry.
    pub id: u16,
    /// What it is for; `null` where the registry has no name that we know.
    pub name: Option<&'static str>,
    /// PDU address of its id word.
    pub address: u16,
    /// PDU address of its last register.
    pub last: u16,
    /// Registers that follow id and length.
    pub length: u16,
    /// How many repeated blocks it holds, where it has some.
    pub blocks: Option<u16>,
    /// Which of several models with this number it is, from 1; `null` where there is one.
    pub instance: Option<u16>,
}

impl Chain {
    /// Nothing was asked yet.
    pub fn new(unit: u8) -> Chain {
        let end = "nothing was asked".to_owned();
        Chain {
            unit,
            base: None,
            tried: Vec::new(),
            models: Vec::new(),
            complete: false,
            end,
            identity: BTreeMap::new(),
        }
    }

    /// The models as profiles see them.
    pub fn models(&self) -> Vec<Model> {
        self.models.iter().map(|model| Model { id: model.id, start: model.address, length: model.length }).collect()
    }

    fn add(&mut self, id: u16, address: u16, length: u16) {
        let repeated = REPEATING.iter().find(|(model, ..)| *model == id);
        let blocks = repeated.and_then(|&(_, fixed, each)| Some(length.checked_sub(fixed)? / each));
        let name = NAMES.iter().find(|(model, _)| *model == id).map(|(_, name)| *name);
        let before = self.models.iter().filter(|model| model.id == id).count() as u16;
        if before == 1 {
            self.models.iter_mut().filter(|model| model.id == id).for_each(|model| model.instance = Some(1));
        }
        let instance = (before > 0).then_some(before + 1);
        self.models.push(Found { id, name, address, last: address + 1 + length, length, blocks, instance });
    }
}

/// Walks the list of models; what was found so far is in `chain` also when it ends early.
///
/// # Errors
/// When there are to be no more requests.
pub async fn walk(session: &mut Session, unit: u8, chain: &mut Chain) -> Result<(), Ended> {
    chain.unit = unit;
    for address in BASES {
        let answer = session.read(unit, Function::Holding, address, 2).await?;
        let found = match &answer {
            Ok(words) if words[..] == MARKER => "SunS".to_owned(),
            Ok(words) => format!("{:04x} {:04x}", words[0], words[1]),
            Err(failure) => failure.to_string(),
        };
        let is_marker = found == "SunS";
        chain.tried.push(Tried { address, found });
        if is_marker {
            chain.base = Some(address);
            break;
        }
    }
    let Some(base) = chain.base else {
        chain.end = match session.heard() {
            true => "no SunSpec marker; switch SunSpec on at the device, or it is no SunSpec device",
            false => "nobody answers; check power, wiring and unit id",
        }
        .to_owned();
        return Ok(());
    };
    let mut at = base + 2;
    loop {
        match header(session, unit, at).await? {
            Ok(words) if words[0] == END => {
                chain.complete = true;
                chain.end = format!("ends at {at} with its end mark");
                break;
            }
            Ok(words) => {
                let next = u32::from(at) + 2 + u32::from(words[1]);
                if next > 0xFFFF || chain.models.len() >= MODELS_MAX {
                    chain.end = match next > 0xFFFF {
                        true => format!("broken at {at}: model {} would be {} registers long", words[0], words[1]),
                        false => format!("does not end: {MODELS_MAX} models, and still more; the firmware is at fault"),
                    };
                    break;
                }
                chain.add(words[0], at, words[1]);
                at = next as u16;
            }
            Err(failure) => {
                chain.end = format!("broken at {at}, where the next model or the end mark should stand: {failure}");
                break;
            }
        }
    }
    identify(session, unit, chain).await
}

async fn header(session: &mut Session, unit: u8, at: u16) -> Result<Answer, Ended> {
    let mut answer = session.read(unit, Function::Holding, at, 2).await?;
    for _ in 1..ATTEMPTS {
        if matches!(answer, Ok(_) | Err(crate::bus::wire::Failure::Exception(_))) {
            break;
        }
        answer = session.read(unit, Function::Holding, at, 2).await?;
    }
    Ok(answer)
}

async fn identify(session: &mut Session, unit: u8, chain: &mut Chain) -> Result<(), Ended> {
    let Some(common) = chain.models.iter().find(|model| model.id == 1) else { return Ok(()) };
    let count = COMMON_REGISTERS.min(common.length + 2);
    let Ok(words) = session.read(unit, Function::Holding, common.address, count).await? else { return Ok(()) };
    for (field, at, length) in COMMON {
        let Some(words) = words.get(at..at + length) else { continue };
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).take_while(|byte| *byte != 0).collect();
        let text: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
        if !text.trim().is_empty() {
            chain.identity.insert(field, text.trim().to_owned());
        }
    }
    Ok(())
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "unit {}", self.unit)?;
        for Tried { address, found } in &self.tried {
            writeln!(f, "  at {address:5}: {found}")?;
        }
        if !self.identity.is_empty() {
            writeln!(f, "  {}", said(&self.identity))?;
        }
        if !self.models.is_empty() {
            writeln!(f, "\n  {:>7} {:>7} {:>6} {:>6}  name", "address", "last", "model", "length")?;
        }
        for model in &self.models {
            let Found { id, name, address, last, length, blocks, instance } = model;
            write!(f, "  {address:>7} {last:>7} {id:>6} {length:>6}  {}", name.unwrap_or("unknown to us"))?;
            if let Some(instance) = instance {
                write!(f, ", number {instance} of its kind")?;
            }
            if let Some(blocks) = blocks {
                write!(f, ", {blocks} repeated blocks")?;
            }
            writeln!(f)?;
        }
        write!(f, "\n  the list {}", self.end)
    }
}
