//! What the buses take and give: requests of a poll, polls on a line that takes its time, a line on
//! which half of the devices are dead, and a thousand devices on a thousand sockets.

mod dead;
mod gateway;
mod line;
mod many;
mod requests;
pub mod server;

use std::time::Duration;

use crate::report::Report;

/// Sets the length of a run, in seconds, for a first look.
const SECONDS_VARIABLE: &str = "BENCH_SECONDS";

/// Everything.
pub async fn measure(report: &mut Report) {
    requests::measure(report);
    line::measure(report).await;
    dead::measure(report).await;
    many::measure(report).await;
}

/// How long a run takes: so many seconds, unless the variable says otherwise.
fn run_length(seconds: u64) -> Duration {
    let own = std::env::var(SECONDS_VARIABLE).ok().map(|seconds| seconds.parse().unwrap());
    Duration::from_secs(own.unwrap_or(seconds))
}

/// The command, with the variable where it is set.
fn command() -> String {
    let variable = std::env::var(SECONDS_VARIABLE).map(|seconds| format!("{SECONDS_VARIABLE}={seconds} "));
    format!("{}make bench SUITE=bus", variable.unwrap_or_default())
}
