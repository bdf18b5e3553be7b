//! Whether what the gateway stored is what the device said at that time.

use std::collections::BTreeMap;

use riverwatts_shared::time::UtcMs;
use riverwatts_tests::reading::Point;
use serde::Deserialize;

/// A reading is stamped when the answer was there: at most this long after the device spoke, by its own clock.
const LATEST_MS: i64 = 1_000;
/// The two stamps are made by two programs.
const EARLIEST_MS: i64 = -100;
/// What stands for no value in `plain.toml`.
const SENTINEL: u16 = 0xFFFF;

/// Metric and scale of the registers 0 to 9, as `demo/src/devices/plain.rs` has them.
const REGISTERS: [(&str, f64); 10] = [
    ("power_output_kw", 0.001),
    ("voltage_v", 0.1),
    ("current_a", 0.01),
    ("frequency_hz", 0.01),
    ("efficiency_percent", 0.1),
    ("temperature_c", 0.1),
    ("vibration_level", 0.001),
    ("rotor_rpm", 0.1),
    ("water_speed_mps", 0.001),
    ("battery_level_percent", 0.1),
];

/// A line of the log of the virtual devices.
#[derive(Debug, Deserialize)]
struct Entry {
    time: String,
    device: String,
    request: String,
    answer: Option<String>,
}

/// What a device said in one answer: words by address.
#[derive(Debug)]
pub struct Said {
    at: UtcMs,
    words: BTreeMap<u16, u16>,
}

/// Everything that was said in frames that are right, by device.
pub fn said(log: &str) -> BTreeMap<String, Vec<Said>> {
    let mut said: BTreeMap<String, Vec<Said>> = BTreeMap::new();
    for line in log.lines() {
        let entry: Entry = serde_json::from_str(line).unwrap();
        let (request, Some(answer)) = (bytes(&entry.request), entry.answer.as_deref().map(bytes)) else { continue };
        if answer[0] == 3 {
            let words = answer[2..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            let words = (u16::from_be_bytes([request[1], request[2]])..).zip(words).collect();
            said.entry(entry.device).or_default().push(Said { at: entry.time.parse().unwrap(), words });
        }
    }
    said
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u8> = hexadecimal.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// What is wrong with a stored reading, if anything.
pub fn mistake(point: &Point, said: &[Said]) -> Option<String> {
    let near = |said: &&Said| (EARLIEST_MS..LATEST_MS).contains(&point.time.since_ms(said.at));
    let near: Vec<&Said> = said.iter().filter(near).collect();
    for (address, (metric, scale)) in (0..).zip(REGISTERS) {
        let fits = |said: &&Said| match (said.words.get(&address), point.numbers.get(metric)) {
            (Some(&SENTINEL), number) => {
                number.is_none() && point.quality.get(metric).is_some_and(|it| it == "sentinel")
            }
            (Some(&word), Some(number)) => (f64::from(word) * scale - number).abs() < 1e-9,
            (_, number) => number.is_none() && !point.quality.contains_key(metric),
        };
        let told = point.numbers.contains_key(metric) || point.quality.contains_key(metric);
        if told && !near.iter().any(fits) {
            return Some(format!("{metric} was never said: {point:?}, but {near:?}"));
        }
    }
    None
}
