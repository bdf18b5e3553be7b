//! Reads a script of faults, and tells every mistake of it with its line, key and remedy.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use riverwatts_shared::problem::{Problem, line_at};
use riverwatts_shared::profile::fields::{Fields, Report};
use toml_edit::Document;

use super::{Beside, CERTAIN, Fault, Moment, Often, Second, What, Whom};
use crate::modbus::station::UNITS;

/// Most faults of a script.
const FAULTS_MAX: usize = 100;
/// Longest time in a script.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const TIMES: RangeInclusive<Duration> = Duration::ZERO..=LONGEST;
/// Most words of a sentinel.
const WORDS_MAX: usize = 125;
/// Most bytes of noise, or missing ones.
const BYTES: RangeInclusive<i64> = 1..=256;

/// What carries the answers: some faults have a meaning on some only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Modbus TCP.
    Tcp,
    /// RTU frames in sockets.
    RtuTcp,
    /// A serial line.
    Line,
}

/// Whom a script may name.
#[derive(Debug)]
pub struct Served {
    /// What carries the answers.
    pub medium: Medium,
    /// Every device with its unit ids.
    pub devices: BTreeMap<String, Vec<u8>>,
}

/// The faults by their word, each with what holds where its keys are left out.
pub(super) const WORDS: [(&str, What); 14] = [
    ("silence", What::Silence),
    ("delay", What::Delay(Duration::ZERO)),
    ("exception", What::Exception(2)),
    ("sentinel", What::Sentinel { first: 0, last: u16::MAX as u32, words: Vec::new() }),
    ("wrong_unit", What::WrongUnit),
    ("wrong_transaction", What::WrongTransaction),
    ("bad_crc", What::BadCrc),
    ("truncated", What::Truncated(1)),
    ("garbage", What::Garbage),
    ("noise", What::Noise(3, Beside::Before)),
    ("foreign", What::Foreign),
    ("slow", What::Slow(Duration::ZERO)),
    ("drop", What::Drop(Moment::Before)),
    ("one_connection", What::OneConnection(Second::Refused)),
];

/// The faults of a script, in its order.
///
/// # Errors
/// All mistakes, in order of line.
pub fn read(file: &str, text: &str, served: &Served) -> Result<Vec<Fault>, Vec<Problem>> {
    let document = Document::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        let mut report = Report::new(file, text);
        report.add(
            line,
            "",
            format!("is no TOML: {}", error.message()),
            "correct the line; https://toml.io shows the syntax",
        );
        report.finish()
    })?;
    let mut report = Report::new(file, text);
    let mut top = Fields::new(document.as_table(), String::new(), 1);
    let tables = top.tables(&mut report, "fault");
    if tables.is_empty() {
        top.wrong(&mut report, "fault", "there is none", "write each fault as [[fault]] with `do = …` below");
    }
    if tables.len() > FAULTS_MAX {
        top.wrong(&mut report, "fault", format!("there are more than {FAULTS_MAX}"), "take fewer");
    }
    let faults = tables.into_iter().filter_map(|table| fault(&mut report, table, served)).collect();
    top.finish(&mut report);
    if report.is_clean() { Ok(faults) } else { Err(report.finish()) }
}

fn fault(report: &mut Report<'_>, mut fields: Fields<'_>, served: &Served) -> Option<Fault> {
    let word = fields.word(report, "do", &WORDS);
    let word = fields.require(report, "do", word);
    let whom = whom(report, &mut fields, served);
    let from = fields.duration(report, "from", TIMES).unwrap_or_default();
    let until = fields.duration(report, "to", TIMES).unwrap_or(Duration::MAX);
    if until <= from {
        fields.wrong(report, "to", "is not after `from`", "give a later time, or leave it out");
    }
    // Of a fault whose word is unknown, the keys of each are welcome.
    let mut what = word?;
    has_a_meaning(report, &fields, &what, served.medium);
    let (registers, often) = match what {
        What::OneConnection(_) => (None, Often::Every(1)),
        _ => (registers(report, &mut fields), often(report, &mut fields)),
    };
    complete(report, &mut fields, &mut what, registers);
    fields.finish(report);
    Some(Fault { whom, from, until, registers, often, what })
}

