//! The turbine's fixed properties, its power curve, and how its housing shakes.
//!
//! A cross-flow machine of 25 kW, 3.4 m × 2.2 m. P = ½ ρ A U³ Cp η; tip speed ratio λ = ω R / U
//! (MHKiT, `river.performance`). Cp(λ): tow tank of the DOE Reference Model 2, peak 0.355 at λ 3.1
//! (Bachant et al. 2016, doi 10.6084/m9.figshare.1373899).

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::river::read_points;

const WATER_DENSITY_KG_M3: f64 = 1000.0;
const STANDARD_GRAVITY_MPS2: f64 = 9.806_65;
/// Torque coefficient of the small Savonius rotor on the shaft, standing; nothing is left of it at
/// [`STARTER_ENDS_AT`]. Without it a cross-flow rotor does not start by itself.
const STARTER_TORQUE: f64 = 0.06;
const STARTER_ENDS_AT: f64 = 2.0;

static POWER_CURVE: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| {
    read_points(include_str!("../data/unh_rm2_cp_1.0mps.csv"))
        .expect("the embedded power curve is well formed: a test reads it")
});

/// A turbine's fixed properties.
#[derive(Debug, Clone, Copy)]
pub struct Turbine {
    /// Projected capture area, m².
    pub area_m2: f64,
    /// Rotor diameter, m.
    pub diameter_m: f64,
    /// Moment of inertia at the rotor's shaft, kg m².
    pub inertia_kgm2: f64,
    /// From this water speed on a standing rotor is let go, m/s.
    pub cut_in_mps: f64,
    /// Below this water speed a turning rotor is braked, m/s.
    pub stop_mps: f64,
    /// Tip speed ratio that the controller holds up to the rating.
    pub tip_speed_ratio: f64,
    /// Power coefficient at the shaft, at that ratio.
    pub power_coefficient: f64,
    /// Generator and rectifier: DC power over shaft power.
    pub generator_efficiency: f64,
    /// Inverter: AC power over DC power.
    pub inverter_efficiency: f64,
    /// Exported power is held here, W.
    pub rated_power_w: f64,
}

/// The turbine of the demo. Its inertia is an estimate: three blades and their struts, 350 kg at the
/// rim, 1,000; the water that they drag along, 900; a generator of 0.5 kg m² behind a gear of 1:40, 800.
pub const TURBINE: Turbine = Turbine {
    area_m2: 3.4 * 2.2,
    diameter_m: 3.4,
    inertia_kgm2: 2_700.0,
    cut_in_mps: 0.9,
    stop_mps: 0.75,
    tip_speed_ratio: 3.1,
    power_coefficient: 0.355,
    generator_efficiency: 0.92,
    inverter_efficiency: 0.95,
    rated_power_w: 25_000.0,
};

impl Turbine {
    /// Water speed at which the rated power is reached, m/s.
    pub fn rated_mps(&self) -> f64 {
        (self.rated_power_w / self.exported_w(1.0)).cbrt()
    }

    /// Rotor speed at the rating, rad/s; more water hardly turns it faster.
    pub fn rated_radps(&self) -> f64 {
        self.best_radps(self.rated_mps())
    }

    /// Rotor speed at the rating, 1/min.
    pub fn rated_rpm(&self) -> f64 {
        rpm(self.rated_radps())
    }

    /// Rotor speed at the best tip speed ratio, rad/s.
    pub fn best_radps(&self, water_mps: f64) -> f64 {
        self.tip_speed_ratio * water_mps / self.radius_m()
    }

    /// Tip speed ratio of a rotor that turns at `speed_radps`.
    pub fn ratio(&self, speed_radps: f64, water_mps: f64) -> f64 {
        speed_radps * self.radius_m() / water_mps
    }

    /// Torque of the water on a rotor that turns at `speed_radps`, N m.
    pub fn water_torque_nm(&self, speed_radps: f64, water_mps: f64) -> f64 {
        const STILL_MPS: f64 = 0.01;
        if water_mps < STILL_MPS {
            return 0.0;
        }
        let ratio = self.ratio(speed_radps, water_mps);
        let starter = STARTER_TORQUE * (1.0 - ratio / STARTER_ENDS_AT).max(0.0);
        let coefficient = torque_coefficient(ratio) + starter;
        0.5 * WATER_DENSITY_KG_M3 * self.area_m2 * self.radius_m() * water_mps.powi(2) * coefficient
    }

    /// What the controller's torque is of the square of the rotor speed, N m s²: so much that the
    /// rotor settles at the best tip speed ratio.
    pub fn torque_per_square(&self) -> f64 {
        let best = self.power_coefficient / self.tip_speed_ratio.powi(3);
        0.5 * WATER_DENSITY_KG_M3 * self.area_m2 * self.radius_m().powi(3) * best
    }

    /// Exported at the best tip speed ratio, W, without regard to limits.
    fn exported_w(&self, water_mps: f64) -> f64 {
        let available_w = 0.5 * WATER_DENSITY_KG_M3 * self.area_m2 * water_mps.powi(3);
        available_w * self.power_coefficient * self.generator_efficiency * self.inverter_efficiency
    }

