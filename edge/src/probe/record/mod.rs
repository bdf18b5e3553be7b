//! The commissioning record: what stands at the site on this day, measured and compared.

pub mod compare;
mod paper;
pub mod phases;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use riverwatts_shared::profile::Profile;
use riverwatts_shared::time::UtcMs;
use serde::Serialize;
use uuid::Uuid;

use self::compare::{Compared, MeterValues, Tolerance};
use self::phases::{Check, Measured};
use super::device::Device;
use super::look::{fast_blocks, find};
use super::memory::Memory;
use super::session::{Ended, Margins, Session};
use super::target::Target;
use super::{BusSettings, ProbeError};
use crate::check::{BusReport, Report};
use crate::clock::has_passed;
use crate::config::{self, Overrides};
use crate::enroll::Credential;

/// Requests from which the margins of a device are taken.
pub const MARGIN_REQUESTS: usize = 100;
/// Share of the time-out that the slowest answer may take without a remark.
const SLOW_SHARE: f64 = 0.5;

/// What a record is asked for with.
#[derive(Debug, Clone)]
pub struct Order {
    /// The JSON file.
    pub json: PathBuf,
    /// The text for people.
    pub paper: PathBuf,
    /// Who does it.
    pub by: Option<String>,
    /// What they read from another instrument.
    pub meter: MeterValues,
    /// How far it may be from what the devices say.
    pub tolerance: Tolerance,
}

/// A commissioning record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// When, by the clock of this machine.
    pub recorded_at: UtcMs,
    /// Whether that clock says a time that cannot be.
    pub clock_is_wrong: bool,
    /// By whom.
    pub by: Option<String>,
    /// Short name of the site.
    pub site: Option<String>,
    /// Id of the gateway in the cloud, where it is enrolled.
    pub gateway_id: Option<Uuid>,
    /// Name of this machine.
    pub host: String,
    /// Version of this program.
    pub version: &'static str,
    /// The bus.
    pub bus: BusSettings,
    /// What the plan asks of it; `null` when it cannot be made.
    pub plan: Option<BusReport>,
    /// How far meter values may be from what the devices say, in percent.
    pub tolerance_percent: Tolerance,
    /// Whether everything was done.
    pub complete: bool,
    /// The devices.
    pub devices: Vec<Recorded>,
}

/// A device in a record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    /// What it is and says.
    #[serde(flatten)]
    pub device: Device,
    /// Whether its voltages and current transformers sit where they belong.
    pub phases: Vec<Check>,
    /// What it says beside what a person read.
    pub compared: Vec<Compared>,
    /// How it answers.
    pub margins: Margins,
    /// How long an answer may take, ms.
    pub timeout_ms: u64,
    /// What is to be mended or looked at.
    pub remarks: Vec<String>,
}

