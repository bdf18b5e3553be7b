//! What a person sees of a room, and what stands in it when they enter.

use bytes::Bytes;
use riverwatts_shared::words::UserRole;
use uuid::Uuid;

use super::close::Close;
use super::room::Told;
use super::rooms::{RoomId, Seen};
use super::sockets::Visitor;
use super::{Inner, gateway_json, told};
use crate::db::DbError;
use crate::db::recent::Asked;
use crate::store::devices::{self, NamedDevice};
use crate::store::{Sight, gateways, sites};

/// What stands in a room.
#[derive(Debug, Default)]
pub struct Contents {
    /// All its devices.
    pub devices: Vec<NamedDevice>,
    /// The newest reading of each that has one.
    pub newest: Vec<Told>,
    /// Gateways, each as JSON.
    pub gateways: Vec<(Uuid, Bytes)>,
}

impl Inner {
    /// What a person sees of a room now.
    ///
    /// # Errors
    /// [`Close::Unseen`] when that is nothing.
    pub(super) async fn look(&self, visitor: Visitor, id: RoomId) -> Result<Seen, Close> {
        let key = (visitor.user_id, id);
        let seen = match self.seen.get(&key) {
            Some(seen) => seen,
            None => {
                let asked = Asked::now();
                let seen = self.find(visitor, id).await.map_err(failed)?;
                self.seen.put(asked, key, seen.clone());
                seen
            }
        };
        seen.ok_or(Close::Unseen)
    }

    async fn find(&self, visitor: Visitor, id: RoomId) -> Result<Option<Seen>, DbError> {
        let sight = Sight::of(visitor.user_id);
        Ok(match id {
            RoomId::Fleet if visitor.role == UserRole::Admin => Some(Seen::All),
            RoomId::Fleet => {
                let sites = sites::ids_in_sight(&self.db, sight).await?;
                Some(Seen::Sites(std::sync::Arc::new(sites.into_iter().collect())))
            }
            RoomId::Site(id) => sites::find(&self.db, sight, id).await?.map(|site| Seen::Site(site.id)),
            RoomId::Device(id) => {
                let device = devices::find_named(&self.db, sight, id).await?;
                device.map(|device| Seen::Device { id, site_id: device.site_id })
            }
            RoomId::Alerts => Some(Seen::Alerts),
        })
    }

    /// What stands in a room of which the person sees this.
    pub(super) async fn contents(&self, visitor: Visitor, seen: &Seen) -> Result<Contents, Close> {
        let sight = Sight::of(visitor.user_id);
        let devices = match seen {
            Seen::All | Seen::Sites(_) => devices::in_sight(&self.db, sight, None).await,
            Seen::Site(id) => devices::in_sight(&self.db, sight, Some(*id)).await,
            Seen::Device { id, .. } => devices::find_named(&self.db, sight, *id).await.map(Vec::from_iter),
            Seen::Alerts => return Ok(Contents::default()),
        };
        let devices = devices.map_err(failed)?;
        let rows = self.readings.latest(devices.iter().map(|device| device.number).collect()).await.map_err(failed)?;
        // Both are in order of number, the rows without those devices that have none.
        let mut rest = devices.iter();
        let newest = rows.iter().filter_map(|row| {
            let device = rest.find(|device| device.number == row.device)?;
            told(device.id, row)
        });
        let newest = newest.collect();
        let gateways = gateways::active(&self.db, sight).await.map_err(failed)?;
        let here = gateways.iter().filter(|gateway| seen.watched().is_none_or(|site_id| site_id == gateway.site_id));
        let gateways = here.map(|gateway| (gateway.id, gateway_json(&self.presence.see(gateway)))).collect();
        Ok(Contents { devices, newest, gateways })
    }
}

pub(super) fn failed(error: impl std::fmt::Display) -> Close {
    tracing::warn!(%error, "sockets are sent away: what they see cannot be read");
    Close::Later
}
