//! The virtual instruments: which registers each answers, and what a master hears.

mod battery;
mod image;
mod meter;
mod plain;
mod radar;
mod turbine;
mod vibration;

use std::sync::Arc;

pub use image::Image;
pub use plain::PLAIN_REGISTERS;

use crate::modbus::pdu::{READ_HOLDING, READ_INPUT};
use crate::profiled::Profiled;
use crate::site::Site;

/// What an instrument of the site pretends to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SunSpec inverter.
    Turbine,
    /// Eastron SDM630.
    Meter,
    /// Banner QM42VT2.
    Vibration,
    /// OTT SVR 100.
    Radar,
    /// Victron GX.
    Battery,
    /// Ten plain registers; the number sets it apart from the others.
    Plain(u32),
}

/// The devices of the demo's site, in the order of their ports.
pub const SITE_DEVICES: [Kind; 5] = [Kind::Turbine, Kind::Meter, Kind::Vibration, Kind::Radar, Kind::Battery];

/// How far apart in time plain devices see the river, so that no two show the same.
const PLAIN_SHIFT_S: f64 = 37.0;

impl Kind {
    /// Its id in `edge.toml`.
    pub fn id(self) -> String {
        match self {
            Kind::Turbine => "turbine-1".to_owned(),
            Kind::Meter => "meter-1".to_owned(),
            Kind::Vibration => "vibration-1".to_owned(),
            Kind::Radar => "radar-1".to_owned(),
            Kind::Battery => "battery-1".to_owned(),
            Kind::Plain(number) => format!("plain-{number}"),
        }
    }

    /// Its name for people.
    pub fn title(self) -> String {
        match self {
            Kind::Turbine => "Turbine 1 (virtual)".to_owned(),
            Kind::Meter => "Meter 1 (virtual)".to_owned(),
            Kind::Vibration => "Vibration sensor 1 (virtual)".to_owned(),
            Kind::Radar => "Radar 1 (virtual)".to_owned(),
            Kind::Battery => "Battery 1 (virtual)".to_owned(),
            Kind::Plain(number) => format!("Plain {number} (virtual)"),
        }
    }

    /// The unit ids that it answers to when it stands alone at its address; the first is the
    /// one for `edge.toml`.
    pub fn units(self) -> &'static [u8] {
        match self {
            Kind::Battery => &[battery::BATTERY_UNIT, battery::SYSTEM_UNIT],
            _ => &[1],
        }
    }

    /// Most registers that it answers at once; the SDM630 stops at 40 floats.
    pub fn registers_max(self) -> u16 {
        match self {
            Kind::Meter => 80,
            _ => 125,
        }
    }
}

/// Why a write is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The device does not have the function.
    Function,
    /// Nothing can be written there.
    Address,
    /// Not this value.
    Value,
}

/// One virtual device.
#[derive(Debug, Clone)]
pub struct Device(Source);

/// Where its registers come from.
#[derive(Debug, Clone)]
enum Source {
    Site { kind: Kind, site: Arc<Site> },
    Profile(Arc<Profiled>),
}

impl Device {
    /// A device of this kind that sees what happens at `site`.
    pub fn new(kind: Kind, site: Arc<Site>) -> Device {
        Device(Source::Site { kind, site })
    }

    /// A device made of a profile.
    pub fn of_profile(profiled: Arc<Profiled>) -> Device {
        Device(Source::Profile(profiled))
    }

    /// The unit ids that it answers to when it stands alone at its address, the one for `edge.toml` first.
    pub fn units(&self) -> Vec<u8> {
        match &self.0 {
            Source::Site { kind, .. } => kind.units().to_vec(),
            Source::Profile(profiled) => profiled.units(),
        }
    }

    /// Most registers that it answers at once.
    pub fn registers_max(&self, unit: u8, function: u8) -> u16 {
        match &self.0 {
            Source::Site { kind, .. } => kind.registers_max(),
            Source::Profile(profiled) => profiled.registers_max(unit, function),
        }
    }