    fn radius_m(&self) -> f64 {
        self.diameter_m / 2.0
    }
}

/// rad/s to 1/min.
pub fn rpm(speed_radps: f64) -> f64 {
    speed_radps * 30.0 / PI
}

/// Cp / λ: straight lines of Cp between the points, from nought to the first, the last one prolonged.
fn torque_coefficient(ratio: f64) -> f64 {
    let curve = &*POWER_CURVE;
    let (first, last) = (curve[0], curve.len() - 1);
    if ratio <= first.0 {
        return first.1 / first.0;
    }
    let upper = curve.iter().position(|point| point.0 >= ratio).unwrap_or(last);
    let ((l0, c0), (l1, c1)) = (curve[upper - 1], curve[upper]);
    (c0 + (c1 - c0) * (ratio - l0) / (l1 - l0)) / ratio
}

/// Vibration of the generator's housing along one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vibration {
    /// Speed, mm/s RMS, 10 to 1000 Hz.
    pub velocity_mmps: f64,
    /// Acceleration, g RMS: that of a sine of this speed and frequency.
    pub acceleration_g: f64,
    /// Frequency of the strongest component, Hz.
    pub frequency_hz: f64,
}

impl Vibration {
    /// Grows with the square of the rotor speed, as imbalance does, to `rated_mmps` at the rating
    /// (0.9 is good, zone A of ISO 10816-1 class II ends at 1.12); `noise` in [-1, 1] moves it by
    /// 15 %. The strongest component is the fast shaft's, behind a gear of 1:40.
    pub fn of(turbine: &Turbine, rotor_rpm: f64, rated_mmps: f64, noise: f64) -> Vibration {
        const SENSOR_FLOOR_MMPS: f64 = 0.05;
        const GEAR: f64 = 40.0;
        let share = rotor_rpm / turbine.rated_rpm();
        let velocity_mmps = (SENSOR_FLOOR_MMPS + rated_mmps * share * share) * (1.0 + 0.15 * noise);
        let frequency_hz = rotor_rpm / 60.0 * GEAR;
        let acceleration_mps2 = 2.0 * PI * frequency_hz * velocity_mmps / 1000.0;
        Vibration { velocity_mmps, acceleration_g: acceleration_mps2 / STANDARD_GRAVITY_MPS2, frequency_hz }
    }

    /// The same, so many times as strong.
    pub fn times(self, factor: f64) -> Vibration {
        Vibration {
            velocity_mmps: self.velocity_mmps * factor,
            acceleration_g: self.acceleration_g * factor,
            frequency_hz: self.frequency_hz,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_power_curve_is_that_of_the_tow_tank() {
        assert_eq!(POWER_CURVE.len(), 23);
        // The last one prolongs the slope between 4.0 and 4.25.
        for (ratio, expected) in [(1.0, 0.002_05), (2.5, 0.245_7), (3.1, 0.354_6), (4.25, 0.253_1), (4.75, 0.188_5)] {
            let got = torque_coefficient(ratio) * ratio;
            assert!((got - expected).abs() < 0.000_2, "{ratio}: {got}");
        }
        assert!((torque_coefficient(0.0) - 0.002_05).abs() < 0.000_01);
    }

    #[test]
    fn the_rating_is_where_the_cube_of_the_water_gives_the_rated_power() {
        // 0.5 · 1000 · 7.48 · U³ · 0.355 · 0.92 · 0.95 = 1160.41 · U³
        assert!((TURBINE.rated_mps() - 2.782_4).abs() < 0.001, "{}", TURBINE.rated_mps());
        // 60 · 3.1 · U / (π · 3.4)
        assert!((TURBINE.rated_rpm() - 48.451).abs() < 0.01, "{}", TURBINE.rated_rpm());
    }

    #[test]
    fn torque_of_water_and_controller_meet_at_the_best_ratio() {
        for water_mps in [1.0, 2.0, 2.7] {
            let speed_radps = TURBINE.best_radps(water_mps);
            let (water_nm, load_nm) =
                (TURBINE.water_torque_nm(speed_radps, water_mps), TURBINE.torque_per_square() * speed_radps.powi(2));
            assert!((water_nm / load_nm - 1.0).abs() < 0.002, "{water_mps} m/s: {water_nm} against {load_nm}");
            assert!(TURBINE.water_torque_nm(0.0, water_mps) > 300.0, "a standing rotor starts");
        }
    }

    #[test]
    fn vibration_grows_with_the_square_of_the_rotor_speed() {
        let at = |share: f64| Vibration::of(&TURBINE, share * TURBINE.rated_rpm(), 0.9, 0.0);
        assert!((at(0.0).velocity_mmps - 0.05).abs() < 1e-12);
        assert_eq!(at(0.0).acceleration_g, 0.0);
        assert!((at(0.5).velocity_mmps - 0.275).abs() < 1e-12);
        assert!((at(1.0).velocity_mmps - 0.95).abs() < 1e-12);
        assert!((at(1.0).times(2.0).velocity_mmps - 1.9).abs() < 1e-12);
    }
}
