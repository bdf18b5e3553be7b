//! Where registers stand, how they are asked for, and what a link needs.

use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Function, Parity, builtin_names, parse};
use riverwatts_shared::rollup::Point;
use riverwatts_shared::rollup::counter::Counter;
use riverwatts_shared::rollup::sum::roll_up;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;

use super::{HEAD, Image, Layout, area, decode, decoded, profile, spans, value, with};
use crate::plan::{Cadence, Cost};

#[test]
fn req_01_the_address_is_that_of_the_wire_and_the_documents_number_stands_beside_it() {
    for (name, register, at, document) in [
        ("sma-sunny-boy", "power", 30_775, "30775"),
        ("midnite-classic", "power", 4_118, "4119"),
        ("siemens-sinamics-v20", "power", 27, "40028"),
        ("deepsea-gencomm", "speed", 1_030, "page 4, 6"),
    ] {
        let profile = profile(name);
        let register =
            profile.areas.iter().flat_map(|area| &area.registers).find(|other| other.name == register).unwrap();
        assert_eq!((register.at, register.document.as_deref()), (at, Some(document)), "{name}");
    }
}

#[test]
fn req_02_each_block_has_its_function_code() {
    let text = ["coil", "discrete", "holding", "input"].map(|function| {
        let kind = if matches!(function, "coil" | "discrete") { "bit" } else { "u16" };
        format!("[[area]]\nname = \"{function}\"\nfunction = \"{function}\"\nregisters = [{{ name = \"r\", at = 7, type = \"{kind}\", metric = \"x_{function}\" }}]\n")
    });
    let layout = Layout::fixed(&with(&text.concat()));
    let blocks = layout.blocks(None, &Cost::FEWEST);
    assert_eq!(blocks.iter().map(|block| block.function.code()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let mut image = Image::new();
    for (block, word) in blocks.iter().zip([1, 0, 500, 600]) {
        image.put(block, &[word]);
    }
    let decoded = decode(&layout, &image);
    for (metric, expected) in [("x_coil", 1), ("x_discrete", 0), ("x_holding", 500), ("x_input", 600)] {
        assert_eq!(value(&decoded, metric), Some((Some(expected * 1_000_000), Quality::Ok)), "{metric}");
    }
    let either = with(
        "[[area]]\nname = \"a\"\nfunction = [\"input\", \"holding\"]\nregisters = [{ name = \"r\", at = 7, type = \"u16\", metric = \"x_r\" }]",
    );
    assert_eq!(
        Layout::fixed(&either).blocks(None, &Cost::FEWEST)[0].function,
        Function::Input,
        "the first is asked first"
    );
    assert_eq!(either.areas[0].other_function, Some(Function::Holding));
    let mixed = "[[area]]\nname = \"a\"\nfunction = \"coil\"\nregisters = [{ name = \"r\", at = 0, type = \"u16\", metric = \"x_r\" }]";
    assert!(parse("p.toml", &format!("{HEAD}{mixed}")).is_err());
}

#[test]
fn req_03_a_block_may_have_a_unit_id_of_its_own() {
    let units: Vec<_> =
        Layout::fixed(&profile("victron-gx")).blocks(None, &Cost::FEWEST).iter().map(|block| block.unit).collect();
    assert!(units.contains(&None) && units.contains(&Some(100)), "{units:?}");
}

#[test]
fn req_04_where_addresses_do_not_advance_by_one_no_two_values_share_a_request() {
    let text = "[[area]]\nname = \"a\"\nfunction = \"holding\"\nstride = 2\ngap_max = 125\nregisters = [
        { name = \"wide\", at = 0x1290, type = \"u32\", metric = \"x_a\" }, { name = \"next\", at = 0x1294, type = \"u32\", metric = \"x_b\" },
        { name = \"high\", at = 0x12A6, type = \"u8_high\", metric = \"x_c\" }, { name = \"low\", at = 0x12A6, type = \"u8_low\", metric = \"x_d\" }]";
    let blocks = Layout::fixed(&with(text)).blocks(None, &Cost::FEWEST);
    assert_eq!(spans(&blocks), [(0x1290, 2), (0x1294, 2), (0x12A6, 1)]);
    assert_eq!(
        Layout::fixed(&profile("jk-bms"))
            .blocks(Cadence::Every(Duration::from_secs(60)), &Cost::FEWEST)
            .iter()
            .filter(|block| block.start < 0x1240)
            .count(),
        32
    );
}

#[test]
fn req_05_models_are_found_at_run_time_and_addresses_count_from_them() {
    let layout = Layout::discovered(&profile("sunspec-meter"), &[Model { id: 203, start: 69, length: 105 }]);
    assert_eq!(spans(&layout.blocks(Cadence::Fast, &Cost::FEWEST)), [(69 + 3, 52)]);
    assert!(Layout::discovered(&profile("sunspec-meter"), &[Model { id: 103, start: 69, length: 50 }]).is_empty());
}

#[test]
fn req_06_registers_repeat_as_often_as_the_device_says() {
    let profile = area(
        "{ name = \"strings\", at = 0, type = \"u16\" },
         { name = \"string\", at = 1, type = \"i16\", scale = 0.1, metric = \"x_string_#_v\", repeat = { count = 3, step = 2, count_from = \"strings\" } }",
    );
    let said = decoded(&profile, &[2, 10, 0, 20, 0, 30]);
    let names: Vec<_> = said.values.iter().map(|value| (value.metric.name(), value.value)).collect();
    assert_eq!(names, [("x_string_1_v", Some(1_000_000)), ("x_string_2_v", Some(2_000_000))]);
    assert_eq!(decoded(&profile, &[3, 10, 0, 20, 0, 30]).values.len(), 3);
}

#[test]
fn req_07_a_request_keeps_the_devices_rules() {
    let rules = |rules: &str| {
        let registers = "{ name = \"a\", at = 0, type = \"u32\", metric = \"x_a\" }, { name = \"b\", at = 2, type = \"u32\", metric = \"x_b\" }, { name = \"c\", at = 6, type = \"u16\", metric = \"x_c\" }";
        let text = format!("[[area]]\nname = \"a\"\nfunction = \"holding\"\n{rules}\nregisters = [{registers}]");
        spans(&Layout::fixed(&with(&text)).blocks(None, &Cost::FEWEST))
    };
    assert_eq!(rules("gap_max = 2"), [(0, 7)]);
    assert_eq!(rules(""), [(0, 4), (6, 1)], "no gap is read over");
    assert_eq!(rules("registers_max = 3\ngap_max = 2"), [(0, 2), (2, 2), (6, 1)], "no value is split");
    assert_eq!(rules("alone = true\ngap_max = 2"), [(0, 2), (2, 2), (6, 1)], "each by itself");
    assert_eq!(rules("gap_max = 2\nforbidden = [{ from = 4, to = 4 }]"), [(0, 4), (6, 1)]);
}

#[test]
fn req_22_a_counter_says_where_it_begins_again_and_one_of_the_day_needs_no_word() {
    for (name, register, modulus) in [
        ("siemens-sinamics-v20", "energy", 32_768),
        ("morningstar-tristar-mppt", "energy", 65_536),
        ("sunspec-meter", "exported", 1 << 32),
    ] {
        let profile = profile(name);
        let register =
            profile.areas.iter().flat_map(|area| &area.registers).find(|other| other.name == register).unwrap();
        assert_eq!(register.modulus, Some(modulus), "{name}");
    }
    let beyond = "[[area]]\nname = \"a\"\nfunction = \"holding\"\nregisters = [{ name = \"r\", at = 0, type = \"u16\", metric = \"x_r\", modulus = 65537 }]";
    assert!(parse("p.toml", &format!("{HEAD}{beyond}")).is_err());
    let day = area("{ name = \"energy_today\", at = 0, type = \"u16\", scale = 0.1, metric = \"energy_kwh\" }");
    let at = |(minute, word): (i64, &u16)| {
        let value = decoded(&day, &[*word]).values[0].value.unwrap();
        Point { time: UtcMs(minute * 60_000), value }
    };
    let points: Vec<_> = (0..).zip(&[0, 4, 7, 0, 2, 12, 1]).map(at).collect();
    let whole = roll_up(&points, 120_000, Counter::of(Metric::ENERGY, None), &[UtcMs(0), UtcMs(600_000)]);
    assert_eq!(whole[0].increment, 700 + 1_200 + 100, "Wh of three days");
}

#[test]
fn req_23_a_profile_has_defaults_of_the_serial_line() {
    for (name, expected) in [
        ("xy-md02", (Some(9_600), Some(Parity::None), Some(1))),
        ("siemens-sinamics-v20", (Some(38_400), Some(Parity::Even), Some(1))),
        ("peacefair-pzem-017", (Some(9_600), Some(Parity::None), Some(2))),
        ("janitza-b23", (None, None, None)),
    ] {
        let link = profile(name).link;
        assert_eq!((link.baud, link.parity, link.stop_bits), expected, "{name}");
    }
}

#[test]
fn req_24_a_profile_says_how_much_silence_and_time_its_device_needs() {
    let milliseconds = |duration: Option<Duration>| duration.map(|duration| duration.as_millis());
    for (name, quiet, timeout) in [
        ("eletechsup-r4dcb08", Some(50), None),
        ("keller-series30", Some(2), Some(300)),
        ("deepsea-gencomm", None, Some(1_000)),
        ("comap-intelilite4", None, Some(500)),
    ] {
        let link = profile(name).link;
        assert_eq!((milliseconds(link.quiet), milliseconds(link.timeout)), (quiet, timeout), "{name}");
        assert_eq!(link.retries, None, "{name}: no source asks for more than one attempt");
    }
    let area = "[[area]]\nname = \"a\"\nfunction = \"holding\"\nregisters = [{ name = \"r\", at = 0, type = \"u16\", metric = \"x_r\" }]";
    for retries in [0, 3] {
        assert_eq!(with(&format!("[link]\nretries = {retries}\n{area}")).link.retries, Some(retries));
    }
}

#[test]
fn req_25_a_device_may_close_the_connection_after_each_answer() {
    assert!(profile("morningstar-tristar-mppt").link.one_request);
    assert!(!profile("victron-gx").link.one_request);
}

#[test]
fn req_26_registers_are_read_often_seldom_once_or_when_asked() {
    let profile = with(
        "[[area]]\nname = \"a\"\nfunction = \"holding\"\npoll = \"slow\"\nregisters = [
        { name = \"slow\", at = 0, type = \"u16\", metric = \"x_a\" }, { name = \"fast\", at = 1, type = \"u16\", metric = \"x_b\", poll = \"fast\" },
        { name = \"once\", at = 2, type = \"u16\", metric = \"x_c\", poll = \"once\" },
        { name = \"demand\", at = 3, type = \"u16\", metric = \"x_d\", poll = \"demand\" }]",
    );
    let layout = Layout::fixed(&profile);
    for (cadence, at) in [(Cadence::Slow, 0), (Cadence::Fast, 1), (Cadence::Once, 2)] {
        assert_eq!(spans(&layout.blocks(cadence, &Cost::FEWEST)), [(at, 1)], "{cadence:?}");
    }
    assert_eq!(spans(&layout.blocks(None, &Cost::FEWEST)), [(0, 4)], "when asked, all are read");
    let paced = area(
        "{ name = \"a\", at = 0, type = \"u16\", metric = \"x_a\", every = \"1m\" }, { name = \"b\", at = 1, type = \"u16\", metric = \"x_b\" }",
    );
    let paces: Vec<_> = paced.areas[0].registers.iter().map(|register| register.every).collect();
    assert_eq!(paces, [Some(Duration::from_secs(60)), None]);
    assert_eq!(spans(&Layout::fixed(&paced).blocks(Cadence::Fast, &Cost::FEWEST)), [(1, 1)], "not at every poll");
    let minute = Cadence::Every(Duration::from_secs(60));
    assert_eq!(spans(&Layout::fixed(&paced).blocks(minute, &Cost::FEWEST)), [(0, 1)]);
}

#[test]
fn req_27_a_profile_writes_nothing() {
    let reads = |function: &Function| matches!(function.code(), 1..=4);
    for name in builtin_names() {
        assert!(
            Layout::fixed(&profile(name)).blocks(None, &Cost::FEWEST).iter().all(|block| reads(&block.function)),
            "{name}"
        );
    }
    for function in ["write", "registers", "5", "16"] {
        let text = format!(
            "{HEAD}[[area]]\nname = \"a\"\nfunction = \"{function}\"\nregisters = [{{ name = \"r\", at = 0, type = \"u16\", metric = \"x_r\" }}]"
        );
        assert!(parse("p.toml", &text).is_err(), "{function}");
    }
}

#[test]
fn req_30_a_device_must_hold_what_its_profile_expects() {
    let profile = area(
        "{ name = \"maker\", at = 0, type = \"u16\", expect = { is = [1] } },
         { name = \"type\", at = 1, type = \"text\", length = 2, expect = { begins = \"AGC\" } },
         { name = \"r\", at = 3, type = \"u16\", metric = \"x_r\" }",
    );
    for (words, expected) in [
        ([1, 0x4147, 0x4331, 7], None),
        ([2, 0x4147, 0x4331, 7], Some("maker")),
        ([1, 0x4147, 0x4231, 7], Some("type")),
    ] {
        assert_eq!(decoded(&profile, &words).unexpected.as_deref(), expected, "{words:x?}");
    }
    let unread = Image::new();
    assert_eq!(decode(&Layout::fixed(&profile), &unread).unexpected, None, "what was not read proves nothing");
}
