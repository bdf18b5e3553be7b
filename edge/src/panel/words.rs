//! Metrics and numbers as the page's scripts write them (`kit/format.js`), for what the page holds
//! before they run: nothing then changes when they do.

const UNITS_OF_BYTES: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
/// Unit and decimals by the last word of a metric's name.
const BY_LAST_WORD: &[(&str, &str, usize)] = &[
    ("kw", "kW", 2),
    ("v", "V", 1),
    ("a", "A", 2),
    ("hz", "Hz", 2),
    ("percent", "%", 1),
    ("c", "°C", 1),
    ("mps", "m/s", 2),
    ("mmps", "mm/s", 2),
    ("m", "m", 2),
    ("mm", "mm", 1),
    ("kwh", "kWh", 1),
    ("kvarh", "kvarh", 1),
    ("kva", "kVA", 2),
    ("kvar", "kvar", 2),
    ("rpm", "rpm", 1),
    ("g", "g", 3),
    ("deg", "°", 1),
    ("s", "s", 0),
    ("h", "h", 1),
    ("ah", "Ah", 1),
    ("nm", "Nm", 1),
    ("bar", "bar", 2),
    ("kpa", "kPa", 0),
    ("kohm", "kΩ", 0),
    ("ma", "mA", 2),
    ("m3", "m³", 1),
];
const BY_NAME: &[(&str, &str, usize)] = &[
    ("vibration_level", "mm/s", 2),
    ("water_flow_rate", "m³/s", 2),
    ("power_factor", "", 2),
    ("signal_quality", "", 0),
];
const LABELS: &[(&str, &str)] = &[
    ("power_output_kw", "Power"),
    ("voltage_v", "Voltage"),
    ("current_a", "Current"),
    ("frequency_hz", "Frequency"),
    ("efficiency_percent", "Efficiency"),
    ("temperature_c", "Temperature"),
    ("vibration_level", "Vibration"),
    ("water_flow_rate", "Discharge"),
    ("battery_level_percent", "State of charge"),
    ("energy_kwh", "Energy"),
    ("rotor_rpm", "Rotor speed"),
];
/// More digits than this flicker without telling anything.
const DIGITS_MAX: usize = 5;

