//! The turbine: water speed to rotor speed, power, heat and vibration, without inertia.
//!
//! A cross-flow machine of 25 kW, 3.4 m × 2.2 m. P = ½ ρ A U³ Cp η; tip speed ratio
//! λ = π D n / U with n in rev/s (MHKiT, `river.performance`). Peak Cp 0.355 at λ 3.1:
//! tow tank of the DOE Reference Model 2 (Bachant et al. 2016, doi 10.6084/m9.figshare.1373899).

use std::f64::consts::PI;

const WATER_DENSITY_KG_M3: f64 = 1000.0;
const STANDARD_GRAVITY_MPS2: f64 = 9.806_65;

/// A turbine's fixed properties.
#[derive(Debug, Clone, Copy)]
pub struct Turbine {
    /// Projected capture area, m².
    pub area_m2: f64,
    /// Rotor diameter, m.
    pub diameter_m: f64,
    /// Below this water speed the rotor stands, m/s.
    pub cut_in_mps: f64,
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

/// The turbine of the demo.
pub const TURBINE: Turbine = Turbine {
    area_m2: 3.4 * 2.2,
    diameter_m: 3.4,
    cut_in_mps: 0.9,
    tip_speed_ratio: 3.1,
    power_coefficient: 0.355,
    generator_efficiency: 0.92,
    inverter_efficiency: 0.95,
    rated_power_w: 25_000.0,
};

/// What the turbine does in water of one speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Output {
    /// Rotor speed, 1/min.
    pub rotor_rpm: f64,
    /// Power of the rectified generator, W.
    pub dc_power_w: f64,
    /// Power that leaves the inverter, W.
    pub power_w: f64,
}

impl Turbine {
    /// Water speed at which the rated power is reached, m/s.
    pub fn rated_mps(&self) -> f64 {
        (self.rated_power_w / self.power_w(1.0)).cbrt()
    }

    /// Rotor speed at the rating, 1/min; more water does not turn it faster.
    pub fn rated_rpm(&self) -> f64 {
        self.rpm(self.rated_mps())
    }

    /// What it does at `water_mps` of undisturbed inflow.
    pub fn output(&self, water_mps: f64) -> Output {
        if water_mps < self.cut_in_mps {
            return Output { rotor_rpm: 0.0, dc_power_w: 0.0, power_w: 0.0 };
        }
        let power_w = self.power_w(water_mps).min(self.rated_power_w);
        Output {
            rotor_rpm: self.rpm(water_mps).min(self.rated_rpm()),
            dc_power_w: power_w / self.inverter_efficiency,
            power_w,
        }
    }

    fn power_w(&self, water_mps: f64) -> f64 {
        let available_w = 0.5 * WATER_DENSITY_KG_M3 * self.area_m2 * water_mps.powi(3);
        available_w * self.power_coefficient * self.generator_efficiency * self.inverter_efficiency
    }

    fn rpm(&self, water_mps: f64) -> f64 {
        60.0 * self.tip_speed_ratio * water_mps / (PI * self.diameter_m)
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_follows_the_cube_of_the_speed_up_to_the_rating() {
        // 0.5 · 1000 · 7.48 · U³ · 0.355 · 0.92 · 0.95 = 1160.41 · U³
        for (water_mps, expected_w) in [
            (0.0, 0.0),
            (0.899, 0.0),
            (0.9, 845.9),
            (1.0, 1_160.4),
            (2.0, 9_283.3),
            (2.7, 22_840.3),
            (2.8, 25_000.0),
            (4.0, 25_000.0),
        ] {
            let got = TURBINE.output(water_mps);
            assert!((got.power_w - expected_w).abs() < 0.1, "{water_mps} m/s: {got:?}");
            assert!((got.dc_power_w * 0.95 - got.power_w).abs() < 1e-9);
        }
    }

    #[test]
    fn the_rotor_keeps_its_tip_speed_ratio_and_stops_at_the_rated_speed() {
        // 60 · 3.1 · U / (π · 3.4)
        for (water_mps, expected_rpm) in [(0.8, 0.0), (1.0, 17.413), (2.0, 34.827)] {
            assert!((TURBINE.output(water_mps).rotor_rpm - expected_rpm).abs() < 0.001, "{water_mps} m/s");
        }
        assert_eq!(TURBINE.output(3.0).rotor_rpm, TURBINE.rated_rpm());
        assert!((TURBINE.rated_mps() - 2.782_4).abs() < 0.001, "{}", TURBINE.rated_mps());
    }

    #[test]
    fn vibration_grows_with_the_square_of_the_rotor_speed() {
        let at = |share: f64| Vibration::of(&TURBINE, share * TURBINE.rated_rpm(), 0.9, 0.0);
        assert!((at(0.0).velocity_mmps - 0.05).abs() < 1e-12);
        assert_eq!(at(0.0).acceleration_g, 0.0);
        assert!((at(0.5).velocity_mmps - 0.275).abs() < 1e-12);
        assert!((at(1.0).velocity_mmps - 0.95).abs() < 1e-12);
    }
}
