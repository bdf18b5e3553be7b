//! The record as a text that people read, print and sign.

use std::fmt::{self, Write};

use riverwatts_shared::profile::Identity;

use super::compare::Compared;
use super::phases::CheckVerdict;
use super::{Record, Recorded};
use crate::probe::device::Shown;
use riverwatts_shared::words::Quality;

/// Markdown.
pub fn paper(record: &Record) -> String {
    let mut text = String::new();
    write(&mut text, record).expect("a String takes everything");
    text.truncate(text.trim_end().len());
    text
}

fn write(text: &mut String, record: &Record) -> fmt::Result {
    let Record { recorded_at, by, site, gateway_id, host, version, bus, plan, .. } = record;
    writeln!(text, "# Commissioning record{}\n", site.as_ref().map(|site| format!(": {site}")).unwrap_or_default())?;
    writeln!(text, "| | |\n|---|---|")?;
    let doubt = if record.clock_is_wrong { " (the clock of this machine is wrong)" } else { "" };
    writeln!(text, "| when | {recorded_at}{doubt} |")?;
    writeln!(text, "| by | {} |", cell(by.as_deref().unwrap_or("")))?;
    let gateway = gateway_id.map_or("not enrolled".to_owned(), |id| id.to_string());
    writeln!(text, "| gateway | {gateway}, machine {} |", cell(host))?;
    writeln!(text, "| program | riverwatts-edge {version} |")?;
    writeln!(text, "| bus | {} |", cell(&bus.to_string()))?;
    if let Some(plan) = plan {
        writeln!(text, "| planned load of the bus | {:.0} % |", plan.load * 100.0)?;
    }
    if !record.complete {
        writeln!(text, "| **not complete** | it was stopped, or the time was over |")?;
    }
    for recorded in &record.devices {
        device(text, recorded, record.tolerance_percent.0)?;
    }
    writeln!(text, "\nDate, signature: ______________________________")
}

fn device(text: &mut String, recorded: &Recorded, tolerance: f64) -> fmt::Result {
    let Recorded { device, phases, compared, margins, timeout_ms, remarks } = recorded;
    writeln!(text, "\n## {}\n", device.id)?;
    let (unit, profile, confidence) = (device.unit, &device.profile, device.confidence.word());
    writeln!(text, "Unit {unit}, profile {profile} ({confidence} confidence).")?;
    let names = [
        (Identity::Manufacturer, "manufacturer"),
        (Identity::Model, "model"),
        (Identity::SerialNumber, "serial number"),
        (Identity::FirmwareVersion, "firmware"),
        (Identity::HardwareVersion, "hardware"),
    ];
    let told = names.iter().filter_map(|(field, name)| Some((name, device.identity.get(field)?)));
    let told: Vec<_> = told.map(|(name, said)| format!("{name} {}", cell(said))).collect();
    writeln!(text, "It says: {}.", if told.is_empty() { "nothing about itself".to_owned() } else { told.join(", ") })?;
    if !remarks.is_empty() {
        writeln!(text, "\n**To look at**\n")?;
        for remark in remarks {
            writeln!(text, "- {remark}")?;
        }
    }
    if !phases.is_empty() {
        writeln!(text, "\n| phases | | |\n|---|---|---|")?;
        for check in phases {
            let verdict = match check.verdict {
                CheckVerdict::Ok => "ok",
                CheckVerdict::Wrong => "**WRONG**",
                CheckVerdict::Unknown => "cannot be told",
            };
            let remedy = if check.remedy.is_empty() { String::new() } else { format!("; {}", check.remedy) };
            writeln!(text, "| {} | {verdict} | {}{remedy} |", check.check, check.message)?;
        }
    }
    if !compared.is_empty() {
        writeln!(
            text,
            "\n| beside the meter, within {tolerance} % | device | meter | difference | |\n|---|---|---|---|---|"
        )?;
        for Compared { metric, unit, value, meter, difference, difference_percent, verdict } in compared {
            let shown = |number: &Option<f64>, unit: &str| number.map_or("-".to_owned(), |n| format!("{n} {unit}"));
            let percent = difference_percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
            let (value, difference) = (shown(value, unit), shown(difference, unit));
            writeln!(text, "| {metric} | {value} | {meter} {unit} | {difference}{percent} | {} |", verdict.words())?;
        }
    }
    writeln!(text, "\n| bus | |\n|---|---|")?;
    let ms = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time} ms"));
    writeln!(text, "| answer time | median {}, worst {} |", ms(margins.median_ms), ms(margins.worst_ms))?;
    let share = margins.worst_ms.unwrap_or_default() / *timeout_ms as f64 * 100.0;
    writeln!(text, "| time-out | {timeout_ms} ms, of which the worst answer took {share:.0} % |")?;
    let (requests, errors) = (margins.requests, margins.errors_per_1000);
    writeln!(text, "| errors | {errors:.0} per 1,000 requests, of {requests} |")?;
    if !device.values.is_empty() {
        writeln!(text, "\n| value | | quality | registers |\n|---|---|---|---|")?;
    }
    for Shown { metric, value, unit, quality, registers, .. } in &device.values {
        let value = value.map_or("-".to_owned(), |value| value.to_string());
        let quality = if *quality == Quality::Ok { "ok" } else { quality.word() };
        let words: Vec<_> = registers.iter().map(|source| format!("{}: {}", source.address, source.words)).collect();
        writeln!(text, "| {metric} | {value} {unit} | {quality} | {} |", words.join(", "))?;
    }
    Ok(())
}

/// What a device or a person wrote, so that it stays in its cell.
fn cell(text: &str) -> String {
    text.replace(['|', '\n', '\r'], " ").replace('<', "&lt;")
}
