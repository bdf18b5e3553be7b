//! What happens, told to those who look: fed from memory after the commit, by a way that is bounded
//! and makes nobody wait. People stand in rooms; a room's frames are written once for all of them.

pub mod close;
mod frame;
mod place;
mod room;
mod rooms;
mod sight;
mod sockets;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use riverwatts_shared::time::{Clock, UtcMs};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::auth::revoked::Revoked;
use crate::db::Db;
use crate::db::column::{At, Word};
use crate::db::recent::Recent;
use crate::presence::{Presence, Seen as Heard};
use crate::readings::{Readings, Rows, StoredRow, json};
use crate::store::gaps::{Gap, NewGap};
use close::Close;
use frame::Backfilled;
use room::Told;
use rooms::{OfSite, Rooms};
use sockets::Sockets;

pub use place::{Event, Place};
pub use rooms::{NoRoom, RoomId, Seen};
pub use sockets::Visitor;

/// News that may wait to be told.
const NEWS_MAX: usize = 1_024;
/// How often sign-ins, tokens and sights of all sockets are looked at.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often a gateway uploads while somebody watches its site.
const WATCHED_EVERY_S: u32 = 1;

/// The rooms and who is in them; cheap to clone.
#[derive(Clone, Debug)]
pub struct Live(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    readings: Readings,
    presence: Presence,
    clock: Arc<dyn Clock>,
    rooms: Rooms,
    sockets: Sockets,
    /// What people see of rooms.
    seen: Recent<(Uuid, RoomId), Option<Seen>>,
    news: Sender<News>,
    waiting: Mutex<Option<Receiver<News>>>,
}

/// Readings of one device that were stored just now.
#[derive(Debug)]
pub struct Stored {
    /// The device.
    pub device_id: Uuid,
    /// The readings; some of them may have been there before.
    pub rows: Arc<Rows>,
    /// Time of the device's newest reading when these were committed.
    pub newest: UtcMs,
}

/// What happened at a site.
#[derive(Debug)]
enum News {
    Stored { site_id: Uuid, stored: Vec<Stored> },
    Gaps { site_id: Uuid, gaps: Vec<NewGap> },
}

impl Live {
    /// Nobody is there yet. Nothing is told before [`Live::keep`] runs.
    pub fn new(db: Db, readings: Readings, presence: Presence, clock: Arc<dyn Clock>) -> Live {
        let (news, waiting) = channel(NEWS_MAX);
        Live(Arc::new(Inner {
            db,
            readings,
            presence,
            rooms: Rooms::new(Arc::clone(&clock)),
            clock,
            sockets: Sockets::default(),
            seen: Recent::default(),
            news,
            waiting: Mutex::new(Some(waiting)),
        }))
    }

    /// Readings of a site were committed.
    pub fn stored(&self, site_id: Uuid, stored: Vec<Stored>) {
        if !stored.is_empty() {
            self.0.hear(News::Stored { site_id, stored });
        }
    }

    /// Gaps of a site were committed.
    pub fn found_gaps(&self, site_id: Uuid, gaps: Vec<NewGap>) {
        self.0.hear(News::Gaps { site_id, gaps });
    }

    /// How often the gateways of a site are asked to upload, in seconds; `None`: as they are set.
    pub fn upload_every_s(&self, site_id: Uuid) -> Option<u32> {
        self.0.rooms.is_watched(site_id).then_some(WATCHED_EVERY_S)
    }

    /// Tells what happens, and ends sockets whose sign-in, token or sight has ended, until `stop`; then
    /// ends all. Does nothing when it runs already.
    pub async fn keep(&self, revoked: &Revoked, stop: CancellationToken) {
        let waiting = self.0.waiting.lock().expect("never poisoned: nothing panics inside").take();
        let Some(waiting) = waiting else { return };
        let work = Box::pin(async { tokio::join!(self.0.tell(waiting), self.0.keep_checking(revoked)) });
        stop.run_until_cancelled(work).await;
        self.0.sockets.end(|_, _| Some(Close::GoingAway));
    }
}

impl Inner {
    /// Takes news when somebody may want them. Those that find no place are lost to the rooms; a
    /// device's next reading makes up for it.
    fn hear(&self, news: News) {
        if self.rooms.is_any() && self.news.try_send(news).is_err() {
            metrics::counter!("riverwatts_live_news_lost_total").increment(1);
        }
    }

