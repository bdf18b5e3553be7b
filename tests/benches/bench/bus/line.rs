//! Polls a second on a serial line that takes its time, over what the line allows.

use std::path::Path;
use std::time::Duration;

use riverwatts_edge::config::{Overrides, parse};
use riverwatts_edge::plan::wire::Line;
use riverwatts_edge::plan::{Cadence, Cost, Layout};
use riverwatts_tests::deadline::over;
use riverwatts_tests::virtual_devices::{Place, VirtualDevices};

use super::gateway::Gateway;
use super::{command, run_length};
use crate::report::{Better, Report, median};

/// Runs of each speed.
const RUNS: usize = 3;
/// Seconds of each.
const RUN_S: u64 = 20;
/// How long the devices think.
const ANSWER_AFTER: Duration = Duration::from_millis(5);
/// The shortest interval: less than all polls of the line take.
const INTERVAL: &str = "100ms";

/// The ratio at two speeds; as many meters as fill the line.
pub async fn measure(report: &mut Report) {
    for (name, baud, meters) in [("bus.rtu_9600_ratio", 9_600, 1), ("bus.rtu_115200_ratio", 115_200, 8)] {
        let (rates, allowed) = rates(baud, meters).await;
        let rate = median(rates);
        let figure = report.add(name, rate / allowed, "ratio", Better::Higher);
        (figure.target, figure.runs, figure.command) = (Some(0.95), RUNS, command());
        figure.beside.insert("polls/s", rate);
        figure.beside.insert("the line allows", allowed);
    }
}

/// Polls a second in each run, and how many the line allows.
async fn rates(baud: u32, meters: usize) -> (Vec<f64>, f64) {
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("line");
    let devices = line(&port, baud, ANSWER_AFTER, &vec!["--profile=eastron-sdm630"; meters]).await;
    let mut machines = bus("line", &port, baud);
    for Place { id, unit, .. } in devices.places() {
        machines += &device(id, "line", *unit, "eastron-sdm630");
    }
    let allowed = 1.0 / poll(&machines).as_secs_f64();
    let gateway = Gateway::start(&machines).await;
    gateway.answers("line", meters).await;
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        let before = gateway.polls("line").await;
        over(run_length(RUN_S)).await;
        rates.push(gateway.polls("line").await.rate_since(before));
    }
    gateway.stop().await;
    (rates, allowed)
}

/// Virtual devices on one line.
pub(super) async fn line(port: &Path, baud: u32, answer_after: Duration, devices: &[&str]) -> VirtualDevices {
    let [baud, answer_after] = [format!("--baud={baud}"), format!("--answer-after={}ms", answer_after.as_millis())];
    let port = port.to_str().expect("a temporary folder has a plain name");
    let arguments: Vec<&str> =
        ["--line", port, &baud, &answer_after].into_iter().chain(devices.iter().copied()).collect();
    VirtualDevices::start(&arguments).await
}

pub(super) fn bus(id: &str, port: &Path, baud: u32) -> String {
    format!(
        "[[bus]]\nid = \"{id}\"\nkind = \"rtu\"\nport = {port:?}\nbaud = {baud}\nparity = \"none\"\nstop_bits = 1\n"
    )
}

pub(super) fn device(id: &str, bus: &str, unit: u8, profile: &str) -> String {
    format!(
        "[[device]]\nid = \"{id}\"\nbus = \"{bus}\"\nunit = {unit}\nprofile = \"{profile}\"\ninterval = \"{INTERVAL}\"\n"
    )
}

/// How long a poll of the first device takes at the least: bytes, silences, the device's thinking,
/// which goes on while the line is silent behind the request.
fn poll(machines: &str) -> Duration {
    let config =
        parse(machines, "edge.toml", Path::new(""), &Overrides::default()).expect("the configuration is right");
    let device = &config.devices[0];
    let line = Line::of(&config, device).expect("it hangs on a line");
    let blocks = Layout::fixed(&device.profile).blocks(Cadence::Fast, &Cost::of(&config, device));
    line.cycle(&blocks) + ANSWER_AFTER.saturating_sub(line.silence()) * blocks.len() as u32
}
