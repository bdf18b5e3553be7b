//! Mistakes in a profile are all found, each with its line.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const RIGHT: &str = r#"format = 1
manufacturer = "M"
model = "X"
device = "sensor"
confidence = "low"
sources = ["a manual"]
[[area]]
name = "main"
function = "holding"
forbidden = [{ from = 50, to = 59 }]
registers = [
  { name = "unit",  at = 0, type = "u16" },
  { name = "power", at = 1, type = "i16", scale = 0.001, scale_from = "sf", metric = "power_output_kw" },
  { name = "sf",    at = 2, type = "i16" },
  { name = "speed", at = 3, type = "f32", resolution = 0.01, metric = "water_speed_mps", sign_from = { register = "unit", negative = [1] } },
]
computed = [
  { metric = "temperature_c", operation = "max", from = ["unit"], resolution = 0.1 },
]
"#;

/// The problems of the right profile with one text replaced, as `line: key: message`.
fn problems(from: &str, to: &str) -> Vec<String> {
    assert!(RIGHT.contains(from), "{from}");
    let problems = parse("m-x.toml", &RIGHT.replacen(from, to, 1)).err().unwrap_or_default();
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty() && problem.file == "m-x.toml"));
    problems
        .iter()
        .map(|problem| format!("{}: {}: {}", problem.line.unwrap_or(0), problem.key, problem.message))
        .collect()
}

#[test]
fn a_right_profile_is_read_with_its_references_resolved() {
    let profile = parse("folder/m-x.toml", RIGHT).unwrap();
    assert_eq!(profile.name, "m-x");
    let area = &profile.areas[0];
    assert_eq!(area.registers[1].scale_from, Some(2));
    assert_eq!(area.registers[1].scale, Decimal { mantissa: 1, exponent: -3 });
    assert_eq!(area.registers[3].line, 15);
    assert_eq!(area.forbidden, [50..=59]);
}

