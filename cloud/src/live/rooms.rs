//! Which rooms are open, by what they show, and which sites somebody watches.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard};

use riverwatts_shared::time::Clock;
use tokio::sync::broadcast::Receiver;
use uuid::Uuid;

use super::room::{Frame, Room};

/// Characters of a UUID as it is written.
const UUID_CHARS: usize = 36;

/// A room by the name in its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoomId {
    /// All sites in sight.
    Fleet,
    /// One site.
    Site(Uuid),
    /// One device.
    Device(Uuid),
    /// Alerts of all sites in sight.
    Alerts,
}

/// No room has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl FromStr for RoomId {
    type Err = NoRoom;

    fn from_str(name: &str) -> Result<RoomId, NoRoom> {
        let id = |text: &str| text.parse().ok().filter(|_| text.len() == UUID_CHARS).ok_or(NoRoom);
        match name.split_once('-') {
            None if name == "fleet" => Ok(RoomId::Fleet),
            None if name == "alerts" => Ok(RoomId::Alerts),
            Some(("site", text)) => id(text).map(RoomId::Site),
            Some(("device", text)) => id(text).map(RoomId::Device),
            _ => Err(NoRoom),
        }
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoomId::Fleet => f.write_str("fleet"),
            RoomId::Site(id) => write!(f, "site-{id}"),
            RoomId::Device(id) => write!(f, "device-{id}"),
            RoomId::Alerts => f.write_str("alerts"),
        }
    }
}

/// What a person sees of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Every site: an admin's fleet.
    All,
    /// Some sites: another's fleet.
    Sites(Arc<BTreeSet<Uuid>>),
    /// One site.
    Site(Uuid),
    /// One device and its site.
    Device {
        /// The device.
        id: Uuid,
        /// Its site.
        site_id: Uuid,
    },
    /// Alerts.
    Alerts,
}

impl Seen {
    /// The site that is watched as it happens.
    pub const fn watched(&self) -> Option<Uuid> {
        match self {
            Seen::Site(site_id) | Seen::Device { site_id, .. } => Some(*site_id),
            Seen::All | Seen::Sites(_) | Seen::Alerts => None,
        }
    }
}

/// The open rooms.
#[derive(Debug)]
pub struct Rooms {
    clock: Arc<dyn Clock>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    fleet: Option<Arc<Room>>,
    /// Those of people who do not see all sites, with what they see.
    fleets: HashMap<Uuid, (Arc<Room>, Arc<BTreeSet<Uuid>>)>,
    sites: HashMap<Uuid, Arc<Room>>,
    devices: HashMap<Uuid, (Arc<Room>, Uuid)>,
    alerts: Option<Arc<Room>>,
    /// Sockets in the rooms of each site and of its devices.
    watchers: HashMap<Uuid, usize>,
}

/// The rooms that show a site, while they are open.
#[derive(Debug, Default)]
pub struct OfSite {
    /// Those of the site and of fleets.
    pub whole: Vec<Arc<Room>>,
    /// Those of its devices.
    pub devices: Vec<(Uuid, Arc<Room>)>,
}

impl Rooms {
    /// None is open.
    pub fn new(clock: Arc<dyn Clock>) -> Rooms {
        Rooms { clock, open: Mutex::default() }
    }

    /// Opens the room where it is not, and enters it.
    pub fn enter(&self, user_id: Uuid, seen: &Seen) -> (Arc<Room>, u64, Receiver<Frame>) {
        let open = &mut *self.open();
        let new = |id| Arc::new(Room::new(id, Arc::clone(&self.clock)));
        let room = match seen {
            Seen::All => open.fleet.get_or_insert_with(|| new(RoomId::Fleet)),
            Seen::Sites(sites) => {
                &open.fleets.entry(user_id).or_insert_with(|| (new(RoomId::Fleet), Arc::clone(sites))).0
            }
            Seen::Site(id) => open.sites.entry(*id).or_insert_with(|| new(RoomId::Site(*id))),
            Seen::Device { id, site_id } => {
                &open.devices.entry(*id).or_insert_with(|| (new(RoomId::Device(*id)), *site_id)).0
            }
            Seen::Alerts => open.alerts.get_or_insert_with(|| new(RoomId::Alerts)),
        };
        let room = Arc::clone(room);
        let (seq, frames) = room.enter();
        if let Some(site_id) = seen.watched() {
            *open.watchers.entry(site_id).or_default() += 1;
        }
        (room, seq, frames)
    }

