//! The arguments of `probe`, and what each of its commands does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use riverwatts_shared::profile::{Function, Profile};
use riverwatts_shared::time::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

use super::chain::{Chain, walk};
use super::device::Device;
use super::guess::{Guess, guess};
use super::holders::holders;
use super::memory::Memory;
use super::record::compare::{MeterValue, MeterValues, Tolerance};
use super::record::{Order, Record, Recorded};
use super::registers::{Span, read};
use super::session::{Ended, Session};
use super::sweep::{likely_units, sweep};
use super::table::Table;
use super::target::{Place, Target, duration};
use super::units::{Scan, scan};
use super::words::Type;
use super::{BusSettings, Devices, Document, End, Found, ProbeError};
use crate::config::{Link, Overrides};

/// How long a unit id has to answer in a scan, unless `--timeout` says otherwise.
const SCAN_TIMEOUT: Duration = Duration::from_millis(300);

/// What to probe.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The longest that it may take.
    #[arg(long, default_value = "10m", value_parser = duration, global = true, help_heading = "How")]
    within: Duration,
    /// As one JSON document.
    #[arg(long, global = true, help_heading = "How")]
    pub json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Which unit ids answer, how fast, and what they are.
    Units {
        /// The first unit id.
        #[arg(long, default_value_t = 1)]
        from: u8,
        /// The last.
        #[arg(long, default_value_t = 247)]
        to: u8,
        /// Try the usual speeds and parities of a serial line until something answers.
        #[arg(long)]
        sweep: bool,
    },
    /// The list of SunSpec models.
    Sunspec,
    /// Which profiles fit, and what speaks for and against each.
    Guess,
    /// Any registers, as every type in every order.
    Read {
        /// Address on the wire, counted from 0: 100, 100..119 (both included) or 100+20.
        span: Span,
        /// Which table.
        #[arg(long, short = 'f', value_enum, default_value = "holding")]
        function: WhichTable,
        /// Show these types, in every order of words and bytes.
        #[arg(long = "as", value_name = "TYPE", value_enum, num_args = 1.., value_delimiter = ',')]
        types: Vec<Type>,
    },
    /// Values of a device now, and its lines for edge.toml.
    Device {
        /// What its registers mean; the best guess unless given.
        #[arg(long)]
        profile: Option<String>,
        /// How it is to be called.
        #[arg(long)]
        id: Option<String>,
        /// Write a commissioning record to FILE.json and FILE.md, which must not be there yet.
        #[arg(long, value_name = "FILE")]
        record: Option<PathBuf>,
        /// Who commissions it.
        #[arg(long, value_name = "NAME", requires = "record")]
        by: Option<String>,
        /// What another instrument shows, like voltage_l1_v=231.2; may be repeated.
        #[arg(long, value_name = "METRIC=NUMBER", requires = "record")]
        meter: Vec<MeterValue>,
        /// A file with such lines.
        #[arg(long, value_name = "FILE", requires = "record")]
        meter_file: Option<PathBuf>,
        /// How far the device may be from it.
        #[arg(long, value_name = "PERCENT", default_value = "2%")]
        tolerance: Tolerance,
    },
}

/// The four tables of a Modbus device.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum WhichTable {
    /// Holding registers, function code 3.
    Holding,
    /// Input registers, function code 4.
    Input,
    /// Coils, function code 1.
    Coil,
    /// Discrete inputs, function code 2.
    Discrete,
}

impl From<WhichTable> for Function {
    fn from(table: WhichTable) -> Self {
        match table {
            WhichTable::Holding => Function::Holding,
            WhichTable::Input => Function::Input,
            WhichTable::Coil => Function::Coil,
            WhichTable::Discrete => Function::Discrete,
        }
    }
}

