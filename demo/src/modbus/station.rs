//! What stands at one address: one or several devices, told apart by their unit id.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::devices::Device;
use crate::modbus::frame::Request;
use crate::modbus::pdu;

/// Unit ids that a line has for devices.
pub const UNITS: RangeInclusive<u8> = 1..=247;

/// Why devices cannot share an address.
#[derive(Debug, PartialEq, Eq)]
pub enum Crowded {
    /// A further unit id of the device with this index is no device's, or taken by another.
    Unit { index: usize, unit: u8, by: Option<usize> },
    /// There are more devices than unit ids.
    Full,
}

/// The devices behind one TCP address or on one serial line.
#[derive(Debug, Default)]
pub struct Station {
    units: BTreeMap<u8, Unit>,
}

/// A device under one of its unit ids, which may be another than the one that it has by itself.
#[derive(Debug)]
struct Unit {
    device: Device,
    own: u8,
}

impl Station {
    /// One device, under the unit ids that it has.
    pub fn of(device: Device) -> Station {
        let unit = |own| (own, Unit { device: device.clone(), own });
        Station { units: device.units().into_iter().map(unit).collect() }
    }

    /// Several devices behind one address, with the unit id of each: its own where that is free and
    /// fit for a line, else the lowest that is. The further unit ids of a device stay as they are.
    pub fn shared(devices: &[Device]) -> Result<(Station, Vec<u8>), Crowded> {
        let mut taken: BTreeMap<u8, usize> = BTreeMap::new();
        let mut firsts = vec![None; devices.len()];
        for (index, device) in devices.iter().enumerate() {
            for unit in device.units().into_iter().skip(1) {
                match taken.get(&unit) {
                    None if UNITS.contains(&unit) => taken.insert(unit, index),
                    by => return Err(Crowded::Unit { index, unit, by: by.copied() }),
                };
            }
        }
        for (index, device) in devices.iter().enumerate() {
            let own = device.units()[0];
            if UNITS.contains(&own) && !taken.contains_key(&own) {
                taken.insert(own, index);
                firsts[index] = Some(own);
            }
        }
        let mut free = UNITS;
        let mut units = Vec::with_capacity(devices.len());
        for first in firsts {
            let free = || free.find(|unit| !taken.contains_key(unit));
            units.push(first.or_else(free).ok_or(Crowded::Full)?);
        }
        let mut station = Station::default();
        for (device, &first) in devices.iter().zip(&units) {
            for (place, own) in device.units().into_iter().enumerate() {
                let unit = if place == 0 { first } else { own };
                station.units.insert(unit, Unit { device: device.clone(), own });
            }
        }
        Ok((station, units))
    }

    /// The frame that the master hears after this request; `None` is silence.
    pub fn answer(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        let unit = self.units.get(&request.unit)?;
        let answer = pdu::answer(&unit.device, unit.own, request.pdu)?;
        Some(request.framing.frame(request.unit, &answer))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use riverwatts_shared::time::{ManualClock, UtcMs};

    use super::*;
    use crate::devices::Kind;
    use crate::modbus::frame::Framing;
    use crate::site::{Laws, Site};

    fn devices(kinds: impl IntoIterator<Item = Kind>) -> Vec<Device> {
        let site = Arc::new(Site::new(Laws::new(1, 1.0), Arc::new(ManualClock::at(UtcMs(0))), Duration::ZERO));
        kinds.into_iter().map(|kind| Device::new(kind, site.clone())).collect()
    }

    #[test]
    fn devices_keep_their_unit_where_it_is_free_and_take_the_lowest_otherwise() {
        let (station, units) = Station::shared(&devices([Kind::Turbine, Kind::Radar, Kind::Battery])).unwrap();
        assert_eq!(units, [1, 2, 225]);
        let answer = |unit, pdu: &[u8]| {
            let frame = station.answer(&Request { framing: Framing::Rtu, unit, pdu })?;
            Some(frame[1..frame.len() - 2].to_vec())
        };
        assert_eq!(answer(1, &[3, 0x9C, 0x40, 0, 1]), Some(vec![3, 2, 0x53, 0x75]));
        assert_eq!(answer(2, &[3, 0, 0, 0, 1]), Some(vec![3, 2, 0, 1]));
        // The battery's second unit has registers of its own.
        assert_eq!(answer(100, &[3, 0x03, 0x20, 0, 1]), Some(vec![3, 2, 0x76, 0x69]));
        assert_eq!(answer(225, &[3, 0x03, 0x20, 0, 1]), Some(vec![0x83, 2]));
        assert_eq!(answer(3, &[3, 0, 0, 0, 1]), None);
    }

    #[test]
    fn what_cannot_share_an_address_is_told() {
        let check = |kinds: Vec<Kind>, expected| assert_eq!(Station::shared(&devices(kinds)).err(), expected);
        check((1..=247).map(Kind::Plain).collect(), None);
        check((1..=248).map(Kind::Plain).collect(), Some(Crowded::Full));
        let clash = Crowded::Unit { index: 2, unit: 100, by: Some(0) };
        check(vec![Kind::Battery, Kind::Meter, Kind::Battery], Some(clash));
    }
}