    /// The room, when it is open.
    pub fn find(&self, user_id: Uuid, seen: &Seen) -> Option<Arc<Room>> {
        let open = self.open();
        let room = match seen {
            Seen::All => open.fleet.as_ref(),
            Seen::Sites(_) => open.fleets.get(&user_id).map(|(room, _)| room),
            Seen::Site(id) => open.sites.get(id),
            Seen::Device { id, .. } => open.devices.get(id).map(|(room, _)| room),
            Seen::Alerts => open.alerts.as_ref(),
        };
        room.map(Arc::clone)
    }

    /// Closes the room when its last socket, whose frames these were, has left.
    pub fn leave(&self, user_id: Uuid, seen: &Seen, room: &Room, frames: Receiver<Frame>) {
        let open = &mut *self.open();
        drop(frames);
        if let Some(site_id) = seen.watched()
            && let Some(watchers) = open.watchers.get_mut(&site_id)
        {
            *watchers -= 1;
            if *watchers == 0 {
                open.watchers.remove(&site_id);
            }
        }
        if !room.is_empty() {
            return;
        }
        match seen {
            Seen::All => open.fleet = None,
            Seen::Sites(_) => _ = open.fleets.remove(&user_id),
            Seen::Site(id) => _ = open.sites.remove(id),
            Seen::Device { id, .. } => _ = open.devices.remove(id),
            Seen::Alerts => open.alerts = None,
        }
    }

    /// The fleet of somebody who sees these sites now, when they were others before.
    pub fn shift(&self, user_id: Uuid, now: &Arc<BTreeSet<Uuid>>) -> Option<Arc<Room>> {
        let open = &mut *self.open();
        let (room, sites) = open.fleets.get_mut(&user_id)?;
        if sites == now {
            return None;
        }
        *sites = Arc::clone(now);
        Some(Arc::clone(room))
    }

    /// Whether somebody is in the room of the site or of one of its devices.
    pub fn is_watched(&self, site_id: Uuid) -> bool {
        self.open().watchers.contains_key(&site_id)
    }

    /// Whether any room shows readings.
    pub fn is_any(&self) -> bool {
        let open = self.open();
        open.fleet.is_some() || !open.fleets.is_empty() || !open.watchers.is_empty()
    }

    /// The open rooms that show a site.
    pub fn of_site(&self, site_id: Uuid) -> OfSite {
        let open = self.open();
        let fleets = open.fleets.values().filter(|(_, sites)| sites.contains(&site_id)).map(|(room, _)| room);
        let whole = open.fleet.iter().chain(fleets).chain(open.sites.get(&site_id)).map(Arc::clone).collect();
        let devices = open.devices.iter().filter(|(_, (_, of_site))| *of_site == site_id);
        OfSite { whole, devices: devices.map(|(id, (room, _))| (*id, Arc::clone(room))).collect() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().expect("never poisoned: nothing panics inside")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_has_one_name() {
        let id = Uuid::from_u128(7);
        for room in [RoomId::Fleet, RoomId::Alerts, RoomId::Site(id), RoomId::Device(id)] {
            assert_eq!(room.to_string().parse(), Ok(room));
        }
        let simple = format!("site-{}", id.simple());
        for name in ["", "fleet-", "site", "site-", "site-7", "sites", &simple, "device-fleet", "alerts-all", "Fleet"] {
            assert_eq!(name.parse::<RoomId>(), Err(NoRoom), "{name}");
        }
    }
}