/// Probes. What was found until then comes back also when it is stopped by `stop` or the time is over.
///
/// # Errors
/// When the arguments or the configuration are wrong, or there is no connection at all.
pub async fn execute(
    arguments: &Arguments,
    overrides: &Overrides,
    stop: CancellationToken,
) -> Result<Document, ProbeError> {
    let mut target = Target::find(&arguments.place, overrides)?;
    let open = |target: &Target| Session::new(target, arguments.within, stop.clone());
    let (command, found, ended) = match &arguments.what {
        What::Units { from, to, sweep } => {
            let (scan, ended) = units(&mut target, *from, *to, *sweep, open).await?;
            ("units", Found::Units(scan), ended)
        }
        What::Sunspec => {
            let mut chain = Chain::new(target.unit);
            let ended = walk(&mut open(&target), target.unit, &mut chain).await;
            ("sunspec", Found::Sunspec(chain), ended)
        }
        What::Guess => {
            let (mut session, mut guessed) = (open(&target), Guess::new(target.unit));
            let profiles = target.profiles();
            let ended = guess(&mut session, &mut Memory::default(), target.unit, &profiles, &mut guessed).await;
            guessed.close(session.heard());
            ("guess", Found::Guess(guessed), ended)
        }
        What::Read { span, function, types } => {
            let (mut session, mut registers) = (open(&target), Vec::new());
            let function = Function::from(*function);
            let ended = read(&mut session, target.unit, function, *span, &mut registers).await;
            let mut table = Table::new(target.unit, function, registers, types.clone());
            table.answered = session.heard();
            ("read", Found::Read(table), ended)
        }
        What::Device { profile, id, record, by, meter, meter_file, tolerance } => {
            let mut values = MeterValues::default();
            if let Some(file) = meter_file {
                let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
                let read = text.and_then(|text| values.read(&text));
                read.map_err(|error| ProbeError::Usage(format!("{}: {error}", file.display())))?;
            }
            meter.iter().for_each(|value| values.add(value.clone()));
            let order = record.as_ref().map(|file| Order::new(file, by.clone(), values, *tolerance)).transpose()?;
            let mut session = open(&target);
            let chosen = choose(arguments, &target, profile.as_deref(), id.as_deref(), &mut session).await?;
            let (devices, ended) = devices(&target, chosen, order.as_ref(), &mut session).await?;
            ("device", Found::Device(devices), ended)
        }
    };
    let ended = match &ended {
        Ok(()) => End::Complete,
        Err(Ended::Lost(words)) if !has_begun(&found) => return Err(unreachable(&target, words)),
        Err(ended) => End::from(ended),
    };
    Ok(Document { command, version: env!("CARGO_PKG_VERSION"), bus: BusSettings::of(&target), ended, found })
}

async fn units(
    target: &mut Target,
    from: u8,
    to: u8,
    swept: bool,
    mut open: impl FnMut(&Target) -> Session,
) -> Result<(Scan, Result<(), Ended>), ProbeError> {
    let line = !matches!(target.bus().link, Link::Tcp { .. });
    let (least, most) = if line { (1, 247) } else { (0, 255) };
    if from > to || from < least || to > most {
        return Err(ProbeError::Usage(format!(
            "unit ids here go from {least} to {most}; --from must not be above --to"
        )));
    }
    if swept && target.bus().link.serial().is_none() {
        return Err(ProbeError::Usage("--sweep tries settings of a serial port; a socket has none".to_owned()));
    }
    target.timeout = target.asked_timeout.unwrap_or(SCAN_TIMEOUT);
    let profiles = target.profiles();
    let ids: Vec<u8> = (from..=to).collect();
    let mut found = Scan::new();
    if swept {
        match sweep(target, &likely_units(&ids, &profiles), &mut open, &mut found.notes).await {
            Ok(Some(answering)) => {
                found.notes.push(format!("answers at {}", BusSettings::of(&answering)));
                *target = answering;
            }
            Ok(None) => {
                found.notes.push("nothing answers at any usual speed and parity".to_owned());
                return Ok((found, Ok(())));
            }
            Err(ended) => return Ok((found, Err(ended))),
        }
    }
    let ended = scan(&mut open(target), &ids, &profiles, &mut found).await;
    Ok((found, ended))
}

/// A device that is to be read.
struct Chosen {
    id: String,
    unit: u8,
    profile: Arc<Profile>,
    /// Silence before each request, and how long an answer may take.
    pace: (Duration, Duration),
}

/// The configured devices that are meant, or one that is not configured yet.
async fn choose(
    arguments: &Arguments,
    target: &Target,
    profile: Option<&str>,
    id: Option<&str>,
    session: &mut Session,
) -> Result<Vec<Chosen>, ProbeError> {
    let asked = arguments.place.unit;
    let configured = target.devices.iter().filter(|device| asked.is_none_or(|unit| device.unit == unit));
    let configured: Vec<_> = configured.collect();
    if !configured.is_empty() && profile.is_none() {
        let chosen = configured.into_iter().map(|device| Chosen {
            id: device.id.clone(),
            unit: device.unit,
            profile: Arc::clone(&device.profile),
            pace: (target.config.quiet(device), target.config.timeout(device)),
        });
        return Ok(chosen.collect());
    }
    let profile = match profile {
        Some(name) => target.profile(name)?,
        None => guessed(target, session).await?,
    };
    let kind = profile.kind.as_deref().unwrap_or(profile.device.word());
    let id = id.map_or_else(|| format!("{}-1", kind.replace('_', "-")), str::to_owned);
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err(ProbeError::Usage(format!("`{id}` is no device id; write a-z, 0-9 and -")));
    }
    let link = profile.link;
    let pace = (link.quiet.unwrap_or_default(), link.timeout.unwrap_or(target.timeout));
    Ok(vec![Chosen { id, unit: target.unit, profile, pace }])
}

