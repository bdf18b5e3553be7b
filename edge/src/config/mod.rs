//! What the site told the gateway: `edge.toml`, with every mistake in it reported at once.
//!
//! A setting comes from its default, the file, the environment (`RIVERWATTS_PANEL_LISTEN`) or an
//! argument (`--set panel.listen=…`); the later wins. Keys that mean nothing are refused, so that
//! a slip of the pen does not silently become the default.

mod bus;
mod device;
mod distance;
mod hours;
mod overrides;
mod profiles;
mod read;
mod settings;
mod tables;
mod writes;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::problem::Problem;
use riverwatts_shared::profile::{Parity, Profile};
use serde::Serialize;

pub use hours::Hours;
pub use overrides::Overrides;
pub use settings::cloud_url;

/// The example that `default-config` prints; it says the defaults and nothing else.
pub const EXAMPLE: &str = include_str!("default.toml");
/// Most buses of one gateway.
pub const BUSES_MAX: usize = 1_024;
/// Most devices of one gateway.
pub const DEVICES_MAX: usize = 1_024;

/// A configuration without a mistake. Paths are as the gateway opens them; names of buses and
/// profiles have become indices and shared profiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file itself.
    pub text: String,
    /// Folders with device profiles beyond the built-in ones; these win over the built-in ones.
    pub profiles: Vec<PathBuf>,
    /// `[site]`
    pub site: Site,
    /// `[cloud]`
    pub cloud: Cloud,
    /// `[store]`
    pub store: Store,
    /// `[upload]`
    pub upload: Upload,
    /// `[panel]`
    pub panel: Panel,
    /// `[mqtt]`
    pub mqtt: Mqtt,
    /// `[[bus]]`, in the order of the file.
    pub buses: Vec<Bus>,
    /// `[[device]]`, in the order of the file; a device's number is its index here.
    pub devices: Vec<Device>,
}

/// The place on the river.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Short name in topics and host names, `[a-z0-9-]+`.
    pub key: String,
    /// Name for people.
    pub name: String,
    /// IANA time zone, for example `America/Anchorage`.
    pub timezone: String,
}

/// Where readings go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cloud {
    /// Base address, without a trailing `/`; `None`: as the credential of `enroll` says, or nowhere.
    pub url: Option<String>,
    /// PEM file with the authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
}

/// Where readings rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Folder of the store and of the credential.
    pub dir: PathBuf,
    /// How long readings may wait in memory for their commit.
    pub flush: Duration,
    /// Most bytes that the store may take on the disk.
    pub max_bytes: u64,
    /// Bytes of the partition that are left to others; `None`: 256 MiB, or a twentieth of a small one.
    pub keep_free: Option<u64>,
    /// Bytes that the card under it bears before it wears out.
    pub card_endurance_bytes: u64,
}

/// How readings leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Pause between two uploads; [`Upload::EVERY_METERED`] unless set on a metered link.
    pub every: Duration,
    /// Whether each byte costs money.
    pub metered: bool,
    /// Most bytes a second; `None`: no limit.
    pub bandwidth_bytes_per_s: Option<u64>,
    /// When the backlog goes; empty: always.
    pub backlog_hours: Vec<Hours>,
    /// What the link may carry in a billing month; `None`: as much as it takes.
    pub plan: Option<DataPlan>,
}

/// What a SIM card may carry in a month of its bill, in both directions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataPlan {
    /// Bytes of a billing month.
    pub limit_bytes: u64,
    /// Day of the month on which the billing month begins, 1 to 28, at midnight of the site.
    pub first_day: i8,
}

impl Upload {
    /// Default of `upload.every`.
    pub const EVERY: Duration = Duration::from_secs(10);
    /// Default of `upload.every` when `upload.metered` is set.
    pub const EVERY_METERED: Duration = Duration::from_secs(60);
}

/// The technician's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    /// Where it listens; `None` (`listen = ""`): nowhere.
    pub listen: Option<SocketAddr>,
    /// Names with a dot under which browsers find it, beyond those under `.local`.
    pub hosts: Vec<String>,
}

/// The broker on the site's network. Read and checked; this version has no broker yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mqtt {
    /// Where it is to listen; `None` (`listen = ""`): nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether clients may read without a name.
    pub anonymous_read: bool,
}

/// One wire or socket with one master.
#[derive(Debug, Clone, PartialEq)]
pub struct Bus {
    /// Its name, `[a-z0-9-]+`.
    pub id: String,
    /// What to open.
    pub link: Link,
    /// How long to wait for an answer; `None`: as the device's profile says, or [`Bus::TIMEOUT`].
    pub timeout: Option<Duration>,
    /// Silence before every request, besides what Modbus and the device need.
    pub quiet: Duration,
    /// Silence before a request to another unit than the last.
    pub gap: Duration,
}

impl Bus {
    /// How long to wait for an answer when neither the bus nor the profile says.
    pub const TIMEOUT: Duration = Duration::from_secs(1);
}

/// What to open, and how frames look on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Modbus TCP to `host:port`.
    Tcp {
        /// `host:port`
        address: String,
    },
    /// RTU frames over a TCP socket to `host:port` (a serial device server).
    RtuTcp {
        /// `host:port`
        address: String,
    },
    /// RTU on a serial port.
    Rtu(Serial),
}

impl Link {
    /// The word of the file: `tcp`, `rtu-tcp`, `rtu`.
    pub const fn word(&self) -> &'static str {
        match self {
            Link::Tcp { .. } => "tcp",
            Link::RtuTcp { .. } => "rtu-tcp",
            Link::Rtu(_) => "rtu",
        }
    }

    /// What two buses cannot both have: the address or the port.
    pub fn target(&self) -> &str {
        match self {
            Link::Tcp { address } | Link::RtuTcp { address } => address,
            Link::Rtu(serial) => &serial.port,
        }
    }

    /// The serial port, if it is one.
    pub const fn serial(&self) -> Option<&Serial> {
        match self {
            Link::Rtu(serial) => Some(serial),
            _ => None,
        }
    }
}

