//! The catalogue of metrics: what can be measured, in which fixed decimal unit.
//!
//! A value is an `i64` in the fixed unit of its metric: millionths of the named unit, except
//! energies, which are watt-hours. The catalogue is append-only: a number, once given, means
//! the same for ever, on disk, on the wire and in the cloud.
//! Metrics beyond the catalogue are named `x_…`, are in millionths, and travel by name.

use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, RwLock};

/// One measurable quantity. Catalogue metrics keep their number everywhere; the number of an
/// `x_…` metric holds within this process only, so those are always stored and sent by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric(u16);

/// Name, unit and resolution of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricInfo {
    /// Its number in the catalogue.
    pub number: u16,
    /// Its name in the API, on MQTT, in profiles; the unit stands last where there is one.
    pub name: &'static str,
    /// The unit that the name speaks of, for people.
    pub unit: &'static str,
    /// A stored value is `value × 10^exponent` of `unit`.
    pub exponent: i8,
}

/// How many `x_…` names one process accepts, and how long each may be.
pub const EXTRA_NAMES_MAX: usize = 4_096;
/// Longest name of a metric, in bytes.
pub const METRIC_NAME_MAX: usize = 48;
/// Largest magnitude of a stored value: every integer up to here is exact in JSON too.
pub const VALUE_MAX: i64 = 1 << 53;

const fn info(number: u16, name: &'static str, unit: &'static str) -> MetricInfo {
    MetricInfo { number, name, unit, exponent: -6 }
}

const fn energy(number: u16, name: &'static str, unit: &'static str) -> MetricInfo {
    MetricInfo { number, name, unit, exponent: -3 }
}

/// Every metric of the catalogue; entry `i` has number `i + 1`. Append only.
pub const CATALOGUE: &[MetricInfo] = &[
    // The nine canonical metrics, in the order of the API.
    info(1, "power_output_kw", "kW"),
    info(2, "voltage_v", "V"),
    info(3, "current_a", "A"),
    info(4, "frequency_hz", "Hz"),
    info(5, "efficiency_percent", "%"),
    info(6, "temperature_c", "°C"),
    info(7, "vibration_level", "mm/s"),
    info(8, "water_flow_rate", "m³/s"),
    info(9, "battery_level_percent", "%"),
    // Energies, stored in Wh (varh).
    energy(10, "energy_kwh", "kWh"),
    energy(11, "energy_import_kwh", "kWh"),
    energy(12, "reactive_energy_kvarh", "kvarh"),
    energy(13, "reactive_energy_import_kvarh", "kvarh"),
    // Rotor and water.
    info(14, "rotor_rpm", "rpm"),
    info(15, "water_speed_mps", "m/s"),
    info(16, "water_level_m", "m"),
    info(17, "water_temperature_c", "°C"),
    // Phases.
    info(18, "voltage_l1_v", "V"),
    info(19, "voltage_l2_v", "V"),
    info(20, "voltage_l3_v", "V"),
    info(21, "current_l1_a", "A"),
    info(22, "current_l2_a", "A"),
    info(23, "current_l3_a", "A"),
    info(24, "power_l1_kw", "kW"),
    info(25, "power_l2_kw", "kW"),
    info(26, "power_l3_kw", "kW"),
    info(27, "apparent_power_kva", "kVA"),
    info(28, "reactive_power_kvar", "kvar"),
    info(29, "power_factor", ""),
    // The DC side.
    info(30, "dc_voltage_v", "V"),
    info(31, "dc_current_a", "A"),
    info(32, "dc_power_kw", "kW"),
    // Heat, by place.
    info(33, "cabinet_temperature_c", "°C"),
    info(34, "heatsink_temperature_c", "°C"),
    info(35, "generator_temperature_c", "°C"),
    info(36, "bearing_temperature_c", "°C"),
    info(37, "ambient_temperature_c", "°C"),
    // Vibration by axis, and its shape.
    info(38, "vibration_x_mmps", "mm/s"),
    info(39, "vibration_z_mmps", "mm/s"),
    info(40, "acceleration_x_g", "g"),
    info(41, "acceleration_z_g", "g"),
    // Radars and the like.
    info(42, "signal_quality", ""),
    info(43, "tilt_deg", "°"),
    // Battery.
    info(44, "battery_time_to_go_s", "s"),
    info(45, "battery_consumed_ah", "Ah"),
    info(46, "battery_health_percent", "%"),
    info(47, "battery_temperature_c", "°C"),
    info(48, "battery_cycles", ""),
    info(49, "cell_voltage_min_v", "V"),
    info(50, "cell_voltage_max_v", "V"),
    // Generating sets and drives.
    info(51, "oil_pressure_kpa", "kPa"),
    info(52, "fuel_level_percent", "%"),
    info(53, "starter_voltage_v", "V"),
    info(54, "load_percent", "%"),
    info(55, "torque_nm", "Nm"),
    info(56, "operating_time_h", "h"),
    info(57, "starts", ""),
    // More of water and air.
    info(58, "water_volume_m3", "m³"),
    info(59, "water_pressure_bar", "bar"),
    info(60, "water_distance_m", "m"),
    info(61, "humidity_percent", "%"),
];

