//! The demo's virtual devices, in a program of their own.

use serde::Deserialize;
use tempfile::TempDir;

use crate::deadline::{SOON, until};
use crate::place::program;
use crate::program::{Program, command};

/// They answer until dropped.
#[derive(Debug)]
pub struct VirtualDevices {
    places: Vec<Place>,
    _program: Program,
    _folder: TempDir,
}

/// Where a gateway finds one of them.
#[derive(Debug, Clone, Deserialize)]
pub struct Place {
    /// The device's id.
    pub id: String,
    /// `127.0.0.1:port`, or the path of a serial line.
    pub address: String,
    /// Its unit id there.
    pub unit: u8,
}

#[derive(Deserialize)]
struct Ready {
    devices: Vec<Place>,
}

impl VirtualDevices {
    /// What `riverwatts-demo devices` serves with these arguments, on free ports.
    pub async fn start(arguments: &[&str]) -> VirtualDevices {
        let folder = tempfile::tempdir().unwrap();
        let mut devices = command(&program("riverwatts-demo"));
        devices.args(["devices", "--modbus-port", "0"]).args(arguments);
        let mut program = Program::start(devices, &folder.path().join("devices.log"));
        let ready: Ready = until(SOON, async || {
            let log = program.log();
            assert!(!program.has_ended(), "the devices ended: {log}");
            let ready = log.lines().find_map(|line| line.strip_prefix("ready "));
            ready.and_then(|ready| serde_json::from_str(ready).ok()).ok_or(log)
        })
        .await;
        VirtualDevices { places: ready.devices, _program: program, _folder: folder }
    }

    /// The one with this id.
    pub fn place(&self, id: &str) -> &Place {
        self.places.iter().find(|place| place.id == id).unwrap_or_else(|| panic!("no {id} in {:?}", self.places))
    }

    /// All of them, in the order of their ports.
    pub fn places(&self) -> &[Place] {
        &self.places
    }
}
