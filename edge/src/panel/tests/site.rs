//! A site with figures of the tests' own, and a client of its panel.

use std::ops::Range;
use std::path::Path as FilePath;

use futures_util::future::BoxFuture;
use riverwatts_shared::metric::{CATALOGUE, Metric};
use riverwatts_shared::reading::{Reading, Value as Measured};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::{ManualClock, UtcMs};
use riverwatts_shared::words::{Quality, RejectCode};
use tempfile::TempDir;

use super::super::*;
use crate::clock::{Distrust, Source};
use crate::config::{Overrides, parse};
use crate::store::{Carried, Chosen, DeadLetterGroup, DeadLetterRow, Fate, JumpRow, WriteRow, Written};
use crate::upload::{BacklogWait, PlanState, Usage};

pub(super) const CONFIG: &str = r#"
[site]
key = "tanana"
name = "<script>alert(1)</script>"
[cloud]
url = "https://name:hush@cloud.example/base?token=hush"
[[bus]]
id = "lan"
kind = "tcp"
address = "10.0.0.1"
[[device]]
id = "meter-1"
bus = "lan"
profile = "eastron-sdm630"
interval = "2s"
[[device]]
id = "meter-2"
bus = "lan"
profile = "eastron-sdm630"
unit = 2
"#;

/// Number, device and word of readings that were refused.
const LETTERS: [(i64, &str, RejectCode); 3] = [
    (3, "meter-1", RejectCode::Conflict),
    (2, "meter-2", RejectCode::QuarantinedTime),
    (1, "meter-1", RejectCode::Conflict),
];

/// One device with a reading of second 100, one without.
#[derive(Debug)]
pub(super) struct Fake;

pub(super) fn values() -> Vec<Measured> {
    let doubtful = Measured { quality: Quality::Range, ..Measured::ok(Metric::named("x_odd").unwrap(), 2_500_000) };
    vec![Measured::ok(Metric::POWER, 12_345_000), doubtful]
}

impl Figures for Fake {
    fn latest(&self, device: u16) -> Option<Latest> {
        let latest = Latest { monotonic: Duration::from_secs(100), time: Some(UtcMs(1_000)), values: values() };
        (device == 0).then_some(latest)
    }

    fn history(&self, device: u16, limit: usize) -> Result<Vec<Reading>, String> {
        match device {
            0 => Ok((0..limit.min(60)).map(|n| Reading { time: UtcMs(60_000 - n as i64), values: values() }).collect()),
            _ => Err("the disk is on fire".to_owned()),
        }
    }

    fn walk(&self, device: u16, _: Range<i64>, see: &mut dyn FnMut(&Segment)) -> Result<(), String> {
        let mut readings = self.history(device, 60)?;
        readings.reverse();
        see(&Segment::from_readings(&readings));
        Ok(())
    }

    fn writes(&self, limit: usize) -> Result<Vec<WriteRow>, String> {
        let [who, device, name, value] = ["root for maria", "relay-1", "relay_1", "on"].map(str::to_owned);
        let done = |n: usize| (n > 0).then(|| "done".to_owned());
        let row = WriteRow { time_ms: Some(1_000), who, device, name, value, ..WriteRow::default() };
        let row = |n: usize| WriteRow { number: Some(2 - n as i64), outcome: done(n), ..row.clone() };
        Ok((0..limit.min(2)).map(row).collect())
    }

    fn dead_letters(&self, chosen: &Chosen, before: Option<i64>, limit: usize) -> Result<Vec<DeadLetterRow>, String> {
        let rows = LETTERS.into_iter().filter(|(number, device, code)| {
            *number < before.unwrap_or(i64::MAX)
                && chosen.code.is_none_or(|chosen| chosen == *code)
                && chosen.device.as_ref().is_none_or(|chosen| chosen == device)
        });
        let row = |(number, device, code): (i64, &str, RejectCode)| DeadLetterRow {
            number,
            device: device.to_owned(),
            time: UtcMs(number),
            code: code.word().to_owned(),
            message: "<img src=x>".to_owned(),
            reading: (number > 1).then(|| Reading { time: UtcMs(number), values: values() }),
        };
        Ok(rows.map(row).take(limit).collect())
    }

    fn dead_letter_groups(&self) -> Result<Vec<DeadLetterGroup>, String> {
        let group = |(number, device, code): (i64, &str, RejectCode)| DeadLetterGroup {
            code: code.word().to_owned(),
            device: device.to_owned(),
            count: number.unsigned_abs() * 1_000,
            from: UtcMs(1_000),
            to: UtcMs(2_000),
            message: "<img src=x>".to_owned(),
        };
        Ok(LETTERS.map(group).to_vec())
    }

    fn jumps(&self, limit: usize) -> Result<Vec<JumpRow>, String> {
        let row = |number: i64| JumpRow {
            number,
            boot: 1,
            at_ms: number * 1_000,
            time_ms: (number > 1).then_some(number * 1_000),
            by_ms: 1_500 - number * 1_000,
            source: Some("cloud".to_owned()),
        };
        Ok((1..=2).rev().map(row).take(limit).collect())
    }

    fn store(&self) -> StoreState {
        StoreState {
            backlog_readings: 42,
            oldest_unsent: Some(Duration::from_secs(7)),
            written: Written { this_run: 4_096, today: 8_192, a_day: Some(1_000_000_000) },
            card_endurance: 10_000_000_000_000,
            traffic: Arc::new([(0, Carried { sent: 800, received: 70 })].into()),
            ..StoreState::default()
        }
    }

