//! `edge.toml` of a test: lively, with the suites' own profiles beside the built-in ones.

use std::fmt::Write;
use std::path::Path;

use crate::place::repository;

/// The text, as far as the gateway itself does not complete it.
#[derive(Debug, Clone)]
pub struct EdgeToml {
    settings: String,
    machines: String,
}

impl EdgeToml {
    /// Flushes every 200 ms and uploads every second to `cloud`.
    pub fn new(cloud: &str) -> EdgeToml {
        let profiles = repository("tests/profiles");
        let settings = format!(
            "profiles = [{profiles:?}]\n[site]\nkey = \"test\"\n[upload]\nevery = \"1s\"\n[cloud]\nurl = \"{cloud}\"\n"
        );
        EdgeToml { settings, machines: String::new() }
    }

    /// What people call the site.
    pub fn named(self, name: &str) -> EdgeToml {
        let name = serde_json::json!(name); // a JSON text is a TOML text as well
        let settings = self.settings.replace("[site]\n", &format!("[site]\nname = {name}\n"));
        EdgeToml { settings, ..self }
    }

    /// Uploads so often instead.
    pub fn upload_every(self, every: &str) -> EdgeToml {
        let settings = self.settings.replace("every = \"1s\"", &format!("every = \"{every}\""));
        EdgeToml { settings, ..self }
    }

    /// A further line of `[upload]`.
    pub fn upload(self, line: &str) -> EdgeToml {
        let settings = self.settings.replace("[upload]\n", &format!("[upload]\n{line}\n"));
        EdgeToml { settings, ..self }
    }

    /// Trusts the authority of this file.
    pub fn ca(mut self, file: &Path) -> EdgeToml {
        self.settings += &format!("ca = {file:?}\n");
        self
    }

    /// A Modbus TCP bus.
    pub fn tcp(self, id: &str, address: &str) -> EdgeToml {
        self.socket(id, "tcp", address)
    }

    /// RTU frames in a socket.
    pub fn rtu_tcp(self, id: &str, address: &str) -> EdgeToml {
        self.socket(id, "rtu-tcp", address)
    }

    fn socket(mut self, id: &str, kind: &str, address: &str) -> EdgeToml {
        let bus = format!("id = \"{id}\"\nkind = \"{kind}\"\naddress = \"{address}\"");
        writeln!(self.machines, "[[bus]]\n{bus}").unwrap();
        self
    }

    /// A serial bus.
    pub fn rtu(mut self, id: &str, port: &Path) -> EdgeToml {
        let line = "baud = 115200\nparity = \"none\"\nstop_bits = 1";
        writeln!(self.machines, "[[bus]]\nid = \"{id}\"\nkind = \"rtu\"\nport = {port:?}\n{line}").unwrap();
        self
    }

    /// How long devices of the bus just added have to answer, instead of a second.
    pub fn timeout(mut self, timeout: &str) -> EdgeToml {
        writeln!(self.machines, "timeout = \"{timeout}\"").unwrap();
        self
    }

    /// A device on a bus, polled every `interval`.
    pub fn device(mut self, id: &str, bus: &str, unit: u8, profile: &str, interval: &str) -> EdgeToml {
        let device = format!("id = \"{id}\"\nbus = \"{bus}\"\nunit = {unit}\nprofile = \"{profile}\"");
        writeln!(self.machines, "[[device]]\n{device}\ninterval = \"{interval}\"").unwrap();
        self
    }

    /// Lines behind the device or bus just added.
    pub fn lines(mut self, lines: &str) -> EdgeToml {
        writeln!(self.machines, "{lines}").unwrap();
        self
    }

    /// The whole text, with the store and the panel of one gateway.
    pub fn text(&self, store: &Path, panel_port: u16) -> String {
        let EdgeToml { settings, machines } = self;
        let store = format!("[store]\ndir = {store:?}\nflush = \"200ms\"");
        format!("{settings}{store}\n[panel]\nlisten = \"127.0.0.1:{panel_port}\"\n{machines}")
    }
}
