//! Virtual devices at their addresses: bound first, so that what is taken is known before
//! anything starts, then served until told to stop.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use riverwatts_shared::time::{Clock, SystemClock};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::devices::{Device, Kind, SITE_DEVICES};
use crate::faults::script::{Medium, Served};
use crate::faults::{Fault, Faults};
use crate::modbus::line::Pace;
use crate::modbus::log::Log;
use crate::modbus::pty::SerialLine;
use crate::modbus::station::{Crowded, Named, Station, UNITS};
use crate::modbus::tcp::{self, Frames};
use crate::site::Site;

/// Most plain devices of one program.
pub const PLAIN_MAX: u32 = 10_000;
/// What is to be served, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The first TCP port; each further address takes the next. 0 takes any free ones.
    pub first_port: u16,
    /// How frames look in sockets.
    pub frames: Frames,
    /// A serial line beside or instead of sockets.
    pub line: Option<Line>,
}

/// A serial line and who is on it.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name.
    pub path: PathBuf,
    /// How fast it is.
    pub pace: Pace,
    /// The device with this id alone; without, all.
    pub only: Option<String>,
}

/// How plain devices are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlainBy {
    /// Up to 247 of them behind one address, each under a unit id of its own.
    Unit,
    /// Each at a port of its own, all with unit id 1.
    Port,
}

/// The site's five devices, each for an address of its own, and plain ones.
pub fn of_site(site: &Arc<Site>, plain: u32, plain_by: PlainBy) -> Vec<Vec<Named>> {
    let named = |kind: Kind| (kind.id(), Device::new(kind, site.clone()));
    let per_address = match plain_by {
        PlainBy::Unit => UNITS.len(),
        PlainBy::Port => 1,
    };
    let plain: Vec<Kind> = (1..=plain).map(Kind::Plain).collect();
    let alone = SITE_DEVICES.chunks(1).chain(plain.chunks(per_address));
    alone.map(|kinds| kinds.iter().map(|&kind| named(kind)).collect()).collect()
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
    /// Two devices with the same further unit id.
    #[error("{id} answers as unit {unit}, too, which {by}; serve it at another address")]
    UnitTaken { id: String, unit: u8, by: String },
    /// A line ends with its unit ids.
    #[error("more than {} devices on one serial line; take fewer, or TCP", UNITS.len())]
    Crowded,
}

/// Devices with their addresses taken, not yet answering.
#[derive(Debug)]
pub struct Bound {
    frames: Frames,
    tcp: Vec<(TcpListener, Station)>,
    line: Option<(SerialLine, Pace, Station)>,
    places: Vec<Place>,
}

impl Bound {
    /// Takes every address of the plan for these devices, each list at one address, in order.
    pub async fn open(plan: &Plan, devices: Vec<Vec<Named>>) -> Result<Bound, OpenError> {
        let mut bound = Bound { frames: plan.frames, tcp: Vec::new(), line: None, places: Vec::new() };
        let on_line =
            |(id, _): &Named| plan.line.as_ref().is_some_and(|line| line.only.as_ref().is_none_or(|it| it == id));
        let order: Vec<String> = devices.iter().flatten().map(|(id, _)| id.clone()).collect();
        let mut wired = Vec::new();
        for (offset, devices) in devices.into_iter().enumerate() {
            let (line, sockets): (Vec<Named>, Vec<Named>) = devices.into_iter().partition(on_line);
            wired.extend(line);
            if !sockets.is_empty() {
                bound.add_tcp(plan.first_port, offset, sockets).await?;
            }
        }
        if let Some(line) = &plan.line {
            bound.add_line(line, wired)?;
            bound.places.sort_by_key(|place| order.iter().position(|id| *id == place.id));
        }
        Ok(bound)
    }

    /// Where each device is.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Whom a script of faults may name.
    pub fn served(&self) -> Served {
        let medium = match (&self.line, self.frames) {
            (Some(_), _) => Medium::Line,
            (None, Frames::Tcp) => Medium::Tcp,
            (None, Frames::Rtu) => Medium::RtuTcp,
        };
        let mut devices: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (id, unit) in self.stations().flat_map(Station::devices) {
            devices.entry(id.to_owned()).or_default().push(unit);
        }
        Served { medium, devices }
    }

