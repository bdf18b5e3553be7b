//! `turbine-1`: a SunSpec inverter behind the rectified generator.
//!
//! Marker at 40000, model 1 (common, length 66), model 103 (three phase, integers with scale
//! factors), end. Offsets: sunspec/models, `model_1.json`, `model_103.json`.

use super::image::Image;
use crate::site::Conditions;
use crate::turbine::TURBINE;

const MARKER: u16 = 40_000;
const COMMON: u16 = 40_002;
const INVERTER: u16 = 40_070;
const END: u16 = 40_122;

/// What an optional register says that the device does not have.
const NO_U16: u16 = 0xFFFF;
const NO_I16: u16 = 0x8000;

const STATE_SLEEPING: u16 = 2;
const STATE_TRACKING: u16 = 4;
const STATE_THROTTLED: u16 = 5;

pub(super) fn holding(now: &Conditions) -> Image {
    let mut image = Image::default();
    image.text(MARKER, 2, "SunS");
    common(&mut image);
    inverter(&mut image, now);
    image.words(END, &[0xFFFF, 0]);
    image
}

fn common(image: &mut Image) {
    image.words(COMMON, &[1, 66]);
    image.text(COMMON + 2, 16, "RiverWatts");
    image.text(COMMON + 18, 16, "virtual turbine 25 kW");
    image.text(COMMON + 34, 8, "");
    image.text(COMMON + 42, 8, env!("CARGO_PKG_VERSION"));
    image.text(COMMON + 50, 16, "VIRTUAL-TURBINE-1");
    image.words(COMMON + 66, &[1, NO_I16]);
}

fn inverter(image: &mut Image, now: &Conditions) {
    let at = |offset: u16| INVERTER + offset;
    let exponent = |exponent: i16| exponent as u16;
    let supply = &now.inverter;
    image.words(at(0), &[103, 50]);
    // Currents in 0.01 A: the total, then each phase.
    image.u16(at(2), supply.current_a.iter().sum(), 0.01);
    for (offset, &current_a) in (3..).zip(&supply.current_a) {
        image.u16(at(offset), current_a, 0.01);
    }
    image.words(at(6), &[exponent(-2)]);
    // Voltages in 0.1 V: between the phases, then each to neutral.
    for (offset, &voltage_v) in (7..).zip(supply.line_voltage_v().iter().chain(&supply.voltage_v)) {
        image.u16(at(offset), voltage_v, 0.1);
    }
    image.words(at(13), &[exponent(-1)]);
    image.i16(at(14), now.output.power_w, 1.0);
    image.words(at(15), &[exponent(0)]);
    image.u16(at(16), supply.frequency_hz, 0.01);
    image.words(at(17), &[exponent(-2)]);
    image.i16(at(18), supply.apparent_va.iter().sum(), 1.0);
    image.words(at(19), &[exponent(0)]);
    image.i16(at(20), supply.reactive_var.iter().sum(), 1.0);
    image.words(at(21), &[exponent(0)]);
    image.i16(at(22), 100.0 * supply.power_factor, 0.1);
    image.words(at(23), &[exponent(-1)]);
    // A 32-bit counter that begins again after 2^32 Wh.
    image.u32(at(24), now.generated_wh as u64 as u32);
    image.words(at(26), &[exponent(0)]);
    let dc_voltage_v = dc_voltage_v(now.output.rotor_rpm);
    let dc_current_a = if dc_voltage_v > 0.0 { now.output.dc_power_w / dc_voltage_v } else { 0.0 };
    image.u16(at(27), dc_current_a, 0.01);
    image.words(at(28), &[exponent(-2)]);
    image.u16(at(29), dc_voltage_v, 0.1);
    image.words(at(30), &[exponent(-1)]);
    image.i16(at(31), now.output.dc_power_w, 1.0);
    image.words(at(32), &[exponent(0)]);
    image.i16(at(33), now.cabinet_c, 0.1);
    image.i16(at(34), now.heatsink_c, 0.1);
    image.words(at(35), &[NO_I16]);
    image.i16(at(36), now.generator_c, 0.1);
    image.words(at(37), &[exponent(-1)]);
    image.words(at(38), &[state(now.output.power_w), NO_U16]);
    image.words(at(40), &[0; 4]);
    image.words(at(44), &[NO_U16; 8]);
}

/// The rectified voltage of a permanent-magnet generator follows its speed; 560 V at the rating.
fn dc_voltage_v(rotor_rpm: f64) -> f64 {
    560.0 * rotor_rpm / TURBINE.rated_rpm()
}

fn state(power_w: f64) -> u16 {
    if power_w <= 0.0 {
        STATE_SLEEPING
    } else if power_w < TURBINE.rated_power_w {
        STATE_TRACKING
    } else {
        STATE_THROTTLED
    }
}
