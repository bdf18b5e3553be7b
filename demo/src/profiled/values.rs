//! What a virtual device of any profile shows, by name: the same for ever, or row after row of a
//! table, again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use riverwatts_shared::metric::Metric;
use riverwatts_shared::time::UtcMs;

/// Largest table: a day at one row a second, or so, with many columns.
const TABLE_BYTES_MAX: u64 = 16 << 20;
const TABLE_ROWS_MAX: usize = 100_000;

/// Numbers by metric, alarms by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    numbers: BTreeMap<Metric, i64>,
    alarms: BTreeSet<String>,
}

/// A value that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// No device that is served has it.
    #[error("`{name}` is no value of the profiles that are served; they have {known}")]
    Unknown { name: String, known: String },
    /// Not written as it must be.
    #[error("`{text}` is no value; write NAME=NUMBER, like power_output_kw=12.5")]
    Malformed { text: String },
    /// Too large for any register.
    #[error("{name} = {number} is beyond what is kept of it; take a smaller number")]
    TooLarge { name: String, number: f64 },
    /// The table cannot be read.
    #[error("table {} cannot be read: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: String },
    /// The table is wrong.
    #[error("table {}, line {line}: {message}", path.display())]
    Table { path: PathBuf, line: usize, message: String },
}

impl Values {
    /// The number for a metric, in its stored unit.
    pub fn number(&self, metric: Metric) -> Option<i64> {
        self.numbers.get(&metric).copied()
    }

    /// Whether the alarm of this name is on.
    pub fn alarm(&self, name: &str) -> bool {
        self.alarms.contains(name)
    }

    /// The metrics that have a number.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> {
        self.numbers.keys().copied()
    }

    /// Only what is among these names.
    pub fn of(&self, names: &Names) -> Values {
        let numbers = self.numbers.iter().filter(|(metric, _)| names.metrics.contains(metric));
        let alarms = self.alarms.iter().filter(|&alarm| names.alarms.contains(alarm));
        Values {
            numbers: numbers.map(|(&metric, &number)| (metric, number)).collect(),
            alarms: alarms.cloned().collect(),
        }
    }

    fn set(&mut self, names: &Names, name: &str, number: f64) -> Result<(), ValuesError> {
        if names.alarms.contains(name) {
            if number == 0.0 {
                self.alarms.remove(name);
            } else {
                self.alarms.insert(name.to_owned());
            }
            return Ok(());
        }
        let metric = names.metric(name)?;
        let too_large = || ValuesError::TooLarge { name: name.to_owned(), number };
        self.numbers.insert(metric, metric.from_unit(number).ok_or_else(too_large)?);
        Ok(())
    }
}

/// What can be given a value.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub metrics: BTreeSet<Metric>,
    pub alarms: BTreeSet<String>,
}

impl Names {
    /// Takes these in, too.
    pub fn add(&mut self, other: &Names) {
        self.metrics.extend(&other.metrics);
        self.alarms.extend(other.alarms.iter().cloned());
    }

    fn metric(&self, name: &str) -> Result<Metric, ValuesError> {
        let known = self.metrics.iter().find(|metric| metric.name() == name).copied();
        known.ok_or_else(|| {
            let alarms = self.alarms.iter().map(String::as_str);
            let known: Vec<&str> = self.metrics.iter().map(|metric| metric.name()).chain(alarms).collect();
            ValuesError::Unknown { name: name.to_owned(), known: known.join(", ") }
        })
    }
}

/// Values over time, again and again.
#[derive(Debug, Clone)]
pub struct Script {
    /// Each row with its time, the first at 0.
    pub rows: Vec<(f64, Values)>,
    /// When it begins again; nothing moves where it is 0.
    lasts_s: f64,
}