    fn link(&self) -> LinkState {
        let usage = Usage {
            limit_bytes: 500_000_000,
            used_bytes: 414_000_000,
            forecast_bytes: 612_000_000,
            start: UtcMs(0),
            end: UtcMs(30 * 86_400_000),
            state: PlanState::Warning,
        };
        LinkState {
            enrolled: true,
            url: Some("https://name:hush@cloud.example".to_owned()),
            carried: Carried { sent: 9_000, received: 700 },
            plan: Some(usage),
            backlog_waits: Some(BacklogWait::Hours(UtcMs(22 * 3_600_000))),
            ..LinkState::default()
        }
    }

    fn clock(&self) -> ClockState {
        ClockState { source: Some(Source::Cloud), ..ClockState::default() }
    }

    fn now(&self) -> Option<UtcMs> {
        Some(UtcMs(61_000))
    }
}

/// Changes nothing: takes the times before 1980, and ends the dead letters that [`Fake`] shows.
#[derive(Debug)]
struct FakeChanges;

impl Changes for FakeChanges {
    fn take_time(&self, said: UtcMs) -> Result<(), Distrust> {
        let ahead = said.0 - 10 * 365 * 86_400_000;
        if ahead > 0 { Err(Distrust::FarAhead { by_ms: ahead }) } else { Ok(()) }
    }

    fn end_dead_letters(&self, _: Fate, chosen: Chosen) -> BoxFuture<'_, Result<u64, String>> {
        let count = LETTERS.into_iter().filter(|(number, device, code)| {
            chosen.number.is_none_or(|chosen| chosen == *number)
                && chosen.code.is_none_or(|chosen| chosen == *code)
                && chosen.device.as_ref().is_none_or(|chosen| chosen == device)
        });
        let count = count.count() as u64;
        Box::pin(async move { Ok(count) })
    }
}

/// As many devices as a large site has, each with twenty values that do not repeat.
#[derive(Debug)]
pub(super) struct Crowd;

impl Figures for Crowd {
    fn latest(&self, device: u16) -> Option<Latest> {
        let values = CATALOGUE.iter().take(20).zip(1i64..).map(|(info, place)| {
            let digits = place * 2_654_435_761 * (i64::from(device) + 3) % 1_000_000;
            Measured::ok(Metric::numbered(u64::from(info.number)).unwrap(), digits * 1_000)
        });
        Some(Latest { monotonic: Duration::from_secs(100), time: Some(UtcMs(1_000)), values: values.collect() })
    }

    fn history(&self, _: u16, _: usize) -> Result<Vec<Reading>, String> {
        Ok(Vec::new())
    }

    fn walk(&self, device: u16, _: Range<i64>, see: &mut dyn FnMut(&Segment)) -> Result<(), String> {
        let mut readings = self.history(device, 60)?;
        readings.reverse();
        see(&Segment::from_readings(&readings));
        Ok(())
    }

    fn writes(&self, _: usize) -> Result<Vec<WriteRow>, String> {
        Ok(Vec::new())
    }

    fn dead_letters(&self, _: &Chosen, _: Option<i64>, _: usize) -> Result<Vec<DeadLetterRow>, String> {
        Ok(Vec::new())
    }

    fn dead_letter_groups(&self) -> Result<Vec<DeadLetterGroup>, String> {
        Ok(Vec::new())
    }

    fn jumps(&self, _: usize) -> Result<Vec<JumpRow>, String> {
        Ok(Vec::new())
    }

    fn store(&self) -> StoreState {
        StoreState::default()
    }

    fn link(&self) -> LinkState {
        LinkState::default()
    }

    fn clock(&self) -> ClockState {
        ClockState { source: Some(Source::Cloud), ..ClockState::default() }
    }

    fn now(&self) -> Option<UtcMs> {
        Some(UtcMs(61_000))
    }
}

pub(super) struct Client {
    pub(super) base: String,
    pub(super) clock: Arc<ManualClock>,
    pub(super) http: reqwest::Client,
    /// Where the password is.
    pub(super) folder: TempDir,
    _stop: tokio_util::sync::DropGuard,
}

impl Client {
    pub(super) async fn start() -> Client {
        Client::start_with(CONFIG, Arc::new(Fake)).await
    }

    pub(super) async fn start_with(config: &str, figures: Arc<dyn Figures>) -> Client {
        let config = Arc::new(parse(config, "edge.toml", FilePath::new(""), &Overrides::default()).unwrap());
        let clock = Arc::new(ManualClock::default());
        clock.advance(Duration::from_secs(103));
        let folder = tempfile::tempdir().unwrap();
        let panel = Panel {
            buses: vec![Arc::new(Status::new((0..).zip(1..).take(config.devices.len())))],
            figures,
            changes: Arc::new(FakeChanges),
            gate: Gate::new(folder.path().to_owned()),
            health: Health::new(Some(Duration::from_secs(2)), config.store.flush, clock.monotonic()),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            config,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(serve(Arc::new(panel), listener, stop.clone()));
        // The provider may have been installed by another test of this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client { base, clock, http: reqwest::Client::new(), folder, _stop: stop.drop_guard() }
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(super) async fn text(&self, path: &str) -> (String, String) {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        let policy = answer.headers().get("content-security-policy").map(|policy| policy.to_str().unwrap().to_owned());
        (policy.unwrap_or_default(), answer.text().await.unwrap())
    }
}