#[test]
fn a_mistake_names_its_line_and_register() {
    let power = "area.main.registers.power";
    let cases: &[(&str, &str, &str)] = &[
        ("format = 1", "format = 2", "1: format: is not a whole number from 1 to 1"),
        ("model = \"X\"\n", "", "1: model: is missing"),
        ("sources = [\"a manual\"]", "sources = [\"\"]", "1: sources: holds an empty text"),
        (
            "device = \"sensor\"",
            "device = \"boat\"",
            "4: device: is not one of \"turbine\", \"sensor\", \"controller\", \"battery\"",
        ),
        ("function =", "fonction =", "9: area.main.fonction: is an unknown key"),
        ("\"i16\", scale = 0.001,", "\"i17\", scale = 0.001,", &format!("13: {power}.type: is not one of")),
        ("scale = 0.001", "scale = \"0.001\"", &format!("13: {power}.scale: is not a plain decimal number")),
        ("scale = 0.001", "scale = 0", &format!("13: {power}: has the scale 0")),
        (
            "scale = 0.001",
            "scale = 0.0000001",
            &format!("13: {power}: scales by 1e-7, finer than power_output_kw is kept"),
        ),
        (
            "scale_from = \"sf\"",
            "scale_from = \"fs\"",
            &format!("13: {power}.scale_from: names `fs`, which is no register of this area"),
        ),
        (
            "scale_from = \"sf\"",
            "scale_from = \"unit\"",
            &format!("13: {power}: takes its scale from `unit`, which is no i16"),
        ),
        ("power_output_kw", "power_kw", &format!("13: {power}.metric: unknown metric `power_kw`")),
        ("at = 1,", "at = 70_000,", &format!("13: {power}.at: is not a whole number from 0 to 65535")),
        ("at = 1,", "at = 55,", &format!("13: {power}: lies in the forbidden addresses 50 to 59")),
        ("at = 3,", "at = 65535,", "15: area.main.registers.speed: ends at address 65536, beyond 65535"),
        ("resolution = 0.01, ", "", "15: area.main.registers.speed: is a float or a product without `resolution`"),
        (
            "resolution = 0.01",
            "resolution = 0.0000001",
            "15: area.main.registers.speed: has a resolution that water_speed_mps cannot keep",
        ),
        (
            "negative = [1]",
            "negative = []",
            "15: area.main.registers.speed.sign_from.negative: is not a list of whole numbers",
        ),
        ("name = \"sf\"", "name = \"unit\"", "14: area.main.registers.unit.name: is also register 0 of this area"),
        (
            "metric = \"temperature_c\"",
            "metric = \"power_output_kw\"",
            "18: area.main.computed.power_output_kw: feeds power_output_kw, as line 13 does",
        ),
        (
            "from = [\"unit\"]",
            "from = [\"speed\"]",
            "18: area.main.computed.temperature_c: is computed from `speed`, which is in m/s, not °C",
        ),
        ("registers = [", "models = [103]\nregisters = [", "13: area.main.models: needs `[discovery]`"),
        (
            "at = 0, type = \"u16\"",
            "at = 0, type = \"u16\", alarms = [{ bit = 16, name = \"a\", severity = \"low\" }]",
            "12: area.main.registers.unit: has no bit for alarm `a`",
        ),
        (
            "at = 0, type = \"u16\"",
            "at = 0, type = \"u16\", sentinels = [{ raw = 0x10000, reason = \"unavailable\" }]",
            "12: area.main.registers.unit.sentinels.0.raw: does not fit 16 bits",
        ),
        (
            "{ name = \"unit\",  at = 0, type = \"u16\" },",
            "{ name = \"unit\",  at = 0, type = \"u16\" },\n  { name = \"idle\", at = 9, type = \"u16\" },",
            "13: area.main.registers.idle: feeds nothing",
        ),
        (
            "at = 0, type = \"u16\"",
            "at = 0, type = \"u16\", clock = \"unix_s\", poll = \"demand\"",
            "12: area.main.registers.unit: cannot count the seconds since 1970",
        ),
        (
            "{ name = \"unit\",  at = 0, type = \"u16\" },",
            "{ name = \"unit\",  at = 0, type = \"u16\" },\n  { name = \"now\", at = 9, type = \"u32\", clock = \"local_s\" },",
            "13: area.main.registers.now: is a clock that is polled",
        ),
        (
            "at = 0, type = \"u16\"",
            "at = 0, type = \"u16\", mask = 0x10000",
            "12: area.main.registers.unit: has a mask that its type has no bits for",
        ),
        (
            "at = 0, type = \"u16\"",
            "at = 65535, type = \"u16\", repeat = { count = 2, step = 1 }",
            "12: area.main.registers.unit.repeat: leaves the addresses",
        ),
        (
            "at = 0, type = \"u16\"",
            "at = 0, type = \"u16\", repeat = { count = 0, step = 1 }",
            "12: area.main.registers.unit.repeat.count: is not a whole number from 1 to 128",
        ),
        (
            "scale_from = \"sf\"",
            "times = [\"fs\"]",
            &format!("13: {power}.times: names `fs`, which is no register of this area"),
        ),
        (
            "scale_from = \"sf\"",
            "times = [\"sf\"]",
            &format!("13: {power}: is a float or a product without `resolution`"),
        ),
        (
            "at = 0, type = \"u16\"",
            "at = 0, type = \"u16\", expect = { begins = \"A\" }",
            "12: area.main.registers.unit: expects what its type cannot hold",
        ),
        (
            "at = 0, type = \"u16\"",
            "at = 0, type = \"u16\", expect = {}",
            "12: area.main.registers.unit.expect.is: needs one of `begins`, `is`, `not` and limits",
        ),
        (
            "function = \"holding\"",
            "function = \"coil\"",
            "12: area.main.registers.unit: has a type that its function does not read",
        ),
        (
            "negative = [1]",
            "negative = [1], above = true",
            "15: area.main.registers.speed.sign_from.above: is an unknown key",
        ),
        ("at = 2,", "at = 2, poll = \"often\",", "14: area.main.registers.sf.poll: is not one of \"fast\", \"slow\""),
        ("at = 2,", "at = 2, every = \"50ms\",", "14: area.main.registers.sf.every: is not a duration from 100ms to"),
        ("at = 2,", "at = 2, every = 60,", "14: area.main.registers.sf.every: is not a duration"),
        (
            "at = 2,",
            "at = 2, every = \"1m\", poll = \"slow\",",
            "14: area.main.registers.sf.every: stands beside `poll`",
        ),
        (
            "at = 0, type = \"u16\"",
            "at = 0, type = \"u16\", poll = \"demand\", expect = { is = [1] }",
            "12: area.main.registers.unit: expects something but is never read by polling",
        ),
        ("[[area]]", "[link]\nretries = 4\n[[area]]", "8: link.retries: is not a whole number from 0 to 3"),
        ("[[area]]", "[link]\ntimeout = \"5ms\"\n[[area]]", "8: link.timeout: is not a duration from 10ms to 60s"),
        ("[[area]]", "[link]\nquiet = \"6s\"\n[[area]]", "8: link.quiet: is not a duration from 0ns to 5s"),
        ("= \"holding\"", "= [\"holding\", \"write\"]", "9: area.main.function: is not a list of \"holding\""),
        ("= \"holding\"", "= []", "9: area.main.function: is no choice between two functions"),
        ("= \"holding\"", "= [\"input\", \"input\"]", "9: area.main.function: is no choice between two functions"),
        ("= \"holding\"", "= [\"input\", \"coil\"]", "9: area.main.function: is no choice between two functions"),
        ("[[area]]", "[area", "7: : is no TOML"),
    ];
    for (from, to, expected) in cases {
        let found = problems(from, to);
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{from} -> {to}: {found:#?}");
    }
}

#[test]
fn a_register_keeps_the_pace_of_its_area_unless_it_has_its_own() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (area, register, expected) in [
        ("", "", (Poll::Fast, None)),
        ("poll = \"slow\"", "", (Poll::Slow, None)),
        ("poll = \"slow\"", "poll = \"demand\",", (Poll::Demand, None)),
        ("poll = \"once\"", "every = \"1m\",", (Poll::Slow, seconds(60))),
        ("every = \"15m\"", "", (Poll::Slow, seconds(900))),
        ("every = \"15m\"", "every = \"1h\",", (Poll::Slow, seconds(3_600))),
        ("every = \"15m\"", "poll = \"fast\",", (Poll::Fast, None)),
    ] {
        let text = RIGHT.replacen("registers = [", &format!("{area}\nregisters = ["), 1);
        let text = text.replacen("at = 2,", &format!("at = 2, {register}"), 1);
        let profile = parse("m-x.toml", &text).unwrap();
        let register = &profile.areas[0].registers[2];
        assert_eq!((register.poll, register.every), expected, "{area} {register:?}");
    }
}

