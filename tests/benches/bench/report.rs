//! What was measured: as a table for people, as lines for programs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::Serialize;

/// One number.
#[derive(Debug, Serialize)]
pub struct Figure {
    suite: &'static str,
    /// As `docs/benchmarks.md` lists it.
    pub name: &'static str,
    /// What was measured: the median of `runs`.
    pub value: f64,
    /// Of `value`, `target` and everything beside it.
    pub unit: &'static str,
    /// Which direction is good.
    pub better: Better,
    /// What it must reach.
    pub target: Option<f64>,
    /// By name, what limits or peers reached in the same run.
    pub beside: BTreeMap<&'static str, f64>,
    /// How many runs the value stands on.
    pub runs: usize,
    /// How to measure it again.
    pub command: String,
}

/// The middle one; of an even number the upper of the two.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    Lower,
    Higher,
}

/// The numbers of one suite.
#[derive(Debug)]
pub struct Report {
    suite: &'static str,
    figures: Vec<Figure>,
}

impl Report {
    /// An empty one.
    pub fn of(suite: &'static str) -> Report {
        Report { suite, figures: Vec::new() }
    }

    /// Adds a number; the caller completes it.
    pub fn add(&mut self, name: &'static str, value: f64, unit: &'static str, better: Better) -> &mut Figure {
        let command = format!("make bench SUITE={}", self.suite);
        let beside = BTreeMap::new();
        let figure = Figure { suite: self.suite, name, value, unit, better, target: None, beside, runs: 1, command };
        self.figures.push(figure);
        self.figures.last_mut().expect("pushed above")
    }

    /// The table.
    #[allow(clippy::print_stdout, reason = "the table is for whoever runs the bench")]
    pub fn print(&self) {
        println!("\n{:<40} {:>10}  {:<10} {:>9}  beside", self.suite, "value", "unit", "target");
        for figure in &self.figures {
            let sign = if figure.better == Better::Lower { "≤" } else { "≥" };
            let target = figure.target.map_or_else(String::new, |target| format!("{sign} {target}"));
            let beside: Vec<String> = figure.beside.iter().map(|(name, value)| format!("{name} {value:.2}")).collect();
            let Figure { name, value, unit, .. } = figure;
            println!("{name:<40} {value:>10.3}  {unit:<10} {target:>9}  {}", beside.join(", "));
        }
    }

    /// The lines, at the end of `target/bench/results.jsonl` in the checkout.
    pub fn append(&self) -> anyhow::Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        fs::create_dir_all(&folder)?;
        let mut file = File::options().create(true).append(true).open(folder.join("results.jsonl"))?;
        for figure in &self.figures {
            writeln!(file, "{}", serde_json::to_string(figure)?)?;
        }
        Ok(())
    }
}