    async fn tell(&self, mut waiting: Receiver<News>) {
        let mut links = self.presence.changes();
        loop {
            tokio::select! {
                news = waiting.recv() => match news {
                    Some(News::Stored { site_id, stored }) => {
                        self.tell_stored(&self.rooms.of_site(site_id), &stored).await;
                    }
                    Some(News::Gaps { site_id, gaps }) => tell_gaps(&self.rooms.of_site(site_id), &gaps),
                    None => return,
                },
                heard = links.recv() => match heard {
                    Ok(heard) => self.rooms.of_site(heard.site_id).tell_gateway(&heard),
                    Err(RecvError::Lagged(_)) => self.tell_all_gateways().await,
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// More links changed at once than were told.
    async fn tell_all_gateways(&self) {
        for (visitor, id) in self.sockets.visits() {
            let Ok(seen) = self.look(visitor, id).await else { continue };
            if let Some(room) = self.rooms.find(visitor.user_id, &seen)
                && let Ok(contents) = self.contents(visitor, &seen).await
            {
                room.tell_gateways(contents.gateways.iter());
            }
        }
    }

    async fn tell_stored(&self, rooms: &OfSite, stored: &[Stored]) {
        let shows =
            |stored: &&Stored| !rooms.whole.is_empty() || rooms.devices.iter().any(|(id, _)| *id == stored.device_id);
        let shown: Vec<&Stored> = stored.iter().filter(shows).collect();
        if shown.is_empty() {
            return;
        }
        // The writer has put the newest of these devices in memory: nothing is read.
        let newest = match self.readings.latest(shown.iter().map(|stored| stored.rows.device).collect()).await {
            Ok(newest) => newest,
            Err(error) => return tracing::warn!(%error, "readings were stored but not told"),
        };
        let newest: HashMap<i64, Arc<StoredRow>> = newest.into_iter().map(|row| (row.device, row)).collect();
        let told: Vec<Told> =
            shown.iter().filter_map(|stored| told(stored.device_id, newest.get(&stored.rows.device)?)).collect();
        let devices = rooms.devices.iter().map(|(id, room)| (Some(*id), room));
        for (device, room) in rooms.whole.iter().map(|room| (None, room)).chain(devices) {
            let here = shown.iter().filter(|stored| device.is_none_or(|id| id == stored.device_id));
            let late: Vec<Backfilled> = here.filter_map(|stored| late(stored, room.newest(stored.device_id))).collect();
            room.tell_readings(told.iter().filter(|told| device.is_none_or(|id| id == told.device_id)));
            if !late.is_empty() {
                room.tell_backfilled(late.into_iter());
            }
        }
    }

    /// Ends sockets for which there is a reason, and moves on those who see other sites than before.
    async fn keep_checking(&self, revoked: &Revoked) {
        let mut ended = revoked.ended();
        let mut ticks = interval(CHECK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! { _ = ticks.tick() => {}, _ = ended.changed() => {} }
            let now = self.clock.wall();
            let is_out = |visitor: &Visitor| visitor.expires_at <= now || revoked.contains(visitor.session_id);
            self.sockets.end(|visitor, _| is_out(visitor).then_some(Close::NotSignedIn));
            for (visitor, id) in self.sockets.visits() {
                if let Err(close) = self.check_sight(visitor, id).await {
                    self.sockets.end(|other, room| (other.user_id == visitor.user_id && room == id).then_some(close));
                }
            }
        }
    }

    async fn check_sight(&self, visitor: Visitor, id: RoomId) -> Result<(), Close> {
        let seen = self.look(visitor, id).await?;
        if let Seen::Sites(sites) = &seen
            && let Some(room) = self.rooms.shift(visitor.user_id, sites)
        {
            let contents = self.contents(visitor, &seen).await?;
            room.begin_anew(contents.newest, contents.gateways);
        }
        Ok(())
    }
}

impl OfSite {
    /// Its gateway's link changed.
    fn tell_gateway(&self, heard: &Heard) {
        let gateway = (heard.id, gateway_json(heard));
        for room in self.whole.iter().chain(self.devices.iter().map(|(_, room)| room)) {
            room.tell_gateways(std::iter::once(&gateway));
        }
    }
}

fn gateway_json(heard: &Heard) -> Bytes {
    serde_json::to_vec(heard).expect("words, ids and a time are plain JSON").into()
}

fn tell_gaps(rooms: &OfSite, gaps: &[NewGap]) {
    let gaps: Vec<(Uuid, Bytes)> = gaps.iter().map(|gap| (gap.device_id, gap_json(gap))).collect();
    for room in &rooms.whole {
        room.tell_gaps(gaps.iter().map(|(_, json)| json.clone()));
    }
    for (id, room) in &rooms.devices {
        room.tell_gaps(gaps.iter().filter(|(device, _)| device == id).map(|(_, json)| json.clone()));
    }
}

/// As the list of a device's gaps has it.
fn gap_json(gap: &NewGap) -> Bytes {
    let NewGap { device_id, from, to, rows, reason } = *gap;
    let rows = rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX));
    let gap = Gap { id: Uuid::nil(), device_id, from: At(from), to: At(to), rows, reason: Word(reason) };
    serde_json::to_vec(&gap).expect("a gap is plain JSON").into()
}

/// A reading in the form in which rooms tell it.
fn told(device_id: Uuid, row: &StoredRow) -> Option<Told> {
    let mut out = Vec::with_capacity(512);
    match json::write_reading(&mut out, device_id, row, &[]) {
        Ok(()) => Some(Told { device_id, version: (row.time, row.revision), json: out.into() }),
        Err(error) => {
            tracing::error!(%error, device.id = %device_id, "a stored reading is damaged");
            None
        }
    }
}

/// The span of those readings that came after later ones. `known` is the newest that the room knows.
fn late(stored: &Stored, known: Option<UtcMs>) -> Option<Backfilled> {
    let times = &stored.rows.segment.times;
    let (first, last) = (UtcMs(*times.first()?), UtcMs(*times.last()?));
    // What a room learned of later commits, or does not know yet, makes nothing late that was newest then.
    let known = known.filter(|time| *time <= stored.newest);
    let before = known.or_else(|| (stored.newest > last).then_some(stored.newest))?;
    let count = times.partition_point(|&time| time < before.0);
    (count > 0).then(|| Backfilled { device_id: stored.device_id, from: first, to: UtcMs(times[count - 1] + 1) })
}

#[cfg(test)]
mod tests;