async fn guessed(target: &Target, session: &mut Session) -> Result<Arc<Profile>, ProbeError> {
    let mut found = Guess::new(target.unit);
    let profiles = target.profiles();
    let ended = guess(session, &mut Memory::default(), target.unit, &profiles, &mut found).await;
    if let Err(Ended::Lost(words)) = &ended {
        return Err(unreachable(target, words));
    }
    let unit = target.unit;
    if !session.heard() {
        return Err(ProbeError::Unavailable(format!("unit {unit} does not answer; `units` finds out which do")));
    }
    let best = profiles.iter().find(|profile| found.best.as_ref() == Some(&profile.name));
    let words = || format!("{}; or name its profile by --profile", found.verdict);
    best.cloned().filter(|_| ended.is_ok()).ok_or_else(|| ProbeError::Unavailable(words()))
}

async fn devices(
    target: &Target,
    chosen: Vec<Chosen>,
    order: Option<&Order>,
    session: &mut Session,
) -> Result<(Devices, Result<(), Ended>), ProbeError> {
    let ids: Vec<&str> = chosen.iter().map(|chosen| chosen.id.as_str()).collect();
    if let Some(stranger) = order.and_then(|order| order.meter.strangers(&ids).next()) {
        let words = "write meter values like ID.voltage_l1_v=231.2, one of";
        return Err(ProbeError::Usage(format!("no device `{stranger}` is probed; {words} {}", ids.join(", "))));
    }
    let mut found = Devices { devices: Vec::new(), record: None };
    let mut record = order.map(|order| Record::new(target, order, SystemClock::default().wall()));
    let mut ended = Ok(());
    for Chosen { id, unit, profile, pace: (quiet, timeout) } in &chosen {
        session.suit(target.quiet.max(*quiet), target.asked_timeout.unwrap_or(*timeout), profile.link.one_request);
        let mut device = Device::new(id, *unit, profile);
        ended = device.read(session, target, profile).await;
        if let (Ok(()), Some(record), Some(order)) = (&ended, &mut record, order) {
            let compared = order.meter.compare(&device, chosen.len() == 1, order.tolerance);
            match Recorded::new(device.clone(), session, profile, compared).await {
                Ok(recorded) => record.devices.push(recorded),
                Err(early) => ended = Err(early),
            }
        }
        found.devices.push(device);
        if ended.is_err() {
            break;
        }
    }
    if let (Some(record), Some(order)) = (&mut record, order.filter(|_| session.heard())) {
        record.complete = ended.is_ok();
        record.plan(target);
        order.write(record)?;
        found.record = Some([&order.json, &order.paper].map(|path| path.display().to_string()));
    }
    Ok((found, ended))
}

/// Whether anything was found before the connection went.
fn has_begun(found: &Found) -> bool {
    match found {
        Found::Units(scan) => scan.asked > 0,
        Found::Sunspec(chain) => !chain.tried.is_empty(),
        Found::Guess(guess) => guess.answered,
        Found::Read(table) => table.answered,
        Found::Device(devices) => devices.devices.iter().any(|device| !device.values.is_empty()),
    }
}

/// Why there is no connection, and what to do about it.
fn unreachable(target: &Target, words: &str) -> ProbeError {
    let place = target.bus().link.target();
    let held = words.contains("exclusive lock") || words.contains("busy");
    let holders = if held { holders(place) } else { Vec::new() };
    let by = if holders.is_empty() { String::new() } else { format!(" ({})", holders.join(", ")) };
    let remedy = match (&target.bus().link, held) {
        (Link::Rtu(_), true) => {
            "another program holds it, perhaps the gateway, which shares its port with nobody: stop it, probe, and \
             start it again; meanwhile its panel shows what it reads"
        }
        (Link::Rtu(_), false) => "check the adapter and its name below /dev/serial/by-id, and the right to open it",
        _ => "check address, cable and power",
    };
    ProbeError::Unavailable(format!("{place}: {words}{by}; {remedy}"))
}
