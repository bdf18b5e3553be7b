//! What may be written is what the profile says, and a mistake in it is named.

use super::*;
use crate::profile::{Profile, parse};

const HEAD: &str = "format = 1\nmanufacturer = \"M\"\nmodel = \"X\"\ndevice = \"controller\"\nconfidence = \"low\"\nsources = [\"s\"]\n";
const AREA: &str = r#"[[area]]
name = "main"
function = "holding"
registers = [
  { name = "mode",   at = 0, type = "u16" },
  { name = "limit",  at = 1, type = "i32", word_order = "low_first", metric = "x_limit" },
  { name = "serial", at = 3, type = "text", length = 2, identity = "serial_number" },
  { name = "lamp",   at = 5, type = "bits16", mask = 0x0300, alarms = [{ bit = 0, name = "lamp", severity = "low" }] },
]
"#;
/// Uses every key once.
const WRITES: &str = r#"[[write]]
name = "start"
function = "registers"
at = 100
type = "u16"
complement = true
access = "wo"
values = [{ name = "go", raw = 35732, reads = 2 }, { name = "halt", raw = 35733, reads = 0 }]
read_back = { register = "main.mode", within = "5s" }
allowed_when = [{ register = "main.mode", not = [7] }]
unlock = [{ function = "registers", at = 90, register = "main.serial" }, { function = "register", at = 92, raw = 7 }]
[[write]]
name = "limit"
function = "registers"
at = 1
type = "i32"
word_order = "low_first"
scale = 0.1
offset = -40
range = [-40, 125.5]
refresh = "60s"
warns = "raises a fault"
[[write]]
name = "lamp"
function = "coil"
at = 8
values = [{ name = "off", raw = 0 }, { name = "on", raw = 0xFF00 }]
repeat = { count = 2, step = 16 }
[[write]]
name = "flash"
function = "coil"
at = 512
unit = 9
access = "wo"
scale = 0.1
range = [0.1, 60]
read_back = { register = "main.lamp", reads = 3 }
"#;

