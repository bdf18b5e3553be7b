//! A foreign master, mbpoll, reads virtual devices over TCP and over a serial line: every table,
//! numbers of every width, and refusals.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use riverwatts_tests::place::repository;
use riverwatts_tests::program::{command, errand};
use riverwatts_tests::virtual_devices::{Place, VirtualDevices};

const MBPOLL: &str = "/usr/bin/mbpoll";

/// What mbpoll gets from `count` values at `address` of a device, by address, or how it says that it got none.
async fn read(place: &Place, kind: &str, address: u16, count: u16) -> Result<BTreeMap<u16, String>, String> {
    assert!(Path::new(MBPOLL).is_file(), "there is no {MBPOLL}; install it by: scripts/test-packages");
    let mut mbpoll = command(Path::new(MBPOLL));
    mbpoll.args(["-0", "-1", "-B", "-t", kind, "-r", &address.to_string(), "-c", &count.to_string()]);
    mbpoll.args(["-a", &place.unit.to_string()]);
    match place.address.split_once(':') {
        Some((host, port)) => mbpoll.args(["-m", "tcp", "-p", port, host]),
        None => mbpoll.args(["-m", "rtu", "-b", "9600", "-P", "none", &place.address]),
    };
    let Output { stdout, stderr, .. } = errand(mbpoll, "").await;
    let stdout = String::from_utf8(stdout).unwrap();
    let value = |line: &str| {
        let (address, value) = line.strip_prefix('[')?.split_once("]:")?;
        Some((address.parse().unwrap(), value.trim().to_owned()))
    };
    let values: BTreeMap<u16, String> = stdout.lines().filter_map(value).collect();
    if values.is_empty() { Err(String::from_utf8(stderr).unwrap().trim().to_owned()) } else { Ok(values) }
}

async fn check(wire: &[&str]) {
    let counter = repository("tests/profiles/counter.toml").display().to_string();
    let mut arguments = vec!["--profile", "eastron-sdm630", "--profile", &counter];
    arguments.extend(["--profile", "waveshare-relay-8ch", "--profile", "moxa-iologik-e1242"]);
    for value in ["voltage_v=230.5", "x_count=70000", "power_output_kw=-12.345", "x_relay_2=0", "x_di_3=0"] {
        arguments.extend(["--value", value]);
    }
    arguments.extend(wire);
    let devices = VirtualDevices::start(&arguments).await;
    for (id, kind, address, expected) in [
        ("eastron-sdm630", "3:float", 0, "[0] 230.5 [2] 230.5 [4] 230.5"),
        ("counter", "4:int", 0, "[0] 70000"),
        ("counter", "4", 2, "[2] 53191 (-12345)"),
        ("counter", "4:hex", 0, "[0] 0x0001 [1] 0x1170"),
        ("waveshare-relay-8ch", "0", 0, "[0] 1 [1] 0 [2] 1 [3] 1 [4] 1 [5] 1 [6] 1 [7] 1"),
        ("moxa-iologik-e1242", "1", 0, "[0] 1 [1] 1 [2] 1 [3] 0 [4] 1 [5] 1 [6] 1 [7] 1"),
    ] {
        let count = expected.matches('[').count() as u16;
        let values = read(devices.place(id), kind, address, count).await;
        let told = values.map(|values| values.iter().map(|(at, value)| format!("[{at}] {value}")).collect::<Vec<_>>());
        assert_eq!(told.map(|told| told.join(" ")).as_deref(), Ok(expected), "{id}, -t {kind} at {address}");
    }
    for (id, kind, address, count, expected) in [
        ("eastron-sdm630", "3", 30_000, 2, "Read input register failed: Illegal data address"),
        ("eastron-sdm630", "3", 0, 120, "Read input register failed: Illegal data value"),
        ("eastron-sdm630", "4:hex", 0, 2, "Read output (holding) register failed: Illegal function"),
        ("counter", "0", 0, 1, "Read discrete output (coil) failed: Illegal function"),
    ] {
        let told = read(devices.place(id), kind, address, count).await;
        assert_eq!(told, Err(expected.to_owned()), "{id}, -t {kind} at {address}");
    }
    let nobody = Place { unit: 200, ..devices.place("counter").clone() };
    let told = read(&nobody, "4", 0, 1).await;
    assert_eq!(told, Err("Read output (holding) register failed: Connection timed out".to_owned()));
}

#[tokio::test]
async fn over_tcp() {
    check(&[]).await;
}

#[tokio::test]
async fn over_a_serial_line() {
    let folder = tempfile::tempdir().unwrap();
    let line = folder.path().join("line.tty").display().to_string();
    check(&["--line", &line, "--baud", "9600"]).await;
}