impl Order {
    /// The two files of `--record FILE`: `FILE.json` and `FILE.md`, whichever of them is named.
    ///
    /// # Errors
    /// When either is there already, or their folder is not.
    pub fn new(file: &Path, by: Option<String>, meter: MeterValues, tolerance: Tolerance) -> Result<Order, ProbeError> {
        let named = file.extension().is_some_and(|end| end == "json" || end == "md");
        let with = |end: &str| {
            let mut path = if named { file.with_extension("") } else { file.to_owned() }.into_os_string();
            path.push(end);
            PathBuf::from(path)
        };
        let order = Order { json: with(".json"), paper: with(".md"), by, meter, tolerance };
        for path in [&order.json, &order.paper] {
            if path.exists() {
                let words = format!(
                    "{} is there already, and records are never overwritten; choose another name",
                    path.display()
                );
                return Err(ProbeError::Usage(words));
            }
        }
        let folder = order.json.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(ProbeError::Usage(format!("{} is no folder; make it first", folder.display())));
        }
        Ok(order)
    }

    /// Writes both files.
    ///
    /// # Errors
    /// When one cannot be written, or has come to be there meanwhile.
    pub fn write(&self, record: &Record) -> Result<(), ProbeError> {
        let json = serde_json::to_string_pretty(record).expect("a record is always JSON");
        for (path, text) in [(&self.json, json), (&self.paper, paper::paper(record))] {
            write_new(path, &text)
                .map_err(|error| ProbeError::Unavailable(format!("{} cannot be written: {error}", path.display())))?;
        }
        Ok(())
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

impl Record {
    /// A record without devices.
    pub fn new(target: &Target, order: &Order, now: UtcMs) -> Record {
        let from_file = target.file.is_some();
        let credential = from_file.then(|| Credential::load(&target.config.store.dir).ok().flatten()).flatten();
        Record {
            recorded_at: now,
            clock_is_wrong: now < has_passed(),
            by: order.by.clone(),
            site: from_file.then(|| target.config.site.key.clone()),
            gateway_id: credential.map(|credential| credential.gateway_id),
            host: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            bus: BusSettings::of(target),
            plan: None,
            tolerance_percent: order.tolerance,
            complete: false,
            devices: Vec::new(),
        }
    }

    /// What the plan asks of the bus: that of the file, or of the sections that were printed.
    pub fn plan(&mut self, target: &Target) {
        let report = match target.file {
            Some(_) => Report::new(Ok(&target.config), ""),
            None => {
                let mut sections = self.devices.iter().filter_map(|recorded| recorded.device.section.as_deref());
                let Some(text) = sections.next_back() else { return };
                let config = config::parse(text, "", Path::new(""), &Overrides::default());
                Report::new(config.as_ref().map_err(Vec::as_slice), "")
            }
        };
        self.plan = report.buses.into_iter().find(|bus| bus.id == self.bus.id);
    }
}

impl Recorded {
    /// Measures how well a device answers, and compares.
    ///
    /// # Errors
    /// When there are to be no more requests.
    pub async fn new(
        device: Device,
        session: &mut Session,
        profile: &Profile,
        compared: Vec<Compared>,
    ) -> Result<Recorded, Ended> {
        let margins = measure(session, device.unit, profile).await?;
        let phases = phases::checks(&measured(&device));
        let timeout_ms = session.timeout().as_millis() as u64;
        let mut recorded = Recorded { device, phases, compared, margins, timeout_ms, remarks: Vec::new() };
        recorded.remarks = remarks(&recorded);
        Ok(recorded)
    }
}

/// Asks what the gateway will ask, again and again.
async fn measure(session: &mut Session, unit: u8, profile: &Profile) -> Result<Margins, Ended> {
    let layout = find(session, &mut Memory::default(), unit, profile).await?;
    session.take_tally();
    if let Ok(layout) = layout {
        let blocks = fast_blocks(&layout);
        for block in blocks.iter().cycle().take(if blocks.is_empty() { 0 } else { MARGIN_REQUESTS }) {
            let _ = session.read(block.unit.unwrap_or(unit), block.function, block.start, block.count).await?;
        }
    }
    Ok(session.take_tally().margins())
}

fn measured(device: &Device) -> Measured {
    let phases = |name: &str, unit: &str| [1, 2, 3].map(|phase| device.value(&format!("{name}_l{phase}_{unit}")));
    Measured {
        volts: phases("voltage", "v"),
        amps: phases("current", "a"),
        kilowatts: phases("power", "kw"),
        total_kw: device.value("power_output_kw"),
        hertz: device.value("frequency_hz"),
    }
}

fn remarks(recorded: &Recorded) -> Vec<String> {
    let Recorded { device, margins, timeout_ms, .. } = recorded;
    let mut remarks = Vec::new();
    if let Some(error) = &device.error {
        remarks.push(format!("could not be read: {error}"));
    }
    if device.unexpected.is_some() {
        remarks.push(format!("is another device than {} is for; choose another profile", device.profile));
    }
    let doubted = device.values.iter().filter(|value| value.usual == Some(false));
    remarks.extend(doubted.map(|value| format!("{}: {:?} {} is unusual", value.metric, value.value, value.unit)));
    if margins.errors_per_1000 > 0.0 {
        let words = "check terminators, shield, and the distance to power cables";
        remarks.push(format!("{:.0} errors per 1,000 requests; {words}", margins.errors_per_1000));
    }
    let slowest = margins.worst_ms.unwrap_or_default();
    if slowest > *timeout_ms as f64 * SLOW_SHARE {
        remarks.push(format!("its slowest answer took {slowest} ms of {timeout_ms} ms; give it a longer timeout"));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(file: &Path) -> Result<Order, ProbeError> {
        Order::new(file, None, MeterValues::default(), Tolerance(2.0))
    }

    #[test]
    fn both_files_are_named_by_either_and_neither_is_ever_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["site", "site.json", "site.md"] {
            let order = order(&folder.path().join(name)).unwrap();
            assert_eq!(order.json, folder.path().join("site.json"), "{name}");
            assert_eq!(order.paper, folder.path().join("site.md"), "{name}");
        }
        let dotted = order(&folder.path().join("2026.11")).unwrap();
        assert_eq!(dotted.json, folder.path().join("2026.11.json"));
        std::fs::write(folder.path().join("site.md"), "old").unwrap();
        let refusal = order(&folder.path().join("site.json")).unwrap_err();
        assert!(refusal.to_string().contains("never overwritten"), "{refusal}");
        assert!(write_new(&folder.path().join("site.md"), "new").is_err());
        assert_eq!(std::fs::read_to_string(folder.path().join("site.md")).unwrap(), "old");
        assert!(order(&folder.path().join("none/site")).is_err());
    }
}
