//! The rotor in motion: J dω/dt = torque of the water − torque of the generator, and the drive that
//! brakes it, lets it go, and loads it.

use crate::turbine::{Turbine, rpm};

/// A freed rotor is loaded from this share of the best tip speed ratio on.
const LOAD_FROM: f64 = 0.9;
/// Below this tip speed ratio the water no longer carries a loaded rotor: it is freed, to spin up again.
const STALLED_BELOW: f64 = 1.9;
/// Above the rated speed, the torque rises by that of the rating within this share of it. What then
/// holds the power is stall: more water at the same rotor speed finds a smaller coefficient.
const OVERSPEED: f64 = 0.1;
/// Deceleration by the brake, rad/s².
const BRAKE_RADPS2: f64 = 1.0;

/// What the drive does with the rotor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// Too little water: held.
    Braked,
    /// Turning without a load.
    Freed,
    /// The generator takes power.
    Loaded,
}

/// A turning rotor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotor {
    pub speed_radps: f64,
    pub drive: Drive,
}

/// What comes out of the turbine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Output {
    /// Rotor speed, 1/min.
    pub rotor_rpm: f64,
    /// Power of the rectified generator that the inverter takes, W; a resistor burns what is beyond
    /// its rating.
    pub dc_power_w: f64,
    /// Power that leaves the inverter, W.
    pub power_w: f64,
}

impl Rotor {
    /// The rotor as it is when water of this speed has flowed for long.
    pub fn settled(turbine: &Turbine, water_mps: f64) -> Rotor {
        if water_mps < turbine.cut_in_mps {
            return Rotor { speed_radps: 0.0, drive: Drive::Braked };
        }
        let speed_radps = turbine.best_radps(water_mps).min(turbine.rated_radps());
        Rotor { speed_radps, drive: Drive::Loaded }
    }

    /// The rotor `step_s` seconds later; of the water's torque only `share` arrives. Steps of up to
    /// 0.1 s are small against the quarter of a second in which the torque above the rating acts.
    pub fn after(self, turbine: &Turbine, water_mps: f64, share: f64, step_s: f64) -> Rotor {
        let drive = self.next_drive(turbine, water_mps);
        let Rotor { speed_radps, .. } = self;
        let acceleration_radps2 = match drive {
            Drive::Braked => -BRAKE_RADPS2,
            Drive::Freed | Drive::Loaded => {
                let water_nm = share * turbine.water_torque_nm(speed_radps, water_mps);
                (water_nm - load_nm(turbine, speed_radps, drive)) / turbine.inertia_kgm2
            }
        };
        Rotor { speed_radps: (speed_radps + acceleration_radps2 * step_s).max(0.0), drive }
    }

    /// What the turbine gives at this speed of the rotor.
    pub fn output(self, turbine: &Turbine) -> Output {
        let shaft_w = load_nm(turbine, self.speed_radps, self.drive) * self.speed_radps;
        let power_w = (shaft_w * turbine.generator_efficiency * turbine.inverter_efficiency).min(turbine.rated_power_w);
        Output { rotor_rpm: rpm(self.speed_radps), dc_power_w: power_w / turbine.inverter_efficiency, power_w }
    }

    fn next_drive(self, turbine: &Turbine, water_mps: f64) -> Drive {
        let ratio = || turbine.ratio(self.speed_radps, water_mps);
        match self.drive {
            Drive::Braked if water_mps >= turbine.cut_in_mps => Drive::Freed,
            Drive::Freed | Drive::Loaded if water_mps < turbine.stop_mps => Drive::Braked,
            Drive::Freed if ratio() >= LOAD_FROM * turbine.tip_speed_ratio => Drive::Loaded,
            Drive::Loaded if ratio() < STALLED_BELOW && self.speed_radps < turbine.rated_radps() => Drive::Freed,
            unchanged => unchanged,
        }
    }
}