fn whom(report: &mut Report<'_>, fields: &mut Fields<'_>, served: &Served) -> Whom {
    let device = fields.text(report, "device");
    let unit = fields.integer(report, "unit", i64::from(*UNITS.start())..=i64::from(*UNITS.end()));
    let known = || served.devices.keys().cloned().collect::<Vec<_>>().join(", ");
    match (device, unit) {
        (Some(_), Some(_)) => {
            fields.wrong(report, "unit", "stands beside `device`", "name the device by one of them");
            Whom::All
        }
        (Some(id), None) => {
            if !served.devices.contains_key(&id) {
                fields.wrong(report, "device", format!("there is no device `{id}`"), format!("served are {}", known()));
            }
            Whom::Device(id)
        }
        (None, Some(unit)) => {
            if !served.devices.values().flatten().any(|&own| own == unit) {
                let units: Vec<_> = served.devices.iter().map(|(id, own)| format!("{id} {own:?}")).collect();
                fields.wrong(
                    report,
                    "unit",
                    format!("no device has unit {unit}"),
                    format!("served are {}", units.join(", ")),
                );
            }
            Whom::Unit(unit)
        }
        (None, None) => Whom::All,
    }
}

fn has_a_meaning(report: &mut Report<'_>, fields: &Fields<'_>, what: &What, medium: Medium) {
    let (message, remedy) = match (what, medium) {
        (What::WrongTransaction, Medium::RtuTcp | Medium::Line) => {
            ("RTU frames have no transaction id", "leave --line and --rtu-tcp out, or take \"foreign\"")
        }
        (What::BadCrc, Medium::Tcp) => {
            ("frames on TCP have no checksum", "serve with --line or --rtu-tcp, or take \"garbage\"")
        }
        (What::Drop(_) | What::OneConnection(_), Medium::Line) => {
            ("a serial line has no connections", "leave --line out, or take \"silence\"")
        }
        _ => return,
    };
    fields.wrong(report, "do", message, remedy);
}

/// First and last.
fn registers(report: &mut Report<'_>, fields: &mut Fields<'_>) -> Option<(u16, u16)> {
    let list = fields.integers(report, "registers")?;
    match *list {
        [first, last] if first <= last => {
            if let (Ok(first), Ok(last)) = (u16::try_from(first), u16::try_from(last)) {
                return Some((first, last));
            }
        }
        _ => {}
    }
    fields.wrong(report, "registers", "is no span of addresses", "write the first and the last, like [40, 41]");
    None
}

fn often(report: &mut Report<'_>, fields: &mut Fields<'_>) -> Often {
    let every = fields.integer(report, "every", 1..=1_000_000);
    let chance = fields.decimal(report, "chance").map(|chance| chance.in_units_of(-6));
    match (every, chance) {
        (Some(_), Some(_)) => {
            fields.wrong(report, "chance", "stands beside `every`", "take one of them");
            Often::Every(1)
        }
        (_, Some(Some(millionths @ 0..=1_000_000))) => Often::Chance(millionths.cast_unsigned()),
        (_, Some(_)) => {
            fields.wrong(report, "chance", "is no probability", "write a number from 0 to 1, like 0.1");
            Often::Chance(CERTAIN)
        }
        (every, None) => Often::Every(every.unwrap_or(1)),
    }
}

