//! What stands at one address: one or several devices, told apart by their unit id, and what goes
//! wrong with their answers.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::devices::Device;
use crate::faults::{Faults, Reply, Second, Step};
use crate::modbus::frame::Request;
use crate::modbus::log::Log;
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

/// A device and its id.
pub type Named = (String, Device);

/// The devices behind one TCP address or on one serial line.
#[derive(Debug, Default)]
pub struct Station {
    units: BTreeMap<u8, Unit>,
    faults: Option<Faults>,
    log: Option<Arc<Log>>,
}

/// A device under one of its unit ids, which may be another than the one that it has by itself.
#[derive(Debug)]
struct Unit {
    id: String,
    device: Device,
    own: u8,
}

impl Station {
    /// One device, under the unit ids that it has.
    pub fn of((id, device): Named) -> Station {
        let unit = |own| (own, Unit { id: id.clone(), device: device.clone(), own });
        Station { units: device.units().into_iter().map(unit).collect(), ..Station::default() }
    }

    /// Several devices behind one address, with the unit id of each: its own where that is free and
    /// fit for a line, else the lowest that is. The further unit ids of a device stay as they are.
    pub fn shared(devices: &[Named]) -> Result<(Station, Vec<u8>), Crowded> {
        let mut taken: BTreeMap<u8, usize> = BTreeMap::new();
        let mut firsts = vec![None; devices.len()];
        for (index, (_, device)) in devices.iter().enumerate() {
            for unit in device.units().into_iter().skip(1) {
                match taken.get(&unit) {
                    None if UNITS.contains(&unit) => taken.insert(unit, index),
                    by => return Err(Crowded::Unit { index, unit, by: by.copied() }),
                };
            }
        }
        for (index, (_, device)) in devices.iter().enumerate() {
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
        for ((id, device), &first) in devices.iter().zip(&units) {
            for (place, own) in device.units().into_iter().enumerate() {
                let unit = if place == 0 { first } else { own };
                station.units.insert(unit, Unit { id: id.clone(), device: device.clone(), own });
            }
        }
        Ok((station, units))
    }

    /// Its devices with their unit ids.
    pub fn devices(&self) -> impl Iterator<Item = (&str, u8)> {
        self.units.iter().map(|(&number, unit)| (&*unit.id, number))
    }

    /// Lets things go wrong.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = Some(faults);
    }

    /// Writes every request and its answer down.
    pub fn set_log(&mut self, log: Arc<Log>) {
        self.log = Some(log);
    }

    /// What the master gets after this request; nothing is silence.
    pub fn reply(&self, request: &Request<'_>) -> Vec<Step> {
        let Some(unit) = self.units.get(&request.unit) else { return Vec::new() };
        let answer = pdu::answer(&unit.device, unit.own, request.pdu);
        let reply = match &self.faults {
            Some(faults) => faults.reply(&unit.id, request, answer),
            None => Reply::right(request, answer),
        };
        if let Some(log) = &self.log {
            log.write(&unit.id, request, &reply);
        }
        reply.steps
    }

    /// What becomes of a further connection now, if it is not served.
    pub fn second_connection(&self) -> Option<Second> {
        self.faults.as_ref().and_then(Faults::second_connection)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use riverwatts_shared::time::{ManualClock, UtcMs};

    use super::*;
    use crate::devices::Kind;
    use crate::modbus::frame::Framing;
    use crate::site::{Laws, Site};

    fn devices(kinds: impl IntoIterator<Item = Kind>) -> Vec<Named> {
        let site = Arc::new(Site::new(Laws::new(1, 1.0), Arc::new(ManualClock::at(UtcMs(0))), Duration::ZERO));
        kinds.into_iter().map(|kind| (kind.id(), Device::new(kind, site.clone()))).collect()
    }

    #[test]
    fn devices_keep_their_unit_where_it_is_free_and_take_the_lowest_otherwise() {
        let (station, units) = Station::shared(&devices([Kind::Turbine, Kind::Radar, Kind::Battery])).unwrap();
        assert_eq!(units, [1, 2, 225]);
        let answer = |unit, pdu: &[u8]| {
            let steps = station.reply(&Request { framing: Framing::Rtu, unit, pdu });
            let frame =
                steps.into_iter().map(|step| if let Step::Send(frame) = step { frame } else { Vec::new() }).next()?;
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
