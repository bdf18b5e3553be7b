//! The whole site at one time: water, turbine, grid and battery, and the counters behind them.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use riverwatts_shared::time::Clock;

use crate::battery::{Balance, Battery, CAPACITY_WH};
use crate::noise::{Noise, Stream};
use crate::river::{River, Water};
use crate::supply::Supply;
use crate::turbine::{Output, TURBINE, Vibration};

/// All instruments answer for the same instant within this time, so that their values belong together.
const TICK_MS: u128 = 100;
/// Counters move once a second; when they are further behind than [`CATCH_UP_S`], once a minute.
const CATCH_UP_S: u64 = 3_600;
const CATCH_UP_STEP_S: u64 = 60;
/// What the counters showed when the site began, Wh.
const GENERATED_BEFORE_WH: f64 = 42_118_000.0;
const CHARGED_BEFORE_WH: f64 = 1_312_000.0;
const DISCHARGED_BEFORE_WH: f64 = 1_247_000.0;
/// Share of the inverter's power that reaches the meter, at the end of its cable.
const CABLE_EFFICIENCY: f64 = 0.994;

/// Everything that the instruments of the site see at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    pub water: Water,
    pub output: Output,
    /// At the inverter's terminals.
    pub inverter: Supply,
    /// At the meter.
    pub metered: Supply,
    /// Inverter cabinet, °C.
    pub cabinet_c: f64,
    /// Inverter heat sink, °C.
    pub heatsink_c: f64,
    /// Generator housing, °C.
    pub generator_c: f64,
    /// Across the housing and along the shaft.
    pub vibration_x: Vibration,
    pub vibration_z: Vibration,
    pub balance: Balance,
    pub battery: Battery,
    /// Counted by the inverter, Wh.
    pub generated_wh: f64,
    /// Counted by the meter, Wh.
    pub metered_wh: f64,
    /// Counted by the battery monitor, Wh.
    pub charged_wh: f64,
    pub discharged_wh: f64,
    /// Battery, °C.
    pub battery_c: f64,
}

/// The laws of the site: pure functions of the time since it began.
#[derive(Debug, Clone)]
pub struct Laws {
    noise: Noise,
    river: River,
}

/// What only the past can tell: one record, moved on by [`Laws::step`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counters {
    /// Seconds since the site began.
    pub time_s: u64,
    pub generated_wh: f64,
    pub metered_wh: f64,
    pub stored_wh: f64,
    pub charged_wh: f64,
    pub discharged_wh: f64,
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            time_s: 0,
            generated_wh: GENERATED_BEFORE_WH,
            metered_wh: GENERATED_BEFORE_WH * CABLE_EFFICIENCY,
            stored_wh: 0.62 * CAPACITY_WH,
            charged_wh: CHARGED_BEFORE_WH,
            discharged_wh: DISCHARGED_BEFORE_WH,
        }
    }
}

impl Laws {
    /// The laws for one seed; `speed` is the river's clock ([`River::tanana`]).
    pub fn new(seed: u64, speed: f64) -> Laws {
        let noise = Noise::new(seed);
        Laws { noise, river: River::tanana(noise, speed) }
    }

    /// All conditions at `time_s`, with the counters as they stand.
    pub fn conditions(&self, time_s: f64, counters: &Counters) -> Conditions {
        let water = self.river.water_at(time_s);
        let output = TURBINE.output(water.rotor_mps);
        let balance = Balance::of(self.load_w(time_s), output.power_w * CABLE_EFFICIENCY, counters.stored_wh);
        // Heat follows the mean water: windings and cabinets are slow, gusts do not show.
        let share = TURBINE.output(water.mean_mps).power_w / TURBINE.rated_power_w;
        let vibration = |stream, rated_mmps| {
            Vibration::of(&TURBINE, output.rotor_rpm, rated_mmps, self.noise.wander(stream, 2.0, time_s))
        };
        Conditions {
            water,
            output,
            inverter: Supply::delivering(output.power_w, &self.noise, time_s),
            metered: Supply::delivering(output.power_w * CABLE_EFFICIENCY, &self.noise, time_s),
            cabinet_c: 18.0 + 14.0 * share,
            heatsink_c: 20.0 + 32.0 * share,
            generator_c: water.temperature_c + 55.0 * share,
            vibration_x: vibration(Stream::VibrationX, 0.7),
            vibration_z: vibration(Stream::VibrationZ, 0.9),
            balance,
            battery: Battery::showing(counters.stored_wh, balance.battery_w),
            generated_wh: counters.generated_wh,
            metered_wh: counters.metered_wh,
            charged_wh: counters.charged_wh,
            discharged_wh: counters.discharged_wh,
            battery_c: 16.0 + 4.0 * balance.battery_w.abs() / CAPACITY_WH,
        }
    }

    /// Moves the counters on by `step_s` seconds, by the power at the middle of the step.
    pub fn step(&self, counters: &mut Counters, step_s: u64) {
        let time_s = counters.time_s as f64 + step_s as f64 / 2.0;
        let power_w = TURBINE.output(self.river.water_at(time_s).rotor_mps).power_w;
        let balance = Balance::of(self.load_w(time_s), power_w * CABLE_EFFICIENCY, counters.stored_wh);
        let generated_wh = power_w * step_s as f64 / 3600.0;
        counters.time_s += step_s;
        counters.generated_wh += generated_wh;
        counters.metered_wh += generated_wh * CABLE_EFFICIENCY;
        counters.stored_wh = balance.stored_after_wh(counters.stored_wh, step_s as f64);
        let battery_wh = balance.battery_w * step_s as f64 / 3600.0;
        counters.charged_wh += (-battery_wh).max(0.0);
        counters.discharged_wh += battery_wh.max(0.0);
    }

