//! The site over a long time: its values belong together, in every season and in every event.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report; clippy.toml does not reach helpers")]

use std::sync::Arc;
use std::time::Duration;

use riverwatts_demo::battery::CAPACITY_WH;
use riverwatts_demo::site::{Conditions, Laws, Site};
use riverwatts_demo::story::{Event, Story};
use riverwatts_demo::turbine::TURBINE;
use riverwatts_shared::time::{ManualClock, UtcMs};

const SEED: u64 = 11;
const TICK: Duration = Duration::from_millis(100);
/// A year of the river in three hours.
const HOURS: u64 = 3;
const SPEED: f64 = 365.0 * 24.0 / HOURS as f64;
const TICKS_PER_MINUTE: u64 = 600;
/// ½ ρ A Cp η of the whole chain, W s³/m³: power over the cube of the water's speed.
const W_PER_CUBE: f64 = 1_160.41;

/// Conditions at every tick.
fn life(laws: Laws, ticks: u64) -> impl Iterator<Item = Conditions> {
    let clock = Arc::new(ManualClock::at(UtcMs(0)));
    let site = Site::new(laws, clock.clone(), Duration::ZERO);
    (0..ticks).map(move |_| {
        clock.advance(TICK);
        site.now()
    })
}

fn year() -> Vec<Conditions> {
    life(Laws::new(SEED, SPEED), HOURS * 60 * TICKS_PER_MINUTE).collect()
}

fn mean(minute: &[Conditions], of: impl Fn(&Conditions) -> f64) -> f64 {
    minute.iter().map(of).sum::<f64>() / minute.len() as f64
}

#[test]
fn through_a_year_all_values_belong_together() {
    let year = year();
    let (mut carried, mut standing, mut throttled, mut starts) = (0, 0, 0, 0);
    for minute in year.chunks(TICKS_PER_MINUTE as usize) {
        let steady = minute.iter().all(|now| now.output.power_w > 0.0 && now.water.rotor_mps < TURBINE.rated_mps());
        if steady {
            let power_w = mean(minute, |now| now.output.power_w);
            let from_water_w = W_PER_CUBE * mean(minute, |now| now.water.rotor_mps.powi(3));
            assert!((power_w / from_water_w - 1.0).abs() < 0.07, "{power_w} W, the water gives {from_water_w} W");
            carried += 1;
        }
        standing += usize::from(minute.iter().all(|now| now.output.rotor_rpm == 0.0 && now.output.power_w == 0.0));
        throttled += usize::from(minute.iter().any(|now| now.output.power_w == TURBINE.rated_power_w));
    }
    for pair in year.windows(2) {
        let (before, now) = (&pair[0], &pair[1]);
        assert!((0.0..=TURBINE.rated_power_w).contains(&now.output.power_w), "{now:?}");
        assert!(now.output.rotor_rpm < 1.05 * TURBINE.rated_rpm(), "{now:?}");
        let step_rpm = (now.output.rotor_rpm - before.output.rotor_rpm).abs();
        assert!(step_rpm < 1.2, "inertia: {step_rpm} rpm in a tick");
        let imbalance = 0.05 + 0.9 * (now.output.rotor_rpm / TURBINE.rated_rpm()).powi(2);
        assert!((now.vibration_z.velocity_mmps / imbalance - 1.0).abs() < 0.1501, "{now:?}");
        starts += usize::from(before.output.rotor_rpm == 0.0 && now.output.rotor_rpm > 0.0);
    }
    assert!(carried > 60 && standing > 10 && throttled > 3, "{carried} {standing} {throttled} minutes");
    assert!((1..20).contains(&starts), "{starts} starts: the thresholds lie too close together");
}

