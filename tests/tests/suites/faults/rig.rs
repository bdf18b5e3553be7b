//! One gateway, and for each case a program of virtual devices on a bus of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use riverwatts_tests::deadline::{SOON, over, until};
use riverwatts_tests::edge_toml::EdgeToml;
use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::reading::Point;
use riverwatts_tests::virtual_devices::VirtualDevices;
use riverwatts_tests::wall_clock::WallClock;
use serde_json::Value;
use tempfile::TempDir;

use super::cases::{Case, Medium};
use super::truth;

/// How often devices are polled, how long they may take, and for how long that is watched.
const INTERVAL: &str = "400ms";
const INTERVAL_MS: u64 = 400;
const TIMEOUT: &str = "400ms";
const SPAN: Duration = Duration::from_secs(12);
/// Faults end so long after their devices began to answer; until then everything must have been seen.
const FAULTS_END: Duration = Duration::from_secs(35);
/// A device that was given up is asked again within this time.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);
/// The one with the fault, between its neighbours.
const DEVICES: [&str; 3] = ["plain-1", "plain-2", "plain-3"];
/// Of 100 polls of its neighbours that are due, how many are answered at the least.
const NEIGHBOURS: u64 = 90;
/// What counts failures of a device or its bus, and what a machine that is busy with other things may add.
const COUNTERS: [(&str, u64); 9] = [
    ("exception", 0),
    ("timeout", 2),
    ("bad_frame", 2),
    ("lost", 0),
    ("late", 2),
    ("foreign", 2),
    ("stray_bytes", 64),
    ("connections", 2),
    ("dropped", 0),
];

pub struct Rig<'c> {
    cases: &'c [&'c Case],
    devices: Vec<VirtualDevices>,
    gateway: Gateway,
    folder: TempDir,
    begun: Instant,
}

/// The counters of one bus at one moment: of each device, and of `plain-2` with its bus.
struct Counts {
    ok: [u64; 3],
    polls: [u64; 3],
    failures: Vec<u64>,
    condition: String,
    last_error: String,
}

impl<'c> Rig<'c> {
    /// Everything runs, and every neighbour has answered.
    pub async fn start(medium: Medium, cases: &'c [&'c Case]) -> Rig<'c> {
        let folder = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let serving = cases.iter().enumerate().map(|(number, case)| serve(folder.path(), number, medium, case));
        let devices = join_all(serving).await;
        let mut toml = EdgeToml::new("");
        for (number, served) in devices.iter().enumerate() {
            let places = DEVICES.map(|id| served.place(id).clone());
            let bus = bus(number);
            toml = match medium {
                Medium::Tcp => toml.tcp(&bus, &places[0].address),
                Medium::RtuTcp => toml.rtu_tcp(&bus, &places[0].address),
                Medium::Line => toml.rtu(&bus, Path::new(&places[0].address)),
            };
            toml = toml.timeout(TIMEOUT);
            for place in places {
                toml = toml.device(&format!("{bus}-{}", place.id), &bus, place.unit, "plain", INTERVAL);
            }
        }
        let mut gateway = Gateway::new(&toml);
        // Readings are compared by their time, and nobody else tells the gateway what it is.
        let clock = WallClock::shifted(0);
        clock.set(0, true);
        gateway.set_wall_clock(&clock);
        gateway.start().await;
        let rig = Rig { cases, devices, gateway, folder, begun };
        until(SOON, async || {
            let counts = rig.counts().await;
            let idle =
                counts.iter().filter(|counts| counts.ok[0] < 4 || counts.ok[2] < 4 || counts.polls[1] < 3).count();
            if idle == 0 { Ok(()) } else { Err(format!("{idle} buses have not begun")) }
        })
        .await;
        rig
    }

    /// What is not as the cases expect while the faults last.
    pub async fn watch(&self) -> Vec<String> {
        let (before, since) = (self.counts().await, Instant::now());
        over(SPAN).await;
        let (after, took) = (self.counts().await, since.elapsed());
        assert!(self.begun.elapsed() < FAULTS_END, "too slow a machine: the faults were over before all was seen");
        let due = took.as_millis() as u64 / INTERVAL_MS;
        let pairs = self.cases.iter().zip(before.iter().zip(&after));
        pairs.flat_map(|(case, (before, after))| differences(case, before, after, due)).collect()
    }

    /// Which counters `/metrics` tells otherwise than the panel's buses.
    pub async fn tally(&self) -> Vec<String> {
        let before = series(&self.gateway.panel("/api/buses").await);
        let metrics = self.gateway.metrics().await;
        let after = series(&self.gateway.panel("/api/buses").await);
        let off = before.iter().zip(after.values()).filter(|((name, before), after)| {
            !metrics.get(*name).is_some_and(|&number| (**before..=**after).contains(&(number as u64)))
        });
        off.map(|((name, before), after)| format!("{name} is {:?}, not {before} to {after}", metrics.get(name)))
            .collect()
    }

    /// Which devices do not come back once their fault has ended.
    pub async fn recover(&self) -> Vec<String> {
        over(FAULTS_END.saturating_sub(self.begun.elapsed())).await;
        let before = self.counts().await;
        let late = Instant::now() + RECOVERED_WITHIN;
        loop {
            let now = self.counts().await;
            let sick = self
                .cases
                .iter()
                .zip(before.iter().zip(&now))
                .filter(|(_, (before, now))| now.ok[1] < before.ok[1] + 3 || now.condition != "ok");
            let sick: Vec<String> =
                sick.map(|(case, (_, now))| format!("{case}: is {} after the fault", now.condition)).collect();
            if sick.is_empty() || Instant::now() > late {
                return sick;
            }
            over(Duration::from_millis(200)).await;
        }
    }

    /// Which readings are not what the devices said.
    pub async fn compare(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (number, case) in self.cases.iter().enumerate() {
            for id in DEVICES {
                let readings = self.gateway.readings(&format!("{}-{id}", bus(number))).await;
                let said = truth::said(&std::fs::read_to_string(log(self.folder.path(), number)).unwrap());
                let points = Point::all(&readings);
                if points.is_empty() {
                    wrong.push(format!("{case}: no readings of {id}"));
                }
                let mistakes = points.iter().filter_map(|point| truth::mistake(point, &said[id]));
                wrong.extend(mistakes.take(1).map(|mistake| format!("{case}: {id}: {mistake}")));
            }
        }
        wrong
    }

    pub async fn stop(mut self) {
        self.gateway.stop().await;
        drop(self.devices);
    }

    async fn counts(&self) -> Vec<Counts> {
        let buses = self.gateway.panel("/api/buses").await;
        buses["buses"].as_array().unwrap().iter().map(Counts::of).collect()
    }
}