fn profile(text: &str) -> Profile {
    parse("m-x.toml", text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn writes() -> Vec<Write> {
    profile(&[HEAD, AREA, WRITES].concat()).writes
}

#[test]
fn writes_are_read_with_their_references_resolved() {
    let writes = writes();
    let names: Vec<_> = writes.iter().map(|write| (write.name.as_str(), write.target.at)).collect();
    assert_eq!(names, [("start", 100), ("limit", 1), ("lamp_1", 8), ("lamp_2", 24), ("flash", 512)]);
    let [start, limit, lamp, _, flash] = &writes[..] else { panic!("five") };
    assert_eq!((start.shows.at, start.within, start.unlock.len()), (0, Duration::from_secs(5), 2));
    assert!(matches!(&start.unlock[0].with, Key::Copy(Seen { at: 3, count: 2, form: None, .. })));
    assert_eq!((limit.shows.function, limit.shows.at, limit.shows.count), (Function::Holding, 1, 2));
    assert_eq!((lamp.shows.function, lamp.shows.at, lamp.shows.count), (Function::Coil, 8, 1));
    assert_eq!((flash.unit, flash.shows.unit, flash.shows.name.as_str()), (Some(9), None, "main.lamp"));
    assert_eq!([start, limit, lamp].map(|write| write.target.function.code()), [16, 16, 5]);
}

#[test]
fn values_become_words_and_what_shows_becomes_values() {
    let writes = writes();
    for (write, value, name, words, reads) in [
        (0, "go", "go", &[35_732, 29_803][..], 2),
        (0, "halt", "halt", &[35_733, 29_802], 0),
        (1, "-40", "-40", &[0, 0], 0),
        (1, " 0.10 ", "0.1", &[401, 0], 401),
        (1, "125.5", "125.5", &[1_655, 0], 1_655),
        (2, "on", "on", &[0xFF00], 1),
        (4, "1.5", "1.5", &[15], 3),
    ] {
        let accepted = writes[write].accept(value).unwrap();
        assert_eq!((accepted.value.as_str(), &accepted.words[..], accepted.reads), (name, words, reads), "{value}");
    }
    for (write, shown, told) in
        [(0, 2, "go"), (0, 7, "7"), (1, 401, "0.1"), (1, -1, "-40.1"), (2, 1, "on"), (4, 3, "3")]
    {
        assert_eq!(writes[write].told(shown), told);
    }
}

#[test]
fn a_value_that_is_not_allowed_is_refused_with_what_is() {
    let writes = writes();
    for (write, value, words) in [
        (2, "ON", "`ON` is no value of lamp_1; write one of off, on"),
        (2, "1", "`1` is no value of lamp_1; write one of off, on"),
        (1, "warm", "`warm` is no number; limit takes -40 to 125.5"),
        (1, "125.6", "125.6 is outside what limit takes, -40 to 125.5"),
        (1, "-41", "-41 is outside what limit takes, -40 to 125.5"),
        (1, "1e18", "1000000000000000000 is outside what limit takes, -40 to 125.5"),
        (1, "0.05", "0.05 is no whole step of limit; its steps are 0.1"),
        (1, "", "`` is no number; limit takes -40 to 125.5"),
    ] {
        assert_eq!(writes[write].accept(value).unwrap_err().to_string(), words);
    }
}

#[test]
fn numbers_are_read_as_they_are_written() {
    for kind in [Kind::U16, Kind::I16, Kind::U32, Kind::I32] {
        for orders in 0..4 {
            let order = |bit| if orders >> bit & 1 == 0 { Order::HighFirst } else { Order::LowFirst };
            let form = Form { kind, word_order: order(0), byte_order: order(1), mask: None };
            let least = if kind.is_signed() { -2 } else { 0 };
            for raw in [least, 0, 1, 0x7FFE] {
                assert_eq!(form.number(&form.words(raw)), Some(raw), "{form:?}");
            }
        }
    }
    let high = Form { kind: Kind::U8High, word_order: Order::HighFirst, byte_order: Order::HighFirst, mask: None };
    assert_eq!(high.number(&[0xFE01]), Some(0xFE));
    assert_eq!(high.number(&[]), None);
    let masked = Form { kind: Kind::Bits16, mask: Some(0x0300), ..high };
    assert_eq!(masked.number(&[0xFEFF]), Some(2));
}

/// The problems of the right profile with one text replaced, as `key: message`.
fn problems(from: &str, to: &str) -> Vec<String> {
    assert!(WRITES.contains(from), "{from}");
    let text = [HEAD, AREA, &WRITES.replacen(from, to, 1)].concat();
    let problems = parse("m-x.toml", &text).err().unwrap_or_default();
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty() && problem.line.is_some()));
    problems.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
}

