//! Plain devices for load: ten holding registers from 0 on, each `u16`, that move as a turbine's do.
//!
//! | address | value | unit of the register |
//! |---|---|---|
//! | 0 | power | 1 W |
//! | 1 | voltage | 0.1 V |
//! | 2 | current | 0.01 A |
//! | 3 | frequency | 0.01 Hz |
//! | 4 | efficiency | 0.1 % |
//! | 5 | temperature | 0.1 °C |
//! | 6 | vibration | 0.001 mm/s |
//! | 7 | rotor speed | 0.1 rpm |
//! | 8 | water speed | 0.001 m/s |
//! | 9 | state of charge | 0.1 % |

use super::image::Image;
use crate::site::Conditions;
use crate::turbine::TURBINE;

/// How many registers a plain device has.
pub const PLAIN_REGISTERS: u16 = 10;

pub(super) fn holding(now: &Conditions) -> Image {
    let mut image = Image::default();
    for (address, (value, scale)) in (0..PLAIN_REGISTERS).zip([
        (now.output.power_w, 1.0),
        (now.inverter.voltage_v[0], 0.1),
        (now.inverter.current_a[0], 0.01),
        (now.inverter.frequency_hz, 0.01),
        (100.0 * TURBINE.inverter_efficiency, 0.1),
        (now.generator_c, 0.1),
        (now.vibration_z.velocity_mmps, 0.001),
        (now.output.rotor_rpm, 0.1),
        (now.water.rotor_mps, 0.001),
        (now.battery.level_percent, 0.1),
    ]) {
        image.u16(address, value, scale);
    }
    image
}