/// Reads the keys of its own.
fn complete(report: &mut Report<'_>, fields: &mut Fields<'_>, what: &mut What, registers: Option<(u16, u16)>) {
    let some_time = Duration::from_millis(1)..=LONGEST;
    let moments = [("before", Moment::Before), ("middle", Moment::Middle), ("after", Moment::After)];
    let seconds = [("refused", Second::Refused), ("waits", Second::Waits)];
    match what {
        What::Silence | What::WrongUnit | What::WrongTransaction | What::BadCrc | What::Garbage | What::Foreign => {}
        What::Delay(by) => {
            let given = fields.duration(report, "by", some_time);
            *by = fields.require(report, "by", given).unwrap_or_default();
        }
        What::Slow(pause) => {
            let given = fields.duration(report, "pause", some_time);
            *pause = fields.require(report, "pause", given).unwrap_or_default();
        }
        What::Exception(code) => *code = fields.integer(report, "code", 1..=255).unwrap_or(*code),
        What::Truncated(missing) => *missing = fields.integer(report, "missing", BYTES).unwrap_or(*missing),
        What::Noise(bytes, at) => {
            *bytes = fields.integer(report, "bytes", BYTES).unwrap_or(*bytes);
            *at = fields.word(report, "at", &[("before", Beside::Before), ("after", Beside::After)]).unwrap_or(*at);
        }
        What::Drop(at) => *at = fields.word(report, "at", &moments).unwrap_or(*at),
        What::OneConnection(second) => *second = fields.word(report, "second", &seconds).unwrap_or(*second),
        What::Sentinel { first, last, words } => {
            let given = fields.integers(report, "words");
            let given = fields.require(report, "words", given).unwrap_or_default();
            *words = given.iter().filter_map(|&word| u16::try_from(word).ok()).collect();
            if words.len() < given.len() || words.len() > WORDS_MAX {
                let remedy = "write up to 125 numbers from 0 to 0xFFFF, like [0x7FC0, 0]";
                fields.wrong(report, "words", "holds what is no word of a register", remedy);
            }
            let (from, to) = registers.unwrap_or((0, u16::MAX));
            (*first, *last) = (u32::from(from), u32::from(to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(medium: Medium) -> Served {
        let devices = [("meter-1", vec![1]), ("battery-1", vec![225, 100])];
        Served { medium, devices: devices.map(|(id, units)| (id.to_owned(), units)).into() }
    }

    #[test]
    fn the_guide_has_every_fault_and_its_script_is_read() {
        let guide = include_str!("../../../docs/virtual-site.md");
        let row = |word: &str| guide.contains(&format!("\n| `{word}` |"));
        assert_eq!(WORDS.iter().filter(|(word, _)| !row(word)).count(), 0, "{WORDS:?}");
        let script = guide.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let devices = BTreeMap::from([("plain-2".to_owned(), vec![6])]);
        read("guide", script, &Served { medium: Medium::Line, devices }).unwrap();
    }

    #[test]
    fn every_word_of_a_script_has_its_meaning() {
        let check = |medium, text: &str, expected: What| {
            let faults = read("faults.toml", &format!("[[fault]]\n{text}\n"), &served(medium)).unwrap();
            assert_eq!(faults.iter().map(|fault| &fault.what).collect::<Vec<_>>(), [&expected], "{text}");
            let word = expected.word();
            assert!(text.starts_with(&format!("do = \"{word}\"")), "{text} is told as {word}");
        };
        use Medium::{Line, RtuTcp, Tcp};
        check(Line, "do = \"silence\"", What::Silence);
        check(Tcp, "do = \"delay\"\nby = \"1500ms\"", What::Delay(Duration::from_millis(1_500)));
        check(Line, "do = \"exception\"", What::Exception(2));
        check(Line, "do = \"exception\"\ncode = 6", What::Exception(6));
        let sentinel = |first, last, words: &[u16]| What::Sentinel { first, last, words: words.to_vec() };
        check(Line, "do = \"sentinel\"\nwords = [0x8000]", sentinel(0, 65_535, &[0x8000]));
        check(Line, "do = \"sentinel\"\nwords = [0x7FC0, 0]\nregisters = [4, 9]", sentinel(4, 9, &[0x7FC0, 0]));
        check(RtuTcp, "do = \"wrong_unit\"", What::WrongUnit);
        check(Tcp, "do = \"wrong_transaction\"", What::WrongTransaction);
        check(Line, "do = \"bad_crc\"", What::BadCrc);
        check(RtuTcp, "do = \"bad_crc\"", What::BadCrc);
        check(Line, "do = \"truncated\"", What::Truncated(1));
        check(Line, "do = \"truncated\"\nmissing = 4", What::Truncated(4));
        check(Tcp, "do = \"garbage\"", What::Garbage);
        check(Line, "do = \"noise\"", What::Noise(3, Beside::Before));
        check(Line, "do = \"noise\"\nbytes = 9\nat = \"after\"", What::Noise(9, Beside::After));
        check(Line, "do = \"foreign\"", What::Foreign);
        check(Line, "do = \"slow\"\npause = \"5ms\"", What::Slow(Duration::from_millis(5)));
        check(Tcp, "do = \"drop\"", What::Drop(Moment::Before));
        check(RtuTcp, "do = \"drop\"\nat = \"middle\"", What::Drop(Moment::Middle));
        check(Tcp, "do = \"one_connection\"", What::OneConnection(Second::Refused));
        check(Tcp, "do = \"one_connection\"\nsecond = \"waits\"", What::OneConnection(Second::Waits));
    }

    #[test]
    fn whose_when_and_how_often_are_read() {
        let text = r#"
            [[fault]]
            do = "silence"
            device = "meter-1"
            from = "10s"
            to = "1m"
            every = 2
            [[fault]]
            do = "silence"
            unit = 100
            chance = 0.25
            registers = [3, 3]
            [[fault]]
            do = "silence"
        "#;
        let faults = read("faults.toml", text, &served(Medium::Tcp)).unwrap();
        let silence = |whom, from_s, until, registers, often| Fault {
            whom,
            from: Duration::from_secs(from_s),
            until,
            registers,
            often,
            what: What::Silence,
        };
        let device = Whom::Device("meter-1".to_owned());
        let expected = [
            silence(device, 10, Duration::from_secs(60), None, Often::Every(2)),
            silence(Whom::Unit(100), 0, Duration::MAX, Some((3, 3)), Often::Chance(250_000)),
            silence(Whom::All, 0, Duration::MAX, None, Often::Every(1)),
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn every_mistake_is_told_with_line_key_and_remedy() {
        let check = |medium, text: &str, expected: &[&str]| {
            let problems = read("faults.toml", text, &served(medium)).unwrap_err();
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(told, expected, "{text}");
        };
        use Medium::{Line, RtuTcp, Tcp};
        check(Tcp, "", &["faults.toml:1: fault: there is none; write each fault as [[fault]] with `do = …` below"]);
        let words = WORDS.map(|(word, _)| format!("\"{word}\"")).join(", ");
        let unknown = format!("faults.toml:2: fault.0.do: is not one of {words}; write one of {words}");
        check(Tcp, "[[fault]]\ndo = \"nothing\"", &[&unknown]);
        check(
            Tcp,
            "[[fault]]\ndo = \"delay\"\ndevice = \"meter-2\"\nevery = 2\nchance = 0.5\nevry = 3",
            &[
                "faults.toml:1: fault.0.by: is missing; add `by = …`",
                "faults.toml:3: fault.0.device: there is no device `meter-2`; served are battery-1, meter-1",
                "faults.toml:5: fault.0.chance: stands beside `every`; take one of them",
                "faults.toml:6: fault.0.evry: is an unknown key; known here: by, chance, device, do, every, from, \
                 registers, to, unit",
            ],
        );
        check(
            Tcp,
            "[[fault]]\ndo = \"silence\"\nunit = 9\nfrom = \"9s\"\nto = \"9s\"\nchance = 1.5\nregisters = [7]",
            &[
                "faults.toml:3: fault.0.unit: no device has unit 9; served are battery-1 [225, 100], meter-1 [1]",
                "faults.toml:5: fault.0.to: is not after `from`; give a later time, or leave it out",
                "faults.toml:6: fault.0.chance: is no probability; write a number from 0 to 1, like 0.1",
                "faults.toml:7: fault.0.registers: is no span of addresses; write the first and the last, like [40, 41]",
            ],
        );
        check(
            Line,
            "[[fault]]\ndo = \"drop\"\n[[fault]]\ndo = \"wrong_transaction\"\n[[fault]]\ndo = \"one_connection\"\nevery = 2",
            &[
                "faults.toml:2: fault.0.do: a serial line has no connections; leave --line out, or take \"silence\"",
                "faults.toml:4: fault.1.do: RTU frames have no transaction id; leave --line and --rtu-tcp out, or take \
                 \"foreign\"",
                "faults.toml:6: fault.2.do: a serial line has no connections; leave --line out, or take \"silence\"",
                "faults.toml:7: fault.2.every: is an unknown key; known here: device, do, from, second, to, unit",
            ],
        );
        let rtu = "faults.toml:2: fault.0.do: RTU frames have no transaction id; leave --line and --rtu-tcp out, or take \
                   \"foreign\"";
        check(RtuTcp, "[[fault]]\ndo = \"wrong_transaction\"", &[rtu]);
        let tcp = "faults.toml:2: fault.0.do: frames on TCP have no checksum; serve with --line or --rtu-tcp, or take \
                   \"garbage\"";
        check(Tcp, "[[fault]]\ndo = \"bad_crc\"", &[tcp]);
        let words = "faults.toml:3: fault.0.words: holds what is no word of a register; write up to 125 numbers from 0 to \
                     0xFFFF, like [0x7FC0, 0]";
        check(Tcp, "[[fault]]\ndo = \"sentinel\"\nwords = [-1]", &[words]);
    }
}