#[test]
fn a_mistake_names_its_write_and_key() {
    for (from, to, expected) in [
        ("name = \"start\"\n", "", "write.0.name: is missing"),
        ("name = \"limit\"", "name = \"start\"", "write.start.name: is also the name of the write in line 16"),
        (
            "function = \"coil\"",
            "function = \"relay\"",
            "write.lamp.function: is not one of \"coil\", \"coils\", \"register\", \"registers\"",
        ),
        ("at = 8\n", "", "write.lamp.at: is missing"),
        ("step = 16", "step = 65530", "write.lamp.repeat: leaves the addresses"),
        ("at = 1\n", "at = 65535\n", "write.limit: ends beyond address 65535"),
        ("type = \"i32\"", "type = \"f32\"", "write.limit.type: is not one of \"u16\", \"i16\", \"u32\", \"i32\""),
        (
            "function = \"registers\"\nat = 1\n",
            "function = \"register\"\nat = 1\n",
            "write.limit.type: is wider than what this function writes",
        ),
        (
            "function = \"registers\"\nat = 1\n",
            "function = \"coils\"\nat = 1\n",
            "write.limit.type: does not fit a coil",
        ),
        (
            "access = \"wo\"\nvalues",
            "values",
            "write.start.complement: needs a number of 16 bits, two registers, and another register that shows what it did",
        ),
        (
            "read_back = { register = \"main.mode\", within = \"5s\" }\n",
            "",
            "write.start.read_back: is missing although this cannot be read itself",
        ),
        (
            "register = \"main.mode\", within",
            "within",
            "write.start.read_back.register: is needed where this cannot be read itself",
        ),
        (
            "\"main.mode\", within = \"5s\"",
            "\"main.mode\", within = \"11s\"",
            "write.start.read_back.within: is not a duration from 0ns to 10s, such as \"50ms\" or \"1s\"",
        ),
        (
            "register = \"main.mode\", within",
            "register = \"mode\", within",
            "write.start.read_back.register: names `mode`, which is no register of this profile",
        ),
        (
            "register = \"main.mode\", within",
            "register = \"main.serial\", within",
            "write.start.read_back.register: names `main.serial`, which holds no plain whole number",
        ),
        (", reads = 2", "", "write.start.values.go.reads: is missing: what shows is not what is written"),
        ("raw = 0xFF00", "raw = 0xFF01", "write.lamp.values.on.reads: is missing: what shows is not what is written"),
        ("raw = 35733", "raw = 65536", "write.start.values.halt.raw: does not fit 16 bits"),
        ("name = \"on\"", "name = \"off\"", "write.lamp.values.off.name: is there twice"),
        (
            "values = [{ name = \"off\", raw = 0 }, { name = \"on\", raw = 0xFF00 }]\n",
            "",
            "write.lamp.values: needs one of `values` and `range`",
        ),
        ("range = [-40, 125.5]", "range = [125.5, -40]", "write.limit.range: is none that can be written"),
        ("range = [-40, 125.5]", "range = [-40, 125.55]", "write.limit.range: is none that can be written"),
        ("range = [0.1, 60]", "range = [0, 6553.6]", "write.flash.range: is none that can be written"),
        (
            "range = [-40, 125.5]",
            "range = [-40, 125.5]\nvalues = [{ name = \"x\", raw = 1 }]",
            "write.limit.values: needs one of `values` and `range`",
        ),
        (
            "refresh = \"60s\"",
            "refresh = \"2h\"",
            "write.limit.refresh: is not a duration from 1s to 3600s, such as \"50ms\" or \"1s\"",
        ),
        ("not = [7]", "is_not = [7]", "write.start.allowed_when.0.is_not: is an unknown key"),
        ("not = [7]", "", "write.start.allowed_when.0.is: needs one of `is`, `not` and limits"),
        ("raw = 7 }]", "}]", "write.start.unlock.1.raw: needs one of `raw` and `register`"),
        ("raw = 7 }]", "raw = 70000 }]", "write.start.unlock.1.raw: does not fit the type"),
        (
            "function = \"registers\", at = 90",
            "function = \"register\", at = 90",
            "write.start.unlock.0.register: holds more than this function writes",
        ),
        ("warns = \"raises a fault\"", "warn = \"raises a fault\"", "write.limit.warn: is an unknown key"),
    ] {
        let found = problems(from, to);
        assert!(found.iter().any(|problem| problem == expected), "{expected}\nnot in {found:#?}");
    }
    assert_eq!(problems("unit = 9\n", ""), [""; 0]);
}

#[test]
fn in_a_model_addresses_count_from_its_id_word() {
    let write = "[[write]]\nname = \"connect\"\nfunction = \"register\"\nmodels = [123]\nat = 4\nrange = [0, 1]\n";
    let area = "[discovery]\nkind = \"sunspec\"\nfunction = \"holding\"\nbases = [0]\n[[area]]\nname = \"m\"\nfunction = \"holding\"\nmodels = [1]\nregisters = [{ name = \"r\", at = 2, type = \"u16\", metric = \"x_r\" }]\n";
    let write = &profile(&[HEAD, area, write].concat()).writes[0];
    let models = [Model { id: 1, start: 2, length: 66 }, Model { id: 123, start: 70, length: 24 }];
    assert_eq!(address(&write.models, write.target.at, 1, &models), Some(74));
    assert_eq!(address(&write.shows.models, write.shows.at, 1, &models), Some(74));
    assert_eq!(address(&write.models, 25, 2, &models), None);
    assert_eq!(address(&write.models, 4, 1, &models[..1]), None);
    assert_eq!(address(&[], 4, 1, &[]), Some(4));
    assert!(problems("name = \"limit\"\n", "name = \"limit\"\nmodels = [1]\n")[0].contains("needs `[discovery]`"));
}