/// Units of `x_…` metrics, by the last part of their name.
const UNITS: &[(&str, &str)] = &[
    ("kw", "kW"),
    ("v", "V"),
    ("a", "A"),
    ("hz", "Hz"),
    ("percent", "%"),
    ("c", "°C"),
    ("mps", "m/s"),
    ("mmps", "mm/s"),
    ("m", "m"),
    ("mm", "mm"),
    ("kwh", "kWh"),
    ("kvarh", "kvarh"),
    ("kva", "kVA"),
    ("kvar", "kvar"),
    ("rpm", "rpm"),
    ("g", "g"),
    ("deg", "°"),
    ("s", "s"),
    ("h", "h"),
    ("ah", "Ah"),
    ("nm", "Nm"),
    ("bar", "bar"),
    ("kpa", "kPa"),
    ("kohm", "kΩ"),
    ("ma", "mA"),
    ("m3", "m³"),
];

/// The nine canonical metrics: columns of their own in the cloud.
pub const CANONICAL: usize = 9;

/// First process-local number; below are the catalogue's.
const EXTRA_BASE: u16 = 0x8000;

#[derive(Default)]
struct Extras {
    names: Vec<&'static str>,
    numbers: HashMap<&'static str, u16>,
}

static EXTRAS: LazyLock<RwLock<Extras>> = LazyLock::new(RwLock::default);
static BY_NAME: LazyLock<HashMap<&'static str, u16>> =
    LazyLock::new(|| CATALOGUE.iter().map(|metric| (metric.name, metric.number)).collect());

/// A name that is no metric.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnknownMetric {
    /// Neither in the catalogue nor of the form `x_…`.
    #[error(
        "unknown metric `{0}`; take one of the catalogue, or a name like x_lower_case of at most {METRIC_NAME_MAX} characters"
    )]
    Name(String),
    /// More different `x_…` names than one process accepts.
    #[error("metric `{0}` is one too many: at most {EXTRA_NAMES_MAX} different x_ names")]
    TooMany(String),
    /// A catalogue number that this version does not know.
    #[error("unknown metric number {0}; written by a newer version?")]
    Number(u64),
}

impl Metric {
    /// Electrical power in kW, positive when delivered by the device.
    pub const POWER: Metric = Metric(1);
    /// Counter of delivered energy, in Wh.
    pub const ENERGY: Metric = Metric(10);

    /// The canonical metric in this column (0 to 8).
    pub const fn canonical(column: usize) -> Metric {
        assert!(column < CANONICAL);
        Metric(column as u16 + 1)
    }

    /// The column (0 to 8) when this is one of the nine canonical metrics.
    pub const fn canonical_column(self) -> Option<usize> {
        if self.0 as usize <= CANONICAL { Some(self.0 as usize - 1) } else { None }
    }

    /// The metric with this name: of the catalogue, or `x_` followed by lower-case letters, digits and `_`.
    pub fn named(name: &str) -> Result<Metric, UnknownMetric> {
        Metric::named_within(name, EXTRA_NAMES_MAX)
    }

    /// The same for a name that somebody asks about: such names never take up more than half of the room,
    /// so that what is measured always finds some.
    pub fn asked(name: &str) -> Result<Metric, UnknownMetric> {
        Metric::named_within(name, EXTRA_NAMES_MAX / 2)
    }