#[test]
fn through_a_year_the_battery_balances() {
    let year = year();
    let seconds = TICK.as_secs_f64();
    let stored_wh = |now: &Conditions| now.battery.level_percent / 100.0 * CAPACITY_WH;
    let (mut in_wh, mut out_wh) = (0.0, 0.0);
    for now in &year {
        let balance = now.balance;
        let sources_w = now.metered.power_w.iter().sum::<f64>() + balance.battery_w + balance.grid_w;
        assert!((sources_w - balance.load_w).abs() < 1e-6, "{now:?}");
        assert!((9.9..98.1).contains(&now.battery.level_percent), "{now:?}");
        in_wh += (-balance.battery_w).max(0.0) * seconds / 3600.0;
        out_wh += balance.battery_w.max(0.0) * seconds / 3600.0;
    }
    let (first, last) = (year.first().unwrap(), year.last().unwrap());
    let kept_wh = stored_wh(last) - stored_wh(first);
    assert!((kept_wh - (0.96 * in_wh - out_wh)).abs() < 0.002 * in_wh.max(out_wh), "{kept_wh} of {in_wh} − {out_wh}");
    let counted_wh = (last.charged_wh - first.charged_wh, last.discharged_wh - first.discharged_wh);
    assert!((counted_wh.0 / in_wh - 1.0).abs() < 0.01 && (counted_wh.1 / out_wh - 1.0).abs() < 0.01, "{counted_wh:?}");
}

/// Conditions from `before_s` before an event's beginning to `after_s` after it, and the tick at which it begins.
fn around(event: Event, seed: u64, before_s: u64, after_s: u64) -> (Vec<Conditions>, usize) {
    let story = Story::new(seed, 300.0, &[event]);
    let begins = (story.next_turn(0.0).unwrap().at_s * 10.0) as u64;
    let all = life(Laws::new(seed, 1.0).with_story(story), begins + after_s * 10);
    let from = begins - before_s * 10;
    (all.skip(from as usize).collect(), (before_s * 10) as usize)
}

#[test]
fn debris_takes_speed_shakes_the_housing_and_is_shed() {
    for seed in 1..20 {
        let (life, strike) = around(Event::Debris, seed, 10, 60);
        let before = mean(&life[..strike], |now| now.output.rotor_rpm);
        let shaking_before = mean(&life[..strike], |now| now.vibration_z.velocity_mmps);
        let within_5_s = &life[strike..strike + 50];
        let lowest = within_5_s.iter().map(|now| now.output.rotor_rpm).fold(f64::MAX, f64::min);
        let strongest = within_5_s.iter().map(|now| now.vibration_z.velocity_mmps).fold(0.0, f64::max);
        assert!(lowest < 0.8 * before, "seed {seed}: {lowest} of {before} rpm");
        assert!(strongest > 2.0 * shaking_before, "seed {seed}: {strongest} against {shaking_before} mm/s");
        let last = &life[life.len() - 100..];
        let (ratio_before, ratio_after) = (
            before / mean(&life[..strike], |now| now.water.rotor_mps),
            mean(last, |now| now.output.rotor_rpm) / mean(last, |now| now.water.rotor_mps),
        );
        assert!((ratio_after / ratio_before - 1.0).abs() < 0.05, "seed {seed}: {ratio_after} against {ratio_before}");
    }
}

#[test]
fn ice_takes_power_shakes_the_housing_and_cools_the_water() {
    for seed in 1..20 {
        let (life, begins) = around(Event::Ice, seed, 30, 90);
        let yield_of =
            |part: &[Conditions]| mean(part, |now| now.output.power_w) / mean(part, |now| now.water.rotor_mps.powi(3));
        let shaking = |part: &[Conditions]| {
            mean(part, |now| now.vibration_z.velocity_mmps / (now.output.rotor_rpm / TURBINE.rated_rpm()).powi(2))
        };
        let (before, iced) = (&life[..begins], &life[begins + 500..begins + 650]);
        let left = yield_of(iced) / yield_of(before);
        assert!((0.3..0.8).contains(&left), "seed {seed}: {left} of the power");
        assert!(shaking(iced) > 1.8 * shaking(before), "seed {seed}");
        assert!(iced.last().unwrap().water.temperature_c == 0.0 && before[0].water.temperature_c > 5.0);
        assert!(iced.last().unwrap().generator_c < before[0].generator_c - 5.0);
        let after = &life[life.len() - 100..];
        assert!(yield_of(after) / yield_of(before) > 0.85, "seed {seed}: {}", yield_of(after) / yield_of(before));
    }
}