    /// Whether it is dead, and answers nothing.
    pub fn is_silent(&self) -> bool {
        matches!(&self.0, Source::Site { kind: Kind::Radar, site } if site.effects().radar_is_silent)
    }

    /// Takes what a master writes from an address on.
    pub fn write(&self, unit: u8, function: u8, at: u16, words: &[u16]) -> Result<(), Refusal> {
        match &self.0 {
            Source::Site { .. } => Err(Refusal::Function),
            Source::Profile(profiled) => profiled.write(unit, function, at, words),
        }
    }

    /// The registers that this function code reads, now; `None` for a function it does not have.
    pub fn registers(&self, unit: u8, function: u8) -> Option<Image> {
        match &self.0 {
            Source::Site { kind, site } => on_site(*kind, site, unit, function),
            Source::Profile(profiled) => profiled.registers(unit, function),
        }
    }
}

/// Only the battery's registers depend on the unit.
fn on_site(kind: Kind, site: &Site, unit: u8, function: u8) -> Option<Image> {
    match (kind, function) {
        (Kind::Turbine, READ_HOLDING) => Some(turbine::holding(&site.now())),
        (Kind::Meter, READ_INPUT) => Some(meter::input(&site.now())),
        (Kind::Vibration, READ_HOLDING) => Some(vibration::holding(&site.now())),
        (Kind::Radar, READ_HOLDING) => Some(radar::holding(&site.now())),
        (Kind::Battery, READ_HOLDING | READ_INPUT) if unit == battery::SYSTEM_UNIT => {
            Some(battery::system(&site.now()))
        }
        (Kind::Battery, READ_HOLDING | READ_INPUT) => Some(battery::battery(&site.now())),
        (Kind::Plain(number), READ_HOLDING) => {
            let time_s = site.time_s() + f64::from(number) * PLAIN_SHIFT_S;
            let laws = site.laws();
            Some(plain::holding(&laws.conditions(time_s, &laws.beginning(time_s))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use riverwatts_shared::time::{ManualClock, UtcMs};

    use super::*;
    use crate::site::{Conditions, Laws};

    /// Conditions with hand-chosen values wherever a register shows one.
    fn conditions() -> Conditions {
        let laws = Laws::new(1, 1.0);
        let mut now = laws.conditions(0.0, &laws.beginning(0.0));
        now.output.power_w = 12_345.0;
        now.output.dc_power_w = 12_995.0;
        now.output.rotor_rpm = crate::turbine::TURBINE.rated_rpm() / 2.0;
        now.inverter.voltage_v = [277.0, 276.5, 277.34];
        now.inverter.current_a = [15.0, 14.9, 14.85];
        now.inverter.frequency_hz = 59.98;
        now.inverter.power_factor = 0.99;
        now.metered.voltage_v = [277.0, 276.5, 277.25];
        now.metered.power_w = [4_000.0, 4_100.0, 4_145.5];
        now.metered_wh = 41_865_500.0;
        now.generated_wh = 42_118_000.0;
        now.cabinet_c = 24.96;
        now.generator_c = -1.28;
        now.vibration_z.velocity_mmps = 0.95;
        now.water.surface_mps = 2.5;
        now.water.surface_averaged_mps = 2.4004;
        now.battery.voltage_v = 51.44;
        now.battery.current_a = -77.75;
        now.battery.power_w = -3_999.5;
        now.battery.level_percent = 61.6;
        now.battery.consumed_ah = 296.88;
        now.battery.time_to_go_s = Some(18_000.0);
        now
    }

    #[track_caller]
    fn check(image: &Image, address: u16, expected: &[u16]) {
        assert_eq!(image.read(address, expected.len() as u16).as_deref(), Some(expected), "at {address}");
    }

    #[test]
    fn the_turbine_is_a_chain_of_sunspec_models() {
        let image = turbine::holding(&conditions());
        check(&image, 40_000, &[0x5375, 0x6E53, 1, 66]);
        check(&image, 40_004, &[0x5269, 0x7665, 0x7257, 0x6174, 0x7473, 0]); // "RiverWatts"
        check(&image, 40_020, &[0x7669, 0x7274, 0x7561, 0x6C20]); // "virtual "
        check(&image, 40_070, &[103, 50]);
        check(&image, 40_072, &[4_475, 1_500, 1_490, 1_485, 0xFFFE]);
        check(&image, 40_080, &[2_770, 2_765, 2_773, 0xFFFF]);
        check(&image, 40_084, &[12_345, 0, 5_998, 0xFFFE]);
        check(&image, 40_092, &[990, 0xFFFF]);
        check(&image, 40_094, &[0x0282, 0xAB70, 0]);
        check(&image, 40_097, &[4_641, 0xFFFE, 2_800, 0xFFFF, 12_995, 0]);
        check(&image, 40_103, &[250]);
        check(&image, 40_106, &[0xFFF3, 0xFFFF, 4, 0xFFFF]);
        check(&image, 40_110, &[0, 0, 0, 0, 0xFFFF]);
        check(&image, 40_122, &[0xFFFF, 0]);
        assert_eq!(image.read(40_123, 2), None);
        assert_eq!(image.read(0, 1), None);
    }

    #[test]
    fn the_meter_speaks_in_floats() {
        let image = meter::input(&conditions());
        check(&image, 0, &[0x438A, 0x8000, 0x438A, 0x4000, 0x438A, 0xA000]); // 277, 276.5, 277.25
        check(&image, 12, &[0x457A, 0x0000]); // 4000
        check(&image, 52, &[0x463F, 0x5600]); // 12245.5
        check(&image, 72, &[0x4723, 0x8980, 0, 0]); // 41865.5
        check(&image, 342, &[0x4723, 0x8980]);
        assert!(image.read(0, 80).is_some() && image.read(80, 2).is_none());
    }

    #[test]
    fn the_vibration_sensor_shows_inches_beside_millimetres() {
        let image = vibration::holding(&conditions());
        check(&image, 5200, &[374, 950]); // 0.0374 in/s, 0.950 mm/s
        check(&image, 5202, &[2_970, 0xFF80]); // 29.70 °F, -1.28 °C
        assert!(image.read(5200, 22).is_some());
        assert_eq!(image.read(5222, 1), None);
    }

    #[test]
    fn the_radar_shows_the_surface_in_millimetres_a_second() {
        let image = radar::holding(&conditions());
        check(&image, 0, &[1, 0, 0, 2_500, 2_400, 45, 0, 64, 0, 0, 80, 1_200, 0, 451, 4, 4]);
        assert_eq!(image.read(16, 1), None);
    }

    #[test]
    fn the_battery_counts_charging_as_positive() {
        let image = battery::system(&conditions());
        check(&image, 800, &[0x7669, 0x7274, 0x7561, 0x6C67, 0x7830, 0x3031]); // "virtualgx001"
        check(&image, 840, &[514, 0xFCF6, 0xF060, 62, 2, 2_969, 180]); // -77.8 A, -4000 W
        assert_eq!(image.read(847, 1), None);
        let image = battery::battery(&conditions());
        check(&image, 256, &[0xFFFF, 0xF060, 0xF060, 5_144, 0, 0xFCF6]); // -4000 W
        check(&image, 265, &[2_969, 616]);
        check(&image, 301, &[12_470, 13_120, 180]);
        assert!(image.read(256, 71).is_some() && image.read(327, 1).is_none());
    }

    #[test]
    fn plain_devices_differ_and_move() {
        let clock = Arc::new(ManualClock::at(UtcMs(0)));
        let site = Arc::new(Site::new(Laws::new(1, 1.0), clock.clone(), Duration::ZERO));
        let read = |number| {
            let device = Device::new(Kind::Plain(number), site.clone());
            device.registers(1, READ_HOLDING).unwrap().read(0, PLAIN_REGISTERS).unwrap()
        };
        let first = read(1);
        assert_ne!(first, read(2));
        clock.advance(Duration::from_secs(5));
        assert_ne!(first, read(1));
    }
}
