//! Decoding is total and exact; the devices' own cases stand in the samples.

use std::sync::LazyLock;

use proptest::prelude::*;
use riverwatts_shared::metric::{Metric, VALUE_MAX};
use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Identity, Profile, builtin_names, parse};
use riverwatts_shared::reading::Value;
use riverwatts_shared::words::Quality;

use super::samples::profile;
use super::{Image, decode};
use crate::plan::{Cadence, Cost, Layout};

/// Layouts that the built-in profiles can take, whole, cut short and at the end of the addresses.
static LAYOUTS: LazyLock<Vec<Layout>> = LazyLock::new(|| {
    let mut layouts = Vec::new();
    for name in builtin_names() {
        let profile = profile(name);
        layouts.push(Layout::fixed(&profile));
        for id in [101, 112, 203, 701, 802] {
            for (start, length) in [(40_070, 153), (0, 10), (65_500, 153)] {
                layouts.push(Layout::discovered(&profile, &[Model { id, start, length }]));
            }
        }
    }
    layouts
});

proptest! {
    #[test]
    fn no_words_make_decoding_fail(words in prop::collection::vec(any::<u16>(), 125), short in 0usize..=125) {
        for layout in LAYOUTS.iter() {
            let mut image = Image::new();
            for (index, block) in layout.blocks(None, &Cost::FEWEST).iter().enumerate() {
                let words = if index == 1 { &words[..short] } else { &words[..] };
                image.put(block, words);
            }
            let decoded = decode(layout, &image);
            for value in &decoded.values {
                prop_assert!(value.value.is_none_or(|value| value.abs() <= VALUE_MAX));
                prop_assert!(value.value.is_some() || value.quality != Quality::Ok);
            }
            prop_assert!(decoded.values.is_sorted_by(|a, b| a.metric < b.metric));
        }
    }
}