impl Counts {
    fn of(bus: &Value) -> Counts {
        let units = bus["units"].as_array().unwrap();
        let each = |key: &str| std::array::from_fn(|index| units[index][key].as_u64().unwrap());
        let own =
            |key: &str| units[1][key].as_u64().or(bus[key].as_u64()).unwrap_or_else(|| panic!("no {key} in {bus}"));
        Counts {
            ok: each("ok"),
            polls: each("polls"),
            failures: COUNTERS.iter().map(|(key, _)| own(key)).collect(),
            condition: units[1]["condition"].as_str().unwrap().to_owned(),
            last_error: units[1]["last_error"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

/// What stands in the answer about buses, under the names of `/metrics`.
fn series(buses: &Value) -> BTreeMap<String, u64> {
    let mut series = BTreeMap::new();
    for bus in buses["buses"].as_array().unwrap() {
        let id = bus["id"].as_str().unwrap();
        for kind in ["late", "foreign"] {
            let name = format!("riverwatts_edge_stray_answers_total{{bus=\"{id}\",kind=\"{kind}\"}}");
            series.insert(name, bus[kind].as_u64().unwrap());
        }
        series
            .insert(format!("riverwatts_edge_stray_bytes_total{{bus=\"{id}\"}}"), bus["stray_bytes"].as_u64().unwrap());
        for unit in bus["units"].as_array().unwrap() {
            for outcome in ["ok", "exception", "timeout", "bad_frame", "lost"] {
                let labels = format!("bus=\"{id}\",unit=\"{}\",outcome=\"{outcome}\"", unit["unit"]);
                series.insert(format!("riverwatts_edge_polls_total{{{labels}}}"), unit[outcome].as_u64().unwrap());
            }
        }
    }
    series
}

async fn serve(folder: &Path, number: usize, medium: Medium, case: &Case) -> VirtualDevices {
    let script = folder.join(format!("{number}.toml"));
    let until = FAULTS_END.as_secs();
    std::fs::write(&script, format!("[[fault]]\n{}\ndevice = 'plain-2'\nto = '{until}s'\n", case.fault)).unwrap();
    let (script, log) = (script.display().to_string(), log(folder, number).display().to_string());
    let line = folder.join(format!("{number}.tty")).display().to_string();
    let medium: &[&str] = match medium {
        Medium::Tcp => &[],
        Medium::RtuTcp => &["--rtu-tcp"],
        Medium::Line => &["--line", &line, "--baud", "115200"],
    };
    VirtualDevices::start(&[&["--count", "3", "--faults", &script, "--log", &log], medium].concat()).await
}

fn bus(number: usize) -> String {
    format!("bus-{number}")
}

fn log(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.jsonl"))
}

/// What is not as the case expects, of `due` polls of each device.
fn differences(case: &Case, before: &Counts, after: &Counts, due: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let [ok, polls] = [|counts: &Counts| counts.ok, |counts: &Counts| counts.polls]
        .map(|of| std::array::from_fn::<u64, 3, _>(|index| of(after)[index] - of(before)[index]));
    for index in [0, 2] {
        if ok[index] * 100 < due * NEIGHBOURS {
            wrong.push(format!("{case}: {} answers {} of {due} polls", DEVICES[index], ok[index]));
        }
    }
    let share = (ok[1] * 100).checked_div(polls[1]).unwrap_or(0);
    if !case.own.contains(&share) {
        wrong.push(format!("{case}: plain-2 answers {} of {} polls, not {:?} of 100", ok[1], polls[1], case.own));
    }
    for (index, (counter, busy)) in COUNTERS.into_iter().enumerate() {
        let grown = after.failures[index] - before.failures[index];
        let fits = if case.grow.contains(&counter) { grown > 0 } else { grown <= busy || case.may.contains(&counter) };
        if !fits {
            wrong.push(format!("{case}: {counter} grows by {grown}"));
        }
    }
    if !case.condition.is_empty() && case.condition != after.condition {
        wrong.push(format!("{case}: plain-2 is {}, not {}", after.condition, case.condition));
    }
    if !after.last_error.contains(case.told) {
        wrong.push(format!("{case}: told is `{}`, not `{}`", after.last_error, case.told));
    }
    wrong
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.fault.replace('\n', ", "))
    }
}