    /// Lets these things go wrong.
    pub fn set_faults(&mut self, faults: &[Fault], seed: u64) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        for station in self.stations_mut() {
            let own = |fault: &&Fault| station.devices().any(|(id, unit)| fault.is_for(id, unit));
            let own = faults.iter().filter(own).cloned().collect();
            station.set_faults(Faults::new(own, seed, clock.clone()));
        }
    }

    /// Writes every request and its answer down.
    pub fn set_log(&mut self, log: &Arc<Log>) {
        self.stations_mut().for_each(|station| station.set_log(log.clone()));
    }

    fn stations(&self) -> impl Iterator<Item = &Station> {
        self.tcp.iter().map(|(_, station)| station).chain(self.line.iter().map(|(_, _, station)| station))
    }

    fn stations_mut(&mut self) -> impl Iterator<Item = &mut Station> {
        self.tcp.iter_mut().map(|(_, station)| station).chain(self.line.iter_mut().map(|(_, _, station)| station))
    }

    /// Answers until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        let mut serving = JoinSet::new();
        for (listener, station) in self.tcp {
            serving.spawn(tcp::serve(listener, self.frames, Arc::new(station), stop.clone()));
        }
        if let Some((line, pace, station)) = self.line {
            serving.spawn(line.serve(Arc::new(station), pace, stop.clone()));
        }
        serving.join_all().await;
    }

    async fn add_tcp(&mut self, first_port: u16, offset: usize, devices: Vec<Named>) -> Result<(), OpenError> {
        let port = match first_port {
            0 => 0,
            _ => u16::try_from(usize::from(first_port) + offset).map_err(|_| OpenError::NoPortLeft { first_port })?,
        };
        let taken = |source| OpenError::Port { port, source };
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?.to_string();
        let station = match &*devices {
            [device] => {
                self.places.push(Place { id: device.0.clone(), address, unit: device.1.units()[0] });
                Station::of(device.clone())
            }
            _ => self.share(&address, &devices)?,
        };
        self.tcp.push((listener, station));
        Ok(())
    }

    fn add_line(&mut self, line: &Line, devices: Vec<Named>) -> Result<(), OpenError> {
        let station = self.share(&line.path.display().to_string(), &devices)?;
        let failed = |source| OpenError::Line { path: line.path.clone(), source };
        self.line = Some((SerialLine::open(&line.path).map_err(failed)?, line.pace, station));
        Ok(())
    }

    fn share(&mut self, address: &str, devices: &[Named]) -> Result<Station, OpenError> {
        let id = |index: usize| devices[index].0.clone();
        let (station, units) = Station::shared(devices).map_err(|crowded| match crowded {
            Crowded::Full => OpenError::Crowded,
            Crowded::Unit { index, unit, by } => {
                let by = by.map_or_else(|| "is no device's".to_owned(), |by| format!("{} has", id(by)));
                OpenError::UnitTaken { id: id(index), unit, by }
            }
        })?;
        let place = |((id, _), unit): (&Named, u8)| Place { id: id.clone(), address: address.to_owned(), unit };
        self.places.extend(devices.iter().zip(units).map(place));
        Ok(station)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::site::Laws;

    fn site() -> Arc<Site> {
        Arc::new(Site::new(Laws::new(1, 1.0), Arc::new(SystemClock::default()), Duration::ZERO))
    }

    fn plan(first_port: u16) -> Plan {
        Plan { first_port, frames: Frames::Tcp, line: None }
    }

    #[tokio::test]
    async fn plain_devices_share_addresses_by_unit_or_have_their_own() {
        for (plain_by, addresses, last) in
            [(PlainBy::Unit, 3, ("plain-500", 6)), (PlainBy::Port, 500, ("plain-500", 1))]
        {
            let bound = Bound::open(&plan(0), of_site(&site(), 500, plain_by)).await.unwrap();
            assert_eq!(bound.tcp.len(), 5 + addresses);
            let place = bound.places().last().unwrap();
            assert_eq!((place.id.as_str(), place.unit), last);
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_option() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let devices = of_site(&site(), 0, PlainBy::Unit);
        let message = Bound::open(&plan(port), devices).await.unwrap_err().to_string();
        assert!(message.contains(&port.to_string()) && message.contains("--modbus-port"), "{message}");
    }
}
