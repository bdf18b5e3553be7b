//! Ten units on a serial line, five of them dead, beside a line with the five living ones alone;
//! one gateway drives both at the same time.

use std::time::Duration;

use riverwatts_tests::deadline::over;
use riverwatts_tests::virtual_devices::Place;

use super::gateway::Gateway;
use super::line::{bus, device, line};
use super::{command, run_length};
use crate::report::{Better, Report, median};

/// Units that answer; as many others do not.
const LIVING: u8 = 5;
const BAUD: u32 = 9_600;
/// How long the devices think.
const ANSWER_AFTER: Duration = Duration::from_millis(5);
/// Runs, and seconds of each.
const RUNS: usize = 3;
const RUN_S: u64 = 30;

/// The ratio of the rates of the living.
pub async fn measure(report: &mut Report) {
    let folder = tempfile::tempdir().unwrap();
    let ports = ["alone", "among-dead"].map(|bus| folder.path().join(bus));
    let count = format!("--count={LIVING}");
    let lines =
        [line(&ports[0], BAUD, ANSWER_AFTER, &[&count]).await, line(&ports[1], BAUD, ANSWER_AFTER, &[&count]).await];
    let mut machines = bus("alone", &ports[0], BAUD) + &bus("among-dead", &ports[1], BAUD);
    for (devices, bus) in lines.iter().zip(["alone", "among-dead"]) {
        let plain = devices.places().iter().filter(|place| place.id.starts_with("plain-"));
        for Place { id, unit, .. } in plain {
            machines += &device(&format!("{bus}-{id}"), bus, *unit, "plain");
        }
    }
    for unit in 0..LIVING {
        machines += &device(&format!("dead-{unit}"), "among-dead", 200 + unit, "plain");
    }
    let gateway = Gateway::start(&machines).await;
    let counts = async || [gateway.polls("alone").await, gateway.polls("among-dead").await];
    for bus in ["alone", "among-dead"] {
        gateway.answers(bus, LIVING.into()).await;
    }
    let mut rates = Vec::new();
    let mut before = counts().await;
    for _ in 0..=RUNS {
        over(run_length(RUN_S)).await;
        let now = counts().await;
        rates.push([now[0].rate_since(before[0]), now[1].rate_since(before[1])]);
        before = now;
    }
    gateway.stop().await;
    let ratio = |[alone, among_dead]: &[f64; 2]| among_dead / alone;
    // In the first run the dead are found to be so.
    let figure = report.add("bus.half_dead_ratio", median(rates[1..].iter().map(ratio)), "ratio", Better::Higher);
    (figure.target, figure.runs, figure.command) = (Some(0.9), RUNS, command());
    figure.beside.insert("at the start", ratio(&rates[0]));
    figure.beside.insert("polls/s alone", median(rates[1..].iter().map(|rates| rates[0])));
}
