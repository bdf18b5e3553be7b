//! What a river site usually measures: numbers outside are not impossible, but speak against a profile.

use riverwatts_shared::metric::Metric;

/// Units with their lowest and highest usual numbers.
const BY_UNIT: &[(&str, f64, f64)] = &[
    ("kW", -5_000.0, 5_000.0),
    ("kVA", 0.0, 5_000.0),
    ("kvar", -5_000.0, 5_000.0),
    ("V", -1_500.0, 1_500.0),
    ("A", -5_000.0, 5_000.0),
    ("Hz", 0.0, 500.0),
    ("%", -100.0, 200.0),
    ("°C", -55.0, 250.0),
    ("mm/s", 0.0, 200.0),
    ("m³/s", -500.0, 500.0),
    ("kWh", 0.0, 1e8),
    ("kvarh", 0.0, 1e8),
    ("rpm", -10_000.0, 10_000.0),
    ("m/s", -15.0, 15.0),
    ("m", -500.0, 9_000.0),
    ("g", -100.0, 100.0),
    ("°", -360.0, 360.0),
    ("s", 0.0, 1e8),
    ("h", 0.0, 1e6),
    ("Ah", -1e5, 1e5),
    ("Nm", -1e6, 1e6),
    ("bar", -1.0, 600.0),
    ("kPa", -100.0, 60_000.0),
    ("m³", 0.0, 1e9),
];

/// Metrics that are narrower than their unit.
const BY_NAME: &[(&str, f64, f64)] = &[
    ("frequency_hz", 45.0, 65.0),
    ("power_factor", -1.0, 1.0),
    ("battery_level_percent", 0.0, 100.0),
    ("battery_health_percent", 0.0, 110.0),
    ("humidity_percent", 0.0, 100.0),
    ("efficiency_percent", 0.0, 100.0),
    ("fuel_level_percent", 0.0, 100.0),
    ("temperature_c", -40.0, 150.0),
    ("water_temperature_c", -5.0, 40.0),
    ("ambient_temperature_c", -55.0, 70.0),
    ("battery_temperature_c", -30.0, 80.0),
    ("voltage_v", 0.0, 1_500.0),
    ("voltage_l1_v", 0.0, 1_000.0),
    ("voltage_l2_v", 0.0, 1_000.0),
    ("voltage_l3_v", 0.0, 1_000.0),
    ("cell_voltage_min_v", 0.5, 5.0),
    ("cell_voltage_max_v", 0.5, 5.0),
    ("starter_voltage_v", 5.0, 60.0),
];

/// The usual range of a metric, in its unit; nought is usual for everything that may stand still.
pub fn usual(metric: Metric) -> Option<(f64, f64)> {
    let info = metric.info();
    let named = BY_NAME.iter().find(|(name, ..)| *name == info.name);
    let by_unit = || BY_UNIT.iter().find(|(unit, ..)| *unit == info.unit && !unit.is_empty());
    named.or_else(by_unit).map(|&(_, low, high)| (low, high))
}

/// Whether a number of the metric's unit is usual; unknown where nobody can say.
pub fn is_usual(metric: Metric, number: f64) -> Option<bool> {
    usual(metric).map(|(low, high)| (low..=high).contains(&number) || number == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_narrower_than_units_and_nought_is_always_usual() {
        for (name, number, expected) in [
            ("frequency_hz", 50.0, Some(true)),
            ("frequency_hz", 80.0, Some(false)),
            ("frequency_hz", 0.0, Some(true)),
            ("x_inlet_frequency_hz", 80.0, Some(true)),
            ("voltage_l1_v", -230.0, Some(false)),
            ("dc_voltage_v", -230.0, Some(true)),
            ("x_anything", 1e9, None),
        ] {
            assert_eq!(is_usual(Metric::named(name).unwrap(), number), expected, "{name} {number}");
        }
    }

    #[test]
    fn every_named_metric_is_one() {
        for (name, low, high) in BY_NAME {
            assert!(Metric::named(name).is_ok_and(|metric| metric.number().is_some()), "{name}");
            assert!(low < high);
        }
    }
}
