//! The bus against devices that misbehave.

mod frame;
mod loss;
mod matching;
mod memory;
mod rts;
mod rtu;
mod server;
mod sim;
mod tcp;
mod writing;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::Value;
use riverwatts_shared::time::{Clock, SystemClock};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::status::{BusState, Outcome, Status, UnitState};
use super::{Bus, Driven};
use crate::config::{Config, Overrides, parse};
use crate::record::{FromBus, Polled};

/// Three values in one request, one in a second, one identity in a third.
const PROFILE: &str = r#"
format = 1
manufacturer = "Nobody"
model = "Test"
device = "sensor"
confidence = "low"
sources = ["made up"]

[[area]]
name = "near"
function = "holding"
gap_max = 10
registers = [
  { name = "a", at = 0, type = "u16", metric = "x_a" },
  { name = "b", at = 1, type = "u16", metric = "x_b" },
  { name = "c", at = 4, type = "u16", metric = "x_c" },
]

[[area]]
name = "far"
function = "input"
registers = [{ name = "d", at = 100, type = "u16", metric = "x_d" }]

[[area]]
name = "identity"
function = "holding"
registers = [{ name = "serial", at = 200, type = "text", length = 2, identity = "serial_number", poll = "once" }]
"#;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bus that is being driven, and what comes out of it.
struct Running {
    readings: mpsc::Receiver<FromBus>,
    status: Arc<Status>,
    driven: Driven,
    stop: DropGuard,
}

/// Polls every 100 ms the devices (id, unit) of a bus with these settings.
fn run(bus: &str, devices: &[(&str, u8)]) -> Running {
    run_profile(PROFILE, bus, devices)
}

fn run_profile(profile: &str, bus: &str, devices: &[(&str, u8)]) -> Running {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test.toml"), profile).unwrap();
    let mut text = format!("profiles = [\".\"]\n[[bus]]\nid = \"wire\"\n{bus}\n");
    for (id, unit) in devices {
        text += &format!(
            "[[device]]\nid = \"{id}\"\nbus = \"wire\"\nprofile = \"test\"\nunit = {unit}\ninterval = \"100ms\"\n"
        );
    }
    start(&read(&text, folder.path()), 64)
}

fn read(text: &str, folder: &Path) -> Config {
    parse(text, "edge.toml", folder, &Overrides::default()).unwrap()
}

fn start(config: &Config, room: usize) -> Running {
    let (out, readings) = mpsc::channel(room);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let bus = Bus::all(config, &clock, &out).remove(0);
    let status = bus.status();
    let stop = CancellationToken::new();
    let driven = bus.start(stop.clone()).unwrap();
    Running { readings, status, driven, stop: stop.drop_guard() }
}

impl Running {
    /// The next reading of a device.
    async fn reading(&mut self, device: u16) -> Polled {
        let next = async {
            loop {
                match self.readings.recv().await.expect("the bus is alive") {
                    FromBus::Polled(polled) if polled.device == device => return polled,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.unwrap_or_else(|_| panic!("no reading: {:#?}", self.status.get()))
    }

    /// The state, once it is as wanted; readings are thrown away meanwhile.
    async fn until(&mut self, wanted: impl Fn(&BusState) -> bool) -> BusState {
        let poll = async {
            loop {
                let state = self.status.get();
                if wanted(&state) {
                    return state;
                }
                self.readings.recv().await;
            }
        };
        tokio::time::timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("never so: {:#?}", self.status.get()))
    }

    /// The state of a device, once it is as wanted.
    async fn until_unit(&mut self, index: usize, wanted: impl Fn(&UnitState) -> bool) -> UnitState {
        self.until(|state| wanted(&state.units[index])).await.units.swap_remove(index)
    }

    async fn end(self) {
        drop(self.stop);
        tokio::time::timeout(PATIENCE, self.driven.join()).await.expect("ends when told to");
    }
}

/// The value of an extra metric, in units of the register.
fn value(polled: &Polled, name: &str) -> Option<i64> {
    let metric = Metric::named(name).unwrap();
    let found: &Value = polled.values.iter().find(|value| value.metric == metric)?;
    found.value.map(|millionths| millionths / 1_000_000)
}

/// What the profile calls the registers that the device refuses.
fn refused(unit: &UnitState) -> Vec<&str> {
    unit.refused.iter().flat_map(|refused| &refused.names).map(String::as_str).collect()
}
