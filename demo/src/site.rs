//! The whole site at one time: water, turbine, grid and battery, and the counters behind them.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use riverwatts_shared::time::Clock;

use crate::battery::{Balance, Battery, CAPACITY_WH};
use crate::noise::{Noise, Stream};
use crate::river::{River, Water};
use crate::rotor::{Output, Rotor};
use crate::story::{Effects, Story, Turn};
use crate::supply::Supply;
use crate::turbine::{TURBINE, Vibration};

/// The site moves by this step. All instruments answer for the same instant within it, so that
/// their values belong together.
const TICK_MS: u64 = 100;
const TICK_S: f64 = TICK_MS as f64 / 1000.0;
/// Further back than this the rotor is taken as settled, in steps of a minute: it forgets within
/// seconds, and a site that is weeks old starts at once.
const CATCH_UP_TICKS: u64 = 3_600_000 / TICK_MS;
const CATCH_UP_STEP_TICKS: u64 = 60_000 / TICK_MS;
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

/// The laws of the site: pure functions of the time since it began, and of its past.
#[derive(Debug, Clone)]
pub struct Laws {
    noise: Noise,
    river: River,
    story: Option<Story>,
}

/// What only the past can tell: one record, moved on by [`Laws::step`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Past {
    /// Ticks since the site began.
    pub ticks: u64,
    pub rotor: Rotor,
    pub generated_wh: f64,
    pub metered_wh: f64,
    pub stored_wh: f64,
    pub charged_wh: f64,
    pub discharged_wh: f64,
}

impl Laws {
    /// The laws for one seed; `speed` is the river's clock ([`River::tanana`]).
    pub fn new(seed: u64, speed: f64) -> Laws {
        let noise = Noise::new(seed);
        Laws { noise, river: River::tanana(noise, speed), story: None }
    }

    /// The same, with something happening.
    pub fn with_story(self, story: Story) -> Laws {
        Laws { story: Some(story), ..self }
    }

    /// The past of a site that began at `time_s`, with the rotor settled in the water of that time.
    pub fn beginning(&self, time_s: f64) -> Past {
        Past {
            ticks: 0,
            rotor: Rotor::settled(&TURBINE, self.river.rotor_mps(time_s)),
            generated_wh: GENERATED_BEFORE_WH,
            metered_wh: GENERATED_BEFORE_WH * CABLE_EFFICIENCY,
            stored_wh: 0.62 * CAPACITY_WH,
            charged_wh: CHARGED_BEFORE_WH,
            discharged_wh: DISCHARGED_BEFORE_WH,
        }
    }

    /// All conditions at `time_s`, with this past.
    pub fn conditions(&self, time_s: f64, past: &Past) -> Conditions {
        let effects = self.effects(time_s);
        let mut water = self.river.water_at(time_s);
        water.temperature_c *= 1.0 - effects.ice;
        let output = past.rotor.output(&TURBINE);
        let balance = Balance::of(self.load_w(time_s), output.power_w * CABLE_EFFICIENCY, past.stored_wh);
        // Heat follows the mean water: windings and cabinets are slow, gusts do not show.
        let mean_w = Rotor::settled(&TURBINE, water.mean_mps).output(&TURBINE).power_w;
        let share = mean_w / TURBINE.rated_power_w;
        let vibration = |stream, rated_mmps| {
            let noise = self.noise.wander(stream, 2.0, time_s);
            Vibration::of(&TURBINE, output.rotor_rpm, rated_mmps, noise).times(effects.shaking)
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
            battery: Battery::showing(past.stored_wh, balance.battery_w),
            generated_wh: past.generated_wh,
            metered_wh: past.metered_wh,
            charged_wh: past.charged_wh,
            discharged_wh: past.discharged_wh,
            battery_c: 16.0 + 4.0 * balance.battery_w.abs() / CAPACITY_WH,
        }
    }

