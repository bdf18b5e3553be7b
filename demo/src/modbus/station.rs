//! What stands at one address: one or several devices, told apart by their unit id.

use std::collections::BTreeMap;

use crate::devices::Device;
use crate::modbus::pdu;

/// The devices behind one TCP address or on one serial line.
#[derive(Debug, Default)]
pub struct Station {
    units: BTreeMap<u8, Device>,
}

impl Station {
    /// One device, under the unit ids that it has.
    pub fn of(device: Device) -> Station {
        Station::with_units(device.units().into_iter().map(|unit| (unit, device.clone())))
    }

    /// Several devices, each under its unit id.
    pub fn with_units(units: impl IntoIterator<Item = (u8, Device)>) -> Station {
        Station { units: units.into_iter().collect() }
    }

    /// What the master hears after this request (function code and what follows); `None` is silence.
    pub fn answer(&self, unit: u8, request: &[u8]) -> Option<Vec<u8>> {
        pdu::answer(self.units.get(&unit)?, unit, request)
    }
}
