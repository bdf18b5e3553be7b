//! Where a metric rests that nobody gave a value: something usual for its unit.

use riverwatts_shared::metric::Metric;

/// A usual value, in the metric's stored unit.
pub(super) fn value(metric: Metric) -> i64 {
    let usual = match metric.info().unit {
        "V" => 230.0,
        "A" => 4.0,
        "mA" => 12.0,
        "kW" | "kVA" => 2.0,
        "Hz" => 50.0,
        "°C" => 20.0,
        "%" => 60.0,
        "mm/s" => 1.0,
        "m/s" => 2.0,
        "m³/s" => 500.0,
        "kWh" | "kvarh" => 1_000.0,
        "rpm" => 30.0,
        "s" => 3_600.0,
        _ => 1.0,
    };
    metric.from_unit(usual).expect("usual values are small")
}