impl Script {
    /// `given` are texts like `power_output_kw=12.5`, `table` a CSV file whose values win.
    pub fn read(given: &[String], table: Option<&Path>, names: &Names) -> Result<Script, ValuesError> {
        let mut values = Values::default();
        for text in given {
            let malformed = || ValuesError::Malformed { text: text.clone() };
            let (name, number) = text.split_once('=').ok_or_else(malformed)?;
            let number = number.trim().parse().ok().filter(|number: &f64| number.is_finite());
            values.set(names, name.trim(), number.ok_or_else(malformed)?)?;
        }
        let Some(path) = table else { return Ok(Script { rows: vec![(0.0, values)], lasts_s: 0.0 }) };
        let unreadable = |cause: String| ValuesError::Unreadable { path: path.to_owned(), cause };
        let bytes = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if bytes > TABLE_BYTES_MAX {
            return Err(unreadable(format!("it has more than {} MiB", TABLE_BYTES_MAX >> 20)));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Script::of_table(&text, &values, names).map_err(|(line, error)| match error {
            ValuesError::Malformed { text: message } => ValuesError::Table { path: path.to_owned(), line, message },
            other => ValuesError::Table { path: path.to_owned(), line, message: other.to_string() },
        })
    }

    /// First column seconds, or RFC 3339 times; the others are named. An empty cell keeps what stood above it.
    fn of_table(text: &str, before: &Values, names: &Names) -> Result<Script, (usize, ValuesError)> {
        let wrong = |line: usize| move |text: &str| (line, ValuesError::Malformed { text: text.to_owned() });
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let (line, head) = lines.next().ok_or_else(|| wrong(1)("it is empty; begin with a line of names"))?;
        let columns: Vec<&str> = head.split(',').skip(1).map(str::trim).collect();
        for name in columns.iter().filter(|name| !names.alarms.contains(**name)) {
            names.metric(name).map_err(|error| (line, error))?;
        }
        let mut rows: Vec<(f64, Values)> = Vec::new();
        let mut values = before.clone();
        let mut first_s = None;
        for (line, row) in lines {
            let wrong = wrong(line);
            if rows.len() == TABLE_ROWS_MAX {
                return Err(wrong(&format!("it has more than {TABLE_ROWS_MAX} rows; thin them")));
            }
            let mut cells = row.split(',').map(str::trim);
            let time = cells.next().unwrap_or_default();
            let time_s =
                seconds(time).ok_or_else(|| wrong("the first column is no time; write seconds or RFC 3339"))?;
            let time_s = time_s - *first_s.get_or_insert(time_s);
            if rows.last().is_some_and(|(last_s, _)| *last_s >= time_s) {
                return Err(wrong("the time does not rise; sort the rows"));
            }
            let cells: Vec<&str> = cells.collect();
            if cells.len() != columns.len() {
                return Err(wrong(&format!("it has {} values for {} names", cells.len(), columns.len())));
            }
            for (name, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
                let number = cell.parse().ok().filter(|number: &f64| number.is_finite());
                let number = number.ok_or_else(|| wrong(&format!("`{cell}` of {name} is no number")))?;
                values.set(names, name, number).map_err(|error| (line, error))?;
            }
            rows.push((time_s, values.clone()));
        }
        let lasts_s = match &rows[..] {
            [] => return Err(wrong(line)("no rows follow the names")),
            [_] => 0.0,
            // The last row stays as long as the one before it.
            [.., (before_s, _), (last_s, _)] => last_s + (last_s - before_s),
        };
        Ok(Script { rows, lasts_s })
    }

    /// Only what is among these names.
    pub fn of(&self, names: &Names) -> Script {
        Script {
            rows: self.rows.iter().map(|(time_s, values)| (*time_s, values.of(names))).collect(),
            lasts_s: self.lasts_s,
        }
    }

    /// The values at a time since the beginning.
    pub fn at(&self, time_s: f64) -> &Values {
        let position_s = if self.lasts_s > 0.0 { time_s.rem_euclid(self.lasts_s) } else { 0.0 };
        let after = self.rows.partition_point(|(row_s, _)| *row_s <= position_s);
        &self.rows[after.max(1) - 1].1
    }
}

fn seconds(text: &str) -> Option<f64> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.or_else(|| Some(text.parse::<UtcMs>().ok()?.0 as f64 / 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let metrics = ["power_output_kw", "voltage_v"].map(|name| Metric::named(name).unwrap());
        Names { metrics: metrics.into(), alarms: ["over_temp".to_owned()].into() }
    }

    fn play(table: &str, times_s: &[f64]) -> Vec<(Option<i64>, bool)> {
        let script = Script::of_table(table, &Values::default(), &names()).unwrap();
        let shown = |&time_s: &f64| (script.at(time_s).number(Metric::POWER), script.at(time_s).alarm("over_temp"));
        times_s.iter().map(shown).collect()
    }

    #[test]
    fn a_table_plays_again_and_again() {
        let one = (Some(1_000_000), false);
        let two = (Some(2_000_000), true);
        let three = (Some(2_000_000), false);
        let table = "seconds,power_output_kw,over_temp\n10,1,0\n12,2,1\n\n14,,0\n";
        assert_eq!(play(table, &[0.0, 1.9, 2.0, 4.5, 5.9, 6.0, 8.0]), [one, one, two, three, three, one, two]);
        let dated = "time,power_output_kw\n2026-01-01T00:00:00Z,1\n2026-01-01T00:00:30.000Z,2\n";
        assert_eq!(play(dated, &[29.0, 30.0, 60.0]), [one, (Some(2_000_000), false), one]);
        assert_eq!(play("s,power_output_kw\n5,1\n", &[0.0, 100.0]), [one, one]);
    }

    #[test]
    fn mistakes_name_the_line_and_what_to_do() {
        for (table, line, expected) in [
            ("", 1, "begin with a line of names"),
            ("s,power_kw\n1,2", 1, "`power_kw` is no value"),
            ("s,voltage_v\n", 1, "no rows"),
            ("s,voltage_v\nyesterday,2", 2, "RFC 3339"),
            ("s,voltage_v\n1,2\n1,2", 3, "sort the rows"),
            ("s,voltage_v\n1,2,3", 2, "2 values for 1 names"),
            ("s,voltage_v\n1,2\n2,high", 3, "`high` of voltage_v"),
            ("s,voltage_v\n1,1e300", 2, "smaller number"),
        ] {
            let (at, error) = Script::of_table(table, &Values::default(), &names()).unwrap_err();
            assert!(at == line && error.to_string().contains(expected), "{table}: {at} {error}");
        }
        let long: String = (0..=TABLE_ROWS_MAX).map(|row| format!("{row},1\n")).collect();
        let (_, error) = Script::of_table(&format!("s,voltage_v\n{long}"), &Values::default(), &names()).unwrap_err();
        assert!(error.to_string().contains("thin them"), "{error}");
        let given = |text: &str| Script::read(&[text.to_owned()], None, &names()).unwrap_err().to_string();
        assert!(given("voltage_v").contains("NAME=NUMBER"));
        assert!(given("voltage_v=NaN").contains("NAME=NUMBER"));
        assert!(
            given("voltage=3").contains("they have power_output_kw, voltage_v, over_temp"),
            "{}",
            given("voltage=3")
        );
    }
}
