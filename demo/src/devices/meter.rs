//! `meter-1`: an Eastron SDM630 at the end of the inverter's cable, wired so that power
//! delivered by the turbine counts as import and is positive.
//!
//! Input registers, floats, high word first: mbmd `meters/rs485/sdm.go`, PDU = 3xxxx − 30001.
//! Masters read the first 80 in one request, so the reserved ones among them answer, with 0.

use super::image::Image;
use crate::site::Conditions;

pub(super) fn input(now: &Conditions) -> Image {
    let mut image = Image::default();
    let supply = &now.metered;
    image.words(0, &[0; 80]);
    let total = |phases: &[f64; 3]| phases.iter().sum::<f64>();
    let factors = [supply.power_factor; 3];
    let angle_deg = supply.power_factor.acos().to_degrees();
    let angles_deg = [angle_deg; 3];
    for (address, phases) in [
        (0, &supply.voltage_v),
        (6, &supply.current_a),
        (12, &supply.power_w),
        (18, &supply.apparent_va),
        (24, &supply.reactive_var),
        (30, &factors),
        (36, &angles_deg),
    ] {
        for (address, &value) in (address..).step_by(2).zip(phases) {
            image.f32(address, value);
        }
    }
    image.f32(42, total(&supply.voltage_v) / 3.0);
    image.f32(46, total(&supply.current_a) / 3.0);
    image.f32(48, total(&supply.current_a));
    image.f32(52, total(&supply.power_w));
    image.f32(56, total(&supply.apparent_va));
    image.f32(60, total(&supply.reactive_var));
    image.f32(62, supply.power_factor);
    image.f32(66, angle_deg);
    image.f32(70, supply.frequency_hz);
    let energy_kwh = now.metered_wh / 1000.0;
    // At a steady power factor of 0.99, reactive energy is tan(acos 0.99) of the active one.
    let reactive_kvarh = energy_kwh * 0.142_49;
    for (address, value) in [(72, energy_kwh), (74, 0.0), (76, reactive_kvarh), (78, 0.0)] {
        image.f32(address, value);
    }
    for (phase, thd_percent) in [1.4, 1.6, 1.5].into_iter().enumerate() {
        image.f32(234 + 2 * phase as u16, thd_percent);
    }
    image.f32(342, energy_kwh);
    image.f32(344, reactive_kvarh);
    for phase in 0..3 {
        image.f32(346 + 2 * phase, energy_kwh / 3.0);
        image.f32(352 + 2 * phase, 0.0);
    }
    image
}