/// A serial port and its line settings; always 8 data bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serial {
    /// The device file; best one of `/dev/serial/by-id`, which does not change when an adapter is
    /// plugged in again.
    pub port: String,
    /// Bits a second.
    pub baud: u32,
    /// Parity.
    pub parity: Parity,
    /// Stop bits, 1 or 2.
    pub stop_bits: u8,
    /// Whether RTS switches the transmitter.
    pub rs485_rts: Rts,
}

/// What RTS does for an RS-485 adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rts {
    /// Nothing: the adapter switches by itself.
    Unused,
    /// It is on while we talk.
    Talk,
    /// It is off while we talk.
    Inverted,
}

/// Who goes first where several devices are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before the others.
    High,
    /// As most.
    Normal,
    /// After the others.
    Low,
}

impl Priority {
    /// The word of the file.
    pub const fn word(self) -> &'static str {
        match self {
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }
}

/// One device on a bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its key, unique within the site, `[a-z0-9-]+`.
    pub id: String,
    /// Index of its bus in [`Config::buses`].
    pub bus: usize,
    /// Its Modbus address.
    pub unit: u8,
    /// What its registers mean.
    pub profile: Arc<Profile>,
    /// How often it is polled.
    pub interval: Duration,
    /// How often its slow registers are read.
    pub slow_interval: Duration,
    /// Whether it goes first where several are due.
    pub priority: Priority,
    /// How long to wait for its answer; `None`: as the bus and the profile say.
    pub timeout: Option<Duration>,
    /// How often a request without an answer is asked again; `None`: as the profile says.
    pub retries: Option<u8>,
    /// Silence before a request to it; `None`: as the profile and the bus say.
    pub quiet: Option<Duration>,
    /// What the plate says.
    pub rated: Rated,
    /// What of its profile may be written.
    pub writes: Vec<Opened>,
}

/// A write of a profile that the site opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its index in [`Profile::writes`].
    pub write: usize,
    /// The site says that it can do no harm at any time.
    pub always: bool,
    /// What must hold, all of it.
    pub interlocks: Vec<Interlock>,
}

/// A condition on the newest value of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interlock {
    /// The device's number.
    pub device: u16,
    /// Which value.
    pub metric: Metric,
    /// The smallest, in the unit that values are stored in.
    pub least: Option<i64>,
    /// The largest.
    pub most: Option<i64>,
}

/// What the plate of a machine says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rated {
    /// Rated electrical power, W.
    pub power_w: Option<u64>,
    /// Rated speed, revolutions a minute.
    pub rpm: Option<f64>,
    /// Rated voltage, V.
    pub voltage_v: Option<f64>,
    /// Water speed at which it begins to turn, m/s.
    pub cut_in_mps: Option<f64>,
}

impl Config {
    /// How long to wait for an answer of `device`.
    pub fn timeout(&self, device: &Device) -> Duration {
        let bus = self.buses[device.bus].timeout;
        device.timeout.or(bus).or(device.profile.link.timeout).unwrap_or(Bus::TIMEOUT)
    }

    /// How often a request to `device` that got no answer is asked again within a poll.
    pub fn retries(&self, device: &Device) -> u8 {
        device.retries.or(device.profile.link.retries).unwrap_or_default()
    }

    /// Silence to keep before a request to `device`, besides the 3.5 characters of a serial line.
    pub fn quiet(&self, device: &Device) -> Duration {
        let bus = self.buses[device.bus].quiet;
        bus.max(device.quiet.or(device.profile.link.quiet).unwrap_or_default())
    }
}

/// Reads and checks `path` and what stands above it. All mistakes come back, in order of line,
/// with those of the environment and of the arguments first.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &file, path.parent().unwrap_or(Path::new("")), overrides),
        Err(error) => Err(vec![Problem {
            file,
            line: None,
            key: String::new(),
            message: format!("cannot be read: {error}"),
            remedy: "name the configuration by --config; `riverwatts-edge default-config` prints one to begin with"
                .to_owned(),
        }]),
    }
}

/// Where a gateway with this text keeps its store, whatever else may be wrong with it.
pub fn store_dir(text: &str, folder: &Path, overrides: &Overrides) -> PathBuf {
    let text = if toml_edit::Document::parse(text).is_ok() { text } else { "" };
    let document = toml_edit::Document::parse(text).expect("just parsed, or empty");
    let reader = read::Reader::new(text, "", folder, overrides);
    settings::read(&mut reader.root(document.as_table())).store.dir
}

/// Reads and checks `text`. `file` names it in problems; relative paths count from `folder`.
pub fn parse(text: &str, file: &str, folder: &Path, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    let document = toml_edit::Document::parse(text).map_err(|error| vec![read::syntax_problem(&error, text, file)])?;
    let reader = read::Reader::new(text, file, folder, overrides);
    let mut root = reader.root(document.as_table());

    let profiles = root.paths("profiles");
    let settings = settings::read(&mut root);
    let buses = bus::read(&mut root);
    let (buses, devices) = device::read(&mut root, buses, &profiles);
    root.finish();
    reader.unknown_overrides();

    let settings::Settings { site, cloud, store, upload, panel, mqtt } = settings;
    let config = Config { text: text.to_owned(), profiles, site, cloud, store, upload, panel, mqtt, buses, devices };
    reader.into_result(config)
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
