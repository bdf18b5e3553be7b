//! The benches: `make bench`, or `make bench SUITE=spine`. Measures the real programs, prints a
//! table and appends one line per number to `target/bench/results.jsonl`.
//! What each number means stands in `docs/benchmarks.md`. Nothing passes or fails on a number.

#![allow(clippy::unwrap_used, reason = "a bench ends where something is not as it must be")]

mod bus;
mod devices;
mod edge;
mod ingest;
mod live;
mod process;
mod report;
mod socket;
mod store;
mod web;
mod wire;

use report::Report;

/// The suites, in the order in which they run.
const SUITES: [&str; 5] = ["spine", "bus", "live", "web", "store"];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Cargo adds --bench.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match Vec::from_iter(named.iter().map(String::as_str))[..] {
        [live::BARE, port] => return live::serve_bare(port.parse()?).await,
        [bus::server::SERVE, devices] => return bus::server::serve(devices.parse()?).await,
        [store::STORE, feed, folder, days] => return store::store(feed.as_ref(), folder.as_ref(), days.parse()?).await,
        _ => {}
    }
    if let Some(unknown) = named.iter().find(|name| !SUITES.contains(&name.as_str())) {
        anyhow::bail!("no suite `{unknown}`; one of: {}", SUITES.join(", "));
    }
    for suite in SUITES.into_iter().filter(|&suite| named.is_empty() || named.iter().any(|name| name == suite)) {
        let mut report = Report::of(suite);
        match suite {
            "spine" => spine(&mut report).await,
            "bus" => bus::measure(&mut report).await,
            "live" => live::measure(&mut report).await,
            "web" => web::measure(&mut report).await,
            "store" => store::measure(&mut report).await,
            _ => unreachable!("every suite stands above"),
        }
        report.print();
        report.append()?;
    }
    Ok(())
}

async fn spine(report: &mut Report) {
    wire::measure(report);
    socket::measure(report).await;
    ingest::measure(report).await;
    edge::measure(report).await;
}
