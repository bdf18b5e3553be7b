//! What the words mean: types, orders, scales, signs, bits, and what is no value.

use riverwatts_shared::profile::Reason::{NotImplemented, OverRange, SensorFault, UnderRange};
use riverwatts_shared::words::{Quality, Severity};

use super::{Image, Layout, active, area, check, decode, decoded, profile, value, with};
use crate::plan::Cost;

#[test]
fn req_08_every_type_is_read() {
    for (kind, words, expected) in [
        ("u8_high", &[0xFE01][..], 254),
        ("u8_low", &[0xFE01], 1),
        ("u16", &[0xFFFF], 65_535),
        ("i16", &[0xFFFE], -2),
        ("u32", &[1, 2], 65_538),
        ("i32", &[0xFFFF, 0xFFFE], -2),
        ("u64", &[0, 0, 1, 2], 65_538),
        ("i64", &[0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE], -2),
        ("f16\", resolution = 1, document = \"half", &[0xC500], -5),
        ("f16\", resolution = 1, document = \"largest", &[0x7BFF], 65_504),
        ("f32\", resolution = 1, document = \"float", &[0xC248, 0], -50),
        ("bcd16", &[0x1234], 1_234),
    ] {
        check(&format!("type = \"{kind}\""), words, expected);
    }
    for (kind, words) in [("f16", [0x7C00]), ("f16", [0x7E00]), ("bcd16", [0x12A4])] {
        let profile = area(&format!("{{ name = \"r\", at = 0, metric = \"x_r\", resolution = 1, type = \"{kind}\" }}"));
        assert_eq!(value(&decoded(&profile, &words), "x_r"), Some((None, Quality::Sentinel)), "{kind} {words:x?}");
    }
    let texts = area(
        "{ name = \"a\", at = 0, type = \"text\", length = 2, byte_order = \"low_first\", identity = \"model\" },
         { name = \"u\", at = 2, type = \"utf16\", length = 3, identity = \"serial_number\" }",
    );
    let said: Vec<_> = decoded(&texts, &[0x4241, 0x2043, 0x00C4, 0x0020, 0x0020]).identity.into_values().collect();
    assert_eq!(said, ["ABC", "Ä"]);
}

#[test]
fn req_09_the_orders_of_words_and_of_bytes_are_two_properties() {
    for (order, words) in [
        ("", [0x0102, 0x0304]),
        ("word_order = \"low_first\"", [0x0304, 0x0102]),
        ("byte_order = \"low_first\"", [0x0201, 0x0403]),
        ("word_order = \"low_first\", byte_order = \"low_first\"", [0x0403, 0x0201]),
    ] {
        let comma = if order.is_empty() { "" } else { ", " };
        check(&format!("type = \"u32\"{comma}{order}"), &words, 0x0102_0304);
    }
}

#[test]
fn req_10_factors_may_be_fractions_and_negative_and_an_offset_follows() {
    check("type = \"u16\", scale = 0.25", &[8], 2);
    check("type = \"u16\", scale = -10", &[3], -30);
    check("type = \"u8_low\", offset = -50", &[72], 22);
    check("type = \"u16\", scale = 0.1, offset = -40", &[0], -40);
}

#[test]
fn req_11_a_scale_may_stand_in_other_registers() {
    let power_of_ten = area(
        "{ name = \"r\", at = 0, type = \"i16\", scale_from = \"sf\", metric = \"x_r\" }, { name = \"sf\", at = 1, type = \"i16\" }",
    );
    assert_eq!(value(&decoded(&power_of_ten, &[0xFFFB, 3]), "x_r"), Some((Some(-5_000_000_000), Quality::Ok)));
    let product = area(
        "{ name = \"v\", at = 0, type = \"u32\", scale = 0.0000152587890625 }, { name = \"i\", at = 2, type = \"u32\", scale = 0.0000152587890625 },
         { name = \"p\", at = 4, type = \"u16\", scale = 0.5, times = [\"v\", \"i\"], resolution = 0.001, metric = \"x_p\" }",
    );
    assert_eq!(
        value(&decoded(&product, &[180, 0x8000, 80, 0x4000, 3]), "x_p"),
        Some((Some(21_727_688_000), Quality::Ok))
    );
    assert_eq!(value(&decoded(&product, &[180, 0x8000, 80]), "x_p"), None, "a factor that was not read");
}

#[test]
fn req_12_a_register_may_choose_how_another_is_read() {
    let profile = area(
        "{ name = \"metric\", at = 1, type = \"i16\", scale = 0.1, metric = \"temperature_c\", valid_when = { register = \"unit\", is = [0] } },
         { name = \"us\", at = 1, type = \"i16\", scale = 0.055555555555555556, offset = -17.777778, resolution = 0.1, metric = \"temperature_c\", fallback = true, valid_when = { register = \"unit\", is = [1] } },
         { name = \"unit\", at = 0, type = \"u16\" }",
    );
    for (words, expected) in [([0, 820], Some(82_000_000)), ([1, 1_796], Some(82_000_000)), ([2, 820], None)] {
        assert_eq!(value(&decoded(&profile, &words), "temperature_c").unwrap().0, expected, "{words:?}");
    }
}

#[test]
fn req_13_a_sign_may_stand_in_another_register() {
    for (sign, negative, positive) in
        [("negative = [1]", 1, 0), ("below_zero = true", 0xFFFF, 1), ("above_zero = true", 1, 0xFFFF)]
    {
        let profile = area(&format!(
            "{{ name = \"r\", at = 0, type = \"u16\", metric = \"x_r\", sign_from = {{ register = \"s\", {sign} }} }}, {{ name = \"s\", at = 1, type = \"i16\" }}"
        ));
        assert_eq!(value(&decoded(&profile, &[7, negative]), "x_r"), Some((Some(-7_000_000), Quality::Ok)), "{sign}");
        assert_eq!(value(&decoded(&profile, &[7, positive]), "x_r"), Some((Some(7_000_000), Quality::Ok)), "{sign}");
    }
}

#[test]
fn req_14_a_value_may_be_composed_of_parts() {
    let text = "[[area]]\nname = \"a\"\nfunction = \"holding\"\nregisters = [
        { name = \"whole\", at = 0, type = \"i32\", word_order = \"low_first\" }, { name = \"fraction\", at = 2, type = \"f32\" },
        { name = \"high\", at = 4, type = \"u16\", scale = 65536 }, { name = \"low\", at = 5, type = \"u16\" }]
        computed = [{ metric = \"x_total\", operation = \"sum\", from = [\"whole\", \"fraction\"], resolution = 0.01 },
        { metric = \"x_count\", operation = \"sum\", from = [\"high\", \"low\"], resolution = 1 }]";
    let decoded = decoded(&with(text), &[2, 1, 0x3F40, 0, 1, 2]);
    assert_eq!(value(&decoded, "x_total"), Some((Some(65_538_750_000), Quality::Ok)));
    assert_eq!(value(&decoded, "x_count"), Some((Some(65_538_000_000), Quality::Ok)));
}

#[test]
fn req_15_a_float_may_stand_for_one_of_a_few_things() {
    let profile = area(
        "{ name = \"mode\", at = 0, type = \"f32\", alarms = [{ is = 3, name = \"test_mode\", severity = \"low\" }] },
         { name = \"r\", at = 2, type = \"u16\", metric = \"x_r\", valid_when = { register = \"mode\", is = [2] } }",
    );
    assert_eq!(value(&decoded(&profile, &[0x4000, 0, 9]), "x_r"), Some((Some(9_000_000), Quality::Ok)));
    assert_eq!(active(&decoded(&profile, &[0x4040, 0, 9])), ["test_mode"]);
    assert!(active(&decoded(&profile, &[0x4048, 0, 9])).is_empty(), "3.125 is none of them");
}

#[test]
fn req_16_bits_may_be_cut_out_and_named() {
    check("type = \"u16\", mask = 0x0F00", &[0x1A3C], 10);
    check("type = \"u32\", mask = 0x00FF0000", &[0x12AB, 0x3456], 0xAB);
    let profile = area(
        "{ name = \"first\", at = 0, type = \"u16\", mask = 0xF000, alarms = [{ is = [2, 3], name = \"emergency_stop\", severity = \"critical\" }] },
         { name = \"second\", at = 0, type = \"u16\", mask = 0x0F00, alarms = [{ is = 2, name = \"low_oil\", severity = \"medium\" }] },
         { name = \"bits\", at = 1, type = \"bits16\", repeat = { count = 2, step = 1, from = 0 }, alarms = [{ bit = 0, name = \"word_#_lowest\", severity = \"low\" }, { bit = 15, name = \"word_#_highest\", severity = \"high\" }] }",
    );
    let said = decoded(&profile, &[0x3F00, 0x0001, 0x8000]);
    assert_eq!(active(&said), ["emergency_stop", "word_0_lowest", "word_1_highest"]);
    assert_eq!(said.alarms[0].severity, Severity::Critical);
}

#[test]
fn req_17_a_sign_bit_and_floats_of_mixed_order_are_possible() {
    check("type = \"sm16\"", &[0x8003], -3);
    check("type = \"sm16\"", &[0x0003], 3);
    check("type = \"f32\", resolution = 1, byte_order = \"low_first\"", &[0x48C2, 0x0000], -50);
    check(
        "type = \"f32\", resolution = 1, word_order = \"low_first\", byte_order = \"low_first\"",
        &[0x0000, 0x48C2],
        -50,
    );
}

#[test]
fn req_18_a_type_has_a_set_of_values_that_are_none_each_with_its_reason() {
    let profile = profile("deepsea-gencomm");
    let sets = |name: &str| {
        let register =
            profile.areas.iter().flat_map(|area| &area.registers).find(|register| register.name == name).unwrap();
        register.sentinels.iter().map(|sentinel| (sentinel.pattern, sentinel.reason)).collect::<Vec<_>>()
    };
    for (name, least, first) in [
        ("fuel", 0xFFF8, 0xFFFF),
        ("coolant", 0x7FF8, 0x7FFF),
        ("voltage_l1", 0xFFFF_FFF8, 0xFFFF_FFFF),
        ("power_l1", 0x7FFF_FFF8, 0x7FFF_FFFF),
    ] {
        let set = sets(name);
        assert_eq!(
            set[..4],
            [(first, NotImplemented), (first - 1, OverRange), (first - 2, UnderRange), (first - 3, SensorFault)],
            "{name}"
        );
        assert_eq!((set.len(), set[7].0), (8, least), "{name}");
    }
}

#[test]
fn req_19_a_value_counts_while_another_register_says_so() {
    for (condition, passing, failing) in [
        ("is = [2, 3]", 3, 1),
        ("not = [0]", 1, 0),
        ("at_least = 19", 19, 18),
        ("at_most = 19", 19, 20),
        ("at_least = 2, at_most = 4", 4, 5),
    ] {
        let profile = area(&format!(
            "{{ name = \"r\", at = 0, type = \"u16\", metric = \"x_r\", valid_when = {{ register = \"c\", {condition} }} }}, {{ name = \"c\", at = 1, type = \"u16\" }}"
        ));
        assert_eq!(
            value(&decoded(&profile, &[7, passing]), "x_r"),
            Some((Some(7_000_000), Quality::Ok)),
            "{condition}"
        );
        assert_eq!(value(&decoded(&profile, &[7, failing]), "x_r"), Some((None, Quality::Sentinel)), "{condition}");
    }
}

#[test]
fn req_20_the_health_of_a_value_may_stand_beside_it() {
    let layout = Layout::fixed(&profile("moxa-iologik-e1240"));
    let blocks = layout.blocks(None, &Cost::FEWEST);
    for (status, expected) in [(0, Some(4_000_000)), (1, None), (2, None), (3, None)] {
        let mut image = Image::new();
        image.put(&blocks[0], &[0; 8]);
        image.put(&blocks[1], &[status; 8]);
        assert_eq!(value(&decode(&layout, &image), "x_ai_0_ma").unwrap().0, expected, "{status}");
    }
}

#[test]
fn req_21_values_outside_the_plausible_range_are_kept_and_marked() {
    let profile =
        area("{ name = \"r\", at = 0, type = \"i16\", scale = 0.1, metric = \"x_r\", plausible = [-55, 125] }");
    for (raw, quality) in [(1_250, Quality::Ok), (1_251, Quality::Range), (-550, Quality::Ok), (-551, Quality::Range)] {
        let expected = Some((Some(i64::from(raw) * 100_000), quality));
        assert_eq!(value(&decoded(&profile, &[raw as u16]), "x_r"), expected, "{raw}");
    }
}
