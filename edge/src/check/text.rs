//! The report for people, on 80 columns.

use std::fmt;
use std::time::Duration;

use riverwatts_shared::profile::{Function, Parity};

use super::{BlockReport, BusReport, CycleReport, DeviceReport, Report};
use crate::config::{Priority, Serial};

/// Width of the text.
const COLUMNS: usize = 80;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        for bus in &self.buses {
            writeln!(f, "{bus}")?;
        }
        for note in &self.notes {
            paragraph(f, "", &format!("note: {note}"))?;
        }
        match self.problems.len() {
            0 => f.write_str("no problems"),
            problems => f.write_str(&count(problems, "problem")),
        }
    }
}

impl fmt::Display for BusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.as_ref().map(|line| format!(" {line}")).unwrap_or_default();
        writeln!(f, "bus {}: {}{line}, {}", self.id, self.kind, count(self.devices.len(), "device"))?;
        if self.devices.is_empty() {
            return Ok(());
        }
        paragraph(f, "  ", &self.summary())?;
        let (registers, time) = ("registers", if self.line.is_some() { "at least" } else { "" });
        writeln!(f, "\n{:25}{registers:<20}{:>6}{:>8}{time:>11}{:>9}", "", "count", "unused", "share")?;
        self.devices.iter().try_for_each(|device| write!(f, "{device}"))
    }
}

impl BusReport {
    fn summary(&self) -> String {
        let mut told = format!("{:.2} requests a second keep it busy ", self.requests_per_s);
        if let Some(least) = self.least_load {
            told += &format!("{} of the time at the least, ", percent(least));
        }
        let whole = if self.kind == "tcp" { "a request" } else { "an answer" };
        told += &format!("{} if {whole} takes {}.", percent(self.load), seconds(self.answer_s));
        if self.devices.len() > 1 {
            let who = self.wait.priority.filter(|word| *word != Priority::Normal.word());
            let who = who.map(|word| format!(" of {word} priority")).unwrap_or_default();
            let [wait, one, all] = [self.wait.longest_s, self.silence.one_s, self.silence.all_s].map(seconds);
            told += &format!(" A device{who} waits up to {wait} for its turn. One that is silent takes {one}");
            told += &format!(" each time it is asked, all of them together {all}.");
        }
        told
    }
}

impl fmt::Display for DeviceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeviceReport { id, unit, profile, confidence, priority, .. } = self;
        let goes = if *priority == Priority::Normal.word() { "" } else { &format!(", {priority} priority") };
        writeln!(f, "  {id}: unit {unit}{goes}, {profile} ({} confidence)", confidence.word())?;
        if self.discovered {
            writeln!(f, "    the device will tell the addresses; these are examples")?;
        }
        self.cycles.iter().try_for_each(|cycle| write!(f, "{cycle}"))
    }
}

impl fmt::Display for CycleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.blocks.len().saturating_sub(1);
        let share = self.every_s.map(|_| percent(self.least_load.unwrap_or(self.load))).unwrap_or_default();
        for (index, block) in self.blocks.iter().enumerate() {
            let every = if index == 0 { self.every_s.map_or("once".to_owned(), every) } else { String::new() };
            let BlockReport { function, unit, start, end, registers, unused, least_s } = block;
            let unit = unit.map(|unit| format!(", unit {unit}")).unwrap_or_default();
            let range = if start == end { format!("{start}{unit}") } else { format!("{start}-{end}{unit}") };
            let unused = if *unused > 0 { unused.to_string() } else { String::new() };
            let time = least_s.map(seconds).unwrap_or_default();
            let share = if index == last { &share } else { "" };
            let row = format!(
                "    {every:<12}{:<9}{range:<20}{registers:>6}{unused:>8}{time:>11}{share:>9}",
                word(*function)
            );
            writeln!(f, "{}", row.trim_end())?;
        }
        Ok(())
    }
}

/// The word of a profile for what is read.
const fn word(function: Function) -> &'static str {
    match function {
        Function::Holding => "holding",
        Function::Input => "input",
        Function::Coil => "coil",
        Function::Discrete => "discrete",
    }
}

/// Speed, parity and stop bits, as people write them.
pub(super) fn serial(serial: &Serial) -> String {
    let parity = match serial.parity {
        Parity::None => 'N',
        Parity::Even => 'E',
        Parity::Odd => 'O',
    };
    format!("{} 8{parity}{}", serial.baud, serial.stop_bits)
}

/// `every 500ms`, as `edge.toml` has it.
pub(super) fn every(interval_s: f64) -> String {
    format!("every {:?}", Duration::from_micros((interval_s * 1e6).round() as u64))
}

/// `41 %`, with a digit more where it is little.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// `83 ms`, `1.5 s`.
fn seconds(seconds: f64) -> String {
    match seconds {
        ..0.01 => format!("{:.1} ms", seconds * 1_000.0),
        ..1.0 => format!("{:.0} ms", seconds * 1_000.0),
        _ => format!("{seconds:.1} s"),
    }
}

/// Lines of at most [`COLUMNS`], each behind `indent`.
fn paragraph(f: &mut fmt::Formatter<'_>, indent: &str, text: &str) -> fmt::Result {
    let mut line = indent.to_owned();
    for word in text.split(' ') {
        if line.len() > indent.len() && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            writeln!(f, "{line}")?;
            indent.clone_into(&mut line);
        }
        if line.len() > indent.len() {
            line.push(' ');
        }
        line += word;
    }
    writeln!(f, "{line}")
}

/// `1 device`, `2 devices`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
