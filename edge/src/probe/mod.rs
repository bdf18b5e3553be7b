//! `probe`: finds out what hangs on a bus, for the one who wires a site.
//!
//! It only reads (function codes 1 to 4, and 0x2B for identification), asks one thing at a time, and needs no
//! running gateway. Nothing here prints: [`command::execute`] gives a [`Document`], which is text or JSON. On a serial
//! port it sleeps on its thread for the silences of the line, so it wants a runtime of its own.

mod chain;
pub mod command;
mod device;
mod evidence;
mod guess;
mod holders;
mod identification;
mod look;
mod memory;
mod record;
mod registers;
mod section;
mod session;
mod sweep;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod units;
mod usual;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use riverwatts_shared::problem::Problem;
use riverwatts_shared::profile::{Identity, Parity};
use serde::Serialize;

use self::session::Ended;
use self::target::Target;
use crate::config::Link;

/// Why nothing was probed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong.
    #[error("the configuration has mistakes")]
    Config(Vec<Problem>),
    /// There is no connection, or a file cannot be written.
    #[error("{0}")]
    Unavailable(String),
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// The command.
    pub command: &'static str,
    /// Version of this program.
    pub version: &'static str,
    /// Where it was looked.
    pub bus: BusSettings,
    /// How it ended.
    pub ended: End,
    /// What was found.
    #[serde(flatten)]
    pub found: Found,
}

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Everything was asked.
    Complete,
    /// Somebody stopped it.
    Stopped,
    /// `--within` was over.
    OutOfTime,
    /// The connection went.
    Lost,
}

/// What was found, by command.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Found {
    /// `units`.
    Units(units::Scan),
    /// `sunspec`.
    Sunspec(chain::Chain),
    /// `guess`.
    Guess(guess::Guess),
    /// `read`.
    Read(table::Table),
    /// `device`.
    Device(Devices),
}

/// Devices, and where their record went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Devices {
    /// Each as it is now.
    pub devices: Vec<device::Device>,
    /// The files of the commissioning record.
    pub record: Option<[String; 2]>,
}

/// Where a bus is, and how it is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BusSettings {
    /// Its id.
    pub id: String,
    /// `tcp`, `rtu` or `rtu-tcp`.
    pub kind: &'static str,
    /// Address or port.
    pub target: String,
    /// Serial speed, bit/s.
    pub baud: Option<u32>,
    /// Serial parity.
    pub parity: Option<Parity>,
    /// Serial stop bits.
    pub stop_bits: Option<u8>,
    /// How long an answer may take, ms.
    pub timeout_ms: u64,
}

impl BusSettings {
    /// Those of a target.
    pub fn of(target: &Target) -> BusSettings {
        let bus = target.bus();
        let serial = match &bus.link {
            Link::Rtu(serial) => Some(serial),
            _ => None,
        };
        BusSettings {
            id: bus.id.clone(),
            kind: bus.link.word(),
            target: bus.link.target().to_owned(),
            baud: serial.map(|serial| serial.baud),
            parity: serial.map(|serial| serial.parity),
            stop_bits: serial.map(|serial| serial.stop_bits),
            timeout_ms: target.timeout.as_millis() as u64,
        }
    }
}

impl From<&Ended> for End {
    fn from(ended: &Ended) -> Self {
        match ended {
            Ended::Stopped => End::Stopped,
            Ended::OutOfTime => End::OutOfTime,
            Ended::Lost(_) => End::Lost,
        }
    }
}

impl Document {
    /// Whether anybody answered.
    pub fn has_answers(&self) -> bool {
        match &self.found {
            Found::Units(scan) => !scan.units.is_empty(),
            Found::Sunspec(chain) => chain.base.is_some(),
            Found::Guess(guess) => guess.answered,
            Found::Read(table) => table.answered,
            Found::Device(devices) => devices.devices.iter().any(|device| device.error.is_none()),
        }
    }
}

impl fmt::Display for BusSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.target)?;
        if let (Some(baud), Some(parity), Some(stop_bits)) = (self.baud, self.parity, self.stop_bits) {
            let parity = match parity {
                Parity::None => 'N',
                Parity::Even => 'E',
                Parity::Odd => 'O',
            };
            write!(f, " at {baud} bit/s, 8{parity}{stop_bits}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What `device` prints belongs into edge.toml.
        let remark = if matches!(self.found, Found::Device(_)) { "# " } else { "" };
        if remark.is_empty() {
            writeln!(f, "{}", self.bus)?;
        }
        match &self.found {
            Found::Units(scan) => write!(f, "{scan}")?,
            Found::Sunspec(chain) => write!(f, "{chain}")?,
            Found::Guess(guess) => write!(f, "{guess}")?,
            Found::Read(table) => write!(f, "{table}")?,
            Found::Device(devices) => {
                let texts: Vec<_> = devices.devices.iter().map(ToString::to_string).collect();
                f.write_str(texts.join("\n").trim_end())?;
                if let Some([json, paper]) = &devices.record {
                    write!(f, "\n# record: {json} and {paper}")?;
                }
            }
        }
        let why = match self.ended {
            End::Complete => return Ok(()),
            End::Stopped => "it was stopped",
            End::OutOfTime => "the time was over; give more by --within",
            End::Lost => "the connection went",
        };
        write!(f, "\n{remark}not complete: {why}")
    }
}

/// What a device says about itself, in one line.
fn said(identity: &BTreeMap<Identity, String>) -> String {
    let texts = identity.iter().map(|(field, text)| match field {
        Identity::Manufacturer | Identity::Model => text.clone(),
        Identity::SerialNumber => format!("serial {text}"),
        Identity::FirmwareVersion => format!("firmware {text}"),
        Identity::HardwareVersion => format!("hardware {text}"),
    });
    texts.collect::<Vec<_>>().join(" · ")
}
