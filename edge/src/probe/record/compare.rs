//! What the device says beside what a person read from another instrument: pure.

use std::collections::BTreeMap;
use std::str::FromStr;

use riverwatts_shared::metric::Metric;
use serde::Serialize;

use crate::probe::device::Device;

/// Numbers that a person read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeterValues {
    /// By device (empty: the only one) and metric.
    values: BTreeMap<(String, &'static str), f64>,
}

/// `[device.]metric=number`, as on the command line and in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterValue {
    device: String,
    metric: &'static str,
    number: f64,
}

/// How far numbers may be apart, in percent of what the person read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Tolerance(pub f64);

/// A value beside what a person read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Which metric.
    pub metric: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What the device says.
    pub value: Option<f64>,
    /// What the person read.
    pub meter: f64,
    /// How much more the device says, in the unit.
    pub difference: Option<f64>,
    /// The same in percent of what the person read; `null` when that is 0.
    pub difference_percent: Option<f64>,
    /// Whether that is within the tolerance.
    pub verdict: Verdict,
}

/// Whether two numbers agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within the tolerance.
    Agrees,
    /// Beyond it.
    Differs,
    /// The device has no such value.
    NoValue,
}

impl Verdict {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::Differs => "DIFFERS",
            Verdict::NoValue => "NO VALUE",
        }
    }
}

impl FromStr for MeterValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no meter value; write it like voltage_l1_v=231.2 or meter-1.voltage_l1_v=231.2");
        let (name, number) = text.split_once('=').ok_or_else(wrong)?;
        let number: f64 = number.trim().parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(wrong)?;
        let (device, metric) = name.trim().rsplit_once('.').unwrap_or(("", name.trim()));
        let metric = Metric::asked(metric).map_err(|error| error.to_string())?;
        Ok(MeterValue { device: device.to_owned(), metric: metric.name(), number })
    }
}

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().trim_end_matches('%').trim().parse().ok();
        let percent = number.filter(|percent: &f64| (0.0..=100.0).contains(percent));
        percent.map(Tolerance).ok_or_else(|| "write it like 2%".to_owned())
    }
}

impl MeterValues {
    /// Takes one in; a later one wins.
    pub fn add(&mut self, value: MeterValue) {
        self.values.insert((value.device, value.metric), value.number);
    }

    /// Lines like `voltage_l1_v = 231.2`; `#` begins a remark.
    ///
    /// # Errors
    /// The first line that is none, with its number.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                self.add(line.parse().map_err(|error| format!("line {number}: {error}"))?);
            }
        }
        Ok(())
    }

    /// Devices that are named here and are none of `known`.
    pub fn strangers<'a>(&'a self, known: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let names = self.values.keys().map(|(device, _)| device.as_str());
        names.filter(move |name| !(name.is_empty() && known.len() == 1 || known.contains(name)))
    }

    /// The values of a device beside these; `only` when it is the only one, so that it needs no name.
    pub fn compare(&self, device: &Device, only: bool, tolerance: Tolerance) -> Vec<Compared> {
        let own = self.values.iter().filter(|((name, _), _)| *name == device.id || (only && name.is_empty()));
        own.map(|(&(_, metric), &meter)| compared(metric, device.value(metric), meter, tolerance)).collect()
    }
}

fn compared(metric: &'static str, value: Option<f64>, meter: f64, Tolerance(percent): Tolerance) -> Compared {
    let unit = Metric::named(metric).map_or("", |metric| metric.info().unit);
    let rounded = |number: f64| (number * 1e6).round() / 1e6;
    let difference = value.map(|value| rounded(value - meter));
    let difference_percent = difference.filter(|_| meter != 0.0).map(|difference| {
        let share = difference / meter.abs() * 100.0;
        (share * 100.0).round() / 100.0
    });
    let verdict = match difference {
        None => Verdict::NoValue,
        Some(difference) if difference.abs() <= meter.abs() * percent / 100.0 + f64::EPSILON => Verdict::Agrees,
        Some(_) => Verdict::Differs,
    };
    Compared { metric, unit, value, meter, difference, difference_percent, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_in_their_unit_and_in_percent() {
        for (value, meter, difference, percent, verdict) in [
            (Some(230.5), 231.2, Some(-0.7), Some(-0.3), Verdict::Agrees),
            (Some(240.0), 231.2, Some(8.8), Some(3.81), Verdict::Differs),
            (Some(-9.9), -10.0, Some(0.1), Some(1.0), Verdict::Agrees),
            (Some(-10.0), 10.0, Some(-20.0), Some(-200.0), Verdict::Differs),
            (Some(0.0), 0.0, Some(0.0), None, Verdict::Agrees),
            (Some(0.1), 0.0, Some(0.1), None, Verdict::Differs),
            (None, 5.0, None, None, Verdict::NoValue),
        ] {
            let compared = compared("voltage_l1_v", value, meter, Tolerance(2.0));
            let Compared { difference: d, difference_percent: p, verdict: v, .. } = compared;
            assert_eq!((d, p, v), (difference, percent, verdict), "{value:?} {meter}");
            assert_eq!(compared.unit, "V");
        }
    }

    #[test]
    fn meter_values_are_read_from_arguments_and_files_or_refused_with_their_line() {
        let mut values = MeterValues::default();
        values.read("# by hand\nvoltage_l1_v = 231.2 # Fluke\n\nmeter-1.power_output_kw=-1.5\n").unwrap();
        assert_eq!(values.values.get(&(String::new(), "voltage_l1_v")), Some(&231.2));
        assert_eq!(values.values.get(&("meter-1".to_owned(), "power_output_kw")), Some(&-1.5));
        assert_eq!(values.strangers(&["meter-1"]).collect::<Vec<_>>(), Vec::<&str>::new());
        assert_eq!(values.strangers(&["a", "b"]).collect::<Vec<_>>(), ["", "meter-1"]);
        assert!(values.read("voltage_l1_v = 1\nvolts = 3").unwrap_err().starts_with("line 2: "));
        for text in ["voltage_l1_v", "voltage_l1_v=x", "voltage_l1_v=inf", "nonsense=3"] {
            assert!(text.parse::<MeterValue>().is_err(), "{text}");
        }
        assert_eq!("2 %".parse(), Ok(Tolerance(2.0)));
        assert!("200%".parse::<Tolerance>().is_err());
    }
}
