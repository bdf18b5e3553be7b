//! `battery-1`: a Victron GX device, system service, unit 100.
//!
//! dbus_modbustcp `attributes.csv`; addresses as sent; FC3 and FC4 answer alike; positive
//! battery current and power charge.

use super::image::Image;
use crate::site::Conditions;

const STATE_IDLE: u16 = 0;
const STATE_CHARGING: u16 = 1;
const STATE_DISCHARGING: u16 = 2;

pub(super) fn registers(now: &Conditions) -> Image {
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
