//! A month without the cloud: a process of its own stores it, as fast as it can while the site's
//! clock is moved.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use riverwatts_shared::time::UtcMs;
use riverwatts_tests::program::command;
use serde::{Deserialize, Serialize};

use super::disk;
use super::feed::Feed;
use crate::devices::DEVICES;
use crate::process::Process;
use crate::report::{Better, Report};

/// Argument by which the bench starts itself as the process that stores, before feed, folder and days.
pub const STORE: &str = "store-offline";
/// How long the cloud is away.
pub const DAYS: u64 = 30;
/// Another number of days, for a first look.
pub const DAYS_VARIABLE: &str = "BENCH_DAYS";
/// Flushes are rarer than usual, so that it takes minutes rather than an hour; what rests is the same.
const FLUSH_S: u64 = 60;
/// A day.
pub const DAY_S: u64 = 86_400;

/// What the process tells.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// The most of its looks, one a simulated hour.
    rss_mib: f64,
    backlog: u64,
}

/// The process.
#[allow(clippy::print_stdout, reason = "one line for the bench that started it")]
pub async fn store(feed: &Path, folder: &Path, days: u64) -> anyhow::Result<()> {
    let feed = Feed::load(feed);
    let (store, clock) = disk::open(folder, feed.start());
    let mut rss_mib: f64 = 0.0;
    for (number, flush) in feed.flushes(days * DAY_S).enumerate() {
        clock.advance(Duration::from_secs(FLUSH_S));
        store.flush(flush).await?;
        if number % 60 == 0 {
            rss_mib = rss_mib.max(Process::own().rss_mib());
        }
    }
    let told = Told { rss_mib, backlog: store.figures().backlog };
    store.close().await?;
    println!("{}", serde_json::to_string(&told)?);
    Ok(())
}

/// Fills a store in `folder` with the month before `until`.
pub async fn measure(report: &mut Report, folder: &Path, until: UtcMs) {
    let days = days();
    let start = until.plus_ms(-((days * DAY_S) as i64) * 1_000);
    let scratch = tempfile::tempdir().unwrap();
    let feed = scratch.path().join("feed");
    Feed::new(start, FLUSH_S).save(&feed);
    let mut process = command(&std::env::current_exe().unwrap());
    process.arg(STORE).arg(&feed).arg(folder).arg(days.to_string()).stdout(Stdio::piped());
    let output = process.spawn().unwrap().wait_with_output().await.unwrap();
    assert!(output.status.success());
    let told: Told = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told.backlog, days * DAY_S * u64::from(DEVICES));
    let bytes = std::fs::metadata(folder.join("store.db")).unwrap().len() as f64;
    for (name, value, unit, target) in [
        ("store.offline_30d_mib", bytes / f64::from(1 << 20), "MiB", 250.0),
        ("store.offline_30d_rss_mib", told.rss_mib, "MiB", 20.0),
        ("store.rest_bytes_per_reading", bytes / told.backlog as f64, "B/reading", 8.0),
    ] {
        let figure = report.add(name, value, unit, Better::Lower);
        figure.target = Some(target);
        if days != DAYS {
            figure.command = format!("{DAYS_VARIABLE}={days} {}", figure.command);
        }
    }
}

/// How many days are asked for.
pub fn days() -> u64 {
    std::env::var(DAYS_VARIABLE).map_or(DAYS, |days| days.parse().unwrap())
}
