//! The water: the real discharge of the Tanana at Nenana, its speed at the turbine's place by the
//! real rating, and computed turbulence. Sources and licences: `demo/data/README.md`.

use std::sync::LazyLock;

use crate::noise::{Noise, Stream};

/// Day of the record at which a site begins: high summer water, the turbine at about half its rating.
const FIRST_DAY: &str = "2012-06-15";
const DAY_S: f64 = 86_400.0;
/// Turbulence intensity, standard deviation over mean; 0.08 to 0.15 is usual in large rivers.
const TURBULENCE_INTENSITY: f64 = 0.10;
/// Surface speed over mean speed: the inverse of the usual site coefficient of 0.87.
const SURFACE_OVER_MEAN: f64 = 1.15;
/// Shortest eddy that a rotor of 3.4 m still follows, in seconds (diameter over speed).
const ROTOR_EDDY_S: f64 = 4.0;
/// Shortest eddy in a radar's averaged speed, in seconds.
const AVERAGED_EDDY_S: f64 = 32.0;

static RECORD: LazyLock<Record> = LazyLock::new(|| {
    Record::read(include_str!("../data/tanana_discharge_daily_m3s_2009_2019.csv"))
        .expect("the embedded record is well formed: a test reads it")
});
static RATING: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| {
    read_points(include_str!("../data/tanana_dv_curve.csv"))
        .expect("the embedded rating is well formed: a test reads it")
});

/// A river whose slow water follows the record and whose turbulence follows a seed.
#[derive(Debug, Clone)]
pub struct River {
    noise: Noise,
    speed: f64,
}

/// The water at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Water {
    /// Discharge, m³/s.
    pub discharge_m3s: f64,
    /// Speed without turbulence at hub height, m/s.
    pub mean_mps: f64,
    /// Speed that drives the rotor, averaged over it, m/s.
    pub rotor_mps: f64,
    /// Speed of the surface under the radar, m/s.
    pub surface_mps: f64,
    /// The same, averaged by the instrument over about half a minute, m/s.
    pub surface_averaged_mps: f64,
    /// Water temperature, °C; a seasonal curve, not measured.
    pub temperature_c: f64,
}

impl River {
    /// The Tanana at Nenana. `speed` is how many seconds of the record pass in one second; it moves
    /// the discharge only, so that turbulence, power and energy stay true to the clock.
    pub fn tanana(noise: Noise, speed: f64) -> River {
        River { noise, speed }
    }

    /// The water `time_s` seconds after the site began.
    pub fn water_at(&self, time_s: f64) -> Water {
        let record = &*RECORD;
        let day = self.day(time_s);
        let discharge_m3s = record.discharge_m3s(day);
        let mean_mps = speed_mps(&RATING, discharge_m3s);
        let gust = |stream, shortest_s| self.gust(stream, shortest_s, time_s);
        let surface_mean_mps = mean_mps * SURFACE_OVER_MEAN;
        Water {
            discharge_m3s,
            mean_mps,
            rotor_mps: self.rotor_mps(time_s),
            surface_mps: surface_mean_mps * gust(Stream::Surface, 0.0),
            surface_averaged_mps: surface_mean_mps * gust(Stream::Surface, AVERAGED_EDDY_S),
            temperature_c: seasonal_temperature_c(day + record.first_day_of_year),
        }
    }

    /// [`Water::rotor_mps`] alone, for whoever needs it very often.
    pub fn rotor_mps(&self, time_s: f64) -> f64 {
        let discharge_m3s = RECORD.discharge_m3s(self.day(time_s));
        speed_mps(&RATING, discharge_m3s) * self.gust(Stream::Water, ROTOR_EDDY_S, time_s)
    }

    /// Row of the record, with its fraction.
    fn day(&self, time_s: f64) -> f64 {
        RECORD.first_day as f64 + time_s * self.speed / DAY_S
    }

    /// What turbulence makes of a mean speed of 1.
    fn gust(&self, stream: Stream, shortest_s: f64, time_s: f64) -> f64 {
        (1.0 + TURBULENCE_INTENSITY * self.noise.turbulence(stream, shortest_s, time_s)).max(0.0)
    }
}

/// Water temperature of a subarctic river: 0 °C under ice, 13 °C in July. `day` counts from any 1 January.
fn seasonal_temperature_c(day: f64) -> f64 {
    let season = ((day - 20.0) / 365.25 * std::f64::consts::TAU).cos();
    (5.0 - 8.0 * season).max(0.0)
}