#[test]
fn an_area_has_one_function_or_a_choice_of_two() {
    for (text, expected) in [
        ("\"input\"", (Function::Input, None)),
        ("[\"input\"]", (Function::Input, None)),
        ("[\"input\", \"holding\"]", (Function::Input, Some(Function::Holding))),
        ("[\"holding\", \"input\"]", (Function::Holding, Some(Function::Input))),
    ] {
        let profile = parse("m-x.toml", &RIGHT.replacen("\"holding\"", text, 1)).unwrap();
        assert_eq!((profile.areas[0].function, profile.areas[0].other_function), expected, "{text}");
    }
}

#[test]
fn all_mistakes_are_reported_in_order_of_line() {
    let text = RIGHT
        .replace("confidence = \"low\"", "confidence = \"sure\"")
        .replace("at = 0", "at = -1")
        .replace("scale = 0.001", "scale = 0, scael = 1")
        .replace("operation = \"max\"", "operation = \"median\"");
    let lines: Vec<_> = parse("m-x.toml", &text).unwrap_err().iter().filter_map(|problem| problem.line).collect();
    assert_eq!(lines, [5, 12, 13, 13, 18]);
}

#[test]
fn a_second_source_of_a_metric_is_a_fallback_or_an_alternative() {
    let second = "{ name = \"sf\",    at = 2, type = \"i16\" },\n  { name = \"again\", at = 8, type = \"i16\", metric = \"power_output_kw\"";
    let from = "{ name = \"sf\",    at = 2, type = \"i16\" },";
    assert_eq!(problems(from, &format!("{second} }},")).len(), 1);
    assert_eq!(problems(from, &format!("{second}, fallback = true }},")), Vec::<String>::new());
    let first = problems("metric = \"power_output_kw\"", "metric = \"power_output_kw\", fallback = true");
    assert!(first[0].contains("is a fallback for nothing"), "{first:?}");
}

#[test]
fn copies_that_do_not_fit_leave_references_where_they_are() {
    let repeated = "{ name = \"spare\", at = 65530, type = \"u16\", metric = \"x_#\", repeat = { count = 128, step = 9 } },\n  { name = \"unit\"";
    let text = RIGHT.replacen("{ name = \"unit\"", repeated, 1);
    let problems = parse("m-x.toml", &text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
}

#[test]
fn every_built_in_profile_is_right() {
    for name in builtin_names() {
        let profile = parse(&format!("{name}.toml"), builtin(name).unwrap());
        assert_eq!(profile.map(|profile| profile.name), Ok(name.to_owned()));
    }
    assert_eq!(builtin("no-such"), None);
}

proptest! {
    #[test]
    fn no_text_makes_parsing_fail_otherwise_than_by_problems(
        name in prop::sample::select(builtin_names().collect::<Vec<_>>()),
        cut in any::<prop::sample::Index>(),
        length in 0usize..40,
        put in "[ -~\n]{0,12}",
    ) {
        let text = builtin(name).unwrap();
        let from = text.floor_char_boundary(cut.index(text.len()));
        let to = text.floor_char_boundary((from + length).min(text.len())).max(from);
        let broken = format!("{}{put}{}", &text[..from], &text[to..]);
        if let Err(problems) = parse("p.toml", &broken) {
            prop_assert!(!problems.is_empty());
        }
    }
}

const GUIDE: &str = include_str!("../../../docs/device-profiles.md");

#[test]
fn the_example_of_the_guide_is_right_and_the_guide_lists_every_metric() {
    let example = GUIDE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let profile = parse("example-flow-f1.toml", example).unwrap();
    assert_eq!(profile.areas[0].registers.len(), 4);
    for metric in crate::metric::CATALOGUE {
        assert!(GUIDE.contains(&format!("`{}`", metric.name)), "{}", metric.name);
    }
}
