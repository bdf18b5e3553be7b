//! The three phases of the site's small grid: 277 V, 60 Hz, as an instrument on them sees them.

use crate::noise::{Noise, Stream};

const NOMINAL_V: f64 = 277.0;
const NOMINAL_HZ: f64 = 60.0;
/// Power factor while power flows.
const POWER_FACTOR: f64 = 0.99;
/// How far each phase lies off the mean, in voltage and in its share of the power.
const VOLTAGE_UNBALANCE: [f64; 3] = [0.002, -0.003, 0.001];
const POWER_UNBALANCE: [f64; 3] = [0.01, 0.005, -0.015];
/// How far a power of 25 kW lifts the voltage.
const VOLTAGE_LIFT_PER_W: f64 = 0.01 / 25_000.0;

/// Voltages, currents and powers that belong together: S = V I, P = S cos φ, Q² = S² − P².
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Supply {
    /// Line to neutral, V RMS.
    pub voltage_v: [f64; 3],
    /// Phase current, A RMS.
    pub current_a: [f64; 3],
    /// Active power, W; positive when delivered.
    pub power_w: [f64; 3],
    /// Apparent power, VA.
    pub apparent_va: [f64; 3],
    /// Reactive power, var.
    pub reactive_var: [f64; 3],
    /// Active over apparent power; 1 when nothing flows.
    pub power_factor: f64,
    /// Hz.
    pub frequency_hz: f64,
}

impl Supply {
    /// The three phases at a point where `power_w` is delivered.
    pub fn delivering(power_w: f64, noise: &Noise, time_s: f64) -> Supply {
        let level = 1.0 + 0.005 * noise.wander(Stream::Voltage, 30.0, time_s) + VOLTAGE_LIFT_PER_W * power_w;
        let voltage_v = VOLTAGE_UNBALANCE.map(|off| NOMINAL_V * level * (1.0 + off));
        let power_factor = if power_w == 0.0 { 1.0 } else { POWER_FACTOR };
        let power_w = POWER_UNBALANCE.map(|off| power_w / 3.0 * (1.0 + off));
        let apparent_va = power_w.map(|power_w| power_w.abs() / power_factor);
        Supply {
            voltage_v,
            current_a: std::array::from_fn(|phase| apparent_va[phase] / voltage_v[phase]),
            power_w,
            apparent_va,
            reactive_var: apparent_va.map(|apparent_va| apparent_va * (1.0 - power_factor * power_factor).sqrt()),
            power_factor,
            frequency_hz: NOMINAL_HZ + 0.03 * noise.wander(Stream::Frequency, 8.0, time_s),
        }
    }

    /// Line to line, V RMS: AB, BC, CA, the phases 120° apart.
    pub fn line_voltage_v(&self) -> [f64; 3] {
        let [a, b, c] = self.voltage_v;
        [(a, b), (b, c), (c, a)].map(|(x, y)| (x * x + y * y + x * y).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_voltage_and_current_belong_together() {
        for power_w in [0.0, 845.0, 12_000.0, 25_000.0] {
            let supply = Supply::delivering(power_w, &Noise::new(1), 77.0);
            assert!((supply.power_w.iter().sum::<f64>() - power_w).abs() < 1e-6);
            for phase in 0..3 {
                let from_current = supply.voltage_v[phase] * supply.current_a[phase] * supply.power_factor;
                assert!((from_current - supply.power_w[phase]).abs() < 1e-6, "{supply:?}");
                let squares = supply.power_w[phase].powi(2) + supply.reactive_var[phase].powi(2);
                assert!((squares.sqrt() - supply.apparent_va[phase]).abs() < 1e-6, "{supply:?}");
            }
            for line_v in supply.line_voltage_v() {
                assert!((line_v / 3f64.sqrt() / NOMINAL_V - 1.0).abs() < 0.02, "{supply:?}");
            }
        }
    }
}