    /// What the site consumes, W: a base, the time of day, and people.
    fn load_w(&self, time_s: f64) -> f64 {
        let day = (time_s / 86_400.0 * std::f64::consts::TAU).sin();
        8_000.0 + 2_000.0 * day + 1_500.0 * self.noise.turbulence(Stream::Load, 16.0, time_s)
    }
}

/// A site that lives: its laws, a clock, and the counters up to now.
pub struct Site {
    laws: Laws,
    clock: Arc<dyn Clock>,
    age: Duration,
    now: Mutex<Now>,
}

struct Now {
    tick: u128,
    counters: Counters,
    conditions: Conditions,
}

impl Site {
    /// A site that began `age` before the clock's monotonic zero; its counters are brought up to date at once.
    pub fn new(laws: Laws, clock: Arc<dyn Clock>, age: Duration) -> Site {
        let counters = Counters::default();
        let conditions = laws.conditions(0.0, &counters);
        Site { laws, clock, age, now: Mutex::new(Now { tick: 0, counters, conditions }) }
    }

    /// Its laws, for devices that need no counters.
    pub fn laws(&self) -> &Laws {
        &self.laws
    }

    /// Time since the site began, s, in steps of a tick.
    pub fn time_s(&self) -> f64 {
        (self.tick() * TICK_MS) as f64 / 1000.0
    }

    /// The conditions now; the same for everybody who asks within one tick.
    pub fn now(&self) -> Conditions {
        let tick = self.tick();
        let mut now = self.now.lock().expect("never poisoned: nothing panics inside");
        if tick > now.tick {
            let time_s = (tick * TICK_MS) as f64 / 1000.0;
            while now.counters.time_s < time_s as u64 {
                let behind_s = time_s as u64 - now.counters.time_s;
                let step_s = if behind_s > CATCH_UP_S { CATCH_UP_STEP_S } else { 1 };
                self.laws.step(&mut now.counters, step_s);
            }
            now.conditions = self.laws.conditions(time_s, &now.counters);
            now.tick = tick;
        }
        now.conditions
    }

    fn tick(&self) -> u128 {
        (self.age + self.clock.monotonic()).as_millis() / TICK_MS
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("laws", &self.laws).field("age", &self.age).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::time::{ManualClock, UtcMs};

    use super::*;

    fn site(seed: u64, age: Duration) -> (Site, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(UtcMs(0)));
        (Site::new(Laws::new(seed, 1.0), clock.clone(), age), clock)
    }

    #[test]
    fn a_seed_repeats_the_whole_site() {
        let after_ten_minutes = |seed| {
            let (site, clock) = site(seed, Duration::ZERO);
            clock.advance(Duration::from_secs(600));
            site.now()
        };
        assert_eq!(after_ten_minutes(1), after_ten_minutes(1));
        assert_ne!(after_ten_minutes(1).output, after_ten_minutes(2).output);
    }

    #[test]
    fn asking_often_or_once_gives_the_same_counters() {
        let (asked, clock) = site(1, Duration::ZERO);
        for _ in 0..1_000 {
            clock.advance(Duration::from_millis(330));
            asked.now();
        }
        let (once, clock) = site(1, Duration::ZERO);
        clock.advance(Duration::from_secs(330));
        assert_eq!(asked.now(), once.now());
    }

    #[test]
    fn an_older_site_continues_where_it_would_be() {
        let (young, clock) = site(1, Duration::ZERO);
        clock.advance(Duration::from_secs(1_800));
        let (old, _) = site(1, Duration::from_secs(1_800));
        assert_eq!(old.now(), young.now());
    }

    #[test]
    fn the_counters_are_the_integral_of_the_power() {
        let (site, clock) = site(1, Duration::ZERO);
        let before = site.now();
        let mut sum_wh = 0.0;
        for _ in 0..3_600 {
            clock.advance(Duration::from_secs(1));
            sum_wh += site.now().output.power_w / 3600.0;
        }
        let counted_wh = site.now().generated_wh - before.generated_wh;
        assert!(sum_wh > 5_000.0 && (counted_wh / sum_wh - 1.0).abs() < 0.005, "{counted_wh} against {sum_wh}");
        let metered_wh = site.now().metered_wh - before.metered_wh;
        assert!((metered_wh / counted_wh - CABLE_EFFICIENCY).abs() < 1e-6);
    }

    #[test]
    fn all_values_of_one_tick_belong_together() {
        let (site, clock) = site(4, Duration::ZERO);
        for _ in 0..500 {
            clock.advance(Duration::from_millis(2_700));
            let now = site.now();
            let inverter_w: f64 = now.inverter.power_w.iter().sum();
            assert!((inverter_w - now.output.power_w).abs() < 1e-6);
            let balance = now.balance;
            let sources_w = now.metered.power_w.iter().sum::<f64>() + balance.battery_w + balance.grid_w;
            assert!((sources_w - balance.load_w).abs() < 1e-6, "{now:?}");
            assert_eq!(now, site.now());
        }
    }
}
