//! What a gateway takes on its small machine: ten devices of ten registers at one reading a
//! second, each on a connection of its own, journal and panel on, uploading over TLS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use riverwatts_shared::time::UtcMs;
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::deadline::over;
use riverwatts_tests::link::Link;
use riverwatts_tests::place::{free_port, program, repository};
use riverwatts_tests::program::{Program, command, errand};
use riverwatts_tests::tls::new_authority;
use riverwatts_tests::virtual_devices::{Place, VirtualDevices};
use serde_json::Value;

use crate::devices::DEVICES;
use crate::process::Process;
use crate::report::{Better, Report, median};

/// How long the gateway runs; the first two sevenths do not count.
const MINUTES: f64 = 7.0;
/// Sets another length, for a first look.
const MINUTES_VARIABLE: &str = "BENCH_MINUTES";
/// How often its memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Readings reach the cloud within this time.
const FRESH_MS: i64 = 30_000;

/// Memory and processor time.
pub async fn measure(report: &mut Report) {
    let minutes = std::env::var(MINUTES_VARIABLE).ok().map(|minutes| minutes.parse().unwrap());
    let run_s = 60.0 * minutes.unwrap_or(MINUTES);
    let devices = VirtualDevices::start(&["--by", "port", "--count", &DEVICES.to_string()]).await;
    let plain: Vec<&Place> = devices.places().iter().filter(|place| place.id.starts_with("plain-")).collect();
    let cloud = Cloud::start().await;
    let site = cloud.site("Tanana").await;
    let authority = new_authority();
    let link = Link::with_tls(cloud.port(), authority.acceptor).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.pem).unwrap();
    let code = cloud.gateway(&site).await.1;
    let more = format!("[panel]\nlisten = \"127.0.0.1:{}\"\n", free_port());
    let config = enrolled(folder.path(), link.url(), &code, &plain, &more).await;
    let gateway = run(&config, folder.path());

    over(Duration::from_secs_f64(run_s * 2.0 / 7.0)).await;
    let process = Process(gateway.id());
    let looks = (run_s * 5.0 / 7.0 / LOOK_EVERY.as_secs_f64()) as usize;
    let (cpu_before_s, mut rss_mib) = (process.cpu_s(), Vec::new());
    let started = std::time::Instant::now();
    for _ in 0..looks {
        over(LOOK_EVERY).await;
        rss_mib.push(process.rss_mib());
    }
    let cpu_percent = 100.0 * (process.cpu_s() - cpu_before_s) / started.elapsed().as_secs_f64();
    let latest = cloud.admin().list(&format!("/readings/latest?site_id={site}"), "readings").await;
    let is_fresh = |reading: &&Value| {
        let time: UtcMs = reading["timestamp"].as_str().unwrap().parse().unwrap();
        UtcMs::from(Timestamp::now()).since_ms(time) < FRESH_MS
    };
    let fresh = latest.iter().filter(is_fresh).count();
    assert_eq!(fresh, DEVICES as usize, "devices whose readings reach the cloud; {}", gateway.log());
    gateway.stop().await;

    let command = minutes.map(|minutes: f64| format!("{MINUTES_VARIABLE}={minutes} make bench SUITE=spine"));
    for (name, value, unit, target, runs) in [
        ("edge.rss_mib", median(rss_mib), "MiB", 13.0, looks),
        ("edge.cpu_percent", cpu_percent, "% of a core", 0.5, 1),
    ] {
        let figure = report.add(name, value, unit, Better::Lower);
        figure.target = Some(target);
        figure.runs = runs;
        figure.command = command.clone().unwrap_or(std::mem::take(&mut figure.command));
    }
}

/// Enrolls a gateway with the defaults of a new installation and these settings more; its `edge.toml`.
pub async fn enrolled(folder: &Path, cloud: &str, code: &str, places: &[&Place], more: &str) -> PathBuf {
    let config = folder.join("edge.toml");
    let mut text = format!(
        "profiles = [{profiles:?}]\n[site]\nkey = \"tanana\"\nname = \"Tanana\"\n[cloud]\nurl = \"{cloud}\"\n\
         [store]\ndir = {store:?}\n{more}",
        profiles = repository("tests/profiles"),
        store = folder.join("store"),
    );
    let ca = folder.join("ca.pem");
    if ca.exists() {
        text = text.replace("[store]", &format!("ca = {ca:?}\n[store]"));
    }
    for place in places {
        let Place { id, address, unit } = place;
        text += &format!("[[bus]]\nid = \"{id}-bus\"\nkind = \"tcp\"\naddress = \"{address}\"\n");
        text += &format!(
            "[[device]]\nid = \"{id}\"\nbus = \"{id}-bus\"\nunit = {unit}\nprofile = \"plain\"\ninterval = \"1s\"\n"
        );
    }
    std::fs::write(&config, text).unwrap();
    let mut enroll = command(&program("riverwatts-edge"));
    enroll.args(["enroll", "--cloud", cloud, "--code", code, "--config"]).arg(&config);
    let enrolled = errand(enroll, "").await;
    assert!(enrolled.status.success(), "enroll: {}", String::from_utf8_lossy(&enrolled.stderr));
    config
}

/// Starts it.
pub fn run(config: &Path, folder: &Path) -> Program {
    let mut run = command(&program("riverwatts-edge"));
    run.args(["run", "--config"]).arg(config);
    Program::start(run, &folder.join("edge.log"))
}