    fn named_within(name: &str, names_max: usize) -> Result<Metric, UnknownMetric> {
        if let Some(&number) = BY_NAME.get(name) {
            return Ok(Metric(number));
        }
        let well_formed = name.len() > 2
            && name.len() <= METRIC_NAME_MAX
            && name.starts_with("x_")
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !well_formed {
            return Err(UnknownMetric::Name(name.chars().take(METRIC_NAME_MAX).collect()));
        }
        if let Some(&number) = EXTRAS.read().expect("never poisoned: nothing panics inside").numbers.get(name) {
            return Ok(Metric(number));
        }
        let mut extras = EXTRAS.write().expect("never poisoned: nothing panics inside");
        if let Some(&number) = extras.numbers.get(name) {
            return Ok(Metric(number));
        }
        if extras.names.len() >= names_max {
            return Err(UnknownMetric::TooMany(name.to_owned()));
        }
        let number = EXTRA_BASE + extras.names.len() as u16;
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str()); // bounded by EXTRA_NAMES_MAX
        extras.names.push(name);
        extras.numbers.insert(name, number);
        Ok(Metric(number))
    }

    /// The catalogue metric with this number.
    pub fn numbered(number: u64) -> Result<Metric, UnknownMetric> {
        if (1..=CATALOGUE.len() as u64).contains(&number) {
            Ok(Metric(number as u16))
        } else {
            Err(UnknownMetric::Number(number))
        }
    }

    /// Its number in the catalogue; `None` for an `x_…` metric, which goes by name.
    pub const fn number(self) -> Option<u16> {
        if self.0 < EXTRA_BASE { Some(self.0) } else { None }
    }

    /// Name, unit and resolution.
    pub fn info(self) -> MetricInfo {
        match self.number() {
            Some(number) => CATALOGUE[number as usize - 1],
            None => {
                let extras = EXTRAS.read().expect("never poisoned: nothing panics inside");
                let name = extras.names[(self.0 - EXTRA_BASE) as usize];
                let last = name.rsplit_once('_').map_or("", |(_, last)| last);
                let unit = UNITS.iter().find(|(part, _)| *part == last).map_or("", |(_, unit)| unit);
                MetricInfo { number: self.0, name, unit, exponent: -6 }
            }
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Whether it counts up for ever, so that increments, not values, are summed.
    pub const fn is_counter(self) -> bool {
        matches!(self.0, 10..=13)
    }

    /// The stored integer as a number of the metric's unit; exact up to [`VALUE_MAX`] when written as JSON.
    pub fn to_unit(self, value: i64) -> f64 {
        value as f64 / 10f64.powi(-i32::from(self.info().exponent))
    }

    /// A number of the metric's unit as the stored integer, rounded half away from zero;
    /// `None` when it is not finite or beyond [`VALUE_MAX`].
    pub fn from_unit(self, number: f64) -> Option<i64> {
        let scaled = (number * 10f64.powi(-i32::from(self.info().exponent))).round();
        (scaled.abs() <= VALUE_MAX as f64).then_some(scaled as i64)
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_numbered_without_holes_and_names_are_unique() {
        for (index, metric) in CATALOGUE.iter().enumerate() {
            assert_eq!(metric.number as usize, index + 1, "{}", metric.name);
            assert!(metric.name.len() <= METRIC_NAME_MAX);
            assert_eq!(Metric::named(metric.name), Metric::numbered(metric.number.into()));
        }
        assert_eq!(BY_NAME.len(), CATALOGUE.len());
    }

    #[test]
    fn extra_metrics_go_by_name() {
        let metric = Metric::named("x_gate_opening").unwrap();
        assert_eq!(metric.number(), None);
        assert_eq!((metric.name(), metric.info().unit), ("x_gate_opening", ""));
        assert_eq!(Metric::named("x_gate_opening_percent").map(|metric| metric.info().unit), Ok("%"));
        assert_eq!(Metric::named("x_gate_opening"), Ok(metric));
        for name in ["", "x_", "gate", "x_Gate", "x_gate opening", &"x_".repeat(40)] {
            assert!(Metric::named(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_asked_about_leaves_room_for_what_is_measured() {
        let full = (0..EXTRA_NAMES_MAX).find(|n| Metric::asked(&format!("x_asked_{n}")).is_err());
        assert!(full.is_some_and(|n| n <= EXTRA_NAMES_MAX / 2), "{full:?}");
        let measured = Metric::named("x_measured_after_all").unwrap();
        assert_eq!(Metric::asked("x_measured_after_all"), Ok(measured));
    }

    #[test]
    fn units_convert_exactly() {
        assert_eq!(Metric::POWER.from_unit(12.345), Some(12_345_000));
        assert_eq!(Metric::POWER.to_unit(12_345_000), 12.345);
        assert_eq!(Metric::ENERGY.from_unit(1234.567), Some(1_234_567));
        assert_eq!(Metric::POWER.from_unit(f64::NAN), None);
        assert_eq!(Metric::POWER.from_unit(1e12), None);
    }
}
