//! Virtual devices at their addresses: bound first, so that what is taken is known before
//! anything starts, then served until told to stop.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::devices::{Device, Kind, SITE_DEVICES};
use crate::modbus::pty::SerialLine;
use crate::modbus::station::Station;
use crate::modbus::tcp;
use crate::profiled::Profiled;
use crate::site::Site;

/// Most plain devices of one program.
pub const PLAIN_MAX: u32 = 10_000;
/// Most unit ids that share one TCP address (247 is the last that Modbus gives to a device).
const UNITS_MAX: usize = 247;

/// What is to be served, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The first TCP port; each further address takes the next. 0 takes any free ones.
    pub first_port: u16,
    /// `meter-1` answers on a pseudo-terminal under this name, instead of over TCP.
    pub meter_line: Option<PathBuf>,
    /// How many plain devices beside the site's five.
    pub plain: u32,
    /// How plain devices are told apart.
    pub plain_by: PlainBy,
}

/// How plain devices are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlainBy {
    /// Up to 247 of them behind one address, each under a unit id of its own.
    Unit,
    /// Each at a port of its own, all with unit id 1.
    Port,
}

/// Where a master finds one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The device's id.
    pub id: String,
    /// `127.0.0.1:5020`, or the path of a serial line.
    pub address: String,
    /// Its unit id there.
    pub unit: u8,
}

impl Place {
    fn of(kind: Kind, address: String, unit: u8) -> Place {
        Place { id: kind.id(), address, unit }
    }
}

/// Why the devices cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another port has to be chosen.
    #[error("port {port} cannot be taken for the virtual devices; choose other ports with --modbus-port")]
    Port { port: u16, source: io::Error },
    /// The pseudo-terminal, or its name, cannot be made.
    #[error("serial line {} cannot be made", path.display())]
    Line { path: PathBuf, source: io::Error },
    /// The ports end at 65535.
    #[error("too many addresses after port {first_port}; begin lower with --modbus-port, or take --by unit")]
    NoPortLeft { first_port: u16 },
}

/// Devices with their addresses taken, not yet answering.
#[derive(Debug, Default)]
pub struct Bound {
    tcp: Vec<(TcpListener, Station)>,
    line: Option<(SerialLine, Station)>,
    places: Vec<Place>,
}

impl Bound {
    /// Takes every address of the plan.
    pub async fn open(plan: &Plan, site: &Arc<Site>) -> Result<Bound, OpenError> {
        let mut bound = Bound::default();
        for (offset, kind) in (0..).zip(SITE_DEVICES) {
            let device = Device::new(kind, site.clone());
            match &plan.meter_line {
                Some(path) if kind == Kind::Meter => bound.add_line(path, kind, device)?,
                _ => {
                    let address = bound.add_tcp(plan.first_port, offset, Station::of(device)).await?;
                    bound.places.push(Place::of(kind, address, kind.units()[0]));
                }
            }
        }
        let per_address = match plan.plain_by {
            PlainBy::Unit => UNITS_MAX,
            PlainBy::Port => 1,
        };
        let numbers: Vec<u32> = (1..=plan.plain).collect();
        for (offset, numbers) in (SITE_DEVICES.len()..).zip(numbers.chunks(per_address)) {
            let kinds = || (1..).zip(numbers.iter().map(|&number| Kind::Plain(number)));
            let devices = kinds().map(|(unit, kind)| (unit, Device::new(kind, site.clone())));
            let address = bound.add_tcp(plan.first_port, offset, Station::with_units(devices)).await?;
            bound.places.extend(kinds().map(|(unit, kind)| Place::of(kind, address.clone(), unit)));
        }
        Ok(bound)
    }

    /// Takes an address for each of these devices, in order, from `first_port` on.
    pub async fn of_profiles(first_port: u16, devices: Vec<(String, Profiled)>) -> Result<Bound, OpenError> {
        let mut bound = Bound::default();
        for (offset, (id, profiled)) in devices.into_iter().enumerate() {
            let device = Device::of_profile(Arc::new(profiled));
            let unit = device.units()[0];
            let address = bound.add_tcp(first_port, offset, Station::of(device)).await?;
            bound.places.push(Place { id, address, unit });
        }
        Ok(bound)
    }

    /// Where each device is.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Answers until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        let mut serving = JoinSet::new();
        for (listener, station) in self.tcp {
            serving.spawn(tcp::serve(listener, Arc::new(station), stop.clone()));
        }
        if let Some((line, station)) = self.line {
            serving.spawn(line.serve(Arc::new(station), stop.clone()));
        }
        serving.join_all().await;
    }

    async fn add_tcp(&mut self, first_port: u16, offset: usize, station: Station) -> Result<String, OpenError> {
        let port = match first_port {
            0 => 0,
            _ => u16::try_from(usize::from(first_port) + offset).map_err(|_| OpenError::NoPortLeft { first_port })?,
        };
        let taken = |source| OpenError::Port { port, source };
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?.to_string();
        self.tcp.push((listener, station));
        Ok(address)
    }

    fn add_line(&mut self, path: &Path, kind: Kind, device: Device) -> Result<(), OpenError> {
        let line = SerialLine::open(path).map_err(|source| OpenError::Line { path: path.to_owned(), source })?;
        self.places.push(Place::of(kind, path.display().to_string(), kind.units()[0]));
        self.line = Some((line, Station::of(device)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use riverwatts_shared::time::SystemClock;

    use super::*;
    use crate::site::Laws;

    fn site() -> Arc<Site> {
        Arc::new(Site::new(Laws::new(1, 1.0), Arc::new(SystemClock::default()), Duration::ZERO))
    }

    #[tokio::test]
    async fn plain_devices_share_addresses_by_unit_or_have_their_own() {
        for (plain_by, addresses, last) in
            [(PlainBy::Unit, 3, ("plain-500", 6)), (PlainBy::Port, 500, ("plain-500", 1))]
        {
            let plan = Plan { first_port: 0, meter_line: None, plain: 500, plain_by };
            let bound = Bound::open(&plan, &site()).await.unwrap();
            assert_eq!(bound.tcp.len(), 5 + addresses);
            let place = bound.places().last().unwrap();
            assert_eq!((place.id.as_str(), place.unit), last);
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_option() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let plan = Plan { first_port: port, meter_line: None, plain: 0, plain_by: PlainBy::Unit };
        let message = Bound::open(&plan, &site()).await.unwrap_err().to_string();
        assert!(message.contains(&port.to_string()) && message.contains("--modbus-port"), "{message}");
    }
}