/// A metric's name without the unit at its end, and what the unit says.
fn shape(metric: &str) -> (&str, &'static str, usize) {
    let of = |table: &[(&str, &'static str, usize)], word: &str| {
        table.iter().find(|(of, ..)| *of == word).map(|(_, unit, decimals)| (*unit, *decimals))
    };
    if let Some((unit, decimals)) = of(BY_NAME, metric) {
        return (metric, unit, decimals);
    }
    let cut = metric.rsplit_once('_').and_then(|(name, word)| Some((name, of(BY_LAST_WORD, word)?)));
    cut.map_or((metric, "", 3), |(name, (unit, decimals))| (name, unit, decimals))
}

/// `voltage_l1_v` as `Voltage L1`.
pub(super) fn label(metric: &str) -> String {
    if let Some((_, label)) = LABELS.iter().find(|(of, _)| *of == metric) {
        return (*label).to_owned();
    }
    let (name, ..) = shape(metric);
    let words = name.strip_prefix("x_").unwrap_or(name).split('_').map(|word| match word {
        "l1" | "l2" | "l3" | "dc" | "ac" => word.to_uppercase(),
        word => word.to_owned(),
    });
    let words = words.collect::<Vec<_>>().join(" ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The unit behind the number.
pub(super) fn unit(metric: &str) -> &'static str {
    shape(metric).1
}

/// The number of a metric, with as many decimals as tell something.
pub(super) fn figure(metric: &str, value: f64) -> String {
    let whole = if value == 0.0 { 1 } else { (value.abs().log10().floor() as i32 + 1).max(1) as usize };
    number(value, shape(metric).2.min(DIGITS_MAX.saturating_sub(whole)))
}

/// With commas between thousands, and a minus that is as wide as a digit.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let scale = 10f64.powi(decimals as i32);
    let text = format!("{:.decimals$}", (value.abs() * scale).round() / scale);
    let (integer, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = if value < 0.0 && text.contains(|digit| matches!(digit, '1'..='9')) { "−" } else { "" }.to_owned();
    for (place, digit) in integer.chars().enumerate() {
        if place > 0 && (integer.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

/// A length of time in a unit that fits: `12 s`, `3 min`, `2 h 5 min`, `4 d`.
pub(super) fn duration(seconds: f64) -> String {
    let (seconds, minutes) = (seconds.max(0.0), (seconds.max(0.0) / 60.0).round());
    match seconds {
        ..100.0 => format!("{seconds:.0} s"),
        ..6_000.0 => format!("{minutes:.0} min"),
        ..36_000.0 if minutes % 60.0 == 0.0 => format!("{:.0} h", minutes / 60.0),
        ..36_000.0 => format!("{:.0} h {:.0} min", (minutes / 60.0).floor(), minutes % 60.0),
        ..172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// How old something is.
pub(super) fn age(seconds: f64) -> String {
    if seconds < 1.0 { "now".to_owned() } else { format!("{} ago", duration(seconds)) }
}

/// `42 readings`, `1,234 readings`.
pub(super) fn counted(count: u64, one: &str) -> String {
    let number = number(count as f64, 0);
    if count == 1 { format!("{number} {one}") } else { format!("{number} {one}s") }
}

/// `12.4 MiB`.
pub(super) fn bytes(count: u64) -> String {
    let power = count.checked_ilog2().map_or(0, |bits| (bits as usize / 10).min(UNITS_OF_BYTES.len() - 1));
    let decimals = usize::from(power > 0);
    format!("{} {}", number(count as f64 / 1_024f64.powi(power as i32), decimals), UNITS_OF_BYTES[power])
}

/// A card's life as a person says it.
pub fn life(days: u64) -> String {
    match days {
        0..60 => counted(days, "day"),
        60..730 => format!("{} months", days / 30),
        730..36_525 => format!("{} years", days / 365),
        _ => "more than 100 years".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The same table is checked against the scripts by `shared/web/tests/format.test.mjs`.
    #[test]
    fn metrics_and_numbers_read_as_the_scripts_write_them() {
        let cases: Value = serde_json::from_str(include_str!("../../../shared/web/tests/words.json")).unwrap();
        for case in cases["quantities"].as_array().unwrap() {
            let (metric, value) = (case[0].as_str().unwrap(), case[1].as_f64().unwrap());
            let told = [label(metric), figure(metric, value), unit(metric).to_owned()];
            assert_eq!(json_texts(case, 2), told, "{metric} {value}");
        }
        for case in cases["ages"].as_array().unwrap() {
            assert_eq!(json_texts(case, 1), [age(case[0].as_f64().unwrap())]);
        }
    }

    fn json_texts(case: &Value, from: usize) -> Vec<&str> {
        case.as_array().unwrap()[from..].iter().map(|text| text.as_str().unwrap()).collect()
    }

    #[test]
    fn bytes_are_told_in_the_unit_that_fits() {
        for (count, told) in [(0, "0 B"), (1_023, "1,023 B"), (1_024, "1.0 KiB"), (12_900_000, "12.3 MiB")] {
            assert_eq!(bytes(count), told);
        }
    }

    #[test]
    fn a_life_is_told_in_days_months_or_years() {
        for (days, told) in [
            (0, "0 days"),
            (1, "1 day"),
            (60, "2 months"),
            (729, "24 months"),
            (730, "2 years"),
            (36_524, "100 years"),
            (36_525, "more than 100 years"),
        ] {
            assert_eq!(life(days), told);
        }
    }

    #[test]
    fn one_of_a_thing_is_not_many() {
        assert_eq!([1, 0, 1_234].map(|count| counted(count, "reading")), ["1 reading", "0 readings", "1,234 readings"]);
    }
}