/// Straight lines between the points, the outer ones prolonged; never negative.
fn speed_mps(rating: &[(f64, f64)], discharge_m3s: f64) -> f64 {
    let inner = rating[1..rating.len() - 1].iter().filter(|(discharge, _)| *discharge <= discharge_m3s).count();
    let ((d0, v0), (d1, v1)) = (rating[inner], rating[inner + 1]);
    (v0 + (v1 - v0) * (discharge_m3s - d0) / (d1 - d0)).max(0.0)
}

#[derive(Debug)]
struct Record {
    /// Daily mean discharge, m³/s.
    days_m3s: Vec<f64>,
    /// Index of [`FIRST_DAY`].
    first_day: usize,
    /// Day of the year of the record's first row: 25 August.
    first_day_of_year: f64,
}

impl Record {
    fn read(csv: &str) -> Option<Record> {
        let rows: Vec<(&str, f64)> =
            csv.lines().skip(1).map(|row| row.split_once(',').and_then(parsed)).collect::<Option<_>>()?;
        let first_day = rows.iter().position(|(day, _)| day.starts_with(FIRST_DAY))?;
        Some(Record { days_m3s: rows.into_iter().map(|row| row.1).collect(), first_day, first_day_of_year: 237.0 })
    }

    /// Between two days' means, linearly; after the last day the record begins again.
    fn discharge_m3s(&self, day: f64) -> f64 {
        let days = self.days_m3s.len();
        let index = day.floor().max(0.0) as usize;
        let (from, to) = (self.days_m3s[index % days], self.days_m3s[(index + 1) % days]);
        from + (to - from) * (day - day.floor())
    }
}

fn parsed<'a>((label, number): (&'a str, &str)) -> Option<(&'a str, f64)> {
    Some((label, number.parse().ok()?))
}

/// The points of a curve: two columns under one heading, the first one rising.
pub(crate) fn read_points(csv: &str) -> Option<Vec<(f64, f64)>> {
    let points: Vec<(f64, f64)> = csv
        .lines()
        .skip(1)
        .map(|row| row.split_once(',').and_then(|(d, v)| Some((d.parse().ok()?, v.trim().parse().ok()?))))
        .collect::<Option<_>>()?;
    (points.len() >= 2 && points.is_sorted_by(|a, b| a.0 < b.0)).then_some(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn river(seed: u64, speed: f64) -> River {
        River::tanana(Noise::new(seed), speed)
    }

    #[test]
    fn the_record_is_whole() {
        assert_eq!(RECORD.days_m3s.len(), 3_649);
        assert_eq!(RECORD.first_day, 1_025);
        assert!(RECORD.days_m3s.iter().all(|d| (170.0..3_000.0).contains(d)));
    }

    #[test]
    fn the_rating_goes_through_its_points_and_on() {
        for (discharge_m3s, expected_mps) in [
            (515.0, 1.05),
            (645.0, 1.25),
            (1_240.0, 1.8),
            (2_917.0, 2.9),
            (747.5, 1.375),
            (455.0, 1.0),
            (0.0, 0.620_833),
        ] {
            let got = speed_mps(&RATING, discharge_m3s);
            assert!((got - expected_mps).abs() < 1e-6, "{discharge_m3s}: {got}");
        }
    }

    #[test]
    fn a_site_begins_with_the_first_day_and_its_clock_can_run_faster() {
        let first = river(1, 1.0).water_at(0.0);
        assert!((first.discharge_m3s - 1_863.248).abs() < 0.001, "{first:?}");
        let day_later = river(1, 86_400.0).water_at(1.0);
        assert_eq!(day_later.discharge_m3s, river(1, 1.0).water_at(86_400.0).discharge_m3s);
        assert_ne!(day_later.discharge_m3s, first.discharge_m3s);
    }

    #[test]
    fn a_seed_repeats_the_water_and_another_one_does_not() {
        assert_eq!(river(5, 1.0).water_at(4_321.1), river(5, 1.0).water_at(4_321.1));
        assert_ne!(river(5, 1.0).water_at(4_321.1).rotor_mps, river(6, 1.0).water_at(4_321.1).rotor_mps);
    }

    #[test]
    fn the_record_begins_again_after_its_end() {
        let water = river(1, 86_400.0).water_at(3_649.0);
        assert!((water.discharge_m3s - 1_863.248).abs() < 0.001, "{water:?}");
    }

    #[test]
    fn the_river_is_cold_in_january_and_mild_in_july() {
        for (day, expected_c) in [(15.0, 0.0), (201.0, 13.0), (365.25 + 15.0, 0.0)] {
            assert!((seasonal_temperature_c(day) - expected_c).abs() < 0.1, "day {day}");
        }
    }
}
