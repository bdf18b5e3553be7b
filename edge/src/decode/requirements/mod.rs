//! What the format must be able to say, one test for each requirement: from a profile's text to what
//! is asked and what the answers mean.

mod asking;
mod meaning;
mod writing;

use riverwatts_shared::profile::{Profile, parse};
use riverwatts_shared::words::Quality;

use super::samples::profile;
use super::{Decoded, Image, decode};
use crate::plan::{Block, Layout};

const HEAD: &str =
    "format = 1\nmanufacturer = \"M\"\nmodel = \"M\"\ndevice = \"sensor\"\nconfidence = \"low\"\nsources = [\"s\"]\n";

/// A profile with this text behind its head.
fn with(text: &str) -> Profile {
    parse("p.toml", &format!("{HEAD}{text}")).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A profile with these registers in one area of holding registers.
fn area(registers: &str) -> Profile {
    with(&format!("[[area]]\nname = \"a\"\nfunction = \"holding\"\ngap_max = 125\nregisters = [{registers}]"))
}

/// What words from address 0 on mean.
fn decoded(profile: &Profile, words: &[u16]) -> Decoded {
    let layout = Layout::fixed(profile);
    let area = &profile.areas[0];
    let block = Block { unit: area.unit, function: area.function, start: 0, count: words.len() as u16 };
    let mut image = Image::new();
    image.put(&block, words);
    decode(&layout, &image)
}

/// The value of a metric, in millionths of its unit.
fn value(decoded: &Decoded, metric: &str) -> Option<(Option<i64>, Quality)> {
    let found = decoded.values.iter().find(|value| value.metric.name() == metric);
    found.map(|value| (value.value, value.quality))
}

/// One register `x_r` at address 0 of these words, in whole units.
fn check(register: &str, words: &[u16], expected: i64) {
    let profile = area(&format!("{{ name = \"r\", at = 0, metric = \"x_r\", {register} }}"));
    let expected = Some((Some(expected * 1_000_000), Quality::Ok));
    assert_eq!(value(&decoded(&profile, words), "x_r"), expected, "{register}");
}

fn spans(blocks: &[Block]) -> Vec<(u16, u16)> {
    blocks.iter().map(|block| (block.start, block.count)).collect()
}

fn active(decoded: &Decoded) -> Vec<&str> {
    decoded.alarms.iter().filter(|alarm| alarm.active).map(|alarm| alarm.name.as_str()).collect()
}