/// Torque of the generator, N m.
fn load_nm(turbine: &Turbine, speed_radps: f64, drive: Drive) -> f64 {
    if drive != Drive::Loaded {
        return 0.0;
    }
    let rated_radps = turbine.rated_radps();
    let beyond = (speed_radps / rated_radps - 1.0).max(0.0) / OVERSPEED;
    turbine.torque_per_square() * (speed_radps.powi(2) + beyond * rated_radps.powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turbine::TURBINE;

    const STEP_S: f64 = 0.1;

    fn after(mut rotor: Rotor, water_mps: f64, seconds: f64) -> Rotor {
        for _ in 0..(seconds / STEP_S) as usize {
            rotor = rotor.after(&TURBINE, water_mps, 1.0, STEP_S);
        }
        rotor
    }

    #[test]
    fn a_settled_rotor_gives_the_cube_of_the_water_up_to_the_rating() {
        for (water_mps, expected_w, expected_rpm) in [
            (0.0, 0.0, 0.0),
            (0.899, 0.0, 0.0),
            (0.9, 845.9, 15.672),
            (1.0, 1_160.4, 17.413),
            (2.0, 9_283.3, 34.827),
            (2.7, 22_840.3, 47.016),
            (4.0, 25_000.0, 48.451),
        ] {
            let settled = Rotor::settled(&TURBINE, water_mps);
            let got = settled.output(&TURBINE);
            assert!((got.power_w - expected_w).abs() < 0.1, "{water_mps} m/s: {got:?}");
            assert!((got.rotor_rpm - expected_rpm).abs() < 0.01, "{water_mps} m/s: {got:?}");
            assert!((got.dc_power_w * 0.95 - got.power_w).abs() < 1e-9);
            let later = after(settled, water_mps, 120.0);
            let moved = (later.speed_radps - settled.speed_radps).abs() / TURBINE.rated_radps();
            assert!(later.drive == settled.drive && moved < 0.03, "{water_mps} m/s: {later:?}");
        }
    }

    #[test]
    fn the_rotor_follows_the_water_late() {
        let before = Rotor::settled(&TURBINE, 2.0);
        let there = Rotor::settled(&TURBINE, 2.2).speed_radps - before.speed_radps;
        let gone = |seconds| (after(before, 2.2, seconds).speed_radps - before.speed_radps) / there;
        assert!((0.2..0.5).contains(&gone(0.5)), "{}", gone(0.5));
        assert!((0.5..0.9).contains(&gone(1.5)), "{}", gone(1.5));
        assert!(gone(10.0) > 0.95, "{}", gone(10.0));
    }

    #[test]
    fn cut_in_and_stop_lie_apart() {
        let standing = Rotor::settled(&TURBINE, 0.0);
        assert_eq!(after(standing, 0.85, 600.0), standing);
        let turning = after(standing, 0.95, 120.0);
        assert_eq!(turning.drive, Drive::Loaded);
        let slower = after(turning, 0.85, 600.0);
        assert!(slower.drive == Drive::Loaded && slower.output(&TURBINE).power_w > 600.0, "{slower:?}");
        assert_eq!(after(slower, 0.7, 10.0), standing);
    }

    #[test]
    fn a_rotor_starts_without_power_and_takes_its_time() {
        let mut rotor = Rotor::settled(&TURBINE, 0.0);
        let mut seconds = 0.0;
        while rotor.drive != Drive::Loaded {
            assert_eq!(rotor.output(&TURBINE).power_w, 0.0);
            rotor = after(rotor, 2.2, STEP_S);
            seconds += STEP_S;
        }
        assert!((3.0..30.0).contains(&seconds), "{seconds} s");
    }

    #[test]
    fn more_water_than_the_rating_turns_it_hardly_faster_and_gives_no_more() {
        let rated = Rotor::settled(&TURBINE, TURBINE.rated_mps());
        for water_mps in [2.9, 3.2, 3.6, 4.0] {
            let flooded = after(rated, water_mps, 60.0);
            assert!(flooded.speed_radps < 1.05 * TURBINE.rated_radps(), "{water_mps} m/s: {flooded:?}");
            let power_w = flooded.output(&TURBINE).power_w;
            assert!(power_w > 0.95 * TURBINE.rated_power_w && power_w <= TURBINE.rated_power_w, "{power_w} W");
        }
    }

    #[test]
    fn a_stalled_rotor_is_freed_and_comes_back() {
        let mut rotor = Rotor { speed_radps: 0.5 * TURBINE.best_radps(2.0), drive: Drive::Loaded };
        rotor = after(rotor, 2.0, STEP_S);
        assert_eq!(rotor.drive, Drive::Freed);
        rotor = after(rotor, 2.0, 60.0);
        assert!((rotor.speed_radps / TURBINE.best_radps(2.0) - 1.0).abs() < 0.02, "{rotor:?}");
    }
}