/// A profile with these registers in one area.
fn with(registers: &str) -> Profile {
    let head = "format = 1\nmanufacturer = \"M\"\nmodel = \"M\"\ndevice = \"sensor\"\nconfidence = \"low\"\nsources = [\"s\"]\n[[area]]\nname = \"a\"\nfunction = \"holding\"\n";
    parse("p.toml", &format!("{head}registers = [{registers}]")).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The one value that words at address 0 decode to.
fn value(register: &str, words: &[u16]) -> Option<Value> {
    let layout = Layout::fixed(&with(register));
    let mut image = Image::new();
    image.put(&layout.blocks(None, &Cost::FEWEST)[0], words);
    decode(&layout, &image).values.first().copied()
}

#[test]
fn every_type_and_order_is_read_as_written() {
    let cases: &[(&str, &[u16], i64)] = &[
        ("type = \"u8_high\"", &[0xFE01], 254),
        ("type = \"u8_low\"", &[0xFE01], 1),
        ("type = \"i8_high\"", &[0xFE01], -2),
        ("type = \"i8_low\"", &[0x01FE], -2),
        ("type = \"u8_low\", byte_order = \"low_first\"", &[0xFE01], 254),
        ("type = \"u16\"", &[0xFFFF], 65_535),
        ("type = \"i16\"", &[0x8000], -32_768),
        ("type = \"u16\", byte_order = \"low_first\"", &[0x0100], 1),
        ("type = \"u32\"", &[0x0001, 0x0002], 65_538),
        ("type = \"u32\", word_order = \"low_first\"", &[0x0002, 0x0001], 65_538),
        ("type = \"u32\", word_order = \"low_first\", byte_order = \"low_first\"", &[0x0200, 0x0100], 65_538),
        ("type = \"i32\"", &[0xFFFF, 0xFFFF], -1),
        ("type = \"u64\"", &[0, 0, 0x0001, 0x0002], 65_538),
        ("type = \"i64\", word_order = \"low_first\"", &[0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF], -2),
        ("type = \"f32\", resolution = 1", &[0xC248, 0x0000], -50),
        ("type = \"f32\", resolution = 1, word_order = \"low_first\"", &[0x0000, 0xC248], -50),
        ("type = \"f64\", resolution = 1", &[0xC049, 0, 0, 0], -50),
    ];
    for (kind, words, expected) in cases {
        let value = value(&format!("{{ name = \"r\", at = 0, {kind}, metric = \"x_r\" }}"), words);
        assert_eq!(value.and_then(|value| value.value), Some(expected * 1_000_000), "{kind}");
    }
}

#[test]
fn arithmetic_is_exact_and_rounds_once_away_from_nought() {
    let cases: &[(&str, &[u16], Option<i64>, Quality)] = &[
        ("type = \"u16\", scale = 0.1, metric = \"voltage_v\"", &[3], Some(300_000), Quality::Ok),
        ("type = \"i16\", scale = -0.1, metric = \"voltage_v\"", &[3], Some(-300_000), Quality::Ok),
        ("type = \"u16\", offset = -50, metric = \"temperature_c\"", &[3], Some(-47_000_000), Quality::Ok),
        ("type = \"u16\", scale = 0.25, resolution = 0.1, metric = \"voltage_v\"", &[1], Some(300_000), Quality::Ok),
        (
            "type = \"i16\", scale = 0.25, resolution = 0.1, metric = \"voltage_v\"",
            &[0xFFFF],
            Some(-300_000),
            Quality::Ok,
        ),
        // Rounded first to millionths and then to tenths, 0.0499999996 would become 0.1.
        (
            "type = \"u32\", scale = 0.0000000001, resolution = 0.1, metric = \"voltage_v\"",
            &[0x1DCD, 0x64FC],
            Some(0),
            Quality::Ok,
        ),
        ("type = \"u64\", metric = \"voltage_v\"", &[0x7FFF, 0, 0, 0], None, Quality::Range),
        ("type = \"u16\", scale = 1e18, metric = \"voltage_v\"", &[1], None, Quality::Range),
        (
            "type = \"u64\", scale = 0.000000001, resolution = 0.001, metric = \"voltage_v\"",
            &[0, 0x00FF, 0xFFFF, 0xFFFF],
            Some(1_099_512_000),
            Quality::Ok,
        ),
        ("type = \"f32\", resolution = 0.1, metric = \"voltage_v\"", &[0x7F80, 0], None, Quality::Sentinel),
        ("type = \"f32\", resolution = 0.1, metric = \"voltage_v\"", &[0x7F7F, 0xFFFF], None, Quality::Range),
        (
            "type = \"f64\", resolution = 0.1, metric = \"voltage_v\"",
            &[0x7FEF, 0xFFFF, 0xFFFF, 0xFFFF],
            None,
            Quality::Range,
        ),
        (
            "type = \"i16\", plausible = [-40, 125], metric = \"temperature_c\"",
            &[126],
            Some(126_000_000),
            Quality::Range,
        ),
    ];
    for (register, words, expected, quality) in cases {
        let value = value(&format!("{{ name = \"r\", at = 0, {register} }}"), words).unwrap();
        assert_eq!((value.value, value.quality), (*expected, *quality), "{register}");
    }
}

#[test]
fn sentinels_say_no_value_unless_the_register_is_optional() {
    let register = |more: &str| {
        format!(
            "{{ name = \"r\", at = 0, type = \"i16\", metric = \"voltage_v\", sentinels = [{{ raw = 0x8000, reason = \"not_implemented\" }}, {{ raw = -1, reason = \"sensor_fault\" }}]{more} }}"
        )
    };
    let none = Some(Value { metric: Metric::named("voltage_v").unwrap(), value: None, quality: Quality::Sentinel });
    assert_eq!(value(&register(""), &[0x8000]), none);
    assert_eq!(value(&register(", optional = true"), &[0x8000]), None);
    assert_eq!(value(&register(", optional = true"), &[0xFFFF]), none, "a broken sensor is never silent");
}

#[test]
fn a_fallback_stands_in_for_a_sentinel_only() {
    let profile = with(
        "{ name = \"a\", at = 0, type = \"u16\", metric = \"voltage_v\", sentinels = [{ raw = 0, reason = \"unavailable\" }] },
         { name = \"b\", at = 1, type = \"u16\", metric = \"voltage_v\", fallback = true }",
    );
    let layout = Layout::fixed(&profile);
    for (words, expected) in [([7, 9], 7_000_000), ([0, 9], 9_000_000)] {
        let mut image = Image::new();
        image.put(&layout.blocks(None, &Cost::FEWEST)[0], &words);
        let values = decode(&layout, &image).values;
        assert_eq!(values.iter().map(|value| value.value).collect::<Vec<_>>(), [Some(expected)], "{words:?}");
    }
}

#[test]
fn text_ends_at_its_first_nul_and_holds_nothing_that_cannot_be_shown() {
    let profile = with(
        "{ name = \"s\", at = 0, type = \"text\", length = 4, identity = \"model\" },
         { name = \"t\", at = 4, type = \"text\", length = 2, identity = \"manufacturer\", byte_order = \"low_first\" },
         { name = \"n\", at = 6, type = \"u16\", identity = \"firmware_version\" },
         { name = \"e\", at = 7, type = \"text\", length = 1, identity = \"serial_number\" }",
    );
    let layout = Layout::fixed(&profile);
    let mut image = Image::new();
    image.put(&layout.blocks(None, &Cost::FEWEST)[0], &[0x2041, 0x0A42, 0x0043, 0x4444, 0x4241, 0x2020, 451, 0]);
    let identity: Vec<_> = decode(&layout, &image).identity.into_iter().collect();
    let expected = [
        (Identity::Manufacturer, "AB".to_owned()),
        (Identity::Model, "AB".to_owned()),
        (Identity::FirmwareVersion, "451".to_owned()),
    ];
    // 0x0A is no character to show; what follows the NUL is left over from before.
    assert_eq!(identity, expected);
}

#[test]
fn a_register_whose_words_or_whose_helpers_are_missing_gives_nothing() {
    let layout = Layout::fixed(&profile("ott-svr100"));
    let mut image = Image::new();
    let block = layout.blocks(None, &Cost::FEWEST)[0];
    image.put(&block, &[0, 2_135, 2_087]); // the direction did not come
    assert_eq!(decode(&layout, &image), super::Decoded::default());
    image.put(&block, &[0, 2_135, 2_087, 0, 0, 0, 1]);
    let speed = decode(&layout, &image).values.into_iter().find(|value| value.metric.name() == "water_speed_mps");
    assert_eq!(speed.and_then(|value| value.value), Some(-2_087_000));
    image.clear();
    assert_eq!(decode(&layout, &image), super::Decoded::default());
}

/// A profile that stands in the guide.
fn of_the_guide(name: &str) -> Profile {
    let guide = include_str!("../../../docs/device-profiles.md");
    let from = guide.find(&format!("# {name}: ")).unwrap();
    parse(name, guide[from..].split("```").next().unwrap()).unwrap()
}

#[test]
fn the_example_of_the_guide_decodes_as_the_guide_says() {
    let layout = Layout::fixed(&of_the_guide("example-flow-f1.toml"));
    let blocks = layout.blocks(Cadence::Fast, &Cost::FEWEST);
    assert_eq!(blocks.iter().map(|block| (block.start, block.count)).collect::<Vec<_>>(), [(100, 2), (109, 1)]);
    for (speed, unit, expected) in [
        (0xF830, Some(0), Some((Some(-2_000_000), Quality::Ok))),
        (0x8000, Some(0), Some((None, Quality::Sentinel))),
        (12_000, Some(0), Some((Some(12_000_000), Quality::Range))),
        (2_000, Some(1), Some((None, Quality::Sentinel))),
        (2_000, None, None),
    ] {
        let mut image = Image::new();
        image.put(&blocks[0], &[speed, 1]);
        unit.iter().for_each(|unit| image.put(&blocks[1], &[*unit]));
        let decoded = decode(&layout, &image);
        assert_eq!(decoded.values.first().map(|value| (value.value, value.quality)), expected, "{speed}");
        assert!(decoded.alarms[0].active);
    }
}

#[test]
fn the_second_example_of_the_guide_decodes_as_the_guide_says() {
    let layout = Layout::fixed(&of_the_guide("example-charge-c9.toml"));
    let blocks = layout.blocks(None, &Cost::FEWEST);
    assert_eq!(blocks.iter().map(|block| (block.start, block.count)).collect::<Vec<_>>(), [(0, 10)]);
    let mut image = Image::new();
    image.put(&blocks[0], &[77, 600, 500, 0x8000, 2, 150, 0xFFFF, 9, 9, 0x3000]);
    let said = decode(&layout, &image);
    let values: Vec<_> = said.values.iter().map(|value| (value.metric.name(), value.value)).collect();
    let expected =
        [("power_output_kw", Some(1_500_000)), ("x_string_1_a", Some(1_500_000)), ("x_string_2_a", Some(-10_000))];
    assert_eq!(values, expected);
    assert_eq!(
        said.alarms.iter().map(|alarm| (alarm.name.as_str(), alarm.active)).collect::<Vec<_>>(),
        [("brake_warm", false), ("brake_hot", true)]
    );
    image.put(&blocks[0], &[78, 600, 500, 0x8000, 2, 150, 0xFFFF, 9, 9, 0x3000]);
    assert_eq!(decode(&layout, &image).unexpected.as_deref(), Some("maker"));
}
