//! The benches: `make bench`, or `make bench SUITE=spine`. Measures the real programs, prints a
//! table and appends one line per number to `target/bench/results.jsonl`.
//! What each number means stands in `docs/benchmarks.md`. Nothing passes or fails on a number.

#![allow(clippy::unwrap_used, reason = "a bench ends where something is not as it must be")]

mod devices;
mod report;
mod wire;

use report::Report;

/// A name, and what fills its report.
type Suite = (&'static str, fn(&mut Report));

/// The suites, in the order in which they run.
const SUITES: [Suite; 1] = [("spine", spine)];

fn main() -> anyhow::Result<()> {
    // Cargo adds --bench.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(unknown) = named.iter().find(|name| SUITES.iter().all(|(suite, _)| suite != name)) {
        anyhow::bail!("no suite `{unknown}`; one of: {}", SUITES.map(|(suite, _)| suite).join(", "));
    }
    for (suite, measure) in
        SUITES.iter().filter(|(suite, _)| named.is_empty() || named.iter().any(|name| name == suite))
    {
        let mut report = Report::of(suite);
        measure(&mut report);
        report.print();
        report.append()?;
    }
    Ok(())
}

fn spine(report: &mut Report) {
    wire::measure(report);
}