    /// Moves the past on by one tick.
    pub fn step(&self, past: &mut Past) {
        let time_s = (past.ticks as f64 + 0.5) * TICK_S;
        let share = self.effects(time_s).torque_share;
        past.rotor = past.rotor.after(&TURBINE, self.river.rotor_mps(time_s), share, TICK_S);
        self.count(past, time_s, 1);
    }

    /// Moves the past on by a minute, the rotor settled in the water at its middle.
    fn stride(&self, past: &mut Past) {
        let time_s = (past.ticks + CATCH_UP_STEP_TICKS / 2) as f64 * TICK_S;
        past.rotor = Rotor::settled(&TURBINE, self.river.rotor_mps(time_s));
        self.count(past, time_s, CATCH_UP_STEP_TICKS);
    }

    /// Counts what the rotor gives for some ticks around `time_s`.
    fn count(&self, past: &mut Past, time_s: f64, ticks: u64) {
        let seconds = ticks as f64 * TICK_S;
        let power_w = past.rotor.output(&TURBINE).power_w;
        let balance = Balance::of(self.load_w(time_s), power_w * CABLE_EFFICIENCY, past.stored_wh);
        let generated_wh = power_w * seconds / 3600.0;
        past.ticks += ticks;
        past.generated_wh += generated_wh;
        past.metered_wh += generated_wh * CABLE_EFFICIENCY;
        past.stored_wh = balance.stored_after_wh(past.stored_wh, seconds);
        let battery_wh = balance.battery_w * seconds / 3600.0;
        past.charged_wh += (-battery_wh).max(0.0);
        past.discharged_wh += battery_wh.max(0.0);
    }

    fn effects(&self, time_s: f64) -> Effects {
        self.story.as_ref().map_or(Effects::NONE, |story| story.effects(time_s))
    }

    /// What the site consumes, W: a base, the time of day, and people.
    fn load_w(&self, time_s: f64) -> f64 {
        let day = (time_s / 86_400.0 * std::f64::consts::TAU).sin();
        8_000.0 + 2_000.0 * day + 1_500.0 * self.noise.turbulence(Stream::Load, 16.0, time_s)
    }
}

/// A site that lives: its laws, a clock, and its past up to now.
pub struct Site {
    laws: Laws,
    clock: Arc<dyn Clock>,
    age: Duration,
    now: Mutex<Now>,
}

struct Now {
    past: Past,
    conditions: Conditions,
}

impl Site {
    /// A site that began `age` before the clock's monotonic zero.
    pub fn new(laws: Laws, clock: Arc<dyn Clock>, age: Duration) -> Site {
        let past = laws.beginning(0.0);
        let conditions = laws.conditions(0.0, &past);
        Site { laws, clock, age, now: Mutex::new(Now { past, conditions }) }
    }

    /// Its laws, for devices that need no past.
    pub fn laws(&self) -> &Laws {
        &self.laws
    }

    /// Time since the site began, s, in steps of a tick.
    pub fn time_s(&self) -> f64 {
        self.ticks() as f64 * TICK_S
    }

    /// What the story does now.
    pub fn effects(&self) -> Effects {
        self.laws.effects(self.time_s())
    }

    /// The first turn of the story after `time_s`.
    pub fn next_turn(&self, time_s: f64) -> Option<Turn> {
        self.laws.story.as_ref()?.next_turn(time_s)
    }

    /// The conditions now; the same for everybody who asks within one tick.
    pub fn now(&self) -> Conditions {
        let ticks = self.ticks();
        let mut now = self.now.lock().expect("never poisoned: nothing panics inside");
        if ticks > now.past.ticks {
            while ticks - now.past.ticks > CATCH_UP_TICKS {
                self.laws.stride(&mut now.past);
            }
            while now.past.ticks < ticks {
                self.laws.step(&mut now.past);
            }
            now.conditions = self.laws.conditions(ticks as f64 * TICK_S, &now.past);
        }
        now.conditions
    }

    fn ticks(&self) -> u64 {
        (self.age + self.clock.monotonic()).as_millis() as u64 / TICK_MS
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
