//! What people wait for: the pages of both programs in a real browser, on links as bad as they are.
//! The browser is driven by `tests/web/bench.js`; here its stage is set.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use riverwatts_shared::time::UtcMs;
use riverwatts_tests::place::repository;
use riverwatts_tests::program::command;
use riverwatts_tests::stage::Stage;
use serde_json::json;
use tokio::time::timeout;

use crate::devices;
use crate::ingest::{Sender, rolled_up};
use crate::report::{Better, Report, median};
use crate::wire;

/// Sites beside those of the stage, so that the fleet is one.
const SITES: u32 = 9;
/// A month of 1-minute readings of one device.
const MONTH_READINGS: u64 = 30 * 1_440;
const INTERVAL_S: u64 = 60;
/// What one batch holds of it.
const BATCH_READINGS: usize = 600;
/// All runs of the browser.
const BROWSER_MAX: Duration = Duration::from_secs(300);
/// Name, unit and target of what the browser measures.
const FIGURES: [(&str, &str, f64); 6] = [
    ("web.fleet_useful_ms", "ms", 3_200.0),
    ("web.fleet_kib", "KiB", 45.0),
    ("web.panel_values_ms", "ms", 1_200.0),
    ("web.panel_first_answer_kib", "KiB", 14.0),
    ("web.panel_interactive_ms", "ms", 3_000.0),
    ("web.month_chart_ms", "ms", 300.0),
];

/// The times and the bytes.
pub async fn measure(report: &mut Report) {
    let stage = Stage::set(&[]).await;
    for number in 1..=SITES {
        stage.cloud().site(&format!("River {number}")).await;
    }
    let mut told = stage.told().clone();
    told["month"] = json!(month(&stage).await);
    let mut browser = command("node".as_ref());
    browser.arg(repository("tests/web/bench.js")).arg(told.to_string()).stderr(Stdio::inherit());
    let ended = timeout(BROWSER_MAX, browser.stdout(Stdio::piped()).output()).await.expect("the browser never ended");
    let ended = ended.unwrap();
    assert!(ended.status.success(), "tests/web/bench.js: {}", ended.status);
    let mut runs: BTreeMap<String, Vec<f64>> = serde_json::from_slice(&ended.stdout).unwrap();
    for (name, unit, target) in FIGURES {
        let runs = runs.remove(name).unwrap_or_else(|| panic!("the browser did not measure {name}"));
        let count = runs.len();
        let figure = report.add(name, median(runs), unit, Better::Lower);
        figure.target = Some(target);
        figure.runs = count;
    }
}

/// A device that has been read for a month; its id.
async fn month(stage: &Stage) -> String {
    let mut sender = Sender::enroll(stage.cloud(), 1).await;
    let start = UtcMs::from(Timestamp::now()).plus_ms(-((MONTH_READINGS * INTERVAL_S) as i64) * 1_000);
    let readings = devices::device(1, start, MONTH_READINGS, INTERVAL_S);
    for body in sender.bodies(&[readings], BATCH_READINGS) {
        let receipt = sender.api.send_batch_bytes(body).await.ok();
        assert_eq!(receipt["accepted"], BATCH_READINGS, "{receipt}");
    }
    rolled_up(stage.cloud()).await;
    stage.cloud().device(&sender.site_id, &wire::key(1)).await
}
