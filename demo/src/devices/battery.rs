//! `battery-1`: a Victron GX device with the system service (unit 100) and a battery on its CAN
//! bus (unit 225).
//!
//! dbus_modbustcp `attributes.csv`; addresses as sent; FC3 and FC4 answer alike; positive
//! battery current and power charge.

use super::image::Image;
use crate::battery::{CAPACITY_AH, CAPACITY_WH};
use crate::site::Conditions;

/// Unit id of the system service.
pub(super) const SYSTEM_UNIT: u8 = 100;
/// Unit id of the battery service: a CAN-bus BMS.
pub(super) const BATTERY_UNIT: u8 = 225;

const STATE_IDLE: u16 = 0;
const STATE_CHARGING: u16 = 1;
const STATE_DISCHARGING: u16 = 2;

/// The battery service: one run from 256 to 326, 0 where there is nothing.
pub(super) fn battery(now: &Conditions) -> Image {
    let mut image = Image::default();
    let battery = &now.battery;
    image.words(256, &[0; 71]);
    image.u32(256, (battery.power_w.round() as i32).cast_unsigned());
    image.i16(258, battery.power_w, 1.0);
    image.u16(259, battery.voltage_v, 0.01);
    image.i16(261, battery.current_a, 0.1);
    image.i16(262, now.battery_c, 0.1);
    image.u16(265, battery.consumed_ah, 0.1);
    image.u16(266, battery.level_percent, 0.1);
    image.u16(284, now.discharged_wh / CAPACITY_WH, 1.0);
    image.u16(301, now.discharged_wh, 100.0);
    image.u16(302, now.charged_wh, 100.0);
    image.u16(303, battery.time_to_go_s.unwrap_or(0.0), 100.0);
    image.u16(305, 56.0, 0.1);
    image.u16(307, 200.0, 0.1);
    image.u16(308, 200.0, 0.1);
    image.u16(309, CAPACITY_AH, 0.1);
    image
}

/// The system service.
pub(super) fn system(now: &Conditions) -> Image {
    let mut image = Image::default();
    let battery = &now.battery;
    image.text(800, 6, "virtualgx001");
    image.words(806, &[0, 0]);
    for phase in 0..3 {
        image.u16(817 + phase, now.balance.load_w / 3.0, 1.0);
        image.i16(820 + phase, now.balance.grid_w / 3.0, 1.0);
        image.i16(823 + phase, 0.0, 1.0);
        image.u32(914 + 2 * phase, 0);
    }
    image.u16(840, battery.voltage_v, 0.1);
    image.i16(841, battery.current_a, 0.1);
    image.i16(842, battery.power_w, 1.0);
    image.u16(843, battery.level_percent, 1.0);
    image.words(844, &[state(battery.power_w)]);
    // The table's scale is -10: the register is positive, the value negative.
    image.u16(845, battery.consumed_ah, 0.1);
    image.u16(846, battery.time_to_go_s.unwrap_or(0.0), 100.0);
    image
}

fn state(power_w: f64) -> u16 {
    if power_w > 0.0 {
        STATE_CHARGING
    } else if power_w < 0.0 {
        STATE_DISCHARGING
    } else {
        STATE_IDLE
    }
}
