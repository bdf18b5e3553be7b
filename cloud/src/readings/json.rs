//! Readings as JSON, written straight into bytes: integers with their decimal point, nothing in between.

use std::io::Write as _;

use riverwatts_shared::bytes::Malformed;
use riverwatts_shared::metric::{CANONICAL, Metric};
use riverwatts_shared::reading::{Value, reading_id};
use riverwatts_shared::words::Quality;
use uuid::Uuid;

use super::StoredRow;

/// Which metrics are shown; all when empty.
pub type Shown = [Metric];

/// The metrics that have a column of their own in a table: those that are shown, each once; the canonical
/// ones when all are.
pub fn columns(shown: &Shown) -> Vec<Metric> {
    let mut columns = Vec::new();
    for metric in shown {
        if !columns.contains(metric) {
            columns.push(*metric);
        }
    }
    if shown.is_empty() { (0..CANONICAL).map(Metric::canonical).collect() } else { columns }
}

/// Appends one reading. `time_uncertainty_s` is there only when the time is not certain.
pub fn write_reading(out: &mut Vec<u8>, device_id: Uuid, row: &StoredRow, shown: &Shown) -> Result<(), Malformed> {
    let (values, time_uncertainty_s) = row.values()?;
    let is_shown = |metric: &Metric| shown.is_empty() || shown.contains(metric);
    let id = reading_id(device_id, row.time);
    // Writing to a Vec cannot fail.
    let _ = write!(out, r#"{{"id":"{id}","device_id":"{device_id}","timestamp":"{}""#, row.time);
    for metric in (0..CANONICAL).map(Metric::canonical).filter(is_shown) {
        let _ = write!(out, r#","{}":"#, metric.name());
        let value = values.iter().find(|value| value.metric == metric).and_then(|value| value.value);
        write_value(out, metric, value);
    }
    out.extend_from_slice(br#","extra":"#);
    let further = |value: &&Value| value.metric.canonical_column().is_none() && is_shown(&value.metric);
    write_object(out, values.iter().filter(further), |out, value| write_value(out, value.metric, value.value));
    out.extend_from_slice(br#","quality":"#);
    let not_ok = |value: &&Value| value.quality != Quality::Ok && is_shown(&value.metric);
    write_object(out, values.iter().filter(not_ok), |out, value| {
        let _ = write!(out, r#""{}""#, value.quality.word());
    });
    if time_uncertainty_s > 0 {
        let _ = write!(out, r#","time_uncertainty_s":{time_uncertainty_s}"#);
    }
    let _ = write!(out, r#","created_at":"{}"}}"#, row.received_at);
    Ok(())
}

fn write_object<'v>(out: &mut Vec<u8>, values: impl Iterator<Item = &'v Value>, write: impl Fn(&mut Vec<u8>, &Value)) {
    let mut separator = b'{';
    for value in values {
        out.push(separator);
        // Names of metrics are letters, digits and `_`: nothing to escape.
        let _ = write!(out, r#""{}":"#, value.metric.name());
        write(out, value);
        separator = b',';
    }
    out.extend_from_slice(if separator == b'{' { b"{}" } else { b"}" });
}

fn write_value(out: &mut Vec<u8>, metric: Metric, value: Option<i64>) {
    match value {
        Some(value) => write_decimal(out, value, metric.info().exponent.unsigned_abs()),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends `value × 10^-places` in its shortest exact form.
pub fn write_decimal(out: &mut Vec<u8>, value: i64, places: u8) {
    let scale = 10u64.pow(places.into());
    let (whole, mut part) = (value.unsigned_abs() / scale, value.unsigned_abs() % scale);
    let sign = if value < 0 { "-" } else { "" };
    let _ = write!(out, "{sign}{whole}");
    if part > 0 {
        let mut digits = usize::from(places);
        while part % 10 == 0 {
            part /= 10;
            digits -= 1;
        }
        let _ = write!(out, ".{part:0digits$}");
    }
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::reading::Reading;
    use riverwatts_shared::segment::Segment;
    use riverwatts_shared::time::UtcMs;

    use super::*;
    use crate::readings::Rows;

    #[test]
    fn numbers_are_shortest_and_exact() {
        for (value, places, text) in [
            (0, 6, "0"),
            (12_300_000, 6, "12.3"),
            (-1, 6, "-0.000001"),
            (-12_000_000, 6, "-12"),
            (1 << 53, 6, "9007199254.740992"),
            (1_234_567, 3, "1234.567"),
            (1_000, 3, "1"),
            (1_010, 3, "1.01"),
        ] {
            let mut out = Vec::new();
            write_decimal(&mut out, value, places);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn a_reading_has_all_its_fields_or_those_of_the_shown_metrics() {
        let device_id = Uuid::from_u128(7);
        let rotor = Metric::named("rotor_rpm").unwrap();
        let values = vec![
            Value::ok(Metric::POWER, 12_300_000),
            Value { metric: Metric::canonical(1), value: None, quality: Quality::Sentinel },
            Value::ok(Metric::ENERGY, 1_234_567),
            Value { metric: rotor, value: Some(57_500_000), quality: Quality::Rate },
        ];
        let reading = Reading { time: UtcMs(1_795_508_130_250), values };
        let row = Rows::new(Segment::from_readings(&[reading]), UtcMs(1_795_508_131_000), 0).row(0);
        let mut out = Vec::new();
        write_reading(&mut out, device_id, &row, &[]).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!({
            "id": reading_id(device_id, row.time), "device_id": device_id,
            "timestamp": "2026-11-24T08:15:30.250Z",
            "power_output_kw": 12.3, "voltage_v": null, "current_a": null, "frequency_hz": null,
            "efficiency_percent": null, "temperature_c": null, "vibration_level": null,
            "water_flow_rate": null, "battery_level_percent": null,
            "extra": {"energy_kwh": 1234.567, "rotor_rpm": 57.5},
            "quality": {"voltage_v": "sentinel", "rotor_rpm": "rate"},
            "created_at": "2026-11-24T08:15:31.000Z",
        });
        assert_eq!(written, expected);

        out.clear();
        write_reading(&mut out, device_id, &row, &[Metric::POWER, rotor]).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(written["extra"], serde_json::json!({"rotor_rpm": 57.5}));
        assert_eq!(written["quality"], serde_json::json!({"rotor_rpm": "rate"}));
        assert_eq!((written.get("power_output_kw").is_some(), written.get("voltage_v")), (true, None));
    }
}
