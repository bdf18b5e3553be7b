//! The gateway in a folder of its own: its configuration, its store, its panel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::api::http_client;
use crate::broken_disk::BrokenDisk;
use crate::deadline::{SOON, until};
use crate::edge_toml::EdgeToml;
use crate::last_write::LastWrite;
use crate::place::{free_port, gateway_for_aarch64, program};
use crate::program::{Program, command, errand};
use crate::wall_clock::WallClock;

/// Runs programs for aarch64 with the C library of Debian's package for cross-compiling.
const EMULATOR: [&str; 3] = ["/usr/bin/qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];

/// The password of panels.
pub const PASSWORD: &str = "correct-horse-battery";

/// A gateway; it does not run until started.
#[derive(Debug)]
pub struct Gateway {
    emulated: bool,
    // Before the folder, so that it can still show its log when the test fails.
    program: Option<Program>,
    folder: TempDir,
    panel_port: u16,
    wall_clock: Option<WallClock>,
    last_write: Option<LastWrite>,
    disk: Option<BrokenDisk>,
    http: reqwest::Client,
}

impl Gateway {
    /// A gateway with this configuration.
    pub fn new(toml: &EdgeToml) -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        let (panel_port, http) = (free_port(), http_client());
        let (program, wall_clock, last_write, disk) = (None, None, None, None);
        let gateway = Gateway { emulated: false, folder, panel_port, program, wall_clock, last_write, disk, http };
        gateway.configure(toml);
        gateway
    }

    /// A gateway with this configuration and the processor of a Raspberry Pi.
    pub fn emulated(toml: &EdgeToml) -> Gateway {
        Gateway { emulated: true, ..Gateway::new(toml) }
    }

    /// Writes another configuration, for the next start.
    pub fn configure(&self, toml: &EdgeToml) {
        std::fs::write(self.config(), toml.text(&self.store(), self.panel_port)).unwrap();
    }

    /// Gives it a wall clock of its own, from the next start on.
    pub fn set_wall_clock(&mut self, wall_clock: &WallClock) {
        self.wall_clock = Some(wall_clock.clone());
    }

    /// Lets it die at a write, from the next start on.
    pub fn set_last_write(&mut self, last_write: &LastWrite) {
        self.last_write = Some(last_write.clone());
    }

    /// Puts its store on a disk that fails, from the next start on.
    pub fn set_disk(&mut self, disk: &BrokenDisk) {
        self.disk = Some(disk.clone());
    }

    /// Waits until it has died by itself.
    pub async fn died(&mut self) {
        self.program.take().expect("the gateway runs").died().await;
    }

    /// A second box with a copy of this one's folder: a cloned card.
    pub fn cloned(&self, toml: &EdgeToml) -> Gateway {
        assert!(self.program.is_none(), "a card is copied while its gateway is off");
        let clone = Gateway::new(toml);
        std::fs::create_dir_all(clone.store()).unwrap();
        for file in std::fs::read_dir(self.store()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), clone.store().join(file.file_name())).unwrap();
        }
        clone
    }

    /// Trades a code for a credential.
    pub async fn enroll(&self, cloud: &str, code: &str) {
        let Output { status, stderr, .. } = self.run(&["enroll", "--cloud", cloud, "--code", code]).await;
        assert!(status.success(), "enroll: {}", String::from_utf8_lossy(&stderr));
    }

    /// Runs a command of the program with this configuration to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).arg("--config").arg(self.config());
        errand(command, "").await
    }

    /// Sets [`PASSWORD`] for its panel.
    pub async fn set_password(&self) {
        let mut command = self.command();
        command.args(["passwd", "--stdin", "--config"]).arg(self.config());
        let Output { status, stderr, .. } = errand(command, PASSWORD).await;
        assert!(status.success(), "passwd: {}", String::from_utf8_lossy(&stderr));
    }

    /// Has something changed through its panel by somebody who signs in for it; status and body.
    pub async fn change(&self, path: &str, body: &Value) -> (u16, Value) {
        let post = |path: &str, body: &Value| {
            let request = self.http.post(format!("http://127.0.0.1:{}{path}", self.panel_port)).json(body);
            request.header("Origin", format!("http://127.0.0.1:{}", self.panel_port))
        };
        let signed_in = post("/api/sign-in", &json!({"password": PASSWORD})).send().await.unwrap();
        let cookie = signed_in.headers().get("set-cookie").cloned();
        let request = post(path, body).header("Cookie", cookie.as_ref().map_or("", |cookie| cookie.to_str().unwrap()));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Starts it; its panel answers.
    pub async fn start(&mut self) {
        assert!(self.program.is_none(), "the gateway runs");
        let mut command = self.command();
        command.args(["run", "--config"]).arg(self.config());
        let mut program = Program::start(command, &self.folder.path().join("edge.log"));
        until(SOON, async || {
            assert!(!program.has_ended(), "the gateway ended: {}", program.log());
            self.ask("/api/site").await.map(|_| ())
        })
        .await;
        self.program = Some(program);
    }

    /// SIGTERM.
    pub async fn stop(&mut self) {
        self.program.take().expect("the gateway runs").stop().await;
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.program.take().expect("the gateway runs").kill().await;
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("edge.toml")
    }

    /// The folder of its store and its credential.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// The port of its panel.
    pub fn panel_port(&self) -> u16 {
        self.panel_port
    }

    /// What its panel answers.
    pub async fn panel(&self, path: &str) -> Value {
        self.ask(path).await.unwrap_or_else(|error| panic!("panel {path}: {error}"))
    }

    /// Its counters for Prometheus, by name and labels.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let asked = self.http.get(format!("http://127.0.0.1:{}/metrics", self.panel_port)).send().await;
        let text = asked.unwrap().error_for_status().unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        lines.map(|(series, number)| (series.to_owned(), number.parse().unwrap())).collect()
    }

    /// Its stored readings of a device, oldest first, as far as they have a time.
    pub async fn readings(&self, device: &str) -> Vec<Value> {
        let mut body = self.panel(&format!("/api/devices/{device}/readings?limit=1000")).await;
        let mut readings = std::mem::take(body["readings"].as_array_mut().unwrap());
        readings.reverse();
        readings
    }

    /// How many stored readings the cloud has not settled.
    pub async fn backlog(&self) -> u64 {
        self.panel("/api/link").await["backlog_readings"].as_u64().unwrap()
    }

    /// One number of one device on its bus.
    pub async fn unit(&self, device: &str, key: &str) -> u64 {
        let buses = self.panel("/api/buses").await;
        let units = buses["buses"].as_array().unwrap().iter().flat_map(|bus| bus["units"].as_array().unwrap());
        let unit = units.into_iter().find(|unit| unit["device"] == device);
        unit.unwrap_or_else(|| panic!("no device {device}"))[key].as_u64().unwrap()
    }

    async fn ask(&self, path: &str) -> Result<Value, String> {
        let asked = self.http.get(format!("http://127.0.0.1:{}{path}", self.panel_port)).send().await;
        let answer = asked.and_then(reqwest::Response::error_for_status).map_err(|error| error.to_string())?;
        answer.json().await.map_err(|error| error.to_string())
    }

    fn command(&self) -> Command {
        let mut command =
            if self.emulated { emulated(&gateway_for_aarch64()) } else { command(&program("riverwatts-edge")) };
        if let Some(wall_clock) = &self.wall_clock {
            wall_clock.apply(&mut command);
        }
        if let Some(last_write) = &self.last_write {
            last_write.apply(&mut command);
        }
        if let Some(disk) = &self.disk {
            disk.apply(&mut command);
        }
        command
    }
}

fn emulated(program: &Path) -> Command {
    let [emulator, arguments @ ..] = EMULATOR;
    assert!(Path::new(emulator).is_file(), "there is no {emulator}; install it by: scripts/cross-setup");
    let mut command = command(Path::new(emulator));
    command.args(arguments).arg(program);
    command
}

/// Removes the database of a store, as a new card would be without it; the credential stays.
pub fn empty_store(store: &Path) {
    for file in std::fs::read_dir(store).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("store.db")) {
            std::fs::remove_file(path).unwrap();
        }
    }
}
